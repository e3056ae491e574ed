"""Pictures of how a network answers along training."""

from interp.figures import loss_curves
from interp.ground.plain_text import listed
from interp.tables.accuracies import by_split
from interp.tables.folder import Tables
from interp.views.pictures.captions import at_end, grokking_said, number
from interp.views.pictures.panels import along, panel
from interp.views.pictures.picture import Picture


def _losses(tables: Tables) -> str:
    is_recorded = len(tables["history"]) > 0
    table = by_split(tables["history"] if is_recorded else tables["losses"])
    kinds = [kind for kind in ("train", "test", "all") if f"{kind}_loss" in table]
    ends = {kind: table.dropna(subset=[f"{kind}_loss"]) for kind in kinds}
    said = listed(
        f"{kind} loss {number(float(at_end(rows)[f'{kind}_loss'].iloc[0]))} at step {rows['step'].max()}"
        for kind, rows in ends.items()
        if len(rows)
    )
    source = "as the trainer recorded it" if is_recorded else "measured at the checkpoints"
    return f"Cross-entropy in nats along training, {source}: {said}. {grokking_said(tables)}"


PICTURES = {
    "loss_curves": Picture(
        shows="train and test loss along training",
        compute=along("losses"),
        draw=panel(
            lambda tables, ax: loss_curves(tables, ax),
            steps_of="losses",
        ),
        caption=_losses,
        needs=("history", "losses"),
    ),
}

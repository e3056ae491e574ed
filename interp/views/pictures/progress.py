"""Pictures of the progress measures: what the network answers with its key frequencies alone, and without them."""

from interp.figures import progress_curves
from interp.ground.plain_text import listed
from interp.tables.folder import Tables
from interp.views.pictures.captions import at_end, grokking_said, number
from interp.views.pictures.panels import computed_by, panel
from interp.views.pictures.picture import Picture


def _draw(tables: Tables, ax) -> None:
    chosen = tables["key_frequencies"]
    key = "key set" if chosen["is_key"].any() else f"strongest {len(chosen)}"
    progress_curves(tables["progress_measures"], ax, key=key)


def said_of_losses(table, what: str) -> str:
    """Excluded and restricted loss of the last checkpoint, with those of random sets."""
    last = at_end(table)
    values = []
    for measure, split in (("excluded_loss", "train"), ("restricted_loss", "all")):
        rows = last[(last["measure"] == measure) & (last["split"] == split)].set_index("selection")
        if "key" not in rows.index:
            continue
        random = rows.loc["random"] if "random" in rows.index else None
        band = (
            f" (random sets {number(float(random['loss_min']))} to {number(float(random['loss_max']))})"
            if random is not None
            else ""
        )
        values.append(f"{measure.replace('_', ' ')} {number(float(rows.loc['key', 'loss']))}{band}")
    return (
        f"Cross-entropy in nats: excluded loss, of the train rows without the {what}, and restricted loss, of all "
        f"pairs with nothing else; bands: random sets of as many others; dotted: the {what} of each checkpoint alone. "
        f"At step {last['step'].iloc[0]}: {listed(values)}."
    )


def _said(tables: Tables) -> str:
    chosen = tables["key_frequencies"]
    kind = "Key frequencies" if chosen["is_key"].any() else "No frequency is key; those followed are"
    of = f"{kind} {listed(chosen['frequency'])}, chosen by {chosen['chosen_by'].iloc[0]}."
    losses = said_of_losses(tables["progress_measures"], "key frequencies")
    return f"{losses} {of} {grokking_said(tables)}"


PICTURES = {
    "progress_curves": Picture(
        shows="excluded and restricted loss along training",
        compute=computed_by("progress_measures"),
        draw=panel(_draw, steps_of="progress_measures"),
        caption=_said,
        needs=("progress_measures",),
    ),
}

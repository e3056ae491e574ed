"""Pictures of what is foreseen in a row: loss by part, the heads that look back, and the loss without them."""

from matplotlib.axes import Axes

from interp.analyses import sequences
from interp.analyses.sequences import followed
from interp.figures import ablation_curves, head_curves, head_lines, head_name, part_curves
from interp.ground.plain_text import listed
from interp.ground.thresholds import HEAD_SCORE
from interp.tables.folder import Tables
from interp.views.pictures.captions import at_end, number
from interp.views.pictures.panels import along, panel
from interp.views.pictures.picture import Picture


def _parts_said(tables: Tables) -> str:
    last = at_end(tables["part_losses"])
    split = "test" if (last["split"] == "test").any() else "all"
    values = listed(
        f"{number(row.loss)} nats of {row.part} (accuracy {number(row.accuracy)})"
        for row in last[last["split"] == split].itertuples()
    )
    return (
        "Loss of each part of the questions along training, solid of test rows, dotted of train rows. At step "
        f"{last['step'].iloc[0]}, of {split} rows: {values}."
    )


def _draw_heads(tables: Tables, ax: Axes) -> None:
    scores = tables["induction_scores"]
    lines = head_lines(scores) if len(scores) else {}
    head_curves(
        scores, ax, quantity="prefix_matching", says="prefix matching", lines=lines, threshold=HEAD_SCORE
    )


def _heads_said(tables: Tables) -> str:
    last = at_end(tables["induction_scores"]).sort_values("prefix_matching", ascending=False)
    values = listed(
        f"{head_name(row.layer, row.head)} {row.prefix_matching:.2f} (copying {row.copying:.2f})"
        for row in last.head(4).itertuples()
    )
    return (
        "Attention of each head from a random token that comes again to whatever followed it before, along training; "
        f"from {HEAD_SCORE} (grey line) on a head that copies is called one of induction. Most at step "
        f"{last['step'].iloc[0]}: {values}."
    )


def _ablations_said(tables: Tables) -> str:
    rows = followed(tables, "set_ablations")
    last = at_end(rows[rows["heads"] != "none"])
    values = listed(
        f"{number(row.effect)} without the {row.heads}"
        + (" where patterns are kept" if row.patterns == "kept" else "")
        for row in last.itertuples()
    )
    return (
        "What the loss rises by without all heads of a kind together, their outputs replaced by means over the rows, "
        "along training; dashed: where the attention patterns stay those of the whole network. The kinds are those of "
        f"the last checkpoint. At step {last['step'].iloc[0]}, in nats: {values}."
    )


# Without a band: where nothing is memorized first, what comes is no grokking.
PICTURES = {
    "part_curves": Picture(
        shows="loss of each part of the questions, along training",
        compute=along("part_losses", "losses"),
        draw=panel(
            lambda tables, ax: part_curves(tables["part_losses"], ax),
            steps_of="part_losses",
            scale="log",
            has_grokking=False,
        ),
        caption=_parts_said,
        needs=("part_losses",),
    ),
    "head_curves": Picture(
        shows="which heads look at what followed a token before, along training",
        compute=along("induction_scores", "losses"),
        draw=panel(_draw_heads, steps_of="induction_scores", scale="log", has_grokking=False),
        caption=_heads_said,
        needs=("induction_scores",),
    ),
    "ablation_curves": Picture(
        shows="what is lost without the heads of each kind, along training",
        compute=sequences.compute,
        draw=panel(
            lambda tables, ax: ablation_curves(followed(tables, "set_ablations"), ax),
            steps_of="set_ablations",
            has_grokking=False,
            scale="log",
        ),
        caption=_ablations_said,
        needs=("set_ablations",),
    ),
}

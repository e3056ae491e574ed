"""Pictures of attention: where heads look, by which frequency, and how much of it moves with the input."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from interp.figures import head_lines, head_name, movement_curves, periodicity_curves, qk_bars, style
from interp.figures.colours import NAMED
from interp.ground.plain_text import listed
from interp.tables.folder import Tables
from interp.views.pictures.captions import at_end, grokking_said, null_said, number
from interp.views.pictures.panels import along, at_step, panel
from interp.views.pictures.picture import Picture


def _compute_maps(run, device: str, step: int) -> Tables:
    from interp.analyses.attention import patterns
    from interp.measurement.measure import measure

    tables = measure(run, ["attention_periodicity", "attention_patterns"], steps=[step], device=device)
    return {**tables, **(patterns(run, step, device) if len(tables["attention_patterns"]) else {})}


def _draw_maps(tables: Tables) -> Figure:
    from interp.analyses.attention import maps_height, pattern_maps

    figure = style.blank_figure(maps_height(tables))
    pattern_maps(figure, tables)
    return figure


def _head(row) -> str:
    return head_name(row.layer, row.head)


def _maps_said(tables: Tables) -> str:
    from interp.analyses.attention import TOKENS, plain_label

    looked_at, averaged = "the first operand, from 0 to 1, over all inputs (a, b)", "a"
    if tuple(tables["pattern_axes"]["label"]) == TOKENS:
        looked_at = "the first token, from 0 to 1, mean over all inputs that share their first two tokens"
        averaged = "it"
    first, second = map(plain_label, tables["pattern_axes"]["label"])
    heads = listed(
        f"{_head(row)} k = {row.frequency} explains {row.fraction_explained:.2f}{null_said(row.null)}"
        if row.frequency
        else f"{_head(row)} is constant"
        for row in tables["attention_periodicity"].itertuples()
    )
    periodic = (
        f" Best frequency of each head, and how much of its pattern: {heads}." if heads != "none" else ""
    )
    return (
        f"Attention of the answered position to {looked_at}; at most four heads are drawn, those whose attention to "
        f"{averaged} moves most. Axes: {second} and {first}.{periodic}"
    )


def _periodicity_said(tables: Tables) -> str:
    last = at_end(tables["attention_periodicity"])
    heads = listed(
        f"{_head(row)} {row.fraction_explained:.2f} at k = {row.frequency}"
        if row.frequency
        else f"{_head(row)} is constant"
        for row in last.itertuples()
    )
    return (
        "Share of the variance of each head's attention to the first operand, over all inputs, that its best frequency "
        f"explains; dotted: the most after random names of the residues. At step {last['step'].iloc[0]}: {heads}. "
        f"Where attention hardly moves, its best frequency says nothing. {grokking_said(tables)}"
    )


def _draw_movement(tables: Tables, ax: Axes) -> None:
    lines = head_lines(tables["attention_patterns"])
    movement_curves(tables["attention_patterns"], ax, lines=lines)
    others, _ = ax.get_legend_handles_labels()
    heads = [Line2D([], [], **line, label=name) for name, line in lines.items()]
    style.legend_above(ax, n_columns=4, handles=[*others, *heads[:NAMED]])


def _movement_said(tables: Tables) -> str:
    last = at_end(tables["attention_patterns"])
    to_first = last[last["position"] == 0]
    heads = listed(f"{_head(row)} {number(row.attention_sd)}" for row in to_first.itertuples())
    return (
        "Standard deviation over all inputs of each head's attention from the answered position to the first operand "
        '(attention is from 0 to 1); dotted: mean attention to "=", where there is one. At step '
        f"{last['step'].iloc[0]}: {heads}. {grokking_said(tables)}"
    )


def _qk_said(tables: Tables) -> str:
    table = tables["attention_circuits"]
    rows = table[(table["circuit"] == "qk") & (table["position"] == 0)].dropna(subset=["fraction"])
    best = rows.loc[rows.groupby("head")["fraction"].idxmax()]
    heads = listed(f"head {row.head} {row.fraction:.1%} at k = {row.frequency}" for row in best.itertuples())
    return (
        "Power of the QK circuit of each head of the first layer by frequency of the first operand, each from 0 to its "
        f"largest share: {heads}. Deeper heads have no such circuit."
    )


PICTURES = {
    "attention_map": Picture(
        shows="attention of up to four heads over all inputs (a, b), at one checkpoint",
        compute=_compute_maps,
        draw=_draw_maps,
        caption=_maps_said,
        needs=("attention_patterns",),
        is_of_step=True,
    ),
    "periodicity_curves": Picture(
        shows="how much of each head's attention its best frequency explains, along training",
        compute=along("attention_periodicity", "attention_patterns"),
        draw=panel(
            lambda tables, ax: periodicity_curves(
                tables["attention_periodicity"], ax, lines=head_lines(tables["attention_patterns"])
            ),
            steps_of="attention_periodicity",
        ),
        caption=_periodicity_said,
        needs=("attention_periodicity",),
    ),
    "movement_curves": Picture(
        shows="how much each head's attention moves with the input, along training",
        compute=along("attention_patterns"),
        draw=panel(_draw_movement, steps_of="attention_patterns"),
        caption=_movement_said,
        needs=("attention_patterns",),
    ),
    "qk_bars": Picture(
        shows="power of each head's QK circuit by frequency, at one checkpoint",
        compute=at_step("attention_circuits", "attention_patterns"),
        draw=panel(
            lambda tables, ax: qk_bars(
                tables["attention_circuits"], ax, lines=head_lines(tables["attention_patterns"])
            )
        ),
        caption=_qk_said,
        needs=("attention_circuits",),
        is_of_step=True,
    ),
}

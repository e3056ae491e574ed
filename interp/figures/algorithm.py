"""Clock or pizza along training: the whole network, one frequency at a time, what the formulas explain."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from interp.figures import style
from interp.figures.colours import name_of

if TYPE_CHECKING:
    import pandas as pd

VERDICT_COLOURS = {
    "neither": "0.85",
    "undecided": style.YELLOW,
    "pizza": style.VERMILION,
    "clock": style.BLUE,
}


def algorithm_curves(
    table: "pd.DataFrame",
    verdicts: "pd.DataFrame",
    ax: Axes,
    *,
    accuracy: str = "test accuracy",
    **legend: Any,
) -> Axes:
    """What tells clock from pizza in the whole network, accuracy, and a strip of verdicts on top.

    Args:
        table: of `algorithm`.
        verdicts: columns step, verdict (`interp.theories.clock_or_pizza.checkpoint_verdicts`).
        accuracy: what the table's accuracy is, where the split is not known.
        legend: options of the legend.
    """
    grey = ax.plot(table["step"], table["test_accuracy"], color="0.6", lw=0.6, ls="--", label=accuracy)
    lines = [
        ax.plot(table["step"], table[name], color=colour, label=name.replace("_", " "))[0]
        for name, colour in (
            ("gradient_symmetricity", style.BLACK),
            ("distance_irrelevance", style.GREEN),
            ("circularity", style.ORANGE),
        )
    ]
    ax.set_ylim(min(0.0, table["gradient_symmetricity"].min()), 1.12)
    ax.set_ylabel("whole network")
    patches = _verdict_strip(verdicts, ax)
    style.legend_above(ax, n_columns=3, **{"handles": [*lines, *grey, *patches]} | legend)
    return ax


def _verdict_strip(verdicts: "pd.DataFrame", ax: Axes) -> list[Patch]:
    """The verdicts that occur, for a legend."""
    steps = verdicts["step"].to_numpy(dtype=float)
    edges = style.cell_edges(steps)
    for left, right, verdict in zip(edges[:-1], edges[1:], verdicts["verdict"], strict=True):
        ax.axvspan(left, right, ymin=0.94, ymax=1, color=VERDICT_COLOURS[verdict], lw=0)
    found = [name for name in VERDICT_COLOURS if name in set(verdicts["verdict"])]
    return [Patch(color=VERDICT_COLOURS[name], lw=0, label=name) for name in found]


def irrelevance_curves(
    table: "pd.DataFrame",
    ax: Axes,
    *,
    lines: Mapping[int, Mapping[str, Any]],
    thresholds: tuple[float, float],
    **legend: Any,
) -> Axes:
    """Distance irrelevance of the network reduced to each frequency: near 0 a pizza, near 1 a clock, or noise.

    Args:
        table: of `algorithm_by_frequency`.
        lines: of `frequency_lines`.
        thresholds: below the one a pizza, above the other a clock; dotted.
        legend: options of the legend.
    """
    for i, (k, line) in enumerate(lines.items()):
        rows = table[table["frequency"] == k]
        ax.plot(rows["step"], rows["distance_irrelevance"], **line, label=name_of(f"$k={k}$", i, len(lines)))
    for threshold in thresholds:
        ax.axhline(threshold, color="0.5", lw=0.6, ls=":")
    ax.set_ylim(0, 1.05)
    for word, y in (("clock", 0.95), ("pizza", 0.1)):
        ax.annotate(word, (1, y), xycoords=("axes fraction", "data"), xytext=(3, 0),
                    textcoords="offset points", rotation=90, va="center", fontsize=style.SMALL,
                    color="0.4")  # fmt: skip
    ax.set_ylabel("distance irrelevance\nof one frequency alone")
    style.legend_above(ax, n_columns=5, **legend)
    return ax


def formula_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """Share of the logits that either formula explains, and how much the right answer's logit varies.

    Args:
        table: of `algorithm`.
        legend: options of the legend.
    """
    for name, colour in (("clock", style.BLUE), ("pizza", style.VERMILION)):
        ax.plot(table["step"], table[f"{name}_fraction"], color=colour, label=f"{name} formula")
    variation = table["coefficient_of_variation"].clip(upper=1)
    label = "variation (at most 1)"
    ax.plot(table["step"], variation, color=style.BLACK, ls="--", label=label)
    ax.set_ylim(0, 1.05)
    ax.set_ylabel("share of the logits;\ncoefficient of variation")
    style.legend_above(ax, n_columns=2, **legend)
    return ax


def double_curves(
    table: "pd.DataFrame", ax: Axes, *, lines: Mapping[int, Mapping[str, Any]], **legend: Any
) -> Axes:
    """Share of the embedding's power at the double of each frequency, which a pizza needs; dotted: the median of all.

    Args:
        table: of `algorithm_by_frequency`.
        lines: of `frequency_lines`.
        legend: options of the legend.
    """
    for i, (k, line) in enumerate(lines.items()):
        rows = table[table["frequency"] == k]
        double = rows["double"].iloc[0]
        # Of n/2 the double is the whole circle.
        label = f"{double} of $k={k}$" if double else f"none of $k={k}$"
        ax.plot(rows["step"], rows["double_fraction"], **line, label=name_of(label, i, len(lines)))
    median = table.groupby("step")["median_fraction"].first()
    ax.plot(median.index, median, color="0.4", ls=":", label="median")
    ax.set_yscale("log")
    ax.set_ylabel("share of the power of $W_E$\nat the double")
    style.legend_above(ax, n_columns=3, **legend)
    return ax

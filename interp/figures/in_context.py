"""What a network learns to foresee in a row, and which heads it does it with, along training."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from interp.figures import style
from interp.figures.colours import head_name, line_of, name_of

if TYPE_CHECKING:
    import pandas as pd

# Parts keep their colours whichever of them a task has.
PART_COLOURS = {
    "predictable": style.BLUE,
    "unpredictable": style.VERMILION,
    "start": style.ORANGE,
    "all": style.BLACK,
}
# The first is solid.
SPLIT_DASHES = {"test": "-", "all": "-", "train": ":", "corrupted": "-."}


def part_curves(table: "pd.DataFrame", ax: Axes, *, chance: float | None = None, **legend: Any) -> Axes:
    """Loss of each part of the questions along training: solid test rows, dotted train rows.

    Args:
        table: of `part_losses`; parts that make up another one are left out; may be empty.
        chance: loss of equal probabilities, a grey line.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax)
        return ax
    if chance is not None:
        ax.axhline(chance, color="0.5", lw=0.8, zorder=0.5)
    has_test = (table["split"] == "test").any()
    for part, colour in PART_COLOURS.items():
        for split, dashes in SPLIT_DASHES.items():
            rows = table[(table["part"] == part) & (table["split"] == split)]
            if len(rows) and not (split == "all" and has_test):
                label = part if dashes == "-" else None
                ax.plot(rows["step"], rows["loss"], color=colour, ls=dashes, label=label)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("loss (nats)")
    style.legend_above(ax, n_columns=2, **legend)
    return ax


def head_curves(
    table: "pd.DataFrame",
    ax: Axes,
    *,
    quantity: str,
    says: str,
    lines: Mapping[str, Mapping[str, Any]],
    threshold: float | None = None,
    **legend: Any,
) -> Axes:
    """A number of each head along training.

    Args:
        table: columns step, layer, head and the quantity; null, where there is one, is dotted (the largest); may be
            empty.
        says: what the quantity is, for the axis.
        lines: of `head_lines`.
        threshold: a grey line.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax)
        return ax
    if threshold is not None:
        ax.axhline(threshold, color="0.5", lw=0.8, zorder=0.5)
    for i, ((layer, head), part) in enumerate(table.groupby(["layer", "head"])):
        name = head_name(layer, head)
        shown = name_of(name, i, len(lines))
        ax.plot(part["step"], part[quantity], **lines[name], label=shown)
    if "null" in table:
        null = table[np.isfinite(table["null"])].groupby("step")["null"].max()
        ax.plot(null.index, null, color=style.BLACK, ls=":", lw=0.8, label="null")
    ax.set_ylabel(says)
    style.legend_above(ax, n_columns=4, **legend)
    return ax


def ablation_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """What the loss rises by without each set of heads along training: solid at once, dashed with patterns kept.

    Args:
        table: of `head_ablations`, of one split and one part; may be empty.
        legend: options of the legend.
    """
    table = table[table["heads"] != "none"] if len(table) else table
    if not len(table):
        style.note_instead(ax)
        return ax
    dashes = {"free": "-", "kept": "--"}
    for i, (heads, of_set) in enumerate(table.groupby("heads", sort=False)):
        for patterns, rows in of_set.groupby("patterns", sort=False):
            label = heads if patterns == "free" else None
            line = {"color": line_of(i)["color"], "ls": dashes[patterns]}
            ax.plot(rows["step"], rows["effect"], label=label, **line)
    if (table["patterns"] == "kept").any():
        ax.plot([], [], color="0.3", ls=dashes["kept"], label="patterns kept")
    ax.axhline(0, color="0.5", lw=0.8, zorder=0.5)
    ax.set_ylabel("loss without them\nminus loss (nats)")
    style.legend_above(ax, n_columns=2, **legend)
    return ax

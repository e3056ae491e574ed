"""Answers written in digits along training: each digit, each kind of carry, and where the carry is."""

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style
from interp.figures.colours import line_of, name_of

if TYPE_CHECKING:
    import pandas as pd


def digit_curves(table: "pd.DataFrame", ax: Axes, *, by: str = "digit", **legend: Any) -> Axes:
    """Accuracy on test rows of each digit of the answer, or with each kind of carry, along training.

    Kinds of fewer than 20 questions are left out. Without a known split the accuracy on all rows is drawn.

    Args:
        table: of `digit_losses`.
        by: "digit" or "carry".
        legend: options of the legend.
    """
    # Loads pandas, which a figure does without until it has a table.
    from interp.tables.digit_order import judged, parts

    rows = judged(table)
    for i, (name, curve) in enumerate(parts(rows, by).items()):
        label = f"digit {name}" if by == "digit" else name
        ax.plot(curve["step"], curve["accuracy"], label=label, **line_of(i))
    if not len(rows):
        style.note_instead(ax)
        return ax
    ax.set_ylim(-0.02, 1.02)
    ax.set_ylabel("test accuracy" if rows["split"].iloc[0] == "test" else "accuracy")
    style.legend_above(ax, n_columns=4 if by == "digit" else 2, **legend)
    return ax


def readout_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """How well a line through the residual stream reads the carry at the questions, along training, mean over digits.

    Solid: the carry; dotted, in the same colour: random labels of the pairs of digits; grey: the more frequent answer.

    Args:
        table: of `carry_readout`.
        legend: options of the legend.
    """
    rows = table[table["is_question"].astype(bool)] if len(table) else table
    if not len(rows):
        style.note_instead(ax)
        return ax
    values = ["accuracy", "control", "majority"]
    means = rows.groupby(["layer", "stream", "step"], sort=False)[values].mean().reset_index()
    for i, ((layer, stream), curve) in enumerate(means.groupby(["layer", "stream"], sort=False)):
        line = line_of(i)
        ax.plot(curve["step"], curve["accuracy"], label=f"L{layer} {stream}", **line)
        ax.plot(curve["step"], curve["control"], color=line["color"], ls=":", lw=0.9)
    majority = means.groupby("step")["majority"].mean()
    ax.plot(majority.index, majority, color="0.6", lw=0.8, zorder=1)
    ax.plot([], [], color="0.3", ls=":", label="control")
    ax.set_ylim(None, 1.02)
    ax.set_ylabel("rows whose carry\nis read right")
    style.legend_above(ax, n_columns=4, **legend)
    return ax


def patching_curves(table: "pd.DataFrame", ax: Axes, **legend: Any) -> Axes:
    """How often the answer moves by a carry when one activation comes from a row with another carry, mean over digits.

    Heads and layers; dotted: the most that donors with the same carry move at any of them.

    Args:
        table: of `carry_patching`.
        legend: options of the legend.
    """
    rows = table[~table["site"].str.startswith("resid")] if len(table) else table
    if not len(rows):
        style.note_instead(ax)
        return ax
    means = rows.groupby(["layer", "site", "step"], sort=False)[["moved", "null"]].mean().reset_index()
    sites = list(means.groupby(["layer", "site"], sort=False))
    for i, ((layer, site), curve) in enumerate(sites):
        ax.plot(curve["step"], curve["moved"], label=name_of(f"L{layer} {site}", i, len(sites)), **line_of(i))
    null = means.groupby("step")["null"].max()
    ax.plot(null.index, null, color="0.3", ls=":", label="same carry")
    ax.set_ylim(-0.02, 1.02)
    ax.set_ylabel("answers moved\nby the carry")
    style.legend_above(ax, n_columns=3, **legend)
    return ax

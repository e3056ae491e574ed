"""Curves of runs or groups of runs over each other."""

from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style
from interp.figures.given_tables import known
from interp.tables.wording import QUANTITIES

if TYPE_CHECKING:
    import pandas as pd


def overlaid_curves(
    table: "pd.DataFrame", ax: Axes, *, quantity: str, colours: dict[str, Any], relative: bool
) -> Axes:
    """The median of each group along its runs with the quartiles as a band; a run that is alone is its own median.

    Args:
        table: of `interp.tables.overlays.overlay`, of this quantity and axis; may be empty.
        colours: by group, in the order of the legend; its keys are what the legend says.
        relative: whether x is the share of the way to the grokking step.
    """
    table = known(table, "x")
    if not len(table):
        style.note_instead(ax, "none has grokked" if relative else "none was evaluated")
        return ax
    for group, colour in colours.items():
        rows = table[table["group"] == group]
        if not len(rows):
            continue
        ax.plot(rows["x"], rows["median"], color=colour, lw=1, label=group)
        if (rows["n"] > 1).any():
            ax.fill_between(rows["x"], rows["low"], rows["high"], color=colour, alpha=0.15, lw=0)
    ax.set_yscale("log" if quantity.endswith("loss") else "linear")
    ax.set_ylabel(QUANTITIES[quantity.removeprefix("total_")])
    if relative:
        ax.set_xscale("log")
        ax.axvline(1, color="0.6", lw=0.6, ls=":", zorder=0)
        ax.set_xlabel("step / grokking step")
    else:
        style.step_axis(ax, table["x"].unique())
    return ax

"""Columns of any table along training, a line each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style
from interp.figures.colours import NAMED, line_of

if TYPE_CHECKING:
    import pandas as pd

DOTS = (":", "-.", "--")


def quantity_curves(
    table: "pd.DataFrame",
    ax: Axes,
    *,
    columns: Mapping[str, str],
    label: str,
    levels: Mapping[str, float] | None = None,
    band: str | None = None,
    **legend: Any,
) -> Axes:
    """These columns along training, with levels across; a band of one standard error either way around the first.

    Args:
        table: a row a step; may be empty.
        columns: what the legend calls each column that is drawn.
        label: of the axis, with its unit.
        levels: heights of horizontal lines, by what the legend calls them.
        band: the column of the standard error.
        legend: options of the legend.
    """
    if not len(table):
        style.note_instead(ax)
        return ax
    for i, (column, name) in enumerate(columns.items()):
        shown = name if i < NAMED else None
        ax.plot(table["step"], table[column], **line_of(i), lw=1.0, label=shown)
        if i == 0 and band:
            low, high = (table[column] + sign * table[band] for sign in (-1, 1))
            ax.fill_between(table["step"], low, high, color=line_of(0)["color"], alpha=0.2, lw=0)
    for dots, (name, height) in zip(DOTS * len(levels or {}), (levels or {}).items(), strict=False):
        ax.axhline(height, color=style.BLACK, ls=dots, lw=0.8, label=name)
    ax.set_ylabel(label)
    style.legend_above(ax, **{"n_columns": 4, **legend})
    return ax

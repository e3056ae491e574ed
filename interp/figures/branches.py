"""Curves of arms since their branch: every pair thin, their median thick."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from interp.figures import style
from interp.figures.colours import line_of
from interp.figures.given_tables import known
from interp.tables.wording import QUANTITIES

if TYPE_CHECKING:
    import pandas as pd

CONTROL = "control"


def arm_lines(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour, dashes and label of each arm, by its place among the others; the control is black.

    Args:
        names: all arms of a trial in its own order, whichever of them are drawn: then each looks alike in all figures.

    >>> arm_lines(["norm", "control"])["control"]
    {'color': '#000000', 'ls': '-', 'label': 'control'}
    """
    others = [name for name in dict.fromkeys(names) if name != CONTROL]
    control: dict[str, Any] = {"color": style.BLACK, "ls": "-", "label": CONTROL}
    return {CONTROL: control} | {name: line_of(i) | {"label": name} for i, name in enumerate(others)}


def branch_curves(
    table: "pd.DataFrame",
    ax: Axes,
    *,
    quantity: str = "test_accuracy",
    lines: Mapping[str, Mapping[str, Any]],
    threshold: float | None = None,
    **legend: Any,
) -> Axes:
    """One quantity of several arms against the steps since their branch.

    Args:
        table: label, pair, since and the quantity; may be empty.
        lines: of `arm_lines`, by label.
        threshold: of an event, as a line across.
        legend: options of the legend.
    """
    rows = known(table, "label", "pair", "since")
    rows = known(rows, quantity) if quantity in rows else rows[:0]
    if not len(rows):
        ax.set_axis_off()
        style.legend_or_note(ax)
        return ax
    for label, line in lines.items():
        mine = rows[rows["label"] == label].sort_values("since", kind="stable")
        pairs = [
            (part["since"].to_numpy(float), part[quantity].to_numpy(float))
            for _, part in mine.groupby("pair")
        ]
        for steps, values in pairs:
            ax.plot(steps, values, color=line["color"], ls=line["ls"], lw=0.5, alpha=0.45)
        if pairs:
            ax.plot(*median_curve(pairs), lw=1.8, **line)
    if threshold is not None:
        ax.axhline(threshold, color="0.6", lw=0.6, zorder=0)
    ax.set_xlabel("steps since the branch")
    ax.set_ylabel(QUANTITIES.get(quantity, quantity))
    ax.set_xlim(left=0)
    # Four-digit steps side by side.
    ax.locator_params(axis="x", nbins=5)
    style.legend_above(ax, n_columns=2, **legend)
    return ax


def median_curve(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Median over pairs at the steps of all of them, as far as at least half of them go.

    Args:
        pairs: steps, rising, and values of each.

    >>> median_curve([(np.array([0.0, 10.0]), np.array([0.0, 1.0])), (np.array([0.0, 20.0]), np.array([0.0, 4.0]))])
    (array([ 0., 10., 20.]), array([0. , 1.5, 2.5]))
    """
    ends = sorted((steps[-1] for steps, _ in pairs), reverse=True)
    last = ends[(len(pairs) - 1) // 2]
    grid = np.unique(np.concatenate([steps for steps, _ in pairs]))
    grid = grid[grid <= last]
    # An arm ends when its event has come: it stays where it was.
    return grid, np.median([np.interp(grid, steps, values) for steps, values in pairs], axis=0)

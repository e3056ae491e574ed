"""The axis of training steps: step 0 on a log axis, a single checkpoint, points without neighbours."""

import re
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.ticker import NullLocator

from interp.ground.plain_text import several

# A point without neighbours has no line: these tell solid, dashed and dotted ones apart.
LONE_MARKERS = {"-": "o", "--": "s", ":": "_"}


def step_axis(axes: Any, steps: Any, scale: str = "log", *, n_ticks: int = 5) -> None:
    """A step axis: "linear", or "log" with step 0 at a place of its own (linear below the first later step).

    Of a single checkpoint with nothing beside it the axis is that step, in the middle.

    Args:
        n_ticks: stretches between ticks at most, on a linear axis.
    """
    show_lone_points(axes)
    axes.set_xlabel("training step")
    last = max(steps)
    if len(set(steps)) == 1 and _is_one_place(axes, last):
        axes.set_xscale("linear")
        axes.set_xlim(*cell_edges([last]))
        axes.set_xticks([last], [f"{last:g}"])
        return
    if scale == "log":
        first = min((s for s in steps if s > 0), default=1)
        axes.set_xscale("symlog", linthresh=first, linscale=0.3)
        ticks = {0: "0"} | {10**e: f"$10^{{{e}}}$" for e in range(10) if first <= 10**e <= last}
        if len(ticks) == 1:
            # Both ends, where they are not so near that their numbers would meet.
            ticks |= {step: f"{step:g}" for step in ((first, last) if last > 1.5 * first else (last,))}
        axes.set_xticks(list(ticks), list(ticks.values()))
        # Of this axis alone: losses within one decade have no labels but those of minor ticks.
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(0, max(last, 1))
    if scale == "linear":
        axes.locator_params(axis="x", nbins=n_ticks)


def _is_one_place(axes: Axes, step: Any) -> bool:
    """Whether nothing on this step axis, which several axes may share, reaches beyond the cell of the step."""
    left, right = cell_edges([step])
    shared = axes.get_shared_x_axes().get_siblings(axes)
    return all(left <= x <= right for ax in shared for x in [*_curve_places(ax), *sum(_spans(ax), ())])


def _curves(axes: Axes) -> list[Line2D]:
    """The lines along the step axis, without those that cross the axes at a value."""
    return [line for line in axes.lines if line.get_transform().contains_branch(axes.transData)]


def _curve_places(axes: Axes) -> set[float]:
    return {x for line in _curves(axes) for x in np.asarray(line.get_xdata(), dtype=float).tolist()}


def _spans(axes: Axes) -> list[tuple[Any, Any]]:
    """Where each rectangle of the axes, as a band over a bracket, begins and ends."""
    return [(p.get_x(), p.get_x() + p.get_width()) for p in axes.patches if isinstance(p, Rectangle)]


def cell_edges(steps: Any) -> np.ndarray:
    """Where the cell of each checkpoint begins and ends: half-way to its neighbours; a lone one is one step wide.

    >>> cell_edges([0, 10, 100]), cell_edges([50])
    (array([  0.,   5.,  55., 100.]), array([49.5, 50.5]))
    """
    at = np.asarray(steps, dtype=float)
    if len(at) == 1:
        return np.array([at[0] - 0.5, at[0] + 0.5])
    return np.concatenate([at[:1], (at[1:] + at[:-1]) / 2, at[-1:]])


def show_lone_points(axes: Axes) -> None:
    """A mark at each point of a curve that has no neighbour to draw a line to, and an edge around a fill of one point.

    Of a single checkpoint every curve is such a point. A band that ends there would say since when something holds,
    which nobody knows: it goes.
    """
    for line in _curves(axes):
        lone = _lone(line)
        if len(lone) and line.get_marker() in ("", "None"):
            line.set(marker=LONE_MARKERS.get(str(line.get_linestyle()), "o"), markersize=3.5, markevery=lone)
    for fill in axes.collections:
        if isinstance(fill, PolyCollection) and not np.ptp(fill.get_datalim(axes.transData).intervalx):
            fill.set_linewidth(4)
    if len(only := _curve_places(axes)) == 1:
        bands = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        for band, span in zip(bands, _spans(axes), strict=True):
            if span == (0, *only):
                band.remove()


def _lone(line: Line2D) -> list[int]:
    """Which points of a curve are drawn and have no neighbour that is."""
    is_there = np.isfinite(line.get_xydata()).all(1)
    beside = np.concatenate([[False], is_there, [False]])
    return np.flatnonzero(is_there & ~beside[:-2] & ~beside[2:]).tolist()


def step_axes(grid: Any, steps: Any, scale: str = "log") -> None:
    """A step axis for each of a grid of axes (n_rows, n_columns), named below the lowest of each column alone."""
    for ax in grid.flat:
        step_axis(ax, steps, scale)
        ax.set_xlabel("")
    for column in _placed_columns(grid):
        # Words stand in place of some panels, and have no axis.
        lowest = next((ax for ax in reversed(column) if ax.axison), column[-1])
        lowest.set_xlabel("training step")
        lowest.tick_params(axis="x", labelbottom=True)


def _placed_columns(grid: Any) -> list[list[Axes]]:
    """The axes of each column as they are placed, which a folded grid has not where its array has them."""
    columns: dict[int, list[Axes]] = {}
    for ax in grid.flat:
        columns.setdefault(ax.get_subplotspec().colspan.start, []).append(ax)
    return list(columns.values())


def in_unit(text: str, unit: str) -> str:
    """A text that speaks of steps, of a run whose checkpoints count something else.

    >>> in_unit("At step 5: steps 0 to 5", "epoch"), in_unit("Steps to step 5", "tokens"), in_unit("step 5", "step")
    ('At epoch 5: epochs 0 to 5', 'Tokens to tokens 5', 'step 5')
    """

    def other(found: re.Match[str]) -> str:
        name = several(unit) if found[0].endswith("s") else unit
        return name.capitalize() if found[0][0] == "S" else name

    return re.sub(r"\b[Ss]teps?\b", other, text)


def name_unit(figure: Figure, unit: str) -> None:
    """Every text of a figure that speaks of steps says what the run's checkpoints count."""
    for text in figure.findobj(Text) if unit != "step" else ():
        text.set_text(in_unit(text.get_text(), unit))

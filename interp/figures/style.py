"""Sizes, fonts and colours of every figure, and files whose bytes depend on the data alone."""

import textwrap
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use(
    "agg"
)  # figures are files here; a notebook that sets its own backend draws the Figure it is given

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.rcsetup import cycler
from matplotlib.ticker import NullLocator

from interp.ground.whole_files import write_bytes

COLUMN = 3.35  # inches: one column of a two-column journal page
PAGE = 6.9  # inches: its full width

# Okabe and Ito 2008: told apart by colour-blind readers and in print.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, YELLOW)
TRAIN, TEST = BLUE, VERMILION

DOES_NOT_APPLY = "does not apply"
NOTE_SIZE = 6.5  # points
LEAST_POSITIVE = 1e-12  # below every share that is drawn
# A point without neighbours has no line: these tell solid, dashed and dotted ones apart.
LONE_MARKERS = {"-": "o", "--": "s", ":": "_"}

_SETTINGS: dict[Any, Any] = {  # keys: matplotlib types them as a closed set of words
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "axes.prop_cycle": cycler(color=PALETTE),
    "pdf.fonttype": 42,  # editable text, which journals ask for
    "svg.hashsalt": "grokscope",
    "figure.dpi": 100,
}


def new_figure(
    n_rows: int = 1, n_columns: int = 1, *, width: float = PAGE, height: float = 2.2, **options: Any
):
    """A figure in the project's style with an array of axes (n_rows, n_columns).

    Args:
        width: inches; `COLUMN` or `PAGE`.
        height: inches for the whole figure.
        options: to `Figure.subplots` (sharex, width_ratios, ...).
    """
    matplotlib.rcParams.update(_SETTINGS)
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False, **options)


def new_bands(heights: Iterable[float], *, width: float = PAGE) -> tuple[Figure, list[Any]]:
    """A figure in the project's style, and one band over its whole width for each height in inches."""
    matplotlib.rcParams.update(_SETTINGS)
    heights = list(heights)
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    bands = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
    return figure, list(bands[:, 0])


def save_figure(figure: Figure, stem: Path, formats: Iterable[str] = ("pdf", "png")) -> list[Path]:
    """Write `stem`.pdf, .png (300 dpi), .svg, without dates, so that equal figures are equal files."""
    undated = {"pdf": {"CreationDate": None}, "png": {"Software": None}, "svg": {"Date": None}}
    paths = []
    for kind in formats:
        buffer = BytesIO()
        figure.savefig(buffer, format=kind, dpi=300, metadata=undated[kind])
        path = stem.with_suffix(f".{kind}")
        write_bytes(path, buffer.getvalue())
        paths.append(path)
    return paths


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
        axes.set_xticks(
            [0, *[10**e for e in range(10) if first <= 10**e <= last]],
            ["0", *[f"$10^{{{e}}}$" for e in range(10) if first <= 10**e <= last]],
        )
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
    for column in grid.T:
        # Words stand in place of some panels, and have no axis.
        lowest = next((ax for ax in reversed(column) if ax.axison), column[-1])
        lowest.set_xlabel("training step")
        lowest.tick_params(axis="x", labelbottom=True)


def legend_or_note(axes: Any, **legend: Any) -> None:
    """A legend with these options, or "does not apply" where nothing was drawn that has a name."""
    show_lone_points(axes)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(**legend)
    else:
        axes.text(0.5, 0.5, DOES_NOT_APPLY, transform=axes.transAxes, ha="center", color="0.4")


def legend_above(axes: Any, *, n_columns: int, **legend: Any) -> None:
    """A legend over the axes, where it lies on no curve; or "does not apply" as `legend_or_note`."""
    options = {
        "loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": n_columns, "fontsize": 6, "handlelength": 1.3,
        "columnspacing": 0.9, "labelspacing": 0.25, "borderpad": 0.2, "title_fontsize": 6, "alignment": "left",
    }  # fmt: skip
    legend_or_note(axes, **options | legend)


def note_instead(axes: Any, text: str = DOES_NOT_APPLY) -> None:
    """Words in place of a picture that this network has not."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color="0.4", transform=axes.transAxes)


def note_below(figure: Figure, notes: Iterable[str]) -> None:
    """Sentences below a figure, as wide as it: what the reader of every panel has to know."""
    # A letter of the default font is 0.6 of its height wide in wide words, the margins are a letter each.
    width = int(figure.get_figwidth() * 72 / (0.6 * NOTE_SIZE)) - 2
    lines = [line for note in notes for line in textwrap.wrap(note, width)]
    if lines:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=NOTE_SIZE)


def label_panels(axes: Any) -> None:
    """Letters a, b, c ... left above each panel, where no legend above the panel reaches."""
    for letter, ax in zip("abcdefghijklmnop", axes, strict=False):
        ax.annotate(
            letter, (0, 1), xycoords="axes fraction", xytext=(-20, 4), textcoords="offset points",
            fontsize=9, fontweight="bold", ha="right",
        )  # fmt: skip

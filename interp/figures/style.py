"""Sizes, fonts and colours of every figure, and files whose bytes depend on the data alone."""

import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import matplotlib
import numpy as np

matplotlib.use(
    "agg"
)  # figures are files here; a notebook that sets its own backend draws the Figure it is given

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.rcsetup import cycler
from matplotlib.ticker import NullLocator

from interp.figures import presets
from interp.ground.whole_files import write_bytes

# Okabe and Ito 2008: told apart by colour-blind readers and in print.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, YELLOW)
TRAIN, TEST = BLUE, VERMILION

DOES_NOT_APPLY = "does not apply"
# Text that is not ticks or labels, in matplotlib's words, which follow the preset.
SMALL, LETTER = "small", "large"
# A panel narrower than this many points a point of text is folded into another row.
NARROWEST = 16.5
FORMATS = ("pdf", "png")
LEAST_POSITIVE = 1e-12  # below every share that is drawn
# A point without neighbours has no line: these tell solid, dashed and dotted ones apart.
LONE_MARKERS = {"-": "o", "--": "s", ":": "_"}

_SETTINGS: dict[Any, Any] = {  # keys: matplotlib types them as a closed set of words
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
_current = presets.named(presets.DEFAULT)


@contextmanager
def using(preset: str) -> Iterator[presets.Preset]:
    """Figures that are made within have the widths and fonts of this preset (`interp.figures.presets.PRESETS`).

    A grid whose panels would be too narrow to read is folded into more rows, and the figure grows.

    Raises:
        ValueError: if there is no such preset.
    """
    global _current
    former, _current = _current, presets.named(preset)
    try:
        yield _current
    finally:
        _current = former


def current() -> presets.Preset:
    """The preset in use."""
    return _current


def folded(n_rows: int, n_columns: int, width: float | None = None) -> tuple[int, int]:
    """Rows and columns of a grid of panels in the preset in use, none of its panels too narrow to read.

    Args:
        width: inches for all of it; None for the preset's.
    """
    narrowest = NARROWEST * (_current.size + 0.5) / 72
    fitting = max(1, int((width or _current.width) / narrowest))
    if n_columns <= fitting:
        return n_rows, n_columns
    # As even as it goes: of three beside each other where two fit, three rows of one look better than two and one.
    n_folded = next(n for n in range(fitting, 0, -1) if n == 1 or n_columns % n == 0)
    return n_rows * n_columns // n_folded, n_folded


def new_figure(
    n_rows: int = 1, n_columns: int = 1, *, height: float = 2.2, width: float | None = None, **options: Any
):
    """A figure in the project's style with an array of axes (n_rows, n_columns), in whatever rows they are placed.

    Args:
        height: inches for the whole figure, at the size of text of the project's own preset and without folding.
        width: inches; None for the width of the preset in use.
        options: to `Figure.subplots` (sharex, width_ratios, ...).
    """
    rows, columns = folded(n_rows, n_columns, width)
    figure = blank_figure(height * rows / n_rows, width)
    if columns != n_columns:
        options = {
            name: value for name, value in options.items() if name not in ("width_ratios", "height_ratios")
        }
    return figure, figure.subplots(rows, columns, squeeze=False, **options).reshape(n_rows, n_columns)


def panels(band: FigureBase, n: int, **options: Any) -> np.ndarray:
    """Axes (n,) side by side in a band of a figure, in as many rows as `folded` says; options as of `new_figure`."""
    rows, columns = folded(1, n)
    if columns != n:
        options = {name: value for name, value in options.items() if name != "width_ratios"}
    return band.subplots(rows, columns, squeeze=False, **options).ravel()


def rows_of(n: int) -> int:
    """In how many rows `panels` places them."""
    return folded(1, n)[0]


def blank_figure(height: float, width: float | None = None) -> Figure:
    """A figure in the project's style without axes; height and width as of `new_figure`."""
    matplotlib.rcParams.update(_SETTINGS | presets.settings(_current))
    as_text = _current.size / presets.named(presets.DEFAULT).size
    return Figure(figsize=(width or _current.width, height * as_text), layout="constrained")


def new_bands(heights: Iterable[float]) -> tuple[Figure, list[Any]]:
    """A figure in the project's style, and one band over its whole width for each height in inches."""
    heights = list(heights)
    figure = blank_figure(sum(heights))
    bands = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
    return figure, list(bands[:, 0])


_METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


def save_figure(figure: Figure, stem: Path, formats: Iterable[str] = FORMATS) -> list[Path]:
    """Write `stem`.pdf, .png (300 dots an inch as it is shown) or .svg, without dates: equal figures are equal files.

    Equal where the fonts are equal, which the system has.

    Raises:
        ValueError: if a format is none of these.
    """
    formats = list(formats)
    if unknown := [name for name in formats if name not in _METADATA]:
        raise ValueError(
            f"A figure is written as {', '.join(_METADATA)}, got {', '.join(unknown) or 'nothing'}."
        )
    paths = []
    for name in formats:
        buffer = BytesIO()
        figure.savefig(buffer, format=name, dpi=300 * _current.scale, metadata=_METADATA[name])
        path = stem.with_suffix(f".{name}")
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
        "loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": n_columns, "fontsize": SMALL, "handlelength": 1.3,
        "columnspacing": 0.9, "labelspacing": 0.25, "borderpad": 0.2, "title_fontsize": SMALL, "alignment": "left",
    }  # fmt: skip
    legend_or_note(axes, **options | legend)


def note_instead(axes: Any, text: str = DOES_NOT_APPLY) -> None:
    """Words in place of a picture that this network has not."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color="0.4", transform=axes.transAxes)


def note_below(figure: Figure, notes: Iterable[str]) -> None:
    """Sentences below a figure, as wide as it: what the reader of every panel has to know."""
    # A letter of the default font is 0.6 of its height wide in wide words, the margins are a letter each.
    size = 0.833 * (_current.size + 0.5)
    width = int(figure.get_figwidth() * 72 / (0.6 * size)) - 2
    lines = [line for note in notes for line in textwrap.wrap(note, width)]
    if lines:
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=SMALL)


def label_panels(axes: Any) -> None:
    """Letters a, b, c ... left above each panel, where no legend above the panel reaches."""
    for i, ax in enumerate(axes):
        letter = ascii_lowercase[i % 26] * (1 + i // 26)
        ax.annotate(
            letter, (0, 1), xycoords="axes fraction", xytext=(-20, 4), textcoords="offset points",
            fontsize=LETTER, fontweight="bold", ha="right",
        )  # fmt: skip

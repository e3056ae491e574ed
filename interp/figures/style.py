"""Sizes, fonts and colours of every figure, and files whose bytes depend on the data alone."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase, SubFigure
from matplotlib.font_manager import FontProperties
from matplotlib.rcsetup import cycler
from matplotlib.textpath import text_to_path

from interp.figures import presets
from interp.figures.along_steps import cell_edges as cell_edges
from interp.figures.along_steps import in_unit as in_unit
from interp.figures.along_steps import name_unit as name_unit
from interp.figures.along_steps import show_lone_points as show_lone_points
from interp.figures.along_steps import step_axes as step_axes
from interp.figures.along_steps import step_axis as step_axis
from interp.ground.whole_files import write_bytes

# Okabe and Ito 2008, told apart by colour-blind readers; their blue is darker here, so that it differs from vermilion
# in a grey print too.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#005A94", "#D55E00", "#CC79A7",
)  # fmt: skip
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, YELLOW)
TRAIN, TEST = BLUE, VERMILION

DOES_NOT_APPLY = "does not apply"
# Text that is not ticks or labels, in matplotlib's words, which follow the preset.
SMALL, LETTER = "small", "large"
# A panel narrower than this many points a point of text is folded into another row.
NARROWEST = 17.0
# Widths of its text that a colour bar with ticks and label takes.
BAR = 4.0
# Height over width of a panel that was folded: else a grid in one column is longer than a page.
FLAT = 0.6
# Inches, below which the names of an axis are longer than it.
LOWEST = 1.8
# Width over height of a square with a colour bar.
WITH_BAR = 1.3
FORMATS = ("pdf", "png")
# Below every share that is drawn.
LEAST_POSITIVE = 1e-12

# Any key: matplotlib types them as a closed set of words.
_SETTINGS: dict[Any, Any] = {
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "axes.prop_cycle": cycler(color=PALETTE),
    # Text that can be edited, which journals ask for.
    "pdf.fonttype": 42,
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


def folded(
    n_rows: int, n_columns: int, width: float | None = None, narrowest: float = NARROWEST
) -> tuple[int, int]:
    """Rows and columns of a grid of panels in the preset in use, none of its panels too narrow to read.

    Args:
        width: inches for all of it; None for the preset's.
        narrowest: how many times as wide as its text is high a panel has to be.
    """
    fitting = max(1, int((width or _current.width) * 72 / (narrowest * (_current.size + 0.5))))
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
    of_each = height / n_rows
    if columns != n_columns:
        of_each = min(of_each, _flat((width or _current.width) / columns))
    figure = blank_figure(of_each * rows, width)
    if columns != n_columns:
        options = {
            name: value for name, value in options.items() if name not in ("width_ratios", "height_ratios")
        }
    return figure, figure.subplots(rows, columns, squeeze=False, **options).reshape(n_rows, n_columns)


def panels(band: FigureBase, n: int, *, narrowest: float = NARROWEST, **options: Any) -> np.ndarray:
    """Axes (n,) side by side in a band of a figure, in as many rows as `folded` says; options as of `new_figure`."""
    rows, columns = folded(1, n, narrowest=narrowest)
    if columns != n:
        options = {name: value for name, value in options.items() if name != "width_ratios"}
    return band.subplots(rows, columns, squeeze=False, **options).ravel()


def rows_of(n: int, narrowest: float = NARROWEST) -> int:
    """In how many rows `panels` places them."""
    return folded(1, n, narrowest=narrowest)[0]


def height_of(n: int, height: float, narrowest: float = NARROWEST) -> float:
    """Inches of the rows in which `panels` places them: this height for a single row, several are flat."""
    n_rows, n_columns = folded(1, n, narrowest=narrowest)
    if n_rows == 1:
        return height
    return n_rows * min(height, _flat(_current.width / n_columns))


def _flat(width: float) -> float:
    """Inches of a folded panel, at the size of text of the project's own preset."""
    return max(FLAT * width / _as_text(), LOWEST)


def is_column() -> bool:
    """Whether two panels do not fit beside each other in the preset in use."""
    return rows_of(2) > 1


def square_width(height: float) -> float:
    """Inches for a figure of this height that is a square with a colour bar: else it has room beside it for nothing."""
    return min(_current.width, WITH_BAR * height * _as_text())


def blank_figure(height: float, width: float | None = None) -> Figure:
    """A figure in the project's style without axes; height and width as of `new_figure`."""
    matplotlib.rcParams.update(_SETTINGS | presets.settings(_current))
    return Figure(figsize=(width or _current.width, height * _as_text()), layout="constrained")


def _as_text() -> float:
    """How much larger text is than that of the project's own preset."""
    return _current.size / presets.named(presets.DEFAULT).size


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
        ValueError: if a format is none of these, or there is none.
    """
    paths = []
    for name in checked_formats(formats):
        buffer = BytesIO()
        # Settings that count when it is written, which someone may have changed since it was made.
        with matplotlib.rc_context({name: _SETTINGS[name] for name in ("pdf.fonttype", "svg.hashsalt")}):
            figure.savefig(buffer, format=name, dpi=300 * _current.scale, metadata=_METADATA[name])
        path = stem.with_suffix(f".{name}")
        write_bytes(path, buffer.getvalue())
        paths.append(path)
    return paths


def checked_formats(formats: Iterable[str]) -> list[str]:
    """Endings that figures are written with.

    Raises:
        ValueError: if one is none of these, or there is none.
    """
    formats = list(formats)
    if not formats or not set(formats) <= set(_METADATA):
        raise ValueError(
            f"A figure is written as {', '.join(_METADATA)} or some of them, got {', '.join(formats) or 'nothing'}. "
            "Name those."
        )
    return formats


def legend_or_note(axes: Any, **legend: Any) -> None:
    """A legend with these options, or "does not apply" where nothing was drawn that has a name.

    Args:
        legend: with `handles` these are named, and nothing that is drawn.
    """
    show_lone_points(axes)
    if legend["handles"] if "handles" in legend else axes.get_legend_handles_labels()[1]:
        axes.legend(**legend)
    else:
        axes.text(0.5, 0.5, DOES_NOT_APPLY, transform=axes.transAxes, ha="center", color="0.4")


def legend_above(axes: Any, *, n_columns: int, **legend: Any) -> None:
    """A legend over the axes, where it lies on no curve; or "does not apply" as `legend_or_note`."""
    options = {
        "loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "ncols": n_columns, "fontsize": SMALL, "handlelength": 1.3,
        "columnspacing": 0.9, "labelspacing": 0.25, "borderpad": 0.2, "title_fontsize": SMALL, "alignment": "left",
    }  # fmt: skip
    options |= legend
    handles: Any = options.get("handles")
    labels = axes.get_legend_handles_labels()[1] if handles is None else [h.get_label() for h in handles]
    legend_or_note(axes, **options | {"ncols": fitting_columns(labels, room_of(axes), options)})


def figure_legend(figure: Figure | SubFigure, handles: Any, labels: Iterable[Any], **legend: Any) -> None:
    """A legend over a whole figure or band, shared by its panels, in as many columns as fit (`ncols` at most)."""
    labels = [str(label) for label in labels]
    options: dict[str, Any] = {
        "loc": "outside upper center",
        "ncols": len(labels),
        "fontsize": SMALL,
        "handlelength": 1.2,
    } | legend
    # Two letters go to its border, and to what lies between it and the edge.
    room = figure.bbox.width * 72 / figure.figure.dpi - 2 * _current.size
    figure.legend(handles, labels, **options | {"ncols": fitting_columns(labels, room, options)})


def fitting_columns(labels: Iterable[str], room: float, legend: Mapping[str, Any]) -> int:
    """How many columns of a legend fit beside each other, at least one and at most those asked for.

    Args:
        room: points.
        legend: its options, of which ncols, fontsize, handlelength and columnspacing matter.
    """
    font = FontProperties(size=legend["fontsize"])
    size = font.get_size_in_points()
    handle = (legend["handlelength"] + legend.get("handletextpad", 0.8)) * size
    widths = [handle + text_width(label, font) for label in labels]
    for n in range(min(legend["ncols"], len(widths)), 1, -1):
        # Columns are filled first, the first ones with one more.
        columns = [max(part) for part in np.array_split(widths, n)]
        if sum(columns) + (n - 1) * legend.get("columnspacing", 2.0) * size <= room:
            return n
    return 1


def room_of(axes: Axes) -> float:
    """Points that axes will be wide, about: before the layout is made, without the room that colour bars will take."""
    figure: Any = axes.get_figure(root=True)
    bars = any(ax.get_label() == "<colorbar>" for ax in figure.axes)
    width = 0.92 * axes.get_window_extent().width * 72 / figure.dpi
    return max(width - BAR * _current.size * bars, 4 * _current.size)


def text_width(text: str, font: FontProperties) -> float:
    """Points of the widest line."""
    size = [
        text_to_path.get_text_width_height_descent(line, font, ismath=line.count("$") > 1)[0]
        for line in text.split("\n")
    ]
    return float(max(size))


def wrapped(text: str, axes: Axes, *, size: str = "medium", share: float = 1.0) -> str:
    """Text in lines that are as wide as the axes, or this share of them."""
    room = share * room_of(axes)
    letter = text_width(text, FontProperties(size=size)) / max(len(text), 1)
    return textwrap.fill(text, max(int(room / letter), 8)) if letter else text


def row_names(names: Iterable[str], axes: Axes) -> list[str]:
    """Names of rows, in small letters beside the axes, in lines that leave room for what is drawn."""
    return [wrapped(name, axes, size=SMALL, share=0.6) for name in names]


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


def label_panels(axes: Any, letters: str = "") -> None:
    """Letters a, b, c ..., or these, left above each panel, where no legend above the panel reaches."""
    for i, ax in enumerate(axes):
        letter = letters[i] if letters else ascii_lowercase[i % 26] * (1 + i // 26)
        ax.annotate(
            letter, (0, 1), xycoords="axes fraction", xytext=(-20, 4), textcoords="offset points",
            fontsize=LETTER, fontweight="bold", ha="right",
        )  # fmt: skip

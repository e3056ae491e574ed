"""What a reader would stumble over in a drawn figure: text on text, text beyond the edge, lines that look alike."""

from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, FigureBase
from matplotlib.text import Text

SLACK = 1.0  # points that boxes of text, which have a little air, may reach into each other
# Machado et al. 2009, severity 1, on linear RGB.
BLIND = {
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
}


def overlaps(figure: Figure) -> list[str]:
    """Each two visible texts whose boxes meet, and each text that sticks out of the figure."""
    figure.draw_without_rendering()
    slack = SLACK * figure.dpi / 72
    found = []
    for text in _texts(figure):
        box = text.get_window_extent().padded(-slack / 2)
        if box.width > 0 and box.height > 0:
            found.append((text, box))
    edge = figure.bbox.padded(slack)
    outside = [
        f"{text.get_text()!r} sticks out"
        for text, box in found
        if not (edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1)
    ]
    return outside + [
        f"{first.get_text()!r} over {second.get_text()!r}"
        for (first, a), (second, b) in combinations(found, 2)
        if a.overlaps(b)
        and not _are_signs(first, second)
        and _meet(_corners(first, slack), _corners(second, slack))
    ]


def _are_signs(*texts: Text) -> bool:
    """Signs like + have a box as high as a letter, of which they fill the middle."""
    return all(len(text.get_text()) == 1 and not text.get_text().isalnum() for text in texts)


def _corners(text: Text, slack: float) -> np.ndarray:
    """The corners of a text's box (4, 2) as it lies on the page, slanted or not; pixels."""
    angle = text.get_rotation()
    if angle % 90:
        assert text.get_rotation_mode() == "anchor", text
        text.set_rotation(0)
    box = text.get_window_extent().padded(-slack / 2)
    text.set_rotation(angle)
    corners = np.array([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)])
    if not angle % 90:
        return corners
    around = text.get_transform().transform(text.get_unitless_position())
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return around + (corners - around) @ np.array([[cos, sin], [-sin, cos]])


def _meet(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two rectangles meet: unless along a side of one of them they lie behind each other."""
    sides = [corners[i + 1] - corners[i] for corners in (first, second) for i in (0, 1)]
    places = [(first @ side, second @ side) for side in sides]
    return all(a.min() < b.max() and b.min() < a.max() for a, b in places)


def _texts(figure: FigureBase) -> list[Text]:
    """The texts that are seen: of an axis those within its limits, none of axes that are switched off."""
    found: list[Text] = []
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            found.append(text)
    unseen = {id(text) for ax in figure.findobj(Axes) for text in _unseen(ax)}
    return [text for text in found if id(text) not in unseen]


def _unseen(ax: Axes) -> list[Text]:
    """Texts of the axes that are not drawn: labels of ticks beyond the limits, everything of an axis that is off."""
    texts: list[Text] = []
    for axis in (ax.xaxis, ax.yaxis):
        if not ax.axison or not ax.get_visible():
            texts += axis.findobj(Text)
            continue
        drawn = {id(tick) for tick in axis._update_ticks()}
        for tick in [*axis.majorTicks, *axis.minorTicks]:
            if id(tick) not in drawn:
                texts += [tick.label1, tick.label2]
    return texts


def smallest(figure: Figure) -> float:
    """Points of the smallest text that is seen; a power of ten is 0.7 of its number."""
    return min((text.get_fontsize() for text in _texts(figure)), default=np.inf)


def alike(ax: Axes, *, grey: float, apart: float) -> list[str]:
    """Each two named lines without a second cue (dash, marker, width) that look alike in grey or to the colour-blind.

    Args:
        grey: difference of lightness, L* of 0 to 100, below which two look alike in print.
        apart: distance in CIELAB below which two look alike in simulated deuteranopia and protanopia.
    """
    legend = ax.get_legend()
    named = None if legend is None else {text.get_text() for text in legend.get_texts()}
    lines = [
        line
        for line in ax.get_lines()
        if (not line.get_label().startswith("_") if named is None else line.get_label() in named)
    ]
    found = []
    for a, b in combinations(lines, 2):
        if a.get_label() == b.get_label() or _cue(a) != _cue(b):
            continue
        lab_a, lab_b = _lab(_linear(a.get_color())), _lab(_linear(b.get_color()))
        if abs(lab_a[0] - lab_b[0]) < grey:
            found.append(f"{a.get_label()} and {b.get_label()} in grey: {abs(lab_a[0] - lab_b[0]):.0f}")
        for kind, matrix in BLIND.items():
            seen = [np.clip(np.array(matrix) @ _linear(line.get_color()), 0, 1) for line in (a, b)]
            if (distance := np.linalg.norm(_lab(seen[0]) - _lab(seen[1]))) < apart:
                found.append(f"{a.get_label()} and {b.get_label()} in {kind}: {distance:.0f}")
    return found


def _cue(line) -> tuple:
    # The pattern that is drawn: matplotlib keeps the numbers of a dash apart from its name.
    return (str(line._unscaled_dash_pattern), line.get_marker(), line.get_linewidth() >= 1.5)


def _linear(colour) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB of linear sRGB, white D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = (
        t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116
        for t in to_xyz @ linear / np.array([0.9505, 1.0, 1.089])
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

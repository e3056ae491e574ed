"""Lines of figures as the page draws them, so that a thing looks alike on both."""

from collections.abc import Mapping
from typing import Any

from matplotlib.colors import to_hex

from interp.figures.colours import dash_lengths

LINE_WIDTH = 1.6


def page_line(line: Mapping[str, Any]) -> dict[str, Any]:
    """The colour of a line of figures, and its dashes if it has any, in pixels.

    >>> page_line({"color": "0.6", "ls": (0, (5, 1.25))})
    {'colour': '#999999', 'dash': [8.0, 2.0]}
    """
    dash = [round(LINE_WIDTH * length, 1) for length in dash_lengths(line)]
    return {"colour": str(to_hex(line["color"])), **({"dash": dash} if dash else {})}

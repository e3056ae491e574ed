"""One colour for one thing in all figures of a run: its frequencies and its heads.

Colours go by a thing's place in its own order, frequencies ascending and heads by layer and number, and never by that
in which a table happens to hold them: the strength of a frequency differs from table to table, its place in the key set
does not. Neighbours differ in grey as well, those that do not have other dashes.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from interp.figures import style

if TYPE_CHECKING:
    import pandas as pd

# Black, and the grey of other things, are left out; yellow lines are not seen on white.
ROUND = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.VERMILION, style.SKY)
# Three of one kind, whose lightness differs.
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.2)),
    (0, (4, 1, 1, 1)),
    (0, (2, 1)),
    (0, (8, 2)),
    (0, (6, 1, 1, 1, 1, 1)),
)
# A legend names so many curves at most.
NAMED = 12
N_LINES = len(ROUND) * len(DASHES)


def line_of(i: int) -> dict[str, Any]:
    """Colour and dashes of the i-th of several curves: 36 that differ.

    >>> line_of(0)["ls"], line_of(6)["color"] == line_of(0)["color"]
    ('-', True)
    """
    # Once colours and dashes have gone round together, each colour takes the dashes that it has not had.
    dashes = i // 3 + i // (3 * len(DASHES))
    return {"color": ROUND[i % len(ROUND)], "ls": DASHES[dashes % len(DASHES)]}


def dash_lengths(line: Mapping[str, Any]) -> list[float]:
    """Lengths of a line's dashes and of the gaps after them, in units of its width, for other than matplotlib.

    >>> dash_lengths(line_of(0)), dash_lengths(line_of(3))
    ([], [5.0, 1.2])
    """
    return [] if line["ls"] == "-" else [float(length) for length in line["ls"][1]]


def frequency_lines(frequencies: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Colour and dashes of each frequency, by its place in the set, ascending; in the order given.

    Args:
        frequencies: the key set of a run (or those that are followed), all of it, in any order.
    """
    frequencies = [int(k) for k in frequencies]
    place = {k: i for i, k in enumerate(sorted(set(frequencies)))}
    return {k: line_of(place[k]) for k in frequencies}


def head_name(layer: int, head: int) -> str:
    """What figures and tables call a head, as TransformerLens does.

    >>> head_name(0, 3)
    'L0H3'
    """
    return f"L{layer}H{head}"


def head_lines(table: "pd.DataFrame") -> dict[str, dict[str, Any]]:
    """Colour and dashes of each head of a table with columns layer and head, by layer and number."""
    found = sorted(set(zip(table["layer"].tolist(), table["head"].tolist(), strict=True)))
    return {head_name(layer, head): line_of(i) for i, (layer, head) in enumerate(found)}


def name_of(label: str, i: int, n: int) -> str | None:
    """The label of the i-th of n curves: of very many a legend names the first, and how many there are besides.

    >>> [name_of(f"L0H{i}", i, 64) for i in (0, 10, 11, 12)]
    ['L0H0', 'L0H10', 'L0H11 and 52 more', None]
    """
    if n <= NAMED or i < NAMED - 1:
        return label
    return f"{label} and {n - NAMED} more" if i == NAMED - 1 else None

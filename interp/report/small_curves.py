"""The curves of one prediction as a small SVG: dozens stand on a page, and have to be written in no time."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from interp.figures.branches import median_curve
from interp.figures.colours import dash_lengths
from interp.tables.wording import QUANTITIES

WIDTH, PANEL, TALL = 660.0, 250.0, 150.0  # in units of the picture, as are all lengths here
LEFT, GAP, BELOW, ENTRY = 46.0, 330.0, 40.0, 16.0
MOST_POINTS = 70


def small_curves(
    table: pd.DataFrame,
    quantities: Sequence[str],
    lines: Mapping[str, Mapping[str, Any]],
    what: str,
    *,
    across: float,
) -> str:
    """Two panels of curves against the steps since the branch: every pair thin, their median thick.

    Args:
        table: label, pair, since (rising within a pair) and the quantities.
        quantities: of the panels, left and right.
        lines: of `interp.figures.branches.arm_lines`, by label.
        what: it shows, in words.
        across: threshold that is drawn across the first panel.
    """
    top = 14 + ENTRY * len(lines)
    height = top + TALL + BELOW
    parts = [_legend(lines)]
    for i, quantity in enumerate(quantities):
        parts.append(_panel(table, quantity, lines, LEFT + i * GAP, top, across if i == 0 else None))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(what)}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11" fill="#222">{"".join(parts)}</svg>'
    )


def _legend(lines: Mapping[str, Mapping[str, Any]]) -> str:
    found = []
    for i, (label, line) in enumerate(lines.items()):
        # In one column: where the picture is wider than the screen, every name is seen all the same.
        x, y = LEFT, 10 + ENTRY * i
        found.append(
            f'<path d="M{x} {y}h26" {_stroke(line, 2.0)}/><text x="{x + 32}" y="{y + 4}">{escape(label)}</text>'
        )
    return "".join(found)


def _stroke(line: Mapping[str, Any], width: float, opacity: float = 1.0) -> str:
    dash = " ".join(f"{2 * length:g}" for length in dash_lengths(line))
    pattern = f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="none" stroke="{line["color"]}" stroke-width="{width}" stroke-opacity="{opacity}"{pattern}'


def _panel(
    table: pd.DataFrame,
    quantity: str,
    lines: Mapping[str, Mapping[str, Any]],
    left: float,
    top: float,
    across: float | None,
) -> str:
    known = table[table[quantity].notna()] if quantity in table else table[:0]
    if not len(known):
        return f'<text x="{left}" y="{top + TALL / 2}" fill="#777">not recorded</text>'
    values = known[quantity].to_numpy(float)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if across is not None:
        low, high = min(low, across), max(high, across)
    room = 0.04 * ((high - low) or abs(high) or 1.0)
    low, high, end = low - room, high + room, max(float(known["since"].max()), 1.0)

    def at(x: np.ndarray, y: np.ndarray) -> str:
        across_, up = left + PANEL * np.asarray(x) / end, top + TALL * (high - np.asarray(y)) / (high - low)
        return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across_, up, strict=True) if np.isfinite(b))

    parts = [_axes(quantity, left, top, end, low, high)]
    if across is not None:
        parts.append(
            f'<path d="{at(np.array([0, end]), np.array([across, across]))}" stroke="#999" stroke-width=".7"/>'
        )
    curves: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {label: [] for label in lines}
    for (label, _), part in known.groupby(["label", "pair"], sort=False):
        curves[label].append((part["since"].to_numpy(float), part[quantity].to_numpy(float)))
    for label, pairs in curves.items():
        for steps, found in pairs:
            every = max(len(steps) // MOST_POINTS, 1)
            parts.append(
                f'<path d="{at(steps[::every], found[::every])}" {_stroke(lines[label], 0.6, 0.5)}/>'
            )
        if pairs:
            steps, middle = median_curve(pairs)
            every = max(len(steps) // (2 * MOST_POINTS), 1)
            parts.append(f'<path d="{at(steps[::every], middle[::every])}" {_stroke(lines[label], 2.0)}/>')
    return "".join(parts)


def _axes(quantity: str, left: float, top: float, end: float, low: float, high: float) -> str:
    """Both axes with ticks and names."""
    bottom = top + TALL
    parts = [f'<path d="M{left} {top}V{bottom}H{left + PANEL}" fill="none" stroke="#444" stroke-width=".8"/>']
    for x in _ticks(0.0, end):
        place = left + PANEL * x / end
        parts.append(
            f'<path d="M{place:.1f} {bottom}v4" stroke="#444" stroke-width=".8"/>'
            f'<text x="{place:.1f}" y="{bottom + 15}" text-anchor="middle">{x:g}</text>'
        )
    for y in _ticks(low, high):
        place = top + TALL * (high - y) / (high - low)
        parts.append(
            f'<path d="M{left} {place:.1f}h-4" stroke="#444" stroke-width=".8"/>'
            f'<text x="{left - 6}" y="{place + 4:.1f}" text-anchor="end">{y:g}</text>'
        )
    name = escape(QUANTITIES.get(quantity, quantity))
    parts.append(
        f'<text x="{left + PANEL / 2}" y="{bottom + 31}" text-anchor="middle">steps since the branch</text>'
        f'<text x="{left - 34}" y="{top + TALL / 2}" text-anchor="middle" '
        f'transform="rotate(-90 {left - 34} {top + TALL / 2})">{name}</text>'
    )
    return "".join(parts)


def _ticks(low: float, high: float) -> list[float]:
    return [
        float(x)
        for x in MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        if low <= x <= high
    ]

"""One curve of a table as arrays: reading it, where it is beyond a threshold, its slope, where its slope breaks.

What `interp.tables.transitions` dates is found here, in plain arrays.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import ruptures

Direction = Literal["rise", "fall"]
Scale = Literal["linear", "log"]

# Relapses that lasted at most this share of the time that the threshold had held are spikes, not forgetting.
SHORT = 0.25

GRID = 200  # points at most between which change points are searched: the time grows with the square


def at_end(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table's last checkpoint."""
    return table[table["step"] == table["step"].max()] if len(table) else table


def curve(table: pd.DataFrame, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values, by step, without those that were not measured (NaN).

    Raises:
        ValueError: if a column is missing or holds no value, or a step occurs twice.
    """
    if missing := {"step", quantity} - set(table.columns):
        raise ValueError(
            f"The table has no column {sorted(missing)[0]!r}; it has {', '.join(map(str, table.columns))}."
        )
    rows = table[["step", quantity]].dropna().sort_values("step")
    if rows.empty:
        raise ValueError(f"The table holds no value of {quantity!r}: there is nothing to date.")
    steps, values = rows["step"].to_numpy(np.int64), rows[quantity].to_numpy(np.float64)
    twice = steps[1:][steps[1:] == steps[:-1]]
    if len(twice):
        raise ValueError(
            f"A curve has one row a step, step {twice[0]} has several. Choose rows first (split, matrix, ...)."
        )
    return steps, values


def scaled(values: np.ndarray, scale: Scale, quantity: str) -> np.ndarray:
    """The values, or their natural logarithms.

    Raises:
        ValueError: if the scale is not known, or is "log" and a value is not above 0.
    """
    if scale not in ("linear", "log"):
        raise ValueError(f"A scale is 'linear' or 'log', got {scale!r}.")
    if scale == "linear":
        return values
    if not (values > 0).all():
        raise ValueError(f"A log scale needs values above 0, {quantity!r} goes down to {values.min():g}.")
    return np.log(values)


def reached(values: np.ndarray, threshold: float, direction: Direction) -> np.ndarray:
    """Where the values are at the threshold or beyond it.

    Raises:
        ValueError: if the direction is not valid.
    """
    if direction not in ("rise", "fall"):
        raise ValueError(f"A direction is 'rise' or 'fall', got {direction!r}.")
    return values >= threshold if direction == "rise" else values <= threshold


def last_spell(steps: np.ndarray, holds: np.ndarray, tolerated: float) -> tuple[int, list[tuple[int, int]]]:
    """Where the last stretch of True begins if short relapses do not end one, and the relapses that were passed over.

    A relapse is short if it and those before it lasted at most `tolerated` of the time that was True before it; both
    are measured between the middles of the steps around their ends, as what one evaluation says reaches half-way to
    its neighbours. So a curve that has held for long survives a spike, one that has just arrived does not, and one that
    is False more often than not has not arrived, however long ago it was first True.

    Returns:
        index of the first True of the stretch; first and last index of each relapse within it.

    Raises:
        ValueError: if tolerated is not in [0, 1), or nothing is True.

    >>> holds = np.array([0, 1, 1, 1, 1, 1, 0, 1, 1], bool)
    >>> last_spell(np.arange(9), holds, 0.25)
    (1, [(6, 6)])
    >>> last_spell(np.arange(9), holds, 0.0)
    (7, [])
    """
    *_, (begin, _, passed) = lasting_spells(steps, holds, tolerated)
    return begin, passed


def lasting_spells(
    steps: np.ndarray, holds: np.ndarray, tolerated: float
) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """All stretches of True if short relapses do not end one, as `last_spell` tells them.

    Returns:
        index of the first True, index behind the last one, first and last index of each relapse within.

    Raises:
        ValueError: if tolerated is not in [0, 1).
    """
    if not 0 <= tolerated < 1:
        raise ValueError(
            f"tolerated is a share of the time that a stretch has lasted, in [0, 1), got {tolerated}."
        )
    edges = middles(steps)
    found: list[tuple[int, int, list[tuple[int, int]]]] = []
    held = lost = 0.0
    for begin, end in stretches(holds):
        if found:
            first, before, passed = found[-1]
            lost += edges[begin] - edges[before]
        if found and lost <= tolerated * held:
            found[-1] = (first, end, [*passed, (before, begin - 1)])
        else:
            found.append((begin, end, []))
            held = lost = 0.0
        held += edges[end] - edges[begin]
    return found


def middles(steps: np.ndarray) -> np.ndarray:
    """From where to where each checkpoint speaks: half-way to its neighbours, one more than there are checkpoints."""
    return np.concatenate([steps[:1], (steps[1:] + steps[:-1]) / 2, steps[-1:]])


def stretches(mask: np.ndarray) -> list[tuple[int, int]]:
    """First index and end (exclusive) of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False].astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def slopes(steps: np.ndarray, values: np.ndarray, window: int) -> np.ndarray:
    """Slope at every step: the least-squares line through the `window` values around it (fewer at the ends).

    Raises:
        ValueError: if there are fewer than two values.
    """
    if len(steps) < 2:
        raise ValueError("A slope needs at least two checkpoints, there is one.")
    x, out = steps.astype(np.float64), np.empty(len(steps))
    for i in range(len(steps)):
        near = slice(max(i - window // 2, 0), max(i + window // 2 + 1, 2))
        dx = x[near] - x[near].mean()
        out[i] = dx @ values[near] / (dx @ dx)
    return out


def breaks(steps: np.ndarray, values: np.ndarray, n_breaks: int) -> tuple[np.ndarray, np.ndarray]:
    """Knots of a continuous piecewise-linear curve with n_breaks inner knots, and its slopes between them.

    The best such curve through values of its own at the knots (`ruptures`, dynamic programming, model "clinear"), on an
    even grid of as many points as there are steps, at most 200, onto which the values are interpolated. A knot is
    known to one grid spacing at best.

    Returns:
        steps of all knots, the two ends included; slopes of the n_breaks + 1 pieces.

    Raises:
        ValueError: if there are fewer than 3 * (n_breaks + 1) values, or one is not finite.

    References: Truong, Oudre, Vayatis 2020, "Selective review of offline change point detection methods".
    """
    if n_breaks < 1 or len(steps) < 3 * (n_breaks + 1):
        raise ValueError(
            f"{n_breaks} change points need at least 1 and {3 * (n_breaks + 1)} checkpoints, there are {len(steps)}."
        )
    if not np.isfinite(values).all():
        raise ValueError(
            "Change points need finite values; leave out the checkpoints where the curve is infinite."
        )
    grid = np.linspace(steps[0], steps[-1], min(len(steps), GRID))
    y = np.interp(grid, steps, values)
    spread = y.std() or 1.0  # costs are compared; their unit must not meet rounding
    # A piece of clinear goes from the last point of the one before to its own last point: that is the knot.
    at = np.array([0, *[end - 1 for end in _ends(((y - y.mean()) / spread).tobytes(), n_breaks)]])
    return grid[at], np.diff(y[at]) / np.diff(grid[at])


# One page asks for the breaks of one curve several times, and for several numbers of them.
@lru_cache(maxsize=32)
def _ends(curve_of_float64: bytes, n_breaks: int) -> tuple[int, ...]:
    return tuple(_fitted(curve_of_float64).predict(n_bkps=n_breaks))


@lru_cache(maxsize=1)
def _fitted(curve_of_float64: bytes) -> "ruptures.Dynp":
    import ruptures  # loads scipy, which most callers do without

    found = ruptures.Dynp(model="clinear", min_size=3, jump=1)
    return found.fit(np.frombuffer(curve_of_float64, np.float64))

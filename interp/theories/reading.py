"""What a theory reads off the tables of the observed run: a number with the interval that the checkpoints leave open.

Also the pieces that several theories read alike: a curve of a table, when it crosses, and which came first.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interp.ground.thresholds import ACCURACY
from interp.tables.curves import curve
from interp.tables.outcome import outcome
from interp.tables.transitions import Transition, transition

Tables = Any


class NotTestable(Exception):
    """What is missing, so that nothing can be said yet; the text names it."""


class NotEvaluable(Exception):
    """Which check failed, so that the numbers that are there cannot be used; the text names it."""


@dataclass(frozen=True)
class Seen:
    """A number read off tables.

    Attributes:
        value: NaN if it is only known to lie between low and high.
        low, high: what the spacing of the checkpoints, or the table's own standard error, leaves open.
        said: where it comes from, in words.
        narrower: what would narrow the interval.
    """

    value: float
    low: float
    high: float
    said: str
    narrower: str = "Checkpoints closer together, around the steps that the interval spans."


def table(tables: Tables, name: str, **chosen: Any) -> pd.DataFrame:
    """The rows of a table in which the named columns have these values.

    Raises:
        NotTestable: if there are none; the probe that would give them is named.
    """
    found = tables.get(name)
    if found is None or not len(found):
        raise NotTestable(f"the table {name!r} is missing")
    for column, value in chosen.items():
        if column not in found.columns:
            raise NotTestable(f"the table {name!r} has no column {column!r}")
        found = found[found[column] == value]
    if not len(found):
        rows = ", ".join(f"{column}={value}" for column, value in chosen.items())
        raise NotTestable(f"the table {name!r} has no rows with {rows}")
    return found


def memorized(tables: Tables) -> Transition:
    """When train accuracy came to stay.

    Raises:
        NotTestable: without an accuracy on train rows.
        NotEvaluable: if it never does.
    """
    return _came(outcome(tables).memorization, "memorizes", "train")


def grokked(tables: Tables) -> Transition:
    """When test accuracy came to stay.

    Raises:
        NotTestable: without an accuracy on test rows.
        NotEvaluable: if it never does.
    """
    return _came(outcome(tables).grokking, "generalises", "test")


def _came(found: Transition | None, what: str, split: str) -> Transition:
    if found is None:
        raise NotTestable(
            f"no accuracy on {split} rows is known: the tables 'losses' and 'history' are missing"
        )
    if found.step is None:
        raise NotEvaluable(f"the run never {what}: its {split} accuracy does not stay at {ACCURACY:g}")
    return found


def crossing(rows: pd.DataFrame, quantity: str, threshold: float, direction: Any) -> Transition:
    """When a curve crosses for good; a crossing that never comes has `step` None."""
    return transition(rows, quantity, threshold, direction)


def lead(first: Transition, second: Transition, since: Transition) -> tuple[float, float, float]:
    """How much earlier the first came than the second, as a share of the time from `since` to the second.

    Returns:
        value, low, high, from the brackets of the first two; 1 is as early as `since`, 0 together with the second,
        below 0 after it; the bracket of `since` is that of its `step`. A first that never came: no less than its last
        checkpoint.
    """
    assert second.step is not None and since.step is not None
    last, earliest = second.step, float(second.before or 0)
    length = max(last - since.step, 1)
    if first.step is None:
        late = (last - float(first.before or 0)) / length
        return math.nan, -math.inf, late
    value = (last - first.step) / length
    return value, (earliest - first.step) / length, (last - float(first.before or 0)) / length


def around(rows: pd.DataFrame, quantity: str, found: Transition) -> tuple[float, float, float]:
    """The value at a transition, and its range over the checkpoints that surely lie around it.

    Raises:
        NotTestable: if no checkpoint lies on one side.
    """
    assert found.step is not None
    steps, values = curve(rows, quantity)
    before, after = steps <= (found.before or 0), steps >= found.step
    if not before.any() or not after.any():
        raise NotTestable(f"no checkpoint with {quantity!r} lies on either side of step {found.step}")
    spanned = values[np.flatnonzero(before)[-1] : np.flatnonzero(after)[0] + 1]
    return float(np.interp(found.step, steps, values)), float(spanned.min()), float(spanned.max())


def converged(rows: pd.DataFrame, quantity: str, after: int, share: float = 0.05) -> None:
    """Nothing, if a structural measure has settled by the end of the run.

    Raises:
        NotEvaluable: if its last tenth of the steps since `after` still moves it by more than `share` of its whole
            change since then: it is still on its way, and an end that was cut off says nothing.
    """
    steps, values = curve(rows, quantity)
    after_it = steps >= after
    if after_it.sum() < 3:
        raise NotEvaluable(
            f"{quantity} has fewer than 3 checkpoints after step {after}: whether it settled is not known"
        )
    steps, values = steps[after_it], values[after_it]
    begin = float(np.interp(steps[-1] - 0.1 * (steps[-1] - steps[0]), steps, values))
    moved, whole = abs(values[-1] - begin), float(values.max() - values.min())
    if whole > 0 and moved > share * whole:
        raise NotEvaluable(
            f"{quantity} has not settled by step {int(steps[-1])}: {moved / whole:.0%} of its change since step "
            f"{int(steps[0])} came in the last tenth"
        )

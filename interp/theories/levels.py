"""Statistics of levels: quantities of arms that are not times, a number a pair.

References: Wilson 1927, "Probable inference" (a share); Newcombe 1998, "Interval estimation for the difference between
independent proportions".
"""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import ndtri

from interp.ground.plain_text import number_of
from interp.theories.contrasts import Contrast, Evidence, rows_of, valid_rows
from interp.theories.estimates import Interval, Measured, by_pairs
from interp.theories.reading import NotEvaluable, NotTestable
from interp.theories.statistic import Level, LevelDifference, LevelRatio, Spread, named

# Quantities that are yes or no in each pair begin so, and are counted.
COUNTED = ("in_", "is_")
# Arms whose spread is one.
FEWEST_ARMS = 3
# Steps from the branch over which "updates_after_branch" compares updates with the control's.
EARLY = 500


def is_of_event(quantity: str) -> bool:
    """Whether there is no such value before the main event has come."""
    return quantity.endswith("_at_event") or quantity in ("net_angle_when_done", "share_of_compression")


def level_by_pair(evidence: Evidence, arm: str, dose: float | None, quantity: str) -> pd.Series:
    """A quantity of an arm, by pair.

    Raises:
        NotTestable: if it is not there.
        NotEvaluable: if no row passed its checks, or there is no value in some of the pairs: those that have one are no
            fair sample of all.
    """
    rows = rows_of(evidence.levels_by_name, arm, dose)
    rows = rows[rows["quantity"] == quantity]
    if not len(rows):
        raise NotTestable(f"{named(arm, dose)} has no level {quantity!r}")
    rows = valid_rows(rows, arm, dose)
    steps = set(rows["branch_step"].astype(int))
    step = next((step for step in evidence.branch_steps if step in steps), min(steps))
    rows = rows[rows["branch_step"] == step]
    if n_lacking := int(rows["value"].isna().sum()):
        why = (
            "the event did not come there" if is_of_event(quantity) else "there was nothing to measure there"
        )
        raise NotEvaluable(
            f"{named(arm, dose)} has no {quantity!r} in {n_lacking} of {number_of(len(rows), 'pair')}, {why}"
        )
    return pd.Series(rows["value"].to_numpy(float), index=rows["pair"].to_numpy())


def of_levels(statistic: Level | LevelDifference | LevelRatio | Spread, evidence: Evidence) -> Measured:
    """The number of a statistic of levels.

    Raises:
        NotTestable, NotEvaluable: as `level_by_pair`; if the two arms share no pair, a ratio is of values that have no
            logarithm, or a spread has too few arms.
    """
    if isinstance(statistic, Spread):
        return _spread(statistic, evidence)
    values = level_by_pair(evidence, statistic.arm, statistic.dose, statistic.quantity)
    is_count = statistic.quantity.startswith(COUNTED)
    if isinstance(statistic, Level):
        return _shares(values.to_numpy(), None) if is_count else _mean(values.to_numpy())
    others = level_by_pair(evidence, statistic.over, statistic.over_dose, statistic.quantity)
    common = [pair for pair in values.index if pair in others.index]
    if not common:
        raise NotEvaluable(f"no pair has {statistic.quantity!r} of both {statistic.arm} and {statistic.over}")
    a, b = values.loc[common].to_numpy(), others.loc[common].to_numpy()
    if isinstance(statistic, LevelRatio):
        if not ((a > 0) & (b > 0)).all():
            raise NotEvaluable(f"a ratio of {statistic.quantity!r} needs values above 0")
        ln = np.log(a) - np.log(b)
        return by_pairs(Contrast(ln, ln, ln, number_of(len(ln), "pair")), is_log=True)
    return _shares(a, b) if is_count else _mean(a - b)


def _spread(statistic: Spread, evidence: Evidence) -> Measured:
    table = evidence.levels
    if table is None or not len(rows := table[(table["quantity"] == statistic.quantity) & table["valid"]]):
        raise NotTestable(f"no arm has a level {statistic.quantity!r}")
    # Arms of one branch step: the main one, or that with most arms.
    steps = rows["branch_step"].value_counts().index
    rows = rows[rows["branch_step"] == next((s for s in evidence.branch_steps if s in steps), steps[0])]
    table = rows.pivot(index="pair", columns=["arm", "dose"], values="value")
    # A pair of which little was trained takes no arm from the others.
    n_arms = table.notna().sum(axis=1)
    table = table[n_arms >= FEWEST_ARMS]
    # An arm that did not come in one pair would make the spread of that pair smaller.
    of_all = table.dropna(axis=1)
    if not len(table) or of_all.shape[1] < FEWEST_ARMS:
        raise NotTestable(
            f"a spread of {statistic.quantity!r} needs {FEWEST_ARMS} arms that have it in every pair, there are "
            f"{of_all.shape[1] if len(table) else n_arms.max()}"
        )
    found = _mean(((of_all.max(axis=1) - of_all.min(axis=1)) / of_all.mean(axis=1)).to_numpy())
    n_left = table.shape[1] - of_all.shape[1]
    left = f"; without {number_of(n_left, 'arm')} not known in every pair" if n_left else ""
    return replace(found, said=f"{found.said}, {number_of(of_all.shape[1], 'arm')}{left}")


def _mean(values: np.ndarray) -> Measured:
    return by_pairs(Contrast(values, values, values, number_of(len(values), "pair")), is_log=False)


def _shares(yes: np.ndarray, others: np.ndarray | None) -> Measured:
    """A share of pairs, or the difference of two, from counts: spread over a few pairs that agree says nothing."""
    n = len(yes)

    def at(level: float) -> Interval:
        low, high = _wilson(yes, level)
        if others is None:
            return low, high
        other_low, other_high = _wilson(others, level)
        p, q = float(yes.mean()), float(others.mean())
        # Newcombe 1998, method 10: the distances of both ends add up as squares.
        return p - q - math.hypot(p - low, other_high - q), p - q + math.hypot(high - p, q - other_low)

    value = float(yes.mean() - (0.0 if others is None else others.mean()))
    each = (yes,) if others is None else (yes, others)
    sd = math.sqrt(sum(float(x.mean() * (1 - x.mean())) for x in each))
    return Measured(value, at, n, sd, False, f"{n} pairs counted")


def _wilson(yes: np.ndarray, level: float) -> Interval:
    n, p, z = len(yes), float(yes.mean()), float(ndtri(0.5 + level / 2))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)

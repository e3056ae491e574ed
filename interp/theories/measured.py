"""A statistic's number on the tables, with its interval at any level: what a prediction is compared with.

Pairs are the units. Every number of arms is a contrast of ln D within each pair, so that what a pair has in common
(start, order of the data, jitter) cancels. D is known to a bracket, or to a lower bound where an arm's budget ended
first; both go into every contrast as bounds and no pair is dropped for them.

References: Fieller 1954, "Some problems in interval estimation" (ratio of two effects); Welch 1947 (two branch points).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from interp.ground.plain_text import number_of
from interp.theories.contrasts import (
    Contrast,
    Evidence,
    Term,
    any_dose,
    contrast,
    difference,
    lined_up,
    weighted,
)
from interp.theories.estimates import Interval, Measured, by_pairs, exp
from interp.theories.levels import level_by_pair, of_levels
from interp.theories.pair_statistics import LEVEL, interval
from interp.theories.prediction import Prediction
from interp.theories.reading import NotEvaluable, NotTestable, Seen
from interp.theories.statistic import (
    Absent,
    DoseTrend,
    Equal,
    Growth,
    Level,
    LevelDifference,
    LevelRatio,
    Observed,
    Recovery,
    ShareLost,
    Spread,
    Statistic,
    named,
)

# Recovered shares are looked for within these bounds; beyond them an interval has no end.
WIDEST_SHARE = 50.0
FEWEST_DOSES = 3


def measured(prediction: Prediction, evidence: Evidence, statistic: Statistic | None = None) -> Measured:
    """The number of a prediction's statistic, or of another one of its theory.

    Raises:
        NotTestable: if tables, arms or doses are missing; which.
        NotEvaluable: if they are there and must not be used; why.
    """
    statistic = prediction.statistic if statistic is None else statistic
    if isinstance(statistic, Absent):
        raise NotTestable(statistic.what)
    if isinstance(statistic, Observed):
        return _of_checkpoints(seen(prediction, statistic, evidence.observed))
    if isinstance(statistic, (Level, LevelDifference, LevelRatio, Spread)):
        return of_levels(statistic, evidence)
    if isinstance(statistic, Growth):
        return _growth(statistic, evidence)
    if isinstance(statistic, Recovery):
        return _recovery(statistic, evidence)
    if isinstance(statistic, ShareLost):
        return _share_lost(statistic, evidence)
    if isinstance(statistic, Equal):
        return _furthest(statistic, evidence)
    if isinstance(statistic, DoseTrend):
        return by_pairs(contrast(evidence, statistic, _slope_terms(statistic, evidence)), is_log=False)
    terms = [(1.0, statistic.arm, statistic.dose), (-1.0, statistic.over, statistic.over_dose)]
    return by_pairs(contrast(evidence, statistic, terms), is_log=True)


def seen(prediction: Prediction, statistic: Observed, tables: Mapping[str, pd.DataFrame]) -> Seen:
    """What the function of the theory's file reads off the tables.

    Raises:
        ValueError: if the theory has no such function.
        NotTestable, NotEvaluable: as it says.
    """
    # Only functions that a theory of this package lists: a lock file names them, and may be anyone's.
    theory = getattr(import_module(f"interp.theories.{prediction.theory}"), prediction.theory.upper(), None)
    for function in theory.observations if theory else ():
        if function.__name__ == statistic.function:
            return _read(function, tables)
    raise ValueError(
        f"Theory {prediction.theory!r} needs an observation {statistic.function!r}, it has none of that name. "
        f"Judge with "
        "the version that wrote the prediction."
    )


def _read(function: Callable[[Mapping[str, pd.DataFrame]], Seen], tables: Mapping[str, pd.DataFrame]) -> Seen:
    """What it reads; tables of other versions, or of strangers, are told about instead of ending everything."""
    try:
        return function(tables)
    except KeyError as error:
        raise NotTestable(f"a table has no column {error}") from error
    except ValueError as error:
        raise NotEvaluable(str(error).rstrip(".")) from error


def _of_checkpoints(found: Seen) -> Measured:
    return Measured(
        found.value, lambda level: (found.low, found.high), None, math.nan, False, found.said, found.narrower
    )


def _slope_terms(statistic: DoseTrend, evidence: Evidence) -> list[Term]:
    """The least-squares slope against ln dose, as a contrast."""
    doses = sorted(set(any_dose(evidence, statistic.arm)["dose"].dropna().astype(float)))
    if statistic.over is not None:
        doses = [dose for dose in doses if dose in set(any_dose(evidence, statistic.over)["dose"])]
    if len(doses) < FEWEST_DOSES:
        raise NotTestable(f"{statistic.arm} needs {FEWEST_DOSES} doses for a trend, it has {len(doses)}")
    if doses[0] <= 0:
        raise NotEvaluable(f"{statistic.arm} has a dose of {doses[0]:g}, which has no logarithm")
    x = np.log(doses) - np.log(doses).mean()
    weights = [float(w) for w in x / (x @ x)]
    terms: list[Term] = [(w, statistic.arm, dose) for w, dose in zip(weights, doses, strict=True)]
    if statistic.over is not None:
        terms += [(-w, statistic.over, dose) for w, dose in zip(weights, doses, strict=True)]
    return terms


def _recovery(statistic: Recovery, evidence: Evidence) -> Measured:
    """The set of shares r at which ln D(matched) - (1 - r) ln D(moved) - r ln D(over) may be 0."""
    s = statistic
    arms = [(s.matched, s.matched_dose), (s.moved, s.moved_dose), (s.over, s.over_dose)]

    by_arm = lined_up(evidence, s, arms)

    def at_share(r: float) -> Contrast:
        return weighted([1.0, r - 1.0, -r], by_arm)

    moved = weighted([1.0, -1.0], by_arm[1:])
    low, high = interval(moved.low, moved.high, LEVEL)
    if not (low > 0 or high < 0):
        raise NotEvaluable(
            f"{named(*arms[1])} does not move the event for sure (ratio {exp(low):.3g} to {exp(high):.3g}): "
            f"there is no "
            "effect of which a share could be recovered"
        )
    sign = 1.0 if low > 0 else -1.0

    def end(r: float, level: float, which: int) -> float:
        found = at_share(r)
        return sign * interval(found.low, found.high, level)[which if sign > 0 else 1 - which]

    def at(level: float) -> Interval:
        low, high = interval(moved.low, moved.high, level)
        if not (low > 0 or high < 0):
            return -math.inf, math.inf  # Fieller's set has no ends where the effect itself may be none
        # The contrast rises with r where the effect is positive: the ends are where its interval leaves 0.
        return _root(lambda r: end(r, level, 1)), _root(lambda r: end(r, level, 0))

    effect, rest = by_pairs(moved, is_log=False), by_pairs(at_share(0.0), is_log=False)
    value = -rest.value / effect.value
    sd = by_pairs(at_share(value), is_log=False).sd / abs(effect.value) if math.isfinite(value) else math.nan
    return Measured(value, at, effect.n, sd, False, moved.said)


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function crosses 0, within the widest shares; infinite beyond them."""
    low, high = -WIDEST_SHARE, WIDEST_SHARE
    if not rising(low) < 0:
        return -math.inf
    if not rising(high) > 0:
        return math.inf
    for _ in range(35):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def _share_lost(statistic: ShareLost, evidence: Evidence) -> Measured:
    arm, over = lined_up(evidence, statistic, [(statistic.arm, None), (statistic.over, None)])
    stretch = level_by_pair(evidence, statistic.arm, None, statistic.stretch)
    common = [pair for pair in arm.index if pair in stretch.index]
    if not common:
        raise NotTestable(
            f"{statistic.arm} has no level {statistic.stretch!r} in the pairs of the arms table"
        )
    length = stretch.loc[common].to_numpy(float)
    return by_pairs(difference(arm.loc[common], over.loc[common], length), is_log=False)


def _growth(statistic: Growth, evidence: Evidence) -> Measured:
    """Welch's interval of the difference of two means; pairs of two branch points have nothing in common."""
    arms = [statistic.arm, statistic.over]
    steps = sorted(set.intersection(*[set(any_dose(evidence, arm)["branch_step"]) for arm in arms]))
    if len(steps) < 2:
        raise NotTestable(f"{statistic.arm} needs two branch points, it has {len(steps)}")
    early, late = (
        difference(*lined_up(evidence, statistic, [(arm, None) for arm in arms], int(step)))
        for step in (steps[0], steps[-1])
    )

    def at(level: float) -> Interval:
        return _welch(late.low, early.high, level)[0], _welch(late.high, early.low, level)[1]

    early_alone, late_alone = (by_pairs(one, is_log=False) for one in (early, late))
    n = min(len(early.low), len(late.low))
    said = f"{number_of(n, 'pair')} at steps {steps[0]} and {steps[-1]}"
    sd = math.hypot(early_alone.sd, late_alone.sd)
    return Measured(late_alone.value - early_alone.value, at, n, sd, False, said)


def _welch(late: np.ndarray, early: np.ndarray, level: float) -> Interval:
    """Interval of mean(late) - mean(early); without ends where one has a single pair or none of its bounds is "
    "finite."""
    if min(len(late), len(early)) < 2 or not np.isfinite(np.r_[late, early]).all():
        return -math.inf, math.inf
    parts = np.array([np.var(x, ddof=1) / len(x) for x in (late, early)])
    middle = float(late.mean() - early.mean())
    if not parts.sum():
        return middle, middle
    freedom = parts.sum() ** 2 / (parts**2 / (np.array([len(late), len(early)]) - 1)).sum()
    half = float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(parts.sum())
    return middle - half, middle + half


def _furthest(statistic: Equal, evidence: Evidence) -> Measured:
    """Of several contrasts the one that is furthest from none, intervals together at the level (Bonferroni)."""
    found, missing = [], []
    for arm, dose, over, over_dose in statistic.comparisons:
        try:
            found.append(contrast(evidence, statistic, [(1.0, arm, dose), (-1.0, over, over_dose)]))
        except NotTestable as error:
            missing.append(str(error))
    if not found:
        raise NotTestable("; ".join(dict.fromkeys(missing)))

    def at(level: float) -> Interval:
        # At level 0 the ends are where ever more pairs would come to, and nothing is left to be corrected.
        alone = 1 - (1 - level) / len(found) if level > 0 else 0.0
        low, high = np.array([interval(one.low, one.high, alone) for one in found]).T
        # A single pair has no interval, and then the furthest of all has none: nan stays nan.
        nearest, furthest = np.maximum(0, np.maximum(low, -high)).max(), np.maximum(-low, high).max()
        return exp(float(nearest)), exp(float(furthest))

    each = [by_pairs(one, is_log=True) for one in found]
    # 0 where a reference never came, infinite where an arm never did: by how much is not known.
    known = [m for m in each if 0 < m.value < math.inf]
    worst = max(known, key=lambda m: abs(math.log(m.value)), default=each[0])
    value = exp(abs(math.log(worst.value))) if known else math.nan
    said = f"{len(found)} of {len(statistic.comparisons)} comparisons, {worst.said}"
    return replace(worst, value=value, interval=at, said=said)

"""Dose curves: does the event come later the larger the dose of an arm is? Within pairs, from an arms table alone.

Rank correlation asks for an order and takes any shape; the slope says how much. Both are formed within each pair, so
that differences between pairs do not pass for an effect of the dose.

How it can mislead: with three doses a pair has six orders, and two pairs in perfect order have p = 0.056. Censored
events are ties at the top of the ranks, whatever their budgets.

References: Spearman 1904, "The proof and measurement of association between two things"; Pitman 1937, "Significance
tests which may be applied to samples from any populations. II. The correlation coefficient test".
"""

import math
from functools import lru_cache
from itertools import permutations

import numpy as np
import pandas as pd

from interp.theories.arms_table import SETTING, check_arms
from interp.theories.effects import ln_bounds, with_identity
from interp.theories.pair_statistics import LEVEL, limits

DOSES = [
    *("arm", "reference", "event", "threshold", "n_doses", "n_pairs", "n_censored"),
    *("spearman", "spearman_p", "slope", "low", "high"),
]
FEWEST_DOSES = 3
# Orders of up to this many doses are all tried, 5040 of them; of more as many as there are draws.
MOST_DOSES_TRIED = 7
DRAWS = 9_999
# Correlations are told apart by this much: sums of many have few values, and rounding errors decide nothing.
GRAIN = 1e-6

Ranks = tuple[float, ...]
# Values of a correlation, and how probable each is where the doses have no order.
Distribution = tuple[np.ndarray, np.ndarray]


def doses(arms: pd.DataFrame) -> pd.DataFrame:
    """One row an arm of at least three doses, reference, event and threshold.

    Args:
        arms: an arms table; it is checked.

    Columns:
        arm, reference, event, threshold: as in the table. The reference counts as a dose only where it is the same arm.
        n_doses: doses that a pair counts with.
        n_pairs: pairs with at least three doses that are valid.
        n_censored: those in which the event did not come within the budget at some dose.
        spearman: rank correlation of D with the dose, averaged over pairs; 0 in a pair where all are tied.
        spearman_p: share of the orders of the doses within pairs that give as strong a correlation of either sign;
            all orders of up to seven doses, else 9,999 random ones.
        slope: of ln D against the dose, averaged over pairs; infinite where a censored event can only make it steeper,
            NaN where two pull to both sides.
        low, high: t interval of the slope over pairs, brackets and censoring respected; NaN for fewer than two pairs.
        branch_step, kind: only where the table has several branch steps, or both kinds.

    Raises:
        ValueError: as `check_arms`.
    """
    return dose_curves(check_arms(arms))


def dose_curves(arms: pd.DataFrame) -> pd.DataFrame:
    """`doses` of an arms table as `check_arms` returns it."""
    rows = _of_curves(arms)
    if rows.empty:
        return with_identity(pd.DataFrame(columns=[*DOSES, "branch_step", "kind"]), arms, DOSES)
    pair, curve = rows["of_pair"].to_numpy(), rows["of_curve"].to_numpy()
    is_first = np.diff(pair, prepend=-1) > 0
    curve_of_pair, n_curves = curve[is_first], int(curve[-1]) + 1
    ranks, correlations = _ranked(rows["step"].fillna(np.inf), pair)
    slopes, lows, highs = _slopes(rows, pair)
    n_pairs = np.bincount(curve_of_pair, minlength=n_curves)
    is_censored = np.bincount(pair, weights=rows["step"].isna()) > 0
    found = rows.loc[np.diff(curve, prepend=-1) > 0, _CURVE].reset_index(drop=True)
    starts = np.flatnonzero(is_first)[1:]
    ranked = [tuple(part) for part in np.split(ranks, starts)]
    # Sorted, so that random orders do not depend on what the pairs are called.
    of_curves = [tuple(sorted(ranked[i] for i in part)) for part in _parts(curve_of_pair, n_curves)]
    means = np.bincount(curve_of_pair, weights=correlations, minlength=n_curves) / n_pairs
    found = found.assign(
        n_doses=rows.groupby("of_curve")["dose"].nunique().to_numpy(),
        n_pairs=n_pairs,
        n_censored=np.bincount(curve_of_pair[is_censored], minlength=n_curves),
        spearman=means,
        spearman_p=np.array([_p(*of) for of in zip(of_curves, means, strict=True)], dtype=float),
        slope=np.bincount(curve_of_pair, weights=slopes, minlength=n_curves) / n_pairs,
        low=limits(lows, curve_of_pair, n_curves, LEVEL, -1),
        high=limits(highs, curve_of_pair, n_curves, LEVEL, 1),
    )
    return with_identity(found, arms, DOSES)


_CURVE = ["arm", "reference", *SETTING, "kind"]


def _of_curves(arms: pd.DataFrame) -> pd.DataFrame:
    """Valid rows with a dose, with the reference of the curve that they belong to, and their bounds of ln D."""
    has_dose = arms[arms["dose"].notna() & arms["valid"] & ~(arms["step"] == 0)]
    # A row that is the reference of other doses of its own arm belongs to their curve too.
    own = arms.loc[arms["arm"] == arms["reference"], ["arm", "reference_dose"]].drop_duplicates()
    references = has_dose.merge(own.rename(columns={"reference_dose": "dose"}), on=["arm", "dose"])
    rows = pd.concat([has_dose[has_dose["reference"] != ""], references.assign(reference=references["arm"])])
    rows = rows.drop_duplicates([*_CURVE, "pair", "dose"]).sort_values([*_CURVE, "pair", "dose"])
    rows = rows[rows.groupby([*_CURVE, "pair"])["dose"].transform("size") >= FEWEST_DOSES]
    low, high = ln_bounds(rows)
    of_pair, of_curve = (rows.groupby(keys).ngroup() for keys in ([*_CURVE, "pair"], _CURVE))
    return rows.assign(ln_low=low, ln_high=high, of_pair=of_pair, of_curve=of_curve)


def _parts(group: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """Which values are each group's; groups come one after the other."""
    return np.split(np.arange(len(group)), np.cumsum(np.bincount(group, minlength=n_groups))[:-1])


def _ranked(steps: pd.Series, pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of D within each pair, ties share theirs, and each pair's correlation with the ascending doses."""
    ranks = steps.groupby(pair).rank().to_numpy()
    size = np.bincount(pair)
    theirs = np.arange(len(pair)) - (np.cumsum(size) - size)[pair] - ((size - 1) / 2)[pair]
    mine = ranks - ((size + 1) / 2)[pair]
    squares = np.bincount(pair, weights=mine**2) * np.bincount(pair, weights=theirs**2)
    products = np.bincount(pair, weights=mine * theirs)
    return ranks, np.where(squares > 0, products / np.sqrt(np.where(squares > 0, squares, 1)), 0.0)


def _slopes(rows: pd.DataFrame, pair: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope of ln D against the dose within each pair, by least squares, and its bounds."""
    dose = rows["dose"].to_numpy()
    centred = dose - (np.bincount(pair, weights=dose) / np.bincount(pair))[pair]
    # The dose in the middle has no weight, not even by a rounding error, which an infinite value would magnify.
    dose = np.where(np.abs(centred) <= 1e-12 * np.abs(dose), 0.0, centred)
    weights = dose / np.bincount(pair, weights=dose**2)[pair]
    point = np.log(rows["step"].fillna(np.inf).to_numpy())
    low, high = rows["ln_low"].to_numpy(), rows["ln_high"].to_numpy()

    def slope(values: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.bincount(pair, weights=np.where(weights == 0, 0.0, weights * values))

    return slope(point), slope(np.where(weights > 0, low, high)), slope(np.where(weights > 0, high, low))


def _correlations(ranks: Ranks, orders: np.ndarray) -> np.ndarray:
    """Spearman's correlation of ranks with the doses in each of these orders; 0 where all are tied."""
    mine, theirs = np.asarray(ranks) - np.mean(ranks), orders - (len(ranks) - 1) / 2
    size = math.sqrt(float((mine**2).sum() * (theirs[0] ** 2).sum()))
    return theirs @ mine / size if size else np.zeros(len(orders))


@lru_cache(maxsize=4096)
def _all_orders(ranks: Ranks) -> Distribution:
    """The correlation of these ranks with every order of the doses."""
    values = _correlations(ranks, np.array(list(permutations(range(len(ranks))))))
    return _gathered(values, np.full(len(values), 1 / len(values)))


def _gathered(values: np.ndarray, weights: np.ndarray) -> Distribution:
    """Values that are the same to `GRAIN` put together."""
    grains, inverse = np.unique(np.round(values / GRAIN), return_inverse=True)
    return grains * GRAIN, np.bincount(inverse, weights=weights)


def _p(ranked: tuple[Ranks, ...], mean: float) -> float:
    """Two-sided p of a mean correlation over pairs under random orders of the doses within each."""
    # As strong as seen, up to the grains of the sum.
    least = abs(mean) * len(ranked) - GRAIN * (len(ranked) + 1)
    if max(map(len, ranked)) > MOST_DOSES_TRIED:
        generator = np.random.default_rng(0)
        drawn = np.zeros(DRAWS)
        for ranks in ranked:
            orders = np.tile(np.arange(len(ranks)), (DRAWS, 1))
            drawn += _correlations(ranks, generator.permuted(orders, axis=1))
        return float(1 + (np.abs(drawn) >= least).sum()) / (1 + DRAWS)
    values, weights = np.zeros(1), np.ones(1)
    for ranks in ranked:
        more, chances = _all_orders(ranks)
        values, weights = _gathered(
            np.add.outer(values, more).ravel(), np.multiply.outer(weights, chances).ravel()
        )
    return min(1.0, float(weights[np.abs(values) >= least].sum()))

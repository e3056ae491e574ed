"""Dose curves: does the event come later the larger the dose of an arm is? Within pairs, from an arms table alone.

Rank correlation asks for an order and takes any shape; the slope says how much. Both are formed within each pair, so
that differences between pairs do not pass for an effect of the dose.

How it can mislead: with three doses a pair has six orders, and two pairs in perfect order have p = 0.056. Censored
events are ties at the top of the ranks, whatever their budgets.

References: Spearman 1904, "The proof and measurement of association between two things"; Pitman 1937, "Significance
tests which may be applied to samples from any populations. II. The correlation coefficient test".
"""

import math
from collections.abc import Iterable
from functools import lru_cache
from itertools import permutations

import numpy as np
import pandas as pd

from interp.theories.arms_table import SETTING, check_arms
from interp.theories.effects import interval, ln_bounds, with_identity

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
    arms = check_arms(arms)
    rows = [
        row | dict(zip(_CURVE, key, strict=True))
        for key, curve in _of_curves(arms).groupby(_CURVE, sort=True)
        if (row := _curve(curve))
    ]
    return with_identity(pd.DataFrame(rows, columns=[*DOSES, "branch_step", "kind"]), arms, DOSES)


_CURVE = ["arm", "reference", *SETTING, "kind"]


def _of_curves(arms: pd.DataFrame) -> pd.DataFrame:
    """Valid rows with a dose, with the reference of the curve that they belong to, and their bounds of ln D."""
    has_dose = arms[arms["dose"].notna() & arms["valid"] & ~(arms["step"] == 0)]
    # A row that is the reference of other doses of its own arm belongs to their curve too.
    own = arms.loc[arms["arm"] == arms["reference"], ["arm", "reference_dose"]].drop_duplicates()
    references = has_dose.merge(own.rename(columns={"reference_dose": "dose"}), on=["arm", "dose"])
    rows = pd.concat([has_dose[has_dose["reference"] != ""], references.assign(reference=references["arm"])])
    rows = rows.drop_duplicates([*_CURVE, "pair", "dose"])
    low, high = ln_bounds(rows)
    return rows.assign(ln_low=low, ln_high=high).sort_values([*_CURVE, "pair", "dose"])


def _curve(curve: pd.DataFrame) -> dict[str, float] | None:
    """The row of one curve; None without a pair of three doses."""
    pairs = [pair for _, pair in curve.groupby("pair", sort=True) if len(pair) >= FEWEST_DOSES]
    if not pairs:
        return None
    # Sorted, so that random orders do not depend on what the pairs are called.
    ranked = sorted(_ranks(pair["step"].fillna(np.inf).to_numpy()) for pair in pairs)
    mean = math.fsum(_correlation(ranks) for ranks in ranked) / len(ranked)
    slopes = np.array([_slope(pair) for pair in pairs])
    low, high = interval(slopes[:, 1], slopes[:, 2])
    with np.errstate(invalid="ignore"):
        slope = float(slopes[:, 0].mean())
    return {
        "n_doses": len({dose for pair in pairs for dose in pair["dose"]}),
        "n_pairs": len(pairs),
        "n_censored": sum(bool(pair["step"].isna().any()) for pair in pairs),
        "spearman": mean,
        "spearman_p": _p(ranked, mean),
        "slope": slope,
        "low": low,
        "high": high,
    }


def _ranks(values: np.ndarray) -> Ranks:
    """Ranks from 1, ties share their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return tuple((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def _correlation(ranks: Ranks, order: Iterable[int] | None = None) -> float:
    """Spearman's correlation of ranks with the doses in this order, ascending unless said."""
    mine = np.asarray(ranks) - np.mean(ranks)
    theirs = np.arange(len(mine)) if order is None else np.asarray(list(order))
    theirs = theirs - theirs.mean()
    size = math.sqrt(float((mine**2).sum() * (theirs**2).sum()))
    return float(mine @ theirs) / size if size else 0.0


@lru_cache(maxsize=4096)
def _all_orders(ranks: Ranks) -> Distribution:
    """The correlation of these ranks with every order of the doses."""
    values = [_correlation(ranks, order) for order in permutations(range(len(ranks)))]
    return _gathered(np.array(values), np.full(len(values), 1 / len(values)))


def _gathered(values: np.ndarray, weights: np.ndarray) -> Distribution:
    """Values that are the same to `GRAIN` put together."""
    grains, inverse = np.unique(np.round(values / GRAIN), return_inverse=True)
    return grains * GRAIN, np.bincount(inverse, weights=weights)


def _p(ranked: list[Ranks], mean: float) -> float:
    """Two-sided p of a mean correlation over pairs under random orders of the doses within each."""
    # As strong as seen, up to the grains of the sum.
    least = abs(mean) * len(ranked) - GRAIN * (len(ranked) + 1)
    if max(map(len, ranked)) > MOST_DOSES_TRIED:
        generator = np.random.default_rng(0)
        drawn = [
            sum(_correlation(ranks, generator.permutation(len(ranks))) for ranks in ranked)
            for _ in range(DRAWS)
        ]
        return (1 + int((np.abs(drawn) >= least).sum())) / (1 + DRAWS)
    values, weights = np.zeros(1), np.ones(1)
    for ranks in ranked:
        more, chances = _all_orders(ranks)
        values, weights = _gathered(
            np.add.outer(values, more).ravel(), np.multiply.outer(weights, chances).ravel()
        )
    return min(1.0, float(weights[np.abs(values) >= least].sum()))


def _slope(pair: pd.DataFrame) -> tuple[float, float, float]:
    """Slope of ln D against the dose within a pair, by least squares, and its bounds."""
    dose = pair["dose"].to_numpy() - pair["dose"].mean()
    weights = dose / (dose**2).sum()
    with np.errstate(invalid="ignore"):
        point = np.log(pair["step"].fillna(np.inf).to_numpy())
        low, high = pair["ln_low"].to_numpy(), pair["ln_high"].to_numpy()
        return (
            _weighted(weights, point),
            _weighted(weights, np.where(weights > 0, low, high)),
            _weighted(weights, np.where(weights > 0, high, low)),
        )


def _weighted(weights: np.ndarray, values: np.ndarray) -> float:
    # The dose in the middle has no weight, not even an infinite value.
    has_weight = weights != 0
    return float((weights[has_weight] * values[has_weight]).sum())

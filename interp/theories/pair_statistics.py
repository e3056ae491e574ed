"""Statistics over pairs, for many effects at once: `group` says of each value whose it is, 0 .. n_groups-1.

A table of ten thousand rows holds thousands of effects of a few pairs each; taken one by one they would cost more than
all else. scipy.special has the distributions without the second that scipy.stats takes to load.
"""

import numpy as np
from scipy.special import bdtr, stdtrit

LEVEL = 0.95


def interval(low: np.ndarray, high: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Lower limit of the t interval of the lower bounds, upper limit of that of the upper bounds.

    Args:
        low, high: a bound a pair; an infinite one makes its limit infinite.

    Returns:
        Limits on the scale of the bounds; NaN for fewer than two pairs.

    >>> interval(np.array([0.0, 0.2, 0.4]), np.array([0.0, 0.2, np.inf]))  # 0.2 - 4.303 * 0.2 / sqrt(3)
    (-0.29682..., inf)
    """
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    group = np.zeros(len(low), dtype=int)
    return float(limits(low, group, 1, level, -1)[0]), float(limits(high, group, 1, level, 1)[0])


def limits(bounds: np.ndarray, group: np.ndarray, n_groups: int, level: float, side: int) -> np.ndarray:
    """Lower (side -1) or upper (1) limit of the t interval of each group's bounds; NaN for fewer than two."""
    n = np.bincount(group, minlength=n_groups)
    is_infinite = np.bincount(group[np.isinf(bounds)], minlength=n_groups) > 0
    mean, sd = mean_and_sd(np.where(np.isinf(bounds), 0, bounds), group, n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = mean + side * stdtrit(n - 1.0, (1 + level) / 2) * sd / np.sqrt(n)
    return np.where(n < 2, np.nan, np.where(is_infinite, side * np.inf, found))


def mean_and_sd(values: np.ndarray, group: np.ndarray, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (n - 1) of each group; NaN without enough values."""
    n = np.bincount(group, minlength=n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(group, weights=values, minlength=n_groups) / n
        squares = np.bincount(group, weights=(values - mean[group]) ** 2, minlength=n_groups)
        return mean, np.where(n < 2, np.nan, np.sqrt(squares / (n - 1)))


def medians(ratios: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Median of each group without its NaN; NaN without any, or half way between 0 and infinity.

    Half way to infinity is infinity and half way to 0 is 0, so that the median of the inverse is the inverse.
    """
    group, ratios = group[~np.isnan(ratios)], ratios[~np.isnan(ratios)]
    ordered = ratios[np.lexsort((ratios, group))]
    n = np.bincount(group, minlength=n_groups)
    first = np.cumsum(n) - n
    median = np.full(n_groups, np.nan)
    has = n > 0
    low, high = ordered[(first + (n - 1) // 2)[has]], ordered[(first + n // 2)[has]]
    median[has] = np.where((low == 0) & (high > 0), np.where(np.isinf(high), np.nan, 0.0), (low + high) / 2)
    return median


def sign_p(low: np.ndarray, high: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Exact two-sided p of the sign test over decided pairs; 1 where none is decided, NaN without pairs.

    The event lies after `before`, so that a bracket that only touches the other's leaves no doubt.
    """
    is_later, is_earlier = (low >= 0) & (high > 0), (high <= 0) & (low < 0)
    later, earlier = (np.bincount(group[which], minlength=n_groups) for which in (is_later, is_earlier))
    p = np.minimum(1.0, 2 * bdtr(np.minimum(later, earlier).astype(float), (later + earlier), 0.5))
    return np.where(np.bincount(group, minlength=n_groups) > 0, p, np.nan)


def resolvable(values: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """The ratio whose logarithm is half as wide as the t interval of each group's values."""
    n = np.bincount(group, minlength=n_groups)
    _, sd = mean_and_sd(values, group, n_groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.exp(stdtrit(n - 1.0, (1 + LEVEL) / 2) * sd / np.sqrt(n))

"""A number with its interval at any level, and what a contrast over pairs makes of itself."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from interp.theories.contrasts import Contrast
from interp.theories.pair_statistics import interval

Interval = tuple[float, float]


@dataclass(frozen=True)
class Measured:
    """A statistic's number.

    Attributes:
        value: median over pairs; infinite where an event was not seen in most, NaN where it is not known at all.
        interval: level -> low, high, on the statistic's own scale.
        n: number of pairs; None where pairs are not what it rests on.
        sd: standard deviation over pairs, of the logarithm if is_log; NaN where it is not known.
        is_log: whether the statistic is a ratio, whose logarithm is what pairs scatter in.
        said: where it comes from, in words.
        narrower: what would narrow the interval, where pairs do not.
    """

    value: float
    interval: Callable[[float], Interval]
    n: int | None
    sd: float
    is_log: bool
    said: str
    narrower: str = ""


def by_pairs(found: Contrast, *, is_log: bool) -> Measured:
    """The number of the pairs whose contrast this is."""
    scale = exp if is_log else float

    def at(level: float) -> Interval:
        low, high = interval(found.low, found.high, level)
        return scale(low), scale(high)

    is_known = bool(np.isfinite(found.value).all())
    sd = float(np.std(found.value, ddof=1)) if is_known and len(found.value) > 1 else math.nan
    return Measured(scale(_median(found.value)), at, len(found.low), sd, is_log, found.said)


def _median(values: np.ndarray) -> float:
    """The median of what is known, infinite where most pairs are on one side; NaN half way between both infinities."""
    values = values[~np.isnan(values)]
    with np.errstate(invalid="ignore"):
        return float(np.median(values)) if len(values) else math.nan


def exp(x: float) -> float:
    """e^x, infinite where floats end; NaN stays NaN."""
    return math.inf if x > 700 else math.exp(x)

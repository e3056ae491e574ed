"""Why a verdict is as it is, and what would change it, in words that follow from its numbers."""

import math
from typing import TYPE_CHECKING

from scipy.special import stdtrit

from interp.theories.pair_statistics import LEVEL
from interp.theories.prediction import Prediction
from interp.theories.statistic import Region, described

if TYPE_CHECKING:
    from interp.theories.verdict import Verdict

SUPPORTED, CONSISTENT, CONTRADICTED = "supported", "consistent", "contradicted"
UNDECIDED, NOT_EVALUABLE, NOT_TESTABLE = "undecided", "not evaluable", "not testable here"
VERDICTS = (SUPPORTED, CONSISTENT, CONTRADICTED, UNDECIDED, NOT_EVALUABLE, NOT_TESTABLE)
# One-sided, as an interval of LEVEL has it on each side.
ALPHA = (1 - LEVEL) / 2
MOST_PAIRS = 1000


def pairs_needed(distance: float, sd: float, alpha: float = ALPHA) -> int | None:
    """The fewest pairs of this spread whose one-sided interval is shorter than the distance; None beyond MOST_PAIRS.

    >>> pairs_needed(0.2, 0.3), pairs_needed(1.0, 0.3), pairs_needed(0.001, 0.3)
    (12, 3, None)
    """
    # One pair has no spread, and two have hardly any freedom.
    return next(
        (n for n in range(2, MOST_PAIRS + 1) if stdtrit(n - 1, 1 - alpha) * sd / math.sqrt(n) < distance),
        None,
    )


def why(row: "Verdict") -> str:
    """The number, its interval, and how that stands to what is required, forbidden, and needed by the rival."""
    of, found = row.prediction, row.found
    assert found is not None
    seen = f"{described(of.statistic)} is {_number(row.value)}, {_interval(row)} ({found.said})"
    if row.verdict == CONTRADICTED:
        return f"{seen}; the theory requires {of.required}, and forbids this."
    if row.verdict == SUPPORTED:
        return f"{seen}; the theory requires {of.required}, the rival ({of.rival}) {of.rival_region}."
    if row.verdict == CONSISTENT:
        rest = "says nothing about it" if of.rival_region is None else f"allows it too ({of.rival_region})"
        return f"{seen}; the theory requires {of.required}, but the rival ({of.rival}) {rest}."
    forbidden = "outside of it" if of.forbidden is None else f"in what it forbids, {of.forbidden}"
    return f"{seen}; the theory requires {of.required}, and it is neither wholly in there nor wholly {forbidden}."


def _interval(row: "Verdict") -> str:
    if math.isnan(row.low):
        return "without an interval"
    return f"{_number(row.low)} to {_number(row.high)}"


def _number(x: float) -> str:
    return "not known" if math.isnan(x) else f"{x:.3g}" if math.isfinite(x) else "no bound"


def would_change(row: "Verdict", alpha: float, in_the_end: str) -> str:
    """What would change the verdict, from its numbers.

    Args:
        alpha: the one-sided level that an undecided row would have to meet.
        in_the_end: the verdict that ever more pairs like these would come to.
    """
    of = row.prediction
    if row.verdict == UNDECIDED:
        return _would_decide(row, alpha, in_the_end)
    ends = f"now the interval ends at {_nearest(row, of.required)}"
    if row.verdict == CONTRADICTED:
        return f"An interval that reaches what is required, {of.required}; {ends}."
    if row.verdict == CONSISTENT:
        return f"A number about which the rival says something else; or an interval that leaves {of.required}: {ends}."
    return f"An interval that leaves {of.required}, or that reaches what the rival requires, {of.rival_region}; {ends}."


def _nearest(row: "Verdict", region: Region) -> str:
    """The end of the interval that lies nearest to an edge of the region."""
    edges = [edge for edge in region.bounds if math.isfinite(edge)]
    ends = [end for end in (row.low, row.high) if math.isfinite(end)]
    return _number(min(ends, key=lambda end: min(abs(end - edge) for edge in edges), default=math.nan))


def _would_decide(row: "Verdict", alpha: float, in_the_end: str) -> str:
    found, of = row.found, row.prediction
    assert found is not None
    if found.n is None:
        return found.narrower if row.low < row.high else "Nothing, as long as the value stays where it is."
    if found.n < 2:
        return "One pair has no spread: at least 2 more."
    if math.isnan(found.sd) or not math.isfinite(found.value):
        return f"A larger budget, or evaluations closer together: of {found.n} pairs some are only bounded."
    # What brackets leave open stays open with any number of pairs.
    low, high = found.interval(0.0)
    if in_the_end == UNDECIDED:
        return (
            f"No number of pairs like these: they would come to {_number(low)} to {_number(high)}, neither wholly in "
            "what is required nor wholly in what is forbidden. A value elsewhere, or evaluations closer together."
        )
    log = (lambda x: math.log(x) if x > 0 else -math.inf) if found.is_log else float
    n = pairs_needed(_room(of, in_the_end, log(low), log(high), log), found.sd, alpha)
    spread = f"spread {found.sd:.2g}" + (" of the logarithm" if found.is_log else "")
    wanted = f"more than {MOST_PAIRS}" if n is None else f"about {max(n, found.n + 1)}"
    return f"{wanted} pairs of this {spread} would decide ({in_the_end}); there are {found.n}.".capitalize()


def _room(prediction: Prediction, verdict: str, low: float, high: float, log) -> float:
    """How far the interval may grow on either side until it leaves the region of the verdict."""

    def ends(region: Region) -> tuple[float, float]:
        first, last = (log(edge) if math.isfinite(edge) else edge for edge in region.bounds)
        return first, last

    if verdict == CONTRADICTED and prediction.forbidden is None:
        first, last = ends(prediction.required)
        return first - high if high < first else low - last
    region = prediction.forbidden if verdict == CONTRADICTED else prediction.required
    assert region is not None
    first, last = ends(region)
    return min(low - first, last - high)

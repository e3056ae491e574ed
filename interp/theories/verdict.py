"""What the tables say about each prediction: supported, consistent, contradicted, undecided, or why not even that.

supported        the interval lies in the region that the theory requires, the checks passed, and it lies outside of
                 what a named rival requires.
consistent       it lies in the required region, but no rival forbids it there.
contradicted     it lies in the forbidden region.
undecided        neither; with the number of pairs that would decide, or what else.
not evaluable    a check failed; which.
not testable here  tables, arms or doses are missing; what, and the command that makes them.

The verdict of each row stands alone. Rows never add up to a score or a winner: theories that do not compete may all
stand. Primary rows are corrected for their number by Holm's method, within the pairs of one kind: a row that does not
survive it is undecided and says so.

References: Holm 1979, "A simple sequentially rejective multiple test procedure"; Platt 1964, "Strong inference" (a
result supports what a rival forbids).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from interp.ground import html_card
from interp.ground.plain_text import number_of
from interp.theories.contrasts import Evidence
from interp.theories.in_words import (
    ALPHA,
    CONSISTENT,
    CONTRADICTED,
    NOT_EVALUABLE,
    NOT_TESTABLE,
    SUPPORTED,
    UNDECIDED,
    why,
    would_change,
)
from interp.theories.measured import Measured, measured
from interp.theories.pair_statistics import LEVEL
from interp.theories.prediction import Guard, Prediction
from interp.theories.reading import NotEvaluable, NotTestable
from interp.theories.statistic import Observed, Timed, described

COLUMNS = [
    "theory",
    "prediction",
    "verdict",
    "statistic",
    "value",
    "low",
    "high",
    "rival",
    "arms",
    "primary",
    "why",
    "status",
    "does_not_show",
    "would_change",
    "other_events",
]
STATUS = {"jitter": "this run", "seed": "this recipe"}
OBSERVED, EXPLORATORY, NOT_TESTED = "observed", "exploratory", "not tested"


@dataclass(frozen=True)
class Elsewhere:
    """What a row would be by another event than its own, its guards and Holm's method left aside."""

    event: str
    threshold: float
    value: float
    verdict: str

    @property
    def said(self) -> str:
        return f"{self.event.replace('_', ' ')} {self.threshold:g}: {self.value:.3g}, {self.verdict}"


@dataclass(frozen=True)
class Verdict:
    """A row of the scoreboard, and what Holm's method needs.

    Attributes:
        elsewhere: the same by the other events of the arms table.
        p: the least one-sided level at which the verdict still holds; NaN where there is none.
        found: the number that was judged, if there is one.
    """

    prediction: Prediction
    verdict: str
    why: str
    would_change: str
    status: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    found: Measured | None = None
    elsewhere: tuple[Elsewhere, ...] = ()

    def __str__(self) -> str:
        of = self.prediction
        return f"{of.theory}, {of.name}: {self.verdict}. {self.why}"

    def _repr_html_(self) -> str:
        return html_card.shown_anyway(f"{self.prediction.theory}: {self.verdict}", self._card)

    def _card(self) -> list[str]:
        row = self.row
        said = {"prediction": row["prediction"], "statistic": row["statistic"], "found": self.interval}
        said |= {name.replace("_", " "): row[name] for name in ("why", "rival", "status", "would_change")}
        said["does not show"] = row["does_not_show"]
        return [html_card.lines({label: value for label, value in said.items() if value not in (None, "")})]

    @property
    def interval(self) -> str:
        """Its number with the interval, three digits; a dash where there is none."""
        if math.isnan(self.value):
            return html_card.number(self.value)
        return f"{self.value:.3g} ({html_card.number(self.low)} to {html_card.number(self.high)})"

    @property
    def row(self) -> dict[str, object]:
        """The columns of the scoreboard."""
        of = self.prediction
        values = (
            of.theory, of.name, self.verdict, described(of.statistic), self.value, self.low, self.high, of.rival,
            ", ".join(of.arms), of.primary, self.why, self.status, of.does_not_show, self.would_change,
            "; ".join(other.said for other in self.elsewhere),
        )  # fmt: skip
        return dict(zip(COLUMNS, values, strict=True))


class Verdicts(list[Verdict]):
    """Verdicts, a list that a notebook shows as a table. Rows never add up to a score."""

    def _repr_html_(self) -> str:
        def parts() -> list[str]:
            rows = [(v.prediction.theory, v.prediction.name, v.verdict, v.interval, v.status) for v in self]
            return [html_card.grid(("theory", "prediction", "verdict", "found", "status"), rows)]

        return html_card.shown_anyway(f"Verdicts on {number_of(len(self), 'prediction')}", parts)


def judged(
    prediction: Prediction,
    arms: pd.DataFrame | None,
    levels: pd.DataFrame | None,
    observed: Mapping[str, pd.DataFrame],
    *,
    branch_steps: Sequence[int] = (),
    is_locked: bool = False,
) -> Verdict:
    """The verdict on one prediction, by itself: `scoreboard` corrects primary rows for their number.

    Args:
        arms: as `check_arms` returns it, pairs of one kind; None without.
        levels: quantities that are not times; None without.
        observed: the tables of the observed run by name.
        branch_steps: the main one first.
        is_locked: whether it was written down before the arms were trained.

    Raises:
        ValueError: if the tables hold pairs of both kinds.
    """
    return judged_by(prediction, Evidence(arms, levels, observed, tuple(branch_steps)), is_locked=is_locked)


def judged_by(prediction: Prediction, evidence: Evidence, *, is_locked: bool) -> Verdict:
    """As `judged`, by evidence that serves several predictions."""
    status = _status(prediction, evidence, is_locked)
    try:
        found = measured(prediction, evidence)
        for guard in prediction.guards:
            _check(prediction, evidence, guard)
    except NotTestable as error:
        status = status if status in (EXPLORATORY, OBSERVED) else NOT_TESTED
        change = f"{prediction.needs}: {prediction.command}"
        return Verdict(prediction, NOT_TESTABLE, f"Not there: {error}.", change, status)
    except NotEvaluable as error:
        change = "A run, or an arm, in which this check holds."
        return Verdict(prediction, NOT_EVALUABLE, f"The check failed: {error}.", change, status)
    low, high = found.interval(LEVEL)
    verdict = side(prediction, low, high)
    row = Verdict(prediction, verdict, "", "", status, found.value, low, high, found=found)
    row = replace(
        row,
        p=_p(row) if prediction.primary and verdict != UNDECIDED else math.nan,
        elsewhere=_by_other_events(prediction, evidence),
    )
    return replace(row, why=why(row), would_change=_change(row, ALPHA))


def _change(row: Verdict, alpha: float) -> str:
    assert row.found is not None
    return would_change(row, alpha, side(row.prediction, *row.found.interval(0.0)))


def _by_other_events(prediction: Prediction, evidence: Evidence) -> tuple[Elsewhere, ...]:
    """The verdict by each event and threshold of the arms table that is not the prediction's own."""
    statistic = prediction.statistic
    if not isinstance(statistic, Timed):
        return ()
    out = []
    for event, threshold in evidence.events:
        if (event, threshold) == (statistic.event, statistic.threshold):
            continue
        other = replace(statistic, event=event, threshold=float(threshold))
        try:
            found = measured(prediction, evidence, other)
        except (NotTestable, NotEvaluable):
            continue
        verdict = side(prediction, *found.interval(LEVEL))
        out.append(Elsewhere(event, float(threshold), found.value, verdict))
    return tuple(out)


def side(prediction: Prediction, low: float, high: float) -> str:
    """The verdict that an interval gives."""
    required, forbidden, rival = prediction.required, prediction.forbidden, prediction.rival_region
    if required.holds(low, high):
        return SUPPORTED if rival is not None and rival.excludes(low, high) else CONSISTENT
    is_forbidden = required.excludes(low, high) if forbidden is None else forbidden.holds(low, high)
    return CONTRADICTED if is_forbidden else UNDECIDED


def _check(prediction: Prediction, evidence: Evidence, guard: Guard) -> None:
    """Refuse unless the guard's statistic is there and lies in its region."""
    try:
        found = measured(prediction, evidence, guard.statistic)
    except NotTestable as error:
        raise NotTestable(f"{error}, for the check that {guard.says}") from None
    # A ratio of 0, or without end, is one of an event that did not come: there are bounds alone.
    if math.isfinite(found.value) and not (found.is_log and found.value == 0):
        if not guard.region.holds(found.value, found.value):
            raise NotEvaluable(f"{guard.says} ({described(guard.statistic)} is {found.value:.3g})")
        return
    low, high = found.interval(LEVEL)
    if not guard.region.holds(low, high):
        raise NotEvaluable(f"{guard.says} ({described(guard.statistic)} is {low:.3g} to {high:.3g})")


def _status(prediction: Prediction, evidence: Evidence, is_locked: bool) -> str:
    kinds = evidence.kinds
    if len(kinds) > 1:
        raise ValueError(
            "A verdict needs pairs of one kind, got jitter and seed. They answer different questions, about this run "
            "and about this recipe: judge them one by one, as `scoreboard` does."
        )
    if not is_locked:
        return EXPLORATORY
    if isinstance(prediction.statistic, Observed):
        return OBSERVED
    return STATUS[kinds[0]] if kinds else NOT_TESTED


def holm(p: Sequence[float], alpha: float) -> list[bool]:
    """Which of these hypotheses Holm's method rejects at this family-wise level.

    >>> holm([0.01, 0.04, 0.03], 0.05)  # 0.01 <= 0.05/3, but 0.03 > 0.05/2
    [True, False, False]
    """
    order = sorted(range(len(p)), key=lambda i: p[i])
    rejected, goes_on = [False] * len(p), True
    for rank, i in enumerate(order):
        goes_on = goes_on and p[i] <= alpha / (len(p) - rank)
        rejected[i] = goes_on
    return rejected


def corrected(rows: Sequence[Verdict]) -> list[Verdict]:
    """The rows after Holm's method over the primary ones that have a number; what it takes away is undecided.

    An undecided primary row counts too: it was tested, and its p is above the level.
    """
    family = [i for i, row in enumerate(rows) if row.prediction.primary and row.found is not None]
    p = [1.0 if math.isnan(rows[i].p) else rows[i].p for i in family]
    out = list(rows)
    for i, stands in zip(family, holm(p, ALPHA), strict=True):
        row = rows[i]
        if row.verdict != UNDECIDED and not stands:
            lost = f"It is {row.verdict} by itself (p = {row.p:.2g}), not after Holm's correction"
            text = f"{row.why} {lost} for {len(family)} primary rows."
            undecided = replace(row, verdict=UNDECIDED, why=text)
            out[i] = replace(undecided, would_change=_change(undecided, ALPHA / len(family)))
    return out


def _p(row: Verdict) -> float:
    """The least one-sided level at which the interval still gives the verdict, by bisection of its logarithm."""
    assert row.found is not None
    low, high = math.log(1e-12), math.log(ALPHA)
    if side(row.prediction, *row.found.interval(1 - 2 * math.exp(low))) == row.verdict:
        return math.exp(low)
    for _ in range(20):
        middle = (low + high) / 2
        holds = side(row.prediction, *row.found.interval(1 - 2 * math.exp(middle))) == row.verdict
        low, high = (low, middle) if holds else (middle, high)
    return math.exp(high)

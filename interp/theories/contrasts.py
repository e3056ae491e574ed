"""D of arms by pairs, with its brackets, and sums of its logarithms: what every statistic of arms is made of.

References: Kalbfleisch and Prentice 2002, "The statistical analysis of failure time data" (brackets and censoring).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from interp.ground.plain_text import number_of
from interp.theories.effects import ln_bounds
from interp.theories.reading import NotEvaluable, NotTestable
from interp.theories.statistic import named

Term = tuple[float, str, float | None]


@dataclass(frozen=True)
class Evidence:
    """The tables that predictions are judged by.

    Attributes:
        arms, levels: one kind of pairs (jitter or seed), or None.
        observed: the tables of the observed run by name.
        branch_steps: the main one first; an arm that has no rows there is read at the first step that it has.
    """

    arms: pd.DataFrame | None
    levels: pd.DataFrame | None
    observed: Mapping[str, pd.DataFrame]
    branch_steps: tuple[int, ...] = ()
    # Some hundred predictions ask for the same few arms again and again.
    _durations: dict[tuple[Any, ...], pd.DataFrame] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def arms_by_name(self) -> dict[str, pd.DataFrame]:
        return _by_name(self.arms)

    @cached_property
    def levels_by_name(self) -> dict[str, pd.DataFrame]:
        return _by_name(self.levels)

    @cached_property
    def events(self) -> list[tuple[str, float]]:
        """Events and thresholds of the table of arms."""
        if self.arms is None or not len(self.arms):
            return []
        pairs = self.arms[["event", "threshold"]].drop_duplicates()
        return list(pairs.itertuples(index=False, name=None))

    @cached_property
    def kinds(self) -> list[str]:
        """Kinds of pairs in the tables."""
        tables = (t for t in (self.arms, self.levels) if t is not None and len(t))
        return sorted({kind for table in tables for kind in table["kind"].unique()})


def _by_name(table: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    if table is None or not len(table):
        return {}
    return {str(arm): rows for arm, rows in table.groupby("arm", sort=False)}


@dataclass(frozen=True)
class Contrast:
    """A sum over arms, by pairs.

    Attributes:
        low, high: its bounds; infinite where an event was not seen.
        value: what the first evaluations with the event give; infinite where one was not seen, NaN where several.
        said: how many pairs, in words.
    """

    low: np.ndarray
    high: np.ndarray
    value: np.ndarray
    said: str


def durations(
    evidence: Evidence, arm: str, dose: float | None, event: str, threshold: float, branch_step: int
) -> pd.DataFrame:
    """Bounds of ln D of an arm, by pair: `low`, `high`, infinite where the event did not come.

    Raises:
        NotTestable: if the arm was not trained, or not with this event.
        NotEvaluable: if none of its rows passed its checks.
    """
    asked = (arm, dose, event, threshold, branch_step)
    if asked not in evidence._durations:
        evidence._durations[asked] = _durations(evidence, *asked)
    return evidence._durations[asked]


def _durations(
    evidence: Evidence, arm: str, dose: float | None, event: str, threshold: float, branch_step: int
) -> pd.DataFrame:
    rows = rows_of(evidence.arms_by_name, arm, dose)
    rows = rows[rows["branch_step"] == branch_step]
    rows = rows[(rows["event"] == event) & np.isclose(rows["threshold"], threshold)]
    if not len(rows):
        raise NotTestable(
            f"{named(arm, dose)} has no rows of {event} {threshold:g} at branch step {branch_step}"
        )
    rows = valid_rows(rows, arm, dose)
    rows = rows[~(rows["step"] <= 0)]
    if not len(rows):
        raise NotEvaluable(f"{named(arm, dose)}: {event} {threshold:g} held at the branch already")
    low, high = ln_bounds(rows)
    return pd.DataFrame({"low": low, "high": high}, index=rows["pair"].to_numpy())


def rows_of(by_name: Mapping[str, pd.DataFrame], arm: str, dose: float | None) -> pd.DataFrame:
    """The rows of an arm at a dose, of a table by arms; NotTestable without any."""
    if not by_name:
        raise NotTestable(f"{named(arm, dose)} was not trained: there is no table of arms or levels")
    rows = by_name.get(arm)
    if rows is not None:
        doses = rows["dose"].to_numpy(float)
        rows = rows[np.isnan(doses) if dose is None else np.isclose(doses, dose)]
    if rows is None or not len(rows):
        raise NotTestable(f"{named(arm, dose)} was not trained")
    return rows


def valid_rows(rows: pd.DataFrame, arm: str, dose: float | None) -> pd.DataFrame:
    """Those of an arm's rows whose manipulation checks passed; NotEvaluable, with the checks, without any."""
    is_valid = rows["valid"].astype(bool)
    if not is_valid.any():
        reasons = dict.fromkeys(str(why) for why in rows["why_not"].dropna() if str(why))
        raise NotEvaluable(
            f"{named(arm, dose)} did not do what it says: {'; '.join(reasons) or 'no reason given'}"
        )
    return rows[is_valid]


def branch_of(evidence: Evidence, arms: Sequence[str]) -> int:
    """The branch step at which all the arms are compared.

    Raises:
        NotTestable: if one was not trained, or they share none.
    """
    steps = [set(any_dose(evidence, arm)["branch_step"].astype(int)) for arm in arms]
    common = set.intersection(*steps)
    if not common:
        raise NotTestable(f"{', '.join(arms)} have no branch step in common")
    return next((step for step in evidence.branch_steps if step in common), min(common))


def any_dose(evidence: Evidence, arm: str) -> pd.DataFrame:
    """The rows of an arm at all doses; NotTestable without any."""
    rows = evidence.arms_by_name.get(arm)
    if rows is None:
        raise NotTestable(f"{arm} was not trained")
    return rows


def contrast(
    evidence: Evidence, statistic: Any, terms: Sequence[Term], *, branch_step: int | None = None
) -> Contrast:
    """Sum of coefficient * ln D over the terms, by the pairs that have all of them.

    Raises:
        NotTestable, NotEvaluable: as `lined_up`.
    """
    by_arm = lined_up(evidence, statistic, [(arm, dose) for _, arm, dose in terms], branch_step)
    return weighted([coefficient for coefficient, _, _ in terms], by_arm)


def weighted(coefficients: Sequence[float], by_arm: Sequence[pd.DataFrame]) -> Contrast:
    """Sum of coefficient * ln D over arms whose pairs are lined up."""
    low, high, value = np.zeros((3, len(by_arm[0])))
    for coefficient, d in zip(coefficients, by_arm, strict=True):
        if coefficient:
            bounds = d.to_numpy()
            ends = bounds * coefficient
            low, high = low + ends.min(axis=1), high + ends.max(axis=1)
            with np.errstate(invalid="ignore"):
                value = value + ends[:, 1]
    return Contrast(low, high, value, counted(by_arm))


def difference(arm: pd.DataFrame, over: pd.DataFrame, unit: Any = 1.0) -> Contrast:
    """D of one arm less that of another, by pairs, in steps or in the units given for each pair."""
    a, b = np.exp(arm.to_numpy()), np.exp(over.to_numpy())
    with np.errstate(invalid="ignore"):
        value = a[:, 1] - b[:, 1]
    return Contrast(
        (a[:, 0] - b[:, 1]) / unit, (a[:, 1] - b[:, 0]) / unit, value / unit, counted([arm, over])
    )


def lined_up(
    evidence: Evidence,
    statistic: Any,
    arms: Sequence[tuple[str, float | None]],
    branch_step: int | None = None,
) -> list[pd.DataFrame]:
    """Durations of each arm, over the pairs that all of them have, in one order.

    Raises:
        NotTestable, NotEvaluable: as `durations`; if no pair has all arms, or all events lie at the first evaluation.
    """
    if branch_step is None:
        branch_step = branch_of(evidence, [arm for arm, _ in arms])
    found = [
        durations(evidence, arm, dose, statistic.event, statistic.threshold, branch_step)
        for arm, dose in arms
    ]
    common = sorted(set.intersection(*[set(d.index) for d in found]), key=str)
    if not common:
        raise NotEvaluable(
            f"no pair has {' and '.join(named(*arm) for arm in arms)} with their checks passed"
        )
    found = [d.loc[common] for d in found]
    if all(np.isneginf(d["low"]).all() and np.isfinite(d["high"]).all() for d in found):
        raise NotEvaluable(
            "every event lies at the first evaluation: the evaluation grid is coarser than the effect"
        )
    return found


def counted(by_arm: Sequence[pd.DataFrame]) -> str:
    n = len(by_arm[0])
    censored = int(np.any([np.isposinf(d.to_numpy()[:, 1]) for d in by_arm], axis=0).sum())
    return number_of(n, "pair") + (f", {censored} with an event that did not come" if censored else "")

"""When will a run generalise? Its own curve extrapolated and corrected by one factor, with an interval by families.

A straight line through the last third of what was seen of a measure gives a step: that at which the test loss is 0, or
a Gini coefficient what it typically is when runs generalise. Of other runs, whose end is known, one factor is learned,
and how far such forecasts go wrong. The interval is a conformal one by family (a setting of modulus, train fraction and
so on): a new run is of a family that was not seen, and runs of one family go wrong together. It is one of "when, if it
does"; "will it" is another question, of `chance`.

A measure that does not head there gives no answer, and neither does one that would have to be extrapolated further than
`REACH` times what was seen.

References: Vovk et al. 2005 (conformal prediction); Dunn, Wasserman and Ramdas 2022, "Distribution-free prediction sets
for two-layer hierarchical models" (pooled distributions of groups); Kaplan and Meier 1958.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import CensoredData, ecdf

# Share of the steps seen that the line is laid through, at their end.
WINDOW = 1 / 3
LEAST_POINTS = 4
# Times the steps seen beyond which nothing is forecast.
REACH = 10.0
# Of the intervals: with K families they are finite from K = 9 on.
LEVEL = 0.8
# Times the raw step that a run has to have been trained for to be learned from: a later end would not have been seen.
ROOM = 2.0
# Steps at which a run is looked at, in times of its memorization step.
MULTIPLES = (1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0)

# The measures: a column of the history; Gini coefficients, for which no test data are needed, of `fourier_sparsity`.
TEST_LOSS, GINI_W_E, GINI_W_L = "test_loss", "gini_W_E", "gini_W_L"
MEASURES = (TEST_LOSS, GINI_W_E, GINI_W_L)


@dataclass(frozen=True)
class Line:
    """Where a straight line through the end of a curve arrives.

    Attributes:
        step: at which it has the level; None where it gives none.
        why_not: in words, where it gives none.
    """

    step: float | None
    why_not: str = ""


def extrapolated(steps: np.ndarray, values: np.ndarray, at: float, level: float) -> Line:
    """The step at which a line through the last third of what was seen by `at` has the level.

    Args:
        steps, values: (evaluation) of the curve, also later ones, which are not looked at.
        at: the last step that counts as seen.
    """
    window = (steps <= at) & (steps >= (1 - WINDOW) * at)
    if window.sum() < LEAST_POINTS:
        return Line(None, "too few evaluations or checkpoints")
    x, y = steps[window], values[window]
    if not np.isfinite(y).all():
        return Line(None, "values that are no numbers")
    slope, begins = np.polyfit(x - at, y, 1)
    rest = level - begins
    if rest * (level - values[0]) <= 0:
        # It is there already.
        return Line(float(at))
    if slope * rest <= 0:
        return Line(None, "does not head there")
    step = at + rest / slope
    return Line(float(step)) if step <= REACH * at else Line(None, f"more than {REACH:g} times what was seen")


def levels(curves: Mapping[str, pd.DataFrame], runs: pd.DataFrame) -> dict[str, float]:
    """What each measure is when a run generalises: 0 of the test loss, of the others the median over the runs.

    Args:
        curves: by measure: run, step, value.
        runs: `run` and `grokking_step`, missing where it has not come.
    """
    events = runs.dropna(subset=["grokking_step"]).set_index("run")["grokking_step"].astype(float)
    found = {TEST_LOSS: 0.0}
    for measure, table in curves.items():
        if measure in found:
            continue
        at = [
            float(np.interp(events[run], rows["step"], rows["value"]))
            for run, rows in table.groupby("run", observed=True)
            if run in events.index
        ]
        if at:
            found[measure] = float(np.median(at))
    return found


def curves_of(histories: pd.DataFrame, sparsity: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
    """The measures as tables of run, step and value.

    Args:
        histories: run, step, test_loss.
        sparsity: of the probe `fourier_sparsity`, with run: step, matrix, gini.
    """
    loss = histories.dropna(subset=["test_loss"])
    found = {TEST_LOSS: loss[["run", "step", "test_loss"]].rename(columns={"test_loss": "value"})}
    # Of tasks without residues the probe has an empty table, without its columns.
    if sparsity is not None and len(sparsity):
        for matrix in ("W_E", "W_L"):
            rows = sparsity[sparsity["matrix"] == matrix]
            found[f"gini_{matrix}"] = rows[["run", "step", "gini"]].rename(columns={"gini": "value"})
    return found


def looks(
    curves: Mapping[str, pd.DataFrame], runs: pd.DataFrame, level: Mapping[str, float], fields: Sequence[str]
) -> pd.DataFrame:
    """What each measure of each complete run says at multiples of its memorization step, before it has generalised.

    Args:
        curves: of `curves_of`.
        runs: of a sweep: run, memorization_step, grokking_step, grokking_before, and the fields.
        level: of `levels`.

    Columns: run, the fields, measure, multiple, seen (step), raw (extrapolated step, missing without an answer),
    why_not, event (grokking step, missing where it has not come), budget (last step of the run).
    """
    rows = []
    of = {m: dict(iter(table.groupby("run", observed=True))) for m, table in curves.items() if m in level}
    for run in runs[(runs["memorization_step"] > 0) & (runs["status"] == "complete")].to_dict("records"):
        event = np.nan if pd.isna(run["grokking_step"]) else float(run["grokking_step"])
        budget = float(run["step"])
        for measure, by_run in of.items():
            if run["run"] not in by_run:
                continue
            curve = by_run[run["run"]]
            steps, values = curve["step"].to_numpy(float), curve["value"].to_numpy(float)
            for multiple in MULTIPLES:
                seen = multiple * float(run["memorization_step"])
                if seen > budget or (not np.isnan(event) and seen >= event):
                    break
                line = extrapolated(steps, values, seen, level[measure])
                rows.append(
                    {"run": run["run"], **{name: run[name] for name in fields}}
                    | {"measure": measure, "multiple": multiple, "seen": seen}
                    | {"raw": np.nan if line.step is None else line.step, "why_not": line.why_not}
                    | {"event": event, "budget": budget}
                )
    columns = ["run", *fields, "measure", "multiple", "seen", "raw", "why_not", "event", "budget"]
    return pd.DataFrame(rows, columns=columns)


def usable(table: pd.DataFrame) -> pd.DataFrame:
    """Looks from which something is learned: of runs that generalised, and were trained for twice the raw step.

    What is learned is when a run generalises that does: those that never do are counted apart, as false alarms. Adds
    `error` (decades: log10 of the event over the raw step) and `weight` (each family counts as much as another, each
    of its runs and each look of a run).
    """
    found = table[table["event"].notna() & (ROOM * table["raw"] <= table["budget"])].copy()
    found["error"] = np.log10(found["event"]) - np.log10(found["raw"])
    by_run = found.groupby(["measure", "family", "run"], observed=True)["error"].transform("size")
    n_runs = found.groupby(["measure", "family"], observed=True)["run"].transform("nunique")
    found["weight"] = 1.0 / (by_run * n_runs)
    return found


def with_families(table: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """The looks with a column `family`: the setting of these fields, or one family where there are none."""
    if not fields:
        return table.assign(family="all")
    return table.assign(family=[repr(key) for key in table[list(fields)].itertuples(index=False, name=None)])


@dataclass(frozen=True)
class Calibration:
    """What forecasts of one measure went wrong by on runs whose end is known.

    Attributes:
        errors: (look) in decades, of runs that generalised.
        weights: (look) that sum to 1 in each family.
        n_families: of them.
    """

    errors: np.ndarray
    weights: np.ndarray
    n_families: int

    def quantile(self, level: float, *, is_upper: bool) -> float:
        """The end of an interval, beyond which lie at most 1 - level of a new family's errors; infinite if unknown.

        Of the pooled distribution of the families, and one more of which nothing is known.
        """
        sign = 1.0 if is_upper else -1.0
        order = np.argsort(sign * self.errors)
        mass = np.cumsum(self.weights[order]) / (self.n_families + 1)
        at = int(np.searchsorted(mass, level - 1e-12))
        return float(self.errors[order][at]) if at < len(mass) else sign * np.inf

    @property
    def shift(self) -> float:
        """The factor by which a raw step is corrected, in decades: the median error."""
        order = np.argsort(self.errors)
        mass = np.cumsum(self.weights[order]) / self.weights.sum()
        return float(self.errors[order][int(np.searchsorted(mass, 0.5 - 1e-12))])

    def forecast(self, raw: float) -> tuple[float, float, float]:
        """Step, and the interval's ends, of a raw step; infinite where there is no end."""
        tail = (1 - LEVEL) / 2
        ends = self.quantile(1 - tail, is_upper=False), self.quantile(1 - tail, is_upper=True)
        return tuple(float(raw * 10.0**x) for x in (self.shift, *ends))  # type: ignore[return-value]


def calibration(table: pd.DataFrame, measure: str) -> Calibration | None:
    """Of a measure, from `usable` looks; None where there are none."""
    own = table[table["measure"] == measure]
    if not len(own):
        return None
    return Calibration(
        own["error"].to_numpy(float), own["weight"].to_numpy(float), int(own["family"].nunique())
    )


def chance(runs: pd.DataFrame, seen: float, horizon: float) -> float:
    """The share of runs that generalise by `horizon` times their memorization step, of those that had not by `seen`.

    Of the Kaplan-Meier curve over all runs that memorized; NaN where none was seen for so long. It is what runs of
    these recipes do, whatever one's own curves say.

    Args:
        runs: memorization_step, grokking_step, grokking_before.
    """
    known = runs[runs["memorization_step"].notna() & (runs["memorization_step"] > 0)]
    has_come = known["grokking_step"].notna()
    at = known["grokking_step"].where(has_come, known["grokking_before"]).astype(float)
    times = (at / known["memorization_step"].astype(float)).to_numpy()
    come = has_come.to_numpy()
    if not (times > seen).any() or horizon > times.max():
        return float("nan")
    curve = ecdf(CensoredData(uncensored=times[come], right=times[~come])).sf
    before, after = curve.evaluate(seen), curve.evaluate(horizon)
    return float(1 - after / before) if before > 0 else float("nan")

"""What was learned from runs whose end is known, kept as JSON, and the forecast for another run."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interp.ground.judged import judged_accuracy
from interp.ground.plain_text import listed
from interp.ground.thresholds import ACCURACY
from interp.tables.accuracies import judged_column, memorizes_nothing
from interp.theories.forecast import (
    LEVEL,
    MEASURES,
    TEST_LOSS,
    Calibration,
    calibration,
    chance,
    curves_of,
    extrapolated,
    levels,
    looks,
    usable,
    with_families,
)

BUNDLED = Path(__file__).with_name("forecaster.json")
# What ships with the package holds numbers to so many digits.
DIGITS = 5


@dataclass(frozen=True)
class Forecaster:
    """What was learned from other runs.

    Attributes:
        levels: by measure, what it is when a run generalises.
        calibrations: by measure.
        runs: of those that memorized: memorization_step, grokking_step, grokking_before; for `chance`.
        about: of which runs, in words and numbers; tasks: the families of their tasks.
    """

    levels: Mapping[str, float]
    calibrations: Mapping[str, Calibration]
    runs: pd.DataFrame
    about: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "about": dict(self.about),
            "levels": {name: round(x, DIGITS) for name, x in self.levels.items()},
            "calibrations": {
                name: {
                    "errors": [round(float(x), DIGITS) for x in one.errors],
                    "weights": [round(float(x), 2 * DIGITS) for x in one.weights],
                    "n_families": one.n_families,
                }
                for name, one in self.calibrations.items()
            },
            "runs": [
                [None if pd.isna(x) else int(x) for x in row]
                for row in self.runs[list(TIMES)].itertuples(index=False, name=None)
            ],
        }


NOT_MEASURED = "not measured"
NUMBERS = ("raw", "step", "low", "high")
TIMES = ("memorization_step", "grokking_step", "grokking_before")


def forecaster(
    runs: pd.DataFrame, curves: Mapping[str, pd.DataFrame], fields: Sequence[str], about: Mapping[str, Any]
) -> Forecaster:
    """Learned from these runs.

    Args:
        runs: of a sweep.
        curves: of `interp.theories.forecast.curves_of`.
        fields: whose settings are families.

    Raises:
        ValueError: if no run says anything of when runs generalise.
    """
    at = levels(curves, runs)
    table = usable(with_families(looks(curves, runs, at, fields), fields))
    learned = {measure: calibration(table, measure) for measure in MEASURES}
    found = {measure: one for measure, one in learned.items() if one is not None}
    if not found:
        raise ValueError(
            "A forecast is learned from runs that generalised some time after they memorized, and none of these did. "
            "Train them for longer, or learn from a sweep with some that did."
        )
    memorized = runs.loc[runs["memorization_step"].notna(), list(TIMES)].reset_index(drop=True)
    n_families = len(runs.groupby(list(fields), dropna=False)) if fields else 1
    return Forecaster(at, found, memorized, {**about, "n_runs": len(runs), "n_families": n_families})


def read_forecaster(path: Path = BUNDLED) -> Forecaster:
    """What `Forecaster.to_json` gave; by default what was learned from the project's sweeps.

    Raises:
        ValueError: if the file holds something else.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
        calibrations = {
            name: Calibration(
                np.array(x["errors"], float), np.array(x["weights"], float), int(x["n_families"])
            )
            for name, x in value["calibrations"].items()
        }
        runs = pd.DataFrame(value["runs"], columns=list(TIMES), dtype="float64").astype("Int64")
        return Forecaster(dict(value["levels"]), calibrations, runs, dict(value["about"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds nothing that forecasts were learned from: {error}.") from error


def forecasts(learned: Forecaster, curves: Mapping[str, pd.DataFrame], seen: float) -> pd.DataFrame:
    """What each measure of one run says, by what was seen up to a step.

    Args:
        curves: of `curves_of`, of one run.
        seen: step; what came later is not looked at.

    Columns: measure, seen, raw, step, low, high (an interval of LEVEL), why_not (in words, without an answer).
    """
    rows = []
    for measure in MEASURES:
        row: dict[str, Any] = {"measure": measure, "seen": seen, **dict.fromkeys(NUMBERS, np.nan)}
        if measure not in curves or not len(curves[measure]):
            why = NOT_MEASURED
        elif measure not in learned.calibrations or measure not in learned.levels:
            why = "nothing was learned of it"
        else:
            table = curves[measure].sort_values("step")
            line = extrapolated(
                table["step"].to_numpy(float), table["value"].to_numpy(float), seen, learned.levels[measure]
            )
            why = line.why_not
            if line.step is not None:
                row["raw"] = line.step
                found = learned.calibrations[measure].forecast(line.step)
                # It has not come by what was seen.
                row |= dict(zip(("step", "low", "high"), (max(x, seen) for x in found), strict=True))
        rows.append({**row, "why_not": why})
    return pd.DataFrame(rows)


def why_not(history: pd.DataFrame) -> str:
    """Why nothing can be forecast of a run, whatever its curves say; empty where something can.

    Args:
        history: of `Run.history()`.
    """
    if memorizes_nothing(history):
        return (
            "it sees fresh rows at every step and memorizes none. Forecasts were learned from runs that do, so that "
            "nothing is forecast."
        )
    if judged_column(history, "test") != "test_accuracy":
        return (
            "it asks what nobody can foresee too. Its test loss does not fall to 0, where forecasts by it lead, so "
            "that nothing is forecast."
        )
    return ""


def unlike(about: Mapping[str, Any], task: str | None, minimises: str | None) -> list[str]:
    """In what a run differs from all that was learned from, in sentences.

    Args:
        about: of a `Forecaster`.
        task, minimises: the family of the run's task and its loss, where they are known.
    """
    said = []
    if (learned_of := about.get("tasks")) and task not in learned_of:
        said.append(
            f"Those learned {listed(learned_of)} tasks. This one learns {task or 'another one'}, of which nothing was "
            "learned: --learn names runs that did."
        )
    if minimises not in (None, "cross-entropy"):
        said.append(
            f"Those minimised cross-entropy, and their test loss fell to 0. This run minimises {minimises}, with which "
            "it need not: its forecast by the test loss may be far too late."
        )
    return said


def chance_by(learned: Forecaster, memorized: int, seen: float, horizon: float) -> float:
    """The share of the runs learned from that generalise by the horizon, of those like this one so far: `chance`.

    Args:
        memorized: memorization step of the run.
        seen, horizon: steps.
    """
    return chance(learned.runs, seen / memorized, horizon / memorized)


def live(learned: Forecaster) -> Callable[[Sequence[Mapping[str, Any]]], str]:
    """A function from the evaluations of a run so far to what its test loss forecasts, in a few words.

    Empty until it has memorized, and once it has generalised.
    """

    def said(rows: Sequence[Mapping[str, Any]]) -> str:
        table = pd.DataFrame([{k: row.get(k) for k in COLUMNS} for row in rows]).dropna()
        if not len(table) or table["train_accuracy"].iloc[-1] < ACCURACY:
            return ""
        if judged_accuracy(rows[-1], "test") >= ACCURACY:
            return ""
        if why_not(pd.DataFrame(rows[-1:])):
            return "groks: no forecast"
        curves = curves_of(table.assign(run="run"))
        found = forecasts(learned, curves, float(table["step"].iloc[-1]))
        (row,) = found[found["measure"] == TEST_LOSS].to_dict("records")
        return f"groks {in_words(row)}" if not row["why_not"] else "groks: no forecast"

    return said


COLUMNS = ("step", "train_accuracy", "test_accuracy", "test_loss")


def in_words(row: Mapping[str, Any]) -> str:
    """A forecast with its interval, to two digits.

    >>> in_words({"step": 5312.0, "low": 4100.0, "high": 9960.0})
    '~5,300 (4,100 to 10,000)'
    >>> in_words({"step": 5312.0, "low": 4100.0, "high": float("inf")})
    '~5,300 (4,100 or later)'
    """
    step, low, high = (_two_digits(row[name]) for name in ("step", "low", "high"))
    return f"~{step} ({low} or later)" if np.isinf(row["high"]) else f"~{step} ({low} to {high})"


def _two_digits(x: float) -> str:
    return f"{float(f'{x:.2g}'):,.0f}" if np.isfinite(x) else "never"


def interval_name() -> str:
    """Of the intervals, in words."""
    return f"{100 * LEVEL:.0f} % interval"

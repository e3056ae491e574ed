"""All that a page says, computed once: verdicts, effects, and what began when."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from interp.report.trial import FILES, OF_ARMS, about_in, lock_in, parents_of, texts_of
from interp.tables.outcome import Outcome, dated, outcome
from interp.tables.phases import can_tell, phases
from interp.tables.transitions import Transition, transition
from interp.theories import ALL, Lock, verdicts
from interp.theories.arms_table import BRANCH, check_arms, named
from interp.theories.effects import effects_and_reasons
from interp.theories.in_words import UNDECIDED
from interp.theories.locked_part import begun_before
from interp.theories.scoreboard import check_levels
from interp.theories.statistic import EVENT, THRESHOLD, Absent
from interp.theories.verdict import Verdict

ANSWERS = 1.0
_NOTHING = pd.DataFrame()
_OF_A_TRIAL = ("interp predict", "interp battery")


@dataclass(frozen=True, eq=False, kw_only=True)
class Account:
    """What a page is written from.

    Attributes:
        run, path: the run's name, and how it is named on the command line.
        lock: what was predicted before anything was trained; None: everything is exploratory.
        trial: what the trial says of itself.
        rows: a verdict a prediction and kind of pairs.
        arms, checks: of what was trained; empty where nothing was.
        levels: of what was trained, quantities that are not times; empty where there are none.
        curves: along its steps, by arm, dose and kind of pairs.
        effects: of the main event, with a label and why one is not decided.
        observed: tables of the parent run.
        ended: how the parent ended.
        phases: when its phases began.
        moves: what, before, step; in order.
        versions: of what made the tables.
    """

    run: str
    path: str
    lock: Lock | None
    trial: Mapping[str, Any]
    rows: tuple[Verdict, ...]
    arms: pd.DataFrame
    checks: pd.DataFrame
    levels: pd.DataFrame
    curves: Mapping[tuple[str, float | None, str], pd.DataFrame]
    effects: pd.DataFrame
    observed: Mapping[str, pd.DataFrame]
    ended: Outcome
    phases: Mapping[str, Transition]
    moves: pd.DataFrame
    versions: Mapping[str, str]

    @property
    def n_trained(self) -> int:
        """How many branches: an arm in a pair from a branch step."""
        return _n_branches(self.arms)

    @property
    def n_before_lock(self) -> int:
        """How many of them were begun before the lock was written; 0 where it is not known."""
        return 0 if self.lock is None else _n_branches(begun_before(self.lock, self.arms))

    @property
    def main_step(self) -> int:
        """The branch step of the lock's main arms; without a lock that of most rows."""
        return _main_step(self.lock, self.arms)

    @property
    def others(self) -> tuple[str, ...]:
        """The names of the runs of a recipe beside this one."""
        return () if self.lock is None else tuple(n for n in parents_of(self.lock) if n != self.run)

    @property
    def title(self) -> str:
        """The run by its name, with how many others of its recipe were tried."""
        n = len(self.others)
        return f"Run {self.run}" + (f" and {n} of other seeds" if n else "")

    def command(self, text: str) -> str:
        """A command with this run in it; one about a trial of several names them all, as they lie beside it."""
        runs = self.path
        if self.others and self.lock and text.startswith(_OF_A_TRIAL):
            runs = " ".join(os.path.join(os.path.dirname(self.path), name) for name in parents_of(self.lock))
        return re.sub(r"\bRUN\b", lambda _: runs, text)


def account(tables: Mapping[str, pd.DataFrame], about: Mapping[str, Any]) -> Account:
    """The account of a run from its tables.

    Args:
        tables: of the observed run by name, and those of `interp.report.trial.read_trial`.
        about: what is known of them: run, path, versions.

    Raises:
        ValueError: if the lock was edited, or the arms table contradicts itself.
    """
    texts = texts_of(tables)
    lock, trial = lock_in(texts, "the trial"), about_in(texts, "the trial")
    observed = {name: table for name, table in tables.items() if name not in (FILES, *OF_ARMS)}
    # A table of no rows holds no columns to check.
    arms, levels = (tables.get(name) for name in ("arms", "levels"))
    arms = None if arms is None or not len(arms) else check_arms(arms)
    levels = None if levels is None or not len(levels) else check_levels(levels)
    # What was locked as a number that nothing measured, and is measured now, is judged as what is new.
    known = (
        {(p.theory, p.name) for p in lock.predictions if not isinstance(p.statistic, Absent)}
        if lock
        else set()
    )
    rest = [p for theory in ALL for p in theory.predictions if (p.theory, p.name) not in known]
    rows = (
        verdicts(lock, arms, levels, observed, also=rest) if lock else verdicts(rest, arms, levels, observed)
    )
    ended, steps = outcome(observed), steps_of(observed)
    is_dated = can_tell(observed) and _has_key_set(observed)
    found = dated(phases(observed), steps) if is_dated else ended.begun(steps)
    return Account(
        run=str(about.get("run", "run")),
        path=_shown(str(about.get("path", about.get("run", "RUN")))),
        lock=lock,
        trial=trial,
        rows=tuple(sorted(rows, key=lambda row: _order(row.prediction.theory))),
        arms=_NOTHING if arms is None else arms,
        checks=tables.get("checks", _NOTHING),
        levels=_NOTHING if levels is None else levels,
        curves=_by_arm(tables.get("curves", _NOTHING)),
        effects=_NOTHING if arms is None else main_effects(arms, _main_step(lock, arms)),
        observed=observed,
        ended=ended,
        phases=found,
        moves=moves(observed, found),
        versions=about.get("versions", {}),
    )


def _n_branches(arms: pd.DataFrame) -> int:
    return len(arms.drop_duplicates(BRANCH)) if len(arms) else 0


def _shown(path: str) -> str:
    """A path as it would be typed here."""
    near = os.path.relpath(path) if os.path.isabs(path) else path
    return path if near.startswith(os.pardir) else near


def _by_arm(curves: pd.DataFrame) -> dict[tuple[str, float | None, str], pd.DataFrame]:
    if not len(curves):
        return {}
    groups = curves.sort_values("since", kind="stable").groupby(
        ["arm", "dose", "kind"], dropna=False, sort=False
    )
    return {(arm, None if math.isnan(dose) else dose, kind): part for (arm, dose, kind), part in groups}


def _main_step(lock: Lock | None, arms: pd.DataFrame) -> int:
    """The branch step of the lock's main arms; without a lock that of most rows."""
    return lock.branch_steps[0] if lock and lock.branch_steps else int(arms["branch_step"].mode().iloc[0])


def _order(theory: str) -> int:
    names = [known.name for known in ALL]
    return names.index(theory) if theory in names else len(names)


def steps_of(observed: Mapping[str, pd.DataFrame]) -> list[int]:
    """The checkpoints of which a table tells; those of the history are no checkpoints."""
    tables = [table for name, table in observed.items() if name != "history" and "step" in table]
    return sorted({int(step) for table in tables for step in table["step"]})


def _has_key_set(observed: Mapping[str, pd.DataFrame]) -> bool:
    measures = observed.get("progress_measures", _NOTHING)
    return not len(measures) or bool((measures["selection"] == "key").any())


def main_effects(
    arms: pd.DataFrame, main_step: int, event: str = EVENT, threshold: float = THRESHOLD
) -> pd.DataFrame:
    """The effects on one event, with a label each, and why those that are not decided are not.

    Args:
        main_step: where most arms branch: labels name another step alone.

    Columns:
        those of `effects`; label; why: "" where there is nothing to say.
    """
    found, reasons = effects_and_reasons(arms)
    found = found[(found["event"] == event) & (found["threshold"] == threshold)].reset_index(drop=True)
    return found.assign(
        label=[_label(row, found, main_step) for row in found.to_dict("records")],
        why=[_why(row, reasons) for row in found.to_dict("records")],
    )


def _label(row: Mapping[str, Any], found: pd.DataFrame, main_step: int) -> str:
    text = f"{named(row['arm'], row['dose'])} over {named(row['reference'], row['reference_dose'])}"
    if row.get("branch_step", main_step) != main_step:
        text += f", from step {row['branch_step']}"
    return text + (f", {row['kind']}s" if "kind" in row and found["kind"].nunique() > 1 else "")


def _why(row: Mapping[str, Any], reasons: pd.DataFrame) -> str:
    mine = pd.Series(True, index=reasons.index)
    for key in ("arm", "dose", "reference", "reference_dose", "event", "threshold", "branch_step", "kind"):
        if key in row:
            value = row[key]
            mine &= reasons[key].isna() if value != value else reasons[key] == value
    # The reason of a pair, a failed check say, tells more than that no pair is left.
    told = reasons[mine].sort_values("pair", ascending=False, kind="stable")["why"]
    return next(iter(dict.fromkeys(told)), "") if row["verdict"] in (UNDECIDED, "not evaluable") else ""


def moves(observed: Mapping[str, pd.DataFrame], found: Mapping[str, Transition]) -> pd.DataFrame:
    """What began on the parent, in the order of its brackets; what never came last.

    Columns:
        what; before, step: NaN where there is none.
    """
    named_phases = {
        "memorization": "train accuracy stays at 0.95",
        "circuit_formation": "excluded loss leaves its floor (circuit formation)",
        "cleanup": "norm falls faster (cleanup)",
        "grokking": "test accuracy stays at 0.95",
        "cleanup_end": "circuit and norm settle (cleanup ends)",
    }
    begun = {text: found[name] for name, text in named_phases.items() if name in found}
    # That a run has not collapsed is no event that it waits for.
    if "collapse" in found and found["collapse"].step is not None:
        begun["test accuracy falls below 0.95 for long (collapse)"] = found["collapse"]
    begun |= _below(observed, "restricted loss below 1 nat, keys of each checkpoint alone", "progress_measures",
                    measure="restricted_loss", selection="causal", split="all")  # fmt: skip
    begun |= _below(observed, "test loss below 1 nat", "losses", split="test")
    rows = [
        {"what": what, "before": _number(t.before), "step": _number(t.step)}
        for what, t in begun.items()
        if t.before is not None or t.step is not None
    ]
    table = pd.DataFrame(rows, columns=["what", "before", "step"])
    return table.sort_values(["step", "before"], ignore_index=True)


def _below(
    observed: Mapping[str, pd.DataFrame], what: str, name: str, **chosen: str
) -> dict[str, Transition]:
    table = observed.get(name, _NOTHING)
    for column, value in chosen.items():
        table = table[table[column] == value] if column in table else _NOTHING
    known = table.dropna(subset=["loss"]) if "loss" in table else _NOTHING
    return {what: transition(known, "loss", ANSWERS, "fall")} if len(known) else {}


def _number(step: int | None) -> float:
    return math.nan if step is None else float(step)

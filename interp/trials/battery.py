"""The battery: the arms of a lock are trained, as many at once as there are cores, and their outcomes gathered.

    OUT/predictions.json        the lock, without which nothing is trained
    OUT/branches/0/control/     the control of pair 0, an ordinary run; further arms and pairs beside it
    OUT/arms.csv, levels.csv, checks.csv, curves.csv, about.json

It can be stopped at any time, and goes on where it was.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from interp.ground.provenance import versions
from interp.networks.config import initial_weights
from interp.runs.run import Run, open_run
from interp.tables.folder import write_about, write_tables
from interp.theories import ALL
from interp.theories.lock import Lock
from interp.training.arms import Arm
from interp.training.branches import branch
from interp.training.data import Data
from interp.training.optimizer import Optimizer
from interp.training.paths import known_steps
from interp.training.several import Job, JobEnd, train_jobs
from interp.training.train import resume
from interp.trials.manipulation import manipulation_checks
from interp.trials.outcomes import arm_rows, as_table, check_rows, curve_rows, level_rows, values_at_event
from interp.trials.predicting import PREDICTIONS, Entry, entries_of, locked

BRANCHES, LEAD = "branches", "lead"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a battery will train.

    Attributes:
        entries: the arms, in the order in which they are begun.
        pairs: names of the pairs; the jitter of pair i has seed i + 1.
        left_out: arms of the lock that are not trained this time.
        seconds: an estimate of what is not there yet, from a few steps timed on this machine; lowest and highest.
    """

    entries: tuple[Entry, ...]
    pairs: tuple[str, ...]
    left_out: tuple[Entry, ...]
    seconds: tuple[float, float]
    n_processes: int


def plan(
    run: Run,
    out: Path,
    *,
    seconds: float | None = None,
    theories: Sequence[str] | None = None,
    n_pairs: int | None = None,
    n_processes: int = 2,
) -> Plan:
    """What to train of a lock: all, the arms of some theories, or what decides most within a time.

    Raises:
        ValueError: if there is no lock or it was edited, or there is no such theory.
    """
    lock = locked(out, run)
    entries = entries_of(lock, str(out / PREDICTIONS))
    pairs = tuple(str(i) for i in range(lock.n_pairs if n_pairs is None else n_pairs))
    wanted = entries if theories is None else _of_theories(lock, entries, theories)
    per_step = seconds_per_step(run)
    expected = lock.run["facts"]["to_grok"]
    chosen: list[Entry] = []
    low = high = 0.0
    for entry in _with_followed(wanted, entries):
        shortest, longest = _cost(out, entry, pairs, expected, per_step / n_processes)
        if seconds is not None and chosen and low + shortest > seconds:
            continue
        if any(key not in {e.key for e in chosen} for key in entry.follows.values()):
            continue
        chosen.append(entry)
        low, high = low + shortest, high + longest
    left = tuple(e for e in entries if e not in chosen)
    return Plan(entries=tuple(chosen), pairs=pairs, left_out=left, seconds=(low, high), n_processes=n_processes)


def train(run: Run, out: Path, planned: Plan, *, seconds: float | None = None) -> list[JobEnd]:
    """Train what is missing of a plan; what was trained before is taken as it is.

    Args:
        seconds: from then on nothing new is begun; what is begun is finished.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when everything is saved.
    """
    started = time.monotonic()
    lock = locked(out, run)
    lead = _lead(run, out, lock.run["lead"]) if any(e.from_lead for e in planned.entries) else run
    jobs = [_job(run, lead, out, entry, pair) for entry in planned.entries for pair in planned.pairs]
    return train_jobs(
        jobs, planned.n_processes, lambda: seconds is not None and time.monotonic() - started > seconds
    )


def gather(run: Run, out: Path) -> dict[str, pd.DataFrame]:
    """The tables of every arm that was trained to its end, written beside the lock.

    Raises:
        ValueError: as `locked`, or if no arm is done.
        RunError: if a branch is damaged.
    """
    lock = locked(out, run)
    entries = entries_of(lock, str(out / PREDICTIONS))
    arms, levels, checks, curves = [], [], [], []
    for entry, made in _trained(out, entries):
        control = _control(out, entry, made)
        found = manipulation_checks(made, control)
        arms += arm_rows(made, "jitter", found)
        checks += check_rows(made, "jitter", found)
        levels += level_rows(made, "jitter", found, values_at_event(made))
        curves.append(curve_rows(made, "jitter"))
    if not arms:
        raise ValueError(f"{out} holds no arm that was trained to its end. Train them: interp battery {run.path}.")
    tables = {
        "arms": as_table(arms),
        "levels": as_table(levels),
        "checks": as_table(checks),
        "curves": pd.concat(curves, ignore_index=True),
    }
    about = {
        "run": run.name,
        "lock": {"hash": lock.hash, "time": lock.time},
        "n_arms": int(tables["arms"].groupby(["arm", "dose", "branch_step"], dropna=False).ngroups),
        "versions": versions(),
    }
    write_tables(out, tables, about)
    write_about(out, about)
    return tables


def seconds_per_step(run: Run, n: int = 4) -> float:
    """What a step of this run's recipe takes here on one thread, with its share of an evaluation."""
    recipe = run.config.recipe()
    former = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        weights = {k: w.requires_grad_() for k, w in initial_weights(recipe.model, recipe.seed).items()}
        data, optimizer = Data(run.task, recipe, "cpu"), Optimizer(recipe.optimizer, weights, None)
        times = []
        for step in range(n + 1):
            started = time.perf_counter()
            logits_of, labels = data.batch(step)
            data.loss(logits_of(weights), labels).backward()
            optimizer.step(step)
            times.append(time.perf_counter() - started)
        started = time.perf_counter()
        data.evaluate(weights)
        evaluation = time.perf_counter() - started
    finally:
        torch.set_num_threads(former)
    # The first step also prepares; the least of the rest is disturbed least.
    return min(times[1:]) + evaluation / recipe.evaluation_interval


def train_arm(
    *, path: Path, run: Run, entry: Entry, pair: str, follows: dict[str, Path], threads: int
) -> None:
    """Train one arm of one pair to its end, which is no later than that of the paths that it follows."""
    followed = {name: open_run(where) for name, where in follows.items()}
    lengths = [known_steps(other) for other in followed.values()]
    branch(
        run,
        path,
        at=entry.at,
        budget=min([entry.budget, *lengths]),
        arm=entry.arm,
        pair=pair,
        jitter=int(pair) + 1,
        until=entry.until,
        follows=followed,
        threads=threads,
    )


def continue_arm(path: Path) -> None:
    """Go on with an arm that was stopped."""
    resume(path)


def folder(out: Path, pair: str, key: str) -> Path:
    """Where a branch lies."""
    return out / BRANCHES / pair / key


def _job(run: Run, lead: Run, out: Path, entry: Entry, pair: str) -> Job:
    follows = {name: folder(out, pair, key) for name, key in entry.follows.items()}
    parent = lead if entry.from_lead else run
    threads = 1
    return Job(
        path=folder(out, pair, entry.key),
        train=train_arm,
        arguments={"run": parent, "entry": entry, "pair": pair, "follows": follows, "threads": threads},
        goes_on=continue_arm,
        after=tuple(follows.values()),
    )


def _lead(run: Run, out: Path, span: dict[str, int]) -> Run:
    """The parent once more from a step with the optimizer's state to memorization, which is saved with it."""
    path = out / BRANCHES / LEAD
    if not (path / "run.json").exists():
        arm = Arm(name=LEAD)
        return branch(run, path, at=span["at"], budget=span["to"] - span["at"], arm=arm, save_optimizer=[span["to"]])
    made = open_run(path)
    return made if made.record.status == "complete" else resume(path)


def _of_theories(lock: Lock, entries: Sequence[Entry], theories: Sequence[str]) -> list[Entry]:
    known = {theory.name: theory for theory in ALL}
    if unknown := [name for name in theories if name not in known]:
        raise ValueError(f"There is no theory {unknown[0]!r}. There are: {', '.join(known)}.")
    names = {arm for p in lock.predictions if p.theory in theories for arm in p.arms}
    return [e for e in entries if e.arm.name in names]


def _with_followed(wanted: Iterable[Entry], entries: Sequence[Entry]) -> list[Entry]:
    """Those that are wanted and those whose path they follow or with which they are compared, in the lock's order."""
    by_key = {entry.key: entry for entry in entries}
    needed: set[str] = set()
    waiting = list(wanted)
    while waiting:
        entry = waiting.pop()
        if entry.key in needed:
            continue
        needed.add(entry.key)
        others = [by_key[key] for key in entry.follows.values() if key in by_key]
        others += [e for e in entries if e.at == entry.at and e.arm.name == entry.arm.reference]
        waiting += others
    return [entry for entry in entries if entry.key in needed]


def _cost(
    out: Path, entry: Entry, pairs: Sequence[str], expected: int | None, per_step: float
) -> tuple[float, float]:
    """Seconds of what is not trained yet: as fast as the parent, and to the end of the budget."""
    n = sum(not _is_complete(folder(out, pair, entry.key)) for pair in pairs)
    shortest = entry.budget if entry.until is None else min(expected or entry.budget, entry.budget)
    return n * shortest * per_step, n * entry.budget * per_step


def _is_complete(path: Path) -> bool:
    return (path / "run.json").exists() and open_run(path).record.status in ("complete", "diverged")


def _trained(out: Path, entries: Sequence[Entry]) -> Iterable[tuple[Entry, Run]]:
    pairs = sorted((p.name for p in (out / BRANCHES).glob("*") if p.name.isdigit()), key=int)
    for entry in entries:
        for pair in pairs:
            if _is_complete(path := folder(out, pair, entry.key)):
                yield entry, open_run(path)


def _control(out: Path, entry: Entry, made: Run) -> Run | None:
    """The control of the same pair and branch point, None for a control."""
    if entry.arm.reference is None:
        return None
    suffix = entry.key.partition("@")[1:]
    # Arms of another loss or eps have a control of their own.
    names = [name for name in entry.follows if name.startswith("control")] or ["control"]
    path = folder(out, made.path.parent.name, names[0] + "".join(suffix))
    return open_run(path) if _is_complete(path) else None


def summary_of(ends: Sequence[JobEnd]) -> dict[str, Any]:
    """How many arms came to which end, and why those that did not come to theirs."""
    counts = pd.Series([end.ended for end in ends]).value_counts().to_dict()
    return {"ended": counts, "why": {str(e.job.path): e.why for e in ends if e.why}}

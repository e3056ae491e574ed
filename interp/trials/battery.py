"""The battery: the arms of a lock are trained, as many at once as there are cores, and their outcomes gathered.

    OUT/predictions.json        the lock, without which nothing is trained
    OUT/branches/0/control/     the control of pair 0, an ordinary run; further arms and pairs beside it
    OUT/arms.csv, levels.csv, checks.csv, curves.csv, about.json

It can be stopped at any time, and goes on where it was.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from interp.ground.provenance import versions
from interp.networks.config import initial_weights
from interp.runs.config import Recipe
from interp.runs.run import Run, open_run
from interp.tables.folder import write_tables
from interp.theories import ALL
from interp.theories.lock import Lock
from interp.training.arms import Arm, Branch, branch_of
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
    return Plan(
        entries=tuple(chosen), pairs=pairs, left_out=left, seconds=(low, high), n_processes=n_processes
    )


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
    # All pairs of an arm, then the next arm: what is cut off is the end of the list, not the third pair of all.
    jobs = [_job(run, lead, out, entry, pair) for entry in planned.entries for pair in planned.pairs]
    return train_jobs(
        jobs, planned.n_processes, lambda: seconds is not None and time.monotonic() - started > seconds
    )


def train_entries(
    run: Run,
    out: Path,
    entries: Sequence[Entry],
    *,
    n_pairs: int,
    n_processes: int,
    fresh_optimizer: bool = False,
    recipe: Recipe | None = None,
) -> list[JobEnd]:
    """Train arms without a lock.

    Args:
        n_pairs: 0 for one pair without a disturbance.
        recipe: as `branch`.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when everything is saved.
    """
    if fresh_optimizer:
        entries = [replace(e, arm=replace(e.arm, fresh_optimizer=True)) for e in entries]
    jobs = [
        _job(run, run, out, entry, pair, is_disturbed=n_pairs > 0, recipe=recipe, one_thread=n_processes > 1)
        for entry in entries
        for pair in map(str, range(max(n_pairs, 1)))
    ]
    return train_jobs(jobs, n_processes)


def gather(out: Path, about: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables of every arm under a folder that was trained to its end, written into it.

    Raises:
        ValueError: if no arm is done.
        RunError: if a branch is damaged.
    """
    made = trained(out)
    if not made:
        raise ValueError(f"{out} holds no arm that was trained to its end.")
    rows: dict[str, list[Any]] = {"arms": [], "levels": [], "checks": []}
    curves = []
    for run in made:
        found = manipulation_checks(run, control_of(run, made))
        rows["arms"] += arm_rows(run, "jitter", found)
        rows["levels"] += level_rows(run, "jitter", found, values_at_event(run))
        rows["checks"] += check_rows(run, "jitter", found)
        curves.append(curve_rows(run, "jitter"))
    tables = {name: as_table(found) for name, found in rows.items()}
    tables["curves"] = pd.concat(curves, ignore_index=True)
    write_tables(out, tables, {**about, "n_branches": len(made), "versions": versions()})
    return tables


def trained(out: Path) -> list[Run]:
    """The branches of all pairs that came to their end, of each pair in the order in which they were made."""
    folders = [f for f in (out / BRANCHES).glob("*/*") if f.parent.name.isdigit() and is_done(f)]
    runs = [open_run(f) for f in folders]
    return sorted(runs, key=lambda run: (int(run.path.parent.name), run.record.created or "", run.name))


def control_of(run: Run, among: Sequence[Run]) -> Run | None:
    """The control of the same pair and branch point at which the references of an arm end; None for itself."""
    by_label = {
        _branch(other).arm.label: other
        for other in among
        if other.path.parent == run.path.parent and other.config.first_step == run.config.first_step
    }
    found: Run | None = run
    while found is not None and (arm := _branch(found).arm).reference is not None:
        dose = arm.reference_dose
        found = by_label.get(arm.reference if dose is None else f"{arm.reference}-{dose:g}")
    return None if found is run else found


def _branch(run: Run) -> Branch:
    found = branch_of(run)
    assert found is not None
    return found


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
    *,
    path: Path,
    run: Run,
    entry: Entry,
    pair: str,
    follows: dict[str, Path],
    jitter: int | None,
    threads: int | None,
    recipe: Recipe | None,
) -> None:
    """Train one arm of one pair to its end, which is no later than that of the paths that it follows."""
    followed = {name: open_run(where) for name, where in follows.items()}
    branch(
        run,
        path,
        at=entry.at,
        budget=min([entry.budget, *map(known_steps, followed.values())]),
        arm=entry.arm,
        pair=pair,
        jitter=jitter,
        until=entry.until,
        follows=followed,
        recipe=recipe,
        threads=threads,
    )


def continue_arm(path: Path) -> None:
    """Go on with an arm that was stopped."""
    resume(path)


def folder(out: Path, pair: str, key: str) -> Path:
    """Where a branch lies."""
    return out / BRANCHES / pair / key


def _job(
    run: Run,
    lead: Run,
    out: Path,
    entry: Entry,
    pair: str,
    *,
    is_disturbed: bool = True,
    recipe: Recipe | None = None,
    one_thread: bool = True,
) -> Job:
    follows = {name: folder(out, pair, key) for name, key in entry.follows.items()}
    arguments = {
        "run": lead if entry.from_lead else run,
        "entry": entry,
        "pair": pair,
        "follows": follows,
        "jitter": int(pair) + 1 if is_disturbed else None,
        "threads": 1 if one_thread else None,
        "recipe": recipe,
    }
    return Job(
        path=folder(out, pair, entry.key),
        train=train_arm,
        arguments=arguments,
        goes_on=continue_arm,
        after=tuple(follows.values()),
    )


def _lead(run: Run, out: Path, span: dict[str, int]) -> Run:
    """The parent once more from a step with the optimizer's state to memorization, which is saved with it."""
    path = out / BRANCHES / LEAD
    if not (path / "run.json").exists():
        arm = Arm(name=LEAD)
        return branch(
            run, path, at=span["at"], budget=span["to"] - span["at"], arm=arm, save_optimizer=[span["to"]]
        )
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
    n = sum(not is_done(folder(out, pair, entry.key)) for pair in pairs)
    shortest = entry.budget if entry.until is None else min(expected or entry.budget, entry.budget)
    return n * shortest * per_step, n * entry.budget * per_step


def is_done(path: Path) -> bool:
    """Whether an arm came to its end, also where that was no number any more."""
    return (path / "run.json").exists() and open_run(path).record.status in ("complete", "diverged")


def summary_of(ends: Sequence[JobEnd]) -> dict[str, Any]:
    """How many arms came to which end, and why those that did not come to theirs."""
    counts = pd.Series([end.ended for end in ends]).value_counts().to_dict()
    return {"ended": counts, "why": {str(e.job.path): e.why for e in ends if e.why}}

"""The battery: which arms of a lock are trained within a time, and what that takes on this machine."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from interp.networks.config import initial_weights
from interp.runs.run import Run, open_run
from interp.theories import ALL
from interp.theories.lock import Lock
from interp.training.arms import Arm
from interp.training.branches import branch
from interp.training.data import Data
from interp.training.optimizer import Optimizer
from interp.training.several import JobEnd, train_jobs
from interp.training.stacked_jobs import train_stacked
from interp.training.train import resume
from interp.trials.branching import BRANCHES, folder, is_done, jitter_of, job_of
from interp.trials.entry import Entry
from interp.trials.levels import cleanup_rows
from interp.trials.predicting import PREDICTIONS, entries_of, locked

LEAD = "lead"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a battery will train.

    Attributes:
        entries: the arms, in the order in which they are begun, each with the pairs in which it is trained.
        left_out: arms of the lock that are not trained this time.
        seconds: an estimate of what is not there yet, from a few steps timed on this machine; lowest and highest.
    """

    entries: tuple[tuple[Entry, tuple[str, ...]], ...]
    left_out: tuple[Entry, ...]
    seconds: tuple[float, float]
    n_processes: int

    @property
    def keys(self) -> list[str]:
        """Names of the arms, each once."""
        return list(dict.fromkeys(entry.key for entry, _ in self.entries))


def plan(
    runs: Sequence[Run],
    out: Path,
    *,
    seconds: float | None = None,
    theories: Sequence[str] | None = None,
    n_pairs: int | None = None,
    n_processes: int = 2,
) -> Plan:
    """What to train of a lock: all, the arms of some theories, or what decides most within a time.

    Args:
        n_pairs: other than the lock says, of the trial of one run.

    Raises:
        ValueError: if there is no lock or it was edited, or there is no such theory.
    """
    lock = locked(out, runs)
    entries = entries_of(lock, str(out / PREDICTIONS))
    names = tuple(str(i) for i in range(lock.n_pairs if n_pairs is None else n_pairs))
    wanted = entries if theories is None else _of_theories(lock, entries, theories)
    per_step = seconds_per_step(runs[0]) / n_processes
    # Arms of several runs are one arm: all of its pairs are trained, or none.
    by_key: dict[str, list[Entry]] = {}
    for entry in _with_followed(wanted, entries):
        by_key.setdefault(entry.key, []).append(entry)
    chosen: list[tuple[Entry, tuple[str, ...]]] = []
    keys: set[str] = set()
    low = high = 0.0
    for key, group in by_key.items():
        with_pairs = [
            (e, names_of(e, names, lock.n_pairs) if len(runs) == 1 else (str(e.parent),)) for e in group
        ]
        costs = [
            _cost(out, e, pairs, lock.run["parents"][e.parent]["facts"]["to_grok"]) for e, pairs in with_pairs
        ]
        shortest, longest = (per_step * sum(cost[i] for cost in costs) for i in (0, 1))
        too_long = seconds is not None and bool(chosen) and low + shortest > seconds
        if too_long or any(followed not in keys for followed in group[0].follows.values()):
            continue
        keys.add(key)
        chosen += with_pairs
        low, high = low + shortest, high + longest
    left = tuple(e for e in entries if e.key not in keys)
    return Plan(entries=tuple(chosen), left_out=left, seconds=(low, high), n_processes=n_processes)


def names_of(entry: Entry, names: Sequence[str], n_draws: int) -> tuple[str, ...]:
    """The pairs that an arm is for; those beyond the lock take its draws once more from the first."""
    return tuple(name for name in names if entry.pair in (None, int(name) % n_draws))


@dataclass(frozen=True)
class Stacked:
    """How a battery is trained as stacks.

    Attributes:
        device: cpu or cuda.
        size: arms a stack at most; None: as many as are quickest here.
    """

    device: str = "cpu"
    size: int | None = None


def train(
    runs: Sequence[Run],
    out: Path,
    planned: Plan,
    *,
    seconds: float | None = None,
    times: float = 1.0,
    stacked: Stacked | None = None,
) -> list[JobEnd]:
    """Train what is missing of a plan; what was trained before is taken as it is.

    Args:
        seconds: from then on nothing new is begun; what is begun is finished.
        times: of their budgets, that arms which have shown nothing are given; what they have had stays.
        stacked: arms that wait for no other as one tensor program each time; None: one process a core.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when everything is saved.
    """
    started = time.monotonic()
    lock = locked(out, runs)
    needed = sorted({e.parent for e, _ in planned.entries if e.from_lead})
    leads = {i: _lead(runs[i], out, lock.run["parents"][i]["lead"], i) for i in needed}
    # All pairs of an arm, then the next arm: what is cut off is the end of the list, not the third pair of all.
    jobs = [
        job_of(
            leads[e.parent] if e.from_lead else runs[e.parent],
            out,
            e,
            pair,
            is_disturbed=len(runs) == 1,
            times=times,
        )
        for e, pairs in planned.entries
        for pair in pairs
    ]

    def is_over() -> bool:
        return seconds is not None and time.monotonic() - started > seconds

    if stacked is not None:
        return train_stacked(jobs, device=stacked.device, size=stacked.size, is_over=is_over)
    return train_jobs(jobs, planned.n_processes, is_over)


def cleanup_by_hand(runs: Sequence[Run], n_pairs: int) -> list[dict[str, Any]]:
    """Levels of the arms that take no training, for every pair: one of each run, or disturbances of a single one."""
    if len(runs) > 1:
        return [row for i, run in enumerate(runs) for row in cleanup_rows(run, str(i), "seed", None)]
    pairs = map(str, range(n_pairs))
    return [row for pair in pairs for row in cleanup_rows(runs[0], pair, "jitter", jitter_of(pair))]


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


def _lead(run: Run, out: Path, span: dict[str, int], i: int) -> Run:
    """A parent once more from a step with the optimizer's state to memorization, which is saved with it."""
    path = out / BRANCHES / f"{LEAD}-{i}"
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
    # Controls of other branch points come with the arms that are compared with them.
    return [
        e for e in entries if e.arm.name in names and (e.arm.reference is not None or e.key == e.arm.label)
    ]


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
        waiting += [by_key[key] for key in entry.follows.values() if key in by_key]
        here = [e for e in entries if (e.at, e.parent) == (entry.at, entry.parent)]
        waiting += [e for e in here if e.arm.name == entry.arm.reference]
    return [entry for entry in entries if entry.key in needed]


def _cost(out: Path, entry: Entry, pairs: Sequence[str], expected: int | None) -> tuple[int, int]:
    """Steps of what is not trained yet: as fast as the parent, and to the end of the budget."""
    n = sum(not is_done(folder(out, pair, entry.key)) for pair in pairs)
    shortest = entry.budget if entry.until is None else min(expected or entry.budget, entry.budget)
    return n * shortest, n * entry.budget

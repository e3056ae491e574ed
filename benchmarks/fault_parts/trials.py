"""A fault and what must come of it; many of them side by side, and the table of how they went."""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fault_parts.processes import CRASHED, Ended, Failed, Process, killed, last_line

SECONDS = 180.0
MOST_SHOWN = 3


@dataclass(frozen=True)
class Trial:
    """One fault.

    Attributes:
        name: PART/..., by which it is repeated; no two have the same.
        kind: row of the table.
        act: does it in an empty folder and raises `Failed` if a promise was not kept. All that is random in it comes
            from the generator, which seed and name decide.
    """

    name: str
    kind: str
    act: Callable[[Path, random.Random], object]


@dataclass
class Row:
    """Trials of a kind: how many, the processes that they killed, and those that failed with what was said."""

    tried: int = 0
    killed: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def sampled(trials: Iterable[Trial], most: int | None, seed: int) -> list[Trial]:
    """At most so many of each kind, the same ones for one seed, in the order in which they come."""
    by_kind: dict[str, list[Trial]] = {}
    for trial in trials:
        by_kind.setdefault(trial.kind, []).append(trial)
    found = []
    for kind in by_kind.values():
        picked = sorted(kind, key=lambda trial: _digest(seed, trial.name))[:most]
        names = {trial.name for trial in picked}
        found += [trial for trial in kind if trial.name in names]
    return found


def _digest(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def tried(
    trials: Iterable[Trial], folder: Path, seed: int, jobs: int, tell: Callable[[Trial, str], None]
) -> dict[str, Row]:
    """Every trial in a process and a folder of its own; rows by kind."""
    rows: dict[str, Row] = {}
    running: dict[Process, tuple[Trial, Path, float]] = {}
    waiting = list(reversed(list(trials)))
    while waiting or running:
        while waiting and len(running) < jobs:
            trial = waiting.pop()
            place = folder / hashlib.sha256(trial.name.encode()).hexdigest()[:12]
            place.mkdir()
            running[_begun(trial, place, seed)] = (trial, place, time.monotonic() + SECONDS)
        time.sleep(0.002)
        for process, (trial, place, end) in list(running.items()):
            if not process.ended() and time.monotonic() < end:
                continue
            problem, n_killed = _outcome(process, end)
            row = rows.setdefault(trial.kind, Row())
            row.tried += 1
            row.killed += n_killed
            if problem:
                row.failed[trial.name] = problem
            tell(trial, problem)
            del running[process]
            shutil.rmtree(place, ignore_errors=True)
    return rows


def _begun(trial: Trial, place: Path, seed: int) -> Process:
    def act() -> tuple[str, int]:
        # With all that it starts, so that all of it can be ended.
        os.setsid()
        os.chdir(place)
        killed.clear()
        problem = ""
        try:
            trial.act(place, random.Random(_digest(seed, trial.name)))
        except Failed as failed:
            problem = str(failed) or "failed"
        return problem, len(killed)

    return Process(act)


def _outcome(process: Process, end: float) -> tuple[str, int]:
    """What went wrong, or nothing, and how many processes were killed; what the trial has left running is ended."""
    is_late = not process.ended()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    ended: Ended = process.wait()
    if is_late:
        return f"did not end within {SECONDS:g} seconds", 0
    if ended.code == CRASHED or ended.code < 0:
        return f"the trial itself: {last_line(ended)}", 0
    return tuple(ended.value)


def table(rows: dict[str, Row], *, markdown: bool) -> str:
    """Kind of fault, how many were tried, how many passed, how many failed."""
    head = ("fault", "tried", "passed", "failed")
    lines = [
        (kind, str(row.tried), str(row.tried - len(row.failed)), str(len(row.failed)))
        for kind, row in rows.items()
    ]
    n, bad = sum(row.tried for row in rows.values()), sum(len(row.failed) for row in rows.values())
    lines.append(("all", str(n), str(n - bad), str(bad)))
    if markdown:
        return "\n".join(
            f"| {' | '.join(line)} |" for line in [head, ("---", "---:", "---:", "---:"), *lines]
        )
    width = max(len(line[0]) for line in [head, *lines])
    return "\n".join(f"{a:<{width}}  {b:>6} {c:>7} {d:>7}" for a, b, c, d in [head, *lines])


def failures(rows: dict[str, Row], repeat: str) -> str:
    """The first failures of each kind, and how each is repeated."""
    lines = []
    for kind, row in rows.items():
        for name, problem in list(row.failed.items())[:MOST_SHOWN]:
            lines += [f"{kind}: {problem}", f"    {repeat} --only {name}"]
        if len(row.failed) > MOST_SHOWN:
            lines.append(f"{kind}: {len(row.failed) - MOST_SHOWN} more; --json FILE has all.")
    return "\n".join(lines)

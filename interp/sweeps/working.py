"""What a worker does with a unit of a sweep, wherever it runs: train, measure, thin; and tell how far it is.

Everything that it needs to know of the past is in the run directories, so that a unit that was given to a worker that
died is given to another as it is.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock

from interp.ground import progress_bar
from interp.ground.whole_files import remove_leftovers, write_bytes
from interp.runs.config import Recipe
from interp.runs.locks import run_lock
from interp.runs.run import Run, open_run
from interp.runs.table_files import table_bytes
from interp.runs.tensor_files import RunError
from interp.sweeps.copies import Copies
from interp.sweeps.grid import decides
from interp.sweeps.kept import Keep, thin
from interp.sweeps.measured_files import measured_file, not_seen_after_a_while, remove_unfinished
from interp.sweeps.plan_file import RUNS
from interp.sweeps.store import Store
from interp.sweeps.table import row_of
from interp.sweeps.units import Unit
from interp.training.session import InUse
from interp.training.stacked import Ended, MemberEnd, train_stack
from interp.training.train import begin, resume

PROGRESS, STOP = "progress", "stop"
# On a network file system every look takes its time; on a store it costs money too.
SECONDS_BETWEEN_LOOKS, SECONDS_BETWEEN_LOOKS_AT_STORE = 1.0, 5.0


@dataclass(frozen=True)
class Work:
    """What every worker of a sweep is told.

    Attributes:
        folder: of the sweep, with a folder of runs in it; of a sweep on a store, where they are worked on.
        probes: to be measured of each run, by name.
        threads: of a worker.
        store: where the sweep is, if not in the folder.
    """

    folder: Path
    keep: Keep
    probes: tuple[str, ...]
    device: str
    threads: int
    store: Store | None = None

    @property
    def place(self) -> str:
        """Where the sweep is, as its user says it."""
        return str(self.folder) if self.store is None else self.store.url

    @property
    def is_stopped(self) -> bool:
        """Whether somebody left a `stop` in the sweep's folder or store.

        Raises:
            RunError: if the store does not answer.
        """
        return (self.folder / STOP).exists() if self.store is None else self.store.has(STOP)

    def stop(self) -> None:
        """Leave one there.

        Raises:
            RunError, OSError: if it cannot be written.
        """
        if self.store is None:
            (self.folder / STOP).touch()
        else:
            self.store.put(STOP, b"")


@dataclass(frozen=True)
class Done:
    """What became of a run; of one that came to its end, its row of the table, which others may not see at once."""

    name: str
    ended: Ended
    why: str = ""
    row: Mapping[str, Any] | None = None


def worked(unit: Unit, work: Work, tells: bool = True) -> list[Done]:
    """Train, measure and thin the runs of a unit, as far as that is not done; what became of each.

    What goes wrong with one run ends that one alone. Where the sweep's folder has a file `stop`, it saves and returns.
    Of a sweep on a store it works on copies, which are pushed and then deleted.

    Args:
        tells: whether it leaves word of its progress in the sweep's folder; otherwise it shows its own bar.
    """
    copies = None
    if work.store is not None:
        copies = Copies(work.store, work.probes)
        # Of this machine, which need not be that of the command.
        work = replace(work, folder=copies.folder)
    is_over = _looking_for_stop(work)
    ends: dict[Path, MemberEnd] = {}
    paths = []
    for run in unit.runs:
        path = work.folder / RUNS / run.name
        if is_over():
            ends[path] = MemberEnd(path=path, ended="interrupted")
            continue
        try:
            if copies is not None and not copies.take(run.name):
                ends[path] = MemberEnd(path=path, ended="busy", why=f"Another trainer is working on {path}.")
                continue
            _begin(path, run.recipe)
            paths.append(path)
        except InUse as error:
            # Begun by another worker, and not seen here yet.
            ends[path] = MemberEnd(path=path, ended="busy", why=str(error))
        except (ValueError, OSError) as error:
            ends[path] = MemberEnd(path=path, ended="failed", why=str(error))
    with _telling(work.folder / PROGRESS / f"{unit.name}.json", len(paths)) if tells else _silent():
        for end in _trained(paths, unit.is_stack, work, is_over, copies):
            ends[end.path] = _ended(end, work, copies)
    told = [_told(ends[work.folder / RUNS / run.name]) for run in unit.runs]
    return told if copies is None else [_left(done, work, copies) for done in told]


def _ended(end: MemberEnd, work: Work, copies: Copies | None) -> MemberEnd:
    """What becomes of a run after its training: it is pushed, if there is a store, measured and thinned if complete."""
    if copies is not None:
        end = copies.pushed(end)
    if end.ended != "complete":
        return end
    finished = _finished(end, work)
    return finished if copies is None else copies.pushed(finished, is_thinned=work.keep != "all")


def _told(end: MemberEnd) -> Done:
    if end.ended not in ("complete", "diverged"):
        return Done(end.path.name, end.ended, end.why)
    try:
        return Done(end.path.name, end.ended, end.why, row_of(open_run(end.path), end.why))
    except (ValueError, OSError) as error:
        return Done(end.path.name, "failed", str(error))


def _left(done: Done, work: Work, copies: Copies) -> Done:
    """What became of a run, in words of the store, where it is; its copy is deleted."""
    copies.leave(done.name)
    if done.name in copies.kept:
        return done
    return replace(done, why=done.why.replace(str(work.folder), work.place))


def _looking_for_stop(work: Work) -> Callable[[], bool]:
    """Whether the sweep was stopped, looked at now and then."""
    looked_at, is_there = -math.inf, False

    def is_over() -> bool:
        nonlocal looked_at, is_there
        seconds = SECONDS_BETWEEN_LOOKS if work.store is None else SECONDS_BETWEEN_LOOKS_AT_STORE
        if not is_there and time.monotonic() - looked_at > seconds:
            # A store that does not answer is no reason to stop.
            with suppress(RunError):
                is_there = work.is_stopped
            looked_at = time.monotonic()
        return is_there

    return is_over


def _begin(path: Path, recipe: Recipe) -> None:
    """Make the run's directory, unless it is there.

    Raises:
        RunError: if it is there with another config.
    """
    if not (path / "run.json").exists():
        begin(recipe, path)
        return
    if decides(open_run(path).config.recipe()) != decides(recipe):
        raise RunError(
            f"{path} is a run with another config than the sweep's. Move it away, or name another folder for the sweep."
        )


def _trained(
    paths: list[Path], is_stack: bool, work: Work, is_over: Callable[[], bool], copies: Copies | None
) -> list[MemberEnd]:
    together: list[Path] = []
    alone: list[Path] = []
    for path in paths:
        sessions = open_run(path).record.sessions
        # As it was begun, so that it ends as it would have: the two differ by rounding.
        as_stack = sessions[-1].stack is not None if sessions else is_stack
        (together if as_stack else alone).append(path)
    ends = []
    if together:
        ended = is_over if copies is None else _pushing(together, is_over, copies)
        try:
            ends += train_stack(together, device=work.device, threads=work.threads, is_over=ended)
        except KeyboardInterrupt:
            ends += [_where_it_stands(path) for path in together]
        except (ValueError, OSError) as error:
            ends += [MemberEnd(path=path, ended="failed", why=str(error)) for path in together]
    for path in alone:
        ends.append(_alone(path, work, is_over if copies is None else _pushing([path], is_over, copies)))
    return ends


def _pushing(paths: list[Path], is_over: Callable[[], bool], copies: Copies) -> Callable[[], bool]:
    """Whether to stop, asked between two steps: then all copies are pushed, if it is time."""
    names = [path.name for path in paths]

    def ended() -> bool:
        copies.push_when_due()
        return is_over() or copies.are_lost(names)

    return ended


def _alone(path: Path, work: Work, is_over: Callable[[], bool]) -> MemberEnd:
    try:
        run = open_run(path)
        if run.record.status in ("complete", "diverged"):
            return MemberEnd(path=path, ended=run.record.status)
        if is_over():
            return MemberEnd(path=path, ended="interrupted")
        resume(path, device=work.device, threads=work.threads, is_over=is_over)
        return MemberEnd(path=path, ended="complete")
    except KeyboardInterrupt:
        return MemberEnd(path=path, ended="interrupted")
    except FloatingPointError as error:
        return MemberEnd(path=path, ended="diverged", why=str(error))
    except InUse as error:
        return MemberEnd(path=path, ended="busy", why=str(error))
    except (ValueError, OSError) as error:
        return MemberEnd(path=path, ended="failed", why=str(error))


def _where_it_stands(path: Path) -> MemberEnd:
    """What a run's own record says, after its stack was stopped."""
    status = open_run(path).record.status
    is_ended = status in ("complete", "diverged", "failed")
    return MemberEnd(path=path, ended=status if is_ended else "interrupted")  # type: ignore[arg-type]


def _finished(end: MemberEnd, work: Work) -> MemberEnd:
    """Measure and thin a complete run, each if it is not done."""
    try:
        # Another worker may be at it, as one whose sweep was killed: what it thins could no longer be measured here.
        with run_lock(end.path):
            # Of a worker that was killed while it did this.
            remove_leftovers(end.path)
            for probe in work.probes:
                remove_unfinished(measured_file(work.folder, probe, end.path.name))
            run = open_run(end.path)
            lacking = [p for p in work.probes if not measured_file(work.folder, p, run.name).exists()]
            if lacking and work.keep != "all" and not (end.path / "latest.safetensors").exists():
                lacking = not_seen_after_a_while(work.folder, lacking, run.path)
            if lacking:
                for probe, table in _measured(run, lacking, work.device).items():
                    write_bytes(measured_file(work.folder, probe, run.name), table_bytes(table))
            thin(run, work.keep)
    except filelock.Timeout:
        return MemberEnd(path=end.path, ended="busy", why=f"Another worker is measuring {end.path}.")
    except KeyboardInterrupt:
        return MemberEnd(path=end.path, ended="interrupted")
    except (ValueError, OSError) as error:
        return MemberEnd(path=end.path, ended="failed", why=str(error))
    return end


def _measured(run: Run, probes: list[str], device: str) -> dict[str, Any]:
    """A table a probe along the run, progress measures with the key frequencies of its end."""
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes import progress_measures
    from interp.tables.key_frequencies import run_key_frequencies

    by_name: dict[str, Any] = {probe: probe for probe in probes}
    if "progress_measures" in by_name:
        first = measure(run, ["losses", "logit_spectrum"], device=device, progress=False)
        if len(first["logit_spectrum"]):
            by_name["progress_measures"] = partial(progress_measures, frequencies=run_key_frequencies(first))
    return measure(run, by_name, device=device, progress=False)


@contextmanager
def _silent() -> Iterator[None]:
    yield


@contextmanager
def _telling(file: Path, n_runs: int) -> Iterator[None]:
    """Leave word, every two seconds, of how far the displays of this process are.

    Nothing that goes wrong with it, as on a full disk, is a reason not to train.
    """
    told_at = 0.0
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)

    def listener(fields: dict[str, Any]) -> None:
        nonlocal told_at
        if time.monotonic() - told_at < 2 or fields.get("is_over"):
            return
        told_at = time.monotonic()
        known = {name: fields.get(name) for name in ("completed", "total", "accuracy", "speed")}
        temporary = file.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            # Of no use after a crash, so that no disk has to be waited for.
            temporary.write_text(json.dumps({**known, "runs": n_runs}), encoding="utf-8")
            os.replace(temporary, file)

    progress_bar.tell(listener)
    try:
        yield
    finally:
        progress_bar.tell(None)
        with suppress(OSError):
            file.unlink(missing_ok=True)

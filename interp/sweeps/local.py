"""The workers of a sweep on this machine: one process a core, through joblib; a table of what they are at."""

import json
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from interp.ground.progress_bar import in_notebook
from interp.runs.tensor_files import RunError
from interp.sweeps.units import Unit
from interp.sweeps.working import PROGRESS, STOP, Work, worked
from interp.training.session import signals
from interp.training.stacked import MemberEnd


def locally(units: Sequence[Unit], work: Work, n_processes: int) -> Iterator[list[MemberEnd]]:
    """What became of the runs of each unit, as they are done.

    A worker that is killed takes its unit's last seconds with it: the unit is given to another, from its last saved
    state.

    Raises:
        RunError: if workers are killed again and again, and nothing is done in between.
        KeyboardInterrupt: after Ctrl-C, when all workers have saved.
    """
    if len(units) <= 1 or n_processes == 1:
        for unit in units:
            ends = worked(unit, work, tells=False)
            yield ends
            if any(end.ended == "interrupted" for end in ends):
                raise KeyboardInterrupt(_stopped(work))
        return
    waiting = {unit.name: unit for unit in units}
    n_killed = 0
    with _Table(work, list(units)) as table, signals() as stop_requested:
        _stops(work.folder, stop_requested)
        while waiting:
            n_before = len(waiting)
            try:
                for name, ends in _at_once(list(waiting.values()), work, n_processes):
                    del waiting[name]
                    table.done(ends)
                    yield ends
            except _killed_errors() as error:
                n_killed = 0 if len(waiting) < n_before else n_killed + 1
                if n_killed == 3:
                    raise RunError(
                        f"Workers of the sweep in {work.folder} were killed three times with nothing done in between, "
                        "most likely for want of memory. What was saved is kept: the same command goes on, with fewer "
                        "workers (--jobs) or smaller stacks (--stack) if need be."
                    ) from error
            if stop_requested():
                raise KeyboardInterrupt(_stopped(work))


def _stopped(work: Work) -> str:
    return f"Stopped; everything is saved. The same command goes on with the sweep in {work.folder}."


def _stops(folder: Path, stop_requested: Any) -> None:
    """Once a stop is asked for, say so to all workers, wherever they are: a terminal tells only its own."""

    def watch() -> None:
        while not stop_requested():
            time.sleep(0.2)
        with suppress(OSError):
            (folder / STOP).touch()

    threading.Thread(target=watch, daemon=True).start()


def _at_once(units: list[Unit], work: Work, n_processes: int) -> Iterator[tuple[str, list[MemberEnd]]]:
    from joblib import Parallel, delayed

    pool = Parallel(
        n_jobs=min(n_processes, len(units)),
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch="n_jobs",
    )
    yield from pool(delayed(_in_worker)(unit, work) for unit in units)


def _in_worker(unit: Unit, work: Work) -> tuple[str, list[MemberEnd]]:
    import warnings

    # A terminal's Ctrl-C reaches the workers too: while one trains it saves, between two units it is no matter.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    return unit.name, worked(unit, work)


def _killed_errors() -> tuple[type[BaseException], ...]:
    from concurrent.futures.process import BrokenProcessPool

    from joblib.externals.loky.process_executor import TerminatedWorkerError

    return TerminatedWorkerError, BrokenProcessPool


class _Table(AbstractContextManager):
    """What each worker is at, drawn from what they leave in the sweep's folder; on a terminal alone."""

    def __init__(self, work: Work, units: list[Unit]):
        self._folder, self._units = work.folder / PROGRESS, units
        self._n_runs = sum(len(unit.runs) for unit in units)
        self._counts: dict[str, int] = {}
        self._live: Any = nullcontext()

    def __enter__(self) -> "_Table":
        import sys

        if sys.stderr.isatty() and not in_notebook():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                get_renderable=self._drawn, console=Console(stderr=True), refresh_per_second=1, transient=True
            )
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(*error)

    def done(self, ends: Sequence[MemberEnd]) -> None:
        """Count what has come to an end."""
        for end in ends:
            self._counts[end.ended] = self._counts.get(end.ended, 0) + 1

    def _drawn(self) -> Any:
        from rich.table import Table

        counted = ", ".join(f"{n} {ended}" for ended, n in self._counts.items()) or "0 done"
        table = Table(title=f"{counted} of {self._n_runs} runs", title_justify="left", box=None)
        for column in ("at work", "runs", "steps", "test accuracy", "speed"):
            table.add_column(column)
        for unit in self._units:
            with suppress(OSError, ValueError):
                told = json.loads((self._folder / f"{unit.name}.json").read_text("utf-8"))
                steps = f"{told['completed'] or 0} of {told['total'] or '?'}"
                accuracy = str(told["accuracy"] or "").removeprefix("acc ")
                table.add_row(unit.runs[0].name, str(told["runs"]), steps, accuracy, told["speed"] or "")
        return table

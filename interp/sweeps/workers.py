"""The workers of a sweep: units are given out until all are done, whatever happens to a worker; those of this machine.

Where the workers are is a function that gives units out and yields what came back (`Round`); what did not come back is
given out again. Everything else is the same for the cores of a laptop and for a cluster (`interp.sweeps.cluster`).
"""

import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from interp.runs.tensor_files import RunError
from interp.sweeps.display import Display
from interp.sweeps.plan_file import RUNS
from interp.sweeps.units import Unit
from interp.sweeps.working import Done, Work, worked
from interp.training.session import signals

# Gives units out, and yields the name of each and what became of its runs; of a worker that was killed nothing comes.
Round = Callable[[list[Unit], Work, Callable[[], bool]], Iterator[tuple[str, list[Done]]]]
# What trains all units of a sweep.
Where = Callable[[Sequence[Unit], Work], Iterator[list[Done]]]

# Before runs that another trainer has are looked at again.
SECONDS_TO_WAIT = 5.0
# Rounds in which workers were killed and nothing was done or saved, before a sweep gives up.
LOST = 3
# Of a run: what changes with everything that is saved.
SAVED = ("index.json", "latest.safetensors")


def carried_out(
    units: Sequence[Unit], work: Work, one_round: Round, *, shows: bool = True
) -> Iterator[list[Done]]:
    """What became of the runs of each unit, as they are done.

    A worker that is killed takes its unit's last seconds with it: the unit is given to another, from its last saved
    state. So is one that was told to end before it was done, as by a cluster's time limit, and one whose runs another
    trainer has, as a worker whose sweep was killed: they are waited for.

    Args:
        shows: whether a table of the workers is drawn.

    Raises:
        RunError: if workers are killed again and again, and nothing is done or saved in between.
        KeyboardInterrupt: after Ctrl-C, or a `stop` that somebody left in the folder or store, when all have saved.
    """
    waiting = {unit.name: unit for unit in units}
    n_lost = 0
    with (
        Display(work, units if shows else ()) as display,
        signals() as stop_requested,
        _passed_on(work, stop_requested),
    ):
        while waiting:
            n_before, state, is_busy = len(waiting), _state(work, waiting.values()), False
            for name, done in one_round(list(waiting.values()), work, stop_requested):
                ended = {one.ended for one in done}
                is_busy |= "busy" in ended
                if not ended & {"interrupted", "busy"}:
                    del waiting[name]
                display.count(done)
                yield done
            if stop_requested() or work.is_stopped:
                raise KeyboardInterrupt(stopped(work))
            if is_busy and len(waiting) == n_before:
                time.sleep(SECONDS_TO_WAIT)
                continue
            is_lost = len(waiting) == n_before and _state(work, waiting.values()) == state
            n_lost = n_lost + 1 if is_lost else 0
            if waiting and n_lost == LOST:
                raise RunError(
                    f"Workers of the sweep in {work.place} were killed three times with nothing done in between, most "
                    "likely for want of memory. What was saved is kept: the same command goes on, with fewer workers "
                    "(--jobs) or smaller stacks (--stack) if need be."
                )


def stopped(work: Work) -> str:
    """What is said after Ctrl-C."""
    return f"Stopped; everything is saved. The same command goes on with the sweep in {work.place}."


def _state(work: Work, units: Iterable[Unit]) -> list[Any]:
    """Changes when anything of these units' runs is saved."""
    found: list[Any] = []
    if work.store is not None:
        there = work.store.listing(f"{RUNS}/")
        files = [f"{RUNS}/{run.name}/{file}" for unit in units for run in unit.runs for file in SAVED]
        return [there.get(file) for file in files]
    for unit in units:
        for run in unit.runs:
            for file in SAVED:
                with suppress(OSError):
                    found.append((work.folder / RUNS / run.name / file).stat().st_mtime_ns)
    return found


@contextmanager
def _passed_on(work: Work, stop_requested: Callable[[], bool]) -> Iterator[None]:
    """Once a stop is asked for, say so to all workers, wherever they are: a terminal tells only its own."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.2):
            if stop_requested():
                with suppress(OSError, RunError):
                    work.stop()
                    return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def locally(units: Sequence[Unit], work: Work, n_processes: int) -> Iterator[list[Done]]:
    """The processes of this machine, through joblib; with one, this process.

    Args, Raises:
        as `carried_out`.
    """
    if len(units) <= 1 or n_processes == 1:
        yield from carried_out(units, work, _in_turn, shows=False)
        return

    def one_round(left: list[Unit], work: Work, _: object) -> Iterator[tuple[str, list[Done]]]:
        yield from _at_once(left, work, n_processes)

    yield from carried_out(units, work, one_round)


def _in_turn(
    units: list[Unit], work: Work, stop_requested: Callable[[], bool]
) -> Iterator[tuple[str, list[Done]]]:
    for unit in units:
        if stop_requested():
            return
        done = worked(unit, work, tells=False)
        yield unit.name, done
        # While a run trains, Ctrl-C is its own.
        if any(one.ended == "interrupted" for one in done):
            raise KeyboardInterrupt(stopped(work))


def _at_once(units: list[Unit], work: Work, n_processes: int) -> Iterator[tuple[str, list[Done]]]:
    from concurrent.futures.process import BrokenProcessPool

    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    pool = Parallel(
        # With one, joblib would work in this process, whose signals are not the workers'.
        n_jobs=max(min(n_processes, len(units)), 2),
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch="n_jobs",
    )
    # One that is killed takes the pool with it.
    with suppress(TerminatedWorkerError, BrokenProcessPool):
        yield from pool(delayed(in_worker)(unit, work) for unit in units)


def in_worker(unit: Unit, work: Work) -> tuple[str, list[Done]]:
    """Work on a unit in a process of its own."""
    if threading.current_thread() is threading.main_thread():
        # A terminal's Ctrl-C reaches the workers too: while one trains it saves, between two units it is no matter.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    return unit.name, worked(unit, work)

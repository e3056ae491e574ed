"""Checkpoint after checkpoint through the probes, in this process or in several: what `interp.measure` streams.

One snapshot at a time in each process, freed before the next. What a probe raises is part of the outcome, so that one
failure takes nothing else with it.
"""

import ctypes
import gc
import inspect
import math
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, takewhile

import pandas as pd
import pyarrow as pa
import torch

from interp.ground import parent_watch
from interp.ground.cores import n_cores
from interp.networks.network import BuiltNetwork
from interp.runs.run import Run
from interp.runs.tensor_files import RunError
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.task import UnknownSplit

Probe = Callable[[Snapshot], pd.DataFrame]

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGE = 4 * 2**20


class MeasureError(ValueError):
    """A probe failed; the message names the probe, the step and what is kept. The cause is the probe's own error.

    Attributes:
        failed, kept: what went wrong, and what is not lost by it.
        to_go_on: what to do, which differs between doors.
    """

    def __init__(self, failed: str, kept: str = "", to_go_on: str = ""):
        super().__init__(" ".join(filter(None, (failed, kept, to_go_on))))
        self.failed, self.kept, self.to_go_on = failed, kept, to_go_on


@dataclass(frozen=True)
class Outcome:
    """What one step gave: for each probe a table, or why it does not apply, or the error that it raised.

    Attributes:
        places: where a failing probe was when it failed, as "my_probes.py:3", in its own file.
        is_damaged: the checkpoint cannot be read; no probe was tried, and all have its error.
    """

    step: int
    results: dict[str, pd.DataFrame | str]
    failures: dict[str, Exception]
    places: dict[str, str] = field(default_factory=dict)
    is_damaged: bool = False


def outcomes(
    run: Run,
    todo: list[tuple[int, list[str]]],
    probes: dict[str, Probe],
    device: str,
    n_jobs: int,
    is_over: Callable[[], bool],
) -> Generator[Outcome, None, None]:
    """The outcome of every step, one after the other or in several processes and in any order.

    Once is_over() nothing new is begun; what processes have in hand is finished, so that it is not lost.
    """
    n_jobs = min(n_cores() if n_jobs == -1 else n_jobs, len(todo))
    if n_jobs <= 1:
        with steady_memory():
            for step, names in todo:
                if is_over():
                    return
                yield _measured(run, step, {name: probes[name] for name in names}, device)
        return

    from joblib import Parallel, delayed  # takes a while to load, and most calls need no processes
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    # Chunks: a worker gets the run once a chunk. Small ones: what a killed worker had in hand is lost.
    size = max(1, min(8, math.ceil(len(todo) / (4 * n_jobs))))
    threads = max(n_cores() // n_jobs, 1)
    parallel = Parallel(
        n_jobs=n_jobs, backend="loky", return_as="generator_unordered", batch_size=1,
        # joblib keeps workers for the next call unless these differ.
        initializer=parent_watch.end_with, initargs=(os.getpid(), _workers(probes)),
    )  # fmt: skip
    with _deaf_to_ctrl_c():
        chunks = parallel(
            delayed(_measure_chunk)(run, todo[i : i + size], probes, device, threads)
            for i in takewhile(lambda _: not is_over(), range(0, len(todo), size))
        )
    try:
        for chunk in chunks:
            yield from chunk
    except TerminatedWorkerError as error:
        raise MeasureError(
            f"A process that measured run {run.name!r} was killed, most likely for want of memory. What was measured "
            f"before is kept; go on with fewer than n_jobs={n_jobs}."
        ) from error
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # after Ctrl-C: that work was cancelled
            chunks.close()


def function_of(probe: Probe) -> Callable:
    """The function to which a probe may have bound parameters."""
    return probe.func if isinstance(probe, partial) else probe


_CALLS = count(1)


def _workers(probes: dict[str, Probe]) -> int:
    """Which workers may measure these: those of former calls hold a file of one's own as it was when they loaded it."""
    modules = [str(getattr(function_of(probe), "__module__", "")) for probe in probes.values()]
    return 0 if all(module.startswith("interp.") for module in modules) else next(_CALLS)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started meanwhile never see Ctrl-C, which a terminal sends to all: this one ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _measure_chunk(
    run: Run, todo: list[tuple[int, list[str]]], probes: dict[str, Probe], device: str, threads: int
) -> list[Outcome]:
    torch.set_num_threads(threads)
    with steady_memory():
        outcomes = [
            _measured(run, step, {name: probes[name] for name in names}, device) for step, names in todo
        ]
    for outcome in outcomes:
        outcome.failures.update({name: _sendable(error) for name, error in outcome.failures.items()})
    return outcomes


@contextmanager
def steady_memory() -> Iterator[None]:
    """Memory that does not grow with the number of steps, where the C library is glibc.

    Small tables that stay come to lie between the large arrays of a step that go. What is free between them fits no
    later array, and the process would grow from step to step. So large arrays get memory of their own meanwhile.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    set_option, trim = (getattr(library, name, None) for name in ("mallopt", "malloc_trim"))
    if set_option is None or trim is None:
        yield
        return
    set_option(M_MMAP_THRESHOLD, LARGE)
    # What is free is kept for the next step, which would fetch it again.
    set_option(M_TRIM_THRESHOLD, 2**30)
    try:
        yield
    finally:
        # Where glibc's own adjustment ends: what comes after measuring is as fast as before.
        set_option(M_MMAP_THRESHOLD, 32 * 2**20)
        set_option(M_TRIM_THRESHOLD, 64 * 2**20)
        trim(0)


def _measured(run: Run, step: int, probes: dict[str, Probe], device: str) -> Outcome:
    """The outcome of a step, its tables copied to where the snapshot was, so that none stays behind its arrays."""
    try:
        outcome = _measure_step(run, step, probes, device)
    finally:
        # The snapshot is gone: what was downloaded for it may go too.
        run.release()
    with suppress(Exception):  # what cannot be copied so, as a table of open files, stays where it is
        return replace(outcome, results=pickle.loads(pickle.dumps(outcome.results)))
    return outcome


def _measure_step(run: Run, step: int, probes: dict[str, Probe], device: str) -> Outcome:
    try:
        snapshot = Snapshot.of(run, step, device)
    except NotApplicable as error:
        return Outcome(step, dict.fromkeys(probes, str(error)), {})
    except RunError as error:
        return Outcome(step, {}, dict.fromkeys(probes, error), is_damaged=True)
    outcome = Outcome(step, {}, {})
    for name, probe in probes.items():
        try:
            outcome.results[name] = _tidy(snapshot.once(probe), name)
        except (NotApplicable, UnknownSplit) as error:
            outcome.results[name] = str(error)
        except (Exception, SystemExit) as error:
            outcome.failures[name] = told_exit(error) if isinstance(error, SystemExit) else error
            # Here, as an error comes back from another process without its frames.
            if place := _place(error, probe):
                outcome.places[name] = place
    was_built = isinstance(snapshot.network, BuiltNetwork) and "model" in vars(snapshot)
    del snapshot
    if was_built:
        # A TransformerBridge refers to itself: until they are looked for, those of former steps stay.
        gc.collect()
    return outcome


def told_exit(stop: SystemExit) -> RuntimeError:
    """In place of what would end the program without a word."""
    return RuntimeError(f"it calls sys.exit({'' if stop.code is None else repr(stop.code)})")


def _place(error: BaseException, probe: Probe) -> str:
    """The innermost frame in the file of the probe."""
    function = function_of(probe)
    code = getattr(inspect.unwrap(function), "__code__", None) or getattr(
        type(function).__call__, "__code__", None
    )
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if code and frame.filename == code.co_filename]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else ""


def _tidy(table: object, name: str) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame):
        raise TypeError(
            f"probe {name!r} returned a {type(table).__name__}; a probe returns a pandas DataFrame"
        )
    if taken := {"run", "step"} & set(table.columns):
        raise ValueError(
            f"probe {name!r} returned columns {sorted(taken)}; measure puts run and step in front"
        )
    if odd := odd_column(table):
        raise TypeError(f"probe {name!r} returned {odd}")
    return table


def odd_column(table: pd.DataFrame) -> str:
    """A column that no file of a table holds, in words; empty where there is none."""
    if not table.columns.is_unique:
        return (
            f"two columns {table.columns[table.columns.duplicated()][0]!r}; a column needs a name of its own"
        )
    for name in table.columns[list(map(pd.api.types.is_object_dtype, table.dtypes))]:
        try:
            pa.array(table[name], from_pandas=True)
        except (pa.ArrowException, OverflowError):
            kinds = " and ".join(sorted({type(value).__name__ for value in table[name]}))
            return (
                f"a column {name!r} of {kinds}; a column holds numbers, or words, of one kind (of a tensor with one "
                "number: .item())"
            )
    return ""


def _sendable(error: Exception) -> Exception:
    """The error, or its text where it cannot be sent between processes."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")

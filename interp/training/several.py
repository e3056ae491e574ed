"""Several runs at once, one process a core: what waits for another's recorded path starts when that is done.

Every process is one thread: two runs on two cores do twice the steps, where one run on two threads does half as many
again. A pair of arms is compared within itself, so all of a pair have the same number of threads.
"""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import torch

from interp.ground import parent_watch, progress_bar
from interp.ground.plain_text import visible
from interp.runs.run import open_run
from interp.runs.tensor_files import RunError

Ended = Literal["complete", "diverged", "interrupted", "failed"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run to be trained, or continued where it is there already.

    Attributes:
        path: where; its name is what the display shows.
        train: makes and trains it; a function of a module, which another process can be handed.
        arguments: of `train`.
        goes_on: continues it where it has been begun; the same form.
        begins: makes its directory and trains nothing, with the same arguments; for stacks.
        after: paths of jobs that must be done before.
        is_done: whether what is there needs no more; None: if it came to its end.
    """

    path: Path
    train: Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    goes_on: Callable[..., Any]
    after: tuple[Path, ...] = ()
    is_done: Callable[[Path], bool] | None = None
    begins: Callable[..., Any] | None = None


@dataclass(frozen=True, kw_only=True)
class JobEnd:
    """What became of a job; `why` in words where it is not complete."""

    job: Job
    ended: Ended
    why: str = ""


def train_jobs(
    jobs: Sequence[Job], n_processes: int, is_over: Callable[[], bool] = lambda: False
) -> list[JobEnd]:
    """Train all of them, some at once; a job that fails takes with it only those that wait for it.

    Ctrl-C lets each process end its step and save, then raises KeyboardInterrupt; called again, it goes on.

    Args:
        n_processes: how many at once, in processes of one thread each; 1: one by one in this process.
        is_over: asked before a job is begun; from then on nothing new is.

    Returns:
        What became of each job that was begun or could not be, in the order of their ends.
    """
    try:
        return _one_by_one(jobs, is_over) if n_processes == 1 else _at_once(jobs, n_processes, is_over)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Stopped; everything is saved. The same command goes on.") from None


def _one_by_one(jobs: Sequence[Job], is_over: Callable[[], bool]) -> list[JobEnd]:
    """In this process, with its threads and its own display."""
    waiting, ends = list(jobs), []
    while waiting and not is_over():
        paths = {job.path for job in waiting}
        ready = next((job for job in waiting if not {*job.after} & paths), None)
        if ready is None:
            break
        waiting.remove(ready)
        if why := why_not(ready):
            ends.append(JobEnd(job=ready, ended="failed", why=why))
            continue
        ended, why = train_job(ready)
        ends.append(JobEnd(job=ready, ended=ended, why=why))
        if ended == "interrupted":
            raise KeyboardInterrupt
    return ends


def why_not(job: Job) -> str:
    """Why a job cannot be begun although nothing is waited for: what it follows is not there."""
    lacking = [path for path in job.after if not _is_complete(path)]
    return f"it follows {lacking[0].name}, which was not trained to its end" if lacking else ""


def _at_once(jobs: Sequence[Job], n_processes: int, is_over: Callable[[], bool]) -> list[JobEnd]:
    waiting, ends = list(jobs), []
    with _processes(n_processes) as (pool, display):
        running: dict[Future, Job] = {}
        while waiting or running:
            ready = [job for job in waiting if not ({*job.after} & _open(waiting, running))]
            while ready and len(running) < n_processes and not is_over():
                job = ready.pop(0)
                waiting.remove(job)
                if why := why_not(job):
                    ends.append(JobEnd(job=job, ended="failed", why=why))
                    continue
                with _deaf_to_ctrl_c():
                    running[pool.submit(train_job, job)] = job
            if not running:
                if is_over() or not ready:
                    break
                continue
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            display.refresh(len(ends), len(jobs))
            for future in finished:
                job = running.pop(future)
                try:
                    ended, why = future.result()
                except BrokenProcessPool as error:
                    raise RunError(
                        f"A process that trained {job.path.name} was killed, most likely for want of memory. What was "
                        "saved is kept: the same command goes on, with fewer processes if need be."
                    ) from error
                ends.append(JobEnd(job=job, ended=ended, why=why))
                if ended == "interrupted":
                    raise KeyboardInterrupt
    return ends


def _is_complete(path: Path) -> bool:
    return (path / "run.json").exists() and open_run(path).record.status == "complete"


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """A process that is started meanwhile never sees Ctrl-C before it knows what to do about it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _open(waiting: Sequence[Job], running: Mapping[Future, Job]) -> set[Path]:
    return {job.path for job in waiting} | {job.path for job in running.values()}


def train_job(job: Job) -> tuple[Ended, str]:
    """Train a job in this process, or go on with it; how it ended, and why in words where it is not complete."""
    try:
        if (job.path / "run.json").exists():
            status = open_run(job.path).record.status
            if status == "diverged" or (
                status == "complete" and (job.is_done is None or job.is_done(job.path))
            ):
                return status, ""
            job.goes_on(job.path)
        else:
            job.train(path=job.path, **job.arguments)
        return "complete", ""
    except KeyboardInterrupt as stop:
        return "interrupted", str(stop)
    except FloatingPointError as error:
        return "diverged", str(error)
    except (ValueError, OSError) as error:
        return "failed", str(error)


class _Display:
    """One line a running job, and one for all."""

    def __init__(self, messages: Any):
        self._messages, self._bar = messages, progress_bar.bar("accuracy", "speed")
        self._lines: dict[str, Any] = {}
        self._whole = self._bar.add_task("arms", total=None, accuracy="", speed="")
        self._bar.start()

    def refresh(self, n_done: int, n_all: int) -> None:
        self._bar.update(self._whole, completed=n_done, total=n_all)
        while not self._messages.empty():
            fields = self._messages.get()
            name = visible(str(fields.pop("description", "")))
            is_over = fields.pop("is_over", False)
            fields.pop("loss", None)
            if is_over and name in self._lines:
                self._bar.remove_task(self._lines.pop(name))
            elif not is_over:
                if name not in self._lines:
                    self._lines[name] = self._bar.add_task(name, total=None, accuracy="", speed="")
                self._bar.update(self._lines[name], **fields)

    def stop(self) -> None:
        self._bar.stop()


@contextmanager
def _processes(n: int) -> Iterator[tuple[ProcessPoolExecutor, _Display]]:
    context = get_context("spawn")
    messages = context.SimpleQueue()
    pool = ProcessPoolExecutor(n, mp_context=context, initializer=_begin, initargs=(os.getpid(), messages))
    display = _Display(messages)
    try:
        yield pool, display
    except BaseException:
        # A terminal sends Ctrl-C to all, `kill -INT` to one: those that are told twice save once.
        for process in list(getattr(pool, "_processes", {}).values()):
            os.kill(process.pid, signal.SIGINT)
        raise
    finally:
        display.stop()
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(parent: int, messages: Any) -> None:
    parent_watch.end_with(parent)
    # Between two jobs; while one trains, Ctrl-C ends its step and saves.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    lock = threading.Lock()

    def send(fields: dict[str, Any]) -> None:
        with lock:
            messages.put(dict(fields))

    progress_bar.tell(send)

"""What surrounds a stretch of training: the lock, signals, determinism, and what is recorded of the machine."""

import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import filelock
import torch

from interp.ground.provenance import commit, now, versions
from interp.ground.system_errors import system_error
from interp.runs.locks import run_lock
from interp.runs.record import Session
from interp.runs.tensor_files import RunError


def session_record(
    step: int, device: str, extended_from: int | None = None, stack: int | None = None
) -> Session:
    """Where and with what this stretch of training runs; in a stack of so many, None for a run alone."""
    return Session(
        from_step=step,
        extended_from=extended_from,
        started=now(),
        device=device,
        device_name=torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine(),
        threads=torch.get_num_threads(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        platform=platform.platform(),
        versions=versions(),
        commit=commit(),
        stack=stack,
    )


class InUse(RunError):
    """Another trainer is working on a run."""


@contextmanager
def lock(path: Path) -> Iterator[None]:
    path = path.expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"A new run needs a directory, and {path} cannot be made: {system_error(error)}."
        ) from error
    with ExitStack() as stack:
        try:
            stack.enter_context(run_lock(path))
        except filelock.Timeout:
            raise InUse(
                f"Another trainer is working on {path}. Wait for it, stop it, or name another directory."
            ) from None
        yield


@contextmanager
def signals() -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C or SIGTERM came, so that a step is never cut in half."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    former = {
        number: signal.signal(number, lambda number, _: caught.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def deterministic(device: str, threads: int) -> Iterator[None]:
    former_threads, former_mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic  # a module whose attribute is made when it is imported
    fill = memory.fill_uninitialized_memory
    if device.startswith("cuda"):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    # As torch.use_deterministic_algorithms(True), which loads the compiler first: two seconds for nothing here.
    torch.set_deterministic_debug_mode("error")
    memory.fill_uninitialized_memory = False  # no value here is read before it is written
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(former_mode)
        memory.fill_uninitialized_memory = fill
        torch.set_num_threads(former_threads)

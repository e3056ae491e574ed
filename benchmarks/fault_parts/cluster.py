"""Sweeps on a cluster that is this machine: tasks of submitit's local executor, workers and schedulers of Dask."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from benchmarks.fault_parts.material import Material
from benchmarks.fault_parts.processes import Failed, Process, check_sentence, kill_other, last_line
from benchmarks.fault_parts.sweeps import (
    KEPT,
    ROOT,
    check_still_there,
    check_swept,
    line,
    made,
    reported_in,
    swept,
)
from benchmarks.fault_parts.trials import Trial
from benchmarks.fault_parts.workers import check_ended_well, ends_well_with_some_killed, wait_for

N_EACH = {"task": 60, "worker": 60, "scheduler": 20}
# What the command lines of those have that train.
TASK, DASK = "submitit.core._submit", "multiprocessing.spawn"
SECONDS_TO_START = 60.0


def trials(material: Material) -> Iterator[Trial]:
    seconds = made(material)
    acts = {
        "task": ("kill -9 of an array task (submitit, local)", "submitit", _task),
        "worker": ("kill -9 of workers of a Dask cluster", "distributed", _worker),
        "scheduler": ("kill -9 of a Dask scheduler", "distributed", _scheduler),
    }
    for name, (kind, module, act) in acts.items():
        for n in range(N_EACH[name] if find_spec(module) else 0):
            keep = KEPT[n % len(KEPT)]
            yield Trial(f"cluster/{name}/{n}", kind, partial(act, material, keep, seconds[keep]))


# Slurm.


def _task(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    place = folder / "sweep"
    process = Process(_on_slurm(place, keep))
    ends_well_with_some_killed(material, keep, seconds, place, draw, process, TASK)


def _on_slurm(place: Path, keep: str) -> Callable[[], int]:
    def act() -> int:
        cluster = import_module("interp.sweeps.cluster")
        cluster.SECONDS_BETWEEN_LOOKS = 0.1
        # The command line has no option for a cluster that is this machine.
        here = cluster.Slurm(cluster="local", minutes=10)
        import_module("interp.commands.sweep")._where = lambda **_: here
        return swept(line(place, keep, 2))()

    return act


# Dask.


def _started(folder: Path, name: str) -> tuple[str, subprocess.Popen]:
    """A scheduler with two workers, each watched over by a nanny: its address, and its process."""
    file = folder / f"{name}.json"
    scheduler = _dask(
        folder, "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)
    )
    # The file is there before it is written.
    _wait_until(lambda: bool(_address_in(file)), "a scheduler did not start")
    address = _address_in(file)
    log = folder / "worker.log"
    n = _n_registered(log)
    _dask(folder, "worker", address, "--nthreads", "1", "--nworkers", "2")
    # A nanny whose first worker is killed before it is there gives up, and takes the others with it.
    _wait_until(lambda: _n_registered(log) >= n + 2, "the workers did not start")
    return address, scheduler


def _address_in(file: Path) -> str:
    with contextlib.suppress(OSError, json.JSONDecodeError):
        return json.loads(file.read_text())["address"]
    return ""


def _wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while not is_so():
        if time.monotonic() > end:
            raise RuntimeError(otherwise)
        time.sleep(0.05)


def _n_registered(log: Path) -> int:
    """How often workers have said that the scheduler knows them."""
    return log.read_text(errors="replace").count("Registered to:") if log.exists() else 0


def _dask(folder: Path, *arguments: str) -> subprocess.Popen:
    with (folder / f"{arguments[0]}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": ROOT},
            stdout=log,
            stderr=log,
        )


def _worker(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    place = folder / "sweep"
    address, _ = _started(folder, "scheduler")
    process = Process(_on_dask(place, keep, address))

    def is_back(n: int) -> None:
        _wait_until(lambda: _n_registered(folder / "worker.log") >= 2 + n, "a worker did not start again")

    ends_well_with_some_killed(material, keep, seconds, place, draw, process, DASK, is_back)


def _on_dask(place: Path, keep: str, address: str) -> Callable[[], int]:
    def act() -> int:
        import_module("interp.sweeps.cluster").SECONDS_TO_CONNECT = 10
        return swept(line(place, keep, 2, "--dask", address))()

    return act


def _scheduler(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    """The command says that it is gone; given again with another it goes on."""
    place = folder / "sweep"
    address, scheduler = _started(folder, "scheduler")
    process = Process(_on_dask(place, keep, address))
    wait_for(place, process, DASK, seconds, draw)
    reported = reported_in(place)
    kill_other(scheduler.pid)
    scheduler.wait()
    ended = process.wait(120)
    check_sentence(ended, address)
    if ended.code and "gone" not in ended.error and "no scheduler" not in ended.error:
        raise Failed(f"does not say that the scheduler is gone: {last_line(ended)}")
    check_still_there(material, place, reported)
    address, _ = _started(folder, "another")
    check_ended_well(Process(_on_dask(place, keep, address)))
    check_swept(material, keep, place)

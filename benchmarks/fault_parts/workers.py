"""Sweeps with workers of this machine: workers, the command or all of it killed; files of others that are seen late."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.fault_parts.late_files import VARIABLE
from benchmarks.fault_parts.material import Material
from benchmarks.fault_parts.processes import Failed, Process, kill_other, last_line, others
from benchmarks.fault_parts.sweeps import (
    KEPT,
    check_still_there,
    check_stopped,
    check_swept,
    go_on,
    line,
    made,
    reported_in,
    swept,
)
from benchmarks.fault_parts.trials import Trial

N_EACH = {"one": 60, "all": 40, "command": 40, "stopped": 20, "late": 60}
SECONDS = 120.0
LOKY = "popen_loky_posix"


def trials(material: Material) -> Iterator[Trial]:
    seconds = made(material)
    acts = {
        "one": ("kill -9 of workers of a sweep", _workers),
        "all": ("kill -9 of a sweep with all its workers, three times in a row", _all),
        "command": ("kill -9 of the command of a sweep alone, twice", _command),
        "stopped": ("Ctrl-C of a sweep with its workers", _stopped),
        "late": ("a network file system that shows files late", _late),
    }
    for name, (kind, act) in acts.items():
        for n in range(N_EACH[name]):
            keep = KEPT[n % len(KEPT)]
            yield Trial(f"workers/{name}/{n}", kind, partial(act, material, keep, seconds[keep]))


def of_kind(text: str) -> list[int]:
    """Processes of this trial whose command line has this."""
    found = []
    for pid in others():
        with contextlib.suppress(OSError):
            if text in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
    return found


def wait_for(place: Path, process: Process, text: str, seconds: float, draw: random.Random) -> None:
    """Wait for a moment of a sweep: mostly one when its workers train, sometimes one before."""
    is_early, end = draw.random() < 0.2, time.monotonic() + SECONDS
    before = reported_in(place)
    while not process.ended() and time.monotonic() < end:
        if of_kind(text) and (is_early or reported_in(place) != before):
            break
        time.sleep(0.01)
    time.sleep(draw.uniform(0, 0.7 * seconds))


def kill_one(text: str, draw: random.Random) -> None:
    """kill -9 of one of the processes of this trial that are such."""
    if pids := of_kind(text):
        kill_other(draw.choice(pids))


def check_ended_well(process: Process) -> None:
    """Refuse unless a sweep ends by itself, as it should."""
    ended = process.wait(SECONDS)
    if ended.code or "complete of" not in ended.out:
        raise Failed(f"the sweep ended with {ended.code}: {last_line(ended)} {ended.out[-300:]}")


def ends_well_with_some_killed(
    material: Material,
    keep: str,
    seconds: float,
    place: Path,
    draw: random.Random,
    process: Process,
    kind: str,
    before: Callable[[int], None] = lambda n: None,
) -> None:
    """One or two processes of a kind are killed while a sweep goes on; it ends by itself as if nothing had been.

    Args:
        before: what has to come before the n-th kill.
    """
    for n in range(draw.choice((1, 2))):
        before(n)
        wait_for(place, process, kind, seconds, draw)
        reported = reported_in(place)
        kill_one(kind, draw)
    check_ended_well(process)
    check_still_there(material, place, reported)
    check_swept(material, keep, place)


def _goes_on_when_killed(
    n: int, material: Material, keep: str, seconds: float, place: Path, draw: random.Random, kill: Callable
) -> None:
    """The command is killed so many times, and given again each time."""
    for _ in range(n):
        process = Process(swept(line(place, keep, 2)))
        wait_for(place, process, LOKY, seconds, draw)
        reported = reported_in(place)
        kill(process)
        check_still_there(material, place, reported)
    go_on(place, keep, 2, SECONDS)
    check_swept(material, keep, place)


def _workers(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    place = folder / "sweep"
    process = Process(swept(line(place, keep, 2)))
    ends_well_with_some_killed(material, keep, seconds, place, draw, process, LOKY)


def _all(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    def kill(process: Process) -> None:
        process.kill()
        end_all()

    _goes_on_when_killed(3, material, keep, seconds, folder / "sweep", draw, kill)


def end_all() -> None:
    """kill -9 of all that this trial has started; those that train are counted."""
    for pid in of_kind(LOKY):
        kill_other(pid)
    while pids := others():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _command(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    """Its workers end what they are at, while the same command begins anew."""
    _goes_on_when_killed(2, material, keep, seconds, folder / "sweep", draw, Process.kill)


def _stopped(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    """As a terminal does it, to all of them, or to the command alone."""
    place = folder / "sweep"
    process = Process(swept(line(place, keep, 2)))
    wait_for(place, process, LOKY, seconds, draw)
    reported = reported_in(place)
    for pid in {process.pid, *(of_kind(LOKY) if draw.random() < 0.5 else ())}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
    check_stopped(process.wait(SECONDS))
    check_still_there(material, place, reported)
    go_on(place, keep, 2, SECONDS)
    check_swept(material, keep, place)


def _late(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    """Undisturbed, with a worker killed, or with the command killed and given again at once."""
    place, names = folder / "sweep", folder / "names"
    names.mkdir()
    os.environ[VARIABLE] = f"{place}|{names}|{draw.uniform(0.5, 2.0)}"
    process = Process(swept(line(place, keep, 2)))
    what = draw.choice(("nothing", "worker", "command"))
    if what != "nothing":
        wait_for(place, process, LOKY, seconds, draw)
    if what == "worker":
        kill_one(LOKY, draw)
    if what == "command":
        process.kill()
        process = Process(swept(line(place, keep, 2)))
    try:
        check_ended_well(process)
        check_swept(material, keep, place)
    except Failed as failed:
        raise Failed(f"{what} was killed: {failed}") from failed

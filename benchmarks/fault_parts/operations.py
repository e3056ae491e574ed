"""kill -9 at every file operation of every command that writes; the same command again ends as if nothing had been.

A file that is killed while it is synced is left half written.
"""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

from benchmarks.fault_parts.material import STATED, Material, check_same, contents, run_json, training
from benchmarks.fault_parts.processes import Failed, Process, command, done, last_line, value_of
from benchmarks.fault_parts.promises import check_numbers
from benchmarks.fault_parts.trials import Trial

ENOUGH = 10**9
LONGER = ("--steps", 10, "--save", "every:2")


@dataclass(frozen=True)
class Job:
    """A command that writes.

    Attributes:
        prepare: makes what it works on in an empty folder.
        act: what is killed, of that folder.
        check: goes on after the kill, and refuses unless all is as it would have been.
    """

    prepare: Callable[[Material, Path], object]
    act: Callable[[Path], object]
    check: Callable[[Material, Path], None]


def trials(material: Material) -> Iterator[Trial]:
    for name, job in JOBS.items():
        for n in range(1, _operations(material, name, job) + 1):
            kind = f"kill -9 at a file operation of {name}"
            yield Trial(f"operations/{name.replace(' ', '')}/{n}", kind, partial(_killed, material, job, n))


def _operations(material: Material, name: str, job: Job) -> int:
    """How many file operations a command has: it runs once for this, undisturbed."""
    folder = material.path / f"counting {name}"
    folder.mkdir()
    job.prepare(material, folder)
    return value_of(partial(_done_before, job, ENOUGH, folder))


def _killed(material: Material, job: Job, n: int, folder: Path, draw: random.Random) -> None:
    job.prepare(material, folder)
    ended = Process(partial(_done_before, job, n, folder)).wait()
    if ended.code != -signal.SIGKILL:
        raise Failed(f"was not killed at operation {n}: {last_line(ended)}")
    job.check(material, folder)


def _done_before(job: Job, n: int, folder: Path) -> int:
    """How many operations were done before the n-th, if it is reached, ends the process."""
    from benchmarks.fault_parts.staged import killed_at

    # After every step, or how many there are would depend on the time.
    import_module("interp.training.member").SECONDS_BETWEEN_STATES = -1.0
    with killed_at(n, folder, lambda what: os.kill(os.getpid(), signal.SIGKILL)) as done_before:
        if code := job.act(folder):
            raise Failed(f"exit code {code} although nothing disturbed it")
    return len(done_before)


# Training.


def _short(folder: Path) -> list[str]:
    from benchmarks.fault_parts.material import SHORT

    return training(folder / "run", 6, "mini-batches", SHORT)


def _ended(material: Material, folder: Path, whole: str, *again: object) -> None:
    path = folder / "run"
    if not (path / "run.json").exists():
        done(*_short(folder))
    value = run_json(path)
    if again and value["config"]["n_steps"] == 6:
        done("resume", path, *again)
    elif value["status"] != "complete":
        done("resume", path)
    # What a trainer leaves that was killed after its last word.
    done("verify", path, "--repair")
    check_same(material.run(whole), path)


# Measuring and packing.


def _measure(folder: Path) -> int:
    return command("measure", folder / "run", "--probes", "losses", "--out", folder / "tables")()


def _check_measured(material: Material, folder: Path) -> None:
    done("measure", folder / "run", "--probes", "losses", "--out", folder / "tables")
    left = [path.name for path in (folder / "run").rglob(".*")]
    if left or len(list((folder / "run" / "measures").glob("*.parquet"))) != 1:
        raise Failed(f"left behind in measures: {left}")
    check_numbers(material.run("short"), folder / "run")


def _pack(folder: Path) -> None:
    import interp

    interp.open_run(folder / "run").weights("W_E")


def _check_packed(material: Material, folder: Path) -> None:
    value_of(partial(_pack, folder))
    if left := [path.name for path in (folder / "run").rglob(".*")]:
        raise Failed(f"left behind in packed: {left}")
    check_numbers(material.run("short"), folder / "run")


# Importing.


def _import(folder: Path) -> int:
    return command("import", folder / "foreign", folder / "run", *STATED)()


def _check_imported(material: Material, folder: Path) -> None:
    if not (folder / "run" / "run.json").exists():
        done("import", folder / "foreign", folder / "run", *STATED)
    done("verify", folder / "run")
    if left := list(folder.glob(".*")):
        # The next import beside it removes them; where no lock says whose they are, an hour later.
        for path in left:
            os.utime(path, (time.time() - 7200,) * 2)
        done("import", folder / "foreign", folder / "second", *STATED)
        left = [path.name for path in folder.rglob(".*")]
        if left:
            raise Failed(f"left behind by imports: {', '.join(left)}")
    check_numbers(material.run("imported"), folder / "run")


# Repairing.

A, B, C = (f"steps/{step:010d}.safetensors" for step in (20, 40, 60))


def _swapped(material: Material, folder: Path) -> None:
    """Two files in each other's place, the index without one entry, a state lost, a table damaged: all at once."""
    path = material.copy("whole", folder / "run")
    os.rename(path / A, path / "aside")
    os.rename(path / B, path / A)
    os.rename(path / "aside", path / B)
    index = json.loads((path / "index.json").read_text("utf-8"))
    del index["60"]
    (path / "index.json").write_text(json.dumps(index), "utf-8")
    (path / "task.safetensors").unlink()


def _repair(folder: Path) -> int:
    return command("verify", folder / "run", "--repair")()


def _check_repaired(material: Material, folder: Path) -> None:
    whole, path = material.run("whole"), folder / "run"
    before = {data for name, data in contents(whole).items() if name.startswith("steps/")}
    if lost := before - set(contents(path).values()):
        raise Failed(f"the content of {len(lost)} checkpoints is nowhere")
    done("verify", path, "--repair")
    if contents(path, ("packed", "measures")) != contents(whole, ("packed", "measures")):
        raise Failed("the run is not as it was")


JOBS = {
    "train": Job(
        lambda material, folder: None, lambda f: command(*_short(f))(), partial(_ended, whole="short")
    ),
    "resume": Job(
        lambda material, folder: material.copy("short-interrupted", folder / "run"),
        lambda folder: command("resume", folder / "run")(),
        partial(_ended, whole="short"),
    ),
    "resume --steps": Job(
        lambda material, folder: material.copy("short", folder / "run"),
        lambda folder: command("resume", folder / "run", *LONGER)(),
        lambda material, folder: _ended(material, folder, "short-longer", *LONGER),
    ),
    "measure": Job(
        lambda material, folder: material.unmeasured("short", folder / "run"), _measure, _check_measured
    ),
    "packing": Job(
        lambda material, folder: material.unmeasured("short", folder / "run"), _pack, _check_packed
    ),
    "import": Job(lambda m, folder: m.copy("foreign", folder / "foreign"), _import, _check_imported),
    "verify --repair": Job(_swapped, _repair, _check_repaired),
}

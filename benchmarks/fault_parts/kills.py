"""kill -9 of trainers at random moments: nothing that was reported saved is lost, the resumed run is the whole one."""

import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.fault_parts.material import (
    N_LONGER,
    N_STEPS,
    RECIPES,
    Material,
    check_same,
    check_whole,
    run_json,
    saved_steps,
    training,
)
from benchmarks.fault_parts.processes import Failed, Process, command, done
from benchmarks.fault_parts.trials import Trial

N_EACH = {"train": 200, "resume": 120, "resume --steps": 80, "five times": 20}
LONGER = ("--steps", N_LONGER, "--save", "every:20")


def trials(material: Material) -> Iterator[Trial]:
    acts = {"train": _train, "resume": _resume, "resume --steps": _longer, "five times": _five_times}
    for name, act in acts.items():
        for n in range(N_EACH[name]):
            yield Trial(
                f"kills/{name.replace(' ', '')}/{n}",
                f"kill -9 of {name} at a random moment"
                if name != "five times"
                else "kill -9 five times in a run",
                partial(act, material, list(RECIPES)[n % len(RECIPES)]),
            )


def _train(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    path = folder / "run"
    arguments = training(path, N_STEPS, recipe)
    _killed(arguments, path, draw.uniform(0, material.seconds[recipe]))
    _finished(arguments, path)
    check_same(material.run("whole", recipe), path)


def _resume(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    path = material.copy("interrupted", folder / "run", recipe)
    _killed(["resume", path], path, draw.uniform(0, material.seconds[recipe] / 2))
    _finished([], path)
    check_same(material.run("whole", recipe), path)


def _longer(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    path = material.copy("whole", folder / "run", recipe)
    _killed(["resume", path, *LONGER], path, draw.uniform(0, material.seconds[recipe] / 2))
    if run_json(path)["config"]["n_steps"] == N_STEPS:
        done("resume", path, *LONGER)
    _finished([], path)
    check_same(material.run("longer", recipe), path)


def _five_times(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    path = folder / "run"
    arguments = training(path, N_STEPS, recipe)
    for _ in range(5):
        again = ["resume", path] if (path / "run.json").exists() else arguments
        _killed(again, path, draw.uniform(0, material.seconds[recipe] / 3))
    _finished(arguments, path)
    check_same(material.run("whole", recipe), path)


def _killed(arguments: list[object] | list[str], path: Path, seconds: float) -> None:
    """A command killed so long after its start, or as it ended; what it had reported saved is there."""
    process = Process(command(*arguments))
    time.sleep(seconds)
    reported = saved_steps(path)
    process.kill()
    if (path / "run.json").exists():
        check_whole(path, reported)
    elif reported:
        raise Failed(f"steps {reported} were saved, and there is no run")


def _finished(arguments: list[str], path: Path) -> None:
    """The run as the same user would end it: the same start where there is no run yet, else `interp resume`."""
    if not (path / "run.json").exists():
        done(*arguments)
    elif run_json(path)["status"] != "complete":
        done("resume", path)

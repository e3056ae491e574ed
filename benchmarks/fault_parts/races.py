"""Two processes that want one directory at the same moment: what comes of it is what one of them alone would have made.

The second begins at a random moment of the first, often at once.
"""

import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.fault_parts.kills import LONGER
from benchmarks.fault_parts.material import (
    N_LONGER,
    N_STEPS,
    RECIPES,
    STATED,
    Material,
    check_same,
    contents,
    run_json,
    training,
)
from benchmarks.fault_parts.operations import _swapped as swapped
from benchmarks.fault_parts.processes import (
    Ended,
    Failed,
    Process,
    check_sentence,
    command,
    done,
    last_line,
)
from benchmarks.fault_parts.promises import check_numbers
from benchmarks.fault_parts.trials import Trial

N_EACH = 15
Race = Callable[[Material, str, Path, random.Random], None]


def trials(material: Material) -> Iterator[Trial]:
    for kind, race in RACES.items():
        for n in range(N_EACH):
            recipe = list(RECIPES)[n % len(RECIPES)]
            name = kind.replace(" ", "-")
            yield Trial(f"races/{name}/{n}", f"at the same moment: {kind}", partial(race, material, recipe))


def _both(
    first: list[object], second: list[object], seconds: float, draw: random.Random, *named: str
) -> tuple[Ended, Ended]:
    """How two commands ended, the second begun within so many seconds of the first; who failed said a sentence."""
    # A third at once, a third in the moments of a start, a third at any time.
    delay = draw.uniform(0, draw.choice((0.0, 0.05, seconds)))
    begin = time.monotonic() + 0.05
    processes = [Process(partial(_at, begin, first)), Process(partial(_at, begin + delay, second))]
    one, other = (process.wait() for process in processes)
    for arguments, ended in ((first, one), (second, other)):
        try:
            check_sentence(ended, *named)
        except Failed as failed:
            raise Failed(f"{arguments[0]}, {delay:.3f} s apart: {failed}") from failed
    return one, other


def _at(moment: float, arguments: list[object]) -> int:
    """A command, from this moment on: what a fork takes is over then."""
    time.sleep(max(0.0, moment - time.monotonic()))
    return command(*arguments)()


def _one_wins(ended: tuple[Ended, Ended]) -> None:
    if sorted(each.code for each in ended) != [0, 1]:
        said = "; ".join(f"{each.code} ({last_line(each)})" for each in ended)
        raise Failed(f"exactly one should have succeeded: {said}")


def _none_left(folder: Path) -> None:
    if left := [str(path.relative_to(folder)) for path in folder.rglob(".*")]:
        raise Failed(f"left behind: {', '.join(left)}")


# Training.


def _two_trainers(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    path = folder / "run"
    line = training(path, N_STEPS, recipe)
    _one_wins(_both(line, line, material.seconds[recipe], draw, "run"))
    check_same(material.run("whole", recipe), path)
    _none_left(folder)


def _two_resumes(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    path = material.copy("interrupted", folder / "run", recipe)
    line = ["resume", path]
    _one_wins(_both(line, line, material.seconds[recipe] / 2, draw, "run"))
    check_same(material.run("whole", recipe), path)


def _at_least_one(ended: tuple[Ended, Ended]) -> None:
    if all(each.code for each in ended):
        raise Failed(f"both were refused: {last_line(ended[0])}; {last_line(ended[1])}")


def _train_and_resume(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    """A resume never harms a trainer, from before there is a run until after its end."""
    path = folder / "run"
    trained, _ = _both(
        training(path, N_STEPS, recipe), ["resume", path], material.seconds[recipe], draw, "run"
    )
    if trained.code:
        raise Failed(f"the trainer was disturbed: {last_line(trained)}")
    check_same(material.run("whole", recipe), path)


def _resume_and_longer(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    path = material.copy("interrupted", folder / "run", recipe)
    lines = [["resume", path], ["resume", path, *LONGER]]
    draw.shuffle(lines)
    _at_least_one(_both(lines[0], lines[1], material.seconds[recipe] / 2, draw, "run"))
    _end_longer(material, recipe, path)


def _two_longer(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    path = material.copy("whole", folder / "run", recipe)
    line = ["resume", path, *LONGER]
    _one_wins(_both(line, line, material.seconds[recipe] / 2, draw, "run"))
    _end_longer(material, recipe, path)


def _end_longer(material: Material, recipe: str, path: Path) -> None:
    """As the one who was refused would go on."""

    if run_json(path)["config"]["n_steps"] != N_LONGER:
        done("resume", path, *LONGER)
    check_same(material.run("longer", recipe), path)


def _train_and_read(
    command_name: str, material: Material, recipe: str, folder: Path, draw: random.Random
) -> None:
    """Reading a run that grows: there is nothing yet, or it is as it should be."""
    path, rest = (
        folder / "run",
        ("--probes", "losses", "--out", folder / "tables") if command_name == "measure" else (),
    )
    trained, read = _both(
        training(path, N_STEPS, recipe), [command_name, path, *rest], material.seconds[recipe], draw, "run"
    )
    if trained.code:
        raise Failed(f"the trainer was disturbed: {last_line(trained)}")
    is_early = any(
        text in read.error + read.out
        for text in ("nothing at", "neither a run", "no checkpoint", "no run", "starting")
    )
    if read.code and not is_early:
        raise Failed(
            f"{command_name} of a run that grows ended with {read.code}: {read.error}{read.out}"[:600]
        )
    check_same(material.run("whole", recipe), path)
    _none_left(folder)


def _train_and_repair(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    path = folder / "run"
    line = ["verify", path, "--repair"]
    trained, _ = _both(training(path, N_STEPS, recipe), line, material.seconds[recipe], draw, "run")
    if trained.code:
        raise Failed(f"the trainer was disturbed: {last_line(trained)}")
    check_same(material.run("whole", recipe), path)


# Importing.


def _two_imports(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    line = ["import", material.run("foreign"), folder / "run", *STATED]
    _one_wins(_both(line, line, 0.3, draw, "run"))
    check_numbers(material.run("imported"), folder / "run")
    _none_left(folder)


def _import_and_train(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    path = folder / "run"
    lines = [["import", material.run("foreign"), path, *STATED], training(path, N_STEPS, recipe)]
    draw.shuffle(lines)
    ended = _both(lines[0], lines[1], 0.3, draw, "run")
    _one_wins(ended)
    winner = lines[[each.code for each in ended].index(0)][0]
    if winner == "train":
        check_same(material.run("whole", recipe), path)
    else:
        check_numbers(material.run("imported"), path)
    _none_left(folder)


# Measuring, packing and repairing.


def _two_measures(
    probes: tuple[str, str], material: Material, recipe: str, folder: Path, draw: random.Random
) -> None:
    path = material.unmeasured("whole", folder / "run", recipe)
    lines = [
        ["measure", path, "--probes", names, "--out", folder / f"tables{n}"] for n, names in enumerate(probes)
    ]
    _all_done(_both(lines[0], lines[1], 0.3, draw, "run"))
    alone = material.unmeasured("whole", folder / "alone" / "run", recipe)
    for n, names in enumerate(probes):
        done("measure", alone, "--probes", names, "--out", folder / "alone" / f"tables{n}")
    for tables in ("tables0", "tables1"):
        if contents(folder / tables) != contents(folder / "alone" / tables):
            raise Failed(f"other tables than without the other: {tables}")
    kept, wanted = (sorted(file.name for file in (at / "measures").glob("*.parquet")) for at in (path, alone))
    if kept != wanted:
        raise Failed(f"kept {', '.join(kept)}, not {', '.join(wanted)}")
    _none_left(folder)


def _all_done(ended: tuple[Ended, Ended]) -> None:
    for each in ended:
        if each.code:
            raise Failed(f"ended with {each.code}: {last_line(each)}")


def _measure_and_repair(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    """What was measured is right, or measuring was refused; the repair is whole."""
    swapped(material, folder)
    whole, path = material.run("whole"), folder / "run"
    lines: list[list[object]] = [
        ["measure", path, "--probes", "losses", "--out", folder / "tables"], ["verify", path, "--repair"],
    ]  # fmt: skip
    draw.shuffle(lines)
    _both(lines[0], lines[1], 0.3, draw, "run", "safetensors")
    done("verify", path, "--repair")
    if contents(path, ("packed", "measures")) != contents(whole, ("packed", "measures")):
        raise Failed("the run is not as it was")
    check_numbers(whole, path)


def _two_repairs(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    swapped(material, folder)
    whole, path = material.run("whole"), folder / "run"
    line = ["verify", path, "--repair"]
    _both(line, line, 0.2, draw, "run")
    done("verify", path, "--repair")
    if contents(path, ("packed", "measures")) != contents(whole, ("packed", "measures")):
        raise Failed("the run is not as it was")


def _two_packers(material: Material, recipe: str, folder: Path, draw: random.Random) -> None:
    path = material.unmeasured("whole", folder / "run", recipe)
    names = ["W_E", draw.choice(("W_E", "W_U"))]
    processes = [Process(partial(_pack, path, name)) for name in names]
    ended = [process.wait() for process in processes]
    if bad := [each for each in ended if each.code]:
        raise Failed(f"packing ended with {bad[0].code}: {last_line(bad[0])}")
    _none_left(folder)
    check_numbers(material.unmeasured("whole", folder / "alone" / "run", recipe), path)


def _pack(path: Path, name: str) -> int:
    import interp

    interp.open_run(path).weights(name)
    return 0


RACES: dict[str, Race] = {
    "two trainers": _two_trainers,
    "two resumes": _two_resumes,
    "a trainer and resume": _train_and_resume,
    "resume and resume --steps": _resume_and_longer,
    "two resume --steps": _two_longer,
    "a trainer and verify": partial(_train_and_read, "verify"),
    "a trainer and info": partial(_train_and_read, "info"),
    "a trainer and measure": partial(_train_and_read, "measure"),
    "a trainer and verify --repair": _train_and_repair,
    "two imports": _two_imports,
    "an import and a trainer": _import_and_train,
    "two measures of the same": partial(_two_measures, ("losses", "losses")),
    "two measures of different probes": partial(_two_measures, ("losses", "weight_norms")),
    "measure and verify --repair": _measure_and_repair,
    "two verify --repair": _two_repairs,
    "two that pack weights": _two_packers,
}

"""The runs and files that faults are done to, all made on the spot; what a run must give, and how two are compared."""

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.fault_parts.processes import Failed, done, value_of

SIZES = ("--p", "11", "--d-model", "16", "--heads", "2", "--d-mlp", "32", "--lr", "0.01", "--threads", "1")
RECIPES: dict[str, tuple[str, ...]] = {
    "full-batch": (),
    "mini-batches": ("--optimizer", "adam", "--batch-size", "16"),
    "momentum": ("--optimizer", "sgd", "--momentum", "0.9", "--batch-size", "10", "--layers", "2"),
}
# Of long runs, killed at random moments, and of short ones, killed at every file operation.
LONG = ("--save", "every:20", "--save-optimizer", "every:50")
SHORT = ("--save", "every:2", "--save-optimizer", "4")
N_STEPS, N_LONGER, STOPPED_AT = 150, 220, 80
STATED = (
    "--task",
    "add",
    "--p",
    "11",
    "--activation",
    "relu",
    "--attention",
    "causal",
    "--normalization",
    "none",
)


@dataclass(frozen=True)
class Material:
    """A folder with the runs that trials copy.

    Attributes:
        seconds: that training took undisturbed, by recipe.
    """

    path: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, name: str, recipe: str = "full-batch") -> Path:
        """whole, longer, interrupted: of a recipe; short, short-longer, short-interrupted, other, imported, foreign."""
        return self.path / recipe / name

    def copy(self, name: str, to: Path, recipe: str = "full-batch") -> Path:
        return Path(shutil.copytree(self.run(name, recipe), to, symlinks=True))

    def unmeasured(self, name: str, to: Path, recipe: str = "full-batch") -> Path:
        """A copy without what can be made anew."""
        path = self.copy(name, to, recipe)
        for derived in ("packed", "measures"):
            shutil.rmtree(path / derived, ignore_errors=True)
        return path


def training(
    path: Path, n_steps: int, recipe: str = "full-batch", saving: tuple[str, ...] = LONG
) -> list[str]:
    """Arguments of `interp` that train a run."""
    return ["train", str(path), *SIZES, *RECIPES[recipe], *saving, "--steps", str(n_steps)]


def made(path: Path) -> Material:
    """All runs, each trained in a process of its own."""
    material = Material(path)
    for recipe in RECIPES:
        start = time.monotonic()
        done(*training(material.run("whole", recipe), N_STEPS, recipe))
        material.seconds[recipe] = time.monotonic() - start
        _longer(material.copy("whole", material.run("longer", recipe), recipe), N_LONGER)
        value_of(partial(stopped, training(material.run("interrupted", recipe), N_STEPS, recipe), STOPPED_AT))
    short = partial(training, recipe="mini-batches", saving=SHORT)
    done(*short(material.run("short"), 6))
    _longer(material.copy("short", material.run("short-longer")), 10, save="every:2")
    value_of(partial(stopped, short(material.run("short-interrupted"), 6), 4))
    done(*training(material.run("other"), N_STEPS), "--seed", "1")
    value_of(partial(_foreign, material.run("whole"), material.run("foreign")))
    done("import", material.run("foreign"), material.run("imported"), *STATED)
    for name in ("whole", "imported"):
        value_of(partial(_measured_and_packed, material.run(name)))
    return material


def _longer(path: Path, n_steps: int, save: str = "every:20") -> None:
    done("resume", path, "--steps", n_steps, "--save", save)


def stopped(arguments: list[str], step: int) -> None:
    """Train, with a real signal to stop in the moment after this step was saved."""
    from benchmarks.fault_parts.processes import command

    member = import_module("interp.training.member")
    save_checkpoint = member.save_checkpoint

    def save(run: Any, at: int, *rest: Any) -> None:
        save_checkpoint(run, at, *rest)
        if at == step:
            signal.raise_signal(signal.SIGINT)

    member.save_checkpoint = save
    command(*arguments)()


def _foreign(run_path: Path, folder: Path) -> None:
    """The run's checkpoints as another trainer would have left them, with losses and more beside the weights."""
    import torch

    from interp.runs.run import open_run

    folder.mkdir()
    run = open_run(run_path)
    history = run.history().set_index("step")
    for step in run.steps[:4]:
        losses = {name: float(history.loc[step, name]) for name in ("train_loss", "test_loss")}
        content = {"model": run.step_weights(step), "step": step, **losses, "grad_norm": 0.5 + step}
        torch.save(content, folder / f"step_{step}.pt")


def _measured_and_packed(path: Path) -> None:
    import interp

    run = interp.open_run(path)
    for name in ("W_E", "W_U"):
        run.weights(name)
    interp.measure(run, ["losses", "weight_norms"])


# How two runs are compared.


def check_whole(path: Path, at_least: list[int]) -> None:
    """Refuse unless everything that the index names is there and whole, these steps among it.

    Raises:
        Failed: otherwise, with the reason.
    """

    def act() -> str:
        import interp

        run = interp.open_run(path)
        run.history()
        for step in run.steps:
            run.checkpoint(step)
        lost = sorted(set(at_least) - set(run.steps))
        return f"steps {lost} were saved and are gone" if lost else ""

    if problem := value_of(act):
        raise Failed(problem)


def check_same(whole: Path, path: Path) -> None:
    """Refuse unless two runs are equal bit for bit: checkpoints, optimizer states, history, the end, and nothing else.

    Raises:
        Failed: with what differs.
    """
    if problem := value_of(partial(difference, whole, path)):
        raise Failed(problem)


def difference(whole: Path, path: Path) -> str:
    """In what two runs are not equal bit for bit, or nothing."""
    import interp

    a, b = interp.open_run(whole), interp.open_run(path)
    if b.record.status != "complete":
        return f"ended as {b.record.status}"
    if a.config != b.config:
        return "another config"
    if dict(a.index) != dict(b.index):
        return "other checkpoints"
    for step in b.steps:
        # Their files really have the checksums.
        b.checkpoint(step)
    if not a.history().equals(b.history()):
        return "another history"
    if _latest(whole) != _latest(path):
        return "another state at the end"
    if left := [str(p.relative_to(path)) for p in path.rglob(".*")]:
        return f"left behind: {', '.join(left)}"
    return ""


def _latest(path: Path) -> bytes | None:
    """The state at the end; a run of a sweep that was thinned has none."""
    file = path / "latest.safetensors"
    return file.read_bytes() if file.exists() else None


def run_json(path: Path) -> Any:
    """What run.json says."""
    return json.loads((path / "run.json").read_text("utf-8"))


def saved_steps(path: Path) -> list[int]:
    """The steps that index.json names at this moment: those that were reported saved."""
    with contextlib.suppress(FileNotFoundError):
        return [int(step) for step in json.loads((path / "index.json").read_text("utf-8"))]
    return []


def contents(folder: Path, leave_out: tuple[str, ...] = ()) -> dict[str, object]:
    """Every file and link below a folder, by its place; locks are left out, and what lies below these names."""
    return dict(_contents(folder, leave_out))


def _contents(folder: Path, leave_out: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == "lock" or name.split(os.sep)[0] in leave_out:
            continue
        if path.is_symlink():
            yield name, f"-> {os.readlink(path)}"
        elif path.is_file():
            yield name, path.read_bytes()
        else:
            yield name, "folder"

"""Stacks that are killed, or meet a full disk: every member ends as it would have, whoever is in the stack with it."""

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.fault_parts.material import Material, difference, saved_steps
from benchmarks.fault_parts.processes import Failed, Process, last_line, value_of
from benchmarks.fault_parts.trials import Trial

N_EACH = {"once": 200, "three times": 60, "other company": 100, "full disk": 120}
N_STEPS, N_SHORT = 60, 6
# Members that share nothing but their shapes.
OPTIMIZERS: dict[str, dict[str, dict[str, Any]]] = {
    "full-batch": {
        "a": {},
        "b": {"name": "adam", "lr": 3e-4, "warmup_steps": 40},
        "c": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "d": {"lr": 3e-3, "weight_decay": 0.1},
    },
    "mini-batches": {
        "a": {"batch_size": 9},
        "b": {"batch_size": 9, "batch_seed": 3, "lr": 3e-3},
        "c": {"batch_size": 9, "name": "sgd", "lr": 0.1, "momentum": 0.9},
        "d": {"batch_size": 9, "seed": 5},
    },
}
NAMES = tuple(OPTIMIZERS["full-batch"])
ENOUGH = 10**9
# Seconds from one state to the next; after every step where how many there are may not depend on the time.
BETWEEN_STATES, EVERY_STEP = 0.1, -1.0


def trials(material: Material) -> Iterator[Trial]:
    seconds = {mix: value_of(partial(_made, material, mix)) for mix in OPTIMIZERS}
    acts = {
        "once": ("kill -9 of a stack at a random moment", _once),
        "three times": ("kill -9 three times of a stack", _three_times),
        "other company": ("members killed, and resumed in other company or by themselves", _other_company),
        "full disk": ("a full disk in mid-stack", _full_disk),
    }
    for name, (kind, act) in acts.items():
        for n in range(N_EACH[name]):
            mix = list(OPTIMIZERS)[n % len(OPTIMIZERS)]
            act_of = partial(act, material, mix, seconds[mix])
            yield Trial(f"stacks/{name.replace(' ', '-')}/{n}", kind, act_of)
    for n in range(1, value_of(partial(_killed_before, ENOUGH, _copied(material, "short", "counted"))) + 1):
        kind = "kill -9 at a file operation of a stack"
        yield Trial(f"stacks/operations/{n}", kind, partial(_at_operation, material, n))


def _made(material: Material, mix: str) -> float:
    """Members that were begun, and the same trained by an undisturbed stack; how long it took."""
    from interp.training.train import begin

    for name, recipe in _recipes(mix, N_STEPS, every=10, optimizer_every=20).items():
        begin(recipe, _place(material, mix) / "begun" / name)
    if mix == "full-batch":
        for name, recipe in _recipes(mix, N_SHORT, every=2, optimizer_every=4).items():
            if name in "ab":
                begin(recipe, _place(material, "short") / "begun" / name)
        _whole(material, "short")
    start = time.monotonic()
    _whole(material, mix)
    return time.monotonic() - start


def _recipes(mix: str, n_steps: int, every: int, optimizer_every: int) -> Mapping[str, Any]:
    from interp.runs.presets import mainline, variation
    from interp.runs.schedule import make_schedule

    schedule = make_schedule(n_steps, [f"every:{every}"], range(optimizer_every, n_steps, optimizer_every))
    sizes = {"d_model": 16, "n_heads": 2, "d_mlp": 16}
    base = variation(mainline(n_steps), task={"p": 7, "train_fraction": 0.6}, model=sizes)
    found = {}
    for seed, (name, changes) in enumerate(OPTIMIZERS[mix].items()):
        own = {"seed": seed} | changes
        task = {"split_seed": own["seed"]}
        found[name] = variation(
            base, task=task, seed=own.pop("seed"), optimizer=own, schedule=schedule, evaluation_interval=5
        )
    return found


def _place(material: Material, mix: str) -> Path:
    return material.path / "stacks" / mix


def _whole(material: Material, mix: str) -> None:
    folder = Path(shutil.copytree(_place(material, mix) / "begun", _place(material, mix) / "whole"))
    ends = _trained(folder, [path.name for path in sorted(folder.iterdir())])
    assert all(ended == "complete" for ended, _ in ends.values()), ends


def _copied(material: Material, mix: str, name: str) -> Path:
    return Path(shutil.copytree(_place(material, mix) / "begun", _place(material, mix) / name))


def _trained(
    folder: Path, names: Sequence[str], between_states: float = BETWEEN_STATES
) -> dict[str, tuple[str, str]]:
    """What became of the members of a stack, by name: how each ended, and why."""
    from interp.training.stacked import train_stack

    import_module("interp.training.member").SECONDS_BETWEEN_STATES = between_states

    ends = train_stack([folder / name for name in names], threads=1)
    return {end.path.name: (end.ended, end.why) for end in ends}


# Killed.


def _once(material: Material, mix: str, seconds: float, folder: Path, draw: random.Random) -> None:
    _killed_and_resumed(material, mix, folder, [NAMES], seconds, draw)


def _three_times(material: Material, mix: str, seconds: float, folder: Path, draw: random.Random) -> None:
    _killed_and_resumed(material, mix, folder, [NAMES] * 3, seconds / 2, draw)


def _other_company(material: Material, mix: str, seconds: float, folder: Path, draw: random.Random) -> None:
    companies = [draw.sample(NAMES, draw.randint(1, len(NAMES))) for _ in range(3)]
    _killed_and_resumed(material, mix, folder, companies, seconds / 2, draw, is_apart=True)


def _killed_and_resumed(
    material: Material,
    mix: str,
    folder: Path,
    companies: Sequence[Sequence[str]],
    seconds: float,
    draw: random.Random,
    is_apart: bool = False,
) -> None:
    """Each company killed within so many seconds, one after the other; then all end, as one stack or in two."""
    runs, whole = folder / "runs", _place(material, mix) / "whole"
    shutil.copytree(_place(material, mix) / "begun", runs)
    for names in companies:
        process = Process(partial(_trained, runs, names))
        time.sleep(draw.uniform(0, seconds))
        reported = {name: saved_steps(runs / name) for name in NAMES}
        process.kill()
        check_reported(whole, runs, reported)
    rest = draw.sample(NAMES, len(NAMES)) if is_apart else list(NAMES)
    cut = draw.randint(1, len(NAMES)) if is_apart else len(NAMES)
    for names in filter(None, (rest[:cut], rest[cut:])):
        check_ended(value_of(partial(_trained, runs, names)))
    check_equal(whole, runs)


def check_ended(ends: Mapping[str, Sequence[str]]) -> None:
    """Refuse unless all members are complete."""
    for name, (ended, why) in ends.items():
        if ended != "complete":
            raise Failed(f"{name} ended as {ended}: {why}")


def check_reported(whole: Path, runs: Path, reported: Mapping[str, Sequence[int]]) -> None:
    """Refuse unless every checkpoint that an index named is still named, is there, and is that of the undisturbed run.

    Args:
        reported: steps by the name of the run.

    Raises:
        Failed: with the first that is not.
    """

    def act() -> str:
        from interp.runs.run import open_run

        for name, steps in reported.items():
            if not (runs / name / "run.json").exists():
                if steps:
                    return f"steps {steps} of {name} were saved, and there is no run"
                continue
            run, wanted = open_run(runs / name), open_run(whole / name)
            if lost := set(steps) - set(run.steps):
                return f"steps {sorted(lost)} of {name} were saved and are gone"
            for step in run.steps:
                run.checkpoint(step)
                if step in wanted.index and run.index[step] != wanted.index[step]:
                    return f"step {step} of {name} is another"
        return ""

    if problem := value_of(act):
        raise Failed(problem)


def check_equal(whole: Path, runs: Path, names: Sequence[str] | None = None) -> None:
    """Refuse unless these runs are complete and equal the undisturbed ones bit for bit; all of them by default."""

    def act() -> str:
        there = sorted(path.name for path in whole.iterdir())
        for name in there if names is None else names:
            if problem := difference(whole / name, runs / name):
                return f"{name}: {problem}"
        return ""

    if problem := value_of(act):
        raise Failed(problem)


# Killed at a file operation.


def _at_operation(material: Material, n: int, folder: Path, draw: random.Random) -> None:
    runs, whole = folder / "runs", _place(material, "short") / "whole"
    shutil.copytree(_place(material, "short") / "begun", runs)
    ended = Process(partial(_killed_before, n, runs)).wait()
    if ended.code != -signal.SIGKILL:
        raise Failed(f"was not killed at operation {n}: {last_line(ended)}")
    check_reported(whole, runs, {name: saved_steps(runs / name) for name in "ab"})
    check_ended(value_of(partial(_trained, runs, "ab")))
    # What a trainer leaves that was killed after its last word.
    value_of(partial(_tidied, runs))
    check_equal(whole, runs)


def _killed_before(n: int, runs: Path) -> int:
    """How many operations were done before the n-th, if it is reached, ends the process."""
    from benchmarks.fault_parts.staged import killed_at

    with killed_at(n, runs, lambda what: os.kill(os.getpid(), signal.SIGKILL)) as done_before:
        check_ended(_trained(runs, "ab", EVERY_STEP))
    return len(done_before)


def _tidied(runs: Path) -> None:
    from interp.ground.whole_files import remove_leftovers

    for name in "ab":
        remove_leftovers(runs / name)


# A full disk.


def _full_disk(material: Material, mix: str, seconds: float, folder: Path, draw: random.Random) -> None:
    """Whom the disk refuses says so and no more; the others end as they would have, and so does it, called again."""
    runs, whole = folder / "runs", _place(material, mix) / "whole"
    shutil.copytree(_place(material, mix) / "begun", runs)
    # A file, a while, or until the end; with states among the files, or checkpoints alone.
    first, n, between = draw.randint(1, 90), draw.choice((1, 1, 5, ENOUGH)), draw.choice((EVERY_STEP, ENOUGH))
    ends, n_refused, reported = value_of(partial(_trained_on_full_disk, runs, first, n, between))
    refused = [name for name, (ended, why) in ends.items() if ended == "failed"]
    for name in refused:
        why = ends[name][1]
        if "No space left on device" not in why or "\n" in why:
            raise Failed(f"{name} failed, and does not say that the disk is full: {why}")
    check_ended({name: end for name, end in ends.items() if name not in refused})
    if len(refused) > n_refused or (n_refused and not refused):
        raise Failed(f"the disk refused {n_refused} files, and {len(refused)} members failed")
    check_equal(whole, runs, [name for name in NAMES if name not in refused])
    check_reported(whole, runs, reported)
    check_ended(value_of(partial(_trained, runs, NAMES)))
    check_equal(whole, runs)


def _trained_on_full_disk(runs: Path, first: int, n: int, between: float) -> tuple[dict, int, dict]:
    from benchmarks.fault_parts.staged import full_disk

    with full_disk(first, n) as refused_at:
        ends = _trained(runs, NAMES, between)
    return ends, len(refused_at), {name: saved_steps(runs / name) for name in NAMES}

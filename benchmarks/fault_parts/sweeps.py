"""Sweeps of one worker, the command itself: killed, stopped, on a full disk, two at once; then the same command again.

The folder is then that of an undisturbed sweep, bit for bit: every run in the table once.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

from benchmarks.fault_parts.late_files import VARIABLE, hurried, made_late
from benchmarks.fault_parts.material import Material, difference, saved_steps
from benchmarks.fault_parts.processes import (
    Ended,
    Failed,
    Process,
    check_sentence,
    command,
    last_line,
    value_of,
)
from benchmarks.fault_parts.stacks import BETWEEN_STATES, EVERY_STEP, check_reported
from benchmarks.fault_parts.trials import Trial

ROOT = str(Path(__file__).parent.parent.parent)
SIZES = ("task.p=5", "task.train_fraction=0.6", "model.d_model=16", "model.n_heads=2", "model.d_mlp=16")
N_STEPS, N_SHORT, N_RUNS = 40, 4, 5
KEPT = ("all", "transitions", "tables")
N_EACH = {"four times": 80, "stopped": 60, "full disk": 100, "at once": 40}
ENOUGH = 10**9
# In a sweep's folder, and no result: what tells of workers, submitit's files, and what `made` writes.
OTHERS = ("progress", "jobs", "seconds")
# Of a process that was told to stop.
STOPPED = 130


def trials(material: Material) -> Iterator[Trial]:
    seconds = made(material)
    acts = {
        "four times": ("kill -9 of a sweep four times in a row", _four_times),
        "stopped": ("Ctrl-C of a sweep at a random moment", _stopped),
        "full disk": ("a full disk while a sweep works", _full_disk),
        "at once": ("at the same moment: two sweeps in one folder", _two_at_once),
    }
    for name, (kind, act) in acts.items():
        for n in range(N_EACH[name]):
            keep = KEPT[n % len(KEPT)]
            act_of = partial(act, material, keep, seconds[keep])
            yield Trial(f"sweeps/{name.replace(' ', '-')}/{n}", kind, act_of)
    for n in range(1, value_of(partial(_killed_before, ENOUGH, material.path / "sweeps" / "counted")) + 1):
        kind = "kill -9 at a file operation of a sweep"
        yield Trial(f"sweeps/operations/{n}", kind, partial(_at_operation, material, n))


def line(folder: Path, keep: str, jobs: int = 1, *rest: object) -> list[object]:
    """Arguments of `interp` that sweep, or go on."""
    settings = [word for size in SIZES for word in ("--set", size)]
    n_steps, n_runs, probes = N_STEPS, N_RUNS, "weight_norms"
    if keep == "short":
        keep, n_steps, n_runs, probes = "transitions", N_SHORT, 2, "weight_norms"
    saving = ("--save", f"every:{n_steps // 4}", "--save-optimizer", str(n_steps // 2))
    grid = ("--over", f"seed=0:{n_runs - 1}:1", "--steps", n_steps, "--keep", keep, "--probes", probes)
    return ["sweep", folder, *settings, *grid, *saving, "--jobs", jobs, "--threads", 1, "--stack", 2, *rest]


def swept(arguments: Sequence[object], between_states: float = BETWEEN_STATES) -> Callable[[], int]:
    """What the command runs: one thread a worker, whatever the machine, and workers that save often."""

    def act() -> int:
        os.environ["PYTHONPATH"] = ROOT
        if VARIABLE in os.environ:
            made_late()
        import_module("interp.training.member").SECONDS_BETWEEN_STATES = between_states
        workers = import_module("interp.sweeps.workers")
        workers.in_worker, workers.SECONDS_TO_WAIT = hurried, 0.2
        return command(*arguments)()

    return act


def warm_up(folder: Path) -> None:
    """Load whatever a sweep does."""
    swept(line(folder, "short"))()
    _differs(folder, folder)


def undisturbed(material: Material, keep: str) -> Path:
    return material.path / "sweeps" / keep


def made(material: Material) -> dict[str, float]:
    """Undisturbed sweeps, made unless they are there; how long each took."""
    return {keep: value_of(partial(_made, material, keep)) for keep in (*KEPT, "short")}


def _made(material: Material, keep: str) -> float:
    folder = undisturbed(material, keep)
    if (folder / "seconds").exists():
        return float((folder / "seconds").read_text())
    start = time.monotonic()
    folder.parent.mkdir(exist_ok=True)
    if code := swept(line(folder, keep))():
        raise Failed(f"an undisturbed sweep ended with {code}")
    (folder / "seconds").write_text(str(time.monotonic() - start))
    return time.monotonic() - start


# What is promised.


def reported_in(folder: Path) -> dict[str, list[int]]:
    """Steps that were reported saved, by the name of the run."""
    return {path.name: saved_steps(path) for path in sorted(folder.glob("runs/*"))}


def check_still_there(material: Material, folder: Path, reported: dict[str, list[int]]) -> None:
    """Refuse unless all that was reported is there; what is thinned on purpose was done, and may be gone."""
    if folder.exists():
        wanted = undisturbed(material, "all")
        kept = {name: steps for name, steps in reported.items() if not _is_thinned(folder / "runs" / name)}
        check_reported(wanted / "runs", folder / "runs", kept)


def _is_thinned(path: Path) -> bool:
    with_steps = set(saved_steps(path))
    return bool(with_steps) and with_steps < {*range(0, N_STEPS + 1, N_STEPS // 4)} and N_STEPS in with_steps


def go_on(folder: Path, keep: str, jobs: int = 1, seconds: float = 90.0) -> Ended:
    """The same command once more, which must succeed."""
    ended = Process(swept(line(folder, keep, jobs))).wait(seconds)
    if ended.code:
        raise Failed(f"the same command again ended with {ended.code}: {last_line(ended)}")
    return ended


def check_swept(material: Material, keep: str, folder: Path) -> None:
    """Refuse unless a sweep's folder is as an undisturbed one: the table, every run, what was measured, no more.

    Raises:
        Failed: with what differs.
    """
    if problem := value_of(partial(_differs, undisturbed(material, keep), folder)):
        raise Failed(problem)


def _differs(whole: Path, folder: Path) -> str:
    import interp

    a, b = interp.open_sweep(whole), interp.open_sweep(folder)
    if b.runs["run"].tolist() != a.names or b.names != a.names:
        return f"the table has the runs {b.runs['run'].tolist()}"
    if not b.runs.equals(a.runs):
        differ = [name for name in a.runs if not b.runs[name].equals(a.runs[name])]
        return f"another table: {', '.join(differ)}: {b.runs[differ[:1]].to_dict('list')}"
    for name in a.names:
        if problem := difference(a.path / "runs" / name, b.path / "runs" / name):
            return f"{name}: {problem}"
    if not b.measured("weight_norms").equals(a.measured("weight_norms")):
        return "another measured table"
    theirs, ours = _names(whole), _names(folder)
    if theirs != ours:
        return f"left or lacking: {', '.join(sorted(theirs ^ ours)[:4])}"
    return ""


def _names(folder: Path) -> set[str]:
    """Every file of a sweep that is of its results."""
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {str(path) for path in found if path.name != "lock" and path.parts[0] not in OTHERS}


# The trials.


def _four_times(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    place = folder / "sweep"
    for _ in range(4):
        process = Process(swept(line(place, keep)))
        time.sleep(draw.uniform(0, seconds * 0.6))
        reported = reported_in(place)
        process.kill()
        check_still_there(material, place, reported)
    go_on(place, keep)
    check_swept(material, keep, place)


def _stopped(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    place = folder / "sweep"
    process = Process(swept(line(place, keep)))
    time.sleep(draw.uniform(0, seconds))
    reported = reported_in(place)
    if not process.ended():
        os.kill(process.pid, signal.SIGINT)
    check_stopped(process.wait())
    check_still_there(material, place, reported)
    go_on(place, keep)
    check_swept(material, keep, place)


def check_stopped(ended: Ended) -> None:
    """Refuse unless a command ended well, or said in a sentence that it was stopped."""
    # Before its own code runs, Python itself is what is interrupted.
    is_early = ended.code == -signal.SIGINT or "KeyboardInterrupt" in last_line(ended)
    if ended.code == STOPPED and "opped" not in ended.error:
        raise Failed(f"stopped, and does not say so: {last_line(ended)}")
    if ended.code not in (0, STOPPED) and not is_early:
        raise Failed(f"Ctrl-C ended it with {ended.code}: {last_line(ended)}")


def _full_disk(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    """It ends in a sentence, or with a table that names the runs that the disk refused; then the same command."""
    place = folder / "sweep"
    # A file, a while, or until the end.
    first, n = draw.randint(1, 150), draw.choice((1, 8, ENOUGH))
    ended = Process(partial(_swept_on_full_disk, place, keep, first, n)).wait()
    check_sentence(ended)
    said = ended.error + ended.out
    if "the disk refused" in said and "No space left on device" not in said:
        raise Failed(f"does not say that the disk is full: {last_line(ended)}")
    check_still_there(material, place, reported_in(place))
    go_on(place, keep)
    check_swept(material, keep, place)


def _swept_on_full_disk(place: Path, keep: str, first: int, n: int) -> int:
    from benchmarks.fault_parts.staged import full_disk

    with full_disk(first, n) as refused_at:
        code = swept(line(place, keep), EVERY_STEP)()
    if refused_at:
        print("the disk refused", len(refused_at))
    return code


def _two_at_once(material: Material, keep: str, seconds: float, folder: Path, draw: random.Random) -> None:
    place = folder / "sweep"
    first = Process(swept(line(place, keep)))
    time.sleep(draw.uniform(0, draw.choice((0.0, 0.05, seconds))))
    second = Process(swept(line(place, keep)))
    both = [first.wait(), second.wait()]
    for ended in both:
        check_sentence(ended, "Another sweep is working in")
    codes = sorted(ended.code for ended in both)
    # One that began when the other had ended, or as it did, finds all of it done.
    was_later = any(f"{N_RUNS} runs, {N_RUNS} of them done" in ended.out for ended in both)
    if codes != [0, 1] and (codes != [0, 0] or not was_later):
        raise Failed(f"ended with {codes}: {'; '.join(map(last_line, both))}")
    check_swept(material, keep, place)


def _at_operation(material: Material, n: int, folder: Path, draw: random.Random) -> None:
    place = folder / "sweep"
    ended = Process(partial(_killed_before, n, place)).wait()
    if ended.code != -signal.SIGKILL:
        raise Failed(f"was not killed at operation {n}: {last_line(ended)}")
    go_on(place, "short")
    check_swept(material, "short", place)


def _killed_before(n: int, place: Path) -> int:
    """How many operations were done before the n-th, if it is reached, ends the process."""
    from benchmarks.fault_parts.staged import killed_at

    with killed_at(n, place, lambda what: os.kill(os.getpid(), signal.SIGKILL)) as done_before:
        if code := swept(line(place, "short"), EVERY_STEP)():
            raise Failed(f"exit code {code} although nothing disturbed it")
    return len(done_before)

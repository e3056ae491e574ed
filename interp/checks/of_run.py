"""Is a run what it says? Every file against its checksum, the data against the config, the history against the steps.

One pass: each checkpoint is read once, and what was read goes through the checks of `interp.checks.series` and, where
the run's network and task are known, of `interp.checks.recorded_losses`. Nothing is written. Kinds of problem beside
those of `interp.checks.series`:

    missing, truncated, altered    a file that the index or the config calls for is not there, is shorter than its own
                                   header says, or has another checksum
    unreadable                     run.json, index.json or history.parquet
    not in the index               a checkpoint file without checksums
    index                          an entry that contradicts a file which is itself in order
    data                           task.safetensors is not what the config describes
    history                        rows are missing
    recorded loss                  the history does not fit the weights
    leftover                       a temporary file of a process that was killed
    stale, unfinished              notes: packed weights of former checkpoints; a run that can be resumed
"""

from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import filelock

from interp.checks.file_damage import (
    consistent,
    file_damage,
    header_metadata,
    index_from_files,
    what_differs,
)
from interp.checks.findings import Report, listed
from interp.checks.recorded_losses import RecordedLossCheck, spread
from interp.checks.series import SeriesCheck
from interp.ground.whole_files import TEMPORARY_SUFFIX, leftovers
from interp.networks.config import Weights, check_weights
from interp.runs.index import inside, read_altered_index
from interp.runs.packed_weights import packed_damage
from interp.runs.record import FORMAT
from interp.runs.run import Run, open_run
from interp.runs.tensor_files import RunError, check_weight_names, read_tensors, tensor_checksum


def verify_run(path: Path, *, losses: int) -> Report:
    """Everything that is wrong with a run directory.

    Args:
        losses: number of checkpoints, spread evenly over the saved ones, whose losses are recomputed and compared with
            the history: by far the slowest check.

    Raises:
        RunError: if the directory holds neither run.json nor index.json: it is no run.
    """
    path = Path(path).expanduser().resolve()
    if not (path / "run.json").exists() and not (path / "index.json").exists():
        raise RunError(f"{path} is not a grokscope run: it holds no run.json.")
    report = Report(path, FORMAT)
    run = _open(path, report)
    try:
        index = read_altered_index(path)
    except RunError as error:
        report.say("problem", "unreadable", "index.json", str(error))
        index = index_from_files(path)
    task_is_good = run is not None and _check_task(run, report)
    history_steps = _check_history(run, report) if run else {}
    recorded = None
    if losses and run is not None and task_is_good and run.config.model and run.config.task:
        if run.task.is_train is None:
            report.say(
                "note", "recorded loss", "", "losses are not recomputed: the train/test split is unknown"
            )
        elif history_steps:
            recorded = RecordedLossCheck(run)

    series = SeriesCheck(run.unit if run else "step")
    recomputed = spread(list(index), losses)
    for step, entry in index.items():
        weights = _check_checkpoint(path, run, step, entry, report)
        if weights is None:
            continue
        series.add(step, weights)
        if recorded and step in recomputed:
            recorded.add(step, weights)
    report.n_steps = len(series.checksums)
    damaged = set(index) - set(series.checksums)
    report.findings += series.findings(
        still=_still(run, sorted(series.checksums), history_steps),
        expected=_expected(run, index, damaged),
    )
    if recorded and recorded.recomputed:
        found, report.losses = recorded.findings()
        report.findings += found
    if run:
        _check_optimizer_steps(run, index, report)
    _check_other_files(path, run, index, report)
    return report


def _open(path: Path, report: Report) -> Run | None:
    try:
        run = open_run(path)
    except RunError as error:
        report.say("problem", "unreadable", "run.json", str(error))
        return None
    status = run.record.status
    if is_in_use(path):
        report.say(
            "note", "unfinished", "", "a trainer is working on this run: files may change under this check"
        )
    elif run.record.is_own and status != "complete":
        report.say("note", "unfinished", "", f"the run is {status}; `interp resume {path}` continues it")
    return run


def is_in_use(path: Path) -> bool:
    """Whether a trainer holds the lock of this run."""
    if not (path / "lock").exists():
        return False
    lock = filelock.FileLock(path / "lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        return True
    except OSError:
        return False  # a read-only directory: nobody can train there
    lock.release()
    return False


def _check_task(run: Run, report: Report) -> bool:
    if run.config.task is None:
        return False
    try:
        _ = run.task
    except RunError as error:
        kind = file_damage(run.path / "task.safetensors", None)
        report.say("problem", kind[0] if kind else "data", "task.safetensors", str(error))
        return False
    return True


def _check_history(run: Run, report: Report) -> dict[int, float]:
    """Train loss by step, as recorded, {} where there is none."""
    file, is_own = "history.parquet", run.record.is_own
    resumed_at = header_metadata(run.path / "latest.safetensors").get("step", "0")
    if not (run.path / file).exists():
        if is_own and (run.record.status == "complete" or resumed_at != "0"):
            report.say("problem", "missing", file, f"{file} is missing: losses along the run are lost")
        return {}
    try:
        history = run.history()
        steps = [int(step) for step in history["step"]]
    except (RunError, KeyError, ValueError, TypeError) as error:
        report.say("problem", "unreadable", file, str(error))
        return {}
    if any(b <= a for a, b in pairwise(steps)):
        report.say("problem", "history", file, "its steps do not ascend")
    if is_own and steps:
        complete = run.record.status == "complete"
        last = run.config.n_steps if complete and run.config.n_steps is not None else steps[-1]
        if resumed_at.isdigit():  # a history may be ahead of the resume state, never behind it
            last = max(last, int(resumed_at) - 1)
        first = min([*steps, *(run.config.schedule.steps if run.config.schedule else ())])
        if gaps := _gaps(first, steps, last):
            absent = list(islice(chain.from_iterable(range(a, b + 1) for a, b in gaps), 1000))
            report.say(
                "problem",
                "history",
                file,
                f"it lacks the rows of {sum(b - a + 1 for a, b in gaps)} steps: {_ranges(gaps)}",
                *absent,
            )
        if run.config.evaluation_interval and "test_loss" in history:
            lacking = history["step"] % run.config.evaluation_interval == 0
            lacking &= history["test_loss"].isna() & history["train_loss"].notna()
            if lacking.any():
                empty = history["step"][lacking].astype(int).tolist()
                report.say(
                    "problem", "history", file, f"it lacks the test loss of steps {listed(empty)}", *empty
                )
    if "train_loss" not in history:
        return dict.fromkeys(steps, float("nan"))
    return dict(zip(steps, history["train_loss"].astype(float), strict=True))


def _check_checkpoint(
    path: Path, run: Run | None, step: int, entry: dict[str, Any], report: Report
) -> Weights | None:
    weights = None
    for part in ("weights", "optimizer"):
        if part == "optimizer" and "optimizer" not in entry:
            continue
        about = entry if part == "weights" else entry["optimizer"]
        tensors = _check_tensors(path, step, "steps" if part == "weights" else part, about, report)
        if part == "weights":
            weights = tensors
    if weights is not None and run is not None and run.config.model is not None:
        try:
            check_weights(run.config.model, weights, entry["file"])
        except ValueError as error:
            report.say("problem", "shape", entry["file"], str(error), step)
            return None
    return weights


def _check_tensors(path: Path, step: int, part: str, about: dict[str, Any], report: Report) -> Weights | None:
    name = about["file"]
    file = inside(path, name, part)
    if file is None:
        report.say(
            "problem", "index", "index.json", f"step {step} names {name}, outside the run's {part}/", step
        )
        return None
    if part == "steps":
        try:
            check_weight_names(about["tensors"], f"step {step}")
        except RunError as error:
            report.say("problem", "index", "index.json", str(error), step)
            return None
    damage = file_damage(file, about["checksum"])
    if damage is None:
        try:
            tensors = read_tensors(file, about["checksum"])
        except RunError as error:
            report.say("problem", "altered", name, str(error), step)
            return None
        if {key: tensor_checksum(t) for key, t in tensors.items()} != about["tensors"]:
            text = f"its entry for step {step} lists other tensors than {name} holds, whose checksum is right"
            report.say("problem", "index", "index.json", text, step)
        return tensors
    kind, text = damage
    if kind == "altered":
        text += what_differs(file, step, about["tensors"])
    report.say("problem", kind, name, f"{name} {text}", step)
    return None


def _expected(run: Run | None, index: dict, damaged: set[int]) -> list[int] | None:
    """The steps that the run should have by now, less those reported as damaged."""
    if run is None:
        return sorted(set(index) - damaged)
    if run.config.schedule is None or not run.record.is_own:
        return None
    steps = run.config.schedule.steps
    if run.record.status != "complete":
        steps = tuple(step for step in steps if step <= max(index, default=-1))
    return [step for step in steps if step not in damaged]


def _check_optimizer_steps(run: Run, index: dict[int, dict], report: Report) -> None:
    if run.config.schedule is None or not run.record.is_own:
        return
    for step in run.config.schedule.optimizer_steps:
        if step in index and "optimizer" not in index[step]:
            text = f"the schedule saves the optimizer's state of step {step}, and the index has none"
            report.say("problem", "missing", f"optimizer/{step:010d}.safetensors", text, step)


def _still(run: Run | None, steps: list[int], train_loss: dict[int, float]) -> list[tuple[int, int]]:
    """Neighbouring steps between which the run's own record says that nothing was learned."""
    if run is None:
        return []
    optimizer, out = run.config.optimizer, []
    for a, b in pairwise(steps):
        if optimizer and optimizer.warmup_steps and (a, b) == (0, 1):
            out.append((a, b))  # the first update of a warm-up has learning rate 0
        elif optimizer and optimizer.batch_size is None and run.record.is_own:
            # Every step's loss is recorded: equal to the last digit, the weights did not move.
            # No wider than the history has rows: there is no record of more.
            between = [train_loss.get(step) for step in range(a, min(b, a + len(train_loss)) + 1)]
            if None not in between and len(set(between)) == 1:
                out.append((a, b))
    return out


def _check_other_files(path: Path, run: Run | None, index: dict[int, dict], report: Report) -> None:
    indexed = {entry["file"] for entry in index.values()}
    indexed |= {entry["optimizer"]["file"] for entry in index.values() if "optimizer" in entry}
    for file in sorted(f for folder in ("steps", "optimizer") for f in (path / folder).glob("*")):
        name = file.relative_to(path).as_posix()
        if name not in indexed and not file.name.endswith(TEMPORARY_SUFFIX):
            report.say(
                "problem", "not in the index", name, f"{name} is not in index.json: nothing vouches for it"
            )
    for file in [] if is_in_use(path) else leftovers(path):
        name = file.relative_to(path).as_posix()
        report.say("problem", "leftover", name, f"{name} was left by a process that was killed")
    latest = path / "latest.safetensors"
    if latest.exists():
        damage = file_damage(latest, None)
        if damage or consistent(latest) is None:
            kind, text = damage or ("altered", "has tensors that its own checksums contradict")
            report.say("problem", kind, latest.name, f"{latest.name}, from which resume continues, {text}")
    if run is not None:
        for name, kind, text in packed_damage(path, index):
            report.say("problem" if kind == "altered" else "note", kind, name, text)


def _gaps(first: int, steps: list[int], last: int) -> list[tuple[int, int]]:
    """First and last step of each stretch between these two that is not among the steps."""
    inside = sorted({step for step in steps if first <= step <= last})
    return [(a + 1, b - 1) for a, b in pairwise([first - 1, *inside, last + 1]) if b - a > 1]


def _ranges(gaps: list[tuple[int, int]]) -> str:
    """Stretches of steps in words: 3-5, 9."""
    return listed([str(a) if a == b else f"{a}-{b}" for a, b in gaps])

"""Is a run what it says? Every file against its checksum, the data against the config, the history against the steps.

One pass: each checkpoint is read once, and what was read goes through the checks of `interp.checks.series` and, where
the run's network and task are known, of `interp.checks.recorded_losses`. Nothing is written. Kinds of problem beside
those of `interp.checks.series`:

    missing, truncated, altered    a file that the index or the config calls for is not there, is shorter than its own
                                   header says, or has another checksum
    unreadable                     run.json, index.json or history.parquet; any file that the system does not give
    not in the index               a checkpoint file without checksums
    index                          an entry that contradicts a file which is itself in order
    data                           task.safetensors is not what the config describes
    history                        rows are missing
    recorded loss                  the history does not fit the weights

Only damage is a problem. Notes, which a sound run may have too:

    unfinished, leftover           a run that can be resumed; a temporary file of a process that was killed
    stale, unprotected, link       packed weights of former checkpoints; files of earlier versions, which state no
                                   checksum; a folder that leads out of the run
    outlier, not finite            in a run trained here, whose files are as they were saved: training was unstable
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from interp.checks.file_damage import file_damage, index_from_files, what_differs
from interp.checks.findings import Finding, Report
from interp.checks.of_history import check_history, still
from interp.checks.of_other_files import check_other_files, checkpoint_files, note_leftovers
from interp.checks.recorded_losses import RecordedLossCheck
from interp.checks.series import SeriesCheck
from interp.ground.evenly import spread
from interp.networks.config import Weights, check_weights
from interp.runs.index import inside, read_altered_index
from interp.runs.locks import is_in_use
from interp.runs.record import FORMAT
from interp.runs.run import Run, open_run
from interp.runs.tensor_files import RunError, check_weight_names, read_tensors, tensor_checksum

SECONDS_BETWEEN_LOOKS = 1.0


def verify_run(path: Path, *, losses: int) -> Report:
    """Everything that is wrong with a run directory.

    While a trainer works on it files change under the look: what is not seen at a second look either is no damage.

    Args:
        losses: number of checkpoints, spread evenly over the saved ones, whose losses are recomputed and compared with
            the history: by far the slowest check.

    Raises:
        RunError: if the directory holds neither run.json nor index.json: it is no run.
    """
    path = Path(path).expanduser().resolve()
    if not (path / "run.json").exists() and not (path / "index.json").exists():
        raise RunError(f"{path} is not a grokscope run: it holds no run.json.")
    in_use = is_in_use(path)
    report = _look(path, losses)
    in_use = is_in_use(path) or in_use
    if in_use and report.problems:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        before, report = report.problems, _look(path, losses)
        seen = {(f.kind, f.where) for f in before}
        report.findings = [f for f in report.findings if f.level == "note" or (f.kind, f.where) in seen]
    if in_use:
        text = "a trainer is working on this run: files may change under this check"
        report.findings.insert(0, Finding("note", "unfinished", "", (), text))
    else:
        note_leftovers(path, report)
    return report


def _look(path: Path, losses: int) -> Report:
    report = Report(path, FORMAT)
    run = _open(path, report)
    there = checkpoint_files(path)
    try:
        index = read_altered_index(path)
    except RunError as error:
        report.say("problem", "unreadable", "index.json", str(error))
        index = index_from_files(path)
    task_is_good = run is not None and _check_task(run, report)
    history_steps = check_history(run, report) if run else {}
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
    found = series.findings(
        still=still(run, sorted(series.checksums), history_steps), expected=_expected(run, index, damaged)
    )
    report.findings += _weighed(run, found)
    if recorded and recorded.recomputed:
        unfit, report.losses = recorded.findings()
        report.findings += unfit
    if run:
        _check_optimizer_steps(run, index, report)
    check_other_files(path, run, index, there, report)
    return report


def _weighed(run: Run | None, findings: list[Finding]) -> Iterator[Finding]:
    """What is a fault of a stranger's file, and in a run trained here, whose files are as saved, one of training."""
    is_own = run is not None and run.record.is_own
    for finding in findings:
        unstable = finding.kind == "outlier" or (
            finding.kind == "not finite" and is_own and run is not None and run.record.status == "diverged"
        )
        if is_own and unstable:
            text = f"{finding.message} (the file is as training saved it)"
            yield replace(finding, level="note", message=text)
        else:
            yield finding


def _open(path: Path, report: Report) -> Run | None:
    try:
        run = open_run(path)
    except RunError as error:
        report.say("problem", "unreadable", "run.json", str(error))
        return None
    status = run.record.status
    if run.record.is_own and status != "complete" and not is_in_use(path):
        state = "interrupted: its trainer is gone" if status == "running" else status
        report.say("note", "unfinished", "", f"the run is {state}; `interp resume {path}` continues it")
    return run


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
            check_weight_names(about["tensors"], f"step {step} in index.json")
        except RunError as error:
            report.say("problem", "index", "index.json", str(error), step)
            return None
    if file.stem != f"{step:010d}":
        text = f"step {step} names {name}, which is the file of another step"
        report.say("problem", "index", "index.json", text, step)
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

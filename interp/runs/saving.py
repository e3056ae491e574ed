"""Writing a run: every file whole or not at all, checksums with it."""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import xxhash
from safetensors import SafetensorError

from interp.ground.plain_json import json_value
from interp.ground.plain_text import shown
from interp.ground.whole_files import remove_leftovers, sync_directory, within, write_bytes, write_json
from interp.ground.whole_reading import read_whole
from interp.networks.config import Weights
from interp.runs.beginnings import is_beginning
from interp.runs.belonging import belonging
from interp.runs.checkpoint import Checkpoint
from interp.runs.config import RunConfig, config_to_json
from interp.runs.index import index_bytes
from interp.runs.locks import run_lock
from interp.runs.record import FORMAT, FORMAT_VERSION, RunRecord, record_to_json
from interp.runs.run import Run, open_run
from interp.runs.seal import OPEN, is_sealed, sealed, with_checksum
from interp.runs.table_files import table_bytes
from interp.runs.task_file import task_bytes
from interp.runs.tensor_files import (
    RunError,
    check_weight_names,
    damaged,
    not_readable,
    read_json,
    safetensors_bytes,
    tensor_checksum,
    tensors_in_order,
)
from interp.tasks.task import Task

if TYPE_CHECKING:
    import pandas as pd


def create_run(path: Path, config: RunConfig, record: RunRecord, task: Task | None) -> Run:
    """A new run directory with its config and data, and no checkpoints; what a failed start left there is replaced.

    Raises:
        RunError: if the directory holds anything else already.
        ValueError: if the config holds a number that JSON cannot, as NaN; nothing is made then.
    """
    path = Path(path).expanduser().resolve()
    check_unused(path)
    about = _run_json(record, config)
    remove_leftovers(path)
    if task is not None:
        write_bytes(path / "task.safetensors", task_bytes(task))
    write_bytes(path / "index.json", index_bytes({}))
    # Last, since it makes the directory a run: one that was killed before is begun anew.
    write_json(path / "run.json", about)
    return open_run(path)


def check_unused(path: Path) -> None:
    """Nothing, if a new run can be made at this path.

    Raises:
        RunError: if it is a file, or a directory that holds anything but what a failed start left there.
    """
    if (path / "run.json").exists():
        # Training that took place elsewhere cannot be continued.
        how = "Look at it with `interp info" if _is_imported(path) else "Continue it with `interp resume"
        raise RunError(f"{path} already holds a run. {how} {path}`, or name a new directory.")
    is_empty = path.is_dir() and (is_beginning(path) or not any(path.iterdir()))
    if path.exists() and not is_empty:
        what = "already holds other files" if path.is_dir() else "is a file"
        raise RunError(f"A new run needs a directory of its own, but {path} {what}. Name a new or empty one.")


def _is_imported(path: Path) -> bool:
    try:
        about = read_json(path / "run.json")
    except RunError:  # `interp resume` says what is wrong with it
        return False
    return isinstance(about, dict) and about.get("status") == "imported"


def put_in_place(made: Path, dest: Path) -> None:
    """Rename a finished run to its destination, durably. What came to lie there in the meantime stays.

    Raises:
        RunError: if the destination is no longer unused.
    """
    check_unused(dest)
    if dest.exists():
        _clear(dest)
        dest.rmdir()  # refuses, as the rename does, if anything arrived since the check
    os.replace(made, dest)
    sync_directory(dest.parent)


def _clear(path: Path) -> None:
    """Remove what a failed start left in a directory, unless it is a start that has not failed yet.

    Raises:
        RunError: if a trainer is at work there.
    """
    try:
        with run_lock(path):
            check_unused(path)
            for file in path.iterdir():
                if file.name != "lock":
                    file.unlink(missing_ok=True)
    except filelock.Timeout:
        raise RunError(f"A trainer is starting in {path}. Name another directory.") from None
    # Only now: some systems do not delete a file that is open.
    (path / "lock").unlink(missing_ok=True)


def update_record(run: Run, record: RunRecord) -> None:
    """Replace what run.json says beside the config."""
    if not run.states_checksum:
        _make_own(run)
    run.record = record
    write_json(run.path / "run.json", _run_json(record, run.config))
    run.states_checksum = True


def _make_own(run: Run) -> None:
    """Write anew what states whose it is, for a run.json that was taken at its word and is about to be vouched for.

    They may be of the config before a change that was meant.
    """
    for read, save in ((run.history, save_history), (run.recorded, save_recorded)):
        # What is damaged stays as it is, and is refused when it is read.
        with contextlib.suppress(RunError):
            if len(table := read()):
                save(run, table)
    with contextlib.suppress(RunError):
        if latest := read_latest(run):
            save_latest(run, latest.step, latest.weights, latest.optimizer or {})


def _run_json(record: RunRecord, config: RunConfig) -> dict[str, Any]:
    """What run.json holds.

    Raises:
        ValueError: if a number is NaN or infinite.
    """
    about = {"format": FORMAT, "format_version": FORMAT_VERSION, **record_to_json(record)}
    about |= {"config": config_to_json(config)}
    json.dumps(about, allow_nan=False)
    return with_checksum(about)


def save_checkpoint(run: Run, step: int, weights: Weights, optimizer: Weights | None = None) -> None:
    """Write a checkpoint and its checksums; a step that is there already is replaced."""
    entry = _save_tensors(run.path, f"steps/{step:010d}.safetensors", weights, step)
    if optimizer is not None:
        entry["optimizer"] = _save_tensors(run.path, f"optimizer/{step:010d}.safetensors", optimizer, step)
    run.index[step] = entry
    write_index(run)


def save_checkpoints(run: Run, checkpoints: Iterable[tuple[int, Weights]]) -> None:
    """Write many checkpoints, holding one at a time, and the index once at the end.

    Raises:
        RunError: if a step comes twice.
    """
    for step, weights in checkpoints:
        if step in run.index:
            raise RunError(f"Step {step} of run {run.name!r} is saved already: a step has one checkpoint.")
        run.index[step] = _save_tensors(run.path, f"steps/{step:010d}.safetensors", weights, step)
    write_index(run)


def write_index(run: Run) -> None:
    """Write index.json as `run.index` has it, sorted by step."""
    run.index = dict(sorted(run.index.items()))
    write_bytes(run.path / "index.json", index_bytes(run.index))


def save_history(run: Run, table: "pd.DataFrame") -> None:
    """Replace history.parquet."""
    _save_table(run, "history.parquet", table)


def save_recorded(run: Run, table: "pd.DataFrame") -> None:
    """Replace recorded.parquet."""
    _save_table(run, "recorded.parquet", table)


def _save_table(run: Run, name: str, table: "pd.DataFrame") -> None:
    """Replace a Parquet file of the run by this table."""
    write_bytes(run.path / name, table_bytes(table, belonging(name, run.config)))


def save_latest(run: Run, step: int, weights: Weights, optimizer: Weights) -> None:
    """Replace what `resume` continues from."""
    tensors = {f"weights/{k}": v for k, v in weights.items()} | {
        f"optimizer/{k}": v for k, v in optimizer.items()
    }
    name = "latest.safetensors"
    data = safetensors_bytes(tensors, step, seal=OPEN, **belonging(name, run.config))
    write_bytes(run.path / name, sealed(data))


def read_latest(run: Run) -> Checkpoint | None:
    """What `resume` continues from, of a complete run its end; None where the run never got that far.

    Raises:
        RunError: if the file is damaged, or another run's.
    """
    path = run.path / "latest.safetensors"
    if not path.exists():
        return None
    try:
        data = read_whole(path)
    except OSError as error:
        raise not_readable(path, error) from error
    try:
        tensors, metadata = tensors_in_order(data)
        step, checksums = int(metadata["step"]), json_value(metadata["checksums"])
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged(path, str(error)) from error
    if other := [name for name in tensors if not name.startswith(("weights/", "optimizer/"))]:
        raise damaged(path, f"it holds {shown(other[0])}, which is of no state to resume from")
    if {name: tensor_checksum(t) for name, t in tensors.items()} != checksums:
        raise damaged(path, "its tensors have other checksums than those recorded when it was saved")
    try:
        is_sealed(data)
    except ValueError as error:
        raise damaged(path, str(error)) from error
    run.check_own(path, metadata)

    def part(prefix: str) -> Weights:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    return Checkpoint(step, part("weights/"), part("optimizer/"))


def _save_tensors(path: Path, file: str, tensors: Weights, step: int) -> dict[str, Any]:
    if file.startswith("steps/"):
        check_weight_names(tensors, f"Step {step} of run {path.name!r}")
    data = safetensors_bytes(tensors, step)
    write_bytes(within(path, path / file), data)
    return {
        "file": file,
        "checksum": xxhash.xxh3_64(data).hexdigest(),
        "tensors": {name: tensor_checksum(t) for name, t in tensors.items()},
    }

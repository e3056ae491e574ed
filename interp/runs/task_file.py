"""task.safetensors: the data of a run beside its weights, so that no generator must be trusted."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from interp.ground.whole_reading import read_whole
from interp.runs.seal import OPEN, is_sealed, sealed
from interp.runs.tensor_files import RunError, damaged, not_readable, safetensors_bytes
from interp.tasks.task import Task, TaskConfig


def task_bytes(task: Task) -> bytes:
    """A run's task.safetensors; its checksum is all that vouches for a split that was recorded, not drawn."""
    return sealed(safetensors_bytes(_tensors(task), None, seal=OPEN))


def _tensors(task: Task) -> dict[str, Tensor]:
    """What is stored; the questions only where they are not one an example, at its last position."""
    floats = task.inputs.is_floating_point()
    stored = {
        "features" if floats else "tokens": task.inputs if floats else task.inputs.int(),
        "labels": task.labels.int(),
        "is_corrupted": task.is_corrupted,
    }
    if not task.questions.is_last:
        stored |= {"example": task.example.int(), "position": task.position.int()}
    if task.is_train is not None:
        stored["is_train"] = task.is_train
    return stored


def read_task(path: Path, config: TaskConfig) -> Task:
    """The task that a config describes, if the file holds just that.

    Raises:
        RunError: if the file is missing or damaged, or holds other data.
    """
    try:
        data = read_whole(path)
        stored = load_safetensors(data)
    except OSError as error:
        raise not_readable(path, error) from error
    except SafetensorError as error:
        raise damaged(path, str(error)) from error
    if config.split == "explicit" and "is_train" not in stored:
        raise damaged(path, "it lacks is_train")
    # Before the table is made, which has as many rows as the config says.
    if lacking := {"labels", "is_corrupted"} - stored.keys():
        raise damaged(path, f"it lacks {', '.join(sorted(lacking))}")
    rows = next((stored[name] for name in ("tokens", "features") if name in stored), stored["is_corrupted"])
    n_rows = rows.shape[:1].numel()
    if getattr(config, "n_examples", n_rows) != n_rows:
        raise _other_data(path)
    task = config.task(stored.get("is_train") if config.split == "explicit" else None)
    expected = _tensors(task)
    if lacking := expected.keys() - stored.keys() - {"is_train"}:
        raise damaged(path, f"it lacks {', '.join(sorted(lacking))}")
    same = stored.keys() == expected.keys() and all(
        torch.equal(stored[name], x.to(stored[name].dtype)) for name, x in expected.items()
    )
    try:
        is_sealed(data)
    except ValueError as error:
        raise damaged(path, str(error)) from error
    if not same:
        raise _other_data(path)
    return task


def _other_data(path: Path) -> RunError:
    return RunError(
        f"{path} holds other data than the config in run.json describes. One of the two was changed, or a "
        "generator differs between versions: nothing computed from either could be trusted."
    )

"""task.safetensors: the data of a run beside its weights, so that no generator must be trusted."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from interp.runs.tensor_files import RunError, damaged
from interp.tasks.modular import ModularConfig, Task, modular_task


def task_bytes(task: Task) -> bytes:
    """A run's task.safetensors."""
    tensors = {
        "tokens": task.tokens.int(),
        "labels": task.labels.int(),
        "is_corrupted": task.is_corrupted,
    }
    if task.is_train is not None:
        tensors["is_train"] = task.is_train
    return save_safetensors({k: v.contiguous() for k, v in tensors.items()})


def read_task(path: Path, config: ModularConfig) -> Task:
    try:
        stored = load_safetensors(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise damaged(path, "it is missing" if not path.exists() else str(error)) from error
    if lacking := {"tokens", "labels", "is_corrupted"} - stored.keys():
        raise damaged(path, f"it lacks {', '.join(sorted(lacking))}")
    task = modular_task(config, stored.get("is_train") if config.split == "explicit" else None)
    same = (
        torch.equal(stored["tokens"].long(), task.tokens)
        and torch.equal(stored["labels"].long(), task.labels)
        and torch.equal(stored["is_corrupted"], task.is_corrupted)
        and (task.is_train is None) == ("is_train" not in stored)
        and (task.is_train is None or torch.equal(stored["is_train"], task.is_train))
    )
    if not same:
        raise RunError(
            f"{path} holds other data than the config in run.json describes. One of the two was changed, or a "
            "generator differs between versions: nothing computed from either could be trusted."
        )
    return task

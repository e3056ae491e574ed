"""A run on disk: a directory that explains itself. The only module that knows the layout.

    run.json                 config, status, versions, commit, device and threads of every session
    task.safetensors         tokens, labels, split: the data themselves, so that no generator must be trusted
    history.parquet          loss every step, test loss and accuracies at the stated interval
    recorded.parquet         imported runs: whatever else their source recorded along the run
    index.json               checksums of every checkpoint file and of every tensor in it
    steps/0000001400.safetensors       weights after 1400 updates
    optimizer/0000001400.safetensors   optimizer state of the same step, where the schedule asks for it
    latest.safetensors       what `resume` needs, rewritten as the run goes on; gone once it is complete
    huggingface/             config.json of a run imported from there, whose steps/ may be links to the source
    packed/                  one .npy a weight over all steps, made on first use, rebuilt when stale
    measures/                one .parquet a probe: what was measured before, kept for as long as it holds

Step s means: after s updates. A row of the history at step s is about the weights of checkpoint s.
"""

import json
import os
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from safetensors import SafetensorError
from torch import Tensor

from interp.architecture import Weights
from interp.durable import sync_directory, write_bytes, write_json
from interp.file_damage import inside
from interp.packed_weights import packed_weight
from interp.run_config import RunConfig, config_from_json, config_to_json
from interp.task_file import read_task, task_bytes
from interp.tasks.modular import ModularConfig, Task
from interp.tensor_files import (
    RunError,
    check_weight_names,
    damaged,
    read_json,
    read_tensor,
    read_tensors,
    safetensors_bytes,
    tensor_checksum,
    tensors_in_order,
)

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "grokscope-run"
FORMAT_VERSION = 1
HISTORY_COLUMNS = ("step", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights after `step` updates, and the optimizer's state where it was saved.

    Attributes:
        optimizer: per-parameter state under "<state>/<parameter>" (exp_avg/embed.W_E, ...), or None.
    """

    step: int
    weights: Weights
    optimizer: Weights | None


class Run:
    """A directory of checkpoints with its config. Get one from `interp.open_run`, `train` or `import_run`."""

    def __init__(self, path: Path, record: dict[str, Any], config: RunConfig):
        self.path = path
        self.record = record
        self.config = config

    def __repr__(self) -> str:
        span = f"steps {self.steps[0]} to {self.steps[-1]}" if self.steps else "no steps"
        return f"Run({self.name!r}, {len(self.steps)} checkpoints, {span}, {self.record['status']})"

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "index"}  # another process reads its own

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def unit(self) -> str:
        """What a step counts: "step" in own runs; "epoch" or "tokens" in some imported ones."""
        return self.record["unit"]

    @property
    def measures(self) -> Path:
        """Where `interp.measure` keeps its tables."""
        return self.path / "measures"

    @property
    def huggingface(self) -> Path | None:
        """The folder with the config.json of a run of Hugging Face checkpoints; None for all others."""
        folder = self.path / "huggingface"
        return folder if folder.is_dir() else None

    @cached_property
    def index(self) -> MutableMapping[int, dict[str, Any]]:
        """Checksums by step, as index.json holds them."""
        return read_index(self.path)

    @property
    def steps(self) -> list[int]:
        """Saved steps, ascending."""
        return list(self.index)

    @property
    def optimizer_steps(self) -> list[int]:
        """Saved steps that hold optimizer state."""
        return [step for step, entry in self.index.items() if "optimizer" in entry]

    @cached_property
    def task(self) -> Task:
        """The run's data, as stored beside the weights.

        Raises:
            RunError: if the run has no task that this package knows, or task.safetensors contradicts the config.
        """
        if self.config.task is None:
            raise RunError(
                f"Run {self.name!r} has no task that grokscope knows, so that probes of task inputs do not apply. "
                "Probes of weights do. Import it with --task if you know what it learned."
            )
        return self._read_task(self.config.task)

    def _read_task(self, config: ModularConfig) -> Task:
        return read_task(self.path / "task.safetensors", config)

    def history(self) -> "pd.DataFrame":
        """Loss and accuracy along the run: columns step, train_loss, train_accuracy, test_loss, test_accuracy.

        Accuracies and the test loss are NaN at steps where they were not evaluated. With mini-batches train_loss is
        the loss of the step's batch, except where the accuracies are given: there it is that of all train rows.
        """
        import pandas as pd  # heavy, and not needed to read weights

        path = self.path / "history.parquet"
        if not path.exists():
            return pd.DataFrame(columns=list(HISTORY_COLUMNS))
        return _read_table(path)

    def recorded(self) -> "pd.DataFrame":
        """What the source of an imported run recorded beyond the history: column step, then one a quantity.

        Raises:
            RunError: if the file is damaged.
        """
        import pandas as pd

        path = self.path / "recorded.parquet"
        return _read_table(path) if path.exists() else pd.DataFrame(columns=["step"])

    def checkpoint(self, step: int) -> Checkpoint:
        """The checkpoint of a saved step, its file checked against its checksum.

        Raises:
            RunError: if the step was not saved, or its file is missing, truncated or altered.
        """
        entry = self._entry(step)
        weights = read_tensors(self.path / entry["file"], entry["checksum"])
        optimizer = None
        if "optimizer" in entry:
            optimizer = read_tensors(self.path / entry["optimizer"]["file"], entry["optimizer"]["checksum"])
        return Checkpoint(step, weights, optimizer)

    def step_weights(self, step: int) -> Weights:
        """Only the weights of a saved step.

        Raises:
            RunError: as `checkpoint`.
        """
        entry = self._entry(step)
        return read_tensors(self.path / entry["file"], entry["checksum"])

    def _entry(self, step: int) -> dict[str, Any]:
        self._check_saved(step)
        return self.index[step]

    def _check_saved(self, step: int) -> None:
        if step in self.index:
            return
        if not self.index:
            raise RunError(f"Run {self.name!r} has no checkpoints yet, not at step {step} either.")
        nearest = min(self.steps, key=lambda s: abs(s - step))
        raise RunError(
            f"Run {self.name!r} has no checkpoint at step {step}; it has {len(self.steps)} from {self.steps[0]} "
            f"to {self.steps[-1]}, the nearest at {nearest}. Use run.checkpoint({nearest}) or train with a "
            "denser schedule."
        )

    def model(self, step: int) -> Any:
        """The checkpoint as a hooked model: run_with_cache, run_with_hooks, TransformerLens names.

        A `HookedNetwork`, or a `TransformerBridge` for a run imported from Hugging Face.

        Raises:
            RunError: if the step was not saved or its file is damaged.
        """
        from interp.models import build_model  # transformer_lens takes seconds to load

        if self.huggingface:
            from interp.bridge import bridge

            return bridge(self.huggingface, self.step_weights(step), f"Step {step} of run {self.name!r}")
        if self.config.model is None:
            raise RunError(
                f"Run {self.name!r} has no model config: read its tensors with run.step_weights(step)."
            )
        return build_model(self.config.model, self.step_weights(step))

    def weight_name(self, name: str) -> str:
        """The full name of a weight given by its last part ("W_E") or in full.

        Raises:
            RunError: if no weight has that name, or several have (one for each layer).
        """
        if not self.index:
            raise RunError(f"Run {self.name!r} has no checkpoints yet.")
        names = self._weight_names()
        found = [n for n in names if n == name] or [n for n in names if n.rsplit(".", 1)[-1] == name]
        if len(found) != 1:
            raise RunError(
                f"Run {self.name!r} has {'no' if not found else 'more than one'} weight {name!r}. "
                f"Use one of {', '.join(found or names)}."
            )
        return found[0]

    def _weight_names(self) -> list[str]:
        return list(self.index[self.steps[0]]["tensors"])

    def weights(self, name: str) -> np.ndarray:
        """One weight over all saved steps: a read-only memory-mapped array (step, *shape).

        The first use packs the weight into one file beside the checkpoints; it is rebuilt when checkpoints were
        added or changed. Where the directory cannot be written the array is assembled in memory instead.

        Raises:
            RunError: if the weight is unknown, or changes shape between steps.
        """
        name = self.weight_name(name)
        checksums = {step: entry["tensors"].get(name) for step, entry in self.index.items()}
        return packed_weight(
            self.path / "packed", name, checksums, lambda step: self.tensor(step, name), f"run {self.name!r}"
        )

    def tensor(self, step: int, name: str) -> Tensor:
        """One weight of one step, read through a memory map: the rest of the file is not touched.

        Raises:
            RunError: if step or weight are unknown, or the tensor is not the one that was saved.
        """
        name = self.weight_name(name)
        entry = self._entry(step)
        return read_tensor(self.path / entry["file"], name, entry["tensors"].get(name, ""))


def open_run(path: str | os.PathLike) -> Run:
    """The run in a directory, opened lazily: nothing but run.json is read.

    Raises:
        RunError: if the directory is not a run, or its run.json is damaged or of a newer format.
    """
    path = Path(path).expanduser().resolve()
    file = path / "run.json"
    if not path.exists():
        raise RunError(
            f"There is no run at {path}: no such directory. Runs that grokscope made hold a run.json."
        )
    if not file.is_file():
        raise RunError(
            f"{path} is not a grokscope run: it holds no run.json. If these are checkpoints of your own, bring them "
            f"in with `interp import {path} DEST`."
        )
    record = read_json(file)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise RunError(f"{file} does not describe a grokscope run: its 'format' is not {FORMAT!r}.")
    if record.get("format_version") != FORMAT_VERSION:
        raise RunError(
            f"{file} has format version {record.get('format_version')}, this grokscope reads {FORMAT_VERSION}. "
            "Use the version that wrote it, or a newer one."
        )
    missing = [name for name in ("status", "unit", "config") if name not in record]
    if missing:
        raise RunError(f"{file} lacks {', '.join(missing)}: it was altered. Restore it from a copy.")
    return Run(path, record, config_from_json(record["config"], file))


def create_run(path: Path, config: RunConfig, record: dict[str, Any], task: Task | None) -> Run:
    """A new run directory with its config and data, and no checkpoints.

    Args:
        record: what run.json says beside format and config: status, unit, sessions, ...

    Raises:
        RunError: if the directory holds anything already.
    """
    path = Path(path).expanduser().resolve()
    check_unused(path)
    if task is not None:
        write_bytes(path / "task.safetensors", task_bytes(task))
    write_json(path / "index.json", {})
    full = {"format": FORMAT, "format_version": FORMAT_VERSION, **record, "config": config_to_json(config)}
    write_json(path / "run.json", full)
    return open_run(path)


def check_unused(path: Path) -> None:
    """Nothing, if a new run can be made at this path.

    Raises:
        RunError: if it is a file or a directory that holds anything.
    """
    if (path / "run.json").exists():
        raise RunError(
            f"{path} already holds a run. Continue it with `interp resume {path}`, or name a new directory."
        )
    if path.exists() and (not path.is_dir() or any(p.name != "lock" for p in path.iterdir())):
        what = "already holds other files" if path.is_dir() else "is a file"
        raise RunError(f"A new run needs a directory of its own, but {path} {what}. Name a new or empty one.")


def put_in_place(made: Path, dest: Path) -> None:
    """Rename a finished run to its destination, durably. What came to lie there in the meantime stays.

    Raises:
        RunError: if the destination is no longer unused.
    """
    check_unused(dest)
    if dest.exists():
        (dest / "lock").unlink(missing_ok=True)
        dest.rmdir()  # refuses, as the rename does, if anything arrived since the check
    os.replace(made, dest)
    sync_directory(dest.parent)


def update_record(run: Run, **changes: Any) -> None:
    """Change entries of run.json (status, sessions), not the config."""
    run.record = {**run.record, **changes}
    write_json(run.path / "run.json", run.record)


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
    write_json(run.path / "index.json", {str(step): entry for step, entry in run.index.items()})


def read_index(path: Path) -> dict[int, dict[str, Any]]:
    """Checksums by step from index.json.

    Raises:
        RunError: if it is missing or damaged, or a file or weight of it could lie outside the run.
    """
    index = read_altered_index(path)
    for step, entry in index.items():
        for folder, part in (("steps", entry), ("optimizer", entry.get("optimizer"))):
            if part is not None and inside(path, part["file"], folder) is None:
                raise RunError(
                    f"{path / 'index.json'} names {part['file']!r} for step {step}, which is not in {folder}/ of the "
                    f"run: it was altered. Run `interp verify --repair {path}`."
                )
        check_weight_names(entry["tensors"], f"Step {step} in {path / 'index.json'}")
    return index


def read_altered_index(path: Path) -> dict[int, dict[str, Any]]:
    """What index.json holds, for verify and repair: its names may lead out of the run and must be checked on use.

    Raises:
        RunError: if it is missing or damaged.
    """
    raw = read_json(path / "index.json")
    try:
        index = {int(step): entry for step, entry in sorted(raw.items(), key=lambda item: int(item[0]))}
        for entry in index.values():
            for part in [entry, entry.get("optimizer", entry)]:
                part["checksum"], part["tensors"].items()
                if not isinstance(part["file"], str):
                    raise TypeError
        return index
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path / 'index.json'} is not an index of checkpoints. Run `interp verify --repair {path}`."
        ) from error


def save_history(run: Run, table: "pd.DataFrame") -> None:
    """Replace history.parquet."""
    _save_table(run.path / "history.parquet", table)


def save_recorded(run: Run, table: "pd.DataFrame") -> None:
    """Replace recorded.parquet."""
    _save_table(run.path / "recorded.parquet", table)


def _save_table(path: Path, table: "pd.DataFrame") -> None:
    """Replace a Parquet file by this table."""
    buffer = BytesIO()
    table.to_parquet(buffer, index=False)
    write_bytes(path, buffer.getvalue())


def save_latest(run: Run, step: int, weights: Weights, optimizer: Weights) -> None:
    """Replace what `resume` continues from."""
    tensors = {f"weights/{k}": v for k, v in weights.items()} | {
        f"optimizer/{k}": v for k, v in optimizer.items()
    }
    write_bytes(run.path / "latest.safetensors", safetensors_bytes(tensors, step))


def read_latest(run: Run) -> Checkpoint | None:
    """What `resume` continues from, or None where the run never got that far or is complete.

    Raises:
        RunError: if the file is damaged.
    """
    path = run.path / "latest.safetensors"
    if not path.exists():
        return None
    try:
        tensors, metadata = tensors_in_order(path.read_bytes())
        step, checksums = int(metadata["step"]), json.loads(metadata["checksums"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise damaged(path, str(error)) from error
    if {name: tensor_checksum(t) for name, t in tensors.items()} != checksums:
        raise damaged(path, "its tensors have other checksums than those recorded when it was saved")

    def part(prefix: str) -> Weights:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    return Checkpoint(step, part("weights/"), part("optimizer/"))


def remove_latest(run: Run) -> None:
    """Delete the resume state of a run that is complete."""
    (run.path / "latest.safetensors").unlink(missing_ok=True)


def _read_table(path: Path) -> "pd.DataFrame":
    import pandas as pd  # heavy, and not needed to read weights

    try:
        return pd.read_parquet(path)
    except Exception as error:
        raise RunError(
            f"{path} is not a readable table ({error}). Run `interp verify {path.parent}`."
        ) from error


def _save_tensors(path: Path, file: str, tensors: Weights, step: int) -> dict[str, Any]:
    if file.startswith("steps/"):
        check_weight_names(tensors, f"Step {step} of run {path.name!r}")
    data = safetensors_bytes(tensors, step)
    write_bytes(path / file, data)
    return {
        "file": file,
        "checksum": xxhash.xxh3_64(data).hexdigest(),
        "tensors": {name: tensor_checksum(t) for name, t in tensors.items()},
    }

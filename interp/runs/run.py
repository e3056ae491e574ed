"""A run on disk: a directory that explains itself. Opened lazily; written by `interp.runs.saving`."""

import os
from collections.abc import Mapping, MutableMapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from interp.ground import html_card
from interp.ground.judged import SEES_FRESH_ROWS
from interp.ground.plain_text import visible
from interp.networks.config import Weights
from interp.runs.beginnings import is_beginning
from interp.runs.belonging import check_belongs
from interp.runs.checkpoint import Checkpoint
from interp.runs.config import RunConfig, config_from_json
from interp.runs.index import read_index
from interp.runs.locks import is_in_use
from interp.runs.packed_weights import packed_weight
from interp.runs.record import RunRecord, record_from_json
from interp.runs.seal import check_stated
from interp.runs.table_files import read_table
from interp.runs.task_file import read_task
from interp.runs.tensor_files import (
    RunError,
    damaged,
    file_checksum,
    read_json,
    read_tensor,
    read_tensors,
)
from interp.tasks.task import Task, TaskConfig

if TYPE_CHECKING:
    import pandas as pd

HISTORY_COLUMNS = ("step", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


def _front_door() -> Any:
    """The package itself: what a run's history says is read on floors above, which it alone may reach."""
    import interp

    return interp


class Run:
    """A directory of checkpoints with its config. Get one from `interp.open_run`, `train` or `import_run`."""

    def __init__(self, path: Path, record: RunRecord, config: RunConfig):
        self.path = path
        self.record = record
        self.config = config
        # Whether run.json does: those of earlier versions do not.
        self.states_checksum = False

    def __repr__(self) -> str:
        span = f"steps {self.steps[0]} to {self.steps[-1]}" if self.steps else "no steps"
        return f"Run({self.name!r}, {len(self.steps)} checkpoints, {span}, {self.record.status})"

    def __str__(self) -> str:
        """What `interp info` says, line by line; of a run that does not tell it, the short form."""
        try:
            lines = _front_door().describe(self)
        except (ValueError, OSError):
            return repr(self)
        return "\n".join(f"{label:<12} {visible(text)}" for label, text in lines.items())

    def _repr_html_(self) -> str:
        described = _front_door().describe
        return html_card.shown_anyway(f"Run {self.name}", lambda: [html_card.lines(described(self))])

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "index"}  # another process reads its own

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def unit(self) -> str:
        """What a step counts: "step" in own runs; "epoch" or "tokens" in some imported ones."""
        return self.record.unit

    @property
    def measures(self) -> Path:
        """Where `interp.measure` keeps its tables."""
        return self.path / "measures"

    @property
    def huggingface(self) -> Path | None:
        """The folder with the config.json of a run of Hugging Face checkpoints; None for all others.

        Raises:
            RunError: if that config.json, which says what the network does with its weights, is not as it was saved.
        """
        folder = self.path / "huggingface"
        if not folder.is_dir():
            return None
        file, checksum = folder / "config.json", (self.record.source or {}).get("config_checksum")
        if checksum is not None and file_checksum(file) != checksum:
            raise damaged(file, f"its checksum is not {checksum}, which was recorded when it was saved")
        return folder

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
            known = "Probes of weights apply"
            if self.huggingface is not None:
                known = f"{known}, and induction_scores"
                advice = f"{known}. A language model learned none: run model(step) on tokens of your own"
            elif self.record.status == "imported":
                advice = f"{known}. Import its source again with --task (task= in Python) if you know what it learned"
            else:
                advice = f"{known}. Open it with task= (--task) if you know what it learned"
            raise RunError(
                f"Run {self.name!r} has no task that grokscope knows, so that probes of task inputs do not apply. "
                f"{advice}."
            )
        return self._read_task(self.config.task)

    def _read_task(self, config: TaskConfig) -> Task:
        return read_task(self.path / "task.safetensors", config)

    def history(self) -> "pd.DataFrame":
        """Loss and accuracy along the run: columns step, train_loss, train_accuracy, test_loss, test_accuracy.

        Accuracies and the test loss are NaN at steps where they were not evaluated. With mini-batches train_loss is
        the loss of the step's batch, except where the accuracies are given: there it is that of all train rows. Of a
        task that asks what nobody can foresee too, train_predictable_accuracy and test_predictable_accuracy as well.
        What is said of train rows counts corrupted ones. Of a run on fresh rows a column sees_fresh_rows, by which
        tables say of themselves that nothing in them was memorized.

        Raises:
            RunError: if the file is damaged, or another's.
        """
        table = self._table("history.parquet", HISTORY_COLUMNS)
        return table.assign(**{SEES_FRESH_ROWS: True}) if self.config.sees_fresh_rows else table

    def recorded(self) -> "pd.DataFrame":
        """What the source of an imported run recorded beyond the history: column step, then one a quantity.

        Raises:
            RunError: if the file is damaged, or another's.
        """
        return self._table("recorded.parquet", ("step",))

    def _table(self, name: str, columns: Sequence[str]) -> "pd.DataFrame":
        """The table in a file of the run, an empty one where there is no file."""
        import pandas as pd  # heavy, and not needed to read weights

        path = self.path / name
        if not path.exists():
            return pd.DataFrame(columns=list(columns))
        table, stated = read_table(path)
        self.check_own(path, stated)
        if "step" not in table:
            raise RunError(
                f"{path} is not a table of steps: it has no column of them. Restore it from a copy."
            )
        return table

    def check_own(self, path: Path, stated: Mapping[str, Any]) -> None:
        """Refuse a file of the run that states that it is another one, or another run's.

        Raises:
            RunError: with what it is.
        """
        # A run.json that was changed by hand, and meant, is taken at its word.
        check_belongs(path, stated, self.config, by_name=not self.states_checksum)

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
        from interp.networks.hooked import build_model  # transformer_lens takes seconds to load

        if self.huggingface:
            return self.bridge(step, self.step_weights(step))
        if self.config.model is None:
            raise RunError(
                f"Run {self.name!r} has no model config: read its tensors with run.step_weights(step)."
            )
        return build_model(self.config.model, self.step_weights(step))

    def bridge(self, step: int, weights: Weights) -> Any:
        """The `TransformerBridge` of these weights, as they were read or edited, of a run of Hugging Face.

        Raises:
            ValueError: as `interp.networks.bridge.bridge`.
        """
        from interp.networks.bridge import bridge

        assert self.huggingface is not None
        return bridge(self.huggingface, weights, f"Step {step} of run {self.name!r}")

    def release(self) -> None:
        """Let go of what was fetched to read checkpoints; a run on disk has nothing to let go of."""

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
        RunError: if the directory is not a run, or its run.json is damaged, altered or of a newer format.
    """
    path = Path(path).expanduser().resolve()
    file = path / "run.json"
    if not path.exists():
        raise RunError(
            f"There is no run at {path}: no such directory. Runs that grokscope made hold a run.json."
        )
    if not file.exists() and is_beginning(path):
        if is_in_use(path):
            raise RunError(f"A trainer is starting in {path}: there is no run yet. Try again in a moment.")
        raise RunError(
            f"{path} holds only the beginning of a run, whose start failed before anything was trained. Start it again "
            "with `interp train`, in the same place."
        )
    if not file.is_file():
        raise RunError(
            f"{path} is not a grokscope run: it holds no run.json. If these are checkpoints of your own, bring them "
            f"in with `interp import {path} DEST`."
        )
    value = read_json(file)
    run = Run(path, record_from_json(value, file), config_from_json(value["config"], file))
    # Last: a field that no run can have is said by its name.
    check_stated(value, file)
    run.states_checksum = "checksum" in value
    return run

"""Someone else's checkpoints as a run, where they lie: read on use, converted on the way, never written to."""

import dataclasses
import json
import os
import warnings
from collections import UserDict
from collections.abc import Callable, Mapping, MutableMapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
import torch
import xxhash
from torch import Tensor

from interp.networks.config import Weights
from interp.runs.checkpoint import Checkpoint
from interp.runs.config import RunConfig
from interp.runs.packed_weights import stacked_weight
from interp.runs.record import RunRecord
from interp.runs.run import HISTORY_COLUMNS, Run
from interp.runs.tensor_files import tensor_checksum
from interp.sources.files.places import Place
from interp.sources.files.reading import SourceWarning
from interp.tasks.task import Task, TaskConfig

if TYPE_CHECKING:
    import pandas as pd


_UNKNOWN = [field.name for field in dataclasses.fields(RunConfig) if field.default is dataclasses.MISSING]
NO_CONFIG = RunConfig(**dict.fromkeys(_UNKNOWN))  # type: ignore[arg-type]


class OpenedRun(Run):
    """A run whose checkpoints stay files of someone else. Get one from `interp.open_run`.

    What `interp.measure` finds is kept in the user's cache directory, and `weights` assembles its array in memory:
    nothing is written beside the source. A file that changes after the run was opened is an error on its next use.

    Attributes:
        places: where the checkpoint of each step lies.
        source_history, source_recorded: losses and other quantities that the source recorded, None where it has none.
        not_finite: of the steps read so far, the tensors that hold NaN or infinity.
    """

    def __init__(
        self,
        path: Path,
        record: RunRecord,
        config: RunConfig,
        places: Mapping[int, Place],
        read: Callable[[Place], Weights],
        huggingface: Path | None = None,
    ):
        super().__init__(path, record, config)
        self.places = dict(sorted(places.items()))
        self._read = read
        self._huggingface = huggingface
        self._task: Task | None = None
        self.source_history: pd.DataFrame | None = None
        self.source_recorded: pd.DataFrame | None = None
        self.not_finite: dict[int, list[str]] = {}

    def describe(
        self, task: Task | None, history: "pd.DataFrame | None", recorded: "pd.DataFrame | None"
    ) -> None:
        """Say what it learned and what its source recorded."""
        self._task, self.source_history, self.source_recorded = task, history, recorded

    @property
    def measures(self) -> Path:
        """Where `interp.measure` keeps its tables: in the user's cache directory."""
        place = f"{self.name}-{xxhash.xxh3_64(os.fsencode(self.path)).hexdigest()}"
        return platformdirs.user_cache_path("grokscope") / "opened" / place

    @property
    def huggingface(self) -> Path | None:
        return self._huggingface

    @cached_property
    def index(self) -> MutableMapping[int, dict[str, Any]]:
        """Checksums by step, of the weights as they are read; each is computed when it is asked for."""
        return _Checksums(self.places, self.step_weights)

    @property
    def optimizer_steps(self) -> list[int]:
        """None: optimizer states of other trainers are not read."""
        return []

    def _read_task(self, config: TaskConfig) -> Task:
        assert self._task is not None
        return self._task

    def history(self) -> "pd.DataFrame":
        """Loss and accuracy as the source recorded them, with the columns of `Run.history`; not recomputed."""
        import pandas as pd

        empty = pd.DataFrame(columns=list(HISTORY_COLUMNS))
        return empty if self.source_history is None else self.source_history.copy()

    def recorded(self) -> "pd.DataFrame":
        import pandas as pd

        empty = pd.DataFrame(columns=["step"])
        return empty if self.source_recorded is None else self.source_recorded.copy()

    def checkpoint(self, step: int) -> Checkpoint:
        """The checkpoint of a step; its optimizer state is never read.

        Raises:
            RunError: as `step_weights`.
        """
        return Checkpoint(step, self.step_weights(step), None)

    def step_weights(self, step: int) -> Weights:
        """Only the weights of a step. NaN and infinity are warned of, not refused.

        Raises:
            RunError: if there is no such step, or its file is gone, was changed or is damaged.
        """
        place = self.place(step)
        weights = self._read(place)
        if bad := [name for name, w in weights.items() if not bool(torch.isfinite(w).all())]:
            self.not_finite[step] = bad
            text = f"{place.where} holds NaN or infinity in {', '.join(bad[:3])}. It is taken as it is."
            warnings.warn(text, SourceWarning, stacklevel=2)
        return weights

    def weights(self, name: str) -> np.ndarray:
        """One weight over all steps, a read-only array (step, *shape) assembled in memory on every call.

        Raises:
            RunError: if the weight is unknown, or changes shape between steps.
        """
        name = self.weight_name(name)
        return stacked_weight(name, self.steps, lambda step: self.tensor(step, name), f"run {self.name!r}")

    def tensor(self, step: int, name: str) -> Tensor:
        """One weight of one step.

        Raises:
            RunError: if step or weight are unknown, or the file cannot be read.
        """
        name = self.weight_name(name)
        # Not by `step_weights`: where nothing is converted, the other tensors stay unread.
        return self._read(self.place(step))[name]

    def place(self, step: int) -> Place:
        """Where the checkpoint of a step lies.

        Raises:
            RunError: if there is no such step.
        """
        if step not in self.places:
            self._check_saved(step)
        return self.places[step]

    def _weight_names(self) -> list[str]:
        return self._names

    @cached_property
    def _names(self) -> list[str]:
        return list(self._read(self.place(self.steps[0])))


class _Checksums(UserDict[int, dict[str, Any]]):
    """The index of a run whose checkpoints were never hashed: an entry is made when it is first looked at."""

    def __init__(self, places: Mapping[int, Place], read: Callable[[int], Weights]):
        super().__init__({step: {} for step in places})
        self._places, self._read = places, read

    def __getitem__(self, step: int) -> dict[str, Any]:
        if self.data[step]:
            self._places[step].check()  # as a reading does
        else:
            tensors = {name: tensor_checksum(w) for name, w in self._read(step).items()}
            whole = xxhash.xxh3_64(json.dumps(tensors).encode()).hexdigest()
            self.data[step] = {"checksum": whole, "tensors": tensors}
        return self.data[step]

"""A source becomes a run: one checkpoint at a time, in a directory beside the destination that is renamed at the end.

On any failure nothing stays and the source is as it was: it is opened for reading only.
"""

import dataclasses
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from interp import runs
from interp.architecture import ModelConfig, Weights, check_weights
from interp.forward import path_for
from interp.run_config import RunConfig
from interp.runs import Run
from interp.sources import huggingface, left_facing, openai_grok, pizza, reading, steps
from interp.sources.formats import RECOGNIZED_BY, network_of
from interp.sources.reading import SourceError, SourceWarning
from interp.sources.recorded import Recorded, jsonable
from interp.sources.states import Skipped, State, states_in
from interp.sources.steps import Position
from interp.sources.tasks import find_task
from interp.tasks.modular import ModularConfig
from interp.tensor_files import tensor_checksum

if TYPE_CHECKING:
    import pandas as pd

Adapter = Callable[[Path], tuple[int, Weights, ModelConfig] | None]


def import_run(
    source: str | os.PathLike,
    dest: str | os.PathLike,
    *,
    format: str = "auto",
    task: ModularConfig | Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    train_indices: Iterable[int] | None = None,
    adapter: Adapter | None = None,
    unit: str | None = None,
    history: "pd.DataFrame | None" = None,
) -> Run:
    """The run made of someone else's checkpoints: the same store, the same probes and analyses.

    What the source does not say and nobody states is left open (`config.task` None, split "unknown", optimizer None),
    or, where a network could not be built without it, assumed, warned of and recorded in run.json under "source".
    Recorded losses become the run's history as they are.

    Args:
        source: a file or folder of checkpoints, or hf://org/name of the hub; only read.
        dest: a new or empty directory.
        format: a name of `interp import --list`, or "auto".
        task: what was learned: a `ModularConfig`, or some of its fields by name; fields that the source shows need not
            be given.
        model: fields of the `ModelConfig` that tensors cannot show (act_fn, normalization_type, n_heads of a bridge).
        train_indices: the train rows, as numbers a * p + b.
        adapter: for formats that nobody knows: a function of a file's path that returns (step, weights, config), or
            None for a file without weights. Weights have the names and orientations of `interp.architecture`.
        unit: what steps count, for adapters and where the source's own unit is wrong.
        history: recorded losses with the columns of `Run.history()`, for adapters.

    Raises:
        SourceError: if the source is not there, holds nothing that is known, is unsafe, damaged or inconsistent.
        RunError: if the destination holds something.
        ValueError: if a stated field is wrong, or does not fit the network.
    """
    if huggingface.is_hub_name(str(source)):
        source = huggingface.download(str(source))
    source, dest = (Path(p).expanduser().resolve() for p in (source, dest))
    if not source.exists():
        raise SourceError(
            f"There is nothing at {source}. Name the file or folder that holds the checkpoints."
        )
    if format not in ("auto", *RECOGNIZED_BY):
        raise SourceError(f"Format {format!r} is none of auto, {', '.join(RECOGNIZED_BY)}.")
    if source.is_dir() and dest.is_relative_to(source):
        raise SourceError(
            f"{dest} lies inside the source {source}, which is never written to. Name another place."
        )
    if (source / "run.json").is_file():
        raise SourceError(
            f"{source} is a run already: open it with interp.open_run, or `interp info {source}`."
        )
    if format in ("auto", "huggingface") and adapter is None and huggingface.find_series(source):
        return huggingface.import_series(source, dest)
    runs.check_unused(dest)
    dest.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{dest.name}.", suffix=".importing", dir=dest.parent))
    try:
        made = _Import(source, format, dict(model or {}), _fields(task), workshop / dest.name)
        made.read(adapter)
        made.describe(train_indices, unit, history)
        runs.put_in_place(workshop / dest.name, dest)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return runs.open_run(dest)


def _fields(task: ModularConfig | Mapping[str, Any] | None) -> dict[str, Any]:
    fields = dataclasses.asdict(task) if isinstance(task, ModularConfig) else dict(task or {})
    known = {field.name for field in dataclasses.fields(ModularConfig)}
    if unknown := set(fields) - known:
        raise ValueError(
            f"A task has no field {', '.join(sorted(unknown))}. Its fields are {', '.join(sorted(known))}."
        )
    if fields.get("operation") == "random" or fields.get("corrupted_fraction"):
        raise ValueError(
            "Labels that another program drew at random cannot be made again here: a task with operation 'random' or "
            "corrupted labels cannot be imported. Leave the task out: probes of weights do without."
        )
    return {k: v for k, v in fields.items() if v is not None}


class _Import:
    """One import under way: what is known so far of the run in the making."""

    def __init__(self, source: Path, format: str, model: dict[str, Any], task: dict[str, Any], path: Path):
        self.source, self.format, self.stated_model, self.stated_task = source, format, model, task
        empty = dict.fromkeys(field.name for field in dataclasses.fields(RunConfig))
        record = {"status": "importing", "unit": "step"}
        self.run = runs.create_run(path, RunConfig(**empty), record, None)  # type: ignore[arg-type]
        self.recorded, self.skipped = Recorded(), Skipped()
        self.config: ModelConfig | None = None
        self.first = ""
        self.found_format = "adapter"
        self.unit = "any"
        self.where: dict[int, str] = {}
        self.shown_task: dict[str, Any] = {}
        self.facts: dict[str, Any] = {"assumed": {}, "dropped": [], "duplicates": [], "not_finite": []}

    def warn(self, text: str) -> None:
        warnings.warn(text, SourceWarning, stacklevel=4)

    # Reading -----------------------------------------------------------------------------------------------------

    def read(self, adapter: Adapter | None) -> None:
        checkpoints = self._adapted(adapter) if adapter else self._found()
        runs.save_checkpoints(self.run, self._kept(checkpoints))
        if not self.run.index:
            raise SourceError(f"{self.source} gave no checkpoints.")
        if self.facts["assumed"]:
            assumed = ", ".join(f"{k}={v!r}" for k, v in self.facts["assumed"].items())
            self.warn(
                f"Tensors do not show {assumed}: that is assumed. If it was otherwise, import again with model= "
                "(or the options --activation, --normalization, --attention)."
            )

    def _adapted(self, adapter: Adapter) -> Iterator[tuple[Position | None, Weights, str]]:
        files = [self.source]
        if self.source.is_dir():
            files = sorted(
                (f for f in self.source.iterdir() if f.is_file()), key=lambda f: steps.natural(f.name)
            )
        for file in files:
            found = adapter(file)
            if found is None:
                self.skipped.without_weights.append(file.name)
                continue
            step, weights, config = found
            if isinstance(step, bool) or not isinstance(step, int) or step < 0:
                raise SourceError(
                    f"The adapter gave {step!r} as the step of {file}, which must be an integer from 0."
                )
            check_weights(config, weights, str(file))
            self._same_network(config, str(file))
            yield Position(step, "any"), reading.as_weights(weights), str(file)

    def _found(self) -> Iterator[tuple[Position | None, Weights, str]]:
        pair = pizza.find_pair(self.source) if self.format in ("auto", "pizza") else None
        config = reading.read_json(pair[1]) if pair else None
        if config:
            self.recorded.config |= config
        for state in states_in(pair[0] if pair else self.source, self.skipped):
            position = state.position or (pizza.position(config) if config else None)
            every_epoch = left_facing.is_left_facing(state.tensors)  # as the code of those networks logs
            self.recorded.learn(state.content, position.step if position else None, every_epoch)
            yield position, self._network(state, config), state.where

    def _network(self, state: State, pizza_config: dict[str, Any] | None) -> Weights:
        options = self.recorded.config
        if operator := openai_grok.operator_of(self.stated_task.get("operation")):
            options = {"math_operator": operator} | options
        format = self.format if self.config is None else self.found_format
        args = (state.tensors, format, self.stated_model, options, pizza_config, state.where)
        try:
            name, found = network_of(*args)
        except SourceError as error:
            if self.config is None:
                raise
            raise SourceError(
                f"{error} The checkpoints before it, from {self.first}, are of format {self.found_format!r}: different "
                "networks in one folder are different runs."
            ) from error
        self.found_format = name
        self._same_network(found.config, state.where)
        self.shown_task |= found.task
        self.facts["assumed"] |= found.assumed
        self.facts["dropped"] = sorted({*self.facts["dropped"], *found.dropped})
        return found.weights

    def _same_network(self, config: ModelConfig, where: str) -> None:
        if self.config is None:
            self.config, self.first = config, where
        elif config != self.config:
            mine, its = dataclasses.asdict(self.config), dataclasses.asdict(config)
            name = next(k for k in mine if mine[k] != its[k])
            raise SourceError(
                f"{where} is another network than {self.first}: {name} is {its[name]!r} instead of {mine[name]!r}. "
                "Different networks in one folder are different runs: import them one by one."
            )

    def _kept(self, found: Iterable[tuple[Position | None, Weights, str]]) -> Iterator[tuple[int, Weights]]:
        """Each step once, with its unit checked; states without a step last, if they are no copies."""
        nameless: list[tuple[Weights | None, dict[str, str], str]] = []
        for position, weights, where in found:
            self._check_finite(weights, where)
            checksums = {name: tensor_checksum(w) for name, w in weights.items()}
            if position is None:
                nameless.append((None if nameless else weights, checksums, where))
                continue
            self._check_unit(position, where)
            step = position.step
            if step not in self.run.index:
                self.where[step] = where
                yield step, weights
            elif self.run.index[step]["tensors"] == checksums:
                self.facts["duplicates"].append({"step": step, "what": where, "same_as": self.where[step]})
            else:
                raise SourceError(
                    f"{where} and {self.where[step]} both say that they are of {position.unit} {step}, and hold "
                    "different weights. Move one of them away, or rename it to its true step."
                )
        yield from self._placed(nameless)

    def _placed(
        self, nameless: list[tuple[Weights | None, dict[str, str], str]]
    ) -> Iterator[tuple[int, Weights]]:
        if len(nameless) == 1 and not self.run.index:
            weights, _, where = nameless[0]
            assert weights is not None
            self.warn(f"{where} does not say of which step it is: it becomes step 0.")
            self.facts["assumed_step"] = 0
            yield 0, weights
            return
        for _, checksums, where in nameless:
            same = [step for step, entry in self.run.index.items() if entry["tensors"] == checksums]
            if not same:
                raise SourceError(
                    f"{where} says its step neither inside nor by its name, and equals no other checkpoint. Rename it "
                    "to step_<number>, or move it away."
                )
            self.facts["duplicates"].append({"step": same[0], "what": where, "same_as": self.where[same[0]]})

    def _check_finite(self, weights: Weights, where: str) -> None:
        bad = [name for name, w in weights.items() if not bool(torch.isfinite(w).all())]
        if bad:
            self.facts["not_finite"].append({"what": where, "tensors": bad})
            self.warn(f"{where} holds NaN or infinity in {', '.join(bad[:3])}. It is imported as it is.")

    def _check_unit(self, position: Position, where: str) -> None:
        if self.unit == "any":
            self.unit = position.unit
        elif position.unit not in ("any", self.unit):
            raise SourceError(
                f"{where} counts {position.unit}s ({position.step}), the checkpoints before it count {self.unit}s: "
                "their order is not known. Import them apart, or rename them alike."
            )

    # Describing --------------------------------------------------------------------------------------------------

    def describe(
        self, train_indices: Iterable[int] | None, unit: str | None, history: "pd.DataFrame | None"
    ) -> None:
        assert self.config is not None
        task, how = find_task(
            self.run,
            self.config,
            self.shown_task,
            self.stated_task,
            self.recorded,
            self.found_format,
            train_indices,
        )
        if task is None:
            self.warn(
                f"No task: {how['none']}. Probes of task inputs need one: import again with --task and --p."
            )
        unit = unit or ("step" if self.unit == "any" else self.unit)
        if history is None:
            history = self.recorded.history()
        if history is not None:
            missing = {"step", "train_loss", "train_accuracy", "test_loss", "test_accuracy"} - set(
                history.columns
            )
            if missing:
                raise ValueError(
                    f"A history needs the columns of Run.history(), and lacks {', '.join(sorted(missing))}."
                )
            runs.save_history(self.run, history)
        if self.recorded.unplaced:
            self.warn(f"Left out, since nobody says their steps: {', '.join(self.recorded.unplaced)}.")
        fields = dict.fromkeys(field.name for field in dataclasses.fields(RunConfig))
        config = RunConfig(**fields | {"model": self.config, "task": task.config if task else None})  # type: ignore[arg-type]
        record = {
            "status": "imported",
            "unit": unit,
            "forward_path": path_for(self.config) if self.config else None,
            "history_is": "recorded by the source, not recomputed" if history is not None else None,
            "source": {
                "path": str(self.source),
                "format": self.found_format,
                **self.facts,
                "task": how,
                "unreadable": self.skipped.unreadable,
                "without_weights": len(self.skipped.without_weights),
                "config": jsonable(self.recorded.config),
            },
        }
        runs.describe_import(self.run.path, config, record, task, self.recorded.others())

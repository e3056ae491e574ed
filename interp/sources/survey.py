"""What a source holds: its states looked at once, each placed at its step, all of one network."""

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from interp.ground.progress_bar import counted
from interp.networks.config import ModelConfig, Weights, check_weights
from interp.runs.tensor_files import tensor_checksum
from interp.sources.files import reading, steps
from interp.sources.files.reading import SourceError, SourceWarning
from interp.sources.files.states import Place, Reader, Skipped, State, places_in, states_in
from interp.sources.files.steps import Position
from interp.sources.formats import left_facing, openai_grok, pizza
from interp.sources.formats.formats import network_of, recognized
from interp.sources.formats.network import Network
from interp.sources.records.recorded import Recorded

Adapter = Callable[[Path], tuple[int, Weights, ModelConfig] | None]


def warn(text: str) -> None:
    warnings.warn(text, SourceWarning, stacklevel=3)


class Found:
    """States whose tensors are of a known format."""

    def __init__(self, source: Path, format: str, stated_model: dict[str, Any], stated_task: dict[str, Any]):
        pair = pizza.find_pair(source) if format in ("auto", "pizza") else None
        self.source = pair[0] if pair else source
        self.pizza_config = reading.read_json(pair[1]) if pair else None
        self.format, self.stated_model, self.stated_task = format, stated_model, stated_task
        self.recorded, self.skipped = Recorded(), Skipped()
        self.recorded.config |= self.pizza_config or {}
        self.shown_task: dict[str, Any] = {}
        self.facts: dict[str, Any] = {"assumed": {}, "dropped": []}
        self.again = Reader()
        self.config: ModelConfig | None = None
        self.first = ""
        self.layouts: dict[frozenset, Place] = {}

    def survey(self) -> Iterator[tuple[Position | None, Place]]:
        """Position and place of every state, and what lies beside them is taken in."""
        places = places_in(self.source)
        bar = counted(places, len(places), f"look into {self.source.name}")
        for state in states_in(self.source, self.skipped, bar):
            position = state.position or (pizza.position(self.pizza_config) if self.pizza_config else None)
            every_epoch = left_facing.is_left_facing(state.tensors)  # as the code of those networks logs
            self.recorded.learn(state.content, position.step if position else None, every_epoch)
            layout = frozenset((name, tuple(t.shape)) for name, t in state.tensors.items())
            if layout not in self.layouts:
                # A format is refused before all of a long series is looked at.
                recognized(state.tensors, self.format, self.pizza_config, state.where)
                self.layouts[layout] = state.place
            yield position, state.place

    def network_config(self) -> ModelConfig:
        """The config that all checkpoints share, known once all options that lie beside them are."""
        for place in self.layouts.values():
            self._converted(self.again(place))
        assert self.config is not None
        return self.config

    def read(self, place: Place) -> Weights:
        """The weights of a state.

        Raises:
            SourceError: if they cannot be read, or are of another network than the first.
        """
        return self._converted(self.again(place)).weights

    def _converted(self, state: State) -> Network:
        options = self.recorded.config
        if operator := openai_grok.operator_of(self.stated_task.get("operation")):
            options = {"math_operator": operator} | options
        args = (state.tensors, self.format, self.stated_model, options, self.pizza_config, state.where)
        try:
            name, found = network_of(*args)
        except SourceError as error:
            if self.config is None:
                raise
            raise SourceError(
                f"{error} The checkpoints before it, from {self.first}, are of format {self.format!r}: different "
                "networks in one folder are different runs."
            ) from error
        if self.config is None:
            self.config, self.first, self.format = found.config, state.where, name
        _check_same(self.config, self.first, found.config, state.where)
        self.shown_task |= found.task
        self.facts["assumed"] |= found.assumed
        self.facts["dropped"] = sorted({*self.facts["dropped"], *found.dropped})
        return found


class Adapted:
    """Files that a function of the user's reads."""

    format = "adapter"

    def __init__(self, source: Path, adapter: Adapter):
        self.source, self.adapter = source, adapter
        self.recorded, self.skipped = Recorded(), Skipped()
        self.shown_task: dict[str, Any] = {}
        self.facts: dict[str, Any] = {"assumed": {}, "dropped": []}
        self.config: ModelConfig | None = None
        self.first = ""

    def survey(self) -> Iterator[tuple[Position | None, Place]]:
        """Position and place of every file that holds weights."""
        files = [self.source]
        if self.source.is_dir():
            files = sorted(
                (f for f in self.source.iterdir() if f.is_file()), key=lambda f: steps.natural(f.name)
            )
        for file in counted(files, len(files), f"look into {self.source.name}"):
            place = Place((file,), file.stem).found(str(file))
            found = self._read(file)
            if found is None:
                self.skipped.without_weights.append(file.name)
            else:
                yield Position(found[0], "any"), place

    def network_config(self) -> ModelConfig:
        """The config that all checkpoints share.

        Raises:
            SourceError: if there are none.
        """
        if self.config is None:
            raise SourceError(
                f"{self.source} gave no checkpoints: the adapter returned None for all its files."
            )
        return self.config

    def read(self, place: Place) -> Weights:
        """The weights of a file."""
        place.check()
        found = self._read(place.files[0])
        if found is None:
            raise SourceError(
                f"{place.where} gave weights when it was opened, and none now: mend the adapter."
            )
        return found[1]

    def _read(self, file: Path) -> tuple[int, Weights] | None:
        found = self.adapter(file)
        if found is None:
            return None
        step, weights, config = found
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise SourceError(
                f"The adapter gave {step!r} as the step of {file}, which must be an integer from 0."
            )
        check_weights(config, weights, str(file))
        if self.config is None:
            self.config, self.first = config, str(file)
        _check_same(self.config, self.first, config, str(file))
        return step, reading.as_weights(weights)


def _check_same(mine: ModelConfig, first: str, its: ModelConfig, where: str) -> None:
    if its != mine:
        ours, theirs = dataclasses.asdict(mine), dataclasses.asdict(its)
        name = next(k for k in ours if ours[k] != theirs[k])
        raise SourceError(
            f"{where} is another network than {first}: {name} is {theirs[name]!r} instead of {ours[name]!r}. "
            "Different networks in one folder are different runs: import them one by one."
        )


class Placed:
    """Which state is the checkpoint of which step: each once, with its unit checked."""

    def __init__(self, source: Path):
        self.source = source
        self.unit = "any"
        self.facts: dict[str, Any] = {"duplicates": []}
        self._places: dict[int, Place] = {}
        self._again: list[tuple[int, Place]] = []
        self._nameless: list[Place] = []

    def add(self, position: Position | None, place: Place) -> None:
        """The next state."""
        if position is None:
            self._nameless.append(place)
            return
        if self.unit == "any":
            self.unit = position.unit
        elif position.unit not in ("any", self.unit):
            raise SourceError(
                f"{place.where} counts {position.unit}s ({position.step}), the checkpoints before it count "
                f"{self.unit}s: their order is not known. Import them apart, or rename them alike."
            )
        if position.step in self._places:
            self._again.append((position.step, place))
        else:
            self._places[position.step] = place

    def result(self, read: Callable[[Place], Weights]) -> dict[int, Place]:
        """The place of every step.

        States of one step, and states without a step, must be copies of one that has one.

        Raises:
            SourceError: if they are none, or there is no state at all.
        """

        def checksums(place: Place) -> dict[str, str]:
            return {name: tensor_checksum(w) for name, w in read(place).items()}

        for step, place in self._again:
            first = self._places[step]
            if checksums(place) != checksums(first):
                raise SourceError(
                    f"{place.where} and {first.where} both say that they are of {self.unit} {step}, and hold "
                    "different weights. Move one of them away, or rename it to its true step."
                )
            self._note(step, place)
        if len(self._nameless) == 1 and not self._places:
            (place,) = self._nameless
            warn(f"{place.where} does not say of which step it is: it becomes step 0.")
            self.facts["assumed_step"] = 0
            return {0: place}
        for place in self._nameless:
            sought = checksums(place)
            # Most often it is the last.
            same = (s for s in sorted(self._places, reverse=True) if checksums(self._places[s]) == sought)
            found = next(same, None)
            if found is None:
                raise SourceError(
                    f"{place.where} says its step neither inside nor by its name, and equals no other checkpoint. "
                    "Rename it to step_<number>, or move it away."
                )
            self._note(found, place)
        if not self._places:
            raise SourceError(f"{self.source} gave no checkpoints.")
        return self._places

    def _note(self, step: int, place: Place) -> None:
        same_as = self._places[step].where
        self.facts["duplicates"].append({"step": step, "what": place.where, "same_as": same_as})

"""What a source holds: its states looked at once, and read again as the weights of one network."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from interp.ground.progress_bar import counted
from interp.networks.config import ModelConfig, Weights, check_weights
from interp.sources.files import reading, steps
from interp.sources.files.places import Place, places_in
from interp.sources.files.reading import SourceError
from interp.sources.files.states import Reader, Skipped, states_in
from interp.sources.files.steps import Position
from interp.sources.files.wrapping import State
from interp.sources.formats.format import Format, Found
from interp.sources.formats.network import Network
from interp.sources.recognition import beside, is_known, recognized
from interp.sources.records.recorded import Recorded
from interp.sources.records.splits import SplitFiles

Adapter = Callable[[Path], tuple[int, Weights, ModelConfig] | None]


class Surveyed:
    """A source whose tensors are of a known format.

    Attributes:
        format: of all its states: what was stated, else what the first was recognised as; None before.
        shown_task: fields of the task that the format shows.
        facts: for run.json: what was assumed of the network, and which buffers were dropped.
    """

    def __init__(
        self,
        source: Path,
        stated: Format | None,
        stated_model: Mapping[str, Any],
        stated_task: Mapping[str, Any],
        splits: SplitFiles,
    ):
        found = beside(source, stated)
        self.source, self.beside = found.checkpoints, found.json
        self.splits = splits
        self.format, self.stated_model, self.stated_task = stated, stated_model, stated_task
        self.recorded, self.skipped = Recorded(config=dict(self.beside)), Skipped()
        self.shown_task: dict[str, Any] = {}
        self.facts: dict[str, Any] = {"assumed": {}, "dropped": []}
        self.again = Reader()
        self.config: ModelConfig | None = None
        self.first = ""
        self.layouts: dict[frozenset, tuple[Format, Place]] = {}

    @property
    def format_name(self) -> str:
        """What run.json records, once a state was read."""
        assert self.format is not None
        return self.format.name

    def survey(self) -> Iterator[tuple[Position | None, Place]]:
        """Position and place of every state, and what lies beside them is taken in."""
        places = places_in(self.source, self.splits.files)
        bar = counted(places, len(places), f"look into {self.source.name}")
        for state in states_in(
            self.source, self.skipped, bar, lambda s: is_known(self._found(s), self.format)
        ):
            layout = frozenset((name, tuple(t.shape)) for name, t in state.tensors.items())
            if layout not in self.layouts:
                # A format is refused before all of a long series is looked at.
                self.layouts[layout] = recognized(self._found(state), self.format), state.place
            format, _ = self.layouts[layout]
            position = state.position or format.position(self._found(state))
            step = position.step if position else None
            self.recorded.learn(state.content, step, format.logs_every_epoch, str(state.path))
            yield position, state.place

    def _found(self, state: State) -> Found:
        return Found(state.tensors, state.where, self.recorded.config, self.beside, self.stated_task)

    def network_config(self) -> ModelConfig:
        """The config that all checkpoints share, known once all options that lie beside them are."""
        for _, place in self.layouts.values():
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
        found = self._found(state)
        format = recognized(found, self.format)
        try:
            network = format.network(found, self.stated_model)
        except SourceError as error:
            if self.config is None:
                raise
            raise SourceError(
                f"{error.args[0]} The checkpoints before it, from {self.first}, are of format {format.name!r}: "
                "different networks in one folder are different runs.",
                *error.args[1:],
            ) from error
        if self.config is None:
            self.config, self.first, self.format = network.config, state.where, format
        _check_same(self.config, self.first, network.config, state.where)
        self.shown_task |= network.task
        self.facts["assumed"] |= network.assumed
        self.facts["dropped"] = sorted({*self.facts["dropped"], *network.dropped})
        return network


class Adapted:
    """Files that a function of the user's reads."""

    format, format_name = None, "adapter"

    def __init__(self, source: Path, adapter: Adapter, splits: SplitFiles):
        self.source, self.adapter, self.splits = source, adapter, splits
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
                (f for f in self.source.iterdir() if f.is_file() and f not in self.splits.files),
                key=lambda f: steps.natural(f.name),
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

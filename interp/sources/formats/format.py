"""What a checkpoint format is: a value, one a file, its facts in a fixed order.

    FORMATS in `interp.sources.formats` lists them in the order in which they are tried. What a format does not say has
    a default that does nothing, so that a plain one states four facts: its name, the sentence that tells a user what
    it is recognised by, the test, and the network.

Most formats are state dicts of a network that a `ModelConfig` describes: `recognizes` and `network` look at one of them
at a time, and everything else (files, steps, logs, splits) is the same for all. A format whose runs are of another
kind says instead how a whole source is opened (`WholeSource`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from interp.networks.config import Weights
from interp.runs.run import Run
from interp.sources.files import reading
from interp.sources.files.options import plain_option
from interp.sources.files.steps import Position
from interp.sources.formats.network import Network
from interp.sources.opened import OpenedRun

Pairs = list[tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Found:
    """One state dict of a source and what lies around it.

    Attributes:
        tensors: as the file holds them.
        where: a text that names it to the user.
        options: what the trainer stored of its own, over all files; while a source is looked through, nothing yet.
        beside: the JSON that the format found beside the checkpoints, empty where there is none.
        stated_task: fields of the task that the user states, from which an option may follow that nobody stored.
    """

    tensors: Mapping[str, Tensor]
    where: str
    options: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)
    stated_task: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Beside:
    """JSON beside checkpoints, and which of the files of the source are the checkpoints then."""

    json: Mapping[str, Any]
    checkpoints: Path


@dataclass(frozen=True, eq=False)
class WholeSource:
    """How a source of another kind of run is opened as a whole: no `ModelConfig`, weights under their own names.

    Attributes:
        fetched: where the source of this name lies once it was fetched, or None for what is no such name.
        remote: the run of such a name, opened without what is large, and whether that is dropped once it was used; or
            None for what is no such name.
        series: the folder of each step, ascending, or None where the source is of another format.
        weights: of one of these folders.
        opened: the run, in place, or None where the source is of another format.
        save: give a new run the checkpoints of an opened one.
    """

    fetched: Callable[[str], Path | None]
    remote: Callable[[str, bool], OpenedRun | None]
    series: Callable[[Path], Mapping[Position, Path] | None]
    weights: Callable[[Path], Weights]
    opened: Callable[[Path], OpenedRun | None]
    save: Callable[[OpenedRun, Run], None]


# By name, not a lambda: opened runs go to other processes.
def _nothing(found: object) -> None:
    return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Format:
    """How checkpoints of one origin are told from all others, and what they are.

    Attributes:
        name: what users state and run.json records.
        recognized_by: the sentence of `interp import --list`.
        recognizes: whether a state dict is of this format, by the names and shapes of its tensors and the JSON beside
            them; never by the names of files, which anyone can change.
        network: the config and the weights, with the fields of a `ModelConfig` that the user states. It raises
            `SourceError` where a tensor is missing, unknown or of another shape.
        beside: JSON beside the checkpoints that only this format reads, or None where a source has none.
        position: the step of a state dict whose content and name state none.
        train_pairs: the operands of the train rows, made again from the trainer's options by its own generator, with a
            text that says by which; or None.
        losses_are: what its recorded losses are, where they are not the mean over the answers of
            `interp.networks.objective`: they are history then, and `interp verify` compares them with nothing.
        logs_every_epoch: whether its trainer logs each epoch from the first on, so that recorded lists need no steps.
        whole_source: for formats whose runs are of another kind.
    """

    name: str
    recognized_by: str
    recognizes: Callable[[Found], bool]
    network: Callable[[Found, Mapping[str, Any]], Network]
    beside: Callable[[Path], Beside | None] = _nothing
    position: Callable[[Found], Position | None] = _nothing
    train_pairs: Callable[[Mapping[str, Any]], tuple[Pairs, str] | None] = _nothing
    losses_are: str | None = None
    logs_every_epoch: bool = False
    whole_source: WholeSource | None = None


def json_with(file: Path, *keys: str) -> dict[str, Any] | None:
    """The object in a JSON file, its values plain, or None where there is no file or it lacks one of these keys.

    Raises:
        SourceError: if the file is no JSON, or larger than any config.
    """
    content = reading.read_json(file) if file.is_file() else None
    if not isinstance(content, dict) or not set(keys) <= content.keys():
        return None
    return {name: plain_option(value) for name, value in content.items()}

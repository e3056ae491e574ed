"""Which state dicts a file or folder holds, and of which step each is, whatever the trainer wrapped them in.

    one state dict                                     {"embed.W_E": tensor, ...}
    a training loop's dict                             {"model_state_dict" (and others): state, "epoch": 3}
    a series with its steps beside it                  {"checkpoints": [state, ...], "checkpoint_epochs": [99, ...]}
    a dict of step to state dict, a list of pairs      {0: state, 100: state}, [(0, state), (100, state)]
    a folder of any of these files                     init.pth, 100.pth, ..., final.pth
    a folder of folders with one file each             checkpoint-500/model.safetensors, shards with their index

States are handed out one at a time; files stay mapped, so that memory holds one checkpoint however long the series.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from interp.sources.files import reading, steps
from interp.sources.files.reading import SourceError, SourceWarning
from interp.sources.files.steps import Position

# "tensors" is what reading gives for a safetensors file.
STATE_KEYS = (
    "tensors",
    "model_state_dict",
    "model.state_dict",
    "state_dict",
    "model",
    "module",
    "net",
    "network",
    "weights",
)


_CHECKPOINT_FOLDER = re.compile(r"(checkpoint|ckpt|step|iter|epoch)[a-z]*[=_-]?[0-9]")


@dataclass(frozen=True)
class Place:
    """Where a state lies, so that it can be read again: a file or the shards of one checkpoint.

    Attributes:
        name: what may state the step.
        part: which of the states of a file that holds several.
        where: a text that names it to the user.
        stamps: size and time of change of each file when it was read.
    """

    files: tuple[Path, ...]
    name: str
    part: int = 0
    where: str = ""
    stamps: tuple[tuple[int, int], ...] = ()

    def found(self, where: str, part: int = 0) -> "Place":
        """The place of a state that was just read here."""
        return replace(self, part=part, where=where, stamps=_stamps(self.files))

    def check(self) -> None:
        """Nothing, if the files are as they were.

        Raises:
            SourceError: if one is gone or was changed.
        """
        stamps = _stamps(self.files)
        if stamps != self.stamps:
            what = "was changed" if stamps else "is gone"
            raise SourceError(
                f"{self.files[0]} {what} since its source was opened. Open it again to see what it holds now."
            )


@dataclass(frozen=True, eq=False)
class State:
    """One state dict as found.

    Attributes:
        position: its step and unit, or None where neither content nor name say.
        content: what lay beside it in its file (losses, configs, indices, ...).
        path, where: its file, and a text that names it to the user.
        place: how to read it again; empty while it is being read.
    """

    position: Position | None
    tensors: Mapping[str, Tensor]
    path: Path
    where: str
    content: Mapping[str, Any] = field(default_factory=dict)
    place: Place = Place((), "")


@dataclass(eq=False)
class Skipped:
    """Files of a folder that were not imported, by reason."""

    unreadable: dict[str, str] = field(default_factory=dict)
    without_weights: list[str] = field(default_factory=list)


def is_state(value: Any) -> bool:
    """Whether a value looks like a state dict: texts to tensors."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
    )


def places_in(source: Path) -> list[Place]:
    """The files of a source that may hold states, in the order of their names' numbers.

    Raises:
        SourceError: if folders hold different runs, or an index of shards is none.
    """
    if source.is_file():
        return [Place((source,), source.stem)]
    return [Place(tuple(files), name) for files, name in _checkpoint_files(source)]


def states_in(source: Path, skipped: Skipped, places: Iterable[Place] | None = None) -> Iterator[State]:
    """The states of a file or folder, in the order of their names' numbers.

    A damaged or refused file of a folder is left out with a warning and noted in `skipped`; a file given by itself is
    an error.

    Args:
        places: those of `places_in`, where the caller has them already.

    Raises:
        SourceError: if nothing with weights is found.
    """
    any_found = False
    for place in places_in(source) if places is None else places:
        label = source.name if source.is_file() else place.files[0].relative_to(source).as_posix()
        try:
            found = states_at(place)
        except SourceError as error:
            if source.is_file():
                raise
            skipped.unreadable[label] = str(error)
            warnings.warn(f"Left out: {error}", SourceWarning, stacklevel=2)
            continue
        if not found:
            skipped.without_weights.append(label)
            continue
        any_found = True
        yield from found
    if not any_found:
        raise SourceError(_no_weights(source) if source.is_file() else _nothing(source, skipped))


def states_at(place: Place) -> list[State]:
    """The states in one place (none in a file of optimizer state or logs).

    Raises:
        SourceError: if a file cannot be read or its series is malformed.
    """
    if len(place.files) > 1:
        found = [_sharded(list(place.files), place.name)]
    else:
        found = _states_of_file(place.files[0], place.name)
    return [replace(state, place=place.found(state.where, part)) for part, state in enumerate(found)]


class Reader:
    """States read again, one at a time; the file of the last one stays open, since a series may lie in one."""

    def __init__(self) -> None:
        self._files: tuple[Path, ...] = ()
        self._states: list[State] = []

    def __call__(self, place: Place) -> State:
        """The state at this place.

        Raises:
            SourceError: if a file is gone or was changed since the place was found.
        """
        place.check()
        if self._files != place.files:
            self._files, self._states = (), []  # freed before the next is read
            self._files, self._states = place.files, states_at(place)
        return self._states[place.part]

    def __getstate__(self) -> dict[str, Any]:
        return {"_files": (), "_states": []}  # what is mapped here is not sent to other processes


def _stamps(files: Iterable[Path]) -> tuple[tuple[int, int], ...]:
    try:
        return tuple((s.st_size, s.st_mtime_ns) for s in (file.stat() for file in files))
    except OSError:
        return ()


def _nothing(source: Path, skipped: Skipped) -> str:
    if skipped.unreadable:
        label, why = next(iter(skipped.unreadable.items()))
        return f"{source} holds no checkpoint that can be read; {label}: {why}"
    if skipped.without_weights:
        first = ", ".join(skipped.without_weights[:3])
        return f"{source} holds no weights: {first} are optimizer states or logs. Name the folder of the checkpoints."
    return (
        f"{source} holds no run and no checkpoints: neither a run.json nor, in it or its folders, a file of torch.save "
        "or safetensors. Name the folder of the checkpoints."
    )


def _no_weights(path: Path) -> str:
    return (
        f"{path} holds no state dict at its top, in a list or under {', '.join(STATE_KEYS[1:5])}. If it holds weights "
        "in another form, write an adapter of ten lines (docs/import.md)."
    )


def _checkpoint_files(folder: Path) -> list[tuple[list[Path], str]]:
    """Files with tensors, grouped by checkpoint, with the name that may state the step."""
    files = sorted((f for f in folder.iterdir() if f.is_file()), key=lambda f: steps.natural(f.name))
    found = [f for f in files if reading.kind_of(f)]
    folders = sorted((f for f in folder.iterdir() if f.is_dir()), key=lambda f: steps.natural(f.name))
    if found:
        groups = []
        if not any(
            steps.from_name(f.stem) for f in found
        ):  # a last copy, with the checkpoints in folders beside it
            inside = [(f, _main_files(f)) for f in folders if _CHECKPOINT_FOLDER.match(f.name.lower())]
            groups = [(main, f.name) for f, main in inside if main]
        if any(f.name.endswith(".index.json") for f in files):
            return [*groups, (_shards(folder), "" if groups else folder.name)]
        return [*groups, *(([f], f.stem) for f in found)]
    inside = [(f, _main_files(f)) for f in folders]
    groups = [(main, f.name) for f, main in inside if main and steps.from_name(f.name)]
    if groups:
        return groups
    with_files = [f for f, main in inside if main] + [
        f for f in folders if f.name == "checkpoints" and not _main_files(f)
    ]
    if len(with_files) == 1:
        return _checkpoint_files(with_files[0])
    if len(with_files) > 1:
        names = ", ".join(f.name for f in with_files[:5])
        raise SourceError(
            f"{folder} holds {len(with_files)} folders with checkpoints ({names}), none of which names a step: they "
            "are different runs. Import them one by one."
        )
    return []


def _main_files(folder: Path) -> list[Path]:
    """The file or shards of one checkpoint: what the common trainers call the model, or else all files with tensors."""
    if any(folder.glob("*.index.json")):
        return _shards(folder)
    for name in ("model.safetensors", "pytorch_model.bin", "model.pt", "model.pth"):
        if (folder / name).is_file():
            return [folder / name]
    return sorted(f for f in folder.iterdir() if f.is_file() and reading.kind_of(f))[:1]


def _shards(folder: Path) -> list[Path]:
    index = sorted(folder.glob("*.index.json"))[0]
    content = reading.read_json(index)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
        raise SourceError(f"{index} is no index of shards: it has no weight_map of names to files.")
    files = []
    for name in sorted(set(names.values())):
        if Path(name).name != name or not (folder / name).is_file():
            raise SourceError(f"{index} names the shard {name!r}, which is not a file in its folder.")
        files.append(folder / name)
    return files


def _sharded(files: list[Path], name: str) -> State:
    tensors: dict[str, Tensor] = {}
    for path in files:
        content = reading.read(path)
        part = content.get("tensors", content) if isinstance(content, Mapping) else {}
        if not is_state(part) or tensors.keys() & part.keys():
            raise SourceError(
                f"{path} is no shard of its checkpoint: it holds no tensors, or some that are in another."
            )
        reading.check_tensors(part, path, str(path))
        tensors |= part
    return State(steps.from_name(name), tensors, files[0], str(files[0].parent))


def _states_of_file(path: Path, name: str) -> list[State]:
    content = reading.read(path)
    named = steps.from_name(name)
    found = _states(content, path)
    if len(found) == 1 and found[0].position is None:
        found = [State(named, found[0].tensors, path, found[0].where, found[0].content)]
    for state in found:
        reading.check_tensors(state.tensors, path, state.where)
    return found


def _states(content: Any, path: Path) -> list[State]:
    if isinstance(content, Mapping):
        if isinstance(content.get("checkpoints"), list) and "checkpoint_epochs" in content:
            return _listed(content, path)
        if content and all(steps.number(key) is not None for key in content):
            return [_entry(Position(int(key), "step"), part, path) for key, part in content.items()]
        return _single(content, path, str(path))
    if not isinstance(content, list) or not content:
        return []
    pairs = all(isinstance(x, list | tuple) and len(x) == 2 for x in content)
    if pairs and all(steps.number(step) is not None for step, _ in content):
        return [_entry(Position(int(step), "step"), part, path) for step, part in content]
    if all(isinstance(x, Mapping) for x in content):
        found = [state for i, part in enumerate(content) for state in _single(part, path, f"{path}[{i}]")]
        if found and any(state.position is None for state in found):
            raise SourceError(
                f"{path} is a list of states without steps. Save it as a list of (step, state dict)."
            )
        return found
    return []


def _listed(content: Mapping[str, Any], path: Path) -> list[State]:
    entries, numbers = content["checkpoints"], content["checkpoint_epochs"]
    if (
        not isinstance(numbers, list)
        or len(numbers) != len(entries)
        or any(steps.number(n) is None for n in numbers)
    ):
        raise SourceError(
            f"{path} holds {len(entries)} checkpoints and as checkpoint_epochs no list of as many numbers: which is of "
            "which epoch is lost."
        )
    rest = {k: v for k, v in content.items() if k not in ("checkpoints", "model")}
    found = [_entry(Position(int(n), "epoch"), part, path) for n, part in zip(numbers, entries, strict=True)]
    return [State(s.position, s.tensors, path, s.where, rest if i == 0 else {}) for i, s in enumerate(found)]


def _entry(position: Position, part: Any, path: Path) -> State:
    where = f"{path}, {position.unit} {position.step}"
    found = _single(part, path, where) if isinstance(part, Mapping) else []
    if not found:
        raise SourceError(f"{where} is no state dict. Every entry of a series must be one.")
    return State(position, found[0].tensors, path, where, found[0].content)


def _single(content: Mapping[str, Any], path: Path, where: str) -> list[State]:
    for key in STATE_KEYS:
        if is_state(content.get(key)):
            rest = {k: v for k, v in content.items() if k != key}
            return [State(steps.from_content(rest), content[key], path, where, rest)]
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if any("." in name for name in tensors):  # a state dict itself, perhaps with a step beside its tensors
        rest = {k: v for k, v in content.items() if k not in tensors}
        return [State(steps.from_content(rest), tensors, path, where, rest)]
    return []

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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from interp.sources import reading, steps
from interp.sources.reading import SourceError, SourceWarning
from interp.sources.steps import Position

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


@dataclass(frozen=True, eq=False)
class State:
    """One state dict as found.

    Attributes:
        position: its step and unit, or None where neither content nor name say.
        content: what lay beside it in its file (losses, configs, indices, ...).
        path, where: its file, and a text that names it to the user.
    """

    position: Position | None
    tensors: Mapping[str, Tensor]
    path: Path
    where: str
    content: Mapping[str, Any] = field(default_factory=dict)


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


def states_in(source: Path, skipped: Skipped) -> Iterator[State]:
    """The states of a file or folder, in the order of their names' numbers.

    A damaged or refused file of a folder is left out with a warning and noted in `skipped`; a file given by itself is
    an error.

    Raises:
        SourceError: if nothing with weights is found.
    """
    if source.is_file():
        found = states_of_file(source)
        if not found:
            raise SourceError(_no_weights(source))
        yield from found
        return
    groups = _checkpoint_files(source)
    any_found = False
    for files, name in groups:
        label = files[0].relative_to(source).as_posix()
        try:
            found = states_of_file(files[0], name) if len(files) == 1 else [_sharded(files, name)]
        except SourceError as error:
            skipped.unreadable[label] = str(error)
            warnings.warn(f"Left out: {error}", SourceWarning, stacklevel=2)
            continue
        if not found:
            skipped.without_weights.append(label)
            continue
        any_found = True
        yield from found
    if not any_found:
        raise SourceError(_nothing(source, groups, skipped))


def _nothing(source: Path, groups: list, skipped: Skipped) -> str:
    if skipped.unreadable:
        label, why = next(iter(skipped.unreadable.items()))
        return f"{source} holds no checkpoint that can be read; {label}: {why}"
    if skipped.without_weights:
        first = ", ".join(skipped.without_weights[:3])
        return f"{source} holds no weights: {first} are optimizer states or logs. Name the folder of the checkpoints."
    return (
        f"{source} holds no checkpoints: no file in it or in its folders is one of torch.save or safetensors. Name the "
        "folder of the checkpoints."
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


def states_of_file(path: Path, name: str | None = None) -> list[State]:
    """The states in one file (none in a file of optimizer state or logs).

    Raises:
        SourceError: if the file cannot be read or its series is malformed.
    """
    content = reading.read(path)
    named = steps.from_name(path.stem if name is None else name)
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

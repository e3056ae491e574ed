"""State dicts in the content of one file, whatever the trainer wrapped them in.

one state dict                                     {"embed.W_E": tensor, ...}
a training loop's dict                             {"model_state_dict" (and others): state, "epoch": 3}
a series with its steps beside it                  {"checkpoints": [state, ...], "checkpoint_epochs": [99, ...]}
a dict of step to state dict, a list of pairs      {0: state, 100: state}, [(0, state), (100, state)]
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from interp.sources.files import steps
from interp.sources.files.places import NOWHERE, Place
from interp.sources.files.reading import SourceError
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

WRAPPED_IN = {
    "one state dict": "a file of torch.save or safetensors whose tensors have names with dots",
    "a training loop's dict": "model_state_dict, state_dict (Lightning), model, ... with step, epoch, losses beside it",
    "a series in one file": "checkpoints with checkpoint_epochs (the TransformerLens grokking demo); a dict of step to "
    "state dict; a list of (step, state dict)",
    "a folder": "any of these files; folders checkpoint-<step> with model.safetensors, pytorch_model.bin or shards",
}


@dataclass(frozen=True, eq=False)
class State:
    """One state dict as found.

    Attributes:
        position: its step and unit, or None where neither content nor name say.
        content: what lay beside it in its file (losses, configs, indices, ...).
        path, where: its file, and a text that names it to the user.
        place: how to read it again; empty while it is being read.
        is_unsure: whether these are tensors under names of one word, as a list of losses is too: weights if a format
            knows them.
    """

    position: Position | None
    tensors: Mapping[str, Tensor]
    path: Path
    where: str
    content: Mapping[str, Any] = field(default_factory=dict)
    place: Place = NOWHERE
    is_unsure: bool = False


def is_state(value: Any) -> bool:
    """Whether a value looks like a state dict: texts to tensors."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
    )


def states_of(content: Any, path: Path) -> list[State]:
    """The states in the content of a file, none where it holds optimizer state or logs.

    Raises:
        SourceError: if a series in it is malformed.
    """
    if isinstance(content, Mapping):
        if isinstance(content.get("checkpoints"), list) and "checkpoint_epochs" in content:
            return _listed(content, path)
        if content and all(steps.number(key) is not None for key in content):
            return [_entry(Position(int(key), "step"), part, path) for key, part in content.items()]
        return _single(content, path, str(path)) or _unsure(content, path)
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


def _listed(content: Mapping[Any, Any], path: Path) -> list[State]:
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
    rest = _beside(content, ("checkpoints", "model"))
    found = [_entry(Position(int(n), "epoch"), part, path) for n, part in zip(numbers, entries, strict=True)]
    return [replace(state, content=rest if i == 0 else {}) for i, state in enumerate(found)]


def _entry(position: Position, part: Any, path: Path) -> State:
    where = f"{path}, {position.unit} {position.step}"
    found = _single(part, path, where) if isinstance(part, Mapping) else []
    if not found:
        raise SourceError(f"{where} is no state dict. Every entry of a series must be one.")
    return replace(found[0], position=position)


def _single(content: Mapping[Any, Any], path: Path, where: str) -> list[State]:
    for key in STATE_KEYS:
        if is_state(content.get(key)):
            rest = _beside(content, {key})
            return [State(steps.from_content(rest), content[key], path, where, rest)]
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if any("." in name for name in tensors):  # a state dict itself, perhaps with a step beside its tensors
        rest = _beside(content, tensors)
        return [State(steps.from_content(rest), tensors, path, where, rest)]
    return []


def _beside(content: Mapping[Any, Any], taken: Container[str]) -> dict[str, Any]:
    """What lies beside the weights under a name."""
    return {k: v for k, v in content.items() if isinstance(k, str) and k not in taken}


def _unsure(content: Mapping[Any, Any], path: Path) -> list[State]:
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    rest = _beside(content, tensors)
    found = State(steps.from_content(rest), tensors, path, str(path), rest, is_unsure=True)
    return [found] if tensors else []

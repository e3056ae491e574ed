"""Which state dicts a file or folder holds, and of which step each is.

States are handed out one at a time; files stay mapped, so that memory holds one checkpoint however long the series.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from interp.sources.files import reading, steps
from interp.sources.files.errors import SourceError, SourceWarning
from interp.sources.files.places import Place, places_in
from interp.sources.files.tensors import check_tensors, form_of
from interp.sources.files.wrapping import STATE_KEYS, State, is_state, states_of

# Files that are left out are said one by one, so many of them.
MOST_SAID = 20


@dataclass(eq=False)
class Skipped:
    """Files of a folder that were not imported, by reason."""

    unreadable: dict[str, str] = field(default_factory=dict)
    without_weights: list[str] = field(default_factory=list)


def states_in(
    source: Path,
    skipped: Skipped,
    places: Iterable[Place] | None = None,
    knows: Callable[[State], bool] = lambda state: False,
) -> Iterator[State]:
    """The states of a file or folder, in the order of their names' numbers.

    A damaged or refused file of a folder is left out with a warning and noted in `skipped`; a file given by itself is
    an error.

    Args:
        places: those of `places_in`, where the caller has them already.
        knows: whether a state that only its format can tell from other tensors is of a format that is known.

    Raises:
        SourceError: if nothing with weights is found.
    """
    any_found = False
    unknown: list[State] = []
    for place in places_in(source) if places is None else places:
        label = source.name if source.is_file() else place.files[0].relative_to(source).as_posix()
        try:
            there = states_at(place)
            found = [state for state in there if not state.is_unsure or _known(state, knows)]
        except SourceError as error:
            if source.is_file():
                raise
            skipped.unreadable[label] = str(error)
            if len(skipped.unreadable) <= MOST_SAID:
                warnings.warn(f"Left out: {error}", SourceWarning, stacklevel=2)
            continue
        if not found:
            skipped.without_weights.append(label)
            unknown += [state for state in there if _may_be_weights(state)][: not unknown]
            continue
        any_found = True
        yield from found
    if (more := len(skipped.unreadable) - MOST_SAID) > 0:
        warnings.warn(f"Left out: {more:,} more files that cannot be read.", SourceWarning, stacklevel=2)
    if unknown and not any_found:
        # Nothing else is there: whoever takes it says which tensors these are.
        for state in unknown:
            check_tensors(state.tensors, state.path, state.where)
            yield state
    elif not any_found:
        raise SourceError(_no_weights(source) if source.is_file() else _nothing(source, skipped))


def _may_be_weights(state: State) -> bool:
    """Whether there is a matrix of fractions among tensors under names of one word, which lists of numbers are not."""
    return any(t.is_floating_point() and t.ndim > 1 for t in state.tensors.values())


def _known(state: State, knows: Callable[[State], bool]) -> bool:
    # Of tensors in another form a format could not even ask the shape.
    if not knows(
        replace(state, tensors={name: t for name, t in state.tensors.items() if form_of(t) is None})
    ):
        return False
    check_tensors(state.tensors, state.path, state.where)
    return True


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


def _sharded(files: list[Path], name: str) -> State:
    tensors: dict[str, Tensor] = {}
    for path in files:
        content = reading.read(path)
        part = content.get("tensors", content) if isinstance(content, Mapping) else {}
        if not is_state(part) or tensors.keys() & part.keys():
            raise SourceError(
                f"{path} is no shard of its checkpoint: it holds no tensors, or some that are in another."
            )
        check_tensors(part, path, str(path))
        tensors |= part
    return State(steps.from_name(name), tensors, files[0], str(files[0].parent))


def _states_of_file(path: Path, name: str) -> list[State]:
    content = reading.read(path)
    named = steps.from_name(name)
    found = states_of(content, path)
    if len(found) == 1 and found[0].position is None:
        found = [replace(found[0], position=named)]
    for state in found:
        # Of a file of other tensors, their form is no matter.
        if not state.is_unsure:
            check_tensors(state.tensors, path, state.where)
    return found

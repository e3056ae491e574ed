"""What a user states of a source, checked before a file is looked at: fields by name, each of its own type.

A statement that no branch of the code reads is worse than an error: what follows would be about something else.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from interp.networks.config import ModelConfig
from interp.tasks.families import families_with
from interp.tasks.task import TaskConfig

_PLAIN: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    bool: ("True or False", lambda x: isinstance(x, bool)),
    int: ("a whole number", lambda x: isinstance(x, Integral) and not isinstance(x, bool)),
    float: ("a number", lambda x: isinstance(x, Real) and not isinstance(x, bool)),
    str: ("a text", lambda x: isinstance(x, str)),
}


def stated_task(task: TaskConfig | Mapping[str, Any] | None, train_indices: Any = None) -> dict[str, Any]:
    """The stated fields of a task that are not None; of a config all of them.

    A split "unknown" states nothing: it is found where it can be.

    Raises:
        ValueError: if it is neither config nor mapping, no family has such fields, a value is of another type, or the
            split is an explicit one without its rows.
    """
    fields = _fields(task, "task", "{'operation': 'add', 'p': 113}")
    kinds = families_with(fields)
    complaints = [_complaint("A task", kind, fields) for kind in kinds]
    if all(complaints):
        raise ValueError(complaints[0])
    if fields.get("split") == "explicit" and train_indices is None:
        raise ValueError(
            "A task with split='explicit' needs its train rows: give train_indices= too, numbers a * p + b. Or state "
            "how they were drawn: a split of shuffle, unordered or torch with its split_seed and train_fraction."
        )
    if fields.get("split") == "unknown":
        del fields["split"]
    return fields


def stated_model(model: Mapping[str, Any] | None) -> dict[str, Any]:
    """The stated fields of a `ModelConfig`.

    Raises:
        ValueError: if it is no mapping, a field is none of a `ModelConfig` or of another type.
    """
    fields = _fields(model, "model", "{'act_fn': 'gelu', 'n_heads': 4}", keep_none=True)
    known = [field.name for field in dataclasses.fields(ModelConfig)]
    if unknown := sorted(fields.keys() - set(known)):
        raise ValueError(f"A network has no field {', '.join(unknown)}. Its fields are {', '.join(known)}.")
    if complaint := _complaint("A network", ModelConfig, fields):
        raise ValueError(complaint)
    return fields


def stated_rows(train_indices: Iterable[int] | None) -> list[int] | None:
    """The stated train rows as plain integers.

    Raises:
        ValueError: if they are no whole numbers from 0.
    """
    if train_indices is None:
        return None
    values = train_indices.tolist() if hasattr(train_indices, "tolist") else train_indices
    rows = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else [values]
    is_row = _PLAIN[int][1]
    if wrong := [row for row in rows if not is_row(row) or row < 0]:
        raise ValueError(
            f"train_indices needs whole numbers a * p + b from 0, got {wrong[0]!r:.60}. Of a mask, give the "
            "numbers of the rows where it is true."
        )
    return [int(row) for row in rows]


def _fields(stated: Any, what: str, example: str, *, keep_none: bool = False) -> dict[str, Any]:
    if dataclasses.is_dataclass(stated) and not isinstance(stated, type):
        stated = dataclasses.asdict(stated)
    if stated is not None and not isinstance(stated, Mapping):
        raise ValueError(f"{what}= needs fields by name, as {example}, got {stated!r:.60}.")
    if odd := [name for name in stated or {} if not isinstance(name, str)]:
        raise ValueError(
            f"{what}= needs fields by name, as {example}, got one that is called {odd[0]!r:.60}."
        )
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in (stated or {}).items()}
    return {name: value for name, value in plain.items() if keep_none or value is not None}


def _complaint(what: str, kind: Any, fields: Mapping[str, Any]) -> str | None:
    """What is wrong with the first field that has a value of another type."""
    hints = get_type_hints(kind)
    for name, value in fields.items():
        words, fits = _type_of(hints[name])
        if not fits(value):
            return f"{what}'s {name} is {words}, not {value!r:.60}."
    return None


def _type_of(hint: Any) -> tuple[str, Callable[[Any], bool]]:
    """A type in words, and whether a value is of it."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return f"one of {', '.join(map(str, choices))}", lambda x: isinstance(x, str) and x in choices
    if get_origin(hint) in (Union, UnionType):
        words, fits = zip(*(_type_of(part) for part in get_args(hint) if part is not NoneType), strict=True)
        has_none = NoneType in get_args(hint)
        return " or ".join(words), lambda x: (x is None and has_none) or any(fit(x) for fit in fits)
    return "a list of rows", lambda x: isinstance(x, list | tuple)

"""Any field of a recipe by its path, `task.p` or `optimizer.weight_decay`, whatever the family of the task.

Sizes that follow from the task (n_ctx, d_vocab, d_vocab_out) and from the widths (d_head) are made to fit, unless they
are set themselves. Everything is checked again, and what does not fit is said in the words in which it was set.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pydantic

from interp.networks.config import head_width
from interp.runs.config import Recipe, RunConfig, config_to_json
from interp.tasks.families import FAMILIES, AnyTaskConfig

_task_adapter: pydantic.TypeAdapter = pydantic.TypeAdapter(AnyTaskConfig)
_config_adapter = pydantic.TypeAdapter(RunConfig)


def value_of(text: str) -> Any:
    """What a text on the command line means: JSON where it is some, otherwise the text itself.

    >>> value_of("0.3"), value_of("S5"), value_of("null"), value_of("[0.9, 0.98]")
    (0.3, 'S5', None, [0.9, 0.98])
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def setting(text: str) -> tuple[str, Any]:
    """Path and value of a field as typed after --set, "task.p=59".

    Raises:
        ValueError: if it is no FIELD=VALUE.
    """
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise ValueError(f"--set {text}: needs FIELD=VALUE, as --set task.p=59.")
    return path, value_of(value)


def with_settings(
    recipe: Recipe, settings: Mapping[str, Any], typed: Mapping[str, str] | None = None
) -> Recipe:
    """The recipe with these fields.

    Args:
        settings: values by path, `task.p`, `model.n_layers`, `optimizer.lr`, `seed`, ...
        typed: how the user wrote each of them, for errors; the path itself by default.

    Raises:
        ValueError: if a path leads nowhere, a value has another type, or the fields do not fit together.
    """
    said = {path: path for path in settings} | dict(typed or {})
    _check_family(recipe.task.family, settings, said)
    value = config_to_json(recipe.config())
    value["task"] |= _defaults(recipe.task)
    value["model"] |= _defaults(recipe.model)
    value["optimizer"] |= _defaults(recipe.optimizer)
    for path, new in settings.items():
        _set(value, path, new, said[path])
    task: Any = _checked(_task_adapter, value["task"], said, "task.")
    if not isinstance(value["model"], dict):
        raise ValueError(f"{said['model']}: a recipe needs a network. Set its fields, as model.n_layers.")
    sizes = {"n_ctx": task.n_pos, "d_vocab": task.n_tokens, "d_vocab_out": task.n_answers}
    value["model"] |= {name: n for name, n in sizes.items() if f"model.{name}" not in settings}
    if {"model.d_model", "model.n_heads"} & settings.keys() and "model.d_head" not in settings:
        _fit_heads(value["model"], settings)
    config = _checked(_config_adapter, value, said, "")
    try:
        return config.recipe()
    except ValueError as error:
        raise ValueError(_blamed(str(error), "task.split", said)) from error


def _check_family(family: str, settings: Mapping[str, Any], said: Mapping[str, str]) -> None:
    """Refuse another family than the recipe's: it has other fields, of which the recipe knows nothing."""
    new = settings.get("task.family", family)
    if new != family and isinstance(new, str) and new in FAMILIES:
        raise ValueError(
            f"{said['task.family']}: a recipe of family {family!r} cannot become one of {new!r}, whose fields are "
            f"others. Start from a recipe of that family: --task {new}."
        )


def _defaults(part: Any) -> dict[str, Any]:
    """Fields that run.json leaves out while they have their default."""
    fields = dataclasses.fields(part)
    return {f.name: getattr(part, f.name) for f in fields if f.metadata.get("omitted")}


def _set(value: dict[str, Any], path: str, new: Any, said: str) -> None:
    *parts, name = path.split(".")
    place: Any = value
    for part in parts:
        place = place.get(part) if isinstance(place, dict) else None
    if not isinstance(place, dict) or name not in place:
        raise ValueError(f"{said}: a recipe has no field {path!r}. {_known(value, parts, place, name)}")
    place[name] = new


def _known(value: Mapping[str, Any], parts: list[str], place: Any, name: str) -> str:
    """What there is in place of a field that is not."""
    if not parts or not isinstance(place, dict):
        return f"Its parts are {', '.join(value)}; name a field as task.p or optimizer.lr."
    if parts == ["task"]:
        families = [
            family for family, kind in FAMILIES.items() if name in {f.name for f in dataclasses.fields(kind)}
        ]
        if families:
            return (
                f"A task of family {value['task']['family']!r} has none; use --task {' or '.join(families)}."
            )
    return f"Its {'.'.join(parts)} has {', '.join(place)}."


def _fit_heads(model: dict[str, Any], settings: Mapping[str, Any]) -> None:
    d_model, n_heads = model["d_model"], model["n_heads"]
    if isinstance(d_model, int) and isinstance(n_heads, int):
        model["d_head"] = head_width(d_model, n_heads)
        if not n_heads and "model.positions" not in settings:
            model["positions"] = "none"


def _checked(adapter: pydantic.TypeAdapter, value: Any, said: Mapping[str, str], prefix: str) -> Any:
    try:
        # As JSON, where strict is meant for values of files: true is no 1 and "yes" is no true, a list may be a tuple.
        return adapter.validate_json(json.dumps(value, default=repr), strict=True)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        # Without the family, which pydantic puts between task and field.
        names = [str(x) for x in first["loc"] if x not in FAMILIES]
        path = (prefix + ".".join(names)).rstrip(".")
        if first["type"] == "union_tag_invalid":
            path += ".family"
        if first["type"] == "value_error":
            raise ValueError(_blamed(message, path, said)) from error
        found = f", got {first['input']!r}" if not isinstance(first["input"], dict) else ""
        raise ValueError(f"{_typed(path, said)}: {message}{found}.") from error


def _blamed(message: str, path: str, said: Mapping[str, str]) -> str:
    """The message with what the user wrote before it, where only one setting can be what does not fit."""
    inside = [
        written for field, written in said.items() if f"{field}.".startswith(f"{path}." if path else "")
    ]
    return f"{inside[0]}: {message}" if len(inside) == 1 else message


def _typed(path: str, said: Mapping[str, str]) -> str:
    """How the user wrote this field, or the whole that it is a part of (`optimizer.betas` for `optimizer.betas.1`)."""
    whole = [p for p in said if f"{path}.".startswith(f"{p}.")]
    return said[max(whole, key=len)] if whole else path

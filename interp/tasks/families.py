"""The families of tasks: every config that the folder's `__init__` imports, told apart by its `family` field."""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Union

import pydantic

from interp import tasks
from interp.tasks.task import TaskConfig

FAMILIES: dict[str, Any] = {
    kind.family: kind
    for kind in vars(tasks).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and hasattr(kind, "family")
}

# Any family's config, for type checkers and for pydantic, which picks the class by the field.
if TYPE_CHECKING:
    AnyTaskConfig = TaskConfig
else:
    AnyTaskConfig = Annotated[Union[tuple(FAMILIES.values())], pydantic.Discriminator("family")]  # noqa: UP007


def family(name: str) -> Any:
    """The config class of a family.

    Raises:
        ValueError: if there is none of this name; the ones there are, are listed.
    """
    if name not in FAMILIES:
        raise ValueError(f"There is no task family {name!r}. There are: {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def families_with(fields: Iterable[str] | dict[str, Any]) -> list[Any]:
    """The config classes that have all these fields; of one family, where `family` is among them.

    Raises:
        ValueError: if none has.
    """
    named = fields.get("family") if isinstance(fields, dict) else None
    kinds: list[Any] = [family(named)] if named else list(FAMILIES.values())
    has = {kind: {field.name for field in dataclasses.fields(kind)} for kind in kinds}
    found = [kind for kind in kinds if set(fields) <= has[kind]]
    if not found:
        least = min(kinds, key=lambda kind: len(set(fields) - has[kind]))
        raise ValueError(
            f"A task has no field {', '.join(sorted(set(fields) - has[least]))}. The fields of family {least.family!r} "
            f"are {', '.join(sorted(has[least]))}."
        )
    return found

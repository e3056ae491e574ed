"""The families of tasks: every config that the folder's `__init__` imports, told apart by its `family` field."""

import dataclasses
from collections.abc import Mapping
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


def family(name: Any) -> Any:
    """The config class of a family.

    Raises:
        ValueError: if there is none of this name; the ones there are, are listed.
    """
    if not isinstance(name, str) or name not in FAMILIES:
        raise ValueError(f"There is no task family {name!r:.60}. There are: {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def families_with(fields: Mapping[str, Any]) -> list[Any]:
    """The config classes that have all these fields, of families that are recognised behind networks of other programs.

    Args:
        fields: what is stated or shown of a task; with `family` of that one alone.

    Raises:
        ValueError: if none has, or the family is not recognised.
    """
    kinds: list[Any] = [family(fields["family"])] if "family" in fields else list(FAMILIES.values())
    recognised = [kind for kind in kinds if hasattr(kind, "fitted")]
    if not recognised:
        there = ", ".join(name for name, kind in FAMILIES.items() if hasattr(kind, "fitted"))
        raise ValueError(
            f"A task of family {fields['family']!r} is trained and opened here, but not found behind the checkpoints "
            f"of other programs; tasks of {there} are. Leave the task out: probes of weights do without."
        )
    kinds = recognised
    has = {kind: {field.name for field in dataclasses.fields(kind)} for kind in kinds}
    found = [kind for kind in kinds if set(fields) <= has[kind]]
    if not found:
        known = "; ".join(f"of family {kind.family!r} {', '.join(sorted(has[kind]))}" for kind in kinds)
        strange = sorted(set(fields) - set().union(*has.values()))
        what = f"A task has no field {', '.join(strange)}" if strange else "No family has all of these fields"
        raise ValueError(f"{what}: stated are {', '.join(sorted(fields))}. The fields are {known}.")
    return found

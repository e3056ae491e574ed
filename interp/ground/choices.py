"""Config fields that hold one of a few words: a misspelt word is an error, never another network.

Annotations are not executed outside the tests, and a word that no branch of the code knows silently takes the last
one: `attention_dir="casual"` would be bidirectional, `name="AdamW"` would be Adam.
"""

from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from interp.ground.plain_text import shown


def check_choices(config: Any) -> None:
    """Nothing, if every field of the dataclass that is annotated with a `Literal` holds one of its values.

    Raises:
        ValueError: if one does not; the field and its possible values are named.
    """
    for field, annotation in get_type_hints(type(config)).items():
        choices = _choices(annotation)
        if choices and getattr(config, field) not in choices:
            raise ValueError(
                f"{type(config).__name__} needs {field} to be one of {', '.join(map(repr, choices))}, got "
                f"{shown(getattr(config, field))}."
            )


def check_seed(name: str, seed: int) -> None:
    """Nothing, if generators take this seed.

    Raises:
        ValueError: if it has more than 63 bits.
    """
    if not -(2**63) <= seed < 2**63:
        raise ValueError(
            f"A generator needs {name} of at most 18 digits, got {shown(seed)}. Use a smaller seed."
        )


def _choices(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    parts = get_args(annotation)
    if any(get_origin(part) is Literal for part in parts):  # Literal[...] | None
        return tuple(c for part in parts for c in (_choices(part) or ((None,) if part is NoneType else ())))
    return ()

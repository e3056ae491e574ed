"""JSON of strangers: no deeper than anything that compares, copies or prints it can follow."""

import json
from typing import Any

DEEPEST = 50


def json_value(text: str | bytes) -> Any:
    """The value that a JSON text holds.

    Raises:
        ValueError: if it is no JSON, nested more than `DEEPEST` levels, or has an integer of thousands of digits.

    >>> json_value('{"lr": [0.1]}')
    {'lr': [0.1]}
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    level = [value]
    for _ in range(DEEPEST):
        level = [part for whole in level for part in _parts(whole) if isinstance(part, dict | list)]
        if not level:
            return value
    raise _too_deep()


def _parts(whole: Any) -> Any:
    return whole.values() if isinstance(whole, dict) else whole if isinstance(whole, list) else ()


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {DEEPEST} levels deep")

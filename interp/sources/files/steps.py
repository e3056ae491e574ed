"""Which step a checkpoint is of: its content says so before its name does, and the unit stays with the number."""

import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple


class Position(NamedTuple):
    """A number along a run and what it counts: "step", "epoch", "tokens", or "checkpoint" (a mere counter)."""

    step: int
    unit: str


# In this order: a dict with both keeps the number of updates.
_KEYS = {
    "global_step": "step", "step": "step", "steps": "step", "iteration": "step", "iter": "step",
    "epoch": "epoch", "tokens": "tokens",
}  # fmt: skip

_NAMES = (
    (r"step[=_-]?([0-9]+)", "step"),
    (r"iter(?:ation)?[=_-]?([0-9]+)", "step"),
    (r"ckpt[_-]?([0-9]+)", "step"),
    (r"checkpoint-([0-9]+)", "step"),
    (r"checkpoint_([0-9]+)$", "checkpoint"),
    (r"checkpoint_?([0-9]+)", "step"),
    (r"epoch[=_-]?([0-9]+)", "epoch"),
)

LARGEST_COUNT = 10**18
LARGEST_STEP = 10**9  # a larger bare number counts tokens


def from_content(content: Mapping[str, Any]) -> Position | None:
    """The position that the keys of a checkpoint state, or None."""
    for key, unit in _KEYS.items():
        if (value := number(content.get(key))) is not None:
            return Position(value, unit)
    return None


def number(value: Any) -> int | None:
    """An integer from 0 of at most 18 digits, given as such or as text (safetensors metadata are texts), or None.

    >>> number("40"), number(-1), number("\u0664"), number(10**18)
    (40, None, None, None)
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if isinstance(value, Integral) and not isinstance(value, bool) and 0 <= int(value) < LARGEST_COUNT:
        return int(value)
    return None


def from_name(name: str) -> Position | None:
    """The position that a file's or directory's name (without its ending) states, or None.

    "init" is 0. "final", "last" and "best" state nothing: only the content can.

    >>> from_name("epoch=3-step=40"), from_name("grok_200"), from_name("final")
    (Position(step=40, unit='step'), Position(step=200, unit='step'), None)
    """
    lower = name.lower()
    for pattern, unit in _NAMES:
        if match := re.search(pattern, lower):
            return _position(match[1], unit)
    if re.fullmatch(r"(.*[_-])?init(ial)?", lower):
        return Position(0, "any")
    if match := re.search(r"(?:^|[_-])([0-9]+)([mb])?$", lower):
        factor = {"m": 10**6, "b": 10**9}.get(match[2] or "", 1)
        if factor > 1:
            count = _position(match[1], "tokens")
            n = number(count.step * factor) if count else None
            return None if n is None else Position(n, "tokens")
        return _position(match[1], "step")
    return None


def _position(digits: str, unit: str) -> Position | None:
    if len(digits) > 18:  # a hash, not a count
        return None
    step = int(digits)
    return Position(step, "tokens" if step > LARGEST_STEP else unit)


def natural(name: str) -> list[Any]:
    """Sort key under which 200 comes before 1000."""
    return [
        (int(part), "") if part.isdecimal() and len(part) < 1000 else (-1, part)
        for part in re.split(r"([0-9]+)", name)
    ]

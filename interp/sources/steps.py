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
    (r"step[=_-]?(\d+)", "step"),
    (r"iter(?:ation)?[=_-]?(\d+)", "step"),
    (r"ckpt[_-]?(\d+)", "step"),
    (r"checkpoint-(\d+)", "step"),
    (r"checkpoint_(\d+)$", "checkpoint"),
    (r"checkpoint_?(\d+)", "step"),
    (r"epoch[=_-]?(\d+)", "epoch"),
)

LARGEST_STEP = 10**9  # a larger bare number counts tokens


def from_content(content: Mapping[str, Any]) -> Position | None:
    """The position that the keys of a checkpoint state, or None."""
    for key, unit in _KEYS.items():
        value = content.get(key)
        if isinstance(value, str) and value.isdigit():  # safetensors metadata are texts
            value = int(value)
        if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0:
            return Position(int(value), unit)
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
    if match := re.search(r"(?:^|[_-])(\d+)([mb])?$", lower):
        factor = {"m": 10**6, "b": 10**9}.get(match[2] or "", 1)
        if factor > 1:
            return Position(int(match[1]) * factor, "tokens")
        return _position(match[1], "step")
    return None


def _position(digits: str, unit: str) -> Position | None:
    if len(digits) > 18:  # a hash, not a count
        return None
    step = int(digits)
    return Position(step, "tokens" if step > LARGEST_STEP else unit)


def natural(name: str) -> list[Any]:
    """Sort key under which 200 comes before 1000."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]

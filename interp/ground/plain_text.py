"""Text of strangers, safe to print: names, values and messages that come out of files.

A file decides what its tensors are called and what its options hold. Printed as they are, a name can clear the
terminal, hide a line or turn the direction of writing, and a small value can take forever to print: lists that share
lists, sixty levels deep, are 2^60 entries in a kilobyte.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

# Control characters, marks that turn the direction of writing or take no width, line separators, and what stands for
# bytes of a name that are no text: the last cannot be printed at all.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_LONGEST = 2000
_MOST_SIGNS = 60
_MOST_PARTS = 8
_MOST_BITS = 128


def visible(text: str) -> str:
    """The text on one line, with every character that a terminal obeys instead of showing it as its escape.

    >>> visible("W_E\\x1b[2J, 50 µs\\u202e")
    'W_E\\\\x1b[2J, 50 µs\\\\u202e'
    """
    return _HIDDEN.sub(lambda found: ascii(found[0])[1:-1], text)


def sentence(text: str) -> str:
    """A message, visible and of a length that can be read: names in it may be as long as a stranger liked."""
    text = visible(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"


def visible_lines(text: str) -> str:
    """A text of several lines, visible: its line breaks stay, so that what comes out of files must have none left."""
    return "\n".join(map(visible, text.split("\n")))


def say(*parts: object, **how: Any) -> None:
    """Print, whatever is in it."""
    print(*(visible_lines(str(part)) for part in parts), **how)


def number_of(n: int, noun: str) -> str:
    """A number of things, with the noun as the number wants it.

    >>> number_of(1, "table"), number_of(0, "table"), number_of(12_000, "step")
    ('1 table', '0 tables', '12000 steps')
    """
    return f"{n} {noun}{'' if n == 1 else 's'}"


def ordinal(n: int) -> str:
    """A number in a row.

    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 22, 113)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd', '113th']
    """
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def listed(values: Iterable[Any]) -> str:
    """Values in words.

    >>> listed([7, 14, 35]), listed(["a"]), listed([])
    ('7, 14 and 35', 'a', 'none')
    """
    *first, last = [str(value) for value in values] or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def several(noun: str) -> str:
    """A noun of several things.

    >>> several("step"), several("tokens")
    ('steps', 'tokens')
    """
    return noun if noun.endswith("s") else f"{noun}s"


def has_long_numbers(text: str) -> bool:
    """Whether a number in a text has more digits than any step, which Python is slow or unwilling to read."""
    return re.search(r"\d{101}", text) is not None


def shown(value: Any, depth: int = 2) -> str:
    """A value in a few words: bounded in length, depth and work, whatever it is.

    >>> shown([1, [2, [3, [4]]], "x" * 100][:2]), shown({"lr": 0.1}), shown(10**6000)
    ('[1, [2, ...]]', "{'lr': 0.1}", 'an integer of 19932 bits')
    """
    if isinstance(value, str):
        return repr(value[:_MOST_SIGNS]) + ("..." if len(value) > _MOST_SIGNS else "")
    if value is None or isinstance(value, bool | float) or type(value).__name__ in ("dtype", "device"):
        return repr(value)
    if isinstance(value, int):
        bits = value.bit_length()
        return repr(value) if bits <= _MOST_BITS else f"an integer of {bits} bits"
    if not isinstance(value, Mapping | list | tuple):
        return f"a {type(value).__name__}"
    if depth == 0:
        return "..."
    if isinstance(value, Mapping):
        parts = [f"{shown(k, 0)}: {shown(v, depth - 1)}" for k, v in islice(value.items(), _MOST_PARTS)]
    else:
        parts = [shown(part, depth - 1) for part in value[:_MOST_PARTS]]
    parts += [f"... ({len(value)} in all)"] if len(value) > _MOST_PARTS else []
    first, last = "{}" if isinstance(value, Mapping) else "()" if isinstance(value, tuple) else "[]"
    return first + ", ".join(parts) + ("," if parts and len(value) == 1 and first == "(" else "") + last

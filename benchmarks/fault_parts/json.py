"""Every field of run.json and index.json altered: a sentence, or the same numbers; never a traceback, never another run.

Each alteration is tried with the checksum of run.json left as it was, and with its line deleted, as by a user who edits
the file and means it: then what it says counts, and must be possible.
"""

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.fault_parts.material import Material, check_same
from benchmarks.fault_parts.processes import Ended, Failed, check_sentence, command, ran, value_of
from benchmarks.fault_parts.promises import REFUSED, check_kept, readings
from benchmarks.fault_parts.trials import Trial

MEMORY = 2**30
SECONDS = 60.0
Path_ = tuple[str | int, ...]


class Raw(str):
    """A text that stands in the file as it is, where JSON has no such value."""


NESTED: list[Any] = []
for _ in range(45):
    NESTED = [NESTED]
VALUES: dict[str, dict[str, Any]] = {
    "of another type": {
        "null": None, "true": True, "text": "x", "number": 7, "share": 0.5, "list": [], "object": {},
        "nested list": NESTED, "list of odd ones": ["a", 3, None],
    },
    "absurd": {
        "10^15": 10**15, "1e308": 1e308, "negative": -1, "NaN": Raw("NaN"), "infinity": Raw("-Infinity"),
        "thousands of digits": Raw("9" * 5000), "long text": "x" * 10**6, "escape": "\x1b[2J\x00\ud800",
        "deep": Raw("[" * 10**5 + "]" * 10**5),
    },
}  # fmt: skip

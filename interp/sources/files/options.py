"""What trainers stored of their options, made harmless before anything compares, prints or walks it."""

import argparse
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np

from interp.ground.plain_text import shown
from interp.sources.files.arrays import StoredConfig

_MOST_OPTIONS = 10_000
_WRAPPED = 3
_LONGEST = 1000


def as_options(value: Any) -> dict[str, Any]:
    """A stored config as a dict of plain values: a dict itself, a Namespace, or a config class that is gone.

    What is neither text nor a number of ordinary size is a short text of what it was.
    """
    for _ in range(_WRAPPED):
        if isinstance(value, StoredConfig | argparse.Namespace):
            value = vars(value)
        if not isinstance(value, Mapping):
            return {}
        if value.get("hparams") is None:
            break
        value = value["hparams"]
    return {name_of(key): plain_option(part) for key, part in islice(value.items(), _MOST_OPTIONS)}


def plain_option(value: Any) -> str | int | float | bool | None:
    """A value that compares, hashes and prints in no time: itself where it does, otherwise a short text of it."""
    if isinstance(value, np.generic) and value.dtype.kind in "fiub":
        value = value.item()
    if isinstance(value, str):
        return value[:_LONGEST]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and value.bit_length() < 64:
        return value
    return shown(value)


def name_of(key: Any) -> str:
    """A key as a name."""
    return key[:100] if isinstance(key, str) else shown(key)

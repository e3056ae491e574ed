"""Parameters as JSON that is equal for equal values only: what the keys of kept tables are made of."""

import dataclasses
import json
from typing import Any

import numpy as np
import torch
import xxhash

from interp.runs.tensor_files import tensor_checksum


def plain(value: Any) -> Any:
    """A value as JSON that is equal for equal values only.

    Raises:
        TypeError: if that cannot be promised of its type.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.Tensor):
        return ["tensor", tensor_checksum(value)]
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        return ["array", str(value.dtype), list(value.shape), xxhash.xxh3_64(value.tobytes()).hexdigest()]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(plain, value)]
    if isinstance(value, (set, frozenset)):
        return ["set", *sorted(json.dumps(plain(v)) for v in value)]
    if isinstance(value, dict):
        return ["dict", *sorted(json.dumps([plain(k), plain(v)]) for k, v in value.items())]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return [type(value).__qualname__, fields]
    raise TypeError(f"Values of type {type(value).__name__} have no stable key.")


def hashed(value: Any) -> str:
    """A hash of what JSON can hold."""
    return xxhash.xxh3_64(json.dumps(value, sort_keys=True).encode()).hexdigest()

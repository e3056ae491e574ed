"""Numpy arrays in files of strangers, rebuilt from their bytes alone.

Unpickling a real array or dtype runs numpy's `__setstate__`, which believes what the file says: an array of objects
over chosen bytes is a pointer of the file's choice. Here stand-ins take the place of `numpy.dtype` and of the array
while the file is read; only numbers whose bytes are all there become arrays, after the file was read.
"""

import argparse
import math
import re
from typing import Any

import numpy as np


class ArrayError(ValueError):
    """A pickled array that is not one of plain numbers with all of its bytes."""


class StoredConfig:
    """What a pickled config class becomes: its attributes, none of its code."""


class _ArrayClass:
    """Stands for the name `numpy.ndarray`."""


class _StoredType:
    """Stands for a `numpy.dtype`: the code of a number and its byte order."""

    def __init__(self, code: Any, *_: Any):
        if not isinstance(code, str) or not re.fullmatch(r"f[248]|[iu][1248]|b1", code):
            raise ArrayError(
                f"a numpy array of type {str(code)[:20]!r} is not one of numbers. Save it as a tensor, or leave it out."
            )
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise ArrayError("a numpy array has no byte order: it is damaged.")
        self.order = state[1]

    def values(self, data: Any) -> np.ndarray:
        dtype = np.dtype(self.code if self.order == "|" else self.order + self.code)
        if not isinstance(data, bytes) or len(data) % dtype.itemsize:
            raise ArrayError("a numpy array lacks some of its data: it is damaged.")
        return np.frombuffer(data, dtype).astype(self.code)


class _StoredArray:
    """Stands for an array until its file was read: called as numpy's `_reconstruct`, then told its state."""

    value: np.ndarray | None = None

    def __init__(self, kind: Any, shape: Any, code: Any):
        if kind is not _ArrayClass or shape != (0,):  # a shape here would take memory before any data is seen
            raise ArrayError("a numpy array claims a shape before its data: it is damaged.")

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or type(state[2]) is not _StoredType:
            raise ArrayError("a numpy array has no type of numbers: it is damaged.")
        _, shape, dtype, by_columns, data = state
        values = dtype.values(data)
        counts = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
        if not counts or math.prod(shape) != values.size:
            raise ArrayError(
                f"a numpy array of shape {shape!r:.60} has {values.size} numbers: it is damaged."
            )
        self.value = values.reshape(shape, order="F" if by_columns else "C")


def _scalar(dtype: Any, data: Any) -> Any:
    values = dtype.values(data) if type(dtype) is _StoredType else np.empty(0)
    if values.size != 1:
        raise ArrayError("a numpy number lacks its data: it is damaged.")
    return values[0]


def stand_ins() -> list[tuple[Any, str]]:
    """What to call instead of numpy's own names, for `torch.serialization.safe_globals`."""
    inside = [
        (stand_in, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for stand_in, name in ((_scalar, "scalar"), (_StoredArray, "_reconstruct"))
    ]
    return [*inside, (_StoredType, "numpy.dtype"), (_ArrayClass, "numpy.ndarray")]


def with_arrays(content: Any) -> Any:
    """The content with real arrays in the place of their stand-ins; containers are changed in place.

    Raises:
        ArrayError: if an array was never given its data.
    """
    return _with_arrays(content, {})


def _with_arrays(value: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    if isinstance(value, _StoredArray):
        if value.value is None:
            raise ArrayError("a numpy array has no data: it is damaged.")
        return value.value
    if id(value) in done:  # containers may hold themselves
        return done[id(value)][1]
    if type(value) is tuple:
        new = tuple([_with_arrays(part, done) for part in value])
        done[id(value)] = (value, new)  # the old one too: its id must not be taken by another
        return new
    parts = vars(value) if isinstance(value, argparse.Namespace | StoredConfig) else value
    if isinstance(parts, dict | list):
        done[id(value)] = (value, value)
        for key, part in list(parts.items() if isinstance(parts, dict) else enumerate(parts)):
            parts[key] = _with_arrays(part, done)
    return value

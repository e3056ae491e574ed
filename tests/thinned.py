"""A part of many like cases for every push; the others with the slow tests."""

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(values: Iterable[Any], each: int) -> list[Any]:
    """Values of one parameter, of which all but each n-th are slow."""
    return of_several(((value,) for value in values), each)


def of_several(values: Iterable[tuple[Any, ...]], each: int) -> list[Any]:
    """As `thinned`, of several parameters."""
    return [pytest.param(*some, marks=pytest.mark.slow if i % each else ()) for i, some in enumerate(values)]

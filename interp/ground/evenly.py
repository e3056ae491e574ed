"""Some of many, evenly by their place."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def spread(items: Sequence[T], n: int) -> list[T]:
    """At most n of them in their order, evenly by place, the first and the last with them; of one alone the last.

    >>> spread([0, 1, 2, 10, 100], 3), spread([0, 10, 100], 1), spread([0, 10], 5)
    ([0, 2, 100], [100], [0, 10])
    """
    if len(items) <= n:
        return list(items)
    if n == 1:
        return [items[-1]]
    return [items[round(i * (len(items) - 1) / (n - 1))] for i in range(n)]

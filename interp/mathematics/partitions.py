"""Partitions, and the characters of symmetric groups that they name.

The irreducible representations of S_n are named by the partitions of n: (n) is trivial, (1, ..., 1) the sign,
(n-1, 1) the standard one. The rule of Murnaghan and Nakayama gives each character in integers, without any
matrix.

References: Sagan 2001, "The symmetric group", section 4.10 (Murnaghan-Nakayama rule).
"""

import itertools
from collections.abc import Iterator
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor


def partitions(n: int) -> list[tuple[int, ...]]:
    """All ways to write n as a sum, parts from the largest to the smallest, the partition (n) first.

    >>> partitions(4)
    [(4,), (3, 1), (2, 2), (2, 1, 1), (1, 1, 1, 1)]
    """
    return list(_partitions(n, n))


def _partitions(n: int, largest: int) -> Iterator[tuple[int, ...]]:
    if n == 0:
        yield ()
    for part in range(min(n, largest), 0, -1):
        yield from ((part, *rest) for rest in _partitions(n - part, part))


def cycle_type(images: tuple[int, ...]) -> tuple[int, ...]:
    """Lengths of the cycles of the permutation x -> images[x], the longest first, fixed points included.

    >>> cycle_type((1, 0, 2, 4, 3))
    (2, 2, 1)
    """
    lengths, is_seen = [], set[int]()
    for start in range(len(images)):
        x, length = start, 0
        while x not in is_seen:
            is_seen.add(x)
            x, length = images[x], length + 1
        lengths += [length] if length else []
    return tuple(sorted(lengths, reverse=True))


def symmetric_character(partition: tuple[int, ...], cycles: tuple[int, ...]) -> int:
    """The character of a partition on the permutations of a cycle type.

    >>> [symmetric_character((3, 1), cycles) for cycles in partitions(4)]  # fixed points - 1
    [-1, 0, -1, 1, 3]
    """
    return _murnaghan_nakayama(tuple(part + i for i, part in enumerate(reversed(partition))), cycles)


@lru_cache(maxsize=10_000)
def _murnaghan_nakayama(first_hooks: tuple[int, ...], cycles: tuple[int, ...]) -> int:
    # A partition is given by the hook lengths of its first column. Taking a rim hook off makes one of them
    # smaller, and the numbers that it passes are the further rows of the rim hook.
    if not cycles:
        return 1
    total = 0
    for hook in first_hooks:
        shorter = hook - cycles[0]
        if shorter >= 0 and shorter not in first_hooks:
            n_passed = sum(shorter < other < hook for other in first_hooks)
            rest = tuple(sorted({*first_hooks, shorter} - {hook}))
            total += (-1) ** n_passed * _murnaghan_nakayama(rest, cycles[1:])
    return total


def symmetric_characters(degree: int) -> dict[tuple[int, ...], Float[Tensor, " n"]]:
    """The character of each partition on all permutations of `degree` points in lexicographic order.

    >>> symmetric_characters(3)[(2, 1)].tolist()
    [2.0, 0.0, 0.0, -1.0, -1.0, 0.0]
    """
    types = [cycle_type(images) for images in itertools.permutations(range(degree))]
    out = {}
    for partition in partitions(degree):
        values = {cycles: symmetric_character(partition, cycles) for cycles in partitions(degree)}
        out[partition] = torch.tensor([values[cycles] for cycles in types], dtype=torch.float64)
    return out

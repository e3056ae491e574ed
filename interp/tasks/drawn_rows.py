"""Rows of families that have too many to list: a number of them is drawn, of which the first are train.

No row occurs twice, so that none is in train and in test. Rows that are "nested" are for comparing numbers of train
rows: the first that are drawn are test, so that with one seed and one n_test they are the same whatever n_train is, and
a smaller train set is a part of a larger one.
"""

import random
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor

from interp.ground.choices import check_choices, check_seed
from interp.tasks.splits import Split, recorded_split

# Beyond it a table of rows fits in no memory, and the number is a slip of the hand.
MOST_ROWS = 10**8
# The length of a range is a machine's integer.
MOST_NUMBERED = 2**62


@runtime_checkable
class DrawnRows(Protocol):
    """The fields of a config whose rows are drawn."""

    @property
    def n_train(self) -> int: ...

    @property
    def n_test(self) -> int: ...

    @property
    def split(self) -> Split: ...

    @property
    def split_seed(self) -> int: ...

    @property
    def corrupted_fraction(self) -> float: ...


def check_drawn_rows(config: DrawnRows, n_possible: int, what: str) -> None:
    """Refuse numbers of rows that cannot be drawn.

    Args:
        n_possible: different rows that there are.
        what: they are rows of, for the message: "sums of two 2-digit numbers".

    Raises:
        ValueError: if train or test has no row, there are not as many different ones, the split is another one's, or a
            choice, seed or fraction is out of bounds.
    """
    check_choices(config)
    check_seed("split_seed", config.split_seed)
    if n_possible > MOST_NUMBERED:
        raise ValueError(
            f"Rows are drawn by number, of at most 2^62 different ones, and of {what} there are more."
        )
    if config.split not in ("drawn", "explicit", "unknown"):
        raise ValueError(
            f"Rows of {what} are drawn: they need split 'drawn', got {config.split!r}. How many are train says n_train."
        )
    for name, n in (("n_train", config.n_train), ("n_test", config.n_test)):
        if n < 1:
            raise ValueError(f"A task needs {name} of at least 1, got {n}.")
    if (n := config.n_train + config.n_test) > min(n_possible, MOST_ROWS):
        there = f"there are {n_possible:,}" if n_possible < MOST_ROWS else f"at most {MOST_ROWS:,} are made"
        raise ValueError(
            f"A task needs different rows, and {there} of {what}: got n_train={config.n_train:,} and "
            f"n_test={config.n_test:,}, {n:,} in all. Use fewer."
        )
    if not 0 <= config.corrupted_fraction <= 1:
        raise ValueError(f"A task needs corrupted_fraction in [0, 1], got {config.corrupted_fraction}.")


def row_numbers(config: DrawnRows, n_possible: int, *, nested: bool = False) -> list[int]:
    """Which of the rows 0 .. n_possible-1 a task has, drawn without replacement.

    Args:
        nested: whether fewer rows of a seed are the first of more.
    """
    n, rng = config.n_train + config.n_test, random.Random(config.split_seed)
    if not nested:
        # By how many are drawn, Python draws them in one of two ways: fewer are not always the first of more.
        return rng.sample(range(n_possible), n)
    # A shuffle that is stopped after n rows, of which only what was moved is kept.
    found, moved = [], dict[int, int]()
    for i in range(n):
        j = rng.randrange(i, n_possible)
        found.append(moved.get(j, j))
        moved[j] = moved.get(i, i)
    return found


def is_train_of(
    config: DrawnRows, recorded: Tensor | None, *, nested: bool = False
) -> Bool[Tensor, " example"] | None:
    """The split: the first n_train rows (nested: the last), those that were recorded, or None where it is unknown.

    Raises:
        ValueError: if an explicit split is missing, has another length, or is given where it is not explicit.
    """
    n = config.n_train + config.n_test
    if (found := recorded_split(config.split, n, recorded)) is not None:
        return found
    if config.split == "unknown":
        return None
    return torch.arange(n) >= config.n_test if nested else torch.arange(n) < config.n_train

"""Changes of a task's data, as values: other train rows, other labels, everything else as it was.

What trains a network is decided by which examples it sees; so the same checkpoint is continued on fewer, more or other
ones. All rows stay in the task, and those that are no longer train are test.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, cast

import pydantic
import torch
from jaxtyping import Bool
from torch import Tensor

from interp.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class Shrink:
    """Train on n of the train examples, drawn by a seed; a smaller n with the same seed is a part of a larger one.

    The sham of a cut is an `Exchange` of as many.
    """

    n: int
    seed: int = 0
    kind: Literal["shrink"] = "shrink"

    def __call__(self, task: Task) -> Task:
        kept = _drawn(task.split, self.n, self.seed, "train", "Shrink")
        return with_split(task, _mask(task, kept))


@dataclass(frozen=True, kw_only=True)
class Grow:
    """Train on n of the test examples too, drawn by a seed."""

    n: int
    seed: int = 0
    kind: Literal["grow"] = "grow"

    def __call__(self, task: Task) -> Task:
        added = _drawn(~task.split, self.n, self.seed, "test", "Grow")
        return with_split(task, task.split | _mask(task, added))


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Train on n test examples in place of n train ones, drawn by a seed: the number stays."""

    n: int
    seed: int = 0
    kind: Literal["exchange"] = "exchange"

    def __call__(self, task: Task) -> Task:
        gone = _mask(task, _drawn(task.split, self.n, self.seed, "train", "Exchange"))
        come = _mask(task, _drawn(~task.split, self.n, self.seed, "test", "Exchange"))
        return with_split(task, (task.split & ~gone) | come)


@dataclass(frozen=True, kw_only=True)
class SwapSplits:
    """Train on the test examples, and test on those that were train: what was memorized no longer counts."""

    kind: Literal["swap-splits"] = "swap-splits"

    def __call__(self, task: Task) -> Task:
        return with_split(task, ~task.split)


@dataclass(frozen=True, kw_only=True)
class Corrupt:
    """Another share of the train examples is shown with wrong labels, drawn as the task's family draws them."""

    fraction: float
    kind: Literal["corrupt"] = "corrupt"

    def __call__(self, task: Task) -> Task:
        config: Any = replace(task.config, corrupted_fraction=self.fraction)  # type: ignore[type-var]
        return config.task(task.split if config.split == "explicit" else None)


DataEdit = Annotated[Shrink | Grow | Exchange | SwapSplits | Corrupt, pydantic.Field(discriminator="kind")]


def with_split(task: Task, is_train: Bool[Tensor, " example"]) -> Task:
    """The task with these train examples.

    Raises:
        ValueError: if train or test would be empty.
    """
    n, n_train = task.n_examples, int(is_train.sum())
    if not 0 < n_train < n:
        raise ValueError(
            f"A task needs train and test examples, and this edit leaves {n_train} of {n} in train. Take fewer or more."
        )
    known: dict[str, Any] = {"n_train": n_train, "n_test": n - n_train, "train_fraction": n_train / n}
    # A family whose train rows are of several kinds has a share of each, and none of all of them.
    fields = {field.name for field in dataclasses.fields(cast(Any, task.config))}
    shares = {name: value for name, value in known.items() if name in fields}
    config: Any = replace(task.config, split="explicit", **shares)  # type: ignore[type-var]
    return config.task(is_train)


def edited_task(task: Task, edits: Sequence[DataEdit]) -> Task:
    """The task after these edits, one after the other."""
    for edit in edits:
        task = edit(task)
    return task


def data_edits_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[DataEdit, ...]:
    """The edits that a run.json or a lock file holds.

    Raises:
        ValueError: (of pydantic) if one is not known or has other fields.
    """
    return _adapter.validate_python(values)


_adapter: pydantic.TypeAdapter = pydantic.TypeAdapter(tuple[DataEdit, ...])


def _drawn(among: Bool[Tensor, " example"], n: int, seed: int, what: str, edit: str) -> Tensor:
    """n of the marked examples; the first of a seed's order, so that smaller numbers are parts of larger ones."""
    rows = among.nonzero().squeeze(1)
    if not 0 < n <= len(rows):
        raise ValueError(f"{edit} needs a number of {what} examples from 1 to {len(rows)}, got {n}.")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows[order[:n]]


def _mask(task: Task, rows: Tensor) -> Bool[Tensor, " example"]:
    mask = torch.zeros(task.n_examples, dtype=torch.bool)
    mask[rows] = True
    return mask

"""Lists of train and test rows against the task, each other and what the user states.

A list that is wrong makes every number of train and test wrong, and nothing would show it: each contradiction is an
error that names both sides.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from interp.sources.files.reading import SourceError, warn
from interp.sources.records.splits import ListedRows
from interp.tasks.task import Task


def split_of(task: Task, listed: Sequence[ListedRows]) -> tuple[Tensor, str] | None:
    """The split that the lists agree on, and where they are; None where nothing is listed.

    Raises:
        SourceError: if a list is none, or does not fit the task, two contradict each other, or train or test would be
            empty.
    """
    for rows in listed:
        if rows.wrong is not None:
            raise SourceError(
                f"{rows.where} should list {rows.part} rows and {rows.wrong}. Mend it or move it away, or state the "
                "split with override_split=True (--override-split)."
            )
    found = {"train": _of_part(task, listed, "train"), "test": _of_part(task, listed, "test")}
    (train, tests) = found["train"], found["test"]
    for (one, where), (other, elsewhere) in pairwise(train):
        if not torch.equal(one, other):
            raise SourceError(
                f"{where} and {elsewhere} list different train rows ({int(one.sum())} and {int(other.sum())}, "
                f"{int((one & other).sum())} of them the same). Move the wrong one away."
            )
    test = torch.stack([mask for mask, _ in tests]).any(0) if tests else None
    for mask, elsewhere in tests if train else []:
        if both := int((mask & train[0][0]).sum()):
            first = _operands(task)[(mask & train[0][0]).nonzero()[0, 0]]
            raise SourceError(
                f"{train[0][1]} and {elsewhere} have {both} rows in common, first {first}: train and test rows are "
                "disjoint. Move the wrong one away."
            )
    if not train and test is None:
        return None
    if train and test is not None and (rest := int((~(train[0][0] | test)).sum())):
        warn(f"{rest} rows are listed neither as train nor as test ({tests[0][1]}): they count as test.")
    is_train = train[0][0] if train else ~test  # type: ignore[operator]
    where = train[0][1] if train else f"{tests[0][1]} (all rows but the test rows)"
    if not 0 < int(is_train.sum()) < len(is_train):
        raise SourceError(
            f"{where} makes {int(is_train.sum())} of {len(is_train)} rows of {task.config.description} train: both "
            "parts need rows. Check the task (--task, --p)."
        )
    return is_train, where


def _of_part(task: Task, listed: Sequence[ListedRows], part: str) -> list[tuple[Tensor, str]]:
    return [(_mask(task, rows), rows.where) for rows in listed if rows.part == part]


def _operands(task: Task) -> list[tuple[int, int]]:
    config: Any = task.config
    return [(a, b) for a, b in config.pairs().tolist()]


def _mask(task: Task, rows: ListedRows) -> Tensor:
    """The listed rows as one boolean a row of the task.

    Raises:
        SourceError: if one is no row of it, or a third number is neither "=" nor the answer.
    """
    if rows.kind == "mask":
        if len(rows.values) != task.n_examples:
            raise SourceError(
                f"{rows.where} holds one boolean for each of {len(rows.values)} rows, {task.config.description} has "
                f"{task.n_examples}. Check the task (--task, --p)."
            )
        return torch.from_numpy(rows.values.copy())
    p, row_of = task.config.n_answers, {pair: row for row, pair in enumerate(_operands(task))}
    values = rows.values.tolist()
    pairs = [(v[0], v[1]) for v in values] if rows.kind == "pairs" else [divmod(v, p) for v in values]
    if unknown := next((pair for pair in pairs if pair not in row_of), None):
        raise SourceError(
            f"{rows.where} names as {rows.part} rows {unknown}, which is no row of {task.config.description}. Check "
            "the task (--task, --p)."
        )
    index = torch.tensor([row_of[pair] for pair in pairs])
    if rows.kind == "pairs" and rows.values.shape[1] == 3:
        _check_answers(task, rows, index)
    is_listed = torch.zeros(task.n_examples, dtype=torch.bool)
    is_listed[index] = True
    return is_listed


def _check_answers(task: Task, rows: ListedRows, index: Tensor) -> None:
    """Refuse third numbers that are neither "=", the same in all rows, nor the answers."""
    third, answers = torch.from_numpy(rows.values[:, 2].copy()), task.true_labels[index]
    is_constant = bool((third == third[0]).all())
    if not is_constant and (wrong := (third != answers).nonzero().flatten()).numel():
        row = int(wrong[0])
        raise SourceError(
            f"{rows.where} lists {tuple(rows.values[row].tolist())}, where the answer of {task.config.description} is "
            f"{int(answers[row])} ({len(wrong)} rows are so). Check the task (--task, --p), or move the file away."
        )


def check_statement(listed: tuple[Tensor, str] | None, stated: Tensor, what: str) -> None:
    """Refuse a stated split that is not the listed one.

    Raises:
        SourceError: if they differ.
    """
    if listed is not None and not torch.equal(listed[0], stated):
        same = int((listed[0] & stated).sum())
        raise SourceError(
            f"{listed[1]} lists {int(listed[0].sum())} train rows, of which {what} has {same} among its "
            f"{int(stated.sum())}: they are different splits. Leave {what} out, or say that it counts more: "
            "override_split=True (--override-split)."
        )

"""Lists of train and test rows against the task, each other, what the user states and what the network has memorized.

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

# The log says that train and test differ this much, and the listed rows must show at least the root of it.
_CONTRAST = 10.0


def split_of(task: Task, listed: Sequence[ListedRows]) -> tuple[Tensor, str] | None:
    """The split that the lists agree on, and where they are; None where nothing is listed.

    Raises:
        SourceError: if a list does not fit the task, two lists contradict each other, or train or test would be empty.
    """
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


def check_statement(listed: tuple[Tensor, str] | None, stated: Tensor, what: str, *, overrides: bool) -> None:
    """Refuse a stated split that is not the listed one, unless it is said to override it.

    Raises:
        SourceError: if they differ.
    """
    if listed is not None and not overrides and not torch.equal(listed[0], stated):
        same = int((listed[0] & stated).sum())
        raise SourceError(
            f"{listed[1]} lists {int(listed[0].sum())} train rows, of which {what} has {same} among its "
            f"{int(stated.sum())}: they are different splits. Leave {what} out, or say that it counts more: "
            "override_split=True (--override-split)."
        )


def check_memorized(is_train: Tensor, where: str, losses: Sequence[Tensor]) -> None:
    """Refuse train rows that are the ones which the network has *not* memorized.

    Raises:
        SourceError: if at some checkpoint the other rows have far smaller losses than these.
    """
    for x in losses:
        train, test = x[is_train], x[~is_train]
        # Both in the mean and for the typical row: one huge loss makes no contradiction.
        if train.mean() > _CONTRAST * test.mean() and train.median() > _CONTRAST * test.median():
            raise SourceError(
                f"{where} lists as train rows those that the network has not memorized: its loss is "
                f"{train.mean():.3g} on them and {test.mean():.3g} on the others. Train and test may be exchanged, or "
                "the task is another one (--task, --p)."
            )


def check_log(
    is_train: Tensor, where: str, recorded: tuple[float, float], losses: Tensor, at: str, log: str
) -> None:
    """Refuse train rows whose losses do not differ from the others as the recorded losses do.

    Args:
        recorded: train and test loss that the source recorded for these weights.
        losses: of every row at the same checkpoint.
        at, log: where the checkpoint is and who recorded, for the error.

    Raises:
        SourceError: if train and test differ by a factor of ten in the log, and by less than its root here.
    """
    ours = (losses[is_train].mean().item(), losses[~is_train].mean().item())
    if recorded[1] > _CONTRAST * recorded[0] and ours[1] < _CONTRAST**0.5 * ours[0]:
        raise SourceError(
            f"{where} does not list the rows that the network was trained on: at {at} its loss is {ours[0]:.3g} on "
            f"them and {ours[1]:.3g} on the others, {log} says {recorded[0]:.3g} (train) and {recorded[1]:.3g} (test). "
            "Move the wrong one away."
        )

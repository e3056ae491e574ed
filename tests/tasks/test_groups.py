"""Composition in groups against permutations composed by hand."""

import itertools

import pytest
import torch

from interp.tasks.groups import GroupConfig
from interp.tasks.structure import Cyclic, FiniteGroup

FIELDS = {
    "group": "S3", "train_fraction": 0.5, "equals_token": False, "separate_vocabularies": False,
    "corrupted_fraction": 0.0, "split": "shuffle", "split_seed": 0,
}  # fmt: skip


def make(**changes):
    return GroupConfig(**FIELDS | changes)


def test_labels_are_permutations_composed_by_hand():
    task, permutations = make(group="S4").task(), list(itertools.permutations(range(4)))
    for (a, b), label in zip(task.config.pairs().tolist(), task.labels.tolist(), strict=True):
        first, second = permutations[b], permutations[a]  # b is applied first
        assert permutations[label] == tuple(second[first[x]] for x in range(4))
    assert isinstance(task.structure, FiniteGroup) and task.config.n_answers == 24


@pytest.mark.parametrize("equals", [False, True])
@pytest.mark.parametrize("separate", [False, True])
def test_rows_and_vocabulary(equals, separate):
    config = make(equals_token=equals, separate_vocabularies=separate)
    task = config.task()
    assert (config.n_pos, config.n_tokens) == (2 + equals, 6 * (1 + separate) + equals)
    assert task.inputs.shape == (36, 2 + equals) and int(task.inputs.max()) == config.n_tokens - 1
    for position in (0, 1):
        tokens = task.structure.operand_tokens[position][config.pairs()[:, position]]
        assert torch.equal(task.inputs[:, position], tokens)


def test_a_cyclic_group_is_addition():
    task = make(group="C7").task()
    assert isinstance(task.structure, Cyclic)
    assert torch.equal(task.labels, task.config.pairs().sum(1) % 7)


def test_a_table_goes_by_a_name_of_its_own(annotations_off):
    klein = ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0))
    assert make(group="klein", cayley_table=klein).task().labels[1 * 4 + 2] == 3
    assert make(group="C2xC2", cayley_table=klein).n_answers == 4  # equal to the table of that name
    with pytest.raises(ValueError, match="not that of S5, which is a group of 120 elements.*another name"):
        make(group="S5", cayley_table=klein)
    with pytest.raises(ValueError, match="square, that of 'x' has 2 rows of lengths"):
        make(group="x", cayley_table=((0, 1), (1,)))
    with pytest.raises(ValueError, match="A group needs a name such as C113"):
        make(group="nothing")
    with pytest.raises(ValueError, match="at least two elements"):
        make(group="C1")
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        make(train_fraction=1.0)


def test_corrupted_labels_are_train_rows_and_wrong():
    task = make(group="S4", corrupted_fraction=0.1).task()
    assert task.is_corrupted.sum() == int(0.1 * task.n_train)
    assert task.is_train[task.is_corrupted].all()
    assert (task.labels != task.true_labels).equal(task.is_corrupted)

"""Changes of the data: what is train, and nothing else."""

import json

import pytest
import torch

from interp.tasks.data_edits import (
    Corrupt,
    Exchange,
    Grow,
    Shrink,
    SwapSplits,
    data_edits_from_json,
    edited_task,
    with_split,
)
from tests.tiny import tiny_config

TASK = tiny_config().task.task()
N = TASK.n_train


def test_shrink_takes_a_part_and_smaller_ones_are_parts_of_larger():
    small, large = Shrink(n=10)(TASK), Shrink(n=20)(TASK)
    assert (small.n_train, large.n_train) == (10, 20)
    assert not (small.split & ~large.split).any() and not (large.split & ~TASK.split).any()
    assert torch.equal(Shrink(n=10)(TASK).split, small.split)
    assert not torch.equal(Shrink(n=10, seed=1)(TASK).split, small.split)


def test_grow_adds_and_exchange_keeps_the_number():
    grown, exchanged = Grow(n=7)(TASK), Exchange(n=7)(TASK)
    assert grown.n_train == N + 7 and not (TASK.split & ~grown.split).any()
    assert exchanged.n_train == N
    assert int((exchanged.split & ~TASK.split).sum()) == int((TASK.split & ~exchanged.split).sum()) == 7


def test_swapping_twice_changes_nothing():
    swapped = SwapSplits()(TASK)
    assert torch.equal(swapped.split, ~TASK.split)
    assert torch.equal(SwapSplits()(swapped).split, TASK.split)


def test_corrupt_changes_labels_of_train_alone():
    corrupted = Corrupt(fraction=0.5)(TASK)
    wrong = corrupted.labels != TASK.labels
    assert int(wrong.sum()) == int(0.5 * N) and not (wrong & ~TASK.split).any()
    assert torch.equal(corrupted.split, TASK.split)
    # Of other train rows too.
    both = edited_task(TASK, (Shrink(n=20), Corrupt(fraction=0.5)))
    wrong = both.labels != TASK.labels
    assert int(wrong.sum()) == 10 and not (wrong & ~both.split).any()


def test_edits_leave_inputs_and_true_labels():
    for edit in (Shrink(n=5), Grow(n=5), Exchange(n=5), SwapSplits(), Corrupt(fraction=0.1)):
        edited = edit(TASK)
        assert torch.equal(edited.inputs, TASK.inputs) and torch.equal(edited.true_labels, TASK.true_labels)


def test_edits_come_back_from_json():
    edits = (Shrink(n=3, seed=1), Grow(n=2), Exchange(n=1), SwapSplits(), Corrupt(fraction=0.5))
    values = json.loads(json.dumps([vars(edit) for edit in edits]))
    assert data_edits_from_json(values) == edits
    with pytest.raises(ValueError, match="does not match any of the expected tags"):
        data_edits_from_json([{"kind": "unheard-of"}])


def test_numbers_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=f"Shrink needs a number of train examples from 1 to {N}, got 0"):
        Shrink(n=0)(TASK)
    n_test = TASK.n_examples - N
    with pytest.raises(
        ValueError, match=f"Grow needs a number of test examples from 1 to {n_test}, got 1000"
    ):
        Grow(n=1000)(TASK)
    with pytest.raises(
        ValueError, match="needs train and test examples, and this edit leaves 121 of 121 in train"
    ):
        Grow(n=n_test)(TASK)
    with pytest.raises(ValueError, match="leaves 0 of 121 in train"):
        with_split(TASK, torch.zeros(TASK.n_examples, dtype=torch.bool))

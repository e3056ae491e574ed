"""Sparse parity against brute force, and rows that are drawn."""

import re

import pytest
import torch

from interp.tasks.data_edits import Exchange, Grow, Shrink, with_split
from interp.tasks.parity import ParityConfig
from interp.tasks.splits import described_split


def make(**changes):
    return ParityConfig(**{"n_bits": 6, "k": 3, "n_train": 30, "n_test": 20, "split_seed": 0} | changes)


def test_answers_by_brute_force():
    task = make().task()
    for row, label in zip(task.inputs.tolist(), task.labels.tolist(), strict=True):
        assert set(row) <= {1.0, -1.0}
        assert label == sum(x == -1 for x in row[:3]) % 2
    assert task.structure.relevant == (0, 1, 2)
    assert task.n_train == 30 and task.questions.is_last


def test_rows_differ_and_all_of_them_can_be_had():
    task = make(n_train=60, n_test=4).task()
    assert len({tuple(row) for row in task.inputs.tolist()}) == 64
    # A parity of all rows is balanced, and so it is whatever one bit says.
    assert task.labels.sum() == 32 and task.labels[task.inputs[:, 0] > 0].sum() == 16


def test_the_seed_decides_the_rows():
    assert torch.equal(make().task().inputs, make().task().inputs)
    assert not torch.equal(make().task().inputs, make(split_seed=1).task().inputs)


def test_nested_rows_are_parts_of_each_other():
    fewer, more = (make(n_train=n, nested=True).task() for n in (10, 40))
    assert torch.equal(fewer.inputs[~fewer.split], more.inputs[~more.split])
    assert torch.equal(fewer.inputs[fewer.split], more.inputs[more.split][:10])
    assert described_split(fewer.config) == "10 of 30 rows train (split 'drawn', seed 0, nested)"


def test_corrupted_labels_are_train_rows_and_wrong():
    task = make(corrupted_fraction=0.5).task()
    assert int(task.is_corrupted.sum()) == 15 and not task.is_corrupted[30:].any()
    assert torch.equal(task.labels != task.true_labels, task.is_corrupted)


def test_fresh_rows_have_right_answers_and_a_seed_decides_them():
    config = make(n_bits=40, n_train=5, n_test=5)
    drawn = config.drawn(1000, [0, 7])
    expected = (drawn.inputs[:, :3] < 0).sum(1) % 2
    assert torch.equal(drawn.labels, expected) and drawn.is_last
    assert torch.equal(drawn.inputs, config.drawn(1000, [0, 7]).inputs)
    assert not torch.equal(drawn.inputs, config.drawn(1000, [0, 8]).inputs)
    # Fair signs: 40,000 of them, a mean within 5 standard errors of 0.005.
    assert abs(drawn.inputs.mean().item()) < 0.025


def test_edits_of_the_split_count_rows():
    task = make().task()
    assert Shrink(n=10)(task).config.n_train == 10 and Shrink(n=10)(task).config.n_test == 40
    assert Grow(n=5)(task).n_train == 35 and Exchange(n=3)(task).n_train == 30
    again = with_split(task, ~task.split)
    assert torch.equal(again.split, ~task.split) and torch.equal(again.inputs, task.inputs)
    assert described_split(again.config) == "20 of 50 rows train (split explicit)"
    assert described_split(task.config) == "30 of 50 rows train (split 'drawn', seed 0)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 7}, "1 <= k <= n_bits, got k=7 and n_bits=6"),
        ({"k": 0}, "1 <= k <= n_bits, got k=0"),
        ({"n_train": 50}, "there are 64 of 6 signs: got n_train=50 and n_test=20, 70 in all"),
        ({"n_bits": 40, "n_train": 10**9}, "at most 100,000,000 are made of 40 signs"),
        ({"n_bits": 63}, "needs n_bits of at most 62, got 63. Use fewer."),
        # Two to that power fits in no memory.
        ({"n_bits": 10**12}, "needs n_bits of at most 62, got 1000000000000. Use fewer."),
        ({"n_test": 0}, "n_test of at least 1, got 0"),
        ({"split": "shuffle"}, "Rows of 6 signs are drawn: they need split 'drawn', got 'shuffle'"),
        ({"corrupted_fraction": 1.5}, "corrupted_fraction in [0, 1], got 1.5"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**changes)


def test_a_split_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one boolean for each of the 50 rows, got nothing"):
        make(split="explicit").task()
    with pytest.raises(ValueError, match="goes with split='explicit' only, got split='drawn'"):
        make().task(torch.ones(50, dtype=torch.bool))

"""Sequences against brute force: every row that there is, where copies stand, and the loss of the best predictor."""

import itertools
import math
import re
import runpy
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

from interp.runs.task_file import read_task, task_bytes
from interp.runs.tensor_files import RunError
from interp.tasks.sequences import SequencesConfig
from interp.tasks.splits import described_split
from interp.tasks.task import DrawsFresh

BASE = {
    "kind": "repeats", "vocabulary": 5, "length": 12, "repeated_length": 3, "n_copies": 3, "n_trigrams": 2,
    "n_train": 30, "n_test": 20, "split_seed": 0,
}  # fmt: skip


def make(**changes):
    return SequencesConfig(**BASE | changes)


# --- rows


@pytest.mark.parametrize("kind", ["repeats", "copying", "skip-trigrams"])
def test_a_label_is_the_next_token_and_every_question_has_a_part(kind):
    task = make(kind=kind, length=13).task()
    assert torch.equal(task.labels, task.tokens[task.example, task.position + 1])
    parts = torch.stack(
        [task.parts[name] for name in ("predictable", "unpredictable", "start") if name in task.parts]
    )
    assert (parts.sum(0) == 1).all() and parts.any(1).all()
    assert (task.n_train, task.n_examples) == (30, 50)
    assert len({tuple(row) for row in task.tokens.tolist()}) == 50
    # Of the separator nobody is asked.
    assert len(task.labels) == 50 * (11 if kind == "copying" else 12)
    assert isinstance(task.config, DrawsFresh)


def test_what_is_predictable_of_a_repeated_subsequence_stands_in_an_earlier_copy():
    # So many tokens that nothing repeats by chance in most rows, and a copy can be found by looking.
    task = make(vocabulary=10**6, n_train=40).task()
    for example, row in enumerate(task.tokens.tolist()):
        copies = [i for i in range(len(row) - 2) if row.count(row[i]) == 3 and row.count(row[i + 1]) == 3]
        starts = [i for i in copies if Counter(map(tuple, windows(row)))[tuple(row[i : i + 3])] == 3]
        assert len(starts) == 3 and all(b - a >= 3 for a, b in itertools.pairwise(starts))
        expected = {start + i: copy for copy, start in enumerate(starts, 1) for i in (0, 1) if copy > 1}
        for copy in (2, 3):
            asked = task.position[task.parts[f"copy {copy}"] & (task.example == example)]
            assert asked.tolist() == [i for i, of in expected.items() if of == copy]
        asked = task.position[task.parts["predictable"] & (task.example == example)]
        assert asked.tolist() == list(expected)


def windows(row):
    return zip(row, row[1:], row[2:], strict=False)


def test_every_placement_of_the_copies_is_equally_likely():
    # Two copies of two tokens in a row of five: three placements, of which the parts tell.
    config = make(vocabulary=10**6, length=5, repeated_length=2, n_copies=2, n_train=3000, n_test=1)
    task = config.task()
    found = Counter(task.position[task.parts["predictable"]].tolist())
    # The second copy begins at 2 once and at 3 twice.
    assert set(found) == {2, 3} and sum(found.values()) == 3001
    # Binomial with p = 1/3: five standard deviations are 5 sqrt(3001 * 2 / 9) = 130.
    assert abs(found[2] - 1000) < 130


def test_a_copied_prefix():
    task = make(kind="copying", length=7).task()
    for row in task.tokens.tolist():
        assert row[3] == 5 and row[:3] == row[4:] and max(row[:3]) < 5
    assert set(task.position[task.parts["predictable"]].tolist()) == {3, 4, 5}
    assert set(task.position[task.parts["unpredictable"]].tolist()) == {0, 1}
    assert task.config.n_tokens == task.config.n_answers == 6


def test_a_copied_prefix_may_have_more_rows_than_there_are_numbers():
    """64^20 prefixes, of which some are drawn."""
    task = make(kind="copying", vocabulary=64, length=41, n_train=5, n_test=5).task()
    assert torch.equal(task.tokens[:, :20], task.tokens[:, 21:]) and len(task.tokens) == 10
    with pytest.raises(ValueError, match="9"):
        make(kind="copying", vocabulary=3, length=5, n_train=5, n_test=5)


def test_skip_trigrams_by_their_definition():
    task = make(kind="skip-trigrams", vocabulary=6, length=20, n_trigrams=2).task()
    is_predictable = task.parts["predictable"].reshape(50, 19)
    for row, mask in zip(task.tokens.tolist(), is_predictable.tolist(), strict=True):
        cue = None
        for i, token in enumerate(row[:-1]):
            cue = token if cue is None and token < 2 else cue
            assert mask[i] == (token == 2 and cue is not None)
            if mask[i]:
                # Answers follow the cues and B.
                assert row[i + 1] == cue + 3
        assert sum(token < 2 for token in row) <= 1


def test_the_seed_decides_the_rows_and_fresh_ones_are_others():
    config = make()
    assert torch.equal(config.task().inputs, make().task().inputs)
    assert not torch.equal(config.task().inputs, make(split_seed=1).task().inputs)
    drawn = config.drawn(40, [0, 7])
    assert torch.equal(drawn.inputs, config.drawn(40, [0, 7]).inputs)
    assert not torch.equal(drawn.inputs, config.drawn(40, [0, 8]).inputs)
    assert torch.equal(drawn.labels, drawn.inputs[drawn.example, drawn.position + 1])
    assert described_split(config) == "30 of 50 rows train (split 'drawn', seed 0)"


def test_random_labels_are_wrong_in_train_rows_only():
    task = make(corrupted_fraction=1.0).task()
    of_train = task.split[task.example]
    assert torch.equal(task.is_corrupted, of_train) and torch.equal(task.labels != task.true_labels, of_train)
    assert task.labels.max() < 5


@pytest.mark.parametrize("kind", ["repeats", "copying"])
def test_what_a_run_keeps_of_it_is_read_back(kind, tmp_path):
    """Rows are counted as rows, of which each has many questions."""
    config = make(kind=kind, length=13)
    (tmp_path / "task.safetensors").write_bytes(task_bytes(config.task()))
    again = read_task(tmp_path / "task.safetensors", config)
    assert torch.equal(again.inputs, config.task().inputs)
    with pytest.raises(RunError, match="holds other data than the config"):
        read_task(tmp_path / "task.safetensors", make(kind=kind, length=13, n_test=21))


# --- the floor of the loss, by the best predictor of all


def best_losses(rows):
    """Loss of the best predictor by question, from all rows that there are with their probabilities.

    Args:
        rows: (tokens, probability), the same row maybe several times.
    """
    after = defaultdict(lambda: defaultdict(float))
    for row, probability in rows:
        for i in range(len(row) - 1):
            after[row[: i + 1]][row[i + 1]] += probability
    return {
        (prefix, token): -math.log(p / sum(of_prefix.values()))
        for prefix, of_prefix in after.items()
        for token, p in of_prefix.items()
    }


def test_the_floor_of_a_copied_prefix_is_exact():
    rows = [((*prefix, 3, *prefix), 1.0) for prefix in itertools.product(range(3), repeat=2)]
    best = best_losses(rows)
    task = make(kind="copying", vocabulary=3, length=5, n_train=5, n_test=4).task()
    losses = floor_of(task, best)
    assert losses[task.parts["predictable"]].abs().max() == 0
    # float64 of logarithms.
    torch.testing.assert_close(losses[task.parts["unpredictable"]], torch.full((9,), math.log(3)).double())


def test_the_floor_of_skip_trigrams_is_exact():
    k, vocabulary, length = 1, 4, 5

    def grown(row, probability):
        if len(row) == length:
            yield row, probability
            return
        cue = next((token for token in row if token < k), None)
        if cue is not None and row[-1] == k:
            yield from grown((*row, cue + k + 1), probability)
            return
        allowed = range(vocabulary) if cue is None else range(k, vocabulary)
        for token in allowed:
            yield from grown((*row, token), probability / len(allowed))

    best = best_losses(grown((), 1.0))
    task = make(kind="skip-trigrams", vocabulary=vocabulary, length=length, n_trigrams=k).task()
    losses = floor_of(task, best)
    assert losses[task.parts["predictable"]].abs().max() == 0
    has_cue = torch.tensor(
        [0 in task.tokens[e, : i + 1] for e, i in zip(task.example, task.position, strict=True)]
    )
    unpredictable = task.parts["unpredictable"]
    expected = torch.where(has_cue, math.log(vocabulary - k), math.log(vocabulary)).double()
    torch.testing.assert_close(losses[unpredictable], expected[unpredictable])


@pytest.mark.parametrize("vocabulary", [2, 3])
def test_the_floor_of_repeats_is_above_that_of_who_knows_the_places(vocabulary):
    """Where copies begin nobody knows: who has to find out loses a little, on either part."""
    m, n_copies, length = 2, 2, 5
    starts = [(a, b) for a in range(length) for b in range(a + m, length - m + 1)]
    n_free = length - (n_copies - 1) * m
    rows = []
    for a, b in starts:
        for free in itertools.product(range(vocabulary), repeat=n_free):
            values = iter(free)
            row = [next(values) if not b <= i < b + m else -1 for i in range(length)]
            row[b : b + m] = row[a : a + m]
            rows.append((tuple(row), (a, b), 1 / len(starts) / vocabulary**n_free))
    best = best_losses([(row, p) for row, _, p in rows])
    parts = defaultdict(list)
    for row, (_, b), p in rows:
        for i in range(length - 1):
            role = "predictable" if i == b else "start" if i == b - 1 else "unpredictable"
            parts[role].append((p, best[row[: i + 1], row[i + 1]]))
    mean = {
        part: np.average([x for _, x in found], weights=[p for p, _ in found])
        for part, found in parts.items()
    }
    # By Gibbs: whatever is answered, the mean loss against labels that are uniform is at least ln of their number.
    assert mean["unpredictable"] > math.log(vocabulary) and 0 < mean["predictable"] < math.log(vocabulary)
    # To know where copies may begin is worth something.
    assert mean["start"] < math.log(vocabulary)
    # The floors of the evidence, which are of rows too long to list.
    script = runpy.run_path("analyses/evidence/sequences/best_predictor.py")
    config = make(
        vocabulary=vocabulary, length=length, repeated_length=m, n_copies=n_copies, n_train=1, n_test=1
    )
    tokens = np.array(sorted({row for row, _, _ in rows}))
    found = script["best_probabilities"](tokens, config)
    np.testing.assert_allclose(found.sum(-1), 1)
    for row, of_row in zip(tokens.tolist(), found, strict=True):
        for i, probabilities in enumerate(of_row):
            expected = math.exp(-best[tuple(row[: i + 1]), row[i + 1]])
            assert probabilities[row[i + 1]] == pytest.approx(expected)


def floor_of(task, best):
    found = [
        best[tuple(task.tokens[e, : i + 1].tolist()), int(label)]
        for e, i, label in zip(task.example, task.position, task.labels, strict=True)
    ]
    return torch.tensor(found, dtype=torch.float64)


def test_what_was_enumerated_is_what_is_drawn():
    """Frequencies of rows against the probabilities of the enumeration above, for repeats of two tokens."""
    config = make(vocabulary=2, length=5, repeated_length=2, n_copies=2, n_train=1, n_test=1)
    found = Counter(map(tuple, config.drawn(30_000, [0]).inputs.tolist()))
    expected = Counter()
    for a, b in [(0, 2), (0, 3), (1, 3)]:
        for free in itertools.product(range(2), repeat=3):
            row = [*free[:b], 0, 0, *free[b:]]
            row[b : b + 2] = row[a : a + 2]
            expected[tuple(row)] += 30_000 / 24
    # Five standard deviations of a Poisson number.
    assert all(abs(found[row] - n) < 5 * n**0.5 for row, n in expected.items())
    assert set(found) == set(expected)


# --- what cannot be


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repeated_length": 5}, "3 copies of 5 tokens need a length of at least 15, got length=12. Use fewer"),
        ({"repeated_length": 1}, "repeated_length and n_copies of at least 2, got repeated_length=1 and n_copies=3"),
        ({"n_copies": 1}, "of at least 2, got repeated_length=3 and n_copies=1"),
        ({"kind": "copying"}, "needs an odd length of at least 3, got length=12"),
        ({"kind": "copying", "length": 1}, "needs an odd length of at least 3, got length=1"),
        ({"kind": "skip-trigrams", "n_trigrams": 3}, "3 skip trigrams need a vocabulary of at least 7"),
        ({"kind": "skip-trigrams", "n_trigrams": 0}, "n_trigrams of at least 1 and a length of at least 3"),
        ({"vocabulary": 1}, "Random tokens need a vocabulary of at least 2, got 1"),
        ({"kind": "copying", "length": 5}, "there are 25 of a copied prefix in rows of 5 of 5 tokens: got n_train=30"),
        ({"n_test": 0}, "n_test of at least 1, got 0"),
        ({"split": "shuffle"}, "are drawn: they need split 'drawn', got 'shuffle'"),
        ({"corrupted_fraction": 1.5}, "corrupted_fraction in [0, 1], got 1.5"),
        ({"length": 10**12}, "in rows of 1000000000000 of 5 tokens needs at least 800,000 GB of memory"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**changes)


def test_too_few_different_rows_are_told():
    # Two free tokens of two kinds.
    config = make(vocabulary=2, length=4, repeated_length=2, n_copies=2)
    with pytest.raises(
        ValueError, match="of 2 tokens 2 times in rows of 4 of 2 tokens 4 were found for n_train=30"
    ):
        config.task()


def test_a_kind_that_there_is_not_is_told_with_those_there_are(annotations_off):
    with (
        annotations_off(),
        pytest.raises(
            ValueError, match="kind to be one of 'repeats', 'copying', 'skip-trigrams', got 'induction'"
        ),
    ):
        make(kind="induction")

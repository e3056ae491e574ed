"""Sums and differences of several digits against Python's integers, the parts by carry among them."""

import re

import pytest
import torch

from interp.runs.presets import named, variation
from interp.runs.task_file import read_task, task_bytes
from interp.runs.tensor_files import RunError
from interp.tasks.digits import DigitsConfig, digits_of


def make(**changes):
    return DigitsConfig(
        **{
            "n_digits": 2, "base": 4, "operation": "add", "answer_order": "most", "padding": False, "n_train": 150,
            "n_test": 106, "split_seed": 0,
        }
        | changes
    )  # fmt: skip


def digits(number, n, base):
    """The digits of a Python integer, highest first, by repeated division."""
    found = []
    for _ in range(n):
        number, last = divmod(number, base)
        found.insert(0, last)
    return found


def written(number, n, base):
    """The same as a human writes it, with blanks on the left."""
    found = digits(number, n, base)
    while len(found) > 1 and found[0] == 0:
        found.pop(0)
    return [base + 2] * (n - len(found)) + found


def answer(a, b, config):
    """The answer's digits, highest first; of a difference the borrow comes before those of the residue."""
    n, base = config.n_digits, config.base
    if config.operation == "add":
        return digits(a + b, n + 1, base)
    return [int(a < b), *digits((a - b) % base**n, n, base)]


EVERY_KIND = [
    pytest.param(dict(operation=operation, answer_order=order, padding=padding, **size), id=f"{operation} {order} {i}")
    for operation in ("add", "subtract")
    for order, padding in (("most", False), ("least", True))
    for i, size in enumerate(
        (
            {"base": 2, "n_digits": 4, "n_train": 50, "n_test": 30},
            {"base": 3, "n_digits": 2, "n_train": 40, "n_test": 41},
            {"base": 10, "n_digits": 3, "n_train": 30, "n_test": 30},
            {"base": 7, "n_digits": 1, "n_train": 30, "n_test": 19},
        )
    )
]  # fmt: skip


@pytest.mark.parametrize("changes", EVERY_KIND)
def test_rows_and_answers_by_brute_force(changes):
    config = make(**changes)
    task, n, base = config.task(), config.n_digits, config.base
    whole = dict(
        zip(
            zip(task.example.tolist(), task.position.tolist(), strict=True), task.labels.tolist(), strict=True
        )
    )
    assert len(whole) == task.n_examples * (n + 1) == len(task.labels)
    seen = set()
    for row, tokens in enumerate(task.tokens.tolist()):
        first, last = (
            [0 if t == base + 2 else t for t in x] for x in (tokens[:n], tokens[n + 1 : 2 * n + 1])
        )
        a, b = (sum(d * base**i for i, d in enumerate(reversed(x))) for x in (first, last))
        seen.add((a, b))
        expected = answer(a, b, config)
        if config.answer_order == "least":
            expected.reverse()
        write = written if config.padding else digits
        assert tokens == [*write(a, n, base), base, *write(b, n, base), base + 1, *expected[:-1]]
        assert [whole[row, 2 * n + 1 + i] for i in range(n + 1)] == expected
    assert len(seen) == task.n_examples
    assert task.tokens.max() < config.n_tokens and task.tokens.shape[1] == config.n_pos
    assert task.labels.max() < config.n_answers


@pytest.mark.parametrize("changes", EVERY_KIND)
def test_carries_and_parts_by_brute_force(changes):
    config = make(**changes)
    task, n, base = config.task(), config.n_digits, config.base
    structure = task.structure
    sign = 1 if config.operation == "add" else -1
    value = (structure.operands * base ** torch.arange(n)).sum(-1).tolist()
    parts = {name: set(rows.nonzero().flatten().tolist()) for name, rows in task.parts.items()}
    for question, (row, place) in enumerate(
        zip(task.example.tolist(), structure.place.tolist(), strict=True)
    ):
        a, b = value[row]
        # What the lower digits alone come to, beyond what fits there.
        low_a, low_b = a % base**place, b % base**place
        comes_in = int(low_a + low_b >= base**place) if sign > 0 else int(low_a < low_b)
        # Pairs that hand on: those just below whose outcome depends on what comes.
        k = 0
        while k < place:
            pair = [x // base ** (place - 1 - k) % base for x in (a, b)]
            if (sum(pair) != base - 1) if sign > 0 else (pair[0] != pair[1]):
                break
            k += 1
        name = ("carry" if comes_in else "no carry") + (f" through {k}" if k else "")
        found = [part for part, rows in parts.items() if question in rows]
        assert found == [f"digit {place}", name]
        assert structure.carry_in[question] == comes_in == structure.carry[row, place]
        assert structure.chain_length[question] == k
        assert task.labels[question] == structure.answer[row, place]
        if place < n:
            mine = [x // base**place % base for x in (a, b)]
            assert structure.operands[row, :, place].tolist() == mine
            # The column that holds them, unless a pad stands there.
            at = task.tokens[row, structure.operand_positions[:, place]].tolist()
            assert all(t in (d, base + 2) for t, d in zip(at, mine, strict=True))
            assert task.labels[question] == (mine[0] + sign * (mine[1] + comes_in)) % base


def test_all_pairs_can_be_had_and_a_seed_decides_them():
    task = make().task()
    assert len({tuple(row) for row in task.structure.operands.flatten(1).tolist()}) == 256
    # 6 of 16 pairs of digits carry by themselves (b (b - 1) / 2 of b^2).
    assert (task.structure.operands.sum(1)[:, 0] >= 4).sum() == 256 * 6 / 16
    assert torch.equal(make(n_test=5).task().inputs, make(n_test=5).task().inputs)
    assert not torch.equal(make(n_test=5).task().inputs, make(n_test=5, split_seed=1).task().inputs)


def test_corrupted_labels_are_asked_in_train_and_leave_the_row_right():
    clean, task = make().task(), make(corrupted_fraction=0.5).task()
    assert int(task.is_corrupted.sum()) == 150 * 3 // 2
    assert not task.is_corrupted[task.example >= 150].any()
    assert torch.equal(task.labels != task.true_labels, task.is_corrupted)
    assert torch.equal(task.inputs, clean.inputs) and torch.equal(task.true_labels, clean.labels)


@pytest.mark.parametrize("operation", ["add", "subtract"])
def test_fresh_rows_are_right_and_a_seed_decides_them(operation):
    config = make(n_digits=5, base=10, operation=operation, n_train=5, n_test=5)
    drawn = config.drawn(300, [0, 7])
    powers = 10 ** torch.arange(4, -1, -1)
    a, b = (drawn.inputs[:, i : i + 5] * powers for i in (0, 6))
    a, b = a.sum(1), b.sum(1)
    expected = [answer(x, y, config) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert drawn.labels.view(300, 6).tolist() == expected
    assert torch.equal(drawn.inputs[:, -5:], torch.tensor(expected)[:, :-1])
    assert torch.equal(drawn.inputs, config.drawn(300, [0, 7]).inputs)
    assert not torch.equal(drawn.inputs, config.drawn(300, [0, 8]).inputs)
    # 3000 uniform digits: the mean of each operand within 5 standard errors of 0.075 of 4.5.
    assert abs(drawn.inputs[:, :5].double().mean() - 4.5) < 0.38


def test_digits_of_numbers():
    numbers = torch.tensor([0, 7, 63, 48])
    assert digits_of(numbers, 3, 4).tolist() == [[0, 0, 0], [3, 1, 0], [3, 3, 3], [0, 0, 3]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_digits": 0}, "Numbers need n_digits of at least 1, got 0."),
        ({"base": 1}, "Digits need a base of at least 2, got 1."),
        ({"n_digits": 10, "base": 10}, "in base 10. They are drawn by number. Use at most 9 digits, or a"),
        ({"n_digits": 10**9}, f"got n_digits={10**9} in base 4"),
        ({"base": 10**12}, f"got n_digits=2 in base {10**12}. They are drawn by number. Use a smaller base."),
        ({"n_train": 200}, "there are 256 of pairs of 2-digit numbers in base 4: got n_train=200 and n_test=106"),
        ({"n_train": 0}, "n_train of at least 1, got 0"),
        ({"split": "shuffle"}, "are drawn: they need split 'drawn', got 'shuffle'"),
        ({"corrupted_fraction": -0.1}, "corrupted_fraction in [0, 1], got -0.1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**changes)


def test_the_largest_numbers_that_can_be_drawn():
    assert make(n_digits=9, base=10).task().tokens.shape == (256, 29)
    assert make(n_digits=31, base=2).task().labels.max() == 1


def test_digits_that_overflow_the_context_are_refused():
    with pytest.raises(ValueError, match=re.escape("needs a model with n_ctx=17, d_vocab=12")):
        variation(named("digits"), task={"n_digits": 5}, model={"n_ctx": 8})


def test_a_run_keeps_rows_with_several_questions_each(tmp_path):
    config = make()
    (tmp_path / "task.safetensors").write_bytes(task_bytes(config.task()))
    read = read_task(tmp_path / "task.safetensors", config)
    assert torch.equal(read.labels, config.task().labels) and read.parts.keys() == config.task().parts.keys()
    with pytest.raises(RunError, match="holds other data than the config"):
        read_task(tmp_path / "task.safetensors", make(n_test=105))

"""Arithmetic in several languages against brute force."""

import re
from itertools import product

import pytest
import torch

from interp.runs.config import config_from_json, config_to_json
from interp.runs.presets import languages, variation
from interp.tasks.data_edits import Grow, Shrink
from interp.tasks.languages import LanguagesConfig
from interp.tasks.splits import described_split


def make(**changes):
    fields = {"p": 7, "n_languages": 2, "fact_fraction": 0.2, "n_translations": 5, "split_seed": 0}
    return LanguagesConfig(**fields | changes)


def rows_of(task):
    """Every row with its answer, and whether it is train."""
    return {
        tuple(row): (label, bool(seen))
        for row, label, seen in zip(task.inputs.tolist(), task.labels.tolist(), task.is_train, strict=True)
    }


def test_random_labels_are_those_of_all_languages_and_nothing_else():
    config = make(operation="random", sentence_fraction=0.5, sentences="both")
    rows, s = rows_of(config.task()), config.task().structure
    assert s.order is None and torch.equal(s.tables[0], s.tables[1]) and len(s.tables.unique()) == 7
    assert not torch.equal(s.tables[0], s.tables[0].T)
    n_sentences = 0
    for a, b in product(range(7), range(7)):
        right = rows[a, b, 14][0]
        assert rows[7 + a, 7 + b, 15][0] == 7 + right == 7 + s.tables[0][a, b]
        said = [rows.get((a, b, 15), (7 + right,))[0], 7 + rows.get((7 + a, 7 + b, 14), (right,))[0]]
        n_sentences += (a, b, 15) in rows
        assert said == [7 + right, 7 + right]
    assert n_sentences == 24
    again, other = make(operation="random"), make(operation="random", split_seed=1)
    assert torch.equal(again.task().structure.tables, s.tables)
    assert not torch.equal(other.task().structure.tables, s.tables)
    # An operation of B's own is another one.
    drawn = make(operation="random", other_operation="random").task().structure.tables
    assert torch.equal(drawn[0], s.tables[0]) and not torch.equal(drawn[0], drawn[1])


def test_facts_by_brute_force():
    task = make(n_languages=3, sentence_fraction=0.5, sentences="both").task()
    rows = rows_of(task)
    p, equals = 7, [21, 22, 23]
    for language, (a, b) in product(range(3), product(range(p), repeat=2)):
        label, seen = rows[(language * p + a, language * p + b, equals[language])]
        assert label == language * p + (a + b) % p
        assert seen or language
    for language in (1, 2):
        facts = task.parts["ABC"[language]]
        # int(0.2 * 49) of the facts.
        assert int(task.is_train[facts].sum()) == 9 and int(facts.sum()) == 49
    assert len(rows) == task.n_examples == task.config.n_examples
    assert task.questions.is_last and task.config.n_tokens == 25


def test_translations_and_sentences_by_brute_force():
    task = make(sentence_fraction=0.5, sentences="both", n_translations=5).task()
    p, to = 7, 16
    translated = rows_of(task)
    numbers = {row[0] for row in translated if row[1] == to and row[0] < p}
    assert len(numbers) == 5
    for number in numbers:
        assert translated[(number, to, 15)] == (p + number, True)
        assert translated[(p + number, to, 14)] == (number, True)
    there, back = (
        {
            row[:2]: label
            for row, (label, seen) in translated.items()
            if seen and row[1] != to and row[2] == end and (row[0] < p) == (end == 15)
        }
        for end in (15, 14)
    )
    assert len(there) == len(back) == 24
    assert all(label == p + (a + b) % p for (a, b), label in there.items())
    assert all(label == (a + b - 2 * p) % p for (a, b), label in back.items())
    assert {(a - p, b - p) for a, b in back} == set(there)
    kinds = {name: int(rows.sum()) for name, rows in task.parts.items()}
    assert kinds == {"A": 49, "B": 49, "translation A-B": 10, "sentences A-B": 24, "sentences B-A": 24}
    assert torch.stack(list(task.parts.values())).sum(0).eq(1).all()


def test_a_shuffled_dictionary_is_a_bijection_and_leaves_facts_as_they_are():
    true, shuffled = make(n_translations=7).task(), make(n_translations=7, dictionary="shuffled").task()
    words = shuffled.structure.dictionaries
    assert sorted(words[1].tolist()) == list(range(7)) and words[1].tolist() != list(range(7))
    assert words[0].tolist() == list(range(7))
    facts = true.parts["A"] | true.parts["B"]
    assert torch.equal(true.labels[facts], shuffled.labels[facts])
    rows = rows_of(shuffled)
    for number in range(7):
        assert rows[(number, 16, 15)][0] == 7 + words[1, number]
        assert rows[(7 + int(words[1, number]), 16, 14)][0] == number


def test_sentences_of_a_shuffled_dictionary_carry_the_arithmetic_of_a():
    task = make(dictionary="shuffled", sentence_fraction=1.0, sentences="both").task()
    words = task.structure.dictionaries[1]
    inverse = words.argsort()
    rows = rows_of(task)
    for a, b in product(range(7), repeat=2):
        assert rows[(a, b, 15)][0] == 7 + words[(a + b) % 7]
        assert rows[(7 + a, 7 + b, 14)][0] == (inverse[a] + inverse[b]) % 7


def test_another_operation_in_b_leaves_a_as_it_is():
    task = make(other_operation="subtract").task()
    rows = rows_of(task)
    for a, b in product(range(7), repeat=2):
        assert rows[(a, b, 14)][0] == (a + b) % 7 and rows[(7 + a, 7 + b, 15)][0] == 7 + (a - b) % 7
    assert task.structure.order == 7 and make(operation="x2+y2").task().structure.order is None


def test_larger_shares_hold_the_smaller_ones():
    def seen(**changes):
        task = make(**changes).task()
        return {tuple(row) for row in task.inputs[task.is_train].tolist()}

    small = seen(fact_fraction=0.1, n_translations=2, sentence_fraction=0.1)
    assert small < seen(fact_fraction=0.3, n_translations=6, sentence_fraction=0.4)
    assert not small <= seen(fact_fraction=0.3, n_translations=6, sentence_fraction=0.4, split_seed=1)


def test_no_fact_of_b_in_train_and_a_share_of_those_of_a():
    task = make(fact_fraction=0.0, n_translations=0, first_fraction=0.5).task()
    assert int(task.is_train[task.parts["B"]].sum()) == 0 and int(task.is_train[task.parts["A"]].sum()) == 24
    assert task.config.train_fraction == pytest.approx(24 / 98)
    assert "no translation" in task.config.description


def test_stated_vocabularies_name_the_same_numbers():
    plain, named = make().task(), make(vocabularies=((9, 8, 7, 6, 5, 4, 3), (20, 21, 0, 1, 2, 30, 31))).task()
    names = torch.cat([named.structure.number_tokens.flatten(), torch.tensor([10, 11, 12])])
    assert torch.equal(names[plain.inputs], named.inputs) and torch.equal(plain.labels, named.labels)
    assert named.config.n_tokens == 32 and named.config.constant_tokens == {"=A": 10, "=B": 11, "to": 12}
    config = variation(
        languages(), task={"p": 2, "n_translations": 1, "vocabularies": ((0, 3), (1, 2))}
    ).config()
    assert config_from_json(config_to_json(config), "here") == config


def test_corrupted_labels_are_train_rows():
    task = make(corrupted_fraction=0.5).task()
    assert not (task.is_corrupted & ~task.is_train).any()
    assert int(task.is_corrupted.sum()) == task.n_train // 2


def test_edits_of_the_split_and_what_is_said_of_it():
    task = make().task()
    assert (
        described_split(task.config)
        == f"{task.n_train / task.n_examples:.0%} train (split 'shuffle', seed 0)"
    )
    fewer = Shrink(n=10)(task)
    assert fewer.n_train == 10 and torch.equal(fewer.inputs, task.inputs)
    assert described_split(fewer.config) == "unknown share of train (split explicit)"
    assert Grow(n=3)(task).n_train == task.n_train + 3
    assert make(split="unknown").task().is_train is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"p": 1}, "p from 2 to 10,000 numbers, got 1"),
        ({"n_languages": 1}, "n_languages from 2 to 26, got 1. With one there is nothing to cross over to"),
        ({"n_languages": 27}, "n_languages from 2 to 26, got 27"),
        ({"operation": "divide"}, "operation to be one of add, subtract, multiply"),
        ({"other_operation": "divide"}, "other_operation to be one of add"),
        ({"n_translations": 8}, "n_translations from 0 to p=7, got 8. It counts the numbers"),
        ({"first_fraction": 0.0}, "first_fraction in (0, 1], got 0.0"),
        ({"fact_fraction": 1.0}, "fact_fraction in [0, 1), got 1.0. With all facts in train none is left"),
        ({"sentence_fraction": 2.0}, "sentence_fraction in [0, 1], got 2.0"),
        ({"corrupted_fraction": -0.1}, "corrupted_fraction in [0, 1], got -0.1"),
        ({"split": "torch"}, "Languages need split 'shuffle', got 'torch'"),
        (
            {"p": 2, "n_translations": 0, "vocabularies": ((0, 1), (1, 2))},
            "a token of its own for each number, got token 1 for 1 of language A and for 0 of language B",
        ),
        (
            {"p": 2, "n_translations": 0, "vocabularies": ((0, 0), (1, 2))},
            "got token 0 for 0 of language A and for 1 of language A",
        ),
        ({"p": 2, "n_translations": 0, "vocabularies": ((0, 1),)}, "2 vocabularies of p=2 tokens, got 1 of [2]"),
        ({"p": 2, "n_translations": 0, "vocabularies": ((0, -1), (1, 2))}, "from 0 to 999,999, got -1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make(**changes)


def test_a_split_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one boolean for each of the 108 rows, got nothing"):
        make(split="explicit").task()
    with pytest.raises(ValueError, match="goes with split='explicit' only, got split='shuffle'"):
        make().task(torch.ones(108, dtype=torch.bool))

"""The order in which digits are learned, from tables whose order was planted."""

import pandas as pd
import pytest

from interp.tables.digit_order import (
    LEAST_QUESTIONS,
    carry_transitions,
    digit_transitions,
    half_losses,
    judged,
    parts,
    ranked,
)
from interp.tables.transitions import Transition

STEPS = [0, 10, 20, 30]


def table(split="test", n=100, **accuracies):
    """Digits and kinds of carry whose accuracies are given along four steps; the losses fall as they rise."""
    rows = []
    for name, values in accuracies.items():
        digit, carry = (name[1:], "all") if name.startswith("d") else ("all", name.replace("_", " "))
        rows += [
            {
                "step": step,
                "split": split,
                "digit": digit,
                "carry": carry,
                "n": n,
                "accuracy": x,
                "loss": 2 * (1 - x),
            }
            for step, x in zip(STEPS, values, strict=True)
        ]
    return pd.DataFrame(rows)


PLANTED = table(
    d0=[0, 1, 1, 1],
    d1=[0, 0, 0.5, 1],
    d2=[0, 0, 0, 0.5],
    no_carry=[0, 0, 1, 1],
    carry_through_1=[0, 0, 0, 0.96],
)


def test_what_was_planted_is_dated():
    found = digit_transitions(PLANTED)
    assert {name: (t.before, t.step) for name, t in found.items()} == {
        "0": (0, 10),
        "1": (20, 30),
        "2": (30, None),
    }
    found = carry_transitions(PLANTED)
    assert {name: (t.before, t.step) for name, t in found.items()} == {
        "no carry": (10, 20),
        "carry through 1": (20, 30),
    }
    halves = half_losses(PLANTED)
    assert {name: (t.before, t.step) for name, t in halves.items()} == {
        "0": (0, 10),
        "1": (10, 20),
        "2": (20, 30),
    }


def test_test_rows_decide_and_all_rows_where_no_split_is_known():
    both = pd.concat([PLANTED, table("train", d0=[1, 1, 1, 1])])
    assert set(judged(both)["split"]) == {"test"}
    assert set(judged(table("all", d0=[0, 1, 1, 1]))["split"]) == {"all"}
    assert digit_transitions(both)["0"].step == 10


def test_parts_of_few_questions_are_left_out():
    rare = table(n=LEAST_QUESTIONS - 1, carry_through_2=[0, 0, 0, 1])
    assert set(parts(pd.concat([PLANTED, rare]), "carry")) == {"no carry", "carry through 1"}
    with pytest.raises(ValueError, match="by 'digit' or by 'carry', got 'place'"):
        parts(PLANTED, "place")
    assert parts(pd.DataFrame(), "digit") == {} == digit_transitions(pd.DataFrame())


def came(before, step):
    return Transition("accuracy", 0.95, before, step)


def test_brackets_that_overlap_are_no_order():
    assert ranked({"a": came(0, 10), "b": came(10, 20), "c": came(20, None)}) == [["a"], ["b"]]
    # Not known which of the two came first.
    assert ranked({"b": came(0, 20), "a": came(10, 30)}) == [["a", "b"]]
    # The one that was there at the first checkpoint came no later than any.
    assert ranked({"b": came(None, 0), "a": came(0, 10)}) == [["b"], ["a"]]
    # A wide bracket holds those beside it together.
    assert ranked({"a": came(0, 10), "c": came(5, 90), "b": came(50, 60)}) == [["a", "b", "c"]]
    assert ranked({}) == []

"""Maps of attention by pair, of tasks whose rows are no pairs too."""

from types import SimpleNamespace

import pytest

from interp.analyses.attention import patterns
from interp.snapshots.snapshot import Snapshot
from tests import hand_built
from tests.hand_built_digits import random_adder
from tests.hand_built_languages import bilingual


def of_snapshot(snapshot, monkeypatch):
    monkeypatch.setattr(Snapshot, "of", lambda *_: snapshot)
    return patterns(
        SimpleNamespace(task=snapshot.task, config=SimpleNamespace(task=snapshot.task.config)), 0, "cpu"
    )


@pytest.mark.parametrize(
    "make", [lambda: bilingual([[2, 3]]), lambda: random_adder(base=5)], ids=["languages", "digits"]
)
def test_rows_that_are_no_pairs_are_mapped_by_their_first_two_tokens(make, monkeypatch):
    snapshot = make()
    tables = of_snapshot(snapshot, monkeypatch)
    table = tables["patterns_at_end"].set_index(["first", "second"])
    inputs = snapshot.task.inputs
    assert {tuple(row) for row in inputs[:, :2].tolist()} == set(table.index)
    assert tables["pattern_axes"]["label"].tolist() == ["first token", "second token"]
    # One cell by hand: the mean of head 1 over the questions of its rows.
    of_cell = (inputs[snapshot.task.example, :2] == inputs[0, :2]).all(1)
    expected = snapshot.pattern[of_cell, 0, 1, 0].double().mean().item()
    # 1e-5: patterns are kept to five digits.
    assert table.loc[tuple(inputs[0, :2].tolist()), "L0H1"] == pytest.approx(expected, abs=1e-5)


def test_pairs_keep_their_operands(monkeypatch):
    tables = of_snapshot(hand_built.clock([1]), monkeypatch)
    assert tables["pattern_axes"]["label"].tolist() == ["$a$", "$b$"]

"""What happened along a series of language models, on tables that are made up."""

import numpy as np
import pandas as pd
import pytest

from interp.tables.language_models import (
    changes_between,
    induction_change,
    language_transitions,
    movements_with_null,
    named_components,
    pairs_as_far_apart,
    repetition_gain,
    strongest_heads,
)

STEPS = [0, 1, 2, 4, 8, 16]


def scores(prefix):
    """Two heads, of which the second has these scores and the first scores of 0.1; the others say nothing."""
    rows = [(step, 0, 0, 0.1) for step in STEPS] + [
        (step, 1, 3, x) for step, x in zip(STEPS, prefix, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["step", "layer", "head", "prefix_matching"])
    return table.assign(previous_token=0.2, duplicate_token=0.0, copying=0.5)


def tables(prefix, loss=(5.0, 4.4, 3.8, 3.4, 2.9, 2.0), **changes):
    nothing = pd.DataFrame(columns=["step"])
    found = {
        "induction_scores": scores(prefix),
        "text_losses": pd.DataFrame({"step": STEPS, "loss": loss}),
        "text": pd.DataFrame([{"unigram": 4.5, "bigram": 3.0, "held_out_bigram": 3.5}]),
        "repetition_losses": pd.DataFrame(
            [
                (s, c, 5.0 - (c == 2) * g)
                for s, g in zip(STEPS, [0, 0, 0, 0.1, 2, 3], strict=True)
                for c in (1, 2)
            ],
            columns=["step", "copy", "loss"],
        ),
        "residual_dimensions": pd.DataFrame({"step": STEPS, "layer": 1, "dimension": [8, 8, 8, 4, 4, 4.0]}),
        "weight_norms": pd.DataFrame({"step": STEPS, "matrix": "total", "l2": [1, 1, 1, 1, 2, 2.0]}),
        "weight_spectra": nothing,
    }
    return found | changes


def test_the_bracket_is_between_the_saved_steps():
    found = language_transitions(tables([0, 0.1, 0.1, 0.29, 0.31, 0.9]))
    assert (found["induction_heads"].before, found["induction_heads"].step) == (4, 8)
    assert (found["repetition_half"].before, found["repetition_half"].step) == (4, 8)
    brackets = {name: (t.before, t.step) for name, t in found.items()}
    assert brackets["below_unigram"] == (0, 1)
    assert brackets["below_held_out_bigram"] == (2, 4) and brackets["below_bigram"] == (4, 8)


def test_a_head_that_does_not_copy_is_no_induction_head():
    rises = scores([0, 0.1, 0.1, 0.29, 0.31, 0.9])
    change = induction_change({"induction_scores": rises})
    assert (change.threshold, change.before, change.step) == (0.3, 4, 8)
    # The other one copies, and looks nowhere.
    lowers = rises.assign(copying=rises["copying"].where(rises["head"] != 3, -0.5))
    assert induction_change({"induction_scores": lowers}).step is None
    assert set(strongest_heads(lowers)["head"]) == {0}
    # Of a head that moves nothing.
    nothing = rises.assign(copying=np.nan)
    assert (strongest_heads(nothing)["prefix_matching"] == 0).all()


def test_a_spike_is_no_induction_head_and_no_scores_are_no_answer():
    assert induction_change(tables([0, 0.8, 0.1, 0.1, 0.1, 0.1])).step is None
    without = induction_change(tables([0] * 6, induction_scores=pd.DataFrame(columns=["step"])))
    assert (without.before, without.step) == (None, None)
    assert set(language_transitions(tables([0] * 6, text=pd.DataFrame()))) == {
        "induction_heads",
        "repetition_half",
    }


def test_the_strongest_head_may_be_another_at_each_step():
    found = strongest_heads(scores([0, 0.05, 0.2, 0.3, 0.5, 0.6]))
    assert found["head"].tolist() == [0, 0, 3, 3, 3, 3]
    assert found["prefix_matching"].tolist() == [0.1, 0.1, 0.2, 0.3, 0.5, 0.6]


def test_the_gain_is_what_the_second_copy_costs_less():
    assert repetition_gain(tables([0] * 6)["repetition_losses"])["gain"].tolist() == pytest.approx(
        [0, 0, 0, 0.1, 2, 3]
    )


def test_pairs_are_as_many_checkpoints_apart_and_do_not_overlap():
    assert pairs_as_far_apart(STEPS, 1, 4) == [
        (4, 16),
    ]
    assert pairs_as_far_apart(STEPS, 2, 4) == [(4, 8), (8, 16), (0, 1), (1, 2)]
    assert pairs_as_far_apart(STEPS, 0, 16) == []


def test_what_changed_is_set_against_other_pairs_as_far_apart():
    found = changes_between(tables([0, 0.1, 0.1, 0.2, 0.7, 0.75]), 4, 8).set_index(["quantity", "component"])
    head = found.loc[("prefix_matching", "L1H3")]
    # Of the other neighbours 0.1 (1 from 0, 4 from 2) is the largest change.
    assert (head["before"], head["after"], head["n_pairs"]) == (0.2, 0.7, 4)
    assert head["change"] == pytest.approx(0.5) and head["null_largest"] == pytest.approx(0.1)
    assert head["null_median"] == pytest.approx(np.median([0.1, 0.0, 0.1, 0.05]))
    assert head["ratio"] == pytest.approx(5.0)
    # Sizes by their ratio: ln 2. Nothing else ever changed this norm, so that no ratio is known.
    norm = found.loc[("weight norm", "total")]
    assert norm["change"] == pytest.approx(np.log(2)) and np.isnan(norm["ratio"])
    # The stream lost half its dimension before, not now.
    stream = found.loc[("residual dimension", "residual stream 1")]
    assert stream["change"] == 0 and stream["ratio"] == 0
    assert found.index[0] == ("prefix_matching", "L1H3")


def test_with_no_other_pair_there_is_no_null():
    found = changes_between(tables([0, 0.1, 0.1, 0.2, 0.7, 0.75]), 0, 16)
    assert (
        (found["n_pairs"] == 0).all() and found["null_largest"].isna().all() and found["ratio"].isna().all()
    )


def test_movements_are_set_against_the_same_part_of_other_pairs():
    rows = [
        (8, 4, 1, 3, "QK", 0.9), (8, 4, 0, -1, "MLP", 0.2),
        (4, 2, 1, 3, "QK", 0.3), (4, 2, 0, -1, "MLP", 0.4),
        (2, 1, 1, 3, "QK", 0.1), (2, 1, 0, -1, "MLP", 0.1),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["step", "since", "layer", "head", "part", "change"])
    found = movements_with_null(table, 4, 8)
    assert list(named_components(found)) == ["L1H3 QK", "layer 0 MLP"]
    assert found["ratio"].tolist() == pytest.approx([3.0, 0.5]) and found["n_pairs"].tolist() == [2, 2]

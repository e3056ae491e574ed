"""Key representations: the union over checkpoints that generalise, none where none does."""

import pandas as pd
import pytest

from interp.tables.key_representations import (
    followed_representations,
    representation_emergence,
    representation_sparsity,
    run_key_representations,
)


def tables(accuracies, shares, split="test"):
    return {
        "losses": pd.DataFrame([{"step": s, "split": split, "accuracy": a} for s, a in accuracies.items()]),
        "character_similarity": pd.DataFrame(
            [
                {"step": step, "representation": name, "fraction_explained": share, "null": 0.01}
                for step, by_name in shares.items()
                for name, share in by_name.items()
            ]
        ),
    }


SHARES = {
    1: {"sign": 0.9, "standard": 0.0, "[2,2]": 0.0},
    2: {"sign": 0.004, "standard": 0.1, "[2,2]": 0.0},
    3: {"sign": 0.0, "standard": 0.2, "[2,2]": 0.3},
}


def test_key_representations_are_those_of_checkpoints_that_generalise():
    assert run_key_representations(tables({1: 0.94, 2: 0.95, 3: 1.0}, SHARES)) == ["[2,2]", "standard"]
    assert run_key_representations(tables({1: 1.0, 2: 1.0, 3: 0.5}, SHARES)) == ["sign", "standard"]
    assert run_key_representations(tables({1: 0.1, 2: 0.1, 3: 1.0}, SHARES, split="all")) == [
        "[2,2]",
        "standard",
    ]


def test_a_run_that_never_generalises_has_none_but_the_strongest_are_followed():
    found = tables({1: 0.9, 2: 0.9, 3: 0.94}, SHARES)
    assert run_key_representations(found) == []
    assert followed_representations(found) == (
        ["[2,2]", "standard"],
        "strength at the last checkpoint, since no checkpoint has test accuracy 0.95: not key representations",
    )
    names, why = followed_representations(tables({3: 1.0}, SHARES))
    assert names == ["[2,2]", "standard"]
    assert why == "standing out of the logits at a checkpoint with test accuracy 0.95 or more"


def spectrum(shares, parts=("left_embedding", "right_embedding"), n_functions=None):
    n_functions = n_functions or {}
    return pd.DataFrame(
        [
            {
                "step": step, "part": part, "representation": name, "share": share, "power": share,
                "n_functions": n_functions.get(name, 1),
            }
            for step, by_name in shares.items()
            for part in parts
            for name, share in by_name.items()
        ]
    )  # fmt: skip


def test_a_representation_emerges_where_its_share_passes_half_way_for_good():
    table = spectrum(
        {
            0: {"sign": 0.1, "standard": 0.4, "[2,2]": 0.3},
            10: {"sign": 0.6, "standard": 0.3, "[2,2]": 0.3},
            20: {"sign": 0.2, "standard": 0.2, "[2,2]": 0.3},
            30: {"sign": 0.5, "standard": 0.1, "[2,2]": 0.3},
        }
    )
    found = representation_emergence(table, ["sign", "standard", "[2,2]"])
    # At 10 it was a spike.
    assert (found["sign"].before, found["sign"].step) == (20, 30)
    assert found["sign"].threshold == pytest.approx(0.3)
    for name in ("standard", "[2,2]"):
        assert (found[name].before, found[name].step) == (None, None)
    one = representation_emergence(table[table["step"] == 0], ["sign"])
    assert one["sign"].step is None


def test_both_embeddings_count():
    left = spectrum({0: {"sign": 0.0}, 10: {"sign": 0.8}, 20: {"sign": 1.0}}, ["left_embedding"])
    right = spectrum({0: {"sign": 0.0}, 10: {"sign": 0.0}, 20: {"sign": 1.0}}, ["right_embedding"])
    hidden = spectrum({0: {"sign": 1.0}, 10: {"sign": 1.0}, 20: {"sign": 1.0}}, ["hidden_left"])
    found = representation_emergence(pd.concat([left, right, hidden]), ["sign"])
    # Their mean is 0.4 at 10, the left alone would be past the middle there.
    assert (found["sign"].before, found["sign"].step) == (10, 20)


def test_sparsity_counts_every_function_but_the_constant():
    sizes = {"trivial": 1, "sign": 1, "standard": 9}
    table = spectrum(
        {
            0: {"trivial": 5.0, "sign": 0.1, "standard": 0.9},
            10: {"trivial": 5.0, "sign": 1.0, "standard": 0.0},
        },
        n_functions=sizes,
    )
    found = representation_sparsity(table)
    assert found.columns.tolist() == ["step", "matrix", "gini"]
    # Ten functions of equal power; one of ten with all of it.
    assert found["gini"].tolist() == pytest.approx([0.0, 0.9])
    assert representation_sparsity(spectrum({0: {"sign": 0.0}}))["gini"].tolist() == [0.0]

"""Key representations: the union over checkpoints that generalise, none where none does."""

import pandas as pd

from interp.tables.key_representations import followed_representations, run_key_representations


def tables(accuracies, shares, split="test"):
    return {
        "losses": pd.DataFrame([{"step": s, "split": split, "accuracy": a} for s, a in accuracies.items()]),
        "character_similarity": pd.DataFrame(
            [
                {"step": step, "representation": name, "fraction_explained": share}
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
    assert run_key_representations(tables({1: 0.99, 2: 0.995, 3: 1.0}, SHARES)) == ["[2,2]", "standard"]
    assert run_key_representations(tables({1: 1.0, 2: 1.0, 3: 0.5}, SHARES)) == ["sign", "standard"]
    assert run_key_representations(tables({1: 0.1, 2: 0.1, 3: 1.0}, SHARES, split="all")) == [
        "[2,2]",
        "standard",
    ]


def test_a_run_that_never_generalises_has_none_but_the_strongest_are_followed():
    found = tables({1: 0.9, 2: 0.9, 3: 0.99}, SHARES)
    assert run_key_representations(found) == []
    assert followed_representations(found) == (
        ["[2,2]", "standard"],
        "strength at the last checkpoint, since none generalises",
    )
    names, why = followed_representations(tables({3: 1.0}, SHARES))
    assert names == ["[2,2]", "standard"]
    assert why == "all checkpoints with test accuracy above 0.99"

"""Key sets of whole runs: when each frequency emerged, and what is followed in a run that never generalises."""

import numpy as np
import pandas as pd

from interp.tables.key_frequencies import N_STRONGEST, by_strength, emergence, followed_frequencies


def spectrum_of(fractions):
    """A `logit_spectrum` table: by step, the share that each frequency explains, with a null of 2 %."""
    return pd.DataFrame(
        [(step, k, x, 0.02) for step, shares in fractions.items() for k, x in shares.items()],
        columns=["step", "frequency", "fraction_explained", "null"],
    )


def losses_of(accuracies):
    return pd.DataFrame({"step": list(accuracies), "split": "test", "accuracy": list(accuracies.values())})


def test_emergence_is_for_good_and_the_strongest_comes_first():
    table = spectrum_of(
        {
            0: {1: 0.1, 2: 0.0, 3: 0.0, 4: 0.9},
            10: {1: 0.1, 2: 0.4, 3: 0.0, 4: 0.0},
            20: {1: 0.1, 2: 0.01, 3: 0.0, 4: 0.0},
            30: {1: 0.1, 2: 0.5, 3: 0.2, 4: 0.0},
        }
    )
    found = emergence(table, [1, 2, 3, 4])
    assert found["frequency"].tolist() == [2, 3, 1, 4]
    assert found["fraction_explained"].tolist() == [0.5, 0.2, 0.1, 0.0]
    assert found["null"].tolist() == [0.02] * 4
    assert found["step"][:3].tolist() == [30, 30, 0]
    # 4 was strong once, and has died.
    assert found["before"][3] == 30 and np.isnan(found["step"][3])
    # The first is a spike at 10 that does not count; the last is there from the start.
    assert found["before"][:2].tolist() == [20, 20] and np.isnan(found["before"][2])


def test_relapses_of_a_frequency_that_are_passed_over_are_named():
    table = spectrum_of({step: {1: 0.01 if step in (0, 60) else 0.5} for step in range(0, 90, 10)})
    row = emergence(table, [1]).iloc[0]
    assert (row["before"], row["step"], row["relapses"]) == (0, 10, ((60, 60),))


def test_emergence_of_nothing_is_an_empty_table():
    found = emergence(spectrum_of({0: {1: 0.004}, 10: {1: 0.005}}), [])
    assert list(found.columns) == ["frequency", "fraction_explained", "null", "before", "step", "relapses"]
    assert len(found) == 0


def test_a_run_that_generalises_is_followed_by_its_key_set():
    spectrum = spectrum_of({0: {1: 0.9, 2: 0.0}, 10: {1: 0.019, 2: 0.3}})
    tables = {"logit_spectrum": spectrum, "losses": losses_of({0: 0.5, 10: 0.95})}
    said = "standing out of the logits at a checkpoint with test accuracy 0.95 or more"
    assert followed_frequencies(tables) == ([2], said)
    # A null above them all: random names do as well.
    tables["logit_spectrum"] = spectrum.assign(null=0.5)
    frequencies, chosen_by = followed_frequencies(tables)
    assert frequencies == [1, 2]
    assert chosen_by.endswith("since no frequency stands out of the logits: not key frequencies")


def test_a_run_that_does_not_is_followed_by_its_strongest_at_the_end():
    at_end = dict(zip(range(1, 8), (0.1, 0.7, 0.2, 0.6, 0.3, 0.5, 0.4), strict=True))
    tables = {
        "logit_spectrum": spectrum_of({0: {1: 0.9, 3: 0.8}, 10: at_end}),
        "losses": losses_of({0: 0.0, 10: 0.94}),
    }
    frequencies, chosen_by = followed_frequencies(tables)
    assert frequencies == [2, 4, 5, 6, 7] and len(frequencies) == N_STRONGEST
    assert chosen_by == (
        "strength at the last checkpoint, since no checkpoint has test accuracy 0.95: not key frequencies"
    )


def test_frequencies_by_what_they_explain_at_the_end():
    parts = pd.DataFrame(
        {"step": [0, 0, 10, 10], "frequency": [1, 2, 1, 2], "fraction": [0.9, 0.1, 0.2, 0.3]}
    )
    assert by_strength(parts) == [2, 1]


def test_where_the_split_is_unknown_the_accuracy_is_that_of_all_rows_and_called_so():
    tables = {
        "logit_spectrum": spectrum_of({0: {1: 0.3}}),
        "losses": losses_of({0: 0.95}).assign(split="all"),
    }
    said = "standing out of the logits at a checkpoint with accuracy on all rows 0.95 or more"
    assert followed_frequencies(tables) == ([1], said)
    tables["losses"]["accuracy"] = 0.5
    assert "no checkpoint has accuracy on all rows 0.95" in followed_frequencies(tables)[1]

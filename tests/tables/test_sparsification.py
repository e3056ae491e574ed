"""When few neurons come to decide: planted curves, and curves on which nothing comes."""

import pandas as pd
import pytest

from interp.tables.sparsification import first_memorized, lead, sparsification
from interp.tables.transitions import Transition


def counts(values, rule="every row"):
    steps = [100 * i for i in range(len(values))]
    return pd.DataFrame({"step": steps, "rule": rule, "n_neurons": values})


def test_a_fall_is_dated_half_way_on_a_logarithmic_scale():
    table = pd.concat([counts([1000, 900, 300, 90, 20, 10, 10]), counts([9] * 7, "99 %")])
    # The root of 1000 * 10 is 100: 300 is above it, 90 is not.
    assert sparsification(table) == Transition("n_neurons", 100.0, 200, 300)
    assert sparsification(table, "99 %") == Transition("n_neurons", 9.0, 600, None)


def test_a_short_rise_is_passed_over_and_one_that_lasts_is_not():
    table = counts([1000, 50, 50, 50, 50, 900, 50, 50, 50, 10])
    assert sparsification(table).relapses == ((500, 500),)
    assert sparsification(counts([1000, 50, 900, 900, 900, 10, 10, 10])).step == 500


@pytest.mark.parametrize("values", [[1000, 900, 500, 300], [1000, 10, 10, 800], [7, 7, 7]])
def test_what_is_not_a_tenth_at_the_end_has_not_become_sparse(values):
    found = sparsification(counts(values))
    assert (found.before, found.step) == (100 * (len(values) - 1), None)


def test_no_neuron_at_all_is_no_fault():
    assert sparsification(counts([100, 0, 0])).threshold == 10
    assert sparsification(pd.DataFrame()) == Transition("n_neurons", None, None, None)


def norms(chosen, others):
    steps = range(0, 100 * len(chosen), 100)
    parts = {"chosen": chosen, "others": others, "random": others}
    return pd.concat(
        [pd.DataFrame({"step": steps, "subnetwork": k, "mean_norm": x}) for k, x in parts.items()]
    )


def test_the_chosen_lead_from_twice_the_norm_of_the_others():
    found = lead(norms([1.0, 1.0, 0.9, 1.2, 1.5], [1.0, 0.8, 0.5, 0.3, 0.2]))
    assert (found.threshold, found.before, found.step) == (2.0, 200, 300)
    assert lead(pd.DataFrame()).step is None
    # All neurons decide: there are no others.
    assert lead(norms([1.0, 1.0], [float("nan")] * 2)).before is None


def test_the_marker_of_the_paper_is_the_first_time_above_98_percent():
    history = pd.DataFrame(
        {"step": [0, 10, 20, 30, 40], "train_accuracy": [0.5, 0.98, 0.985, 0.6, 1.0], "test_accuracy": 0.5}
    )
    assert first_memorized(history) == Transition("train_accuracy", 0.98, 10, 20)
    assert first_memorized(history[:2]) == Transition("train_accuracy", 0.98, 10, None)

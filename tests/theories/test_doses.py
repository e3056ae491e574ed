"""Dose curves against numbers worked out by hand, all orders tried, and scipy."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from interp.theories.doses import DOSES, doses
from tests.theories.tables import row, table


def curve(*pairs, sizes=(1.0, 2.0, 3.0), **other):
    """Arms of three doses and a control: exact steps a pair, None where censored at 10,000."""
    rows = []
    for pair, steps in enumerate(pairs):
        rows.append(row("control", pair, 1000, 1000, **other))
        for dose, step in zip(sizes, steps, strict=True):
            before = 10_000 if step is None else step
            rows.append(row("noise", pair, before, step, dose=dose, reference="control", **other))
    return table(*rows)


def only(found):
    assert len(found) == 1
    return found.iloc[0]


def test_a_curve_by_hand():
    found = only(doses(curve([1000, 2000, 4000], [1000, 3000, 2000])))
    assert list(found.index) == DOSES
    assert found[["arm", "reference", "n_doses", "n_pairs", "n_censored"]].tolist() == [
        "noise",
        "control",
        3,
        2,
        0,
    ]
    # Ranks 1 2 3 and 1 3 2: correlations 1 and 1/2. Of 36 orders of both the sum is 3/2 or more in
    # (1, 1), (1, 1/2) twice and (1/2, 1) twice, and as often it is -3/2 or less.
    assert found["spearman"] == pytest.approx(0.75)
    assert found["spearman_p"] == pytest.approx(10 / 36)
    # Slopes of ln D, doses one apart: (ln 4 - 0) / 2 = 0.69315 and (ln 2 - 0) / 2 = 0.34657; t of one degree 12.7062.
    # Mean 0.51986, sd 0.24506, half 12.7062 * 0.24506 / 1.41421 = 2.20180.
    assert found[["slope", "low", "high"]].tolist() == pytest.approx([0.51986, -1.68194, 2.72166], abs=1e-4)


def test_censored_doses_are_ties_at_the_top_and_open_the_slope():
    found = only(doses(curve([1000, 2000, None], [1000, None, None], [1000, 1500, 2000])))
    assert (found["n_pairs"], found["n_censored"]) == (3, 2)
    # Ranks 1 2 3, 1 2.5 2.5, 1 2 3.
    assert found["spearman"] == pytest.approx((2 + math.sqrt(3) / 2) / 3)
    # Lower bounds: ln 10 / 2, ln 10 / 2 and ln 2 / 2, each from the largest dose and the smallest.
    lows = np.log([10, 10, 2]) / 2
    assert found["low"] == pytest.approx(stats.ttest_1samp(lows, 0).confidence_interval().low)
    assert (found["slope"], found["high"]) == (math.inf, math.inf)
    # At the least dose it opens to the other side, in the middle to none, at both ends to both.
    least = only(doses(curve([None, 2000, 1000], [4000, 2000, 1000])))
    assert (least["slope"], least["low"]) == (-math.inf, -math.inf) and math.isfinite(least["high"])
    # 0.1, 0.2, 0.3: the middle is not the mean in floating point, and still has no weight.
    middle = only(doses(curve([1000, None, 2000], [1000, 4000, 2000], sizes=(0.1, 0.2, 0.3))))
    assert middle["slope"] == pytest.approx(math.log(2) / 0.2) and math.isfinite(middle["high"])
    both = only(doses(curve([None, 2000, None], [4000, 2000, 1000])))
    assert math.isnan(both["slope"]) and (both["low"], both["high"]) == (-math.inf, math.inf)


def test_brackets_open_the_slope():
    rows = [row("control", 0, 900, 1000)]
    rows += [
        row("noise", 0, step - 100, step, dose=dose, reference="control")
        for dose, step in ((1.0, 1000), (2.0, 1500), (3.0, 2000))
    ]
    found = only(doses(table(*rows, *(line | {"pair": 1} for line in rows))))
    assert found["low"] == pytest.approx(math.log(1900 / 1000) / 2)
    assert found["high"] == pytest.approx(math.log(2000 / 900) / 2)
    assert found["slope"] == pytest.approx(math.log(2) / 2)


def test_all_tied_has_no_order():
    found = only(doses(curve([None] * 3, [2000] * 3)))
    assert (found["spearman"], found["spearman_p"]) == (0, pytest.approx(1))


def test_which_rows_are_a_curve():
    # Two doses, or two left after the checks, are no curve.
    two = curve([1000, 2000], [1000, 2000], sizes=(1.0, 2.0))
    assert list(doses(two).columns) == DOSES and doses(two).empty
    arms = curve([1000, 2000, 4000], [1000, 2000, 4000], [1000, 2000, 4000])
    arms.loc[(arms["pair"] == 1) & (arms["dose"] == 2), ["valid", "why_not"]] = [False, "a spike"]
    assert only(doses(arms))["n_pairs"] == 2
    # The reference is a dose where it is the same arm.
    own = []
    for pair in range(2):
        own.append(row("decay", pair, 1000, 1000, dose=1.0))
        for dose, step in ((0.5, 2000), (3.0, 400)):
            own.append(row("decay", pair, step, step, dose=dose, reference="decay", reference_dose=1.0))
    found = only(doses(table(*own)))
    assert (found["n_doses"], found["spearman"], found["reference"]) == (3, -1, "decay")
    # A row that has its own arm as reference, and is one, is one dose.
    own += [line | {"arm": "chain"} for line in own if line["dose"] == 1]
    for pair in range(2):
        for dose, step in ((2.0, 1500), (3.0, 2000)):
            over = {"reference": "chain", "reference_dose": dose - 1}
            own.append(row("chain", pair, step, step, dose=dose, **over))
    found = doses(table(*own)).set_index("arm").loc["chain"]
    assert (found["n_doses"], found["n_pairs"], found["spearman"]) == (3, 2, 1)
    assert found["slope"] == pytest.approx(math.log(2) / 2)
    # Kinds and branch steps apart.
    both = pd.concat([arms, arms.assign(kind="jitter", pair=arms["pair"] + 10)])
    found = doses(both)
    assert list(found.columns) == [*DOSES, "branch_step", "kind"]
    assert found["kind"].tolist() == ["jitter", "seed"] and found["n_pairs"].tolist() == [2, 2]


steps = st.lists(st.lists(st.integers(1, 9), min_size=4, max_size=4), min_size=1, max_size=2)


@settings(max_examples=15)
@given(steps)
def test_correlation_and_p_are_those_of_all_orders(pairs):
    sizes = (0.5, 1.0, 2.0, 8.0)
    found = only(doses(curve(*[[1000 * step for step in pair] for pair in pairs], sizes=sizes)))

    def correlation(pair, order):
        tied = len(set(pair)) == 1
        return 0.0 if tied else stats.spearmanr(pair, order).statistic

    seen = np.mean([correlation(pair, sizes) for pair in pairs])
    assert found["spearman"] == pytest.approx(seen)
    tried = [[correlation(pair, order) for order in itertools.permutations(sizes)] for pair in pairs]
    sums = np.array([sum(chosen) for chosen in itertools.product(*tried)]) / len(pairs)
    assert found["spearman_p"] == pytest.approx(np.mean(np.abs(sums) >= abs(seen) - 1e-9))


def test_many_doses_are_tried_at_random():
    sizes = tuple(float(i) for i in range(8))
    rising = [1000 * 2**i for i in range(3)] + [5000, 6000, 7000, 8000, 9000]
    found = only(doses(curve(rising, rising, sizes=sizes)))
    assert (found["spearman"], found["spearman_p"]) == (1, 1 / 10_000)
    mixed = [
        [3000, 1000, 4000, 2000, 5000, 9000, 2500, 6000],
        [1000, 5000, 2000, 6000, 3000, 7000, 4000, 8000],
    ]
    found = only(doses(curve(mixed[0], sizes=sizes)))
    expected = stats.spearmanr(mixed[0], sizes)
    assert found["spearman"] == pytest.approx(expected.statistic)
    # 9,999 draws have an error of 0.005 at most; the t approximation of scipy is as far off at eight doses.
    assert found["spearman_p"] == pytest.approx(expected.pvalue, abs=0.02)
    # Names of pairs do not matter to the draws.
    one, other = (only(doses(curve(*pairs, sizes=sizes))) for pairs in (mixed, mixed[::-1]))
    assert one["spearman_p"] == other["spearman_p"]


def test_one_pair_has_no_interval():
    found = only(doses(curve([1000, 2000, 4000])))
    assert found["slope"] == pytest.approx(math.log(2)) and np.isnan([found["low"], found["high"]]).all()
    assert found["spearman_p"] == pytest.approx(2 / 6)

"""Effects against numbers worked out by hand, against brute force, and against laws that hold for every table."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from interp.theories.arms_table import check_arms
from interp.theories.effects import EFFECTS, effects, effects_and_reasons, interval, pair_effects, zone
from tests.theories.tables import NONE, compared, row, table

# An effect takes 30 ms with the shapes checked: twenty-five tables a law, and more where a law needs only numbers.
FEW = settings(max_examples=25)
WHERE = ("test_accuracy", 0.95, 2500)


def only(found):
    assert len(found) == 1
    return found.iloc[0]


# --- by hand


def test_brackets_and_a_censored_arm_by_hand():
    found = only(effects(compared([(1900, 2000), (2400, 2500), 4000], [(900, 1000)] * 3)))
    assert list(found.index) == EFFECTS
    assert (found["n_pairs"], found["n_censored"]) == (3, 1)
    # D / D: 2, 2.5, more than 4.
    assert found["ratio"] == 2.5
    # Lower bounds ln 1.9 = 0.64185, ln 2.4 = 0.87547, ln 4 = 1.38629: mean 0.96787, sd 0.38073; t = 4.30265.
    # 0.96787 - 4.30265 * 0.38073 / 1.73205 = 0.02210. Tolerances: the five digits written here.
    assert found["low"] == pytest.approx(math.exp(0.02210), abs=3e-5)
    assert found["high"] == math.inf
    # All three later for sure: 2 / 2^3.
    assert found["sign_p"] == 0.25
    assert found["zone"] == pytest.approx(0.139762, abs=1e-6)
    # ln 2 = 0.693147 and ln 2.5 = 0.916291: sd 0.157787, t of one degree 12.7062: exp(1.41766).
    assert found["resolvable"] == pytest.approx(math.exp(1.41766), rel=1e-4)
    assert found["verdict"] == "undecided"


def test_a_censored_reference_by_hand():
    arms = compared([(450, 500), (480, 500), (500, 600)], [(1000, 1100), (900, 1000), 4000])
    found = only(effects(arms))
    # 500/1100, 500/1000, less than 600/4000.
    assert found["ratio"] == 500 / 1100
    assert (found["low"], found["n_censored"], found["sign_p"]) == (0, 1, 0.25)
    # Upper bounds ln(500/1000) = -0.69315, ln(500/900) = -0.58779, ln(600/4000) = -1.89712: mean -1.05935,
    # sd 0.72744. -1.05935 + 4.30265 * 0.72744 / 1.73205 = 0.74771.
    assert found["high"] == pytest.approx(math.exp(0.74771), rel=3e-5)
    pairs = pair_effects(check_arms(arms), "arm", None, "control", None, *WHERE)
    assert list(pairs.columns) == ["pair", "kind", "low", "high", "value", "is_censored"]
    assert pairs["low"].tolist() == pytest.approx([math.log(450 / 1100), math.log(480 / 1000), -math.inf])
    assert pairs["high"].tolist() == pytest.approx([math.log(0.5), math.log(500 / 900), math.log(0.15)])
    assert pairs["value"].tolist() == pytest.approx([math.log(500 / 1100), math.log(0.5), NONE], nan_ok=True)
    assert pairs["is_censored"].tolist() == [False, False, True]


def test_zero_spread_and_brackets_alone_by_hand():
    # Every pair the same: no spread, and the interval is what the brackets leave open, 1900/1000 to 2000/900.
    found = only(effects(compared([(1900, 2000)] * 3, [(900, 1000)] * 3)))
    assert (found["low"], found["high"]) == (pytest.approx(1.9, rel=1e-12), pytest.approx(2 / 0.9, rel=1e-12))
    assert (found["ratio"], found["resolvable"], found["verdict"]) == (2, 1, "later")
    earlier = only(effects(compared([(900, 1000)] * 3, [(1900, 2000)] * 3)))
    assert earlier["verdict"] == "earlier"
    equal = only(effects(compared([(1950, 2000)] * 3, [(1950, 2000)] * 3)))
    assert (equal["ratio"], equal["verdict"], equal["sign_p"]) == (1, "equal", 1)
    # Brackets as wide as a third leave equality open.
    assert only(effects(compared([(1500, 2000)] * 3, [(1500, 2000)] * 3)))["verdict"] == "undecided"


def test_both_censored_says_nothing_but_counts():
    found, reasons = effects_and_reasons(check_arms(compared([4000, 4000], [4000, 4000])))
    found = only(found)
    assert (found["n_pairs"], found["n_censored"], found["sign_p"], found["low"]) == (2, 2, 1, 0)
    assert (math.isnan(found["ratio"]), found["high"], found["verdict"]) == (True, math.inf, "undecided")
    assert math.isnan(found["resolvable"])
    assert reasons["why"].tolist() == [
        "no pair says which was first: extend the budget, or evaluate more often"
    ]
    # One of them beside two that are known: half way is no value that a pair has.
    three = only(effects(compared([(1900, 2000), (2900, 3000), 4000], [(900, 1000), (900, 1000), 4000])))
    assert (three["ratio"], three["low"], three["high"], three["sign_p"]) == (2.5, 0, math.inf, 0.5)


@pytest.mark.parametrize(
    ("arms", "controls", "ratio"),
    [
        ([4000, (900, 1000)], [(900, 1000), (900, 1000)], math.inf),
        ([(900, 1000), (900, 1000)], [4000, (900, 1000)], 0),
        ([4000, (900, 1000)], [(900, 1000), 4000], NONE),
        ([(500, 1000), (500, 3000)], [(900, 1000), (900, 1000)], 2),
    ],
)
def test_the_middle_of_two_pairs(arms, controls, ratio):
    assert only(effects(compared(arms, controls)))["ratio"] == pytest.approx(ratio, nan_ok=True)


def test_one_pair_has_no_interval():
    found, reasons = effects_and_reasons(check_arms(compared([(1900, 2000)], [(900, 1000)])))
    found = only(found)
    assert (found["ratio"], found["sign_p"], found["verdict"]) == (2, 1, "undecided")
    assert np.isnan(found[["low", "high", "resolvable"]].astype(float)).all()
    assert reasons["why"].tolist() == ["one pair has no interval: train more pairs"]


def test_events_at_the_first_evaluation_are_not_evaluable():
    first = [(0, 1000)] * 3
    found, reasons = effects_and_reasons(check_arms(compared(first, first)))
    assert only(found)["verdict"] == "not evaluable"
    assert "the evaluation grid is coarser than the effect" in only(reasons)["why"]
    # One that came later is seen, and so is a censored one.
    assert only(effects(compared([*first[:2], (1000, 2000)], first)))["verdict"] == "undecided"
    assert only(effects(compared([4000] * 3, first)))["verdict"] == "later"


def test_pairs_that_are_not_valid_do_not_count():
    arms = compared([(1900, 2000)] * 4, [(900, 1000)] * 4)
    for i, why in ((0, "norm off by 2 %"), (3, "a spike"), (4, "")):
        arms.loc[i, ["valid", "why_not"]] = [False, why]
    found, reasons = effects_and_reasons(check_arms(arms))
    found = only(found)
    assert (found["n_pairs"], found["verdict"]) == (1, "undecided")
    assert reasons[["pair", "why"]].values.tolist() == [
        ["", "one pair has no interval: train more pairs"],
        ["0", "the arm is not valid: norm off by 2 %"],
        ["1", "the reference is not valid: a spike"],
        ["2", "the arm is not valid: no reason is given"],
    ]
    arms["valid"] = False
    found, reasons = effects_and_reasons(check_arms(arms))
    found = only(found)
    assert (found["n_pairs"], found["n_censored"], found["verdict"]) == (0, 0, "not evaluable")
    assert np.isnan(found[["ratio", "low", "high", "sign_p", "resolvable"]].astype(float)).all()
    assert reasons["why"].iloc[0] == "no pair is left"
    assert pair_effects(check_arms(arms), "arm", None, "control", None, *WHERE).empty


def test_events_that_held_at_the_branch_are_left_out():
    arms = compared([(0, 0), (1900, 2000)], [(900, 1000), (0, 0)])
    found, reasons = effects_and_reasons(check_arms(arms))
    assert only(found)["verdict"] == "not evaluable"
    assert reasons["why"].tolist()[1:] == [
        "the event held at the branch already in the arm",
        "the event held at the branch already in the reference",
    ]


def test_the_zone_by_hand():
    # ln D a sixth apart: 1000, 1200, 1440; sd = ln 1.2 = 0.182322, twice that 0.364643.
    exact = [(1000, 1000), (1200, 1200), (1440, 1440)]
    arms = compared([(2000, 2000), (2400, 2400), (2880, 2880)], exact, kind="jitter")
    assert zone(check_arms(arms), "control", None, *WHERE) == pytest.approx(0.364643, abs=1e-6)
    assert only(effects(arms))["zone"] == pytest.approx(0.364643, abs=1e-6)
    assert only(effects(arms))["verdict"] == "later"
    # Seed pairs say nothing about this run; one value has no spread; neither censored nor wrong ones enter.
    assert only(effects(compared(exact, exact)))["zone"] == math.log(1.15)
    fewer = compared([(2000, 2000)] * 3, [(1000, 1000), (1200, 1200), 4000], kind="jitter")
    fewer.loc[1, "valid"] = False
    assert only(effects(fewer))["zone"] == math.log(1.15)
    assert zone(check_arms(fewer), "control", None, *WHERE) == math.log(1.15)
    fewer.loc[1, "valid"] = True
    assert only(effects(fewer))["zone"] == pytest.approx(2 * math.log(1.2) / math.sqrt(2), rel=1e-12)


@pytest.mark.parametrize(("n_pairs", "sd", "expected"), [(3, 0.3, 2.1), (8, 0.3, 1.3)])
def test_what_pairs_can_resolve(n_pairs, sd, expected):
    # Values with exactly this sd, on a grid of steps fine enough for two digits.
    values = np.linspace(-1, 1, n_pairs)
    values *= sd / values.std(ddof=1)
    steps = [(round(1e6 * math.exp(value)),) * 2 for value in values]
    arms = compared(steps, [(1_000_000, 1_000_000)] * n_pairs, budget=10**7)
    assert round(only(effects(arms))["resolvable"], 1) == expected


# --- other ways to compute it


exact_steps = st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)), min_size=2, max_size=12)


@FEW
@given(exact_steps)
def test_exact_times_have_the_t_interval(steps):
    arms, controls = ([(step, step) for step in side] for side in zip(*steps, strict=True))
    values = np.log([mine / control for mine, control in steps])
    assume(values.std() > 1e-9)
    found = only(effects(compared(arms, controls)))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    # Rounding errors of logarithms of up to 10, magnified by t of 13 at most.
    assert np.log([found["low"], found["high"]]) == pytest.approx(expected, abs=1e-10)
    assert found["ratio"] == pytest.approx(np.median([mine / control for mine, control in steps]), rel=1e-12)


@FEW
@given(st.lists(st.sampled_from(["later", "earlier", "open"]), min_size=1, max_size=9))
def test_the_sign_test_is_that_of_all_signs(outcomes):
    brackets = {
        "later": ((1000, 1100), (900, 1000)),
        "earlier": ((900, 1000), (1000, 1100)),
        "open": ((900, 1000), (950, 1100)),
    }
    arms, controls = zip(*(brackets[outcome] for outcome in outcomes), strict=True)
    found = only(effects(compared(arms, controls)))
    signs = [1 if outcome == "later" else -1 for outcome in outcomes if outcome != "open"]
    sums = [abs(sum(flips)) for flips in itertools.product([-1, 1], repeat=len(signs))]
    assert found["sign_p"] == pytest.approx(np.mean([value >= abs(sum(signs)) for value in sums]), rel=1e-12)


def test_the_interval_agrees_with_flipping_all_signs():
    for seed in range(10):
        values = np.random.default_rng(seed).normal(0.1, 0.3, 10)
        flips = np.array(list(itertools.product([-1, 1], repeat=10))) * values
        p = np.mean(np.abs(flips.mean(axis=1)) >= abs(values.mean()) - 1e-12)
        # At the level at which flipping signs just excludes 0 a limit of the interval lies near 0. The two tests differ
        # by a fifth of a standard error here.
        nearest = min(interval(values, values, 1 - p), key=abs)
        assert abs(nearest) < 0.2 * values.std(ddof=1) / math.sqrt(10)


# --- laws

bracket = st.one_of(
    st.tuples(st.integers(0, 5000), st.integers(1, 3000)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    st.integers(1000, 10_000),
)
brackets = st.lists(st.tuples(bracket, bracket), min_size=1, max_size=7)


def sides(pairs):
    return ([side[i] for side in pairs] for i in (0, 1))


MIRRORED = {"later": "earlier", "earlier": "later"}


@pytest.mark.slow
@FEW
@given(brackets)
def test_swapping_arm_and_reference_mirrors(pairs):
    arms, controls = sides(pairs)
    one, other = (only(effects(compared(*both))) for both in ((arms, controls), (controls, arms)))
    assert other["verdict"] == MIRRORED.get(one["verdict"], one["verdict"])
    for name in ("n_pairs", "n_censored", "sign_p", "resolvable"):
        assert other[name] == pytest.approx(one[name], nan_ok=True)
    with np.errstate(divide="ignore"):
        assert other["low"] == pytest.approx(np.float64(1) / one["high"], rel=1e-9, nan_ok=True)
        assert other["high"] == pytest.approx(np.float64(1) / one["low"], rel=1e-9, nan_ok=True)
        if len(pairs) % 2 and not all(isinstance(a, int) and isinstance(b, int) for a, b in pairs):
            n_open = sum(isinstance(a, int) and isinstance(b, int) for a, b in pairs)
            # The median of an even number is a mean of two, whose inverse is not the mean of the inverses.
            if n_open % 2 == 0:
                assert other["ratio"] == pytest.approx(np.float64(1) / one["ratio"], rel=1e-9)


@pytest.mark.slow
@FEW
@given(brackets, st.randoms(use_true_random=False))
def test_names_of_pairs_and_the_order_of_rows_do_not_matter(pairs, random):
    arms = compared(*sides(pairs))
    shuffled = arms.sample(frac=1, random_state=random.randrange(2**32))
    pd.testing.assert_frame_equal(effects(shuffled), effects(arms))
    names = [f"seed {i}" for i in range(len(pairs))]
    random.shuffle(names)
    # Sums in another order differ by rounding errors.
    pd.testing.assert_frame_equal(
        effects(arms.assign(pair=[names[pair] for pair in arms["pair"]])), effects(arms), rtol=1e-9
    )


@pytest.mark.slow
@FEW
@given(brackets, st.sampled_from([2, 3, 10]))
def test_the_unit_of_time_does_not_matter(pairs, factor):
    arms = compared(*sides(pairs))
    longer = arms.assign(**{name: arms[name] * factor for name in ("before", "step", "budget")})
    pd.testing.assert_frame_equal(effects(longer), effects(arms), rtol=1e-9)


bounds = st.lists(st.floats(-3, 3), min_size=2, max_size=8)


@given(bounds, st.floats(0, 5), st.data())
def test_widening_brackets_never_narrows_the_interval(values, width, data):
    low = np.array(values)
    high = low + data.draw(st.lists(st.floats(0, 1), min_size=len(values), max_size=len(values)))
    before = interval(low, high)
    # All of them by as much.
    wider = interval(low - width, high + width)
    assert wider[0] <= before[0] + 1e-9 and wider[1] >= before[1] - 1e-9
    # One alone on its outer side: a lower bound at the mean of them or below, an upper one at the mean or above.
    i, j = int(np.argmin(low)), int(np.argmax(high))
    low[i] -= width
    high[j] += width
    wider = interval(low, high)
    assert wider[0] <= before[0] + 1e-9 and wider[1] >= before[1] - 1e-9
    # Beyond all bounds.
    low[i], high[j] = -math.inf, math.inf
    assert interval(low, high) == (-math.inf, math.inf)


def test_a_wider_bracket_of_an_outlier_can_narrow_it():
    # Said in docs/judging.md: the t interval takes an outlier as a sign of spread, wherever it lies.
    outlier, alike = np.array([0.0, 0.0, 3.0]), np.zeros(3)
    assert interval(outlier, outlier)[0] < -3 < interval(alike, outlier)[0] == 0


@pytest.mark.slow
@FEW
@given(brackets, st.data())
def test_censoring_an_arm_never_makes_it_earlier(pairs, data):
    arms, controls = sides(pairs)
    before = only(effects(compared(arms, controls)))
    i = data.draw(st.integers(0, len(pairs) - 1))
    first = arms[i][0] if isinstance(arms[i], tuple) else arms[i]
    assume(first > 1)
    arms[i] = data.draw(st.integers(1, first))
    after = only(effects(compared(arms, controls)))
    assert after["verdict"] != "earlier"
    assert after["high"] == math.inf or len(pairs) == 1
    assert math.isnan(after["ratio"]) or math.isnan(before["ratio"]) or after["ratio"] >= before["ratio"]


# --- which rows belong together


def test_doses_branch_steps_events_and_kinds_are_effects_of_their_own():
    rows = []
    for kind, branch_step, threshold, dose in itertools.product(
        ("seed", "jitter"), (2500, 4500), (0.9, 0.95), (0.85, 1.15)
    ):
        place = {"kind": kind, "branch_step": branch_step, "threshold": threshold}
        for i in range(2):
            factor = dose * (1 + (branch_step == 4500)) * (1 + 2 * (kind == "seed"))
            step = round(1000 * factor)
            pair = f"{kind} {i}"
            rows.append(row("norm", pair, step, step, dose=dose, reference="control", **place))
            if dose == 0.85:
                rows.append(row("control", pair, 1000, 1000, **place))
    found = effects(table(*rows))
    assert list(found.columns) == [*EFFECTS, "branch_step", "kind"]
    assert len(found) == 16
    for _, effect in found.iterrows():
        expected = (
            effect["dose"] * (1 + (effect["branch_step"] == 4500)) * (1 + 2 * (effect["kind"] == "seed"))
        )
        assert effect["ratio"] == pytest.approx(expected, rel=1e-3)
        assert effect["n_pairs"] == 2


def test_a_reference_is_found_by_its_dose():
    rows = []
    for pair in range(2):
        for dose, step in ((1.0, 1000), (3.0, 500)):
            rows.append(row("decay", pair, step, step, dose=dose))
            rows.append(
                row("shrink", pair, 2 * step, 2 * step, dose=0.5, reference="decay", reference_dose=dose)
                if dose == 3
                else row("noise", pair, step, step, dose=0.5, reference="decay", reference_dose=dose)
            )
    found = effects(table(*rows)).set_index("arm")
    assert found["ratio"].to_dict() == {"noise": 1, "shrink": 2}
    assert found["reference_dose"].to_dict() == {"noise": 1, "shrink": 3}
    # Any two arms can be compared, whichever reference the table names.
    pairs = pair_effects(check_arms(table(*rows)), "shrink", 0.5, "noise", 0.5, *WHERE)
    assert pairs["value"].tolist() == [0, 0]
    assert pair_effects(check_arms(table(*rows)), "shrink", None, "noise", 0.5, *WHERE).empty


def test_a_table_of_controls_alone_has_no_effects():
    found = effects(table(row("control", 0, 900, 1000)))
    assert list(found.columns) == EFFECTS and found.empty

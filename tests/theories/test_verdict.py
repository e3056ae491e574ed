"""Every verdict on tables made by hand, with the numbers worked out beside them."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from interp.theories import ALL, Guard, judged, scoreboard
from interp.theories.arms_table import check_arms
from interp.theories.in_words import ALPHA, pairs_needed
from interp.theories.prediction import Prediction
from interp.theories.scoreboard import LEVELS
from interp.theories.statistic import (
    Absent,
    DoseTrend,
    EffectRatio,
    Equal,
    Growth,
    Level,
    LevelDifference,
    LevelRatio,
    Observed,
    Recovery,
    Region,
    ShareLost,
    Spread,
)
from interp.theories.verdict import COLUMNS, corrected, holm
from tests.theories.tables import row, table

# Wider than any number here.
ANY = Region(-1e9, 1e9)


def predicted(statistic=None, required=ANY, rival_region=None, **facts) -> Prediction:
    stated = {
        "theory": "hidden_progress",
        "name": "by_hand",
        "statement": "A number lies in a region.",
        "source": "Nobody 2026, section 1",
        "statistic": statistic or EffectRatio(arm="arm", over="control"),
        "required": required,
        "rival": "the other account",
        "rival_region": rival_region,
        "identification": "none",
        "assumptions": "none",
        "stress_test": "none",
        "does_not_show": "Anything.",
        "needs": "Train the arms",
        "command": "interp battery RUN",
    }
    return Prediction(**(stated | facts))


def exact(**steps):
    """Arms whose events are known to 1e-9 of a step: name -> steps of its pairs; name__dose for an arm with a dose."""
    rows = []
    for name, values in steps.items():
        arm, _, dose = name.partition("__")
        for pair, step in enumerate(values):
            place = {"reference": "" if arm.startswith("control") else "control"}
            if dose:
                place["dose"] = float(dose)
            rows.append(row(arm.replace("_", "-"), pair, step - 1e-9, step, **place))
    return check_arms(table(*rows))


def levels(**values):
    """arm__quantity or arm__dose__quantity -> values of its pairs."""
    rows = []
    for name, numbers in values.items():
        arm, *dose, quantity = name.split("__")
        for pair, value in enumerate(numbers):
            numeric = float(dose[0]) if dose else math.nan
            place = (arm.replace("_", "-"), numeric, str(pair), "seed", "", math.nan, 2500, quantity)
            rows.append((*place, float(value), True, ""))
    return pd.DataFrame(rows, columns=LEVELS)


# ln ratios .6, .7, .8: mean .7, sd .1, and t_{.975, 2} = 4.30265 gives .7 +- .248414: 1.5706 to 2.5814.
LATE = exact(control=[1000, 1000, 1000], arm=[1000 * math.exp(x) for x in (0.6, 0.7, 0.8)])
LOW, HIGH = math.exp(0.7 - 0.248414), math.exp(0.7 + 0.248414)


def verdict_of(prediction, arms=LATE, level_table=None, observed=None):
    return judged(prediction, arms, level_table, observed or {})


def test_supported_is_required_and_forbidden_by_the_rival():
    found = verdict_of(predicted(required=Region(low=1.25), rival_region=Region(1 / 1.15, 1.15)))
    assert found.verdict == "supported"
    # t_{.975, 2} is known to six digits above.
    assert (found.low, found.high) == pytest.approx((LOW, HIGH), rel=1e-5)
    assert found.value == pytest.approx(math.exp(0.7))
    assert found.why == (
        "D(arm)/D(control), test_accuracy 0.95 is 2.01, 1.57 to 2.58 (3 pairs); the theory requires at least 1.25, the "
        "rival (the other account) 0.87 to 1.15."
    )
    assert found.would_change == (
        "An interval that leaves at least 1.25, or that reaches what the rival requires, 0.87 to 1.15; now the "
        "interval ends at 1.57."
    )


@pytest.mark.parametrize("rival_region", [None, Region(low=1.2), Region(high=1.6), Region(2.5, 3.0)])
def test_consistent_where_the_rival_allows_it_or_says_nothing(rival_region):
    found = verdict_of(predicted(required=Region(low=1.25), rival_region=rival_region))
    assert found.verdict == "consistent"
    assert ("says nothing about it" if rival_region is None else "allows it too") in found.why
    assert "the rival says something else" in found.would_change


@pytest.mark.parametrize(
    ("required", "forbidden"),
    [(Region(low=3.0), None), (Region(high=1.5), None), (Region(high=0.8), Region(low=1.0))],
)
def test_contradicted_is_wholly_forbidden(required, forbidden):
    found = verdict_of(predicted(required=required, forbidden=forbidden))
    assert found.verdict == "contradicted"
    assert str(required) in found.would_change and str(required) in found.why


def test_undecided_says_how_many_pairs_would_decide():
    # .7 lies .0069 above ln 2: t_{.975, n-1} .1 / sqrt n < .006853 first at n = 821 (1.9629 * .1 / 28.65 = .006850).
    found = verdict_of(predicted(required=Region(low=2.0), rival_region=Region(high=1.0)))
    assert found.verdict == "undecided"
    assert found.would_change == (
        "About 821 pairs of this spread 0.1 of the logarithm would decide (supported); there are 3."
    )
    # ln 1.7 lies .1694 below .7: t .1 / sqrt n is .1241 at n = 5 and .1591 at n = 4.
    found = verdict_of(predicted(required=Region(low=1.7)))
    assert found.would_change.startswith("About 4 pairs")
    # A thousandth from the edge: more than a thousand pairs.
    found = verdict_of(predicted(required=Region(low=math.exp(0.699))))
    assert found.would_change.startswith("More than 1000 pairs")


def test_undecided_between_required_and_forbidden_says_that_no_pairs_help():
    found = verdict_of(predicted(required=Region(high=1.0), forbidden=Region(low=3.0)))
    assert found.verdict == "undecided"
    assert found.would_change.startswith(
        "No number of pairs like these: they would come to 2.01 to 2.01, neither"
    )
    assert "nor wholly in what it forbids, at least 3" in found.why


def test_what_brackets_leave_open_no_number_of_pairs_decides():
    # Brackets of 100 steps: D(arm)/D(control) lies between 1200/1000 and 1300/900 whatever the number of pairs.
    rows = [row("control", pair, 900, 1000, reference="") for pair in range(3)]
    rows += [row("arm", pair, 1200, 1300 + pair) for pair in range(3)]
    arms = check_arms(table(*rows))
    found = verdict_of(predicted(required=Region(low=1.3)), arms)
    assert found.verdict == "undecided"
    assert found.would_change.startswith("No number of pairs like these: they would come to 1.2 to 1.4")
    assert "evaluations closer together" in found.would_change


def test_another_event_may_say_something_else():
    rows = []
    for event, threshold, d in (("test_accuracy", 0.95, 1180), ("test_loss", 1.0, 1300)):
        place = {"event": event, "threshold": threshold}
        for pair, more in enumerate((0, 1, 2)):
            rows.append(row("control", pair, 1000 - 1e-9, 1000, reference="", **place))
            rows.append(row("arm", pair, d + more - 1e-9, d + more, **place))
    found = verdict_of(predicted(required=Region(low=1.25)), check_arms(table(*rows)))
    assert found.verdict == "contradicted"
    (other,) = found.elsewhere
    assert (other.event, other.threshold, other.verdict) == ("test_loss", 1.0, "consistent")
    assert other.value == pytest.approx(1.301)
    assert found.row["other_events"] == "test loss 1: 1.3, consistent"
    # A level has no event of its own.
    level_table = levels(arm__x=[1, 2, 3])
    assert (
        verdict_of(predicted(Level(arm="arm", quantity="x")), check_arms(table(*rows)), level_table).elsewhere
        == ()
    )


def test_one_pair_has_no_interval():
    found = verdict_of(predicted(required=Region(low=1.25)), exact(control=[1000], arm=[2000]))
    assert (found.verdict, found.value) == ("undecided", pytest.approx(2.0))
    assert math.isnan(found.low) and found.would_change == "One pair has no spread: at least 2 more."


def test_not_evaluable_names_the_check():
    arms = table(
        *[row("control", i, 900, 1000) for i in range(3)],
        *[
            row("arm", i, 900, 1000, reference="control", valid=False, why_not="norm path off by 3 %")
            for i in range(3)
        ],
    )
    found = verdict_of(predicted(required=Region(low=1.25)), check_arms(arms))
    assert found.verdict == "not evaluable"
    assert found.why == "The check failed: arm did not do what it says: norm path off by 3 %."
    first = table(
        *[row("control", i, 0, 1000) for i in range(3)],
        *[row("arm", i, 0, 1000, reference="control") for i in range(3)],
    )
    found = verdict_of(predicted(required=Region(low=1.25)), check_arms(first))
    assert (
        "every event lies at the first evaluation: the evaluation grid is coarser than the effect"
        in found.why
    )
    there = table(
        *[
            row(arm, i, 0, 0, reference="" if arm == "control" else "control")
            for arm in ("control", "arm")
            for i in (0, 1)
        ]
    )
    found = verdict_of(predicted(), check_arms(there))
    assert found.why == "The check failed: arm: test_accuracy 0.95 held at the branch already."


def test_a_guard_that_fails_or_cannot_be_read_is_named():
    slow = Guard(
        statistic=EffectRatio(arm="arm", over="control"),
        region=Region(high=1.0),
        says="the mirror is no slower",
    )
    found = verdict_of(predicted(required=Region(low=1.25), guards=(slow,)))
    assert (found.verdict, found.why) == (
        "not evaluable",
        "The check failed: the mirror is no slower (D(arm)/D(control), test_accuracy 0.95 is 2.01).",
    )
    gone = dataclasses.replace(slow, statistic=EffectRatio(arm="mirror", over="control"))
    found = verdict_of(predicted(required=Region(low=1.25), guards=(gone,)))
    assert found.verdict == "not testable here"
    assert found.why == "Not there: mirror was not trained, for the check that the mirror is no slower."
    holds = dataclasses.replace(slow, region=Region(low=1.5))
    assert verdict_of(predicted(required=Region(low=1.25), guards=(holds,))).verdict == "consistent"


@pytest.mark.parametrize(
    ("statistic", "missing"),
    [
        (EffectRatio(arm="other", over="control"), "other was not trained"),
        (
            EffectRatio(arm="arm", over="control", threshold=0.9),
            "arm has no rows of test_accuracy 0.9 at branch step 2500",
        ),
        (EffectRatio(arm="arm", dose=2.0, over="control"), "arm at dose 2 was not trained"),
        (DoseTrend(arm="arm"), "arm needs 3 doses for a trend, it has 0"),
        (Growth(arm="arm", over="control"), "arm needs two branch points, it has 1"),
        (ShareLost(arm="arm", over="control"), "arm was not trained: there is no table of arms or levels"),
        (Level(arm="arm", quantity="x"), "arm was not trained: there is no table of arms or levels"),
        (Spread(quantity="x"), "no arm has a level 'x'"),
        (Equal(comparisons=(("a", None, "b", None),)), "a was not trained"),
        (Absent(what="nobody measures it"), "nobody measures it"),
        (Observed(function="restricted_before_test"), "the table 'progress_measures' is missing"),
    ],
)
def test_not_testable_here_says_what_is_missing_and_the_command(statistic, missing):
    found = verdict_of(predicted(statistic))
    assert (found.verdict, found.why) == ("not testable here", f"Not there: {missing}.")
    assert found.would_change == "Train the arms: interp battery RUN"


def test_a_recovered_share_by_hand():
    # Without noise: ln D(moved) is .8, ln D(matched) is .2 above the control: 1 - .2 / .8.
    steps = {
        "control": [1000.0] * 3,
        "moved__1.15": [1000 * math.exp(0.8)] * 3,
        "matched__1.15": [1000 * math.exp(0.2)] * 3,
    }
    statistic = Recovery(matched="matched", matched_dose=1.15, moved="moved", moved_dose=1.15, over="control")
    found = verdict_of(predicted(statistic, Region(low=0.7), Region(high=0.3)), exact(**steps))
    # Events are known to 1e-9 of a step.
    assert (found.low, found.value, found.high) == pytest.approx((0.75, 0.75, 0.75), abs=1e-6)
    assert found.verdict == "supported"


def test_a_recovered_share_has_the_ends_of_fieller():
    x, y = np.array([0.7, 0.8, 0.95, 0.75]), np.array([0.1, 0.25, 0.15, 0.3])
    steps = {"control": [1000.0] * 4, "moved__1.15": 1000 * np.exp(x), "matched__1.15": 1000 * np.exp(y)}
    statistic = Recovery(matched="matched", matched_dose=1.15, moved="moved", moved_dose=1.15, over="control")
    found = verdict_of(predicted(statistic), exact(**steps))
    # (mean y - q mean x)^2 = t^2 (var y - 2 q cov + q^2 var x) / n, q = 1 - r; t_{.975, 3} = 3.182446.
    k = 3.182446**2 / 4
    cov = np.cov(x, y)
    roots = np.roots(
        [
            x.mean() ** 2 - k * cov[0, 0],
            -2 * (x.mean() * y.mean() - k * cov[0, 1]),
            y.mean() ** 2 - k * cov[1, 1],
        ]
    )
    assert (found.low, found.high) == pytest.approx((1 - max(roots), 1 - min(roots)), abs=1e-5)


def test_nothing_is_recovered_of_an_effect_that_is_none():
    steps = {"control": [1000.0] * 3, "moved__1.15": [900.0, 1000.0, 1100.0], "matched__1.15": [1000.0] * 3}
    statistic = Recovery(matched="matched", matched_dose=1.15, moved="moved", moved_dose=1.15, over="control")
    found = verdict_of(predicted(statistic), exact(**steps))
    assert found.verdict == "not evaluable"
    assert "moved at dose 1.15 does not move the event for sure" in found.why


def test_a_faster_arm_is_recovered_alike():
    steps = {
        "control": [1000.0] * 3,
        "moved__1.15": [1000 * math.exp(-0.8)] * 3,
        "matched__1.15": [1000 * math.exp(-0.2)] * 3,
    }
    statistic = Recovery(matched="matched", matched_dose=1.15, moved="moved", moved_dose=1.15, over="control")
    found = verdict_of(predicted(statistic), exact(**steps))
    assert (found.low, found.value, found.high) == pytest.approx((0.75, 0.75, 0.75), abs=1e-6)


def test_a_share_lost_is_counted_in_the_stretch():
    # 200, 300 and 400 of 1000 steps: .2, .3, .4.
    arms = exact(control=[1000, 1100, 1200], arm=[1200, 1400, 1600])
    found = verdict_of(
        predicted(ShareLost(arm="arm", over="control"), Region(high=0.25), Region(low=0.75)),
        arms,
        levels(arm__frozen_steps=[1000, 1000, 1000]),
    )
    # sd .1, 3 pairs: .3 +- .248414.
    assert (found.low, found.value, found.high) == pytest.approx(
        (0.3 - 0.248414, 0.3, 0.3 + 0.248414), abs=1e-5
    )
    assert found.verdict == "undecided"


def test_growth_with_age_is_that_of_the_later_branch_point():
    early = exact(control=[1000, 1000], arm=[1100, 1300])
    late = exact(control=[500, 500], arm=[1000, 1200]).assign(branch_step=4500)
    found = verdict_of(
        predicted(Growth(arm="arm", over="control"), Region(low=0.0)), pd.concat([early, late])
    )
    # 200 and 600, sd 141.42 each: 400 +- t_{.975, 2} 141.42 = 608.49.
    assert (found.low, found.value, found.high) == pytest.approx(
        (400 - 608.487, 400, 400 + 608.487), abs=0.01
    )


def test_a_dose_trend_is_a_slope_in_the_logarithm_of_the_dose():
    steps = {
        "control": [1000, 1000],
        **{f"arm__{dose}": [1000 / dose, 900 / dose] for dose in (0.5, 1.0, 2.0)},
    }
    found = verdict_of(predicted(DoseTrend(arm="arm"), Region(high=-0.5)), exact(**steps))
    assert (found.low, found.value, found.high) == pytest.approx((-1, -1, -1), abs=1e-6)
    steps |= {f"sham__{dose}": [1000 / dose, 900 / dose] for dose in (0.5, 1.0, 2.0)}
    found = verdict_of(predicted(DoseTrend(arm="arm", over="sham")), exact(**steps))
    assert found.value == pytest.approx(0, abs=1e-9)


def test_levels_by_hand():
    # .1, .2, .3: sd .1.
    table_of = levels(arm__x=[0.1, 0.2, 0.3], control__x=[0.1, 0.1, 0.1])
    found = verdict_of(predicted(Level(arm="arm", quantity="x"), Region(high=0.5)), None, table_of)
    assert (found.low, found.value, found.high) == pytest.approx(
        (0.2 - 0.248414, 0.2, 0.2 + 0.248414), abs=1e-5
    )
    found = verdict_of(predicted(LevelDifference(arm="arm", over="control", quantity="x")), None, table_of)
    assert (found.value, found.high) == pytest.approx((0.1, 0.1 + 0.248414), abs=1e-5)


def test_shares_are_counted_and_a_few_that_agree_are_no_proof():
    five = levels(arm__in_keys=[1] * 5, sham__in_keys=[0] * 5)
    found = verdict_of(predicted(Level(arm="arm", quantity="in_keys"), Region(low=0.8)), None, five)
    # Wilson: n / (n + z^2) = 5 / (5 + 3.841459).
    assert (found.low, found.high) == pytest.approx((5 / 8.841459, 1.0), abs=1e-6)
    difference = LevelDifference(arm="arm", over="sham", quantity="in_keys")
    found = verdict_of(predicted(difference, Region(low=0.2), Region(-0.2, 0.2)), None, five)
    # Newcombe: 1 - sqrt(2) * (1 - .565518).
    assert found.low == pytest.approx(1 - math.sqrt(2) * (1 - 5 / 8.841459), abs=1e-6)
    assert found.verdict == "supported"
    four = levels(arm__in_keys=[1, 1, 1, 1, 0], sham__in_keys=[0, 0, 0, 0, 1])
    assert (
        verdict_of(predicted(difference, Region(low=0.2), Region(-0.2, 0.2)), None, four).verdict
        == "undecided"
    )


def test_a_spread_is_over_all_arms_of_a_pair():
    table_of = levels(a__x=[9, 9], b__x=[10, 10], c__x=[11, 11])
    found = verdict_of(predicted(Spread(quantity="x"), Region(high=0.05)), None, table_of)
    assert (found.value, found.verdict) == (pytest.approx(0.2), "contradicted")
    later = levels(a__x=[90, 90], b__x=[9, 9]).assign(branch_step=4500)
    both = pd.concat([table_of, later])
    assert verdict_of(predicted(Spread(quantity="x")), None, both).value == pytest.approx(0.2)
    found = verdict_of(predicted(Spread(quantity="x")), None, levels(a__x=[9, 9], b__x=[10, 10]))
    few = "Not there: a spread of 'x' needs 3 arms that have it in every pair, there are 2."
    assert found.why == few
    # Four arms, and no pair has three of them.
    crossed = pd.concat([levels(a__x=[9], b__x=[10]), levels(c__x=[9], d__x=[10]).assign(pair="1")])
    assert verdict_of(predicted(Spread(quantity="x")), None, crossed).why == few


def test_pairs_of_which_little_was_trained_have_no_spread_of_none():
    one = levels(control__x=[10, 10, 10, 10])
    both = pd.concat([one, levels(a__x=[9, 9], b__x=[11, 11])])
    found = verdict_of(predicted(Spread(quantity="x"), Region(high=0.05)), None, both)
    assert (found.value, found.verdict) == (pytest.approx(0.2), "contradicted")
    assert "2 pairs, 3 arms" in found.why
    # What did not come in one pair is in none.
    late = pd.concat([both, levels(d__x=[30, math.nan])])
    found = verdict_of(predicted(Spread(quantity="x"), Region(high=0.05)), None, late)
    assert found.value == pytest.approx(0.2)
    assert "2 pairs, 3 arms; without 1 arm not known in every pair" in found.why


def test_a_value_that_some_pairs_lack_is_not_judged_by_the_others():
    known = levels(a__angle_at_event=[1, 1, math.nan], b__angle_at_event=[1, 1, 1], b__x=[1, math.nan, 1])
    ratio = LevelRatio(arm="a", over="b", quantity="angle_at_event")
    found = verdict_of(predicted(ratio, Region(high=1.15)), None, known)
    assert found.verdict == "not evaluable"
    assert "a has no 'angle_at_event' in 1 of 3 pairs, the event did not come there" in found.why
    found = verdict_of(predicted(Level(arm="b", quantity="x")), None, known)
    assert "b has no 'x' in 1 of 3 pairs, there was nothing to measure there" in found.why


def test_a_guard_does_not_hold_of_what_is_not_known():
    guard = Guard(
        statistic=EffectRatio(arm="slow", over="fast"), region=Region(low=1.25), says="slow is slower"
    )
    asked = predicted(required=Region(low=1.25), rival_region=Region(high=1.1), guards=(guard,))
    rows = [row("control", i, 990, 1000) for i in range(3)]
    rows += [row("arm", i, 1990, 2000, reference="control") for i in range(3)]

    def with_guard(slow, fast):
        """Where each had not come, or None where it came at 1000."""
        more = []
        for name, until in (("slow", slow), ("fast", fast)):
            place = {"reference": "control", **({} if until is None else {"budget": until})}
            end = (990, 1000) if until is None else (until, None)
            more += [row(name, i, *end, **place) for i in range(3)]
        return verdict_of(asked, check_arms(table(*rows, *more)))

    assert with_guard(4000, None).verdict == "supported"
    for slow, fast, bounds in (
        (4000, 4000, "0 to inf"),
        (1050, None, "1.05 to inf"),
        (None, 4000, "0 to 0.25"),
    ):
        found = with_guard(slow, fast)
        assert found.verdict == "not evaluable", (slow, fast)
        assert f"slow is slower (D(slow)/D(fast), test_accuracy 0.95 is {bounds})" in found.why


def test_equality_is_of_the_arm_that_is_furthest_off():
    arms = exact(control=[1000] * 3, a=[800, 800, 800.0], b=[1000, 1010, 990])
    both = Equal(comparisons=(("a", None, "control", None), ("b", None, "control", None)))
    found = verdict_of(predicted(both, Region(high=1.15), Region(low=1.25)), arms)
    assert (found.value, found.low, found.high) == pytest.approx((1.25, 1.25, 1.25))
    assert found.verdict == "contradicted"
    # Together at 95 %: each at 97.5 %, t_{.9875, 2} = 6.20535, sd .01 to 1e-4.
    alone = Equal(comparisons=(("b", None, "control", None), ("b", None, "control", None)))
    found = verdict_of(predicted(alone, Region(high=1.15), Region(low=1.25)), arms)
    assert (found.low, found.verdict) == (1.0, "supported")
    assert found.high == pytest.approx(math.exp(6.20535 * 0.01 / math.sqrt(3)), rel=1e-3)


def test_one_pair_of_a_comparison_leaves_the_furthest_of_all_open():
    """Its own interval has no ends, and it may be the furthest."""
    rows = [
        row(name, i, 999, 1000, reference="" if name == "control" else "control")
        for name in ("control", "a")
        for i in range(3)
    ]
    rows += [row("b", 0, 2999, 3000, reference="control")]
    both = Equal(comparisons=(("a", None, "control", None), ("b", None, "control", None)))
    found = verdict_of(predicted(both, Region(high=1.15), Region(low=1.25)), check_arms(table(*rows)))
    assert (found.value, found.verdict) == (pytest.approx(3), "undecided") and math.isnan(found.high)


def test_more_pairs_decide_between_several_comparisons_too():
    """The correction for their number does not stay where pairs are many."""
    x = np.array([-0.3, 0.0, 0.3])
    arms = exact(control=[1000] * 3, a=1000 * np.exp(x), b=1000 * np.exp(-x))
    asked = Equal(comparisons=(("a", None, "control", None), ("b", None, "control", None)))
    found = verdict_of(predicted(asked, Region(high=1.15), Region(low=1.25)), arms)
    assert found.verdict == "undecided"
    # Half of the correction is a level of .5, at which these three pairs end at 1.152.
    assert "pairs of this spread 0.3 of the logarithm would decide (supported)" in found.would_change


def test_censored_pairs_count_as_bounds():
    rows = [row("control", i, 990, 1000) for i in range(3)]
    rows += [row("arm", i, 4000, None, budget=4000, reference="control") for i in range(3)]
    found = verdict_of(
        predicted(required=Region(low=2.0), rival_region=Region(high=1.15)), check_arms(table(*rows))
    )
    # Beyond 4000 against at most 1000, in every pair.
    assert (found.low, found.high, found.value) == (pytest.approx(4.0), math.inf, math.inf)
    assert found.verdict == "supported" and "3 with an event that did not come" in found.why
    found = verdict_of(predicted(required=Region(low=8.0)), check_arms(table(*rows)))
    assert found.verdict == "undecided" and found.would_change.startswith("A larger budget")


def test_a_pair_of_which_nothing_came_leaves_the_value_and_opens_the_interval():
    rows = [row("control", i, 1000, 1000) for i in range(2)] + [row("control", 2, 4000, None, budget=4000)]
    rows += [row("arm", i, 2000, 2000, reference="control") for i in range(2)]
    rows += [row("arm", 2, 4000, None, budget=4000, reference="control")]
    found = verdict_of(predicted(required=Region(low=1.25)), check_arms(table(*rows)))
    assert (found.value, found.low, found.high) == (pytest.approx(2.0), 0.0, math.inf)
    assert found.verdict == "undecided"


def test_the_main_branch_step_is_the_one_named_first():
    later = exact(control=[1000] * 3, arm=[1000] * 3).assign(branch_step=4500)
    both = pd.concat([LATE, later])
    at = {step: judged(predicted(), both, None, {}, branch_steps=(step,)).value for step in (2500, 4500)}
    assert at == pytest.approx({2500: math.exp(0.7), 4500: 1.0})
    assert judged(predicted(), both, None, {}).value == pytest.approx(math.exp(0.7))


def test_both_kinds_of_pairs_are_never_mixed():
    jitter = LATE.assign(kind="jitter", pair=[f"j{pair}" for pair in LATE["pair"]])
    with pytest.raises(
        ValueError, match="A verdict needs pairs of one kind, got jitter and seed. They answer different"
    ):
        verdict_of(predicted(), pd.concat([LATE, jitter]))
    board = scoreboard([predicted(required=Region(low=1.25))], pd.concat([LATE, jitter]), None, {})
    assert list(board["verdict"]) == ["consistent", "consistent"]


def test_holm_by_hand():
    # Ordered .005, .015, .03, .04 against .0125, .0167, .025, .05: .03 > .025 stops it, .04 <= .05 does not count.
    assert holm([0.03, 0.005, 0.04, 0.015], 0.05) == [False, True, False, True]
    assert holm([0.02, 0.02], 0.05) == [True, True]
    assert holm([], 0.05) == []


def test_primary_rows_are_corrected_and_the_lost_one_says_so():
    # t = (.7 - ln edge) / (.1 / sqrt 3) with 2 degrees of freedom. One-sided p at edge 1.25: t = 8.2593, p = .0071736;
    # at 1.05: t = 11.2793, p = .0038837; and of an undecided row 1. Levels .025 / 3 = .00833, .0125, .025.
    edges = {"far": 1.05, "near": 1.25, "open": 2.0}
    rows = [
        verdict_of(
            predicted(required=Region(low=edge), name=name, primary=True, rival_region=Region(high=1.0))
        )
        for name, edge in edges.items()
    ]
    assert [row.p for row in rows[:2]] == pytest.approx([0.0038837, 0.0071736], rel=1e-3)
    assert [row.verdict for row in corrected(rows)] == ["supported", "supported", "undecided"]
    # Five such rows: .005 for the first, .00625 for the second.
    more = [*rows, dataclasses.replace(rows[2]), dataclasses.replace(rows[2])]
    found = corrected(more)
    assert [row.verdict for row in found] == ["supported", "undecided", "undecided", "undecided", "undecided"]
    assert found[1].why.endswith(
        "It is supported by itself (p = 0.0072), not after Holm's correction for 5 primary rows."
    )
    # .4769 from the edge at one-sided .005: t_{.995, 3} = 5.8409 * .1 / 2 = .29 is enough with 4 pairs.
    assert found[1].would_change.startswith("About 4 pairs")
    plain = dataclasses.replace(rows[1].prediction, primary=False)
    assert corrected([*more[:1], verdict_of(plain), *more[2:]])[1].verdict == "supported"


def test_the_least_level_is_that_at_which_the_interval_touches_the_edge():
    found = verdict_of(predicted(required=Region(low=1.25), primary=True))
    for factor, holds in ((1.01, True), (0.99, False)):
        low, _ = found.found.interval(1 - 2 * found.p * factor)
        assert (low >= 1.25) is holds


def test_a_ratio_of_levels_is_taken_by_pairs():
    # ln ratios .6, .7, .8, as in LATE.
    level_table = levels(a__x=[math.exp(x) for x in (0.6, 1.7, 0.8)], b__x=[1.0, math.exp(1), 1.0])
    found = verdict_of(predicted(LevelRatio(arm="a", over="b", quantity="x")), None, level_table)
    assert (found.low, found.high) == pytest.approx((LOW, HIGH), rel=1e-5)
    assert found.value == pytest.approx(math.exp(0.7))
    level_table = levels(a__x=[1.0, 2.0], b__x=[1.0, 0.0])
    found = verdict_of(predicted(LevelRatio(arm="a", over="b", quantity="x")), None, level_table)
    assert found.verdict == "not evaluable" and "above 0" in found.why


def test_pairs_needed_is_the_first_that_is_enough():
    from scipy import stats

    for distance, sd in ((0.2, 0.3), (0.05, 0.3), (1.0, 0.1)):
        n = pairs_needed(distance, sd)
        half = [stats.t.ppf(1 - ALPHA, m - 1) * sd / math.sqrt(m) for m in (n - 1, n) if m > 1]
        assert half[-1] < distance <= (half[0] if len(half) > 1 else math.inf)


def test_a_prediction_of_anything_is_none():
    with pytest.raises(
        ValueError, match="Prediction 'by_hand' needs a bound of what is required, got none. What holds of"
    ):
        predicted(required=Region())


def test_a_region_is_not_upside_down():
    with pytest.raises(ValueError, match="A region needs low of at most high, got 2 and 1. Exchange them."):
        Region(2.0, 1.0)


def test_the_scoreboard_has_its_columns_and_no_total():
    predictions = [prediction for theory in ALL for prediction in theory.predictions]
    board = scoreboard(predictions, None, None, {})
    assert list(board.columns) == COLUMNS
    assert list(zip(board["theory"], board["prediction"], strict=True)) == [
        (p.theory, p.name) for p in predictions
    ]
    assert set(board["verdict"]) == {"not testable here"}
    assert set(board["status"]) == {"exploratory"}


def test_levels_without_a_column_are_refused():
    good = levels(arm__x=[0.1])
    with pytest.raises(
        ValueError, match="A table of levels needs the columns value, and has arm, .*. Add them"
    ):
        scoreboard([predicted()], None, good.drop(columns="value"), {})
    with pytest.raises(
        ValueError, match="A table of levels needs numbers in value, got texts. Leave out what was not"
    ):
        scoreboard([predicted()], None, good.assign(value="many"), {})

    with pytest.raises(ValueError, match="got x of arm in pair 0 twice. Leave one of them."):
        scoreboard([predicted()], None, pd.concat([good, good]), {})


def test_an_observation_that_no_theory_lists_is_refused():
    with pytest.raises(
        ValueError, match="Theory 'hidden_progress' needs an observation 'eval', it has none of that name"
    ):
        verdict_of(predicted(Observed(function="eval")))


@pytest.mark.parametrize("never", ["arm", "control"])
def test_equality_of_what_never_came_is_undecided_or_contradicted_and_no_error(never):
    came = {"arm": (990, 1000), "control": (990, 1000)} | {never: (4000, None)}
    rows = [row("control", i, *came["control"], budget=4000) for i in range(3)]
    rows += [row("arm", i, *came["arm"], budget=4000, reference="control") for i in range(3)]
    both = Equal(comparisons=(("arm", None, "control", None),))
    found = verdict_of(predicted(both, Region(high=1.15), Region(low=1.25)), check_arms(table(*rows)))
    # Beyond 4000 against at most 1000: at least a factor 4, which way does not matter to equality.
    assert (found.low, found.high, found.verdict) == (pytest.approx(4.0), math.inf, "contradicted")


def test_tables_without_rows_are_as_none():
    found = judged(predicted(), pd.DataFrame(), pd.DataFrame(), {})
    assert found.verdict == "not testable here"

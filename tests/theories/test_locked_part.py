"""What a lock promised decides the locked verdict; more pairs, longer budgets and other arms stand beside it."""

import dataclasses
import math

import pandas as pd
import pytest

from interp.theories import scoreboard, write_lock
from interp.theories.arms_table import check_arms
from interp.theories.locked_part import arms_under_lock, levels_under_lock, pairs_under_lock
from interp.theories.scoreboard import check_levels
from interp.theories.statistic import EffectRatio, LevelRatio, Region
from tests.theories.tables import row, table
from tests.theories.test_verdict import levels, predicted

LATER = predicted(name="later", required=Region(low=1.25), rival_region=Region(high=1.1), primary=True)
OTHER = predicted(
    name="of_another_arm",
    statistic=EffectRatio(arm="other", over="control"),
    required=Region(low=1.25),
    rival_region=Region(high=1.1),
)


def entry(name, budget, dose=None, at=2500, key=None):
    arm = {"name": name} if dose is None else {"name": name, "dose": dose}
    return {"arm": arm, "at": at, "budget": budget, "key": key or name}


@pytest.fixture
def lock(tmp_path):
    return write_lock(
        tmp_path / "predictions.json",
        run={"name": "mainline"},
        branch_steps=[2500],
        arms=[entry("control", 4000), entry("arm", 4000)],
        n_pairs=3,
        thresholds={},
        predictions=[LATER, OTHER],
    )


def trained(steps, **of_arm):
    """The control's event at 1000 in each pair, the arm's at these steps."""
    rows = []
    for pair, step in enumerate(steps):
        at = {"before": step - 10, "step": step, "budget": step + 20, **of_arm}
        rows.append(row("control", pair, 990, 1000, budget=4000, kind="jitter"))
        rows.append(row("arm", pair, kind="jitter", reference="control", **at))
    return table(*rows)


def test_what_was_promised_is_judged_as_it_is(lock):
    arms = check_arms(trained([2000, 2020, 2040]))
    pd.testing.assert_frame_equal(arms_under_lock(lock, arms), arms, check_dtype=False)
    board = scoreboard(lock, arms, None, {})
    assert list(board["status"]) == ["this run", "not tested"]
    assert board["verdict"][0] == "supported"


def test_more_pairs_are_exploratory_and_leave_the_locked_verdict(lock):
    # Two further pairs in which the arm is no later.
    arms = trained([2000, 2020, 2040, 1000, 1000])
    assert {*arms_under_lock(lock, check_arms(arms))["pair"]} == {"0", "1", "2"}
    board = scoreboard(lock, arms, None, {}).set_index("status")
    promised = scoreboard(lock, trained([2000, 2020, 2040]), None, {}).set_index("status")
    pd.testing.assert_series_equal(board.loc["this run"], promised.loc["this run"])
    assert board.loc["exploratory", "prediction"] == "later"
    assert (board.loc["this run", "verdict"], board.loc["exploratory", "verdict"]) == (
        "supported",
        "undecided",
    )


def test_what_came_after_the_promised_budget_is_censored_there(lock):
    arms = trained([5000, 5000, 5000])
    part = arms_under_lock(lock, check_arms(arms))
    late = part[part["arm"] == "arm"]
    assert late["step"].isna().all() and {*late["before"]} == {*late["budget"]} == {4000}
    board = scoreboard(lock, arms, None, {}).set_index("status")
    # Later than 4000 of 1000 is known, how much later is not; with the longer budget it is.
    assert board.loc["this run", "verdict"] == board.loc["exploratory", "verdict"] == "supported"
    assert board.loc["this run", "high"] == math.inf and board.loc["exploratory", "high"] < 6


def test_arms_and_branch_points_beside_the_lock_are_exploratory(lock):
    other = trained([2000, 2020, 2040])
    other = other[other["arm"] == "arm"].assign(arm="other")
    elsewhere = trained([2000, 2020, 2040]).assign(branch_step=4500)
    both = pd.concat([trained([2000, 2020, 2040]), other, elsewhere])
    assert len(arms_under_lock(lock, check_arms(both))) == 6
    board = scoreboard(lock, both, None, {})
    found = dict(zip(board["prediction"] + " " + board["status"], board["verdict"], strict=True))
    # Told once, and as what it is: nobody promised this arm.
    assert found["of_another_arm exploratory"] == "supported"
    assert "of_another_arm not tested" not in found and found["later this run"] == "supported"


def test_an_arm_of_several_runs_has_the_budget_of_its_point(tmp_path):
    """Each run leaves at a step of its own, and a table tells that of one of them."""
    lock = write_lock(
        tmp_path / "predictions.json",
        run={"name": "a, b"},
        branch_steps=[400],
        arms=[entry("control", 4000, at=400), entry("control", 6000, at=600)],
        n_pairs=2,
        thresholds={},
        predictions=[LATER],
    )
    for at in (400, 600):
        arms = check_arms(table(row("control", 0, 7000, budget=7000)).assign(branch_step=at))
        assert list(arms_under_lock(lock, arms)["budget"]) == [6000]


def test_pairs_that_are_no_numbers_and_levels_of_pairs(lock):
    table = levels(arm__margin=[1, 2, 3, 4, 5])
    assert list(pairs_under_lock(lock, table)["value"]) == [1, 2, 3]
    assert len(pairs_under_lock(lock, table.assign(pair="first"))) == 5
    assert list(pairs_under_lock(lock, table[:0]).columns) == list(table.columns)


def test_what_was_not_promised_takes_nothing_from_the_level_of_what_was(lock):
    """Holm's correction counts the locked primary rows alone: one here, whatever else was trained."""
    # ln ratios .544, .7, .856 over ln 1.25: t = 5.3 with 2 degrees of freedom, p = .017, above .025 / 2.
    steps = [1723, 2014, 2354]
    promised = scoreboard(lock, trained(steps), None, {})
    assert promised["verdict"][0] == "supported"
    more = scoreboard(lock, trained([*steps, 1000]), None, {}, also=[predicted(name="more", primary=True)])
    pd.testing.assert_frame_equal(
        more[more["status"] == "this run"], promised[promised["status"] == "this run"]
    )


def test_a_value_at_an_event_that_came_after_the_promised_budget_is_not_the_lock_s(lock):
    """More training must not decide what was locked."""
    arms = check_arms(trained([5000, 5000, 5000], budget=6000))
    found = levels(control__angle_at_event=[1, 1, 1], arm__angle_at_event=[1, 1, 1], arm__below_eps=[0, 0, 0])
    found = check_levels(found.assign(kind="jitter"))
    cut = levels_under_lock(lock, found, arms).set_index(["arm", "quantity"])["value"]
    assert cut["arm", "angle_at_event"].isna().all()
    assert cut["control", "angle_at_event"].notna().all() and cut["arm", "below_eps"].notna().all()
    other = found.assign(arm=found["arm"].replace("arm", "never-promised"))
    assert set(levels_under_lock(lock, other, arms)["arm"]) == {"control"}
    asked = predicted(
        LevelRatio(arm="arm", over="control", quantity="angle_at_event"),
        name="angle",
        required=Region(0.9, 1.1),
        rival_region=Region(low=1.25),
    )
    with_it = dataclasses.replace(lock, predictions=(asked,))
    board = scoreboard(with_it, arms, found, {}).set_index("status")["verdict"]
    assert board["this run"] == "not evaluable" and board["exploratory"] == "supported"


def test_an_arm_is_promised_the_budget_of_its_own_point(tmp_path):
    """One run's later point is another's first one."""
    lock = write_lock(
        tmp_path / "predictions.json",
        run={"name": "a, b"},
        branch_steps=[400],
        arms=[
            entry("control", 8000, at=400),
            entry("control", 8000, at=600),
            entry("control", 3000, at=600, key="control@later"),
        ],
        n_pairs=2,
        thresholds={},
        predictions=[LATER],
    )
    rows = table(row("control", 0, 7490, 7500, budget=8000), row("control", 1, 7490, 7500, budget=8000))
    rows = rows.assign(branch_step=[400, 600], point="main")
    assert list(arms_under_lock(lock, check_arms(rows))["budget"]) == [8000, 8000]
    later = check_arms(rows.assign(point="later"))
    assert list(arms_under_lock(lock, later)["budget"]) == [3000, 3000]


def test_points_that_leave_at_one_step_are_told_apart():
    rows = table(row("control", 0, 990, 1000), row("control", 0, 490, 500))
    arms = check_arms(rows.assign(point=["main", "memorization"]))
    assert list(arms["branch_step"]) == [2500, 2501] and list(check_arms(arms)["branch_step"]) == [2500, 2501]


def test_what_was_trained_before_the_lock_is_exploratory(lock):
    """Its outcome could be seen: only the control, which changes nothing, may be older."""
    arms = trained([2000, 2020, 2040])
    before, after = "2000-01-01T00:00:00+00:00", "2100-01-01T00:00:00+00:00"

    def status(control, arm):
        begun = arms["arm"].map({"control": control, "arm": arm})
        return scoreboard(lock, arms.assign(begun=begun), None, {}).set_index("prediction")["status"]

    assert status(after, after)["later"] == status(before, after)["later"] == "this run"
    assert status(before, before)["later"] == status(after, before)["later"] == "exploratory"
    # What does not say it is believed.
    assert status("", "")["later"] == "this run"
    # One pair is enough.
    begun = [before] + [after] * (len(arms) - 1)
    assert scoreboard(lock, arms.iloc[::-1].assign(begun=begun), None, {})["status"].iloc[-1] == "exploratory"
    with pytest.raises(ValueError, match="needs a time in begun, got 'yesterday'"):
        status("yesterday", after)


def test_a_row_of_older_arms_takes_nothing_from_the_level_of_those_that_were_promised(lock):
    """Holm's method is over what was locked, wherever it stands."""
    arms = trained([2000, 2020, 2040])
    begun = arms["arm"].map({"control": "2100-01-01", "arm": "2000-01-01"})
    more = dataclasses.replace(LATER, name="another", statistic=EffectRatio(arm="control", over="control"))
    both = dataclasses.replace(lock, predictions=(LATER, more))
    found = scoreboard(both, arms.assign(begun=begun), None, {})
    assert list(zip(found["prediction"], found["status"], strict=True)) == [
        ("another", "this run"),
        ("later", "exploratory"),
    ]

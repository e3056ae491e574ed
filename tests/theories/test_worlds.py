"""Worlds with planted truth: what judging says of their effects, and how often it is wrong where there are none."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from interp.theories.arms_table import check_arms
from interp.theories.effects import effects, effects_and_reasons, pair_effects
from tests.theories import worlds
from tests.theories.worlds import LATER, MAIN, NONE
from tests.thinned import of_several

N_PAIRS, SD = 8, 0.05


def verdicts(arms, branch_step=MAIN):
    """Verdict of each arm and dose from a branch step, at the accuracy that the worlds are told at."""
    is_it = (arms["event"] == "test_accuracy") & (arms["threshold"] == 0.95)
    found = effects(arms[is_it & (arms["branch_step"] == branch_step)])
    return {
        (row.arm if math.isnan(row.dose) else f"{row.arm} {row.dose:g}"): row.verdict
        for row in found.itertuples()
    }


def decided(found):
    return {name: verdict for name, verdict in found.items() if verdict in ("later", "earlier")}


PERPENDICULAR = {"perpendicular": "earlier", "perpendicular-norm": "earlier"}


@pytest.mark.parametrize("kind", ["seed", "jitter"])
@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (worlds.null_world, {}),
        (
            worlds.norm_world,
            {
                **{
                    f"{name} 0.85": "earlier"
                    for name in ("norm", "norm-at-margin", "norm-rate", "norm-at-margin-eps")
                },
                **{
                    f"{name} 1.15": "later"
                    for name in ("norm", "norm-at-margin", "norm-rate", "norm-at-margin-eps")
                },
                "norm-squared 1.15": "later",
                "norm-at-margin-squared 1.15": "later",
                **PERPENDICULAR,
            },
        ),
        (
            worlds.logit_scale_world,
            {
                "norm 0.85": "earlier",
                "norm 1.15": "later",
                "norm-squared 1.15": "later",
                "norm-at-margin-squared 1.15": "later",
                **PERPENDICULAR,
            },
        ),
        (
            worlds.circuit_progress_world,
            {
                "keys-back": "later",
                "keys-ahead": "earlier",
                "keep-subnetwork": "earlier",
                "keep-key-neurons": "earlier",
            },
        ),
        (worlds.frequency_lottery_world, {}),
        (worlds.clamp_as_sham_world, {f"clamp {dose:g}": "earlier" for dose in (0.85, 1.0, 1.15)}),
        (worlds.endogenous_axis_world, {}),
        (worlds.hindsight_world, {}),
    ],
)
def test_each_world_is_judged_as_planted(world, expected, kind):
    found = verdicts(world(N_PAIRS, SD, 0, kind))
    assert decided(found) == expected
    # Where nothing is planted most effects are seen to be equal, and none is hidden.
    rest = [verdict for name, verdict in found.items() if name not in expected]
    assert set(rest) <= {"equal", "undecided"} and rest.count("equal") > 0.9 * len(rest)


def test_the_same_seed_is_the_same_world():
    pd.testing.assert_frame_equal(worlds.norm_world(3, 0.1, 1), worlds.norm_world(3, 0.1, 1))
    assert not worlds.norm_world(3, 0.1, 1).equals(worlds.norm_world(3, 0.1, 2))


def test_progress_lost_grows_with_the_age_of_the_branch():
    arms = check_arms(worlds.circuit_progress_world(N_PAIRS, 0.0, 0))
    lost = []
    for branch_step in (MAIN, LATER):
        place = ("test_accuracy", 0.95, branch_step)
        ratio = np.exp(pair_effects(arms, "keys-back", None, "control", None, *place)["value"].mean())
        lost.append((ratio - 1) * worlds.CONTROL_D[branch_step])
    # Planted; looked at every 10 steps.
    assert lost == pytest.approx([1800, 2400], abs=10)


def test_the_lottery_is_decided_by_size():
    arms = worlds.frequency_lottery_world(40, SD, 0)
    levels = worlds.frequency_lottery_levels(arms, 0)
    share = levels.groupby("arm")["value"].mean()
    assert share["frequency-raised"] >= 0.8 and share["frequency-raised-sham"] <= 0.2
    assert set(verdicts(arms, 0).values()) == {"equal"}


def test_a_clamp_is_no_sham_and_replay_is():
    arms = worlds.clamp_as_sham_world(N_PAIRS, SD, 0)
    found = verdicts(arms)
    assert (found["clamp 1"], found["replay"]) == ("earlier", "equal")
    # Against the clamp at 1.0 x no norm has an effect.
    over = pair_effects(check_arms(arms), "clamp", 1.15, "clamp", 1.0, "test_accuracy", 0.95, MAIN)
    assert abs(over["value"].mean()) < math.log(1.15)


def test_arms_that_stand_still_are_not_evaluable():
    arms = worlds.eps_frozen_world(N_PAIRS, SD, 0)
    found = verdicts(arms)
    for name in ("norm 0.85", "norm 1.15", "norm-at-margin 1.15", "norm-rate 0.85", "no-decay-float32"):
        assert found[name] == "not evaluable"
    assert (found["norm-at-margin-eps 1.15"], decided(found)) == ("equal", {})
    _, reasons = effects_and_reasons(check_arms(arms))
    why = reasons.loc[(reasons["arm"] == "norm") & (reasons["pair"] != ""), "why"]
    assert set(why) == {"the arm is not valid: 95 % of the entries have sqrt(v) below eps"}


def test_a_censored_control_decides_only_against_what_came():
    found = verdicts(worlds.censored_control_world(N_PAIRS, SD, 0))
    assert found.pop("norm 0.85") == "earlier"
    assert set(found.values()) == {"undecided"}


def test_events_on_the_floor_of_the_evaluations_are_not_evaluable():
    assert set(verdicts(worlds.evaluation_floor_world(N_PAIRS, SD, 0)).values()) == {"not evaluable"}
    # After grokking every event is there at once, in every world.
    assert set(verdicts(worlds.norm_world(N_PAIRS, SD, 0), worlds.AFTER).values()) == {"not evaluable"}


def test_a_mediator_measured_at_the_event_correlates_by_construction():
    arms = worlds.endogenous_axis_world(N_PAIRS, 0.3, 0)
    levels = worlds.endogenous_axis_levels(arms)
    both = levels.merge(arms[(arms["event"] == "test_accuracy") & (arms["threshold"] == 0.95)])
    assert both["value"].corr(both["step"], method="spearman") == pytest.approx(-1)


def test_hindsight_sees_early_what_the_leak_free_measure_does_not():
    found = worlds.hindsight_observed().set_index("step")
    assert (
        found.loc[4000, "restricted_loss_of_end"] < 0.3 < 4.9 < found.loc[4000, "restricted_loss_leak_free"]
    )
    assert found.loc[4000, "test_loss"] > 4.9


@pytest.mark.parametrize(
    ("n_pairs", "sd", "kind"), of_several(itertools.product([3, 8], [0.1, 0.3], ["seed", "jitter"]), 3)
)
def test_a_world_without_effects_is_seldom_given_any(n_pairs, sd, kind):
    arms = {
        MAIN: {
            (name, NONE): "control" if name != "control" else ""
            for name in ("control", "one", "two", "three")
        }
    }
    draws = []
    for draw in range(200):
        drawn = worlds.simulated({}, n_pairs, sd, draw, kind, arms)
        drawn = drawn[(drawn["event"] == "test_accuracy") & (drawn["threshold"] == 0.95)]
        # Each draw has arms of its own, so that all are judged at once.
        names = {
            name: drawn[name].where(drawn[name] == "", f"draw {draw} " + drawn[name])
            for name in ("arm", "reference")
        }
        draws.append(drawn.assign(**names, pair=f"draw {draw} " + drawn["pair"]))
    found = effects(pd.concat(draws, ignore_index=True))
    assert len(found) == 600
    # The interval at 95 % excludes equality itself in 5 %, and it must leave the whole zone: at most that.
    assert found["verdict"].isin(["later", "earlier"]).mean() <= 0.05
    assert found["verdict"].isin(["later", "earlier", "equal", "undecided"]).all()

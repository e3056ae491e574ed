"""Sigmoids that were planted are found again, and what is none is said to be none."""

import numpy as np
import pandas as pd
import pytest

from interp.tables.learning_patterns import patterns, sigmoid, speeds

STEPS = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]


def measured(curves):
    """What the probe of losses gives of two runs, one a little above the curves and one as much below."""
    return pd.concat(
        pd.DataFrame({"run": run, "split": split, "step": STEPS, "accuracy": values + shift})
        for split, values in curves.items()
        for run, shift in (("a", 0.01), ("b", -0.01))
    )


def planted(floor=0.1, gamma=0.9, alpha=2.0, half_step=50.0):
    return np.where(np.array(STEPS) == 0, floor, sigmoid(STEPS, floor, gamma, alpha, half_step))


def test_planted_speeds_are_found_again():
    losses = measured(
        {
            "train": planted(half_step=10.0),
            "corrupted": planted(gamma=0.8, alpha=3.0, half_step=300.0),
            "test": planted(gamma=0.7),
            "all": planted(),
        }
    )
    table = patterns(losses)
    assert set(table["pattern"]) == {"right labels", "wrong labels", "new rows"}
    found = speeds(table).query("time == 'ln step'").set_index("pattern")
    # The curve itself, up to the tolerance of the fit.
    for name, gamma, alpha, half in (
        ("right labels", 0.9, 2, 10),
        ("wrong labels", 0.8, 3, 300),
        ("new rows", 0.7, 2, 50),
    ):
        assert found.loc[name, ["gamma", "alpha", "half_step"]].tolist() == pytest.approx(
            [gamma, alpha, half], rel=1e-3
        )
        assert found.loc[name, "residual"] < 1e-4 and found.loc[name, "floor"] == pytest.approx(0.1)


def test_a_sigmoid_in_steps_is_told_from_one_in_their_logarithm():
    # As in the toy model of Davies et al., and so slow that several of the steps see it rise.
    in_steps = np.where(np.array(STEPS) == 0, 0.1, sigmoid(STEPS, 0.1, 0.9, 0.01, 200.0, "step"))
    expected = [0.1 + 0.8 / (1 + np.exp(-0.01 * (step - 200))) for step in STEPS[1:]]
    assert in_steps[1:] == pytest.approx(expected)
    found = speeds(patterns(measured({"test": in_steps, "train": planted()}))).set_index(["pattern", "time"])
    own = found.loc[("new rows", "step")]
    assert own[["gamma", "alpha", "half_step"]].tolist() == pytest.approx([0.9, 0.01, 200], rel=1e-3)
    residual = found["residual"].unstack()
    assert residual.loc["new rows", "step"] < 1e-4 < 1e-3 < residual.loc["new rows", "ln step"]
    assert residual.loc["right labels", "ln step"] < 1e-4 < 1e-3 < residual.loc["right labels", "step"]


def test_what_is_learned_and_lost_is_told_by_its_residual():
    bump = planted(half_step=4.0) - planted(floor=0.0, gamma=0.6, half_step=100.0)
    assert (speeds(patterns(measured({"test": bump})))["residual"] > 0.1).all()


def test_what_never_changes_and_what_has_few_points_has_no_speed():
    flat = speeds(patterns(measured({"test": np.full(len(STEPS), 0.1)})))
    few = patterns(measured({"test": planted()})).query("step < 10")
    assert flat[["gamma", "half_step"]].isna().all(axis=None)
    assert speeds(few)["half_step"].isna().all()

"""From a branch's record to rows: events with their brackets, checks that hold or fail."""

import math

import numpy as np
import pandas as pd
import pytest

from interp.runs.run import open_run
from interp.runs.schedule import make_schedule
from interp.training.arms import Arm
from interp.training.branches import branch
from interp.training.rules import MatchMargin, ReplayNorms, ScaleUpdates
from interp.training.train import train
from interp.trials.manipulation import manipulation_checks
from interp.trials.outcomes import arm_rows, check_rows, event, level_rows
from tests.tiny import tiny_config

BELOW_EPS = "entries below eps, more than in the control"


def history(accuracies, first=100, every=10):
    """Evaluations every 10 steps, and steps between without any."""
    steps = np.arange(first, first + every * (len(accuracies) - 1) + 1)
    table = pd.DataFrame(
        {"step": steps, "test_accuracy": np.nan, "test_loss": np.nan, "train_accuracy": np.nan}
    )
    table.loc[::every, "test_accuracy"] = accuracies
    table.loc[::every, "test_loss"] = [2 - a for a in accuracies]
    table.loc[::every, "train_accuracy"] = 1.0
    return table


@pytest.mark.parametrize(
    ("accuracies", "found"),
    [
        ([0.1, 0.2, 0.95, 0.96, 0.97, 0.5], (10, 20)),
        # Two are not three.
        ([0.1, 0.95, 0.96, 0.5, 0.95, 0.96, 0.97], (30, 40)),
        ([0.1, 0.2, 0.3], (20, None)),
        # The last two lie beyond, and might have been the first of three: the event may come after 10.
        ([0.1, 0.2, 0.95, 0.96], (10, None)),
        # That at the branch itself does not count.
        ([0.96, 0.96, 0.97, 0.98], (0, 10)),
        ([0.1], (0, None)),
    ],
)
def test_an_event_is_the_first_of_three_evaluations_beyond_the_threshold(accuracies, found):
    assert event(history(accuracies), "test_accuracy", 0.95, "rise", 100) == found
    falls = event(history(accuracies), "test_loss", 1.05, "fall", 100)
    assert falls == found


def test_of_a_task_that_asks_more_the_event_is_that_of_what_is_predictable():
    table = history([0.1, 0.2, 0.4, 0.4, 0.4]).rename(columns={"test_accuracy": "test_predictable_accuracy"})
    table["test_predictable_accuracy"] *= 2.4
    table["test_accuracy"] = table["test_predictable_accuracy"] / 2.4
    assert event(table, "test_accuracy", 0.95, "rise", 100) == (10, 20)
    assert (
        event(table.drop(columns="test_predictable_accuracy"), "test_accuracy", 0.95, "rise", 100)[1] is None
    )


@pytest.fixture(scope="module")
def branches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("branches")
    config = tiny_config(190, schedule=make_schedule(190, ["every:50"], [150]))
    run = train(config, folder / "run", threads=1)
    control = branch(run, folder / "control", at=150, budget=40)
    arm = Arm(name="norm", dose=1.1, reference="control", rules=(ReplayNorms(factor=1.1), MatchMargin()))
    return control, branch(run, folder / "norm", at=150, budget=40, arm=arm, follows={"control": control})


def test_an_arm_that_did_what_it_says_passes_every_check(branches):
    control, arm = branches
    checks = {check.check: check for check in manipulation_checks(arm, control)}
    assert {
        "finite loss",
        "norm path",
        "margin path",
    } < checks.keys() and "entries below eps, more than in the control" in checks
    assert all(check.holds for check in checks.values())
    assert checks["norm path"].found < 1e-6 and checks["margin path"].found < 1e-6


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("norm_error", 0.006, "norm path: 0.006, allowed 0.005"),
        ("margin_error", 0.2, "margin path: 0.2, allowed 0.05"),
        ("train_accuracy", 0.9, "train accuracy 200 steps after the branch: 0.9, allowed 0.99"),
        ("below_eps", 0.9, "entries below eps, more than in the control: 0.9"),
    ],
)
def test_an_arm_that_did_not_do_what_it_says_fails(branches, monkeypatch, column, value, said):
    control, arm = branches
    table = arm.history()
    known = table[column].notna()
    table.loc[known, column] = value
    own = control.history()
    own["below_eps"] = own["below_eps"].where(own["below_eps"].isna(), 0.0)
    monkeypatch.setattr(control, "history", lambda: own)
    monkeypatch.setattr(arm, "history", lambda: table)
    failed = [check.said for check in manipulation_checks(arm, control) if not check.holds]
    assert len(failed) == 1 and failed[0].startswith(said)


def test_weights_that_did_not_turn_as_they_should_fail(branches, monkeypatch):
    _, arm = branches
    table = arm.history().assign(turning_error=0.2)
    monkeypatch.setattr(arm, "history", lambda: table)
    failed = [check.said for check in manipulation_checks(arm, None) if not check.holds]
    assert failed == ["turning path: 0.2, allowed 0.05"]


def test_scaled_updates_whose_norms_are_brought_back_are_not_as_large_as_they_say(branches, tmp_path):
    control, _ = branches
    run = open_run(control.path.parent / "run")
    for name, rules, holds in (
        ("alone", (ScaleUpdates(of="control", factor=0.5),), True),
        ("held", (ScaleUpdates(of="control"), ReplayNorms(factor=1.3)), False),
    ):
        made = branch(
            run, tmp_path / name, at=150, budget=40, arm=Arm(name=name, reference="control", rules=rules),
            follows={"control": control},
        )  # fmt: skip
        found = [check for check in manipulation_checks(made, None) if check.check == "updates, in sum"]
        assert [check.holds for check in found] == [holds], found


def test_an_arm_from_the_start_need_not_know_its_train_rows_soon(branches, tmp_path):
    config = tiny_config(20, schedule=make_schedule(20, ["every:20"], [0]))
    first = branch(train(config, tmp_path / "run", threads=1), tmp_path / "control", at=0, budget=20)
    assert not any(check.check.startswith("train accuracy") for check in manipulation_checks(first, None))


def test_a_spike_after_recovery_fails(branches, monkeypatch):
    _, arm = branches
    table = history([0.5] * 40, first=150)
    table.loc[table["step"] == 400, "train_accuracy"] = 0.7
    monkeypatch.setattr(arm, "history", lambda: table)
    failed = [check for check in manipulation_checks(arm, None) if not check.holds]
    assert [check.check for check in failed] == ["train accuracy later (no spike)"] and failed[0].found == 0.7
    # Within the first 200 steps an edited network may still learn its train rows again.
    table.loc[table["step"] == 400, "train_accuracy"] = 1.0
    table.loc[table["step"] == 200, "train_accuracy"] = 0.3
    assert all(check.holds for check in manipulation_checks(arm, None))


def test_eps_that_decides_in_the_control_too_is_no_failure(branches, monkeypatch):
    control, arm = branches
    for run in (control, arm):
        table = run.history()
        table["below_eps"] = table["below_eps"].where(table["below_eps"].isna(), 0.999)
        monkeypatch.setattr(run, "history", lambda table=table: table)
    found = [c for c in manipulation_checks(arm, control) if c.check.startswith("entries below eps")]
    assert found[0].holds and math.isclose(found[0].found, 0.0, abs_tol=1e-12)


def test_what_fails_after_an_event_did_not_make_it_come(branches, monkeypatch):
    """An arm that others follow is trained on after its event, and may spike there."""
    _, arm = branches
    table = history([0.5] * 24 + [0.96] * 16, first=150)
    table.loc[table["step"] == 500, "train_accuracy"] = 0.7
    monkeypatch.setattr(arm, "history", lambda: table)
    rows = {(row["event"], row["threshold"]): row for row in arm_rows(arm, "jitter", None)}
    reached, never = rows["test_accuracy", 0.95], rows["test_accuracy", 0.99]
    assert (reached["step"], reached["valid"], reached["why_not"]) == (240, True, "")
    # Where the event never came, all of the arm counts.
    assert not never["valid"] and never["why_not"].startswith("train accuracy later (no spike): 0.7")
    assert all(row["holds"] for row in check_rows(arm, "jitter", None))
    valid = {
        row["quantity"]: row["valid"]
        for row in level_rows(
            arm, "jitter", None, {"norm_at_event": 1.0, "frozen_steps": 3.0, "in_final_keys": 1.0}
        )
    }
    assert valid == {"norm_at_event": True, "frozen_steps": True, "in_final_keys": False}
    # Before the event it counts.
    table.loc[table["step"] == 370, "train_accuracy"] = 0.6
    rows = {(row["event"], row["threshold"]): row for row in arm_rows(arm, "jitter", None)}
    assert rows["test_accuracy", 0.95]["why_not"].startswith("train accuracy later (no spike): 0.6")

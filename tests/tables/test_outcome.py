"""Whether a run generalised, in one place: the sentence, its threshold, and which table it was read from."""

import math

import pandas as pd

from interp.tables.outcome import Outcome, bracket, generalising_steps, outcome, relapses_said
from interp.tables.transitions import Transition, grokking, memorization


def history(test, train=None, every=100):
    steps = [every * i for i in range(len(test))]
    return pd.DataFrame({"step": steps, "train_accuracy": train or [1.0] * len(test), "test_accuracy": test})


def losses(accuracies, split="test"):
    return pd.DataFrame(
        {
            "step": [1000 * i for i in range(len(accuracies))],
            "split": split,
            "loss": 1.0,
            "accuracy": accuracies,
            "n": 10,
        }
    )


def test_a_run_that_generalises_is_said_to_with_its_threshold_and_bracket():
    found = outcome({"history": history([0.1, 0.2, 0.96, 1.0])})
    assert found.generalised is True
    assert found.said == (
        "The run has generalised: its test accuracy stays at 0.95 or above from step 200 on (100 was below)."
    )
    assert found.memorization == Transition("train_accuracy", 0.95, None, 0)
    assert (found.accuracy, found.step, found.lost) == (1.0, 300, None)


def test_a_run_that_does_not_is_said_not_to():
    found = outcome({"history": history([0.1, 0.2, 0.012])})
    assert found.generalised is False
    assert (
        found.said == "The run has not generalised by step 200: its test accuracy is 0.012 there, below 0.95."
    )


def test_a_run_that_had_and_has_lost_it_is_said_to_have():
    found = outcome({"history": history([0.1, 1.0, 1.0, 0.5])})
    assert found.generalised is False
    assert found.lost == (100, 200)
    assert found.said.endswith("below 0.95. It had, from step 100 to 200, and has lost it.")


def test_of_rows_that_were_new_at_every_step_none_is_memorized():
    table = history([0.1, 0.97, 1.0], train=[0.1, 0.97, 1.0])
    fresh = table.assign(sees_fresh_rows=True)
    assert outcome({"history": table}).memorization.step == 100
    found = outcome({"history": fresh})
    assert found.memorization is None and found.grokking.step == 100
    # The accuracies of checkpoints do not know it; the history beside them does.
    assert (
        outcome({"losses": losses([0.1, 1.0], split="train"), "history": fresh[:0]}).memorization.step == 1000
    )
    assert outcome({"losses": losses([0.1, 1.0], split="train"), "history": fresh}).memorization is None
    assert memorization(fresh) == Transition("train_accuracy", 0.95, 200, None)
    # A sweep's histories of both kinds lie in one table.
    both = pd.concat([table.assign(run="a"), fresh.assign(run="b")])
    assert memorization(both[both["run"] == "a"]).step == 100
    assert memorization(both[both["run"] == "b"]).step is None


def test_a_task_that_asks_what_nobody_can_foresee_is_judged_by_what_is_predictable():
    table = history([0.01, 0.3, 0.45], train=[0.02, 0.31, 0.46]).assign(
        test_predictable_accuracy=[0.0, 0.6, 0.97]
    )
    found = outcome({"history": table})
    assert found.grokking == Transition("test_predictable_accuracy", 0.95, 100, 200)
    assert found.accuracy == 0.97
    assert "its test accuracy on what is predictable stays at 0.95 or above from step 200 on" in found.said
    # By heart what cannot be foreseen is known too.
    assert found.memorization == Transition("train_accuracy", 0.95, 200, None)
    assert grokking(table) == found.grokking
    # Of a run without the evaluations: at its checkpoints.
    measured = losses([0.01, 0.45]).assign(predictable_accuracy=[0.0, 0.97])
    assert outcome({"losses": measured}).grokking == Transition("test_predictable_accuracy", 0.95, 0, 1000)
    assert outcome({"history": history([0.01, 0.45]), "losses": measured}).generalised is True
    assert generalising_steps(measured) == [1000]
    without_split = outcome({"losses": measured.assign(split="all")})
    assert "its accuracy on what is predictable in all rows stays at 0.95" in without_split.said
    never = outcome({"history": table.assign(test_predictable_accuracy=0.5)})
    assert "its test accuracy on what is predictable is 0.500 there, below 0.95" in never.said


def test_the_evaluations_come_before_the_checkpoints_and_a_known_test_split_before_all_rows():
    both = {"history": history([0.1, 1.0, 1.0]), "losses": losses([0.1, 0.1])}
    assert outcome(both).grokking == Transition("test_accuracy", 0.95, 0, 100)
    without = {"history": history([0.1, 1.0]).drop(columns="test_accuracy"), "losses": losses([0.1, 1.0])}
    assert outcome(without).grokking == Transition("test_accuracy", 0.95, 0, 1000)
    all_rows = outcome({"losses": losses([0.1, 1.0], split="all")})
    assert all_rows.grokking == Transition("all_accuracy", 0.95, 0, 1000)
    assert "its all accuracy" not in all_rows.said
    assert "its accuracy on all rows stays at 0.95" in all_rows.said
    assert all_rows.memorization is None


def test_without_accuracies_nothing_is_said():
    for tables in (
        {},
        {"losses": pd.DataFrame()},
        {"history": pd.DataFrame({"step": [0], "train_loss": [1.0]})},
    ):
        found = outcome(tables)
        assert found == Outcome(None, None)
        assert found.generalised is None
        assert "is not known" in found.said
        assert found.summary()["generalised"] is None


def test_relapses_are_counted_and_named():
    train = [0.0, *[1.0] * 9, 0.9, 1.0]
    summary = outcome({"history": history([0.0] * 12, train)}).summary()
    assert summary["memorization"]["step"] == 100
    assert summary["memorization"]["relapses_passed_over"] == [[1000, 1000]]
    assert bracket(None)["step"] is None
    many = Transition("x", 1.0, None, 0, tuple((i, i) for i in range(5)))
    assert relapses_said(many) == ", 5 short relapses passed over (steps 0, 1, 2, ... 4)"
    assert relapses_said(Transition("x", 1.0, None, 0, ((7, 7),))) == ", 1 short relapse passed over (step 7)"
    assert relapses_said(Transition("x", 1.0, None, 0)) == ""


def test_a_checkpoint_generalises_at_the_threshold_of_the_run():
    assert generalising_steps(losses([0.94, 0.95, 0.3, 1.0])) == [1000, 3000]
    assert generalising_steps(losses([1.0], split="all")) == [0]
    assert generalising_steps(pd.DataFrame()) == []


def test_an_accuracy_that_is_known_from_a_later_step_on_dates_nothing():
    """A run that an earlier version began, and that was resumed: what came before is not known."""
    history = pd.DataFrame(
        {
            "step": [0, 10, 20],
            "train_accuracy": [0.1, 1.0, 1.0],
            "test_accuracy": [0.1, 0.4, 0.4],
            "test_predictable_accuracy": [math.nan, math.nan, 0.99],
        }
    )
    assert outcome({"history": history}).grokking.quantity == "test_accuracy"
    assert grokking(history).step is None
    whole = history.assign(test_predictable_accuracy=[0.1, 0.2, 0.99])
    assert grokking(whole).step == outcome({"history": whole}).grokking.step == 20

"""Phases asked of a run in one call: those that its tables give, and a sentence where nothing can tell."""

import pandas as pd
import pytest

import interp
from interp.tables.transitions import Transition, delay
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from interp.training.train import train

    return train(tiny_config(120), tmp_path_factory.mktemp("runs") / "short", threads=1)


def test_a_run_and_its_tables_give_the_same_answers(run):
    found = interp.phases(run)
    assert set(found) == {
        "memorization",
        "circuit_formation",
        "cleanup",
        "cleanup_end",
        "grokking",
        "collapse",
    }
    assert found["memorization"] == interp.memorization(run) == interp.memorization(run.history())
    assert found["memorization"].step is not None
    assert found["grokking"] == interp.grokking(run)
    assert found["grokking"].step is None
    tables = {"losses": pd.DataFrame(), "history": run.history()}
    assert interp.memorization(tables) == found["memorization"]
    assert interp.grokking(tables) == found["grokking"]
    # It has not generalised: it has no key frequencies, and nothing dates a circuit.
    assert found["circuit_formation"] == Transition("", None, None, None)
    assert interp.phases({"history": run.history()})["memorization"] == found["memorization"]
    assert delay(interp.memorization(run), interp.grokking(run)).high is None


def test_a_run_without_recorded_accuracies_is_measured(run, monkeypatch):
    """The brackets are those of the checkpoints, which lie further apart."""
    dense = interp.memorization(run)
    monkeypatch.setattr(type(run), "history", lambda self: pd.DataFrame({"step": [0], "train_loss": [1.0]}))
    found = interp.memorization(run)
    assert found.step in run.steps and found.before in run.steps
    assert found.before <= dense.before < dense.step <= found.step
    assert interp.phases(run)["memorization"] == found


def test_what_nothing_can_tell_is_said(run):
    with pytest.raises(ValueError, match="phases needs a table 'history'"):
        interp.phases({"weight_norms": pd.DataFrame({"step": [0]})})
    with pytest.raises(ValueError, match=r"The test accuracy needs a table 'history' .* got \['history'\]"):
        interp.grokking({"history": run.history()[["step", "train_loss"]]})
    with pytest.raises(ValueError, match="The table has no column 'test_accuracy'; it has step, train_loss"):
        interp.grokking(run.history()[["step", "train_loss"]])

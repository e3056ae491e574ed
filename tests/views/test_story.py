"""The story of a run: what it says of the order of two moments is what their brackets say."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from interp.tables.outcome import Outcome, outcome
from interp.tables.transitions import Transition
from interp.theories.forecaster import read_forecaster
from interp.views import along as module
from interp.views import story as telling
from interp.views.along import Along, along
from interp.views.stills import _clock
from interp.views.story import notes, story


def told(memorized, grokked, unit="step"):
    """The sentence about two moments, each as the steps before and after it."""
    phases = {
        "memorization": Transition("train_accuracy", 0.95, *memorized),
        "grokking": Transition("test_accuracy", 0.95, *grokked),
    }
    nothing = {"logit_spectrum": pd.DataFrame(), "forecasts": pd.DataFrame()}
    ended = Outcome(phases["memorization"], phases["grokking"], 0.5, 9000)
    found = Along([0, 9000], {}, nothing, phases, ended, [], [], "", {}, 0)
    return "".join(one if isinstance(one, str) else one["text"] for one in story(found, unit)[0])


@pytest.mark.parametrize(
    ("memorized", "grokked", "said"),
    [
        ((130, 140), (5700, 5800), "5,560 to 5,670 steps later"),
        ((90, 100), (100, 110), "0 to 20 steps later"),
        ((0, 1000), (900, 5000), "which of them came first the brackets leave open"),
        ((100, 150), (100, 150), "which of them came first the brackets leave open"),
        ((4900, 5000), (90, 100), "4,800 to 4,910 steps earlier"),
        ((None, 100), (200, 300), "100 to 300 steps later"),
    ],
)
def test_what_came_first_is_what_the_brackets_say(memorized, grokked, said):
    assert told(memorized, grokked).endswith(f": {said}. ")


def test_the_story_counts_in_the_unit_of_the_run():
    assert told((4, 5), (7, 9), "epoch") == (
        "The run memorizes between epochs 4 and 5 and generalises between epochs 7 and 9: 2 to 5 epochs later. "
    )
    assert "between tokens 4 and 5" in told((4, 5), (7, 9), "tokens")
    assert "not generalised by epoch 9000" in told((4, 5), (9000, None), "epoch")


def test_the_outcome_is_read_off_the_whole_history(tiny_run, monkeypatch):
    monkeypatch.setattr(module, "MOST_EVALUATIONS", 3)
    found = along(tiny_run, tiny_run.steps)
    whole = outcome({"history": tiny_run.history()})
    assert whole.memorization.step is not None and len(found.tables["history"]) <= 4
    assert found.ended.memorization == whole.memorization == found.phases["memorization"]
    assert any("recorded rows" in note for note in notes(tiny_run, found))


def test_forecasts_of_what_was_not_learned_from_are_said_to_be(tiny_run, monkeypatch):
    table = pd.DataFrame({"step": [100], "measure": ["test_loss"], "forecast": [250.0]})
    tables = {"history": pd.DataFrame(), "forecasts": table}
    found = Along(tiny_run.steps, {}, tables, {}, Outcome(None, None), [], [], "", {}, 0)
    assert notes(tiny_run, found) == []
    of_others = replace(read_forecaster(), about={"tasks": ["groups"]})
    monkeypatch.setattr(telling, "read_forecaster", lambda: of_others)
    (said,) = notes(tiny_run, found)
    assert "Those learned groups tasks. This one learns modular, of which nothing was learned" in said


def test_nothing_is_dated_by_a_single_checkpoint(tiny_run_copy):
    (tiny_run_copy.path / "history.parquet").unlink()
    found = along(tiny_run_copy, [300])
    losses = found.tables["losses"].set_index("split")["accuracy"]
    assert losses["train"] >= 0.95
    assert "memorization" not in found.phases


def test_numbers_of_the_story_are_those_of_the_rows_that_they_lead_to():
    steps, keys = [0, 100, 200, 300], [1, 2]
    spectrum = pd.DataFrame(
        {
            "step": np.repeat(steps, 3),
            "frequency": [1, 2, 3] * 4,
            "fraction_explained": [0.0, 0.0, 0.0, 0.1, 0.1, 0.0, 0.2, 0.3, 0.0, 0.55, 0.4, 0.0],
            "null": 0.01,
        }
    )
    forecasts = pd.DataFrame(
        {"step": [100], "measure": ["test_loss"], "forecast": [250.0], "low": [200.0], "high": [np.inf]}
    )
    grokked = Transition("test_accuracy", 0.95, 200, 250)
    tables = {"logit_spectrum": spectrum, "forecasts": forecasts}
    found = Along(
        steps, {}, tables, {"grokking": grokked}, Outcome(None, grokked, 1.0, 300), keys, keys, "", {}, 0
    )
    clock = _clock(found)
    parts = [one for sentence in story(found, "step") for one in sentence]
    linked = [one for one in parts if not isinstance(one, str) and "table" in one]
    shares = [one for one in linked if one["table"] == "clock"]
    assert [one["rows"]["step"] for one in shares] == [300, 200]
    for one in shares:
        (row,) = clock[
            (clock["step"] == one["rows"]["step"]) & (clock["keys"] == one["rows"]["keys"])
        ].to_dict("records")
        assert one["text"] == f"{row['share']:.2f}"
    (forecast,) = (one for one in linked if one["table"] == "forecasts")
    assert forecast["rows"] == {"step": 100, "measure": "test_loss"} and "250" in forecast["text"]

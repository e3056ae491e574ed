"""Values that are not times: cleanup by hand where a clean circuit lies in a dirty network."""

import pandas as pd
import pytest

from interp.interventions.bench import Bench
from interp.interventions.frequencies import KeepFrequencies
from interp.runs.schedule import make_schedule
from interp.training.train import train
from interp.trials import battery, levels
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = tiny_config(100, schedule=make_schedule(100, ["every:50"], [50]))
    return train(config, tmp_path_factory.mktemp("run") / "tiny", threads=1)


def test_cleanup_takes_out_all_but_the_key_frequencies_of_that_checkpoint(run, monkeypatch):
    monkeypatch.setattr(levels, "_dirty_step", lambda run: (50, (1, 3)))
    rows = pd.DataFrame(battery.cleanup_by_hand([run], 2))
    assert set(rows["arm"]) == {"cleanup", "cleanup-random"} and set(rows["pair"]) == {"0", "1"}
    assert (rows["branch_step"] == 50).all() and len(rows) == 8
    asked, weights = run.task.of_split("test"), levels.jittered(run.step_weights(50), 1)
    bench = Bench(config=run.config.model, task=run.task, donors={})
    kept = KeepFrequencies(frequencies=(1, 3), where=("W_E", "W_L")).edit(weights, bench)
    of = rows[(rows["pair"] == "0") & (rows["arm"] == "cleanup")].set_index("quantity")["value"]
    assert of["test_accuracy_after"] == levels.accuracy(run.config.model, kept, asked)
    assert of["test_accuracy_before"] == levels.accuracy(run.config.model, weights, asked)


def test_without_such_a_checkpoint_there_are_no_rows(run):
    assert battery.cleanup_by_hand([run], 3) == []

"""Values that are not times: cleanup by hand where a clean circuit lies in a dirty network."""

import math

import pandas as pd
import pytest
import torch

from interp.interventions.bench import Bench
from interp.interventions.frequencies import KeepFrequencies
from interp.probes import local_complexity
from interp.runs.schedule import make_schedule
from interp.snapshots.snapshot import Snapshot
from interp.tasks.data_edits import Corrupt
from interp.training.arms import Arm
from interp.training.branches import branch
from interp.training.rules import ReplayNorms
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


def test_local_complexity_is_lost_between_the_largest_norm_and_the_end_per_unit_of_ln_norm(tmp_path):
    """By hand on a control from the start, and on random labels that follow its norms."""
    schedule = make_schedule(60, ["every:20"], [0, 60])
    config = tiny_config(60, schedule=schedule, optimizer={"weight_decay": 10.0})
    parent = train(config, tmp_path / "tiny", threads=1)
    saved = {"save": ["every:20"], "at": 0, "budget": 60}
    control = branch(parent, tmp_path / "control", **saved)
    arm = Arm(
        name="random-labels", reference="control", data=(Corrupt(fraction=1.0),), rules=(ReplayNorms(),)
    )
    other = branch(parent, tmp_path / "random", arm=arm, follows={"control": control}, **saved)
    norms = {
        s: torch.cat([w.flatten() for w in control.step_weights(s).values()]).norm() for s in control.steps
    }
    top = max(norms, key=norms.get)
    assert top < 60
    found = {}
    for made in (control, other):
        kinks = {}
        for step in (top, 60):
            table = local_complexity(Snapshot.of(made, step))
            kinks[step] = table.query("split == 'train' and radius == 'relative'")["mean"].item()
        found[made.name] = levels.levels_of(made, parent)["local_complexity_descent"]
        expected = (kinks[top] - kinks[60]) / math.log(norms[top] / norms[60])
        assert found[made.name] == pytest.approx(expected, rel=1e-5)  # norms summed in float32 here
    assert found["control"] != found["random"]
    # No branch from elsewhere has one.
    assert "local_complexity_descent" not in levels.levels_of(
        branch(parent, tmp_path / "later", at=60, budget=10), parent
    )

"""Values that are not times: cleanup by hand where a clean circuit lies in a dirty network."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from interp.interventions.bench import Bench
from interp.interventions.frequencies import KeepFrequencies
from interp.interventions.norms import ScaleNorms
from interp.probes import local_complexity
from interp.runs.schedule import make_schedule
from interp.snapshots.snapshot import Snapshot
from interp.tasks.data_edits import Corrupt
from interp.theories.hidden_progress import HIDDEN_PROGRESS
from interp.theories.scoreboard import scoreboard
from interp.training.arms import Arm, Until
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
    assert (rows["branch_step"] == 50).all() and len(rows) == 12
    asked, weights = run.task.of_split("test"), levels.jittered(run.step_weights(50), 1)
    bench = Bench(config=run.config.model, task=run.task, donors={})
    kept = KeepFrequencies(frequencies=(1, 3), where=("W_E", "W_L")).edit(weights, bench)
    of = rows[(rows["pair"] == "0") & (rows["arm"] == "cleanup")].set_index("quantity")["value"]
    assert of["test_accuracy_after"] == levels.accuracy(run.config.model, kept, asked)
    assert of["test_accuracy_before"] == levels.accuracy(run.config.model, weights, asked)
    assert of["test_accuracy_gained"] == of["test_accuracy_after"] - of["test_accuracy_before"]


def test_without_such_a_checkpoint_the_rows_say_so(run):
    rows = pd.DataFrame(battery.cleanup_by_hand([run], 3))
    assert len(rows) == 6 and not rows["valid"].any() and rows["value"].isna().all()
    assert set(rows["why_not"]) == {
        "no checkpoint has a restricted loss below 0.01 nats and a test accuracy below 0.5"
    }
    primary = next(p for p in HIDDEN_PROGRESS.predictions if p.name == "cleanup_by_hand")
    found = scoreboard([primary], None, rows, {}).iloc[0]
    assert found["verdict"] == "not evaluable" and "no checkpoint has a restricted loss" in found["why"]


def _recorded(vectors):
    """A history whose weights go through these vectors, the first component a tensor of its own."""
    x = np.array(vectors, dtype=float)
    moved = np.linalg.norm(np.diff(x, axis=0), axis=1)
    return pd.DataFrame(
        {
            "step": np.arange(len(x)),
            "norm/a": np.abs(x[:, 0]),
            "norm/b": np.linalg.norm(x[:, 1:], axis=1),
            "update_norm": [*moved, np.nan],
        }
    )


def test_the_angle_is_what_directions_turn_through_whatever_the_norm_does():
    # Quarter turns of 3 steps each, while the norm grows and falls.
    angles, norms = np.linspace(0, np.pi / 2, 7), [1, 2, 0.5, 3, 3, 1, 2]
    path = [[r * np.cos(a), r * np.sin(a)] for r, a in zip(norms, angles, strict=True)]
    assert levels.turned(_recorded(path)) == pytest.approx(np.pi / 2, rel=1e-12)
    # What only changes the norm turns nothing: to the root of what the difference of two squares is rounded by.
    assert levels.turned(_recorded([[1, 1], [1.15, 1.15], [0.3, 0.3]])) == pytest.approx(0, abs=1e-7)
    # Any path: the sum of the angles between its points.
    points = np.random.default_rng(0).normal(size=(20, 5))
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    expected = np.arccos(np.sum(unit[1:] * unit[:-1], axis=1)).sum()
    assert levels.turned(_recorded(points)) == pytest.approx(expected, rel=1e-9)
    assert np.isnan(levels.turned(_recorded(points).drop(columns="update_norm")))


def test_the_angle_of_a_branch_is_that_between_its_weights(tmp_path):
    """What is recorded along a branch gives the angle between the weights that it saved at each step."""
    schedule = make_schedule(20, ["every:20"], [0, 20])
    parent = train(tiny_config(20, schedule=schedule), tmp_path / "tiny", threads=1)
    made = branch(parent, tmp_path / "control", at=0, budget=8, save=["every:1"])
    flat = [torch.cat([w.double().flatten() for w in made.step_weights(s).values()]) for s in made.steps]
    unit = [x / x.norm() for x in flat]
    between = [2 * math.asin(float((b - a).norm()) / 2) for a, b in pairwise(unit)]
    # What is recorded of a step are norms in float64 of float32 weights.
    assert levels.turned(made.history()) == pytest.approx(sum(between), rel=1e-6)


def test_the_net_angle_is_that_from_the_parent_at_the_branch_once_an_arm_has_shown_what_it_was_for(tmp_path):
    schedule = make_schedule(20, ["every:20"], [0, 20])
    parent = train(tiny_config(20, schedule=schedule), tmp_path / "tiny", threads=1)
    # Any accuracy will do: the arm ends at its third evaluation.
    reached = Until(test_accuracy=0.0)
    arm = Arm(name="scaled", edits=(ScaleNorms(factor=2.0),))
    made = branch(parent, tmp_path / "scaled", at=0, budget=500, arm=arm, until=reached)
    ends = [parent.step_weights(0), made.step_weights(made.steps[-1])]
    a, b = (torch.cat([w[k].double().flatten() for k in sorted(w)]) for w in ends)
    expected = math.acos(float(a @ b / (a.norm() * b.norm())))
    assert expected > 0.01
    # arccos is known to 1e-16 / sin(angle).
    assert levels.levels_of(made, parent)["net_angle_when_done"] == pytest.approx(expected, rel=1e-9)
    # Only scaled: nothing has turned, although every weight has changed.
    first = branch(parent, tmp_path / "one", at=0, budget=1, arm=arm)
    assert levels.net_angle(parent, first) < expected
    for other in (replace(reached, times=2.0), None):
        longer = branch(parent, tmp_path / f"longer-{other is None}", at=0, budget=60, arm=arm, until=other)
        assert "net_angle_when_done" not in levels.levels_of(longer, parent)
    assert "net_angle_when_done" not in levels.levels_of(made, None)
    # One that did not come to it has none, and says so.
    late = branch(parent, tmp_path / "late", at=0, budget=20, arm=arm, until=Until())
    assert math.isnan(levels.levels_of(late, parent)["net_angle_when_done"])


def test_compression_by_the_event_lies_between_the_checkpoints_beside_it(tmp_path, monkeypatch):
    parent = train(
        tiny_config(20, schedule=make_schedule(20, ["every:20"], [20])), tmp_path / "tiny", threads=1
    )
    made = branch(parent, tmp_path / "control", at=20, budget=80, save=["every:40"])
    entropy = {20: 10.0, 40: 8.0, 80: 4.0, 100: 0.0}
    assert made.steps == [*entropy]
    by_sum = {float(w["embed.W_E"].sum()): entropy[s] for s in made.steps for w in [made.step_weights(s)]}
    monkeypatch.setattr(levels, "total_entropy", lambda w: by_sum[float(w["embed.W_E"].sum())])
    for since, share in ((20, 0.2), (40, 0.4), (80, 1.0), (None, math.nan)):
        monkeypatch.setattr(levels, "event", lambda *of, since=since: (0, since))
        assert levels.share_of_compression(made) == pytest.approx(share, nan_ok=True)


def test_updates_after_the_branch_are_compared_step_by_step_with_the_control():
    steps = np.arange(2500, 3600)
    control = pd.DataFrame({"step": steps, "update_norm": 2.0})
    arm = pd.DataFrame({"step": steps[:900], "update_norm": np.where(steps[:900] < 3000, 0.5, 8.0)})
    assert levels.updates_after_branch(arm, control) == 0.25
    assert np.isnan(levels.updates_after_branch(arm.drop(columns="update_norm"), control))


@pytest.mark.slow
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

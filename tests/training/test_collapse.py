"""A real run that had generalised and is then made to forget: its collapse has the bracket that its curve shows."""

from dataclasses import replace

import pytest

import interp
from interp.runs.presets import named, variation
from interp.runs.schedule import make_schedule
from interp.tables.outcome import outcome
from interp.training.arms import Arm
from interp.training.branches import branch


@pytest.mark.slow
def test_far_too_much_weight_decay_makes_a_grokked_run_collapse(tmp_path):
    recipe = variation(
        named("parity", n_steps=200),
        task={"n_bits": 8, "k": 2, "n_train": 100, "n_test": 100},
        model={"d_mlp": 32},
        evaluation_interval=10,
    )
    recipe = replace(recipe, schedule=make_schedule(200, ["every:100"], ["200"]))
    grokked = interp.train(recipe, tmp_path / "run", threads=1)
    assert outcome({"history": grokked.history()}).generalised
    arm = Arm(name="decay", settings={"optimizer.weight_decay": 1.5})
    lost = branch(grokked, tmp_path / "lost", at=200, budget=200, arm=arm)
    found = interp.phases(lost)["collapse"]
    evaluated = lost.history().dropna(subset=["test_accuracy"]).set_index("step")["test_accuracy"]
    assert found.step is not None and found.before is not None and found.before > 200
    assert evaluated[found.before] >= 0.95 > evaluated[found.step]
    assert (evaluated.loc[found.step :] < 0.95).mean() > 0.9
    # The network of zeros that is left says the same everywhere.
    assert evaluated.iloc[-1] < 0.7
    ended = outcome({"history": lost.history()})
    assert ended.generalised is False and ended.said.endswith("and has lost it.")
    # Without it nothing collapses.
    control = branch(grokked, tmp_path / "control", at=200, budget=200)
    assert interp.phases(control)["collapse"].step is None

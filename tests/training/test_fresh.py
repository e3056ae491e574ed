"""Fresh rows at every step: which ones depends on seed and step alone, interrupted or not, alone or in a stack."""

from dataclasses import replace

import pytest
import torch

from interp.checks.recorded_losses import RecordedLossCheck
from interp.networks import plain
from interp.networks.config import transformer_config
from interp.networks.feature_mlps import features_mlp
from interp.runs.presets import mainline, named, variation
from interp.runs.run import open_run
from interp.runs.schedule import make_schedule
from interp.runs.table_files import read_table
from interp.tasks.data_edits import Shrink
from interp.training.arms import Arm
from interp.training.branches import branch
from interp.training.data import Data
from interp.training.train import resume, train
from tests.training.test_stacked import begun, check_same_in_float64


def fresh_recipe(seed=0, n_steps=12):
    recipe = variation(
        named("parity"),
        task={"n_bits": 8, "k": 2, "n_train": 20, "n_test": 20},
        optimizer={"fresh": True, "batch_size": 16},
        n_steps=n_steps,
        schedule=make_schedule(n_steps, ["every:4"], [4]),
        evaluation_interval=4,
        seed=seed,
    )
    return replace(recipe, model=features_mlp(n_features=8, n_outputs=2, d_mlp=10))


def test_every_step_has_rows_of_its_own():
    recipe = fresh_recipe()
    data = Data(recipe.task.task(), recipe, "cpu")
    first, second = data.part(0), data.part(1)
    assert first.inputs.shape == (16, 8) and not torch.equal(first.inputs, second.inputs)
    assert torch.equal(first.inputs, data.part(0).inputs)
    other = replace(recipe, optimizer=replace(recipe.optimizer, batch_seed=1))
    assert not torch.equal(Data(recipe.task.task(), other, "cpu").part(0).inputs, first.inputs)


def test_a_run_that_is_made_longer_equals_one_that_was_long(tmp_path):
    whole = train(fresh_recipe(), tmp_path / "whole", threads=1)
    train(fresh_recipe(n_steps=8), tmp_path / "short", threads=1)
    longer = resume(tmp_path / "short", n_steps=12)
    for name, w in whole.step_weights(12).items():
        assert torch.equal(w, longer.step_weights(12)[name]), name
    assert longer.history().equals(whole.history()) and bool(whole.history()["sees_fresh_rows"].all())
    # Its config says it: no column of the file, which would be lacking in rows that are added.
    assert "sees_fresh_rows" not in read_table(longer.path / "history.parquet")[0]


def test_members_of_a_stack_have_the_rows_of_the_run_alone(tmp_path):
    recipes = [fresh_recipe(seed) for seed in (0, 1)]
    recipes[1] = replace(recipes[1], optimizer=replace(recipes[1].optimizer, batch_seed=3))
    runs, others = ([open_run(p) for p in begun(recipes, tmp_path, name)] for name in ("alone", "stacked"))
    # Float64 throughout, 12 steps.
    check_same_in_float64(runs, others, atol=1e-12)


def test_accuracy_on_what_is_predictable_is_recorded_alone_and_in_a_stack(tmp_path):
    recipe = variation(
        named("sequences"),
        task={"vocabulary": 4, "length": 12, "repeated_length": 4, "n_copies": 2, "n_train": 9, "n_test": 7},
        optimizer={"batch_size": 4},
        n_steps=2,
        schedule=make_schedule(2, ["every:1"], []),
        evaluation_interval=1,
    )
    model = transformer_config(
        p=4, n_ctx=12, d_vocab=4, n_layers=1, d_model=8, n_heads=2, d_mlp=0, act_fn="relu"
    )
    recipes = [replace(recipe, model=model, seed=seed) for seed in (0, 1)]
    runs, others = ([open_run(p) for p in begun(recipes, tmp_path, name)] for name in ("alone", "stacked"))
    check_same_in_float64(runs, others, atol=1e-12)
    run = train(recipes[0], tmp_path / "run", threads=1)
    task = run.task
    logits = plain.forward(model, run.step_weights(2), task.tokens)
    for split in ("train", "test"):
        hits = [
            int(logits[row, place].argmax()) == label
            for row, place, label, is_asked in zip(
                task.example.tolist(), task.position.tolist(), task.labels.tolist(),
                task.parts["predictable"].tolist(), strict=True,
            )
            if is_asked and bool(task.is_train[row]) == (split == "train")
        ]  # fmt: skip
        assert run.history()[f"{split}_predictable_accuracy"].iloc[-1] == pytest.approx(sum(hits) / len(hits))
    check = RecordedLossCheck(run)
    for step in run.steps:
        check.add(step, run.step_weights(step))
    found, differences = check.findings()
    assert not found and "test_predictable_accuracy" in {d.column for d in differences}


def test_families_with_a_table_have_no_fresh_rows():
    with pytest.raises(ValueError, match="a family of tasks that draws them, 'modular' has all its rows"):
        variation(mainline(10), optimizer={"fresh": True, "batch_size": 5})
    with pytest.raises(ValueError, match="a number of rows a step: set batch_size"):
        variation(named("parity"), optimizer={"fresh": True, "batch_size": None})


def test_an_arm_that_edits_the_data_is_refused(tmp_path):
    run = train(fresh_recipe(), tmp_path / "run", threads=1)
    with pytest.raises(ValueError, match="trained on fresh rows at every step: nothing would change"):
        branch(run, tmp_path / "arm", at=4, budget=4, arm=Arm(name="fewer", data=(Shrink(n=5),)))

"""Which runs a sweep has."""

import pytest

from interp.sweeps.grid import MANY, listed_runs, n_runs, planned_runs, values_of
from tests.tiny import tiny_config

BASE = tiny_config(40).recipe()


def test_a_grid_is_every_combination_with_its_seeds_fastest():
    over = {"optimizer.weight_decay": [0.1, 1.0], "task.train_fraction": [0.4, 0.6]}
    runs = planned_runs(BASE, over, [0, 3])
    assert len(runs) == n_runs(over, [0, 3]) == 8
    assert [run.name for run in runs[:3]] == [
        "weight_decay=0.1,train_fraction=0.4,seed=0",
        "weight_decay=0.1,train_fraction=0.4,seed=3",
        "weight_decay=0.1,train_fraction=0.6,seed=0",
    ]
    last = runs[-1].recipe
    assert (last.optimizer.weight_decay, last.task.train_fraction) == (1.0, 0.6)
    # A replicate is another draw of everything that is drawn.
    assert (last.seed, last.task.split_seed) == (3, 3)
    assert runs[0].settings == {
        "optimizer.weight_decay": 0.1,
        "task.train_fraction": 0.4,
        "seed": 0,
        "task.split_seed": 0,
    }


def test_mini_batches_have_a_seed_too_and_others_do_not():
    batched = tiny_config(40, optimizer={"batch_size": 10}).recipe()
    assert planned_runs(batched, {}, [7])[0].recipe.optimizer.batch_seed == 7
    assert planned_runs(BASE, {}, [7])[0].recipe.optimizer.batch_seed == 0


def test_sizes_follow_and_checkpoints_fit_each_run():
    with pytest.raises(ValueError, match="the steps to save are those of runs of 40 steps. Leave them out"):
        planned_runs(BASE, {"n_steps": [30, 90]}, refit=False)
    runs = planned_runs(BASE, {"task.p": [7, 13], "n_steps": [30, 90]})
    assert [run.recipe.model.d_vocab for run in runs] == [8, 8, 14, 14]
    assert [run.recipe.schedule.steps[-1] for run in runs] == [30, 90, 30, 90]
    kept = planned_runs(BASE, {"task.p": [7]}, refit=False)[0].recipe
    assert kept.schedule == BASE.schedule


def test_a_list_names_each_run(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text("task.p,optimizer.lr,optimizer.loss\n7,0.01,stablemax\n13,,\n", encoding="utf-8")
    runs = planned_runs(BASE, listed_runs(file))
    assert [run.name for run in runs] == ["p=7,lr=0.01,loss=stablemax", "p=13"]
    assert [run.recipe.optimizer.loss for run in runs] == ["stablemax", "cross-entropy"]


def test_names_are_numbers_where_they_would_be_too_long_or_the_same():
    long = planned_runs(BASE, {"optimizer.betas": [[0.9, 0.98], [0.9, 0.99]]})
    assert [run.name for run in long] == ["betas=0.9-0.98", "betas=0.9-0.99"]
    fields = {f"optimizer.{name}": [value] for name, value in vars(BASE.optimizer).items() if name != "name"}
    many = planned_runs(
        BASE, fields | {f"model.{name}": [getattr(BASE.model, name)] for name in ("d_mlp", "act_fn")}
    )
    assert [run.name for run in many] == ["run-0"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a.b=0.1,0.3,1", [0.1, 0.3, 1]),
        ("a.b=S4,S5", ["S4", "S5"]),
        ("a.b=null,adam", [None, "adam"]),
        ("a.b=0.3:0.6:0.05", [0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6]),
        ("a.b=1:7:3", [1, 4, 7]),
        ("a.b=1e-3:3e-3:1e-3", [0.001, 0.002, 0.003]),
        ("a.b=[[0.9, 0.98]]", [[0.9, 0.98]]),
    ],
)
def test_values_as_they_are_typed(text, values):
    assert values_of(text) == ("a.b", values)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("task.p", "needs FIELD=VALUES"),
        ("=3", "needs FIELD=VALUES"),
        ("task.p=", "needs values as 0.1,0.3,1"),
        ("task.p=3:1:1", "START <= STOP"),
        ("task.p=1:3:0", "STEP > 0"),
        ("task.p=1:2", "START:STOP:STEP"),
        ("task.p=[1", "needs a JSON list"),
        ("task.p=0:1:1e-9", "more than 1,000,000"),
    ],
)
def test_values_that_make_no_sense(text, why):
    with pytest.raises(ValueError, match=why):
        values_of(text)


@pytest.mark.parametrize(
    ("over", "seeds", "why"),
    [
        ({"optimizer.wd": [1]}, [], r"optimizer.wd: a recipe has no field 'optimizer.wd'. Its optimizer has name, lr"),
        ({"task.p": []}, [], "task.p: a sweep needs a list of at least one value"),
        ({"task.p": "23"}, [], "task.p: a sweep needs a list"),
        ([], [], "at least one run, got an empty list"),
        ({"task.p": [7, 7]}, [], "is the same as p=7|is the same as run-0"),
        ({"seed": [0, 1]}, [0, 1], "seeds set seed, which is swept too"),
        ({"model.n_heads": [2, 3], "task.p": [7, 11]}, [], r"\(in the run with model.n_heads=3, task.p=7\)"),
        ({"n_steps": [0]}, [], "n_steps: a run needs a number of steps of at least 1, got 0"),
    ],
)  # fmt: skip
def test_grids_that_make_no_sense(over, seeds, why):
    with pytest.raises(ValueError, match=why):
        planned_runs(BASE, over, seeds)


def test_a_million_runs_are_counted_without_being_made():
    assert n_runs({"task.p": range(1000), "seed": range(1000)}, []) == 1_000_000 > MANY


def test_lists_that_cannot_be_read(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text("task.p\n", encoding="utf-8")
    with pytest.raises(ValueError, match="one for each run, got none"):
        listed_runs(file)
    file.write_text("task.p,seed\n7\n", encoding="utf-8")
    with pytest.raises(ValueError, match="as many values in line 2"):
        listed_runs(file)

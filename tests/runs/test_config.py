"""A recipe is a config in which nothing is unknown: what training takes, and what a config that knows it all gives."""

import dataclasses
import json
from pathlib import Path
from typing import get_type_hints

import pytest

from interp.runs.config import Recipe, RunConfig, config_from_json, config_to_json
from interp.runs.presets import mainline, variation
from interp.runs.run import open_run
from interp.runs.settings import with_settings
from interp.training.train import train
from tests.tiny import tiny_config

BUNDLED = Path(__file__).parents[2] / "checkpoints" / "mainline"


def test_a_recipe_has_the_fields_of_a_config_and_none_is_optional():
    known, maybe = get_type_hints(Recipe), get_type_hints(RunConfig)
    assert [f.name for f in dataclasses.fields(Recipe)] == [f.name for f in dataclasses.fields(RunConfig)]
    # What only branches have is known of every run.
    stated = {f.name for f in dataclasses.fields(RunConfig) if f.default is not dataclasses.MISSING}
    assert stated == {"first_step", "branch"}
    assert {name: kind if name in stated else kind | None for name, kind in known.items()} == maybe


def test_config_and_recipe_of_one_another():
    config = tiny_config()
    recipe = config.recipe()
    assert isinstance(recipe, Recipe) and vars(recipe) == vars(config)
    assert recipe.config() == config


def test_a_recipe_of_a_config_that_lacks_parts_names_all_of_them():
    names = [f.name for f in dataclasses.fields(RunConfig) if f.default is dataclasses.MISSING]
    with pytest.raises(ValueError, match=f"whole config, this one has no {', '.join(names)}\\. Configs of"):
        RunConfig(**dict.fromkeys(names)).recipe()
    config = dataclasses.replace(tiny_config(), optimizer=None, evaluation_interval=None)
    with pytest.raises(
        ValueError, match=r"no optimizer, evaluation_interval\. .* as interp\.runs\.presets\.main"
    ):
        config.recipe()
    assert dataclasses.replace(tiny_config(), seed=0).recipe().seed == 0  # 0 is not unknown


def test_a_recipe_that_lacks_parts_or_contradicts_itself_is_refused(annotations_off):
    recipe = tiny_config().recipe()
    cases = [
        ({"seed": None, "model": None}, "this one has no model, seed"),
        ({"n_steps": 0}, "n_steps of at least 1, got 0"),
        ({"n_steps": 200}, "The schedule saves step 300, but the run ends at 200"),
        ({"evaluation_interval": 0}, "evaluation_interval of at least 1, got 0"),
        ({"model": dataclasses.replace(recipe.model, d_vocab=11)}, "needs a model with n_ctx=3, d_vocab=12"),
    ]
    for changes, message in cases:
        with annotations_off(), pytest.raises(ValueError, match=message):
            dataclasses.replace(recipe, **changes)


def test_what_is_known_of_an_imported_run_must_fit_together():
    config = dataclasses.replace(tiny_config(), optimizer=None, n_steps=None, schedule=None)
    with pytest.raises(ValueError, match="needs a model with n_ctx=3, d_vocab=12"):
        dataclasses.replace(config, model=dataclasses.replace(config.model, d_vocab=11))


@pytest.mark.parametrize("name", ["digits", "sequences"])
@pytest.mark.parametrize(
    ("model", "what"),
    [
        ({"attention_dir": "bidirectional"}, "bidirectional attention"),
        ({"n_heads": 0, "d_mlp": 8}, "an attention-free MLP"),
    ],
)
def test_a_network_that_sees_the_answers_is_refused(name, model, what):
    from interp.runs.presets import named

    changes = {"n_layers": 1} | model
    with pytest.raises(
        ValueError, match=f"hold their answers behind each question, and {what} would read them"
    ):
        variation(named(name, n_steps=10), model=changes)


def test_presets_give_and_take_recipes():
    assert open_run(BUNDLED).config.recipe() == mainline()
    changed = variation(mainline(), task={"p": 11}, model={"d_model": 16}, optimizer={"lr": 0.1}, seed=3)
    assert isinstance(changed, Recipe)
    assert (changed.model.d_vocab, changed.model.d_head) == (12, 4)
    assert (changed.optimizer.lr, changed.seed, changed.n_steps) == (0.1, 3, mainline().n_steps)


def test_training_takes_a_recipe_or_the_config_of_a_run(tmp_path):
    config = tiny_config(3)
    one = train(config, tmp_path / "one", threads=1)
    two = train(config.recipe(), tmp_path / "two", threads=1)
    again = train(two.config, tmp_path / "again", threads=1)
    assert one.config == two.config == again.config == config
    assert one.index == two.index == again.index


@pytest.mark.parametrize("split", ["unknown", "explicit"])
def test_a_split_that_cannot_be_drawn_is_refused_before_anything_is_made(tmp_path, split):
    config = tiny_config(task={"split": split})
    with pytest.raises(
        ValueError, match=f"draws its own split, but this task's is '{split}'.* one of shuffle"
    ):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_loss_is_left_out_of_json_while_it_is_cross_entropy():
    stored = json.loads((BUNDLED / "run.json").read_text("utf-8"))["config"]
    assert "loss" not in stored["optimizer"]
    config = config_from_json(stored, "run.json")
    assert config.optimizer.loss == "cross-entropy"
    # As it is stored to the last sign: checksums of runs made before the field stay what they were.
    assert json.dumps(config_to_json(config)) == json.dumps(stored)
    changed = tiny_config(optimizer={"loss": "stablemax", "loss_dtype": "float16"})
    value = config_to_json(changed)
    assert (value["optimizer"]["loss"], value["optimizer"]["loss_dtype"]) == ("stablemax", "float16")
    assert config_from_json(value, "run.json") == changed


def test_the_loss_is_set_by_its_path_and_a_misspelt_one_is_refused(annotations_off):
    recipe = with_settings(mainline(), {"optimizer.loss": "squared-error"})
    assert recipe.optimizer.loss == "squared-error"
    assert with_settings(recipe, {"optimizer.loss": "cross-entropy"}) == mainline()
    with (
        annotations_off(),
        pytest.raises(ValueError, match="loss to be one of 'cross-entropy', 'squared-error', "),
    ):
        tiny_config(optimizer={"loss": "mse"})

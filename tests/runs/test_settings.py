"""Any field of a recipe by its path, of any family, with errors that name what was typed."""

import dataclasses

import pytest
import torch

from interp.runs import presets
from interp.runs.config import config_to_json
from interp.runs.settings import value_of, with_settings
from interp.tasks.families import FAMILIES
from tests.tiny import tiny_config


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def test_every_field_of_every_preset_is_reached_and_set_to_itself_changes_nothing():
    for make in presets.PRESETS.values():
        recipe = make()
        fields = dict(leaves(config_to_json(recipe.config())))
        assert {"task.split_seed", "optimizer.betas", "schedule.steps", "seed"} <= fields.keys()
        for path, value in fields.items():
            assert with_settings(recipe, {path: value}) == recipe, path


def test_sizes_follow_from_the_task_and_the_widths_unless_they_are_set():
    recipe = tiny_config().recipe()
    found = with_settings(recipe, {"task.p": 13, "task.equals_token": False, "model.d_model": 24})
    assert (found.model.n_ctx, found.model.d_vocab, found.model.d_vocab_out) == (2, 13, 13)
    assert (found.model.d_model, found.model.d_head) == (24, 12)
    wider = with_settings(recipe, {"model.d_vocab_out": 40, "model.d_head": 5})
    assert (wider.model.d_vocab_out, wider.model.d_head) == (40, 5)
    mlp = with_settings(recipe, {"model.n_heads": 0})
    assert (mlp.model.is_mlp, mlp.model.positions) == (True, "none")
    assert with_settings(recipe, {"optimizer.weight_decay": 0.3, "seed": 7}) == dataclasses.replace(
        recipe, optimizer=dataclasses.replace(recipe.optimizer, weight_decay=0.3), seed=7
    )


def test_fields_that_run_json_leaves_out_are_fields_too():
    found = with_settings(tiny_config().recipe(), {"task.n_unused_tokens": 4})
    assert (found.task.n_unused_tokens, found.model.d_vocab) == (4, 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task.p": "59x"}, "--set task.p=59x: Input should be a valid integer.*, got '59x'"),
        ({"seed": "one"}, "--set seed=one: Input should be a valid integer.*, got 'one'"),
        (
            {"task.q": 3},
            "--set task.q=3: a recipe has no field 'task.q'. Its task has operation, p, .*n_unused_tokens",
        ),
        ({"task.group": "S3"}, "A task of family 'modular' has none; use --task groups"),
        ({"foo.p": 3}, "no field 'foo.p'. Its parts are task, model, optimizer"),
        ({"task": 3}, "--set task=3"),
        ({"optimizer.lr.x": 3}, "no field 'optimizer.lr.x'"),
        ({"task.train_fraction": 2}, r"strictly between 0 and 1, got 2\.0"),
        ({"model.d_model": 130, "model.n_heads": 4}, "d_model divisible by n_heads"),
        ({"task.family": "nothing"}, "--set task.family=nothing: Input tag 'nothing'"),
        ({"model": None}, "--set model=None: a recipe needs a network"),
        ({"optimizer.betas": [0.9]}, r"--set optimizer.betas=\[0\.9\]: Field required"),
        ({"optimizer.lr": float("nan")}, "finite lr > 0 and weight_decay >= 0, got nan"),
        ({"optimizer.weight_decay": float("inf")}, "finite lr > 0 and weight_decay >= 0, got 0.01 and inf"),
        ({"n_steps": 10}, "^--set n_steps=10: The schedule saves step 300, but the run ends at 10"),
        ({"task.p": True}, "--set task.p=True: Input should be a valid integer, got True"),
        ({"n_steps": True}, "--set n_steps=True: Input should be a valid integer, got True"),
        ({"optimizer.lr": True}, "--set optimizer.lr=True: Input should be a valid number, got True"),
        (
            {"task.equals_token": "yes"},
            "--set task.equals_token=yes: Input should be a valid boolean, got 'yes'",
        ),
        ({"model.n_layers": 2.5}, "--set model.n_layers=2.5: Input should be a valid integer, got 2.5"),
        ({"task.p": torch.tensor(5)}, "--set task.p=.*: Input should be a valid integer"),
        ({"task.split": "unknown"}, "^--set task.split=unknown: Training draws its own split"),
        ({"task.p": 1}, "^--set task.p=1: A modular task needs a modulus p of at least 2"),
        # Two settings may be to blame: neither is named.
        ({"task.p": 10, "task.operation": "divide"}, "^Operation 'divide' needs a prime p, got 10"),
        (
            {"task.family": "groups"},
            "^--set task.family=groups: .* cannot become one of 'groups'.* --task groups",
        ),
    ],
)
def test_errors_are_said_in_the_words_that_were_typed(settings, message):
    typed = {path: f"--set {path}={value}" for path, value in settings.items()}
    with pytest.raises(ValueError, match=message):
        with_settings(tiny_config().recipe(), settings, typed)


def test_values_on_the_command_line_are_json_or_text():
    assert [value_of(x) for x in ("59", "0.3", "true", "null", "[1, 2]", "S5", "")] == [
        59, 0.3, True, None, [1, 2], "S5", "",
    ]  # fmt: skip


def test_presets_by_name_family_and_length():
    assert presets.named("mainline") == presets.named(None) == presets.mainline()
    assert presets.named("mainline", n_steps=500) == presets.mainline(500)
    for family in FAMILIES:
        assert presets.named(None, family, 100).task.family == family
    mixed = presets.named("mainline", "groups", 100)
    assert mixed.task.family == "groups" and mixed.model.n_heads == 4
    with pytest.raises(ValueError, match="no preset 'nothing'. There are: mainline"):
        presets.named("nothing")
    with pytest.raises(
        ValueError, match="no task family 'nothing'. There are: digits, groups, images, languages, modular"
    ):
        presets.named(None, "nothing")

"""What a user states of a source is used, or refused in one sentence: never passed over."""

import dataclasses

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import interp
from interp.commands.cli import app
from interp.networks.config import initial_weights, transformer_config
from interp.runs.tensor_files import RunError
from tests import foreign
from tests.tiny import tiny_config

pytestmark = pytest.mark.filterwarnings("ignore::interp.sources.files.reading.SourceWarning")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    file = tmp_path_factory.mktemp("theirs") / "0.pt"
    torch.save(initial_weights(tiny_config().model, 0), file)
    return file


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"task": "add"}, r"^task= needs fields by name, as \{'operation': 'add', .*got 'add'"),
        ({"task": {5: 1}}, "^task= needs fields by name, .*got one that is called 5"),
        ({"task": {"split": "nope"}}, "A task's split is one of shuffle, .*, not 'nope'"),
        ({"task": {"split": "explicit"}}, "split='explicit' needs its train rows: give train_indices="),
        ({"task": {"equals_token": "yes"}}, "A task's equals_token is True or False, not 'yes'"),
        ({"task": {"operation": ["add"]}}, r"A task's operation is a text, not \['add'\]"),
        ({"task": {"group": 5}}, "A task's group is a text, not 5"),
        ({"task": {"p": True}}, "A task's p is a whole number, not True"),
        ({"task": {"p": 11.5}}, "A task's p is a whole number, not 11.5"),
        ({"task": {"train_fraction": "0.5"}}, "A task's train_fraction is a number, not '0.5'"),
        ({"task": {"group": "x", "cayley_table": 3}}, "A task's cayley_table is a list of rows, not 3"),
        ({"task": {"family": ["groups"]}}, r"no task family \['groups'\]. There are: digits, groups, images"),
        ({"task": {"family": "groups"}}, "of family 'groups' needs its group, .*group='S5' or --group S5"),
        ({"task": {"foo": 1}}, "no field foo: .*of family 'groups' .*cayley_table.*; of family 'modular' .*operation"),
        ({"task": {"operation": "add", "group": "S3"}}, "No family has all of these fields: stated are group, operat"),
        ({"model": "relu"}, r"^model= needs fields by name, as \{'act_fn'.*got 'relu'"),
        ({"model": {"foo": 1}}, "A network has no field foo. Its fields are n_layers"),
        ({"model": {"act_fn": ["relu"]}}, r"A network's act_fn is one of relu, .*, not \['relu'\]"),
        ({"model": {"act_fn": "swish"}}, "A network's act_fn is one of relu, gelu, quadratic, tanh, not 'swish'"),
        ({"model": {"n_heads": "4"}}, "A network's n_heads is a whole number, not '4'"),
        ({"model": {"normalization_type": 3}}, "A network's normalization_type is one of LN, LNPre, not 3"),
        ({"train_indices": "abc"}, "train_indices needs whole numbers a . p . b from 0, got 'abc'"),
        ({"train_indices": [1, 2.5]}, "train_indices needs whole numbers .*, got 2.5"),
        ({"train_indices": torch.ones(121, dtype=torch.bool)}, "train_indices needs .*got True. Of a mask"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_sentence(source, annotations_off, stated, message):
    with annotations_off(), pytest.raises(ValueError, match=message):
        interp.open_run(source, **stated)


def test_a_history_that_is_no_table(source, annotations_off):
    with (
        annotations_off(),
        pytest.raises(ValueError, match="A history needs the columns of Run.hist"),
    ):
        interp.open_run(source, history=5)


def test_numbers_of_numpy_and_whole_configs_are_statements_too(source):
    stated = {
        "operation": "add",
        "p": np.int64(11),
        "train_fraction": np.float32(0.5),
        "equals_token": np.True_,
    }
    assert interp.open_run(source, task=stated).config.task.p == 11
    task = dataclasses.replace(tiny_config().task, split="explicit")
    opened = interp.open_run(source, task=task, train_indices=[0, 5])
    assert opened.task.split.nonzero().squeeze(1).tolist() == [0, 5]
    # "unknown" says nothing, as the config of an imported run does where nothing was found.
    unknown = dataclasses.replace(task, split="unknown", train_fraction=None)
    assert interp.open_run(source, task=unknown).config.task.split == "unknown"


def test_a_family_that_the_source_shows_is_named_where_another_is_stated(tmp_path):
    weights = initial_weights(
        transformer_config(
            p=7, n_ctx=2, d_vocab=7, n_layers=1, d_model=8, n_heads=2, d_mlp=32, act_fn="relu"
        ),
        0,
    )
    state = foreign.as_left_facing(weights)
    state["unembed.W_U"] = state["unembed.W_U"][:, :7]
    file = foreign.write_pizza(tmp_path / "pizza", state, "x", n_layers=1, n_heads=2, d_model=8)
    with pytest.raises(
        ValueError,
        match=r"The source shows a task of family 'modular' \(.*p=7.*\), but group was stated, which is of family "
        "'groups'",
    ):
        interp.open_run(file, task={"group": "S5"})


def test_advice_on_a_run_that_is_there_already_and_on_one_without_a_task_works(source, tmp_path):
    run = interp.import_run(source, tmp_path / "run")
    with pytest.raises(
        RunError, match="already holds a run. Look at it with `interp info .*run`, or name a new dir"
    ):
        interp.import_run(source, tmp_path / "run")
    assert CliRunner().invoke(app, ["info", str(run.path)]).exit_code == 0
    with pytest.raises(RunError, match=r"Import its source again with --task \(task= in Python\)"):
        run.task
    assert interp.import_run(source, tmp_path / "again", task={"operation": "add"}).task.n_examples == 121
    opened = interp.open_run(source)
    with pytest.raises(RunError, match=r"Open it with task= \(--task\) if you know what it learned"):
        opened.task
    told = interp.open_run(source, task={"operation": "add"})
    with pytest.raises(
        ValueError, match="state it where its source is opened or imported: --train-fraction, --split"
    ):
        told.task.split
    stated = ["--task", "add", "--split", "shuffle", "--split-seed", "0", "--train-fraction", "0.5"]
    shown = CliRunner().invoke(app, ["info", str(source), *stated])
    assert "add mod 11, 50% train (split 'shuffle', seed 0)" in " ".join(shown.output.split())

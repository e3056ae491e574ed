"""The store: what is read is what was written, and whatever is not is named."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

import interp
from interp.networks.config import initial_weights, parameter_shapes
from interp.runs.config import RunConfig, config_from_json, config_to_json
from interp.runs.packed_weights import packed_weight
from interp.runs.record import RunRecord
from interp.runs.run import open_run
from interp.runs.saving import (
    create_run,
    read_latest,
    save_checkpoint,
    save_history,
    save_latest,
)
from interp.runs.seal import MARK
from interp.runs.tensor_files import RunError, safetensors_bytes, tensor_checksum
from tests.tiny import tiny_config

EMPTY = RunConfig(
    task=None, model=None, optimizer=None, n_steps=None, schedule=None, seed=None, evaluation_interval=None
)


def new_run(path, config=EMPTY, task=None):
    return create_run(path, config, RunRecord(status="imported", unit="step"), task)


def edit_json(path, change):
    value = json.loads(path.read_text("utf-8"))
    change(value)
    path.write_text(json.dumps(value), "utf-8")


def flip_byte(path, place=-5):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


# What is read is what was written.


def test_a_trained_run_reads_back(tiny_run):
    run, config = open_run(tiny_run.path), tiny_config()
    assert run.config == config
    assert run.steps == list(config.schedule.steps)
    assert run.optimizer_steps == [100, 200]
    assert (run.record.status, run.unit, run.name) == ("complete", "step", "tiny")
    assert repr(run) == "Run('tiny', 7 checkpoints, steps 0 to 300, complete)"
    initial = initial_weights(config.model, config.seed)
    for name, w in run.checkpoint(0).weights.items():
        assert torch.equal(w, initial[name])
    assert run.checkpoint(50).optimizer is None
    state = run.checkpoint(100).optimizer
    assert set(state) == {f"{k}/{n}" for k in ("step", "exp_avg", "exp_avg_sq") for n in initial}
    assert all(v == 100 for k, v in state.items() if k.startswith("step/"))
    assert run.task.n_train == 60


def test_weights_come_in_the_order_of_the_network(tiny_run):
    for step in tiny_run.steps:
        assert list(tiny_run.step_weights(step)) == list(parameter_shapes(tiny_run.config.model))


def test_model_of_a_step_is_that_step(tiny_run):
    model = tiny_run.model(100)
    for name, w in tiny_run.step_weights(100).items():
        assert torch.equal(model.weights()[name], w)
    logits, cache = model.run_with_cache(tiny_run.task.tokens)
    assert cache["blocks.0.mlp.hook_post"].shape == (121, 3, 32)
    loss = torch.nn.functional.cross_entropy(
        logits[:, -1].double()[tiny_run.task.split], tiny_run.task.labels[tiny_run.task.split]
    )
    # The history comes from the factorized pass: float32 rounding between the two.
    assert loss.item() == pytest.approx(tiny_run.history()["train_loss"][100], rel=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": {"batch_size": 7, "name": "sgd", "momentum": 0.9}},
        {"task": {"operation": "divide", "corrupted_fraction": 0.1, "split": "unordered"}},
        {"model": {"normalization_type": "LN", "tied_unembed": True, "attention_rate": 0.25}},
        {"model": {"n_heads": 0}, "task": {"separate_vocabularies": True, "equals_token": False}},
        {"n_steps": 7},
    ],
)
def test_config_round_trip(changes):
    config = tiny_config(**changes)
    value = json.loads(json.dumps(config_to_json(config)))
    assert config_from_json(value, "here") == config
    assert config_from_json(config_to_json(EMPTY), "here") == EMPTY


@pytest.mark.parametrize("split", ["shuffle", "explicit", "unknown"])
def test_task_round_trip(tmp_path, split):

    config = tiny_config(task={"split": split})
    recorded = torch.arange(121) % 3 == 0 if split == "explicit" else None
    task = config.task.task(recorded)
    found = new_run(tmp_path / "r", config, task).task
    for field in dataclasses.fields(task):
        ours, theirs = getattr(task, field.name), getattr(found, field.name)
        if isinstance(ours, torch.Tensor):
            assert torch.equal(ours, theirs), field.name
    assert (found.is_train is None) == (split == "unknown")


@given(
    shapes=st.dictionaries(
        st.text("abcW_.", min_size=1, max_size=6).filter(lambda name: ".." not in name),
        st.lists(st.integers(0, 3), max_size=3),
        min_size=1,
        max_size=4,
    ),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool]),
)
def test_tensors_round_trip_in_order_of_every_dtype_and_shape(tmp_path_factory, shapes, dtype):
    tensors = {
        name: torch.arange(np.prod([1, *shape])).reshape(shape).to(dtype) for name, shape in shapes.items()
    }
    run = new_run(tmp_path_factory.mktemp("r") / "run")
    save_checkpoint(run, 3, tensors, {})
    found = open_run(run.path).checkpoint(3)
    assert list(found.weights) == list(tensors)
    for name, tensor in tensors.items():
        assert found.weights[name].dtype == dtype
        assert torch.equal(found.weights[name], tensor)
        assert torch.equal(run.tensor(3, name), tensor)
    assert found.optimizer == {}


def test_checksums_see_dtype_shape_and_every_bit():
    x = torch.zeros(4)
    same = tensor_checksum(x)
    assert tensor_checksum(torch.zeros(8)[::2]) == same  # not the layout in memory
    y = x.clone()
    y[2] = 1e-45  # the smallest positive float32
    for other in (x.reshape(2, 2), x.int(), y, -x):
        assert tensor_checksum(other) != same


def test_equal_tensors_make_equal_files(tmp_path):
    weights = initial_weights(tiny_config().model, 0)
    # safetensors alone orders metadata at random: one repetition in two would differ.
    files = {safetensors_bytes(weights, 7) for _ in range(20)}
    assert len(files) == 1
    (tmp_path / "x.safetensors").write_bytes(files.pop())
    with safe_open(tmp_path / "x.safetensors", framework="pt") as file:
        metadata = file.metadata()
        assert set(file.keys()) == set(weights)
        assert all(torch.equal(file.get_tensor(name), w) for name, w in weights.items())
    assert metadata["step"] == "7"
    assert json.loads(metadata["checksums"]) == {n: tensor_checksum(w) for n, w in weights.items()}


def test_checkpoint_saved_again_is_replaced_and_steps_are_sorted(tmp_path):
    run = new_run(tmp_path / "r")
    for step in (30, 4, 100):
        save_checkpoint(run, step, {"w": torch.full((2,), float(step))})
    save_checkpoint(run, 30, {"w": torch.zeros(2)})
    found = open_run(run.path)
    assert found.steps == run.steps == [4, 30, 100]
    assert (found.step_weights(30)["w"] == 0).all()


def test_latest_round_trip(tmp_path):
    run = new_run(tmp_path / "r")
    assert read_latest(run) is None
    weights, state = (
        {"b": torch.ones(2), "a": torch.zeros(1)},
        {"exp_avg/b": torch.ones(2), "step/a": torch.tensor(3.0)},
    )
    save_latest(run, 17, weights, state)
    found = read_latest(run)
    assert found.step == 17
    assert (list(found.weights), list(found.optimizer)) == (list(weights), list(state))
    assert torch.equal(found.weights["b"], weights["b"])


def test_history_round_trip(tmp_path):
    run = new_run(tmp_path / "r")
    assert list(run.history().columns) == [
        "step",
        "train_loss",
        "train_accuracy",
        "test_loss",
        "test_accuracy",
    ]
    table = pd.DataFrame(
        {"step": [0, 1], "train_loss": [0.1 + 0.2, 1e-300], "test_loss": [1.0, float("nan")]}
    )
    save_history(run, table)
    pd.testing.assert_frame_equal(run.history(), table, check_exact=True)


# One weight over all steps.


def test_one_weight_over_all_steps_is_memory_mapped_and_read_only(tiny_run):
    packed = tiny_run.weights("W_E")
    want = torch.stack([tiny_run.step_weights(s)["embed.W_E"] for s in tiny_run.steps]).numpy()
    np.testing.assert_array_equal(packed, want)
    assert isinstance(packed, np.memmap)
    assert not packed.flags.writeable
    file = tiny_run.path / "packed" / "embed.W_E.npy"
    before = file.stat()
    np.testing.assert_array_equal(open_run(tiny_run.path).weights("embed.W_E"), want)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (
        before.st_mtime_ns,
        before.st_ino,
    )  # not packed again


def test_packed_weights_follow_the_checkpoints(tiny_run_copy):
    run = tiny_run_copy
    before = np.array(run.weights("W_U"))
    changed = run.step_weights(100)
    changed["unembed.W_U"] = changed["unembed.W_U"] + 1
    save_checkpoint(run, 100, changed)
    np.testing.assert_array_equal(run.weights("W_U")[2], before[2] + 1)
    save_checkpoint(run, 120, changed)
    for opened in (run, open_run(run.path)):
        assert opened.weights("W_U").shape == (8, 16, 11)
        np.testing.assert_array_equal(opened.weights("W_U")[3], before[2] + 1)


@pytest.mark.parametrize("damage", ["truncated", "missing", "unstamped", "half stamped", "no array"])
def test_damaged_pack_is_made_anew(tiny_run_copy, damage):
    run = tiny_run_copy
    want = np.array(run.weights("W_E"))
    file, stamp = (run.path / "packed" / f"embed.W_E.{x}" for x in ("npy", "json"))
    {
        "truncated": lambda: file.write_bytes(file.read_bytes()[:-100]),
        "missing": file.unlink,
        "unstamped": stamp.unlink,
        "half stamped": lambda: stamp.write_text(stamp.read_text()[:50]),
        "no array": lambda: file.write_bytes(b"not an array"),
    }[damage]()
    np.testing.assert_array_equal(run.weights("W_E"), want)
    np.testing.assert_array_equal(np.load(file), want)


def test_directory_that_cannot_be_written_is_read_all_the_same(tiny_run_copy):
    # A file where the directory should be: refused for every user, also for one who may write everywhere.
    (tiny_run_copy.path / "packed").write_bytes(b"")
    packed = tiny_run_copy.weights("W_E")
    np.testing.assert_array_equal(packed[1], tiny_run_copy.step_weights(50)["embed.W_E"].numpy())
    assert not packed.flags.writeable


def test_bfloat16_is_packed_as_float32(tmp_path):
    run = new_run(tmp_path / "r")
    save_checkpoint(run, 0, {"w": torch.tensor([1.5, 3.0], dtype=torch.bfloat16)})
    np.testing.assert_array_equal(run.weights("w"), np.array([[1.5, 3.0]], dtype=np.float32))


def test_weight_names(tiny_run, tmp_path):
    assert tiny_run.weight_name("W_in") == "blocks.0.mlp.W_in"
    with pytest.raises(RunError, match=r"has no weight 'W_X'\. Use one of embed\.W_E, .*unembed\.W_U\."):
        tiny_run.weights("W_X")
    run = new_run(tmp_path / "r")
    with pytest.raises(RunError, match="Run 'r' has no checkpoints yet"):
        run.weights("W_E")
    save_checkpoint(run, 0, {"blocks.0.W": torch.zeros(1), "blocks.1.W": torch.zeros(1)})
    with pytest.raises(RunError, match=r"more than one weight 'W'. Use one of blocks\.0\.W, blocks\.1\.W\."):
        run.weights("W")
    save_checkpoint(run, 5, {"blocks.0.W": torch.zeros(2), "blocks.1.W": torch.zeros(1)})
    with pytest.raises(RunError, match=r"is \(1,\) at step 0 and \(2,\) at step 5: it cannot be one array"):
        run.weights("blocks.0.W")


# Whatever is wrong is named.


def test_not_a_run(tmp_path):
    with pytest.raises(RunError, match=r"There is no run at .*nowhere: no such directory"):
        open_run(tmp_path / "nowhere")
    (tmp_path / "other").mkdir()
    with pytest.raises(
        RunError, match=r"other is not a grokscope run: it holds no run.json.*interp import .*other DEST"
    ):
        open_run(tmp_path / "other")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RunError, match=r"file is not a grokscope run"):
        open_run(tmp_path / "file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(format="other"), "its 'format' is not 'grokscope-run'"),
        (
            lambda r: r.update(format_version=2),
            "format version 2, this grokscope reads 1. Use the version that wrote",
        ),
        (lambda r: r.pop("status"), "lacks status: it was altered"),
        (lambda r: r.pop("config"), "lacks config: it was altered"),
        (lambda r: r["config"].pop("seed"), "no valid config: seed: Field required"),
        (
            lambda r: r["config"]["model"].update(d_model="wide"),
            "no valid config: model.d_model: Input should be",
        ),
        (
            lambda r: r["config"]["model"].update(act_fn="swish"),
            "no valid config: model.act_fn: Input should be",
        ),
        (
            lambda r: r["config"]["task"].update(train_fraction=1.5),
            "task: .*strictly between 0 and 1, got 1.5",
        ),
        (lambda r: r["config"]["task"].update(p=12), r"needs a model with n_ctx=3, d_vocab=13"),
        (lambda r: r["config"].update(surprise=1), "holds fields that this version does not know"),
        (lambda r: r["config"].update(seed="0"), "or values of another type"),
    ],
)
def test_altered_record(tiny_run_copy, change, message):
    edit_json(tiny_run_copy.path / "run.json", change)
    with pytest.raises(RunError, match=f"run.json .*{message}"):
        open_run(tiny_run_copy.path)


def test_record_that_is_not_json(tiny_run_copy):
    path = tiny_run_copy.path / "run.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(
        RunError, match=r"run.json is not readable JSON .*restore it from a copy.*interp info .*st"
    ):
        open_run(tiny_run_copy.path)
    # The advice works: the checkpoints open without it.
    with pytest.warns(UserWarning, match="Tensors do not show"):
        assert interp.open_run(tiny_run_copy.path / "steps").steps == tiny_run_copy.steps
    path.write_text("[]")
    with pytest.raises(RunError, match="does not describe a grokscope run"):
        open_run(tiny_run_copy.path)


def test_damaged_index(tiny_run_copy):
    path = tiny_run_copy.path / "index.json"
    for text in ("[1]", '{"first": {}}', '{"0": {}}', '{"0": 7}', '{"0": {"file": "x", "checksum": "y"}}'):
        path.write_text(text)
        with pytest.raises(
            RunError, match=r"index.json is not an index of checkpoints. Run `interp verify --repair"
        ):
            open_run(tiny_run_copy.path).steps
    path.unlink()
    with pytest.raises(RunError, match=r"index.json is missing. Run `interp verify --repair .*tiny`"):
        open_run(tiny_run_copy.path).steps


@pytest.mark.parametrize("name", ["../../../escaped/x.W_E", "a/W_E", "a\\W_E", "..W_E", "W\0E"])
def test_a_weight_name_cannot_lead_out_of_the_run(tiny_run_copy, tmp_path, name):
    path, what = tiny_run_copy.path, "could lie outside the run. Rename it: a weight's name holds no"
    run = new_run(tmp_path / "own")
    with pytest.raises(RunError, match=what):
        save_checkpoint(run, 0, {name: torch.zeros(1)})
    with pytest.raises(RunError, match=what):
        packed_weight(path / "packed", name, {0: "x"}, lambda step: torch.zeros(1), "run 'x'")
    edit_json(path / "index.json", lambda index: index["0"]["tensors"].update({name: "0" * 16}))
    with pytest.raises(RunError, match=what):
        open_run(path).weights(name)
    assert not (path / "packed").exists() and not list(tmp_path.rglob("*.npy"))


@pytest.mark.parametrize(
    "name",
    [
        "../x.safetensors",
        "/x.safetensors",
        "steps/../../x",
        "steps",
        "task.safetensors",
        "steps\\..\\x",
        "steps/\0",
    ],
)
@pytest.mark.parametrize("folder", ["steps", "optimizer"])
def test_a_file_of_the_index_cannot_lie_elsewhere(tiny_run_copy, folder, name):
    def change(index):
        entry = index["100"] if folder == "steps" else index["100"]["optimizer"]
        entry["file"] = name

    edit_json(tiny_run_copy.path / "index.json", change)
    with pytest.raises(
        RunError, match=f"for step 100, which is not in {folder}/ of the run: it was altered. Run `interp"
    ):
        open_run(tiny_run_copy.path).checkpoint(0)


def test_missing_step(tiny_run, tmp_path):
    message = (
        r"Run 'tiny' has no checkpoint at step 31; it has 7 from 0 to 300, the nearest at 50. "
        r"Use run.checkpoint\(50\) or train with a denser schedule."
    )
    for read in (
        tiny_run.checkpoint,
        tiny_run.step_weights,
        tiny_run.model,
        lambda s: tiny_run.tensor(s, "W_E"),
    ):
        with pytest.raises(RunError, match=message):
            read(31)
    with pytest.raises(RunError, match="Run 'r' has no checkpoints yet, not at step 0 either"):
        new_run(tmp_path / "r").checkpoint(0)


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def damage_empty(path):
    path.write_bytes(b"")


def damage_by_mixing(path):
    shutil.copy(path.with_name(f"{200:010d}.safetensors"), path)


@pytest.mark.parametrize(
    ("damage", "message", "tensor_message"),
    [
        (lambda path: path.unlink(), "it is missing", "No such file"),
        (
            damage_truncate,
            "its checksum is .* was recorded when it was saved",
            "incomplete|InvalidHeader|Incomplete",
        ),
        (damage_empty, "its checksum is", ""),
        (flip_byte, "its checksum is", "tensor unembed.W_U has another checksum than the one recorded"),
        (damage_by_mixing, "its checksum is", "tensor unembed.W_U has another checksum"),
    ],
)
@pytest.mark.parametrize("part", ["steps", "optimizer"])
def test_damaged_checkpoint_is_named_and_the_others_still_read(
    tiny_run_copy, part, damage, message, tensor_message
):
    run = tiny_run_copy
    path = run.path / part / f"{100:010d}.safetensors"
    damage(path)
    full = rf"{part}/0000000100.safetensors is damaged: .*({message}).*Run `interp verify {run.path}`"
    with pytest.raises(RunError, match=full):
        run.checkpoint(100)
    if part == "steps":
        for read in (run.step_weights, run.model):
            with pytest.raises(RunError, match=full):
                read(100)
        # flip_byte hits the last tensor in the file, W_U.
        with pytest.raises(RunError, match=rf"0000000100.safetensors is damaged: .*({tensor_message})"):
            run.tensor(100, "W_U")
        with pytest.raises(RunError, match=r"0000000100.safetensors is damaged"):
            run.weights("W_U")
    assert run.checkpoint(200).optimizer


def test_checkpoint_of_another_run_is_refused(tiny_run_copy, tmp_path):
    # A network of the same shapes: only the checksum tells.
    other = new_run(tmp_path / "other", tiny_config())
    save_checkpoint(other, 100, initial_weights(other.config.model, 5))
    file = f"steps/{100:010d}.safetensors"
    shutil.copy(other.path / file, tiny_run_copy.path / file)
    with pytest.raises(RunError, match=r"0000000100.safetensors is damaged: its checksum is"):
        tiny_run_copy.checkpoint(100)


def test_a_run_without_a_network(tmp_path):
    with pytest.raises(
        RunError, match=r"Run 'x' has no model config: read its tensors with run.step_weights"
    ):
        new_run(tmp_path / "x").model(0)


def test_damaged_latest(tmp_path):
    run = new_run(tmp_path / "r")
    path = run.path / "latest.safetensors"
    save_latest(run, 17, {"a": torch.ones(20)}, {"exp_avg/a": torch.ones(20)})
    whole = path.read_bytes()
    flip_byte(path)
    with pytest.raises(RunError, match=r"latest.safetensors is damaged: its tensors have other checksums"):
        read_latest(run)
    for data in (whole[:-3], whole[:20], b"", b"\xff" * 100):
        path.write_bytes(data)
        with pytest.raises(RunError, match=r"latest.safetensors is damaged: .*Run `interp verify .*r`"):
            read_latest(run)


def test_damaged_history(tiny_run_copy):
    damage_truncate(tiny_run_copy.path / "history.parquet")
    with pytest.raises(RunError, match=r"history.parquet is not a readable table .*Run `interp verify"):
        tiny_run_copy.history()


def test_damaged_task(tiny_run_copy):
    path = tiny_run_copy.path / "task.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(RunError, match=r"task.safetensors is damaged"):
        open_run(tiny_run_copy.path).task
    path.write_bytes(whole)
    flip_byte(path, -len(open_run(tiny_run_copy.path).task.split))
    with pytest.raises(RunError, match=r"task.safetensors is damaged: its content has another checksum than"):
        open_run(tiny_run_copy.path).task
    # One of an earlier version, without a checksum.
    path.write_bytes(path.read_bytes().replace(MARK.encode(), b"x" * len(MARK)))
    with pytest.raises(
        RunError, match=r"task.safetensors holds other data than the config in run.json describes"
    ):
        open_run(tiny_run_copy.path).task
    path.write_bytes(safetensors_bytes({"tokens": torch.zeros(1)}, 0))
    with pytest.raises(RunError, match=r"task.safetensors is damaged: it lacks is_corrupted, labels"):
        open_run(tiny_run_copy.path).task
    path.unlink()
    with pytest.raises(RunError, match=r"task.safetensors is damaged: it is missing"):
        open_run(tiny_run_copy.path).task


def test_changed_seed_in_the_record_contradicts_the_stored_task(tiny_run_copy):
    edit_json(tiny_run_copy.path / "run.json", lambda r: r["config"]["task"].update(split_seed=1))
    with pytest.raises(RunError, match="its checksum shows it"):
        open_run(tiny_run_copy.path)
    edit_json(tiny_run_copy.path / "run.json", lambda r: r.pop("checksum"))
    with pytest.raises(RunError, match="One of the two was changed, or a generator differs between versions"):
        open_run(tiny_run_copy.path).task


def test_no_task(tmp_path):
    with pytest.raises(
        RunError, match=r"Run 'r' has no task that grokscope.*Import its source again with --task"
    ):
        new_run(tmp_path / "r").task


def test_used_directories_are_refused(tiny_run, tmp_path):
    with pytest.raises(RunError, match=r"tiny already holds a run. Continue it with `interp resume .*tiny`"):
        new_run(tiny_run.path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(
        RunError, match=r"directory of its own, but .* already holds other files. Name a new or empty"
    ):
        new_run(tmp_path)
    with pytest.raises(RunError, match=r"but .*notes.txt is a file"):
        new_run(tmp_path / "notes.txt")


def test_configs_that_contradict_themselves(annotations_off):
    config = tiny_config()
    cases = [
        (lambda: dataclasses.replace(config, n_steps=0), "n_steps of at least 1, got 0"),
        (
            lambda: dataclasses.replace(config, evaluation_interval=0),
            "evaluation_interval of at least 1, got 0",
        ),
        (
            lambda: dataclasses.replace(config, n_steps=200),
            "The schedule saves step 300, but the run ends at 200",
        ),
        (
            lambda: dataclasses.replace(config, model=dataclasses.replace(config.model, d_vocab=11)),
            r"The task \(add mod 11\) needs a model with n_ctx=3, d_vocab=12 and at least 11 logits, got n_ctx=3",
        ),
        (lambda: tiny_config(model={"d_vocab_out": 10}), "at least 11 logits, got .* and 10 logits"),
        (lambda: tiny_config(optimizer={"lr": 0.0}), r"lr > 0 and weight_decay >= 0, got 0.0 and 0.5"),
        (lambda: tiny_config(optimizer={"weight_decay": -1.0}), "got 0.01 and -1.0"),
        (lambda: tiny_config(optimizer={"batch_size": 0}), "at least one row, got batch_size=0"),
        (
            lambda: tiny_config(optimizer={"warmup_steps": -1}),
            "Warm-up needs warmup_steps of at least 0, got -1",
        ),
        (
            lambda: tiny_config(optimizer={"name": "AdamW"}),
            "name to be one of 'adamw', 'adam', 'sgd', got 'AdamW'",
        ),
        (
            lambda: tiny_config(optimizer={"loss_dtype": "float8"}),
            "loss_dtype to be one of 'float64', 'float32', 'float16'",
        ),
    ]
    for make, message in cases:
        with annotations_off(), pytest.raises(ValueError, match=message):
            make()


def test_reading_one_checkpoint_does_not_touch_the_others(tiny_run_copy):
    run = tiny_run_copy
    for file in (run.path / "steps").iterdir():
        if "100" not in file.name:
            file.unlink()
    (run.path / "history.parquet").unlink()
    assert open_run(run.path).step_weights(100)
    assert os.listdir(run.path / "steps") == [f"{100:010d}.safetensors"]


def test_what_is_large_displays_in_a_few_lines(tiny_run):
    from interp.snapshots.snapshot import Snapshot

    with_state, without = (repr(tiny_run.checkpoint(step)) for step in (100, 50))
    assert with_state.startswith(
        "Checkpoint(step 100, 2512 parameters, optimizer state step, exp_avg, exp_avg_sq: embed"
    )
    assert "no optimizer state: embed.W_E (12, 16), pos_embed.W_pos (3, 16), " in without
    assert max(map(len, (with_state, without))) < 420
    assert repr(tiny_run.task) == "Task(add mod 11: 121 examples, 121 questions, 60 in train)"
    assert (
        repr(Snapshot.of(tiny_run, 50))
        == f"Snapshot(step 50 of run 'tiny': 2512 parameters, {tiny_run.task!r})"
    )


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_reading_a_table_starts_no_threads(tiny_run):
    """A process that ends while pyarrow's threads start is aborted."""
    script = (
        "import os, sys, pandas, torch, pyarrow.parquet\n"
        "from interp.runs.run import open_run\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "assert len(open_run(sys.argv[1]).history())\n"
        "print(len(os.listdir('/proc/self/task')) - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tiny_run.path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"

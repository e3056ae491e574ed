"""Sizes that cannot be end in a sentence before memory is taken for them."""

import json
import re
import sys
import time
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save

from interp.commands.cli import main
from interp.ground import memory
from interp.ground.parquet_sizes import check_parquet
from interp.measurement.steps import select_steps
from interp.networks.config import initial_weights, n_parameters, parameter_shapes
from interp.runs.run import open_run
from interp.runs.saving import read_latest
from interp.runs.schedule import make_schedule
from interp.runs.tensor_files import RunError
from interp.training.sizes import check_sizes
from tests.tiny import tiny_config

# What the tests' machine has, whatever it has.
MACHINE = 32 * 10**9


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: MACHINE)


def altered(run, change):
    """The run with its run.json changed."""
    file = run.path / "run.json"
    about = json.loads(file.read_text())
    change(about["config"])
    # As one who edits it by hand and means it.
    about.pop("checksum", None)
    file.write_text(json.dumps(about))
    return run.path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--p", 1000000], "p of at most 10,000 here, got 1000000"),
        (["--set", "task.p=1000000000000"], "p of at most 10,000 here, got 1000000000000"),
        (["--set", "task.p=1" + "0" * 4000], "p of at most 10,000 here, got an integer of"),
        (
            ["--p", 9973],
            r"99,460,729 examples, 9,973 logits each\) with a network of .* needs at least 3,97\d GB",
        ),
        (["--layers", 1000000], "--layers of at most 10,000, got 1000000"),
        (
            ["--layers", 10000, "--d-model", 4096],
            r"--layers 10000, --d-model 4096, .* needs at least .* GB of memory",
        ),
        (["--d-model", 10**12], "--d-model of at most 1,000,000,000, got 1000000000000"),
        (["--d-mlp", 10**9], r"--d-mlp 1000000000, .* needs at least 1,\d\d\d GB of memory"),
        (["--heads", 10**12], "--d-model divisible by --heads"),
        (["--steps", 10**15], "--steps: a run needs at most 10,000,000,000 steps"),
        (["--set", "n_steps=1000000000000000"], "n_steps=1000000000000000: a run needs at most"),
        (["--steps", 10**9, "--save", "every:1"], "at most 1,000,000 saved steps, and 'every:1' names more"),
        (["--save", "log:999999999999999999999"], "at most 1,000,000 saved steps"),
        (["--seed", "9" * 23], "--seed: A generator needs seed of at most 18 digits, got"),
        (["--split-seed", "9" * 23], "needs --split-seed of at most 18 digits, got"),
        (
            ["--set", "optimizer.batch_seed=" + "9" * 23],
            "needs --set optimizer.batch_seed of at most 18 digits, got",
        ),
    ],
)
def test_options_that_cannot_be(tmp_path, options, message, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["interp", "train", str(tmp_path / "run"), *map(str, options)])
    start = time.process_time()
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1 and time.process_time() - start < 5
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("task", "p", 60_000, "p of at most 10,000 here, got 60000"),
        ("model", "n_layers", 1_000_000, "n_layers of at most 10,000, got 1000000"),
        ("model", "d_mlp", 10**9, "needs at least .* GB of memory, and there are 32 GB"),
        ("model", "d_head", 10**400, "d_head of at most 1,000,000,000, got an integer of 1329 bits"),
        (None, "n_steps", 10**15, "n_steps of at most 10,000,000,000, got 1000000000000000"),
        (None, "seed", 10**23, "seed of at most 18 digits, got 1000"),
        ("task", "split_seed", 10**23, "split_seed of at most 18 digits"),
    ],
)
def test_sizes_in_run_json_that_cannot_be(tiny_run_copy, part, field, value, message):
    path = altered(tiny_run_copy, lambda config: (config[part] if part else config).update({field: value}))
    with pytest.raises(RunError, match=message):
        open_run(path)


def test_a_table_is_made_only_where_as_many_rows_are_stored(tiny_run_copy):
    def change(config):
        config["task"]["p"] = config["model"]["d_vocab_out"] = 9973
        config["model"]["d_vocab"] = 9974

    run = open_run(altered(tiny_run_copy, change))
    tracemalloc.start()
    with pytest.raises(
        RunError, match=r"task\.safetensors holds other data than the config in run\.json describes"
    ):
        run.task
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_a_run_that_says_it_is_longer_than_its_history_is_verified_in_no_time(tiny_run_copy):
    from interp.checks.of_run import verify_run

    run = open_run(altered(tiny_run_copy, lambda config: config.update(n_steps=10**9)))
    start = time.process_time()
    messages = [finding.message for finding in verify_run(run.path, losses=0).findings]
    assert any("lacks the rows of 999999700 steps: 301-1000000000" in m for m in messages), messages
    assert time.process_time() - start < 10


def test_parameters_are_counted_without_listing_them():
    for changes in ({}, {"n_layers": 3}, {"n_heads": 0, "n_layers": 2}, {"d_mlp": 0}, {"tied_unembed": True}):
        model = tiny_config(model=changes).model
        weights = initial_weights(model, 0)
        assert n_parameters(model) == sum(w.numel() for name, w in weights.items() if ".W_" in name)
    assert len(parameter_shapes(tiny_config(model={"n_layers": 3}).model)) == 3 * 8 + 3


def test_what_fits_is_not_refused(monkeypatch):
    check_sizes(tiny_config().recipe(), "cpu")
    # 121 examples of 11 logits and their tokens, and some four thousand weights, four times.
    monkeypatch.setattr(memory, "machine_memory", lambda: 20_000)
    with pytest.raises(
        ValueError, match=r"Training on add mod 11 \(121 examples, 11 logits each\).*needs at least"
    ):
        check_sizes(tiny_config().recipe(), "cpu")


def test_the_machine_says_how_much_memory_it_has(monkeypatch):
    monkeypatch.undo()
    assert 2**28 < memory.machine_memory() < 2**50
    with pytest.raises(
        ValueError, match=r"A table needs at least 1,000,000 GB of memory, and there are \d+ GB"
    ):
        memory.check_memory(10**15, "A table")
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.machine_memory() <= memory.STATED


def test_a_small_file_of_a_huge_table_is_not_read(tiny_run_copy, tmp_path):
    path = tiny_run_copy.path / "history.parquet"
    n = 30_000_000
    equal = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int8)), pa.array([0.5]))
    pq.write_table(pa.table(dict.fromkeys(("step", "train_loss", "test_loss", "x"), equal)), path)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(
        RunError, match=r"history\.parquet is not a readable table \(it claims 30,000,000 rows of 4"
    ):
        tiny_run_copy.history()
    pd.DataFrame({"text": ["x" * 1000] * 10}).to_parquet(tmp_path / "small.parquet")
    check_parquet((tmp_path / "small.parquet").read_bytes())


def test_schedules_of_any_length(monkeypatch):
    assert len(make_schedule(10**10, ["every:10001"], []).steps) == 10**10 // 10001 + 2
    for text in ("every:1", "0-9999999999:1", "log:10000000"):
        with pytest.raises(ValueError, match="at most 1,000,000 saved steps"):
            make_schedule(10**10, [text], [])


@pytest.mark.parametrize("step", [10**30, 2**63, -1])
def test_an_index_of_steps_that_no_table_can_hold(tiny_run_copy, step):
    file = tiny_run_copy.path / "index.json"
    index = json.loads(file.read_text())
    file.write_text(json.dumps(index | {str(step): index["0"]}))
    with pytest.raises(RunError, match=r"index\.json is not an index of checkpoints"):
        open_run(tiny_run_copy.path).steps


def test_deep_json_of_a_run_is_a_sentence(tiny_run_copy):
    for name in ("index.json", "run.json"):
        (tiny_run_copy.path / name).write_text('{"a": ' + "[" * 10**5 + "]" * 10**5 + "}")
        with pytest.raises(
            RunError, match=rf"{name} is not readable JSON \(it is nested more than 50 levels deep\)"
        ):
            open_run(tiny_run_copy.path).steps


def test_deep_json_in_the_header_of_a_state_is_a_sentence(tiny_run_copy):
    file = tiny_run_copy.path / "latest.safetensors"
    deep = "[" * 10**5 + "]" * 10**5
    file.write_bytes(save({"weights/x": torch.ones(1)}, {"step": "1", "checksums": deep}))
    with pytest.raises(
        RunError, match=r"latest\.safetensors is damaged: it is nested more than 50 levels deep"
    ):
        read_latest(tiny_run_copy)


@pytest.mark.parametrize("text", ["log:" + "9" * 20, "log:100000000", "every:1"])
def test_wanted_steps_of_any_number(tiny_run, text, monkeypatch):
    if text == "every:1":
        assert select_steps(tiny_run, text) == tiny_run.steps
        monkeypatch.setitem(tiny_run.index, 10**15, tiny_run.index[0])
    with pytest.raises(ValueError, match=rf"Steps '{text}' name far more steps than are saved \(\d\)"):
        select_steps(tiny_run, text)

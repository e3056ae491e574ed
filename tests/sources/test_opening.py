"""Checkpoints of other people as a run, where they lie: what an import would hold, and nothing there is touched."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import warnings
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import interp
from interp.analyses import frame
from interp.commands.cli import app
from interp.measurement.measure import measure
from interp.networks.config import initial_weights, transformer_config
from interp.runs.tensor_files import RunError
from interp.sources import SourceError, SourceWarning, import_run
from interp.sources.opened import OpenedRun
from tests import foreign
from tests.sources.test_formats import mlp_adapter

pytestmark = pytest.mark.filterwarnings("ignore::interp.sources.files.reading.SourceWarning")

KNOWN = {"act_fn": "relu", "attention_dir": "causal", "normalization_type": None}


def bytes_of(path):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {f: (f.stat().st_mtime_ns, f.read_bytes() if f.is_file() else None) for f in files}


def one_by_one(run, folder):
    folder.mkdir()
    for step in run.steps:
        torch.save({"model": run.step_weights(step), "epoch": step}, folder / f"{step}.pth")
    return folder


def demo(run, folder):
    folder.mkdir()
    states = {s - 1: foreign.with_buffers(run.step_weights(s)) for s in run.steps if s}
    rows = run.task.split.nonzero().squeeze(1)
    foreign.write_demo(folder / "demo.pth", states, rows, 11, [1 / (i + 1) for i in range(300)])
    return folder / "demo.pth"


def progress_measures(run, folder):
    states = {s: foreign.as_left_facing(run.step_weights(s)) for s in run.steps}
    train = [tuple(pair) for pair in run.task.config.pairs()[run.task.split].tolist()]
    foreign.write_progress_measures(folder, states, train, 11, [1 / (i + 1) for i in range(300)])
    return folder


def pizza(run, folder):
    state = foreign.random_state(foreign.left_facing_shapes(7, 2, 18, 4, 4, 72, 2))
    return foreign.write_pizza(folder, foreign.with_masks(state), "abc").parent


def lightning(run, folder):
    folder.mkdir()
    for step in (1, 20, 300):
        state = foreign.random_state(foreign.grok_shapes(), step)
        options = {"math_operator": "+", "d_model": 8, "n_heads": 2, "n_layers": 2, "train_data_pct": 50.0}
        foreign.write_lightning(folder / f"epoch_{step}.ckpt", state, step, step // 2, options)
    return folder


def one_file(run, folder):
    folder.mkdir()
    torch.save({step: run.step_weights(step) for step in run.steps}, folder / "series.pth")
    return folder / "series.pth"


def old_file(run, folder):
    folder.mkdir()
    pairs = [(step, run.step_weights(step)) for step in run.steps]
    torch.save(pairs, folder / "series.pth", _use_new_zipfile_serialization=False)
    return folder / "series.pth"


@pytest.mark.parametrize(
    "write",
    [one_by_one, demo, progress_measures, pizza, lightning, one_file, old_file],
    ids=lambda f: f.__name__,
)
def test_an_opened_source_is_what_an_import_of_it_is(tiny_run, tmp_path, write):
    source = write(tiny_run, tmp_path / "theirs")
    before = bytes_of(tmp_path)
    opened = interp.open_run(source)
    assert isinstance(opened, OpenedRun) and opened.record.status == "opened in place"
    read = {step: opened.step_weights(step) for step in reversed(opened.steps)}
    names = list(read[opened.steps[0]])
    if write in (one_by_one, one_file, old_file):
        for step in tiny_run.steps:
            theirs = tiny_run.step_weights(step)
            assert all(torch.equal(read[step][name], theirs[name]) for name in theirs)
    stacked = opened.weights(names[0])
    table = measure(opened, ["weight_norms"])["weight_norms"]
    assert bytes_of(tmp_path) == before

    run = import_run(source, tmp_path / "run")
    assert run.steps == opened.steps and run.unit == opened.unit and run.config == opened.config
    for step in run.steps:
        ours = run.step_weights(step)
        assert ours.keys() == read[step].keys()
        assert all(torch.equal(ours[name], read[step][name]) for name in ours)
        assert torch.equal(opened.checkpoint(step).weights[names[0]], opened.tensor(step, names[0]))
        assert opened.index[step]["tensors"] == run.index[step]["tensors"]
    np.testing.assert_array_equal(stacked, run.weights(names[0]))
    pd.testing.assert_frame_equal(opened.history(), run.history())
    pd.testing.assert_frame_equal(opened.recorded(), run.recorded())
    if run.config.task:
        assert torch.equal(opened.task.tokens, run.task.tokens)
        assert (opened.task.is_train is None) == (run.task.is_train is None)
        if run.task.is_train is not None:
            assert torch.equal(opened.task.split, run.task.split)
    source_record = {k: v for k, v in run.record.source.items() if k != "not_finite"}
    assert json.loads(json.dumps(opened.record.source)) == source_record
    theirs = measure(run, ["weight_norms"])["weight_norms"]
    pd.testing.assert_frame_equal(table.drop(columns="run"), theirs.drop(columns="run"))


def test_probes_answer_on_an_opened_run_as_on_the_run_that_it_was_saved_from(tiny_run, tmp_path):
    source = one_by_one(tiny_run, tmp_path / "theirs")
    opened = interp.open_run(source)
    assert opened.config.task.split == "shuffle" and opened.config.task.split_seed == 0
    probes = ["losses", "embedding_spectrum", "neuron_frequencies"]
    ours, theirs = measure(opened, probes), measure(tiny_run, probes)
    for name in probes:
        pd.testing.assert_frame_equal(ours[name].drop(columns="run"), theirs[name].drop(columns="run"))
    model = opened.model(300)
    assert torch.equal(model(opened.task.tokens), tiny_run.model(300)(tiny_run.task.tokens))


def test_tables_are_kept_in_the_users_cache_and_only_for_the_weights_they_are_of(
    tiny_run, tmp_path, monkeypatch
):
    source = one_by_one(tiny_run, tmp_path / "theirs")
    calls = []

    def counted(original):
        def probe(snapshot):
            calls.append(snapshot.step)
            return original(snapshot)

        return probe

    probe = import_module(
        "interp.probes.weights.weight_norms"
    )  # the package has the function under this name

    monkeypatch.setattr(probe, "weight_norms", wrapped := counted(probe.weight_norms))
    wrapped.__module__, wrapped.__qualname__ = probe.__name__, "weight_norms"
    first = measure(interp.open_run(source), [wrapped])
    assert calls == tiny_run.steps
    opened = interp.open_run(source)
    assert not opened.measures.is_relative_to(tmp_path / "theirs") and list(opened.measures.glob("*.parquet"))
    pd.testing.assert_frame_equal(measure(opened, [wrapped])["probe"], first["probe"])
    assert calls == tiny_run.steps

    changed = torch.load(source / "100.pth")
    changed["model"]["unembed.W_U"] *= 2
    torch.save(changed, source / "100.pth")
    with pytest.raises(RunError, match=r"100\.pth was changed since its source was opened"):
        opened.step_weights(100)
    again = measure(interp.open_run(source), [wrapped])["probe"]
    assert calls == [*tiny_run.steps, 100]
    assert not again.drop(columns="run").equals(first["probe"].drop(columns="run"))

    (source / "150.pth").unlink()
    with pytest.raises(RunError, match=r"150\.pth is gone since its source was opened"):
        opened.step_weights(150)
    tables = measure(opened, [wrapped], [150, 200], on_error="skip", cache=False)["probe"]
    assert list(tables.attrs["failed"]) == [150] and tables["step"].unique().tolist() == [200]


@pytest.mark.slow
def test_several_processes_measure_an_opened_run(tiny_run, tmp_path):
    source = one_file(tiny_run, tmp_path / "theirs")
    alone = measure(interp.open_run(source), ["losses"], cache=False)["losses"]
    together = measure(interp.open_run(source), ["losses"], n_jobs=2, cache=False)["losses"]
    pd.testing.assert_frame_equal(alone, together)


def test_an_adapter_opens_in_place_too(tmp_path):
    source, p = tmp_path / "mlp", 7
    source.mkdir()
    for step in (0, 200):
        net = torch.nn.Linear(2 * p, 9), torch.nn.Linear(9, p, bias=False)
        state = {"fc1.weight": net[0].weight, "fc1.bias": net[0].bias, "fc2.weight": net[1].weight}
        torch.save({"net": {k: v.detach() for k, v in state.items()}, "log": []}, source / f"{step}.pth")
    before = bytes_of(source)
    opened = interp.open_run(source, adapter=mlp_adapter, task={"operation": "add"}, unit="epoch")
    assert opened.steps == [0, 200] and opened.unit == "epoch" and opened.config.task.p == 7
    assert torch.equal(opened.tensor(200, "W_U"), state["fc2.weight"].T)
    assert bytes_of(source) == before
    with pytest.raises(SourceError, match="gave no checkpoints: the adapter returned None for all its files"):
        interp.open_run(source, adapter=lambda path: None)


# In a process of its own, and without what was freed and the allocator of C keeps: that swings by tens of megabytes.
GROWN = """
import contextlib, ctypes, gc, sys, warnings
import interp, psutil

def opened(path):
    run = interp.open_run(path, model={"act_fn": "relu", "attention_dir": "causal", "normalization_type": None})
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
    return run, psutil.Process().memory_info().rss

warnings.simplefilter("ignore")
# Whatever is loaded on first use.
_, before = opened(sys.argv[1])
run, after = opened(sys.argv[2])
print(len(run.steps), after - before)
"""


@pytest.mark.slow
def test_opening_takes_no_memory_for_the_weights(tmp_path):
    config = transformer_config(
        p=113, n_ctx=3, d_vocab=114, n_layers=1, d_model=256, n_heads=4, d_mlp=1024, act_fn="relu"
    )
    weights = initial_weights(config, 0)
    (tmp_path / "many").mkdir()
    for step in range(60):
        torch.save(weights, tmp_path / "many" / f"step_{step}.pt")
    size = sum(f.stat().st_size for f in (tmp_path / "many").iterdir())
    assert size > 180e6
    torch.save({0: weights}, tmp_path / "first.pt")
    done = subprocess.run(
        [sys.executable, "-c", GROWN, tmp_path / "first.pt", tmp_path / "many"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    n_steps, grown = map(int, done.stdout.split())
    # The pages of a few checkpoints (the task is sought at five).
    assert grown < size / 6
    assert n_steps == 60


def test_a_run_needs_no_statements_and_a_broken_run_is_not_taken_for_someone_elses(tiny_run_copy):
    path = tiny_run_copy.path
    assert not isinstance(interp.open_run(path), OpenedRun)
    with pytest.raises(
        ValueError, match="is a run, which says itself what it is: open it without task, unit"
    ):
        interp.open_run(path, task={"operation": "add"}, unit="epoch")
    (path / "run.json").unlink()
    with pytest.raises(RunError, match=r"is a run whose run\.json is missing"):
        interp.open_run(path)


def test_what_cannot_be_opened_says_so(tiny_run, tmp_path):
    with pytest.raises(SourceError, match="There is nothing at"):
        interp.open_run(tmp_path / "no")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no run and no checkpoints: neither a run.json nor"):
        interp.open_run(tmp_path / "empty")
    source = one_by_one(tiny_run, tmp_path / "theirs")
    opened = interp.open_run(source)
    with pytest.raises(RunError, match="has no checkpoint at step 120; .* the nearest at 100"):
        opened.step_weights(120)
    with pytest.raises(RunError, match="has no weight 'W_X'"):
        opened.tensor(100, "W_X")
    assert opened.optimizer_steps == [] and opened.checkpoint(100).optimizer is None


def test_not_finite_weights_are_named_when_they_are_read(tiny_run, tmp_path):
    source = one_by_one(tiny_run, tmp_path / "theirs")
    content = torch.load(source / "100.pth")
    content["model"]["unembed.W_U"][0, 0] = torch.nan
    torch.save(content, source / "100.pth")
    opened = interp.open_run(source)
    with pytest.warns(SourceWarning, match=r"100\.pth holds NaN or infinity in unembed\.W_U"):
        opened.step_weights(100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened.step_weights(150)


# Logs beside the checkpoints -------------------------------------------------------------------------------------


def test_a_log_beside_the_checkpoints_becomes_the_history_and_is_checked(tiny_run, tmp_path):
    source = one_by_one(tiny_run, tmp_path / "theirs")
    history = tiny_run.history()
    rows = pd.DataFrame(
        {
            "Epoch": history["step"],
            "train_loss": history["train_loss"],
            "val_loss": history["test_loss"],
            "val_acc": 100 * history["test_accuracy"],
            "lr": 0.01,
            "note": "x",
        }
    )
    rows.to_csv(source / "metrics.csv", index=False)
    opened = interp.open_run(source)
    found = opened.history()
    for column in ("train_loss", "test_loss", "test_accuracy"):
        np.testing.assert_allclose(found[column], history[column], rtol=1e-12)
    assert found["train_accuracy"].isna().all()
    assert opened.recorded().columns.tolist() == ["step", "lr"]
    assert opened.record.source["logs"] == ["metrics.csv"]
    assert opened.record.source["in_percent"] == ["metrics.csv: val_acc"]

    result = CliRunner().invoke(app, ["verify", str(source)])
    assert result.exit_code == 0 and "largest difference of test_loss, at step " in result.stdout
    rows["val_loss"] += 0.5
    rows.to_csv(source / "metrics.csv", index=False)
    result = CliRunner().invoke(app, ["verify", str(source)])
    assert result.exit_code == 1 and "recorded loss: test_loss as recorded does not fit" in result.stdout


def test_logs_of_every_form(tiny_run, tmp_path):
    rows = [
        {"step": 100, "train_loss": 0.5},
        {"step": 100, "val_loss": 0.75},
        {"step": 150, "train_loss": 0.25},
    ]
    forms = {
        "metrics.jsonl": "\n".join(map(json.dumps, rows)),
        "log.json": json.dumps(rows),
        "curves.json": json.dumps({"steps": [100, 150], "train_losses": [0.5, 0.25], "val_losses": [0.75, None]}),
        "default/version_0/metrics.csv": "epoch,step,train_loss,val_loss\n1,100,0.5,\n1,100,,0.75\n2,150,0.25,\n",
        "lightning_logs/version_3/metrics.csv": "step,train_loss,val_loss\n100,0.5,0.75\n150,0.25,\n",
        "trainer_state.json": json.dumps(
            {"log_history": [{"step": 100, "loss": 9.0, "train_loss": 0.5, "eval_loss": 0.75},
                             {"step": 150, "loss": 8.0, "train_loss": 0.25}]}
        ),
    }  # fmt: skip
    for i, (name, text) in enumerate(forms.items()):
        source = tmp_path / str(i)
        (source / "checkpoints").mkdir(parents=True)
        for step in (100, 150):
            torch.save(tiny_run.step_weights(step), source / "checkpoints" / f"step_{step}.pt")
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
        opened = interp.open_run(source)
        assert opened.unit == "step"
        found = opened.history().set_index("step")
        assert found.index.tolist() == [100, 150], name
        assert found["train_loss"].tolist() == [0.5, 0.25] and found["test_loss"][100] == 0.75, name
        assert opened.record.source["logs"] == [name]
    assert opened.recorded()["mean_loss_since_last_log"].tolist() == [9.0, 8.0]


def test_logs_that_cannot_be_placed_are_named_and_others_left_alone(tiny_run, tmp_path):
    source = one_by_one(tiny_run, tmp_path / "theirs")  # counts epochs
    (source / "steps.csv").write_text("step,train_loss\n1,0.5\n")
    (source / "broken.json").write_text('{"train_loss": [1, 2')
    (source / "deep.jsonl").write_text("[" * 100_000)
    (source / "data.csv").write_text("a,b,epoch\n1,2,3\n")
    (source / "text.csv").write_text("epoch,train_loss\nfirst,0.5\n")
    (source / "config.json").write_text('{"lr": 0.1}')
    for version in (0, 1):
        (source / f"lightning_logs/version_{version}").mkdir(parents=True)
        (source / f"lightning_logs/version_{version}/metrics.csv").write_text("epoch,train_loss\n1,0.5\n")
    with pytest.warns(SourceWarning) as caught:
        opened = interp.open_run(source)
    told = "\n".join(str(w.message) for w in caught)
    assert "steps.csv (it has no column that counts epochs)" in told
    assert "broken.json (" in told and "deep.jsonl (" in told and "text.csv (its column 'epoch' holds" in told
    assert "data.csv" not in told and "config.json" not in told
    assert "holds the logs of 2 sessions" in told
    assert opened.history().empty and opened.record.source["logs"] == []


def test_what_lies_in_a_checkpoint_counts_more_than_a_log(tiny_run, tmp_path):
    (tmp_path / "theirs").mkdir()
    for step in (100, 150):
        content = {"model": tiny_run.step_weights(step), "step": step, "train_loss": float(step)}
        torch.save(content, tmp_path / "theirs" / f"{step}.pt")
    (tmp_path / "theirs" / "log.csv").write_text("step,train_loss\n100,0.5\n120,0.4\n")
    history = interp.open_run(tmp_path / "theirs").history()
    assert history["step"].tolist() == [100, 120, 150]
    assert history["train_loss"].tolist() == [100.0, 0.4, 150.0]


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        # A bare "loss" is of the train rows, unless the file is named after others.
        ({"eval.csv": "step,loss\n100,20\n", "train.csv": "step,loss\n100,0.5\n"}, ("test_loss", [20.0])),
        ({"eval.csv": "step,loss\n100,20\n", "train.csv": "step,loss\n100,0.5\n"}, ("train_loss", [0.5])),
        # The plainest name wins, and no curve is of two columns.
        ({"m.csv": "step,loss,train_loss\n100,99,0.5\n150,99,\n"}, ("train_loss", [0.5])),
        # A float32 mean may exceed one; percents may lie below one.
        ({"m.csv": "step,train_acc\n100,1.0000001192092896\n150,0.5\n"}, ("train_accuracy", [1.0000001192092896, 0.5])),
        ({"m.csv": "step,train_acc,val_acc\n100,100,0.88\n150,100,0.9\n"}, ("test_accuracy", [0.0088, 0.009])),
        ({"m.csv": "step;train_loss\n100;0.5\n"}, ("train_loss", [0.5])),
        ({"m.jsonl": '\ufeff{"step": 100, "train_loss": 0.5, "note": "a\u2028b"}\n'}, ("train_loss", [0.5])),
        ({"m.csv": "step," + ",".join(f"q{i}" for i in range(300)) + ",loss\n100" + ",1" * 300 + ",0.5\n"},
         ("train_loss", [0.5])),
        # Two logs that agree are one, in part.
        ({"a.csv": "step,loss\n100,0.5\n", "b.csv": "step,loss\n100,0.5\n150,0.25\n"}, ("train_loss", [0.5, 0.25])),
    ],
)  # fmt: skip
def test_what_a_log_says_is_taken_for_that(tiny_run, tmp_path, logs, expected):
    opened = interp.open_run(_with_logs(tiny_run, tmp_path / "theirs", logs))
    column, values = expected
    np.testing.assert_allclose(opened.history()[column].dropna(), values, rtol=1e-15)


@pytest.mark.parametrize(
    ("logs", "told"),
    [
        ({"a.csv": "step,loss\n100,0.5\n", "b.csv": "step,loss\n100,0.75\n"}, "a.csv and b.csv contradict"),
        (
            {"m.csv": "step,train_loss\n100,1,7\n150,2,8\n"},
            "m.csv (",
        ),  # one field too many: shifted by a column
        ({"m.csv": "step,train_loss\n100,[1]\n"}, "1 entries of 'train_loss' are no numbers"),
    ],
)
def test_a_log_that_may_mean_something_else_is_left_out_and_named(tiny_run, tmp_path, logs, told):
    with pytest.warns(SourceWarning, match=re.escape(told)):
        opened = interp.open_run(_with_logs(tiny_run, tmp_path / "theirs", logs))
    assert opened.history()["train_loss"].isna().all()


def test_one_entry_that_is_no_number_costs_that_entry_only(tiny_run, tmp_path):
    logs = {"m.csv": "step,train_loss,val_loss\n100,4.7,4.8\n150,0.001,tensor(20.)\n"}
    with pytest.warns(SourceWarning, match="1 entries of 'val_loss' are no numbers"):
        history = interp.open_run(_with_logs(tiny_run, tmp_path / "theirs", logs)).history()
    assert history["train_loss"].tolist() == [4.7, 0.001] and history["test_loss"].dropna().tolist() == [4.8]


def test_a_stated_unit_chooses_the_column_of_a_log(tiny_run, tmp_path):
    source = _with_logs(
        tiny_run, tmp_path / "theirs", {"m.csv": "epoch,step,loss\n100,5000,1.0\n1,100,5.0\n"}
    )
    history = interp.open_run(source, unit="epoch").history()
    assert history["step"].tolist() == [1, 100] and history["train_loss"].tolist() == [5.0, 1.0]


def test_a_long_log_of_ever_new_names_needs_little_memory(tiny_run, tmp_path):
    import tracemalloc

    rows = [json.dumps({"step": i, "loss": 1.0, f"name_{i}": i}) for i in range(4000)]
    source = _with_logs(tiny_run, tmp_path / "theirs", {"m.jsonl": "\n".join(rows)})
    tracemalloc.start()
    opened = interp.open_run(source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(opened.history()) == 4000
    # 200 columns of 4000 rows are 6.4 MB, and pandas makes some copies; 4000 columns took 150 MB.
    assert peak < 60e6


@pytest.mark.parametrize(
    "beside",
    [
        {"loss": 10**400},
        {"losses": [1.0, 10**400]},
        {"losses": [1.0, 2.0], "steps": [0.0, math.nan]},
        {"losses": [1.0, 2.0], "steps": [0.0, math.inf]},
        {"losses": [1.0, 2.0], "steps": [-1, 5]},
        {"losses": [1.0, 2.0], "steps": [0, 1e300]},
        {"train_data": [(0, math.nan)]},
    ],
)
def test_absurd_numbers_beside_the_weights_are_no_records(tiny_run, tmp_path, beside):
    torch.save({"model": tiny_run.step_weights(150), "step": 150, **beside}, tmp_path / "a.pt")
    opened = interp.open_run(tmp_path / "a.pt")
    assert opened.steps == [150] and opened.history().empty


@pytest.mark.parametrize("order", [1, -1])
def test_the_plainest_name_in_a_checkpoint_wins_whatever_the_order(tiny_run, tmp_path, order):
    beside = dict([("train_loss", 2.0), ("loss", 9.0)][::order])
    torch.save({"model": tiny_run.step_weights(150), "step": 150, **beside}, tmp_path / "a.pt")
    assert interp.open_run(tmp_path / "a.pt").history()["train_loss"].tolist() == [2.0]


def test_a_link_keeps_the_step_of_its_own_name(tiny_run, tmp_path):
    torch.save(tiny_run.step_weights(150), tmp_path / "abcdef")
    (tmp_path / "step_150.pth").symlink_to(tmp_path / "abcdef")
    assert interp.open_run(tmp_path / "step_150.pth").steps == [150]


def test_tables_of_a_file_that_changed_are_not_handed_out(tiny_run, tmp_path):
    source = _with_logs(tiny_run, tmp_path / "theirs", {})
    opened = interp.open_run(source)
    measure(opened, ["losses"])
    torch.save(tiny_run.step_weights(100), source / "step_150.pt")
    with pytest.raises(SourceError, match=r"step_150\.pt was changed since its source was opened"):
        measure(opened, ["losses"])


def test_a_field_of_the_wrong_kind_is_named(tiny_run, tmp_path):
    source = _with_logs(tiny_run, tmp_path / "theirs", {})
    with pytest.raises(ValueError, match="A task's p is a whole number, not 'abc'"):
        interp.open_run(source, task={"operation": "add", "p": "abc"})


def _with_logs(run, source, logs):
    source.mkdir()
    for step in (100, 150):
        torch.save(run.step_weights(step), source / f"step_{step}.pt")
    for name, text in logs.items():
        (source / name).write_text(text, "utf-8")
    return source


# From the shell --------------------------------------------------------------------------------------------------


def test_commands_and_analyses_take_a_folder_as_it_is(tiny_run, tmp_path, monkeypatch):
    import sys
    from pathlib import Path

    source = one_by_one(tiny_run, tmp_path / "theirs")
    before = bytes_of(source)
    result = CliRunner().invoke(app, ["info", str(source)])
    assert result.exit_code == 0, result.output
    assert "opened in place" in result.stdout and "add mod 11, 50% train" in result.stdout
    assert "{" not in result.stdout and "seed None" not in result.stdout
    result = CliRunner().invoke(app, ["info", str(source), "--json"])
    assert json.loads(result.stdout)["steps"] == tiny_run.steps
    out = tmp_path / "tables"
    result = CliRunner().invoke(app, ["measure", str(source), "--probes", "losses", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert any(out.iterdir())

    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "analyses"))
    monkeypatch.setattr(sys, "argv", ["weight_norms.py"])
    import weight_norms as script

    arguments = ["--run", str(source), "--out", str(tmp_path / "figures")]
    frame.main("weight_norms", None, script.compute, script.draw, script.summarize, arguments)
    about = json.loads((tmp_path / "figures" / "summary.json").read_text())
    assert about["status"] == "opened in place" and about["unit"] == "epoch"
    assert bytes_of(source) == before


@pytest.mark.slow
def test_a_huggingface_series_opens_in_place(tmp_path):
    import transformers
    from huggingface_hub import constants

    sizes = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.GPTNeoXConfig(**sizes, intermediate_size=32, max_position_embeddings=24)
    tokens = torch.randint(40, (3, 12), generator=torch.Generator().manual_seed(9))
    logits = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        for step in (0, 10, 20):
            torch.manual_seed(step)
            model = transformers.GPTNeoXForCausalLM(config).eval()
            model.save_pretrained(tmp_path / "series" / f"checkpoint-{step}")
            logits[step] = model(tokens).logits.detach()
        # Code of a stranger that the config asks for: never run, since the architecture is known without it.
        file = tmp_path / "series" / "checkpoint-0" / "config.json"
        fields = json.loads(file.read_text()) | {"auto_map": {"AutoConfig": "evil.Config"}}
        file.write_text(json.dumps(fields))
        mark = tmp_path / "ran"
        (file.parent / "evil.py").write_text(f"import os\nos.mkdir({str(mark)!r})\n")
        before = bytes_of(tmp_path / "series")
        opened = interp.open_run(tmp_path / "series")
        assert opened.steps == [0, 10, 20] and opened.unit == "step" and opened.config.model is None
        for step in opened.steps:
            torch.testing.assert_close(opened.model(step)(tokens), logits[step], atol=1e-5, rtol=0)
        tables = measure(opened, ["weight_norms", "induction_scores", "embedding_spectrum"])
        # The same weights in another network are not what was measured before.
        texts = {f: f.read_text() for f in (tmp_path / "series").glob("*/config.json")}
        for file, text in texts.items():
            file.write_text(json.dumps(json.loads(text) | {"layer_norm_eps": 10.0}))
        kept = measure(interp.open_run(tmp_path / "series"), ["induction_scores"])["induction_scores"]
        anew = measure(interp.open_run(tmp_path / "series"), ["induction_scores"], cache=False)[
            "induction_scores"
        ]
        for file, text in texts.items():
            file.write_text(text)
    pd.testing.assert_frame_equal(kept, anew)
    assert not kept.equals(tables["induction_scores"])
    assert not mark.exists()
    assert tables["weight_norms"]["step"].unique().tolist() == [0, 10, 20]
    assert len(tables["induction_scores"]) == 3 * 2 * 2
    assert "no task that grokscope knows" in tables["embedding_spectrum"].attrs["not_applicable"]
    assert opened.weights("gpt_neox.embed_in.weight").shape == (3, 40, 16)
    assert opened.history().empty
    now = bytes_of(tmp_path / "series")
    assert {f: content for f, (_, content) in now.items()} == {
        f: content for f, (_, content) in before.items()
    }
    shutil.copy(
        tmp_path / "series" / "checkpoint-20" / "model.safetensors",
        tmp_path / "series" / "checkpoint-10" / "model.safetensors",
    )
    os.utime(tmp_path / "series" / "checkpoint-10" / "model.safetensors", ns=(1, 1))
    with pytest.raises(RunError, match="was changed since its source was opened"):
        opened.step_weights(10)


def test_a_stated_operation_that_cannot_be_is_refused_in_its_own_words(tiny_run, tmp_path):
    source = one_by_one(tiny_run, tmp_path / "theirs")
    with pytest.raises(ValueError, match="needs a prime p, got 10"):
        interp.open_run(source, task={"operation": "divide", "p": 10})
    with pytest.raises(ValueError, match="A task has no field modulus"):
        interp.open_run(source, task={"modulus": 11})
    with pytest.raises(ValueError, match="operation 'random' or"):
        interp.open_run(source, task={"operation": "random"})

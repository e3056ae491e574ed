"""The long run: what it computes, and that nothing can stop it for good."""

import dataclasses
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from interp.networks.config import initial_weights
from interp.networks.factorized import Rows, forward
from interp.networks.hooked import build_model
from interp.runs import saving
from interp.runs.presets import mainline
from interp.runs.record import RunRecord
from interp.runs.run import open_run
from interp.runs.saving import create_run, read_latest, save_history
from interp.runs.schedule import make_schedule
from interp.runs.tensor_files import RunError
from interp.training import member
from interp.training.data import Data
from interp.training.optimizer import Optimizer
from interp.training.session import session_record
from interp.training.train import resume, train
from tests.thinned import thinned
from tests.tiny import tiny_config, train_in_process

# A server that has loaded torch once and forks each child from there (Windows starts every child anew).
processes = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
if sys.platform != "win32":
    processes.set_forkserver_preload(["interp.training.train", "tests.tiny"])


def same_runs(a, b):
    """Equal to the last bit: checkpoints, optimizer states, history."""
    a, b = open_run(a.path), open_run(b.path)
    assert a.record.status == b.record.status == "complete"
    assert a.index == b.index  # checksums of files and of tensors
    for step in a.steps:
        a.checkpoint(step), b.checkpoint(step)  # ... that the files really have
    pd.testing.assert_frame_equal(a.history(), b.history(), check_exact=True)
    left = {"run.json", "index.json", "history.parquet", "task.safetensors", "steps", "optimizer", "lock"}
    assert {path.name for path in b.path.iterdir()} <= left | {"latest.safetensors"}
    assert (a.path / "latest.safetensors").read_bytes() == (b.path / "latest.safetensors").read_bytes()
    assert sorted(b.path.rglob("*.writing")) == []


def stop_at(monkeypatch, step, number=signal.SIGINT):
    """A real signal just before the update of that step."""

    def save_checkpoint(run, at, *args):
        saving.save_checkpoint(run, at, *args)
        if at == step:
            signal.raise_signal(number)

    monkeypatch.setattr(member, "save_checkpoint", save_checkpoint)


# What it computes.


def test_loop_equals_plain_pytorch(tmp_path):
    config = tiny_config(40)
    run = train(config, tmp_path / "r", threads=1)
    # The recipe of Nanda et al. 2023 with the hooked model, torch's own AdamW and scheduler.
    model = build_model(config.model, initial_weights(config.model, 0))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-2, betas=(0.9, 0.98), weight_decay=0.5, fused=False, foreach=False
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(step / 10, 1))
    task = run.task
    tokens, labels = task.tokens[task.split], task.labels[task.split]
    losses = []
    for _ in range(40):
        logits = model(tokens)[:, -1].double()
        loss = -logits.log_softmax(-1).gather(1, labels[:, None]).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        losses.append(loss.item())
    # Two ways to round float32, 40 steps apart; Adam turns a tiny gradient's rounding into a step of lr = 1e-2.
    np.testing.assert_allclose(run.history()["train_loss"][:40], losses, rtol=1e-3)
    for name, w in run.step_weights(40).items():
        torch.testing.assert_close(w, model.weights()[name].detach(), atol=2e-3, rtol=0)


# Made by this code on 2026-11-23 (torch 2.13.0, x86-64 with AVX2 or AVX-512, one thread), as printed by
# python -c "from tests.training.test_training import golden; print(golden('/tmp/golden'))"
GOLDEN = {
    "train_loss": [2.6547375361379966, 2.220465163542338, 1.4898651261289404, 0.26648284644789944],
    "test_loss": [2.658187690706677, 2.752722665303104, 4.338645978122445, 12.207926533920368],
}


def golden(path) -> dict[str, list[float]]:
    table = train(tiny_config(60), Path(path), threads=1).history()
    rows = table[table["step"] % 20 == 0]
    return {name: rows[name].tolist() for name in ("train_loss", "test_loss")}


def test_golden_losses(tmp_path):
    found = golden(tmp_path / "r")
    for name, losses in GOLDEN.items():
        np.testing.assert_allclose(found[name], losses, rtol=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": {"batch_size": 16}},
        {"model": {"n_layers": 2, "normalization_type": "LN"}},
        {"model": {"n_heads": 0}},
        {"optimizer": {"loss_dtype": "float32"}},
        {"task": {"corrupted_fraction": 0.2}},
    ],
)
def test_history_at_a_step_is_that_of_its_checkpoint(tmp_path, changes):
    run = train(
        tiny_config(20, **changes, schedule=make_schedule(20, ["every:5"], [])), tmp_path / "r", threads=1
    )
    table, task = run.history(), run.task
    assert table["step"].tolist() == list(range(21))
    assert table["train_loss"].notna().all()
    assert table["test_loss"].notna().tolist() == [step % 10 == 0 for step in range(21)]
    for step in (0, 10, 20):
        with torch.no_grad():
            logits = run.model(step)(task.tokens)[:, -1].double()
        row = table.iloc[step]
        for split, rows in (("train", task.split), ("test", ~task.split)):
            loss = torch.nn.functional.cross_entropy(logits[rows], task.labels[rows]).item()
            # The same float32 weights by another forward pass.
            assert row[f"{split}_loss"] == pytest.approx(loss, rel=1e-4)
            right = (logits[rows].argmax(1) == task.labels[rows]).double().mean().item()
            assert row[f"{split}_accuracy"] == pytest.approx(right)


def test_a_saved_step_does_not_depend_on_the_schedule_nor_on_the_evaluations(tiny_run, tmp_path):
    config = dataclasses.replace(
        tiny_config(150), schedule=make_schedule(150, [37, 50, 149], [100]), evaluation_interval=7
    )
    other = train(config, tmp_path / "r", threads=1)
    for step in (50, 100, 150):
        assert other.index[step]["tensors"] == tiny_run.index[step]["tensors"]
    np.testing.assert_array_equal(other.history()["train_loss"][:150], tiny_run.history()["train_loss"][:150])


def test_first_update_of_a_warm_up_does_nothing(tmp_path):
    config = tiny_config(4, schedule=make_schedule(4, ["every:1"], ["0", "2"]))
    run = train(config, tmp_path / "r", threads=1)
    tensors = [run.index[step]["tensors"] for step in range(5)]
    assert tensors[0] == tensors[1] != tensors[2] != tensors[3] != tensors[4]
    assert run.checkpoint(0).optimizer == {}  # before the first update there is none


@pytest.mark.parametrize("n_heads", [2, 0])
def test_mini_batches_go_through_every_row_once_an_epoch(tmp_path, n_heads):
    config = tiny_config(5, optimizer={"batch_size": 16}, model={"n_heads": n_heads})
    task = train(config, tmp_path / "r", threads=1).task
    data = Data(task, config.recipe(), "cpu")
    seen, orders = [], []
    for epoch in range(2):
        labels, logits = [], []
        for i in range(4):  # 60 rows: 16 + 16 + 16 + 12
            logits_of, batch_labels = data.batch(4 * epoch + i)
            labels.append(batch_labels)
            logits.append(logits_of(initial_weights(config.model, 0)))
            assert len(batch_labels) == len(logits[-1]) == (16 if i < 3 else 12)
        order = data._order
        orders.append(order.tolist())
        assert torch.equal(torch.cat(labels), data.train.labels[order])
        full = data.train_logits(initial_weights(config.model, 0))[order]
        torch.testing.assert_close(torch.cat(logits), full, atol=1e-5, rtol=0)
        seen.append(sorted(order.tolist()))
    assert seen == [list(range(60))] * 2
    assert orders[0] != orders[1]


@pytest.mark.parametrize(
    ("n_layers", "n_heads", "want"), [(1, 2, "factorized"), (2, 2, "plain"), (1, 0, "plain")]
)
def test_what_is_recorded(tmp_path, n_layers, n_heads, want):
    run = train(tiny_config(2, model={"n_layers": n_layers, "n_heads": n_heads}), tmp_path / "r", threads=1)
    record = json.loads((run.path / "run.json").read_text("utf-8"))
    assert record["forward_path"] == want
    (session,) = record["sessions"]
    assert (session["device"], session["threads"], session["from_step"]) == ("cpu", 1, 0)
    assert session["versions"]["torch"] == torch.__version__
    assert {"started", "device_name", "cpu_capability", "platform", "commit"} <= set(session)


def test_settings_of_the_process_are_restored(tmp_path):
    def settings():
        return (
            torch.get_num_threads(),
            torch.get_deterministic_debug_mode(),
            torch.utils.deterministic.fill_uninitialized_memory,
            signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGTERM),
        )

    before, state = settings(), torch.get_rng_state()
    train(tiny_config(2), tmp_path / "r", threads=2)
    assert settings() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_mainline_is_the_recipe_of_nanda():
    config = mainline()
    assert (config.task.p, config.task.operation, config.task.train_fraction) == (113, "add", 0.3)
    model, optimizer = config.model, config.optimizer
    assert (model.n_layers, model.d_model, model.n_heads, model.d_head, model.d_mlp) == (1, 128, 4, 32, 512)
    assert (model.act_fn, model.normalization_type, model.d_vocab, model.d_vocab_out) == (
        "relu",
        None,
        114,
        113,
    )
    assert (optimizer.name, optimizer.lr, optimizer.weight_decay) == ("adamw", 1e-3, 1.0)
    assert (optimizer.betas, optimizer.warmup_steps, optimizer.batch_size) == ((0.9, 0.98), 10, None)
    assert optimizer.loss_dtype == "float64"
    assert (config.seed, config.task.split_seed) == (0, 0)
    assert len(config.schedule.optimizer_steps) >= 4
    short = mainline(300)
    assert short.n_steps == short.schedule.steps[-1] == 300


# That nothing can stop it for good.

RECIPES = [
    {},
    {"optimizer": {"name": "adam", "batch_size": 16}},
    {"optimizer": {"name": "sgd", "momentum": 0.9, "lr": 0.05, "batch_size": 16}},
    {"optimizer": {"name": "sgd"}},
    {"model": {"n_layers": 2}, "optimizer": {"batch_size": 25}},
    {"model": {"n_heads": 0}},
]


@pytest.mark.parametrize("changes", thinned(RECIPES, 2), ids=str)
def test_resumed_equals_uninterrupted(tmp_path, monkeypatch, changes):
    config = tiny_config(60, **changes, schedule=make_schedule(60, ["every:5"], [20, 60]))
    whole = train(config, tmp_path / "whole", threads=1)
    path = tmp_path / "stopped"
    for start, stop in ((0, 15), (16, 40), (41, 55)):
        with monkeypatch.context() as patch:
            stop_at(patch, stop, signal.SIGTERM if stop == 40 else signal.SIGINT)
            with pytest.raises(
                KeyboardInterrupt, match=f"Stopped at step {stop + 1} of 60; everything is saved. Con"
            ):
                resume(path) if start else train(config, path, threads=1)
        run = open_run(path)
        assert run.record.status == "interrupted"
        assert [s.from_step for s in run.record.sessions][-1] == start
        assert run.steps == list(range(0, stop + 1, 5))
        assert len(run.history()) == stop + 1
        assert len(read_latest(run).weights) == len(run.step_weights(0))
    same_runs(whole, resume(path))


def test_killed_between_history_and_state(tmp_path, monkeypatch):
    # The history is written first, so that it can be ahead of the state: what is ahead is computed again, once.
    config = tiny_config(60, schedule=make_schedule(60, ["every:5"], [20]))
    path, latest = tmp_path / "r", tmp_path / "r" / "latest.safetensors"
    with monkeypatch.context() as patch:
        stop_at(patch, 15)
        with pytest.raises(KeyboardInterrupt):
            train(config, path, threads=1)
    older = latest.read_bytes()
    with monkeypatch.context() as patch:
        stop_at(patch, 40)
        with pytest.raises(KeyboardInterrupt):
            resume(path)
    latest.write_bytes(older)
    same_runs(train(config, tmp_path / "whole", threads=1), resume(path))


def test_stopped_at_the_very_last_step(tmp_path, monkeypatch):
    config = tiny_config(20, schedule=make_schedule(20, ["every:1"], [20]))
    whole = train(config, tmp_path / "whole", threads=1)
    with monkeypatch.context() as patch:
        stop_at(patch, 19)
        with pytest.raises(KeyboardInterrupt, match="Stopped at step 20 of 20"):
            train(config, tmp_path / "r", threads=1)
    assert open_run(tmp_path / "r").steps[-1] == 19
    same_runs(whole, resume(tmp_path / "r"))


def wait_for(condition, process, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition() and process.is_alive():
        assert time.monotonic() < end, "the child process does not get on"
        time.sleep(0.002)


def start(path, config, seconds_between_states=0.02, largest_file=None):
    process = processes.Process(
        target=train_in_process, args=(path, config, seconds_between_states, largest_file)
    )
    process.start()
    return process


@pytest.mark.parametrize(
    "changes",
    thinned([{}, {"optimizer": {"name": "adam", "batch_size": 16}}], 2),
    ids=["full batch", "mini-batch"],
)
def test_killed_at_random_moments_equals_uninterrupted(tmp_path, changes):
    config = tiny_config(300, **changes, schedule=make_schedule(300, ["every:20"], ["every:100"]))
    path, delays = tmp_path / "killed", random.Random(0)
    kills = 0
    while kills < 4:
        process = start(path, config)
        n_sessions = kills if kills and (path / "run.json").exists() else 0

        def trains(n=n_sessions):
            file = path / "run.json"
            return file.exists() and len(json.loads(file.read_text("utf-8"))["sessions"]) > n

        wait_for(trains, process)
        process.join(delays.uniform(0, 0.15))
        if not process.is_alive():
            break
        process.kill()
        process.join()
        kills += 1
        # Whenever it was: everything that the index names is whole.
        run = open_run(path)
        for step in run.steps:
            run.checkpoint(step)
        run.history()
    if process.exitcode != 0:
        process = start(path, config)
        process.join(60)
    assert process.exitcode == 0
    assert path.with_suffix(".ended").read_text("utf-8") == "complete"
    assert kills >= 3  # fewer are not random moments; the run takes about ten times the mean delay
    same_runs(train(config, tmp_path / "whole", threads=1), open_run(path))


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to one process there")
def test_ctrl_c_in_another_process_and_the_lock_meanwhile(tmp_path):
    import os

    config = tiny_config(100_000, schedule=make_schedule(100_000, [0], []))
    path = tmp_path / "r"
    process = start(path, config)
    try:
        wait_for((path / "latest.safetensors").exists, process)
        before = (path / "run.json").read_bytes()
        with pytest.raises(
            RunError, match=rf"Another trainer is working on {path}. Wait for it, stop it, or name"
        ):
            resume(path)
        with pytest.raises(RunError, match=r"r already holds a run. Continue it with `interp resume"):
            train(config, path)
        assert (path / "run.json").read_bytes() == before
        assert process.is_alive()
        os.kill(process.pid, signal.SIGINT)
        process.join(30)
        assert process.exitcode == 0
    finally:
        process.kill()
    ended = path.with_suffix(".ended").read_text("utf-8")
    assert ended.startswith("KeyboardInterrupt: Stopped at step ")
    assert ended.endswith(f"of 100000; everything is saved. Continue with: interp resume {path}")
    run = open_run(path)
    assert run.record.status == "interrupted"
    step = read_latest(run).step
    assert f"Stopped at step {step} of" in ended
    assert run.history()["step"].tolist() == list(range(step))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on file sizes")
def test_full_disk_loses_nothing_that_was_saved(tmp_path):
    config = tiny_config(60, schedule=make_schedule(60, ["every:5"], [20]))
    whole = train(config, tmp_path / "whole", threads=1)
    path = tmp_path / "r"
    weights = (whole.path / "steps" / f"{0:010d}.safetensors").stat().st_size
    # Room for checkpoints, not for the optimizer's state at step 20.
    process = start(path, config, seconds_between_states=1e9, largest_file=2 * weights)
    process.join(60)
    ended = path.with_suffix(".ended").read_text("utf-8")
    assert "Writing" in ended
    assert "0000000020.safetensors failed: File too large. What was there before is untouched." in ended
    run = open_run(path)
    assert run.record.status == "failed"
    assert run.steps == [0, 5, 10, 15]
    for step in run.steps:
        run.checkpoint(step)
    same_runs(whole, resume(path))


def test_divergence_is_said_and_everything_before_kept(tmp_path):
    config = tiny_config(
        60, optimizer={"name": "sgd", "lr": 1e12}, schedule=make_schedule(60, ["every:1"], [])
    )
    with pytest.raises(
        FloatingPointError, match=r"The loss of run 'r' is (nan|inf) at step \d+. Everything before is"
    ):
        train(config, tmp_path / "r", threads=1)
    run = open_run(tmp_path / "r")
    assert run.record.status == "diverged"
    table = run.history()
    assert len(table) >= 2
    assert np.isfinite(table["train_loss"]).all()
    assert run.step_weights(1)
    with pytest.raises(FloatingPointError, match="Lower the learning rate"):
        resume(run.path)
    assert len(open_run(run.path).history()) == len(table)


def test_divergence_in_the_last_update_is_said_too(tmp_path):
    # The first update with a learning rate is number 1, the last of the run: only the final evaluation can see it.
    config = tiny_config(2, optimizer={"name": "sgd", "lr": 1e30, "warmup_steps": 1})
    with pytest.raises(FloatingPointError, match="is nan at step 2"):
        train(config, tmp_path / "r", threads=1)
    assert open_run(tmp_path / "r").record.status == "diverged"


def test_errors(tiny_run, tmp_path):
    config = tiny_config(2)
    for device in ("tpu", "cuda:99", "cuda:x", ""):
        with pytest.raises(
            ValueError, match=f"Device '{device}' is not there: this machine has cpu.*Use --device cpu"
        ):
            train(config, tmp_path / "r", device=device)
    with pytest.raises(
        ValueError, match=r"Training needs a whole config, this one has no model, seed\. Configs of imp"
    ):
        train(dataclasses.replace(config, model=None, seed=None), tmp_path / "r")
    assert not (tmp_path / "r").exists()  # nothing is made by what is refused

    with pytest.raises(RunError, match=r"Run 'tiny' is complete: its 300 steps are done"):
        resume(tiny_run.path)
    with pytest.raises(RunError, match=r"is not a grokscope run"):
        resume(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="already holds other files"):
        train(config, tmp_path)
    with pytest.raises(RunError, match=r"mine.txt is a file"):
        train(config, tmp_path / "mine.txt")
    with pytest.raises(RunError, match=r"mine.txt/r cannot be made"):
        train(config, tmp_path / "mine.txt" / "r")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]

    record = RunRecord(status="imported", unit="step")
    imported = create_run(tmp_path / "imported", config, record, None)
    with pytest.raises(
        RunError, match=r"Run 'imported' was not trained by grokscope and cannot be continued: imported"
    ):
        resume(imported.path)


def test_damaged_resume_state_is_refused(tmp_path, monkeypatch):
    config = tiny_config(20, schedule=make_schedule(20, ["every:5"], []))
    stop_at(monkeypatch, 10)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "r", threads=1)
    path = tmp_path / "r" / "latest.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"latest.safetensors is damaged: its tensors have other checksums"):
        resume(tmp_path / "r")


@pytest.mark.parametrize("damage", ["missing", "shorter", "with a gap", "twice"])
def test_resume_refuses_a_history_with_a_gap(tmp_path, monkeypatch, damage):
    config = tiny_config(20, schedule=make_schedule(20, ["every:5"], []))
    path = tmp_path / "r"
    with monkeypatch.context() as patch:
        stop_at(patch, 10)
        with pytest.raises(KeyboardInterrupt):
            train(config, path, threads=1)
    file, run = path / "history.parquet", open_run(path)
    whole = run.history()
    rows = {"missing": 0, "shorter": 8, "with a gap": 10, "twice": 10}[damage]
    if damage == "missing":
        file.unlink()
    else:
        step = whole["step"]
        kept = {"shorter": step < 8, "with a gap": step != 4, "twice": step != 4}[damage]
        table = whole[kept]
        save_history(run, pd.concat([table[:1], table]) if damage == "twice" else table)
    before = (path / "run.json").read_bytes()
    message = rf"r/history.parquet needs a row for each of the 11 steps .* and has {rows}\. Restore it from a copy, or"
    with pytest.raises(RunError, match=message):
        resume(path)
    assert (path / "run.json").read_bytes() == before  # refused before anything is written
    (path / "latest.safetensors").unlink()
    same_runs(train(config, tmp_path / "whole", threads=1), resume(path))


def test_subnormal_gradients_are_zero_and_change_no_bit_of_the_training():
    """Two steps of the bundled run after grokking, where one in twelve gradients of its logits is subnormal."""
    path = Path(__file__).parents[2] / "checkpoints" / "mainline"
    run = open_run(path)
    recipe = run.config.recipe()
    data, tiny = Data(run.task, recipe, "cpu"), torch.finfo(torch.float32).tiny
    trained, shares = [], []
    for is_plain in (True, False):
        weights = {name: w.clone().requires_grad_() for name, w in run.step_weights(6000).items()}
        optimizer = Optimizer(recipe.optimizer, weights, None)
        for step in range(2):
            logits_of, labels = data.batch(step)
            logits = data.train_logits(weights) if is_plain else logits_of(weights)
            # A gradient is kept as it is after the hooks.
            logits.retain_grad()
            data.loss(logits, labels).backward()
            optimizer.step(step)
        assert logits.grad is not None
        size = logits.grad.abs()
        trained.append(weights)
        shares.append(float(((size > 0) & (size < tiny)).float().mean()))
    assert shares[0] > 0.05 and shares[1] == 0
    plain, without = trained
    assert all(torch.equal(w, without[name]) for name, w in plain.items())


# The bundled run. Ten minutes and more: pytest -m slow


@pytest.mark.slow
def test_mainline_trained_again_equals_the_bundled_run(tmp_path):
    path = Path(__file__).parents[2] / "checkpoints" / "mainline"
    if not (path / "run.json").exists():
        pytest.skip("checkpoints/mainline is not here")
    bundled = open_run(path)
    session = bundled.record.sessions[0]
    here = session_record(0, session.device)
    keys = ("device_name", "cpu_capability")
    same_kind = all(getattr(here, key) == getattr(session, key) for key in keys)
    if not same_kind or here.versions["torch"] != session.versions["torch"]:
        pytest.skip(f"the bundled run was made on another kind of machine: {session}")
    once = dataclasses.replace(bundled.config, n_steps=1, schedule=make_schedule(1, [], []))
    first = train(once, tmp_path / "once", device=session.device, threads=session.threads).history()
    if first["train_loss"].iloc[0] != bundled.history()["train_loss"].iloc[0]:
        # Before any update: two processors of one name may have sums in another order (docs/log.md).
        pytest.skip("the untrained network's loss has other last bits on this processor")
    # By the command of the README: the run is older than the setting that makes products independent of their place.
    command = [sys.executable, "-m", "interp", "train", str(tmp_path / "mainline"), "--preset", "mainline"]
    subprocess.run(
        [*command, "--threads", str(session.threads)], check=True, env={**os.environ, "MKL_CBWR": ""}
    )
    again = open_run(tmp_path / "mainline")
    pd.testing.assert_frame_equal(again.history(), bundled.history(), check_exact=True)
    assert again.index == bundled.index
    rows = Rows.of(bundled.task.tokens)
    logits = forward(bundled.config.model, bundled.step_weights(bundled.steps[-1]), rows).logits
    assert (logits.argmax(1) == bundled.task.labels).double().mean() > 0.99

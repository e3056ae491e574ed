"""Sweeps: what is trained, kept and gathered; stopped, killed and gone on with."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import interp
from interp.checks.of_run import verify_run
from interp.runs import saving
from interp.runs.run import open_run
from interp.runs.schedule import fitted_schedule
from interp.runs.tensor_files import RunError
from interp.sweeps import workers
from interp.sweeps.grid import planned_runs
from interp.sweeps.kept import check_keep, kept_steps, thin
from interp.sweeps.opened import open_sweep
from interp.sweeps.sweep import estimate, sweep
from interp.sweeps.units import grouped, units
from interp.training import member
from interp.training.train import train
from tests.tiny import tiny_config

BASE = tiny_config(60).recipe()
OVER = {"optimizer.weight_decay": [0.5, 1.0]}
# In this process: to start workers takes seconds.
HERE = {"n_processes": 1, "stack": 4}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("sweep") / "sweep", BASE, OVER, seeds=2, **HERE)


def test_every_run_is_that_of_its_recipe(done, tmp_path):
    assert done.names == [f"weight_decay={w},seed={s}" for w in ("0.5", "1.0") for s in (0, 1)]
    for run in map(done.run, done.names):
        assert run.record.status == "complete" and run.config.n_steps == 60
        assert [session.stack for session in run.record.sessions] == [4]
    name = "weight_decay=1.0,seed=1"
    alone = train(done.run(name).config, tmp_path / "alone", threads=1)
    pd.testing.assert_frame_equal(alone.history()[:30], done.run(name).history()[:30], rtol=1e-3, atol=1e-6)


def test_the_table_has_a_row_for_each_run_with_all_of_its_config(done):
    table = done.runs
    assert table["run"].tolist() == done.names and (table["status"] == "complete").all()
    assert table["optimizer.weight_decay"].tolist() == [0.5, 0.5, 1.0, 1.0]
    assert table["seed"].tolist() == table["task.split_seed"].tolist() == [0, 1, 0, 1]
    assert (table["model.d_mlp"] == 32).all() and (table["step"] == 60).all()
    for row in table.to_dict("records"):
        history = done.run(row["run"]).history()
        assert row["test_loss"] == history["test_loss"].iloc[-1]
        assert row["largest_test_loss"] == history["test_loss"].max()
        found, generalised = interp.memorization(history), interp.grokking(history)
        before, step = row["memorization_before"], row["memorization_step"]
        assert before == found.before and (pd.isna(step) if found.step is None else step == found.step)
        # It has not come: right-censored at the end, and so is the delay.
        assert generalised.step is None and pd.isna(row["grokking_step"]) and row["grokking_before"] == 60
        assert pd.isna(row["delay"]) and pd.isna(row["delay_high"])
    assert table["memorization_step"].dtype == "Int64"


def test_histories_and_measured_tables_stand_beside_what_was_swept(done, tmp_path):
    histories = done.histories()
    assert list(histories)[:4] == ["run", "optimizer.weight_decay", "seed", "task.split_seed"]
    assert len(histories) == 4 * 61
    with pytest.raises(ValueError, match="has no table of 'losses'. It measured nothing"):
        done.measured("losses")
    probes = ("weight_norms", "progress_measures")
    measured = sweep(tmp_path / "s", BASE, OVER, probes=probes, keep="tables", **HERE)
    norms = measured.measured("weight_norms")
    assert set(norms["run"]) == set(measured.names) and "optimizer.weight_decay" in norms
    assert norms["step"].nunique() > 5  # of checkpoints that are gone
    assert len(measured.run(measured.names[0]).steps) == 1
    with pytest.raises(ValueError, match="It measured progress_measures, weight_norms"):
        measured.measured("losses")


def test_a_second_call_trains_nothing_and_more_seeds_are_added(tmp_path):
    first = sweep(tmp_path / "s", BASE, OVER, seeds=1, **HERE)
    sessions = {name: first.run(name).record.sessions for name in first.names}
    times = {name: (first.run(name).path / "run.json").stat().st_mtime_ns for name in first.names}
    again = sweep(tmp_path / "s", BASE, OVER, seeds=1, **HERE)
    assert again.runs.equals(first.runs)
    more = sweep(tmp_path / "s", BASE, OVER, seeds=2, **HERE)
    assert len(more.runs) == 4 and len(open_sweep(tmp_path / "s").names) == 4
    for name in first.names:
        assert more.run(name).record.sessions == sessions[name]
        assert (more.run(name).path / "run.json").stat().st_mtime_ns == times[name]


@pytest.mark.slow
def test_a_lost_table_is_made_again_from_the_runs(tmp_path):
    first = sweep(tmp_path / "s", BASE, OVER, **HERE)
    (tmp_path / "s" / "runs.parquet").unlink()
    pd.testing.assert_frame_equal(open_sweep(tmp_path / "s").runs, first.runs)
    pd.testing.assert_frame_equal(sweep(tmp_path / "s", BASE, OVER, **HERE).runs, first.runs)


def test_what_goes_wrong_with_one_run_stands_in_its_row(tmp_path):
    runs = [{}, {"optimizer.name": "sgd", "optimizer.lr": 1e4}, {"seed": 3}]
    found = sweep(tmp_path / "s", BASE, runs, **HERE).runs
    assert found["status"].tolist() == ["complete", "diverged", "complete"]
    assert "The loss of run" in found["why"][1] and found["why"].tolist()[::2] == ["", ""]
    # Of a table that was lost the run itself says as much.
    (tmp_path / "s" / "runs.parquet").unlink()
    assert "The loss is no number after step" in open_sweep(tmp_path / "s").runs["why"][1]
    # One whose directory is another run's fails, and says so.
    again = tmp_path / "t"
    train(tiny_config(10, seed=9), again / "runs" / found["run"][1], threads=1)
    (again / "sweep.json").write_bytes((tmp_path / "s" / "sweep.json").read_bytes())
    for _ in range(2):
        found = sweep(again, BASE, runs, **HERE).runs
        assert found["status"].tolist() == ["complete", "failed", "complete"]
        assert "another config than the sweep's" in found["why"][1]


def test_a_run_that_could_not_be_begun_has_its_row(tmp_path, monkeypatch):
    from interp.sweeps import working

    begin = working.begin

    def refused(recipe, path):
        if path.name == "seed=1":
            raise OSError(28, "No space left on device")
        return begin(recipe, path)

    monkeypatch.setattr(working, "begin", refused)
    found = sweep(tmp_path / "s", BASE, {"seed": [0, 1]}, **HERE).runs
    assert found["status"].tolist() == ["complete", "failed"] and "No space left" in found["why"][1]


@pytest.mark.parametrize("file", ["history.parquet", "task.safetensors", "latest.safetensors", "run.json"])
def test_a_damaged_run_fails_alone_whatever_is_damaged(tmp_path, monkeypatch, file):
    stop_once(monkeypatch, 25)
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "s", BASE, {"seed": [0, 1, 2]}, **HERE)
    monkeypatch.undo()
    (tmp_path / "s" / "runs" / "seed=1" / file).write_bytes(b"damaged")
    (tmp_path / "s" / "runs.parquet").unlink()
    found = sweep(tmp_path / "s", BASE, {"seed": [0, 1, 2]}, **HERE).runs
    assert found["status"].tolist() in (
        ["complete", status, "complete"] for status in ("failed", "unreadable")
    )
    assert file in found["why"][1]


def test_a_probe_that_fails_is_a_failed_run_and_is_tried_again(tmp_path, monkeypatch):
    from interp.sweeps import working

    measured = working._measured

    def fails(run, probes, device):
        if run.name == "seed=1":
            raise ValueError("the probe has a fault")
        return measured(run, probes, device)

    monkeypatch.setattr(working, "_measured", fails)
    options = {"probes": ("weight_norms",), "keep": "transitions", **HERE}
    found = sweep(tmp_path / "s", BASE, {"seed": [0, 1]}, **options).runs
    assert found["status"].tolist() == ["complete", "failed"] and found["why"][1] == "the probe has a fault"
    monkeypatch.undo()
    found = sweep(tmp_path / "s", BASE, {"seed": [0, 1]}, **options)
    assert found.runs["status"].tolist() == ["complete"] * 2
    assert set(found.measured("weight_norms")["run"]) == {"seed=0", "seed=1"}
    assert not (found.path / "runs" / "seed=1" / "latest.safetensors").exists()


# What is kept.


@pytest.mark.slow
def test_what_is_kept_of_a_run(tmp_path):
    base = tiny_config(120, task={"train_fraction": 0.7}).recipe()
    whole = sweep(tmp_path / "all", base, **HERE)
    around = sweep(tmp_path / "transitions", base, keep="transitions", **HERE)
    last = sweep(tmp_path / "tables", base, keep="tables", **HERE)
    steps = whole.run("run").steps
    found = whole.runs.iloc[0]
    assert 0 < found["memorization_step"] < 120
    before = max(s for s in steps if s < found["memorization_step"])
    after = min(s for s in steps if s >= found["memorization_step"])
    assert around.run("run").steps == sorted({0, before, after, 120})
    assert last.run("run").steps == [120]
    for kept in (around, last):
        pd.testing.assert_frame_equal(kept.run("run").history(), whole.run("run").history(), check_exact=True)
        assert kept.runs.drop(columns=["why"]).equals(whole.runs.drop(columns=["why"]))
        run = kept.run("run")
        assert {p.name for p in (run.path / "steps").iterdir()} == {f"{s:010}.safetensors" for s in run.steps}
        run.step_weights(120)
        assert verify_run(run.path, losses=0).problems == []
        with pytest.raises(ValueError, match="keeps"):
            sweep(kept.path, base, keep="all", **HERE)


def test_other_ways_to_keep_a_run_are_refused():
    with pytest.raises(ValueError, match="keeps all, transitions, tables of its runs, got 'some'"):
        check_keep("some")


@pytest.mark.slow
def test_thinning_can_be_stopped_anywhere_and_finishes_when_called_again(tmp_path, monkeypatch):
    done = sweep(tmp_path / "s", tiny_config(60).recipe(), **HERE)
    run = done.run("run")
    wanted = kept_steps(run, "transitions")
    unlink = Path.unlink

    def interrupted(path, *rest, **options):
        if path.suffix == ".safetensors" and path.name > "0000000020":
            raise OSError(5, "Input/output error")
        unlink(path, *rest, **options)

    monkeypatch.setattr(Path, "unlink", interrupted)
    with pytest.raises(OSError, match="Input/output"):
        thin(run, "transitions")
    monkeypatch.undo()
    left = open_run(run.path)
    assert left.steps == wanted
    for step in left.steps:
        left.checkpoint(step)
    # A sweep that was cut off there finishes it.
    thinned = sweep(tmp_path / "t", BASE, keep="transitions", **HERE).run("run")
    saving.save_latest(thinned, 60, thinned.step_weights(60), {})
    sweep(tmp_path / "t", BASE, keep="transitions", **HERE)
    assert not (thinned.path / "latest.safetensors").exists()
    thin(left, "transitions")
    assert len(list((run.path / "steps").iterdir())) == len(wanted)


# Stopped and killed.


def stop_once(monkeypatch, step):
    def save_checkpoint(run, at, *rest):
        saving.save_checkpoint(run, at, *rest)
        if at >= step:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(member, "save_checkpoint", save_checkpoint)


def test_ctrl_c_saves_and_the_same_call_goes_on(tmp_path, monkeypatch):
    whole = sweep(tmp_path / "whole", BASE, OVER, **HERE)
    stop_once(monkeypatch, 25)
    with pytest.raises(KeyboardInterrupt, match="everything is saved"):
        sweep(tmp_path / "s", BASE, OVER, **HERE)
    monkeypatch.undo()
    stopped = open_sweep(tmp_path / "s")
    assert stopped.runs["status"].tolist() == ["interrupted"] * 2 and (stopped.runs["step"] < 40).all()
    again = sweep(tmp_path / "s", BASE, OVER, **HERE)
    for name in again.names:
        assert again.run(name).index == whole.run(name).index
        assert len(again.run(name).record.sessions) == 2
    assert again.runs.equals(whole.runs)


@pytest.mark.slow  # test_cluster.py kills tasks and workers in each run of the tests, benchmarks/faults.py these ones
def test_a_killed_worker_costs_no_run_and_no_bit(tmp_path):
    base = tiny_config(200, schedule=tiny_config(60).schedule).recipe()
    over = {"seed": [0, 1, 2, 3]}
    whole = sweep(tmp_path / "whole", base, over, refit=False, n_processes=1, stack=2)
    killed = []

    def kill():
        from joblib.externals.loky import reusable_executor

        folder = tmp_path / "s" / "runs"
        while not any((path / "steps").exists() for path in folder.glob("*")):
            time.sleep(0.01)
        pid = next(iter(reusable_executor._executor._processes))
        os.kill(pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    again = sweep(tmp_path / "s", base, over, refit=False, n_processes=2, stack=2)
    thread.join()
    assert killed and again.runs["status"].tolist() == ["complete"] * 4
    assert sorted(again.runs["run"]) == sorted(again.names)
    for name in again.names:
        assert again.run(name).index == whole.run(name).index
    assert not list((tmp_path / "s" / "progress").glob("*.json"))


def test_a_worker_has_its_share_of_the_threads_that_train_takes(tmp_path, monkeypatch):
    given = []

    def work(folder, keep, probes, device, threads, store):
        given.append(threads)
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["interp.sweeps.sweep"], "Work", work)
    former = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for i, options in enumerate(
            ({"n_processes": 1}, {"n_processes": 2}, {"n_processes": 4}, {"threads": 2})
        ):
            with pytest.raises(KeyboardInterrupt):
                sweep(tmp_path / str(i), BASE, {"seed": [0]}, **options)
    finally:
        torch.set_num_threads(former)
    assert given == [3, 1, 1, 2]


def test_workers_that_die_again_and_again_are_given_up(tmp_path, monkeypatch):
    def dies(*_):
        yield from ()

    monkeypatch.setattr(workers, "_at_once", dies)
    with pytest.raises(RunError, match="were killed three times with nothing done in between"):
        sweep(tmp_path / "s", BASE, {"seed": [0, 1]}, n_processes=2, stack=1)


@pytest.mark.slow
@pytest.mark.parametrize("is_seen", [True, False])
def test_runs_that_another_trainer_has_are_waited_for(tmp_path, monkeypatch, is_seen):
    """Also where the other's files are not seen yet, as on a network file system."""
    from interp.runs.locks import run_lock
    from interp.training.train import begin

    monkeypatch.setattr(workers, "SECONDS_TO_WAIT", 0.05)
    held = tmp_path / "s" / "runs" / "seed=1"
    if is_seen:
        begin(tiny_config(60, seed=1, schedule=fitted_schedule(60)).recipe(), held)
    held.mkdir(parents=True, exist_ok=True)
    (tmp_path / "t").mkdir()
    sweep(tmp_path / "t", BASE, {"seed": [0, 1]}, **HERE)
    (tmp_path / "s" / "sweep.json").write_bytes((tmp_path / "t" / "sweep.json").read_bytes())
    waited = []

    def hold():
        with run_lock(held):
            while not (tmp_path / "s" / "runs" / "seed=0" / "latest.safetensors").exists():
                time.sleep(0.01)
            time.sleep(0.5)
            waited.append(True)

    thread = threading.Thread(target=hold)
    thread.start()
    time.sleep(0.1)
    found = sweep(tmp_path / "s", BASE, {"seed": [0, 1]}, **HERE).runs
    thread.join()
    assert waited and found["status"].tolist() == ["complete"] * 2


def test_a_run_that_another_worker_measures_and_thins_is_left_to_it(tmp_path, monkeypatch):
    from interp.runs.locks import run_lock
    from interp.sweeps import plan_file, working
    from interp.sweeps.units import Unit
    from interp.training.stacked import MemberEnd

    plan = planned_runs(tiny_config(40).recipe(), {"seed": [0]})
    unit, path = Unit("unit", tuple(plan), True, 0.0), tmp_path / "runs" / "seed=0"
    working.worked(unit, working.Work(tmp_path, "all", (), "cpu", 1))
    steps = open_run(path).steps
    work = working.Work(tmp_path, "tables", ("weight_norms",), "cpu", 1)
    # As it looks in the moment between two locks of the other: trained, and no longer in training.
    monkeypatch.setattr(working, "_trained", lambda paths, *_: [MemberEnd(path=path, ended="complete")])
    with run_lock(path):
        assert [one.ended for one in working.worked(unit, work)] == ["busy"]
    assert open_run(path).steps == steps and not (tmp_path / plan_file.MEASURED).exists()
    assert [one.ended for one in working.worked(unit, work)] == ["complete"]
    measured = pd.read_parquet(working.measured_file(tmp_path, "weight_norms", "seed=0"))
    assert sorted(set(measured["step"])) == steps and open_run(path).steps == steps[-1:]


def test_a_file_stop_ends_a_run_that_is_trained_alone(tmp_path, monkeypatch):
    from interp.sweeps import working
    from interp.sweeps.units import Unit

    monkeypatch.setattr(working, "SECONDS_BETWEEN_LOOKS", 0.0)
    plan = planned_runs(tiny_config(100_000).recipe(), {"seed": [0]})

    def stop():
        while not list(tmp_path.glob("runs/*/steps/*")):
            time.sleep(0.01)
        (tmp_path / working.STOP).touch()

    thread = threading.Thread(target=stop)
    thread.start()
    work = working.Work(tmp_path, "all", (), "cpu", 1)
    done = working.worked(Unit("unit", tuple(plan), False, 0.0), work)
    thread.join()
    assert [one.ended for one in done] == ["interrupted"]
    assert (tmp_path / "runs" / "seed=0" / "latest.safetensors").exists()


def test_a_display_that_cannot_be_written_does_not_stop_training(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    from interp.sweeps.units import Unit
    from interp.sweeps.working import Work, worked

    plan = planned_runs(tiny_config(30).recipe(), {"seed": [0, 1]})
    done = worked(Unit("unit", tuple(plan), True, 0.0), Work(tmp_path, "all", (), "cpu", 1))
    assert [one.ended for one in done] == ["complete"] * 2


@pytest.mark.slow
def test_runs_keep_their_names_when_others_are_added(tmp_path):
    first = sweep(tmp_path / "s", BASE, {"optimizer.weight_decay": [0.5]}, **HERE)
    assert first.names == ["weight_decay=0.5"]
    # Seeds of 0 are those of the base: the same run under another name.
    more = sweep(tmp_path / "s", BASE, {"optimizer.weight_decay": [0.1, 0.5]}, seeds=2, **HERE)
    assert sorted(more.names) == sorted(
        ["weight_decay=0.1,seed=0", "weight_decay=0.1,seed=1", "weight_decay=0.5", "weight_decay=0.5,seed=1"]
    )
    assert len(more.run("weight_decay=0.5").record.sessions) == 1
    assert more.runs["status"].tolist() == ["complete"] * 4


# Refused.


def test_another_sweep_in_the_folder_is_refused_by_what_differs(tmp_path):
    sweep(tmp_path / "s", BASE, OVER, **HERE)
    other = tiny_config(60, model={"d_mlp": 48}).recipe()
    cases = [
        (other, OVER, {}, "its base has model.d_mlp=32, this one 48"),
        (BASE, {"optimizer.weight_decay": [0.5, 2.0]}, {}, "its run weight_decay=1.0 is not among the runs"),
        (BASE, OVER, {"keep": "tables"}, "it keeps all of its runs, this one tables"),
        (BASE, OVER, {"probes": ("losses",)}, "it measures nothing, this one losses"),
    ]  # fmt: skip
    for base, over, options, why in cases:
        with pytest.raises(ValueError, match=f"holds another sweep: {why}"):
            sweep(tmp_path / "s", base, over, **HERE, **options)
    assert len(open_sweep(tmp_path / "s").runs) == 2


def test_folders_that_are_no_sweep(tmp_path):
    with pytest.raises(ValueError, match="is no sweep: it has no sweep.json"):
        open_sweep(tmp_path)
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match="holds other files and no sweep.json"):
        sweep(tmp_path, BASE, OVER, **HERE)
    made = sweep(tmp_path / "s", BASE, **HERE)
    text = (made.path / "sweep.json").read_text("utf-8")
    (made.path / "sweep.json").write_text(text.replace('"keep": "all"', '"keep": "tables"'), encoding="utf-8")
    with pytest.raises(RunError, match="its checksum shows it"):
        open_sweep(made.path)
    (made.path / "sweep.json").write_text(json.dumps({"format": "else"}), encoding="utf-8")
    with pytest.raises(RunError, match="does not describe a sweep"):
        open_sweep(made.path)


@pytest.mark.slow
def test_two_sweeps_do_not_share_a_folder(tmp_path):
    from interp.runs.locks import run_lock

    (tmp_path / "s").mkdir()
    with run_lock(tmp_path / "s"), pytest.raises(RunError, match="Another sweep is working in"):
        sweep(tmp_path / "s", BASE, OVER, **HERE)
    assert len(sweep(tmp_path / "s", BASE, OVER, **HERE).runs) == 2


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"over": {"seed": range(2000)}}, "A sweep of 2,000 runs needs to be meant"),
        ({"seeds": 0}, "at least 1 seed, got 0"),
        ({"n_processes": 0}, "at least 1 worker, got 0"),
        ({"device": "tpu"}, "tpu"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(tmp_path, options, why):
    with pytest.raises(ValueError, match=why):
        sweep(tmp_path / "s", BASE, **{"over": OVER} | options)
    assert not (tmp_path / "s").exists()


# Before it starts.


@pytest.mark.slow
def test_the_estimate_writes_nothing_and_knows_what_is_done(tmp_path):
    before = estimate(tmp_path / "s", BASE, OVER, seeds=2, keep="transitions", n_processes=1)
    assert not (tmp_path / "s").exists()
    assert (before.n_runs, before.n_left) == (4, 4) and before.seconds > 0
    sweep(tmp_path / "s", BASE, OVER, seeds=2, keep="transitions", **HERE)
    after = estimate(tmp_path / "s", BASE, OVER, seeds=2, keep="transitions", n_processes=1)
    assert (after.n_left, after.seconds, after.stacks) == (0, 0, ())
    # Of the order of what it took: files besides the tensors are small, but these tensors are small too.
    taken = sum(file.stat().st_size for file in (tmp_path / "s" / "runs").rglob("*") if file.is_file())
    assert before.bytes / 3 < taken < 6 * before.bytes


def test_units_hold_runs_of_one_architecture_and_leave_no_core_idle():
    over = {"task.p": [7, 11], "task.train_fraction": [0.4, 0.5, 0.9]}
    plan = planned_runs(BASE, over, [0, 1, 2])
    groups = grouped(plan)
    assert sorted(len(group) for group in groups) == [3, 3, 6, 6]
    for group in groups:
        assert len({run.recipe.model for run in group}) == 1
        fractions = [run.recipe.task.train_fraction for run in group]
        assert max(fractions) <= 1.3 * min(fractions)
    shared = units(plan, n_at_once=2, size=16)
    assert sorted(run.name for unit in shared for run in unit.runs) == sorted(run.name for run in plan)
    assert max(len(unit.runs) for unit in shared) == 3
    assert [unit.seconds for unit in shared] == sorted((unit.seconds for unit in shared), reverse=True)
    assert len({unit.name for unit in shared}) == len(shared)


@pytest.mark.slow
def test_an_architecture_that_no_stack_makes_faster_is_trained_alone(tmp_path, monkeypatch):
    from interp.sweeps import units as units_module
    from interp.training.stack_size import StackSize

    monkeypatch.setattr(units_module, "stack_size", lambda *_, **__: StackSize(0, 0.1, 0.1))
    done = sweep(tmp_path / "s", BASE, OVER, n_processes=1)
    assert [done.run(name).record.sessions[0].stack for name in done.names] == [None, None]
    alone = train(done.run(done.names[0]).config, tmp_path / "alone")
    assert alone.index == done.run(done.names[0]).index


def test_the_command_line(tmp_path, capsys):
    from interp.commands.cli import app

    def run(*words):
        app([str(word) for word in words], standalone_mode=False)
        return capsys.readouterr().out

    words = [
        "sweep",
        tmp_path / "s",
        "--set",
        "task.p=7",
        "--set",
        "model.d_model=16",
        "--set",
        "model.d_mlp=16",
    ]
    words += ["--over", "optimizer.weight_decay=0.5,1", "--seeds", 2, "--steps", 20]
    words += ["--keep", "tables", "--jobs", 1, "--stack", 4]
    assert "4 runs in stacks of 4: about 1 min with nothing else running" in run(*words, "--dry-run")
    assert not (tmp_path / "s").exists()
    said = run(*words)
    assert "4 complete of 4 runs" in said and f"interp info {tmp_path / 's' / 'runs'}" in said
    assert "4 runs, 4 of them done." in run(*words)
    assert np.isfinite(open_sweep(tmp_path / "s").runs["test_loss"]).all()
    for wrong, why in (
        (["--over", "optimizer.wd=1"], r"--over optimizer.wd: a recipe has no field"),
        (["--over", "task.p=7", "--over", "task.p=11"], "each field can be given once"),
        (["--probes", "nonsense"], "there is no probe 'nonsense'"),
        (["--over", "task.p=7", "--list", "x.csv"], "a grid or a list"),
    ):
        with pytest.raises(ValueError, match=why):
            app(["sweep", str(tmp_path / "t"), *wrong], standalone_mode=False)


def test_what_a_killed_worker_left_half_written_is_removed_when_the_run_is_finished(tmp_path):
    from interp.sweeps import working
    from interp.training.stacked import MemberEnd

    made = sweep(tmp_path / "s", BASE, {"seed": [0, 1]}, probes=("weight_norms",), **HERE)
    run, table = made.run("seed=0").path, made.path / "measured" / "weight_norms"
    left = [run / ".run.json.abcd1234.writing", table / ".seed=0.parquet.abcd1234.writing"]
    # Another run's may be written at this moment.
    other = table / ".seed=1.parquet.abcd1234.writing"
    for file in (*left, other):
        file.write_bytes(b"half")
    work = working.Work(made.path, "all", ("weight_norms",), "cpu", 1)
    assert working._finished(MemberEnd(path=run, ended="complete"), work).ended == "complete"
    assert [file.exists() for file in (*left, other)] == [False, False, True]


def test_a_table_of_short_runs_alone_is_the_same_read_back(tmp_path):
    made = sweep(tmp_path / "s", BASE, {"seed": [0]}, **HERE)
    assert made.runs["early_activity"].dtype == "float64" and made.runs["early_activity"].isna().all()
    (tmp_path / "s" / "runs.parquet").unlink()
    pd.testing.assert_frame_equal(open_sweep(tmp_path / "s").runs, made.runs)


def test_a_disk_that_refuses_the_first_checkpoint_leaves_no_empty_history(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(member, "save_checkpoint", refuse)
    found = sweep(tmp_path / "s", BASE, {"seed": [0, 1]}, **HERE).runs
    assert (
        found["status"].tolist() == ["failed", "failed"] and found["why"].str.contains("No space left").all()
    )
    monkeypatch.undo()
    done = sweep(tmp_path / "s", BASE, {"seed": [0, 1]}, **HERE)
    assert (done.runs["status"] == "complete").all() and len(done.run("seed=0").history()) == 61


def test_a_table_of_a_thinned_run_that_is_gone_is_not_made_from_what_is_left(tmp_path, monkeypatch):
    from interp.sweeps import measured_files

    monkeypatch.setattr(measured_files, "SECONDS_TO_SHOW", 0.2)
    again = {"probes": ("weight_norms",), "keep": "tables", **HERE}
    made = sweep(tmp_path / "s", BASE, {"seed": [0]}, **again)
    file = measured_files.measured_file(made.path, "weight_norms", "seed=0")
    whole = file.read_bytes()
    file.unlink()
    found = sweep(tmp_path / "s", BASE, {"seed": [0]}, **again).runs
    assert found["status"].tolist() == ["failed"]
    assert (
        "is gone, and the checkpoints that it was measured at were deleted. Restore it, or" in found["why"][0]
    )
    # Seen late, it is taken as it is.
    monkeypatch.setattr(measured_files, "SECONDS_TO_SHOW", 20.0)
    timer = threading.Timer(0.3, file.write_bytes, [whole])
    timer.start()
    assert sweep(tmp_path / "s", BASE, {"seed": [0]}, **again).runs["status"].tolist() == ["complete"]
    timer.join()
    assert file.read_bytes() == whole


def test_the_last_unit_alone_is_worked_on_by_another_process_too(monkeypatch, annotations_off):
    """What a worker does to its signals would cost the command its Ctrl-C."""
    monkeypatch.setattr(workers, "in_worker", lambda unit, work: os.getpid())
    with annotations_off():
        assert list(workers._at_once(["the last"], None, 2)) != [os.getpid()]

"""A damaged run: every kind of damage is really done to the files, found by name, and repaired where that is sound."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from typer.testing import CliRunner

from interp.checks.of_run import verify_run
from interp.checks.of_source import verify_source
from interp.checks.recorded_losses import RecordedLossCheck
from interp.checks.repair import repair_run
from interp.commands.cli import app
from interp.runs.config import config_from_json, config_to_json
from interp.runs.run import open_run
from interp.runs.saving import save_checkpoint, save_history, save_latest, update_record, write_index
from interp.runs.schedule import Schedule
from interp.runs.task_file import task_bytes
from interp.runs.tensor_files import RunError, safetensors_bytes
from interp.training.train import train
from tests import foreign
from tests.tiny import tiny_config

FILE = "steps/0000000150.safetensors"


def problems(path, losses=0):
    return {(f.kind, f.where) for f in verify_run(path, losses=losses).problems}


def bytes_of(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file() and p.name != "lock"}


def flip(file, place):
    data = bytearray(file.read_bytes())
    data[place] ^= 0x10
    file.write_bytes(bytes(data))


def test_a_sound_run_is_clean_and_stays_untouched(tiny_run_copy):
    tiny_run_copy.weights("W_E")
    before = bytes_of(tiny_run_copy.path)
    report = verify_run(tiny_run_copy.path, losses=100)
    assert report.findings == [] and report.n_steps == 7
    assert {d.column for d in report.losses} == {"train_loss", "test_loss", "train_accuracy", "test_accuracy"}
    assert all(abs(d.recorded - d.recomputed) < 1e-12 and d.n == 7 for d in report.losses)
    assert repair_run(tiny_run_copy.path) == []
    assert bytes_of(tiny_run_copy.path) == before


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"optimizer": {"batch_size": 16}}, "complete"),
        ({"optimizer": {"loss_dtype": "float32"}}, "complete"),
        ({"schedule": Schedule(steps=(0, 1, 2, 60), optimizer_steps=())}, "complete"),
        ({"task": {"operation": "divide"}, "model": {"n_heads": 0}}, "complete"),
    ],
)
def test_no_alarm_on_sound_runs(tmp_path, change, status):
    run = train(tiny_config(60, **change), tmp_path / "run", threads=1)
    assert run.record.status == status
    report = verify_run(run.path, losses=10)
    assert report.problems == []


@pytest.mark.parametrize("batch_size", [None, 16])
def test_the_first_update_of_a_warm_up_changes_nothing_and_is_a_note(tmp_path, batch_size):
    schedule = Schedule(steps=(0, 1, 2, 3, 4), optimizer_steps=())
    config = tiny_config(4, schedule=schedule, optimizer={"batch_size": batch_size})
    run = train(config, tmp_path / "warm", threads=1)
    (note,) = verify_run(run.path, losses=0).findings
    assert (note.level, note.kind, note.steps) == ("note", "same weights", (0, 1))


def test_training_that_stood_still_is_a_note(tmp_path):
    # A learning rate that no float32 can hold: nothing ever moves, and the recorded loss says so.
    config = tiny_config(20, optimizer={"name": "sgd", "lr": 1e-60, "weight_decay": 0.0, "warmup_steps": 0})
    run = train(config, tmp_path / "still", threads=1)
    (note,) = verify_run(run.path, losses=0).findings
    assert (note.level, note.kind, note.steps) == ("note", "same weights", (0, 20))


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda f: f.write_bytes(f.read_bytes()[:-100]), "truncated"),
        (lambda f: f.write_bytes(f.read_bytes()[:50]), "truncated"),
        (lambda f: f.write_bytes(b""), "truncated"),
        (lambda f: flip(f, -500), "altered"),
        (lambda f: flip(f, 20), "altered"),
        (lambda f: flip(f, 7), "altered"),
        (lambda f: f.write_bytes(f.read_bytes() + b"more"), "altered"),
        (lambda f: f.unlink(), "missing"),
    ],
)
@pytest.mark.parametrize("name", [FILE, "optimizer/0000000100.safetensors"])
def test_damaged_files_are_found_by_name_and_left_as_they_are(tiny_run_copy, damage, kind, name):
    damage(tiny_run_copy.path / name)
    assert problems(tiny_run_copy.path) == {(kind, name)}
    before = bytes_of(tiny_run_copy.path)
    (repair,) = repair_run(tiny_run_copy.path)
    if repair.done:  # only the header was hurt: every tensor is still there with its checksum
        assert problems(tiny_run_copy.path) == set()
        assert bytes_of(tiny_run_copy.path)[Path(name)] != before[Path(name)]
    else:
        assert repair.where == name and "not repairable" in repair.message and "retrain" in repair.message
        assert bytes_of(tiny_run_copy.path) == before


def test_the_altered_tensor_is_named(tiny_run_copy):
    run = tiny_run_copy
    weights = run.step_weights(150)
    weights["blocks.0.mlp.b_in"][3] += 1
    (run.path / FILE).write_bytes(safetensors_bytes(weights, 150))
    (found,) = verify_run(run.path, losses=0).problems
    assert found.message.endswith(": blocks.0.mlp.b_in differs")


def test_packed_weights_restore_a_checkpoint_bit_for_bit(tiny_run_copy):
    run = tiny_run_copy
    whole = bytes_of(run.path)
    for name in run.step_weights(0):
        run.weights(name)
    (run.path / FILE).unlink()
    flip(run.path / "packed" / "embed.W_E.npy", 200)  # the row of another step
    (first, second) = repair_run(run.path)
    assert (first.where, first.done) == (FILE, True) and "packed/" in first.message
    assert second.where == "packed/embed.W_E.npy" and not (run.path / second.where).exists()
    assert problems(run.path) == set()
    assert all(bytes_of(run.path)[name] == data for name, data in whole.items())


def test_one_wrong_number_in_the_packed_weights_is_not_used(tiny_run_copy):
    run = tiny_run_copy
    for name in run.step_weights(0):
        run.weights(name)
    row = run.steps.index(150)
    array = np.load(run.path / "packed" / "embed.W_E.npy")
    array[row, 3, 4] += 1e-6
    np.save(run.path / "packed" / "embed.W_E.npy", array)
    flip(run.path / FILE, -3)  # the damaged file itself still gives all but its last tensor
    assert problems(run.path) == {("altered", FILE), ("altered", "packed/embed.W_E.npy")}
    data = (run.path / FILE).read_bytes()
    (run.path / FILE).write_bytes(data[: len(data) // 2])
    repairs = repair_run(run.path)
    assert [(r.where, r.done) for r in repairs] == [(FILE, False), ("packed/embed.W_E.npy", True)]
    assert "1 of 11 tensors" in repairs[0].message
    assert (run.path / FILE).read_bytes() == data[: len(data) // 2]


def test_swapped_files_are_named_and_swapped_back(tiny_run_copy):
    run, a, b = tiny_run_copy, FILE, "steps/0000000250.safetensors"
    whole = bytes_of(run.path)
    (run.path / a).rename(run.path / "c")
    (run.path / b).rename(run.path / a)
    (run.path / "c").rename(run.path / b)
    report = verify_run(run.path, losses=0)
    assert {(f.kind, f.where) for f in report.problems} == {("altered", a), ("altered", b)}
    assert report.problems[0].message.endswith("it holds step 250")
    assert all(r.done for r in repair_run(run.path))
    assert bytes_of(run.path) == whole


def test_the_weights_of_one_step_in_the_file_of_another(tiny_run_copy):
    run = tiny_run_copy
    shutil.copy(run.path / "steps/0000000100.safetensors", run.path / FILE)
    assert problems(run.path) == {("altered", FILE)}
    # Written by a program that keeps the index true to the files: the series gives it away.
    save_checkpoint(run, 150, run.step_weights(100))
    found = {f.kind: f for f in verify_run(run.path, losses=10).problems}
    assert found["same weights"].steps == (100, 150)
    assert found["recorded loss"].steps == (150,)
    assert all("retrain" in r.message or r.done for r in repair_run(run.path))


def test_nan_that_was_saved_as_such(tiny_run_copy):
    weights = tiny_run_copy.step_weights(150)
    weights["unembed.W_U"][0, 0] = float("nan")
    save_checkpoint(tiny_run_copy, 150, weights)
    assert {("not finite", "unembed.W_U")} <= problems(tiny_run_copy.path)
    assert ("recorded loss", "train_loss") in problems(tiny_run_copy.path, losses=10)


def test_weights_of_another_shape(tiny_run_copy):
    weights = tiny_run_copy.step_weights(150)
    weights["unembed.W_U"] = weights["unembed.W_U"][:, :5].clone()
    save_checkpoint(tiny_run_copy, 150, weights)
    assert ("shape", FILE) in problems(tiny_run_copy.path)


def test_an_index_that_is_gone_or_unreadable_comes_back(tiny_run_copy):
    path = tiny_run_copy.path
    whole = bytes_of(path)
    for text in (None, "{", '{"0": 3}', "[]"):
        (path / "index.json").unlink()
        if text is not None:
            (path / "index.json").write_text(text)
        assert problems(path) == {("unreadable", "index.json")}
        (repair,) = repair_run(path)
        assert repair.where == "index.json" and repair.done
        assert bytes_of(path) == whole


def test_entries_of_the_index_that_are_gone_or_wrong_come_back(tiny_run_copy):
    path = tiny_run_copy.path
    whole = bytes_of(path)
    index = json.loads((path / "index.json").read_text())
    del index["100"]
    del index["200"]["optimizer"]
    index["150"]["tensors"]["embed.W_E"] = "0" * 16
    index["250"]["checksum"] = "0" * 16
    (path / "index.json").write_text(json.dumps(index))
    assert problems(path) == {
        ("missing step", ""),
        ("not in the index", "steps/0000000100.safetensors"),
        ("not in the index", "optimizer/0000000100.safetensors"),
        ("not in the index", "optimizer/0000000200.safetensors"),
        ("missing", "optimizer/0000000200.safetensors"),
        ("index", "index.json"),
        ("altered", "steps/0000000250.safetensors"),
    }
    assert all(r.done for r in repair_run(path))
    assert bytes_of(path) == whole


def test_a_consistent_file_of_another_run_is_not_taken_for_ours(tiny_run_copy):
    weights = {name: w + 1 for name, w in tiny_run_copy.step_weights(150).items()}
    (tiny_run_copy.path / FILE).write_bytes(safetensors_bytes(weights, 150))
    assert problems(tiny_run_copy.path) == {("altered", FILE)}
    before = bytes_of(tiny_run_copy.path)
    (repair,) = repair_run(tiny_run_copy.path)
    assert not repair.done and bytes_of(tiny_run_copy.path) == before


def test_files_that_nothing_vouches_for_are_not_taken_in(tiny_run_copy):
    path = tiny_run_copy.path
    shutil.copy(path / FILE, path / "steps/0000000175.safetensors")
    wrong = {"W": torch.zeros(2)}
    (path / "steps/0000000180.safetensors").write_bytes(safetensors_bytes(wrong, 180))
    names = {"steps/0000000175.safetensors", "steps/0000000180.safetensors"}
    assert problems(path) == {("not in the index", name) for name in names}
    repairs = repair_run(path)
    assert {r.where for r in repairs} == names and not any(r.done for r in repairs)
    assert problems(path) == {("not in the index", name) for name in names}


def test_an_index_cannot_lead_out_of_the_run(tiny_run_copy, tmp_path):
    path, outside = tiny_run_copy.path, tmp_path / "outside.safetensors"
    shutil.copy(path / FILE, outside)
    flip(outside, -1)
    index = json.loads((path / "index.json").read_text())
    before = outside.read_bytes()
    for name in (str(outside), "../outside.safetensors"):
        index["150"]["file"] = name
        (path / "index.json").write_text(json.dumps(index))
        assert ("index", "index.json") in problems(path)
        assert all(r.done for r in repair_run(path))  # the file inside has the recorded tensors
        assert problems(path) == set()
    (path / "index.json").write_text(json.dumps(index))
    (path / FILE).unlink()
    assert [(r.done, "outside the run" in r.message) for r in repair_run(path)] == [(False, True)]
    assert outside.read_bytes() == before


def test_weight_names_that_lead_out_of_the_run_are_named_and_not_followed(tiny_run_copy, tmp_path):
    path, name = tiny_run_copy.path, "../../escaped/x.W_E"
    weights = {name: torch.zeros(2)}
    (path / FILE).write_bytes(safetensors_bytes(weights, 150))
    index = json.loads((path / "index.json").read_text())
    index["150"]["tensors"] = {name: "0" * 16}
    (path / "index.json").write_text(json.dumps(index))
    (report,) = [f for f in verify_run(path, losses=0).problems if f.where == "index.json"]
    assert "could lie outside the run" in report.message
    repairs = repair_run(path)
    assert any("could lie outside the run" in r.message and not r.done for r in repairs)
    (path / "index.json").unlink()
    repair_run(path)
    assert 150 not in open_run(path).steps and not list(tmp_path.rglob("escaped"))


def test_an_index_made_anew_takes_in_only_the_weights_of_the_runs_network(tiny_run_copy):
    path = tiny_run_copy.path
    (path / "index.json").unlink()
    wrong = "steps/0000000180.safetensors"
    (path / wrong).write_bytes(safetensors_bytes({"W": torch.zeros(2)}, 180))
    repairs = repair_run(path)
    assert [(r.where, r.done) for r in repairs] == [("index.json", True), (wrong, False)]
    assert "from the 7 checkpoint files" in repairs[0].message
    assert "its tensors are not those of the run's model" in repairs[1].message
    assert open_run(path).steps == tiny_run_copy.steps


def test_a_checkpoint_without_tensors_is_not_made_up(tiny_run_copy):
    path = tiny_run_copy.path
    index = json.loads((path / "index.json").read_text())
    index["150"]["tensors"] = {}
    (path / "index.json").write_text(json.dumps(index))
    (path / FILE).write_bytes((path / FILE).read_bytes()[:-100])
    before = (path / FILE).read_bytes()
    told = {r.message for r in repair_run(path) if r.where == FILE and not r.done}
    assert any("its entry in the index lists no tensors; retrain the run" in text for text in told)
    assert (path / FILE).read_bytes() == before


def test_generated_data_come_back_from_the_config(tiny_run_copy):
    file = tiny_run_copy.path / "task.safetensors"
    whole = file.read_bytes()
    for damage, kind in (
        (lambda: file.unlink(), "missing"),
        (lambda: file.write_bytes(whole[:-7]), "truncated"),
        (lambda: flip(file, len(whole) - 10), "data"),
    ):
        damage()
        assert problems(tiny_run_copy.path) == {(kind, "task.safetensors")}
        (repair,) = repair_run(tiny_run_copy.path)
        assert repair.done
        assert problems(tiny_run_copy.path) == set()


def test_data_against_an_altered_config_are_not_rewritten(tiny_run_copy):
    path = tiny_run_copy.path
    record = json.loads((path / "run.json").read_text())
    record["config"]["task"]["split_seed"] = 1  # now the config is the liar, and the recorded losses know it
    (path / "run.json").write_text(json.dumps(record))
    assert problems(path) == {("unreadable", "run.json")}
    del record["checksum"]  # by hand, or in a run of an earlier version
    (path / "run.json").write_text(json.dumps(record))
    before = (path / "task.safetensors").read_bytes()
    assert problems(path) == {("data", "task.safetensors")}
    (repair,) = repair_run(path)
    assert not repair.done and "contradicts the config" in repair.message
    assert (path / "task.safetensors").read_bytes() == before


def test_a_recorded_split_is_not_generated(tiny_run_copy):
    path = tiny_run_copy.path
    record = json.loads((path / "run.json").read_text())
    record["config"]["task"]["split"] = "explicit"
    del record["checksum"]
    (path / "run.json").write_text(json.dumps(record))
    (path / "task.safetensors").unlink()
    (repair,) = repair_run(path)
    assert not repair.done and "its split was recorded" in repair.message


def test_gaps_and_damage_of_the_history(tiny_run_copy):
    path = tiny_run_copy.path
    history = tiny_run_copy.history()
    file = path / "history.parquet"
    history.drop(index=[30, 31, 32, 200]).to_parquet(file)
    (found,) = verify_run(path, losses=0).problems
    assert (found.kind, found.where) == ("history", "history.parquet")
    assert "4 steps: 30-32, 200" in found.message and found.steps == (30, 31, 32, 200)

    lacking = history.copy()
    lacking.loc[100, "test_loss"] = np.nan
    lacking.to_parquet(file)
    assert "lacks the test loss of steps 100" in verify_run(path, losses=0).problems[0].message

    pd.concat([history, history[-3:]]).to_parquet(file)
    assert "do not ascend" in verify_run(path, losses=0).problems[0].message

    file.write_bytes(file.read_bytes()[:-30])
    assert problems(path) == {("unreadable", "history.parquet")}
    (repair,) = repair_run(path)
    assert not repair.done and "not repairable" in repair.message
    file.unlink()
    assert problems(path) == {("missing", "history.parquet")}


def test_a_history_of_other_weights(tiny_run_copy):
    history = tiny_run_copy.history()
    history.loc[history["step"] == 200, "test_loss"] *= 1.01
    save_history(tiny_run_copy, history)
    report = verify_run(tiny_run_copy.path, losses=10)
    (found,) = report.problems
    assert (found.kind, found.where, found.steps) == ("recorded loss", "test_loss", (200,))
    worst = next(d for d in report.losses if d.column == "test_loss")
    assert worst.step == 200 and worst.recorded == pytest.approx(1.01 * worst.recomputed)


@pytest.mark.parametrize("shift", [1, -1])
def test_a_trainer_that_is_one_step_off_is_a_note(tiny_run_copy, shift):
    # As if imported: rows of the history are named one step too late or too early.
    run = tiny_run_copy
    history = run.history()
    history["step"] += shift
    save_history(run, history[history["step"] >= 0])
    update_record(run, replace(run.record, sessions=(), status="imported"))
    check = RecordedLossCheck(open_run(run.path))
    for step in run.steps[1:-1]:
        check.add(step, run.step_weights(step))
    found, differences = check.findings()
    train_loss = next(d for d in differences if d.column == "train_loss")
    assert train_loss.shift == shift and abs(train_loss.recorded - train_loss.recomputed) < 1e-12
    assert [(f.level, f.where) for f in found if f.where == "train_loss"] == [("note", "train_loss")]
    assert [f for f in found if f.level == "problem"] == []


def test_a_loss_measured_before_the_update_with_no_row_beside_it(tiny_run_copy):
    # Rows at saved steps only, each the loss of one step earlier: no shift fits, one step of change does.
    run = tiny_run_copy
    before = run.history()
    before["step"] += 1
    saved = before[before["step"].isin(run.steps)][["step", "train_loss"]]
    save_history(run, saved)
    update_record(run, replace(run.record, sessions=(), status="imported"))
    report = verify_run(run.path, losses=10)
    assert report.problems == []
    (worst,) = report.losses
    assert worst.shift == 0 and abs(worst.recorded - worst.recomputed) > 2e-3 * worst.recomputed
    saved.loc[saved["step"] == 150, "train_loss"] *= 2
    save_history(run, saved)
    assert [f.steps for f in verify_run(run.path, losses=10).problems] == [(150,)]


def test_an_imported_loss_that_is_wrong_is_a_problem(tiny_run_copy):
    run = tiny_run_copy
    history = run.history()
    history.loc[history["step"].between(195, 205), "train_loss"] += 1.0
    save_history(run, history)
    update_record(run, replace(run.record, sessions=(), status="imported"))
    report = verify_run(run.path, losses=10)
    assert [(f.kind, f.where, f.steps) for f in report.problems] == [("recorded loss", "train_loss", (200,))]


def test_an_unknown_split_is_a_note(tiny_run_copy):
    run = tiny_run_copy
    config = config_to_json(run.config)
    config["task"]["split"] = "unknown"
    run.config = config_from_json(config, "here")
    (run.path / "task.safetensors").write_bytes(task_bytes(run.config.task.task()))
    # As where a config was changed and meant: the history is made this one's.
    run.states_checksum = False
    update_record(run, replace(run.record, sessions=(), status="imported"))
    report = verify_run(run.path, losses=10)
    assert [f.level for f in report.findings] == ["note"] and "split is unknown" in report.findings[0].message


def test_leftovers_go_once_nothing_needs_them(tiny_run_copy):
    path = tiny_run_copy.path
    leftover = path / "steps" / ".0000000150.safetensors.abcd0_12.writing"
    (path / FILE).rename(leftover)
    assert problems(path) == {("missing", FILE)}
    notes = {(f.kind, f.where) for f in verify_run(path, losses=0).findings if f.level == "note"}
    assert notes == {("leftover", leftover.relative_to(path).as_posix())}
    assert [(r.where, r.done) for r in repair_run(path)] == [
        (FILE, True),
        (leftover.relative_to(path).as_posix(), True),
    ]
    assert problems(path) == set() and not leftover.exists()

    (path / FILE).unlink()
    leftover.write_bytes(b"half")
    repair_run(path)
    assert leftover.exists()  # something is still lost: no trace is removed


def interrupted(run):
    """The run as it stood after step 200: what a trainer that was stopped there leaves."""
    checkpoint = run.checkpoint(200)
    for step in (250, 300):
        (run.path / run.index[step]["file"]).unlink()
        del run.index[step]
    write_index(run)
    history = run.history()
    save_history(run, history[history["step"] < 200])
    save_latest(run, 200, checkpoint.weights, checkpoint.optimizer)
    update_record(run, replace(run.record, status="interrupted"))
    return open_run(run.path)


def test_an_interrupted_run_is_clean_and_its_resume_state_is_repaired(tiny_run_copy):
    run = interrupted(tiny_run_copy)
    report = verify_run(run.path, losses=10)
    assert report.problems == [] and "interp resume" in report.findings[0].message
    latest = run.path / "latest.safetensors"
    whole = latest.read_bytes()
    flip(latest, -9)
    assert problems(run.path) == {("altered", "latest.safetensors")}
    latest.write_bytes(whole[:1000])
    assert problems(run.path) == {("truncated", "latest.safetensors")}
    (repair,) = repair_run(run.path)
    assert repair.done and "checkpoint 200" in repair.message
    assert latest.read_bytes() == whole


def test_a_history_behind_the_resume_state_is_found(tiny_run_copy):
    run = interrupted(tiny_run_copy)
    history = run.history()
    save_history(run, history[history["step"] < 180])
    (found,) = verify_run(run.path, losses=0).problems
    assert found.message == "it lacks the rows of 20 steps: 180-199"
    (run.path / "history.parquet").unlink()
    assert problems(run.path) == {("missing", "history.parquet")}


def test_the_resume_state_restores_its_own_step(tiny_run_copy):
    run = interrupted(tiny_run_copy)
    whole = bytes_of(run.path)
    for folder in ("steps", "optimizer"):
        flip(run.path / folder / "0000000200.safetensors", -9)
    assert [r.done for r in repair_run(run.path)] == [True, True]
    assert bytes_of(run.path) == whole


def test_a_run_in_use_is_not_repaired(tiny_run_copy):
    (tiny_run_copy.path / FILE).unlink()
    with FileLock(tiny_run_copy.path / "lock"):
        assert any(
            "a trainer is working" in f.message for f in verify_run(tiny_run_copy.path, losses=0).findings
        )
        with pytest.raises(RunError, match=r"A trainer is working on .* Stop it"):
            repair_run(tiny_run_copy.path)


def test_a_run_without_its_description(tiny_run_copy, tmp_path):
    (tiny_run_copy.path / "run.json").write_text("{")
    (tiny_run_copy.path / FILE).unlink()
    assert problems(tiny_run_copy.path) == {("unreadable", "run.json"), ("missing", FILE)}
    assert [(r.where, r.done) for r in repair_run(tiny_run_copy.path)] == [("run.json", False), (FILE, False)]
    with pytest.raises(RunError, match="is not a grokscope run"):
        verify_run(tmp_path, losses=0)


def test_stale_packed_weights_are_a_note(tiny_run_copy):
    run = tiny_run_copy
    run.weights("W_E")
    save_checkpoint(run, 150, {name: w * 1.0001 for name, w in run.step_weights(150).items()})
    (note,) = verify_run(run.path, losses=0).findings
    assert (note.level, note.kind, note.where) == ("note", "stale", "packed/embed.W_E.npy")
    assert repair_run(run.path)[0].done and verify_run(run.path, losses=0).findings == []


# Foreign checkpoints ---------------------------------------------------------------------------------------------


def found_in(source):
    return {(f.level, f.kind, f.where, f.steps) for f in verify_source(source).findings}


@pytest.fixture
def folder(tiny_run, tmp_path):
    """Someone's folder: init.pth, 50.pth, ..., 250.pth and final.pth, whose step only its content knows."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for step in tiny_run.steps:
        name = {0: "init", 300: "final"}.get(step, str(step))
        torch.save({"model": tiny_run.step_weights(step), "epoch": step}, folder / f"{name}.pth")
    return folder


def test_a_sound_folder_is_clean_and_stays_untouched(folder):
    before = bytes_of(folder)
    report = verify_source(folder)
    assert report.findings == [] and report.n_steps == 7 and report.to_json()["ok"]
    assert bytes_of(folder) == before


def test_the_only_network_there_is_needs_no_step_to_be_checked(tiny_run, tmp_path):
    weights = dict(tiny_run.step_weights(300))
    torch.save(weights, tmp_path / "final.pt")
    report = verify_source(tmp_path / "final.pt")
    assert report.findings == [] and report.n_steps == 1
    torch.save(weights | {"unembed.W_U": weights["unembed.W_U"] * float("nan")}, tmp_path / "final.pt")
    assert {finding[:2] for finding in found_in(tmp_path / "final.pt")} == {("problem", "not finite")}
    # Of several none can be put in its place.
    for name in ("one", "two"):
        torch.save(weights, tmp_path / f"{name}.pt")
    report = verify_source(tmp_path)
    assert {finding.kind for finding in report.findings} == {"order"} and report.n_steps == 0


def test_what_is_wrong_with_a_folder_is_named(folder):
    whole = (folder / "100.pth").read_bytes()
    (folder / "100.pth").write_bytes(whole[: len(whole) // 2])
    series = {step: torch.load(folder / f"{step}.pth") for step in (150, 200, 250)}
    torch.save(series[150] | {"epoch": 200}, folder / "200.pth")
    series[250]["model"]["unembed.W_U"][0, 0] = float("inf")
    torch.save(series[250], folder / "250.pth")
    found = found_in(folder)
    assert {
        ("problem", "same weights", "", (150, 200)),
        ("problem", "not finite", "unembed.W_U", (250,)),
    } <= found
    assert ("problem", "unreadable", "100.pth", ()) in found
    assert ("problem", "missing step", "", (100,)) in found


def test_a_copy_under_a_second_name_is_a_note_and_another_network_of_that_step_is_not(folder):
    final = torch.load(folder / "final.pth")
    torch.save(final, folder / "best.pth")
    assert found_in(folder) == {("note", "order", "", (300,))}
    final["model"]["unembed.W_U"] += 1
    torch.save(final, folder / "best.pth")
    assert found_in(folder) == {("problem", "order", "", (300,)), ("note", "recorded loss", "", ())}


def test_a_list_out_of_order(tiny_run, tmp_path):
    pairs = [(step, tiny_run.step_weights(step)) for step in (0, 50, 150, 100, 200)]
    torch.save(pairs, tmp_path / "list.pt")
    assert found_in(tmp_path / "list.pt") == {("problem", "order", "list.pt", (100,))}


def test_files_without_a_step_and_of_other_units_are_left_out_and_named(folder):
    state = torch.load(folder / "50.pth")["model"]
    torch.save(state, folder / "best.pth")
    torch.save({"model": state, "tokens": 10**10}, folder / "late.pth")
    found = found_in(folder)
    assert ("note", "order", str(folder / "best.pth"), ()) in found
    assert ("problem", "order", str(folder / "late.pth"), (10**10,)) in found


@pytest.mark.parametrize("value", [-torch.inf, torch.nan])
def test_a_buffer_may_be_infinite_and_a_weight_may_not(folder, value):
    for file in folder.iterdir():
        content = torch.load(file)
        content["model"] = foreign.with_buffers(content["model"])
        content["model"]["blocks.0.attn.IGNORE"] = torch.tensor(value)
        torch.save(content, file)
    # Clean, and the way of the weights from step to step is measured all the same.
    assert {f for f in found_in(folder) if f[0] == "problem"} == set()
    content = torch.load(folder / "150.pth")
    moved = {n: w + 1 if n.endswith("W_in") else w for n, w in content["model"].items()}
    torch.save(content | {"model": moved}, folder / "150.pth")
    assert ("problem", "outlier", "", (150,)) in found_in(folder)
    moved["unembed.W_U"][0, 0] = value
    torch.save(content | {"model": moved}, folder / "150.pth")
    assert ("problem", "not finite", "unembed.W_U", (150,)) in found_in(folder)


def test_a_tensor_that_no_format_knows_for_a_buffer_is_checked(folder):
    content = torch.load(folder / "50.pth")
    content["model"]["mine.IGNORE"] = torch.tensor(-torch.inf)
    torch.save(content, folder / "50.pth")
    assert ("problem", "not finite", "mine.IGNORE", (50,)) in found_in(folder)


def test_nothing_at_a_path(tmp_path):
    with pytest.raises(RunError, match="There is nothing at"):
        verify_source(tmp_path / "no")


# The command -----------------------------------------------------------------------------------------------------


def interp(*arguments):
    result = CliRunner().invoke(app, ["verify", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_the_command_on_a_sound_a_damaged_and_a_repaired_run(tiny_run_copy, tmp_path):
    path = tiny_run_copy.path
    code, text = interp(path)
    assert code == 0 and "7 checkpoints read, no problems." in text
    assert "largest difference of test_loss, at step " in text and "(7 checkpoints compared)" in text

    (path / "steps" / "0000000150.safetensors").rename(path / "steps" / "0000000160.safetensors")
    code, text = interp(path, "--losses", 0, "--json", tmp_path / "found.json")
    assert code == 1 and "missing: steps/0000000150.safetensors is missing" in text
    value = json.loads((tmp_path / "found.json").read_text())
    assert not value["ok"] and value["n_steps"] == 6 and value["repairs"] == []
    assert {f["where"] for f in value["findings"]} == {FILE, "steps/0000000160.safetensors"}

    code, text = interp(path, "--repair", "--losses", 0)
    assert code == 1 and f"repaired  {FILE}: restored from steps/0000000160.safetensors" in text
    assert "not repaired  steps/0000000160.safetensors" in text  # never deleted
    (path / "steps" / "0000000160.safetensors").unlink()
    code, text = interp(path, "--json", "-")
    assert code == 0 and json.loads(text)["ok"]
    assert len(json.loads(text)["recorded_against_recomputed"]) == 4


def test_the_command_on_a_foreign_folder(folder):
    assert interp(folder)[0] == 0
    with pytest.raises(ValueError, match="--repair needs a run"):
        interp(folder, "--repair")
    torch.save(torch.load(folder / "50.pth") | {"epoch": 200}, folder / "200.pth")
    code, text = interp(folder)
    assert code == 1 and "epochs 50, 200 have identical weights" in text

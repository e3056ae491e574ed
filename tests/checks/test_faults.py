"""A repair that is killed at any file operation, files that cannot be read, a run that is being written meanwhile."""

import dataclasses
import itertools
import json
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from benchmarks.fault_parts.staged import Killed, bytes_of, flipped, killed_at, refused
from interp.checks import of_run
from interp.checks.of_run import verify_run
from interp.checks.repair import repair_run
from interp.measurement.measure import measure
from interp.runs.run import open_run
from interp.runs.saving import (
    read_latest,
    save_checkpoint,
    save_history,
    save_latest,
    update_record,
    write_index,
)
from interp.runs.schedule import Schedule, make_schedule
from interp.runs.task_file import task_bytes
from interp.training import member
from interp.training.train import resume, train
from tests.tiny import tiny_config

A, B, C = (f"steps/{step:010d}.safetensors" for step in (100, 150, 200))


def moved(path, *names):
    """The files in each other's places: the second in the first's, ..., the first in the last's."""
    (path / names[0]).rename(path / "aside")
    for name, source in itertools.pairwise(names):
        (path / source).rename(path / name)
    (path / "aside").rename(path / names[-1])


def found_in(path, level):
    return {(f.kind, f.where) for f in verify_run(path, losses=0).findings if f.level == level}


def swapped(path):
    moved(path, A, B)


def rotated(path):
    moved(path, A, B, C)


def swapped_without_index(path):
    moved(path, A, B)
    index = json.loads((path / "index.json").read_text())
    del index["50"]
    (path / "index.json").write_text(json.dumps(index))


def lost_but_packed(path):
    run = open_run(path)
    for name in run.step_weights(0):
        run.weights(name)
    (path / A).unlink()
    (path / "task.safetensors").unlink()
    # Not packed anew: the rows of earlier steps are all that is left of them.
    stamp = path / "packed" / "embed.W_E.json"
    stamp.write_text(stamp.read_text().replace('"steps": [', '"steps": [7,'))


@pytest.mark.parametrize(
    "damage",
    [
        swapped,
        pytest.param(rotated, marks=pytest.mark.slow),
        pytest.param(swapped_without_index, marks=pytest.mark.slow),
        lost_but_packed,
    ],
)
def test_a_repair_killed_at_any_file_operation_loses_nothing_and_is_finished_by_the_next(
    tiny_run_copy, tmp_path, damage
):
    whole, contents = bytes_of(tiny_run_copy.path), set()
    damage(tiny_run_copy.path)
    contents = {data for name, data in bytes_of(tiny_run_copy.path).items() if name.parts[0] == "steps"}
    for n in itertools.count(1):
        path = tmp_path / "again"
        shutil.copytree(tiny_run_copy.path, path)
        try:
            with killed_at(n, path) as done:
                repair_run(path)
            break
        except Killed:
            # Whatever was somewhere before is somewhere still.
            assert contents <= set(bytes_of(path).values()), done
        assert all(repair.done for repair in repair_run(path)), done
        assert {k: v for k, v in bytes_of(path).items() if k.parts[0] != "packed"} == whole, done
        assert found_in(path, "problem") == set()
        shutil.rmtree(path)
    assert n > 10
    assert {k: v for k, v in bytes_of(path).items() if k.parts[0] != "packed"} == whole


def test_a_stopped_repair_is_said_and_its_files_outlive_resume(tiny_run_copy, monkeypatch):
    path = tiny_run_copy.path
    half_done(tiny_run_copy, 200)
    swapped(path)
    n_renames = 0
    replace_file = os.replace

    def once(source, target):
        nonlocal n_renames
        n_renames += 1
        if n_renames == 2:
            raise Killed
        replace_file(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", once)
        with pytest.raises(Killed):
            repair_run(path)
    notes = [f.message for f in verify_run(path, losses=0).findings if f.kind == "leftover"]
    assert len(notes) == 1 and f"run `interp verify --repair {path}` again" in notes[0]
    resume(path)
    assert all(repair.done for repair in repair_run(path))
    assert found_in(path, "problem") == set() and list(path.rglob("*.repairing")) == []


def test_a_full_disk_stops_a_repair_before_anything_is_replaced(tiny_run_copy, monkeypatch):
    path = tiny_run_copy.path
    swapped(path)
    before = bytes_of(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        (repair,) = repair_run(path)
    assert not repair.done and "No space left on device" in repair.message
    assert bytes_of(path) == before


# One file that cannot be read.


@pytest.mark.parametrize(
    "name",
    ["run.json", "index.json", "history.parquet", "task.safetensors", B, "optimizer/0000000100.safetensors"],
)
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_checked(tiny_run_copy, name):
    path = tiny_run_copy.path
    data = bytearray((path / C).read_bytes())
    data[-3] ^= 1
    (path / C).write_bytes(data)
    before = bytes_of(path)
    with refused(path / name):
        found = {f.where: f for f in verify_run(path, losses=2).problems}
        # Without the index nothing says what it held.
        assert found[C].kind == ("not in the index" if name == "index.json" else "altered")
        assert f"{path / name}: Permission denied. Ask for the right to it" in found[name].message
        assert found[name].kind == "unreadable" or name == "task.safetensors"
        assert not any(repair.done for repair in repair_run(path))
    assert bytes_of(path) == before
    assert {f.where for f in verify_run(path, losses=2).problems} == {C}


def test_a_folder_where_a_file_is_needed(tiny_run_copy):
    (tiny_run_copy.path / B).unlink()
    (tiny_run_copy.path / B).mkdir()
    (tiny_run_copy.path / "latest.safetensors").unlink()
    (tiny_run_copy.path / "latest.safetensors").mkdir()
    found = found_in(tiny_run_copy.path, "problem")
    assert found == {("missing", B), ("missing", "latest.safetensors")}


# Sound runs.


def half_done(run, step):
    """The run as a trainer leaves it that was stopped at this step, one with optimizer state."""
    checkpoint = run.checkpoint(step)
    for later in [s for s in run.steps if s > step]:
        (run.path / run.index[later]["file"]).unlink()
        del run.index[later]
    write_index(run)
    save_latest(run, step, checkpoint.weights, checkpoint.optimizer)
    update_record(run, replace(run.record, status="interrupted"))


def test_a_checkpoint_saved_in_the_moment_of_a_kill_is_a_note(tiny_run_copy):
    run, whole = tiny_run_copy, bytes_of(tiny_run_copy.path)
    half_done(run, 200)
    file = "steps/0000000250.safetensors"
    (run.path / file).write_bytes(whole[Path(file)])
    assert found_in(run.path, "problem") == set()
    assert ("not in the index", file) in found_in(run.path, "note")
    # Of no step of the schedule, or not whole: nothing explains it.
    (run.path / file).rename(run.path / "steps/0000000240.safetensors")
    assert found_in(run.path, "problem") == {("not in the index", "steps/0000000240.safetensors")}


def test_what_moves_while_a_trainer_works_is_no_problem(tiny_run_copy, monkeypatch):
    run = tiny_run_copy
    index = (run.path / "index.json").read_bytes()
    save_checkpoint(run, 310, run.step_weights(300))
    after = (run.path / "index.json").read_bytes()
    (run.path / "index.json").write_bytes(index)
    assert found_in(run.path, "problem") == {("not in the index", "steps/0000000310.safetensors")}
    with FileLock(run.path / "lock"):
        # The trainer writes the index between the two looks.
        monkeypatch.setattr(of_run.time, "sleep", lambda _: (run.path / "index.json").write_bytes(after))
        assert ("not in the index", "steps/0000000310.safetensors") not in found_in(run.path, "problem")
        # What stays is a problem all the same.
        (run.path / B).unlink()
        assert ("missing", B) in found_in(run.path, "problem")


def test_an_instability_of_training_is_a_note_and_the_same_in_a_strangers_series_a_problem(tmp_path):
    steps = tuple(range(0, 61, 3))
    config = tiny_config(60, schedule=Schedule(steps=steps, optimizer_steps=()), optimizer={"name": "sgd"})
    run = train(config, tmp_path / "r", threads=1)
    weights = run.step_weights(30)
    # As saved: index and file agree, the series does not.
    save_checkpoint(run, 30, {name: w + 3 * torch.ones_like(w) for name, w in weights.items()})
    assert ("outlier", "") in found_in(run.path, "note")
    assert "outlier" not in {kind for kind, _ in found_in(run.path, "problem")}
    update_record(run, replace(run.record, sessions=(), status="imported"))
    assert ("outlier", "") in found_in(run.path, "problem")


def test_weights_that_diverged_are_a_note(tiny_run_copy):
    weights = tiny_run_copy.step_weights(300)
    weights["unembed.W_U"][0, 0] = float("nan")
    save_checkpoint(tiny_run_copy, 300, weights)
    assert ("not finite", "unembed.W_U") in found_in(tiny_run_copy.path, "problem")
    update_record(tiny_run_copy, replace(tiny_run_copy.record, status="diverged"))
    assert ("not finite", "unembed.W_U") in found_in(tiny_run_copy.path, "note")


@pytest.mark.parametrize("each", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_a_run_killed_at_any_file_operation_is_sound_and_ends_as_it_would_have(tmp_path, each):
    config = tiny_config(6, schedule=make_schedule(6, ["every:2"], [4]))
    whole = train(config, tmp_path / "whole", threads=1)
    for n in itertools.count(1, each):
        path = tmp_path / f"killed {n}"
        try:
            with killed_at(n, path) as done:
                train(config, path, threads=1)
            break
        except Killed:
            pass
        if (path / "run.json").exists():
            assert found_in(path, "problem") == set(), done
            resumed = open_run(path)
            if resumed.record.status == "complete":
                # Killed while it cleared up, which a repair does in its place.
                assert all(repair.done for repair in repair_run(path))
                (path / "latest.safetensors").unlink(missing_ok=True)
            else:
                resumed = warned(resume, path)
        else:
            # The same place is free for the same start.
            resumed = train(config, path, threads=1)
        assert resumed.index == whole.index and resumed.record.status == "complete"
        assert resumed.history().equals(whole.history())
        assert list(path.rglob(".*")) == [], done
    assert n > 60


def warned(action, path):
    """The action, which may say where it goes on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is missing: training goes on from checkpoint")
        return action(path)


# Where training goes on.


def test_without_its_latest_state_a_run_goes_on_from_the_newest_checkpoint_that_allows_it(
    tiny_run_copy, tiny_run
):
    run = tiny_run_copy
    half_done(run, 200)
    (run.path / "latest.safetensors").unlink()
    with pytest.warns(
        UserWarning, match=r"latest.safetensors is missing: training goes on from checkpoint 200, "
    ):
        done = resume(run.path)
    assert [session.from_step for session in done.record.sessions] == [0, 200]
    assert done.index == tiny_run.index and done.history().equals(tiny_run.history())


def test_a_trainer_killed_before_its_first_state_goes_on_from_its_last_optimizer_state(tmp_path, monkeypatch):
    config = tiny_config(60, schedule=make_schedule(60, ["every:10"], [20, 40]))
    whole = train(config, tmp_path / "whole", threads=1)

    def killed(run, step, *args):
        if step == 50:
            raise Killed
        save_checkpoint(run, step, *args)

    with monkeypatch.context() as patch:
        patch.setattr(member, "save_checkpoint", killed)
        with pytest.raises(Killed):
            train(config, tmp_path / "r", threads=1)
    assert not (tmp_path / "r" / "latest.safetensors").exists()
    with pytest.warns(UserWarning, match="goes on from checkpoint 40, the newest"):
        done = resume(tmp_path / "r")
    assert done.index == whole.index and done.history().equals(whole.history())


def test_a_damaged_checkpoint_or_a_history_that_ends_before_it_is_passed_over(tiny_run_copy, tiny_run):
    run = tiny_run_copy
    half_done(run, 200)
    (run.path / "latest.safetensors").unlink()
    history = run.history()
    save_history(run, history[history["step"] < 150])
    with pytest.warns(UserWarning, match="goes on from checkpoint 100, the newest"):
        done = resume(run.path)
    assert [session.from_step for session in done.record.sessions] == [0, 100]
    assert done.index == tiny_run.index and done.history().equals(tiny_run.history())


@pytest.mark.slow
def test_with_no_state_and_no_history_a_run_is_trained_again(tiny_run_copy, tiny_run):
    run = tiny_run_copy
    half_done(run, 200)
    for data in (None, b"no table"):
        # A complete run keeps its end there too.
        (run.path / "latest.safetensors").unlink()
        (run.path / "history.parquet").unlink()
        if data is not None:
            (run.path / "history.parquet").write_bytes(data)
            update_record(run, replace(run.record, status="interrupted"))
        done = resume(run.path)
        assert done.record.sessions[-1].from_step == 0
        assert done.index == tiny_run.index and done.history().equals(tiny_run.history())


def test_a_network_of_another_size_does_not_take_the_state(tiny_run_copy):
    run = tiny_run_copy
    half_done(run, 200)
    model = dataclasses.replace(run.config.model, d_mlp=48)
    run.config = dataclasses.replace(run.config, model=model)
    update_record(run, run.record)
    with pytest.raises(ValueError, match=r"latest\.safetensors is of another run"):
        resume(run.path)
    # As one who means it changes run.json.
    about = json.loads((run.path / "run.json").read_text("utf-8"))
    del about["checksum"]
    (run.path / "run.json").write_text(json.dumps(about), "utf-8")
    with pytest.raises(
        ValueError, match=r"The state of run 'tiny' at step 200 does not fit its model: .*instead of"
    ):
        resume(run.path)
    assert read_latest(open_run(run.path)).step == 200


# What is kept of an entry in the index.


def test_an_entry_under_another_step_is_found_and_put_back(tiny_run_copy):
    path = tiny_run_copy.path
    whole = bytes_of(path)
    index = json.loads((path / "index.json").read_text())
    index["170"] = index.pop("150")
    (path / "index.json").write_text(json.dumps(index))
    with pytest.raises(
        ValueError, match=r"names 'steps/0000000150.safetensors' for step 170, which is another"
    ):
        open_run(path).steps
    assert ("index", "index.json") in found_in(path, "problem")
    repairs = repair_run(path)
    assert all(repair.done for repair in repairs) and any(
        "entry of step 170 removed" in r.message for r in repairs
    )
    assert bytes_of(path) == whole


def test_data_whose_own_checksum_is_wrong_are_generated_anew(tiny_run_copy):
    # The config is vouched for by run.json, the file convicts itself: no loss needs to be recomputed.
    file = tiny_run_copy.path / "task.safetensors"
    whole = file.read_bytes()
    (tiny_run_copy.path / "history.parquet").unlink()
    for data in flipped(whole, len(whole) // 3):
        file.write_bytes(data)
        repairs = {repair.where: repair.done for repair in repair_run(tiny_run_copy.path)}
        assert repairs["task.safetensors"] or file.read_bytes() == whole
    assert task_bytes(tiny_run_copy.task) == whole


def test_a_kept_table_that_is_damaged_is_named_and_removed(tiny_run_copy):
    table = measure(tiny_run_copy, ["losses"])["losses"]
    (file,) = (tiny_run_copy.path / "measures").glob("*.parquet")
    assert found_in(tiny_run_copy.path, "problem") == set()
    file.write_bytes(next(flipped(file.read_bytes()[::-1]))[::-1])
    name = f"measures/{file.name}"
    assert found_in(tiny_run_copy.path, "problem") == {("altered", name)}
    assert [(r.where, r.done) for r in repair_run(tiny_run_copy.path)] == [(name, True)]
    assert measure(tiny_run_copy, ["losses"])["losses"].equals(table)

"""A run that was made longer equals one that was as long from the start, to the last bit."""

import json
import signal

import pytest

from interp.runs.run import open_run
from interp.runs.saving import read_latest, save_latest
from interp.runs.schedule import make_schedule
from interp.runs.tensor_files import RunError
from interp.training import extension
from interp.training.train import resume, train
from tests.thinned import thinned
from tests.tiny import tiny_config
from tests.training.test_training import RECIPES, same_runs, stop_at

SAVE, SAVE_OPTIMIZER = ["every:10"], [20, 60]


def short(path, n_steps=40, **changes):
    return train(
        tiny_config(n_steps, **changes, schedule=make_schedule(n_steps, ["every:10"], [20])), path, threads=1
    )


def long(path, n_steps=80, steps=(40,), **changes):
    """The run that was so long from the start; it saves what the short one saved, its end too."""
    schedule = make_schedule(n_steps, ["every:10", *steps], SAVE_OPTIMIZER)
    return train(tiny_config(n_steps, **changes, schedule=schedule), path, threads=1)


def extend(path, n_steps=80):
    return resume(path, n_steps=n_steps, checkpoint_steps=SAVE, optimizer_steps=[60])


@pytest.mark.parametrize("changes", thinned(RECIPES, 3), ids=str)
def test_an_extended_run_equals_a_longer_one(tmp_path, changes):
    run = short(tmp_path / "r", **changes)
    done = extend(run.path)
    whole = long(tmp_path / "whole", **changes)
    same_runs(whole, done)
    assert done.config == whole.config
    assert done.steps == list(range(0, 90, 10)) and done.optimizer_steps == [20, 60]
    first, second = done.record.sessions
    assert (first.extended_from, second.extended_from, second.from_step) == (None, 40, 40)
    about = json.loads((done.path / "run.json").read_text("utf-8"))["sessions"]
    assert "extended_from" not in about[0] and about[1]["extended_from"] == 40


@pytest.mark.slow
def test_a_run_is_extended_several_times(tmp_path):
    run = short(tmp_path / "r", n_steps=35)
    extend(run.path, 62)
    done = resume(run.path, n_steps=80, checkpoint_steps=SAVE)
    same_runs(long(tmp_path / "whole", steps=(35, 62)), done)
    assert [session.extended_from for session in done.record.sessions] == [None, 35, 62]


@pytest.mark.parametrize("at", thinned([50, 40, 80], 3))
def test_an_extension_that_is_stopped_is_resumed(tmp_path, monkeypatch, at):
    run = short(tmp_path / "r")
    with monkeypatch.context() as patch:
        stop_at(patch, at if at < 80 else 70)
        with pytest.raises(KeyboardInterrupt, match="of 80; everything is saved"):
            extend(run.path)
    assert open_run(run.path).config.n_steps == 80
    same_runs(long(tmp_path / "whole"), resume(run.path))


def test_an_extension_that_is_killed_before_it_is_recorded_left_the_run_as_it_was(tmp_path, monkeypatch):
    run = short(tmp_path / "r")

    def killed(*_, **__):
        raise SystemError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("interp.training.train.continue_run", killed)
        with pytest.raises(SystemError):
            extend(run.path)
    left = open_run(run.path)
    assert left.record.status == "complete" and left.config.n_steps == 40
    same_runs(long(tmp_path / "whole"), extend(run.path))


def test_an_interrupted_run_is_made_longer_too(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 30, signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            short(tmp_path / "r")
    done = extend(tmp_path / "r")
    same_runs(long(tmp_path / "whole"), done)
    assert done.record.sessions[1].extended_from == 40


def test_what_is_saved_by_default_is_dense_enough(tmp_path):
    done = resume(short(tmp_path / "r").path, n_steps=60)
    assert done.steps == [0, 10, 20, 30, 40, 45, 50, 55, 60]


# Where the state at the end was not kept.


def without_end_state(path):
    run = short(path)
    (run.path / "latest.safetensors").unlink()
    return run


@pytest.mark.slow
@pytest.mark.parametrize("n_states", [1, 0])
def test_the_end_is_reached_again_from_the_nearest_state(tmp_path, n_states):
    run = without_end_state(tmp_path / "r")
    if not n_states:
        (run.path / "optimizer" / "0000000020.safetensors").write_bytes(b"")
    whole = long(tmp_path / "whole")
    nearest = 20 * n_states
    with pytest.warns(
        UserWarning, match=rf"step 40, was not kept. The nearest before is at step {nearest}: training"
    ):
        done = extend(run.path)
    if n_states:
        same_runs(whole, done)
    assert done.index[80] == whole.index[80]


def test_the_way_to_the_end_is_gone_once(tmp_path, monkeypatch):
    run = without_end_state(tmp_path / "r")

    def killed(*_, **__):
        raise SystemError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("interp.training.loop.loop", killed)
        with pytest.warns(UserWarning, match="once more"), pytest.raises(SystemError):
            extend(run.path)
    assert read_latest(open_run(run.path)).step == 40
    same_runs(long(tmp_path / "whole"), resume(run.path))


def test_a_state_before_the_end_is_not_taken_for_the_end(tmp_path):
    run = short(tmp_path / "r")
    checkpoint = run.checkpoint(20)
    save_latest(run, 20, checkpoint.weights, checkpoint.optimizer)
    with pytest.warns(UserWarning, match="nearest before is at step 20"):
        same_runs(long(tmp_path / "whole"), extend(run.path))


def test_a_machine_that_gives_other_numbers_changes_nothing(tmp_path, monkeypatch):
    run = without_end_state(tmp_path / "r")
    before = {
        file: file.read_bytes() for file in run.path.rglob("*") if file.is_file() and file.name != "lock"
    }
    usual = extension.Data.loss
    monkeypatch.setattr(
        extension.Data, "loss", lambda self, logits, labels: 1.0001 * usual(self, logits, labels)
    )
    message = r"does not reach it again: trained once more, the weights at step 30 .* \(cpu\), the threads \(1\), torch"
    with pytest.warns(UserWarning, match="once more"), pytest.raises(RunError, match=message):
        extend(run.path)
    after = {
        file: file.read_bytes() for file in run.path.rglob("*") if file.is_file() and file.name != "lock"
    }
    assert after == before


def test_errors(tiny_run_copy):
    path = tiny_run_copy.path
    with pytest.raises(ValueError, match="n_steps of at least the 300 that run 'tiny' has already, got 299"):
        resume(path, n_steps=299)
    for same in (None, 300):
        with pytest.raises(
            RunError, match=rf"its 300 steps are done. To make it longer: interp resume {path} --steps 600"
        ):
            resume(path, n_steps=same)
    with pytest.raises(ValueError, match="needs n_steps with checkpoint_steps, got none"):
        resume(path, checkpoint_steps=["every:10"])
    with pytest.raises(ValueError, match="reached step 300 needs steps after it to save, got '250'"):
        resume(path, n_steps=400, checkpoint_steps=[350, 250])
    with pytest.raises(ValueError, match="steps beyond the run's last step 400"):
        resume(path, n_steps=400, checkpoint_steps=[500])
    assert open_run(path).record == tiny_run_copy.record and open_run(path).config == tiny_run_copy.config


def test_a_complete_run_keeps_the_state_at_its_end(tiny_run):
    latest = read_latest(tiny_run)
    assert latest.step == 300 and latest.optimizer
    assert all((latest.weights[name] == w).all() for name, w in tiny_run.step_weights(300).items())

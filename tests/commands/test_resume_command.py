"""`interp resume`, and what every command does: errors name options, Ctrl-C ends in a sentence."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import interp
from interp.commands import cli, wording
from interp.commands.cli import app
from interp.runs.schedule import fitted_schedule
from tests.commands.test_train_command import QUICK

ROOT = Path(__file__).parents[2]


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=True)


def test_a_run_is_made_longer_by_the_command_that_its_error_shows(tmp_path):
    path = tmp_path / "a run"
    assert run("train", path, "--p", 7, *QUICK).exit_code == 0
    refused = run("resume", path).exception
    command = re.search(r"To make it longer: interp (.*)", str(refused))[1]
    assert command.endswith("--steps 12")
    done = run(*shlex.split(command))
    assert done.exit_code == 0, done.output
    assert interp.open_run(path).config.n_steps == 12
    assert interp.open_run(path).steps == [0, 5, 6, 10, 12]
    assert "made longer  from 6 steps" in run("info", path).output
    assert run("resume", path, "--steps", 16, "--save", "every:1", "--save-optimizer", 14).exit_code == 0
    opened = interp.open_run(path)
    assert (opened.steps[-4:], opened.optimizer_steps) == ([13, 14, 15, 16], [14])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", 5], r"resume needs --steps of at least the 6 that run 'r' has already, got 5\."),
        (["--save", "every:2"], "resume needs --steps with --save, got none"),
        (["--steps", 9, "--save", 3], "reached step 6 needs steps after it to save, got '3'"),
        (["--device", "tpu", "--steps", 9], "Device 'tpu' is not there"),
    ],
)
def test_errors_name_options(tmp_path, arguments, message):
    run("train", tmp_path / "r", "--p", 7, *QUICK)
    with pytest.raises(ValueError, match=message):
        raise run("resume", tmp_path / "r", *arguments).exception


def test_a_network_that_the_weights_do_not_fit_is_a_sentence(tmp_path):
    run("train", tmp_path / "r", "--p", 7, *QUICK)
    file = tmp_path / "r" / "run.json"
    file.write_text(file.read_text("utf-8").replace('"n_heads": 2', '"n_heads": 3'))
    # A config that was changed by hand and has no checksum to show it.
    file.write_text(re.sub(r' *"checksum": .*\n', "", file.read_text("utf-8")))
    with pytest.raises(
        ValueError, match=r"step 6 does not fit its model: blocks.0.attn.W_Q is \(2, 8, 4\) instead of"
    ):
        raise run("resume", tmp_path / "r", "--steps", 9).exception


def test_fields_are_said_as_options():
    options = {"n_heads": "--heads", "p": "--p", "lr": "--lr", "seed": "--seed"}
    as_typed = wording.as_typed
    assert as_typed("needs d_model divisible by n_heads, got n_heads=3.", options) == (
        "needs d_model divisible by --heads, got --heads 3."
    )
    assert as_typed("finite lr > 0, p=1, of seed 3, got seed=4", options) == (
        "finite --lr > 0, --p 1, of seed 3, got --seed 4"
    )
    for message in ("no field 'model.n_heads', --n_heads", "model.n_heads and 'n_heads' and n_heads='x'"):
        assert as_typed(message, {"n_heads": "--heads"}).count("--heads") <= 1
    assert as_typed("task.p=3 and up=4", options) == "task.p=3 and up=4"


# Ctrl-C.


def test_an_interrupt_in_a_command_says_how_things_stand(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt("Stopped at step 7.")

    monkeypatch.setattr("interp.training.train.train", stopped)
    done = run("train", tmp_path / "r", *QUICK)
    assert done.exit_code == 130 and done.stderr.endswith("\ninterp: Stopped at step 7.\n")

    def without_words(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("interp.sources.opening.open_run", without_words)
    done = run("info", tmp_path)
    assert done.exit_code == 130 and done.stderr == "\ninterp: Stopped.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself this signal there")
@pytest.mark.parametrize(
    ("command", "while_loading"),
    [
        (["-m", "interp", "info", "checkpoints/mainline"], "typer"),
        (["-m", "interp", "info", "checkpoints/mainline"], "torch"),
        (["analyses/fourier.py"], "pandas"),
        (["analyses/fourier.py"], "torch"),
    ],
)
def test_ctrl_c_while_something_loads_is_one_sentence(tmp_path, command, while_loading):
    # In place of what takes seconds to load: a module in the midst of which Ctrl-C comes.
    (tmp_path / f"{while_loading}.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    program = "fourier" if "analyses" in command[0] else "interp"
    assert (done.returncode, done.stderr, done.stdout) == (130, f"\n{program}: Stopped.\n", "")


def test_help_and_version():
    assert run("--version").output.startswith("grokscope ")
    for command in (
        [],
        *([name] for name in ("train", "resume", "info", "import", "verify", "measure", "analyse")),
    ):
        short, long = (
            CliRunner().invoke(app, [*command, flag], env={"COLUMNS": "80"}).output
            for flag in ("-h", "--help")
        )
        assert short == long and "Usage" in short
        assert max(map(len, short.splitlines())) <= 80
    assert callable(cli.main)


# Schedules.


def test_a_changed_preset_has_a_schedule_that_fits(tmp_path):
    from interp.commands.train import assembled
    from interp.runs.presets import PRESETS

    def recipe(preset=None, family=None, steps=None, save=(), **settings):
        return assembled(
            preset=preset, family=family, settings=settings, typed={}, set_texts=[], betas=(None, None),
            cayley_table=None, steps=steps, save=list(save), save_optimizer=[],
        )  # fmt: skip

    for name, make in PRESETS.items():
        assert recipe(name) == make()
        assert recipe(name, steps=make().n_steps) == make()
        assert recipe(name, steps=5000).schedule == fitted_schedule(5000)
    assert recipe(**{"task.p": 31}).schedule == fitted_schedule(10_000)
    assert recipe(family="groups").schedule == PRESETS["s5"]().schedule
    assert recipe(family="groups", **{"task.group": "S4"}).schedule == fitted_schedule(250_000)
    assert recipe(save=["every:5000"], **{"task.p": 31}).schedule.steps == (0, 5000, 10_000)
    assert recipe(**{"schedule.steps": [0, 10_000], "schedule.optimizer_steps": []}).schedule.steps == (
        0,
        10_000,
    )


def test_what_will_be_saved_is_said_before(tmp_path):
    done = run("train", tmp_path / "r", "--p", 7, *QUICK, "--save", "every:2", "--save-optimizer", 4)
    first = done.output.splitlines()[0]
    assert first.startswith(
        f"{tmp_path / 'r'}: add mod 7, 6 steps. Saves 4 checkpoints, 1 of them with the optimizer's"
    )
    megabytes = float(re.search(r"state: (\S+) MB", first)[1])
    path = tmp_path / "r"
    files = [*(path / "steps").iterdir(), *(path / "optimizer").iterdir(), path / "latest.safetensors"]
    # Without headers, which are most of files as small as these.
    tensors = sum(file.stat().st_size - 8 - int.from_bytes(file.read_bytes()[:8], "little") for file in files)
    assert megabytes * 1e6 == pytest.approx(tensors, rel=0.02)


def test_the_next_steps_apply_to_every_task(tmp_path):
    for name, more, analysis in (
        ("modular", ["--p", 7], "fourier"),
        ("group", ["--task", "groups", "--group", "S3", "--train-fraction", 0.6], "groups"),
        ("random", ["--p", 7, "--operation", "random"], "weight_norms"),
    ):
        done = run("train", tmp_path / name, *more, *QUICK)
        assert done.exit_code == 0, done.output
        commands = [
            shlex.split(line)[1:] for line in done.output.splitlines() if line.startswith("  interp ")
        ]
        assert [command[:2] for command in commands] == [
            ["info", str(tmp_path / name)],
            ["analyse", analysis],
        ]
        assert run(*commands[0]).exit_code == 0


def test_steps_of_the_optimizer_to_save_are_named_as_typed(tiny_run_copy, monkeypatch, capsys):
    from interp.commands.cli import main

    line = ["interp", "resume", str(tiny_run_copy.path), "--save-optimizer", "every:2"]
    monkeypatch.setattr("sys.argv", line)
    with pytest.raises(SystemExit):
        main()
    assert "resume needs --steps with --save-optimizer, got none" in capsys.readouterr().err

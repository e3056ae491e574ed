"""`interp forecast`, and `interp train --forecast`."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

import interp
from interp.commands.cli import app
from interp.commands.forecast import _lines
from interp.ground import progress_bar
from interp.sweeps.sweep import sweep
from interp.theories.forecaster import why_not
from interp.training.train import train
from tests.sweeps.test_sweep import BASE, HERE
from tests.tiny import tiny_config

MAINLINE = "checkpoints/mainline"


def run(*arguments):
    return CliRunner().invoke(app, ["forecast", *map(str, arguments)])


def test_the_bundled_run_is_forecast_from_its_first_3000_steps():
    said = run(MAINLINE, "--at", 3000)
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()
    assert lines[0] == "mainline, seen up to step 3000: memorized at step 130, has not generalised."
    assert any(line.startswith("  test loss    ~") for line in lines)
    assert any(line.startswith("Will it, by step 10000: ") for line in lines)
    assert lines[-1] == "What came: step 5750."
    as_json = json.loads(run(MAINLINE, "--at", 3000, "--json").output)
    (row,) = (row for row in as_json["forecasts"] if row["measure"] == "test_loss")
    assert 3000 <= row["low"] < row["step"] < row["high"] and as_json["came"] == 5750
    assert 0 < as_json["chance"] < 1 and as_json["by"] == 10000


def test_where_there_is_nothing_to_forecast_it_says_so():
    assert "it has generalised, from step 5750 on" in run(MAINLINE).output
    assert "it has not memorized yet" in run(MAINLINE, "--at", 50).output


def test_what_cannot_be_asked_is_a_sentence(tmp_path):
    made = train(tiny_config(20), tmp_path / "r", threads=1)
    (made.path / "history.parquet").unlink()
    for arguments, said in (
        ((MAINLINE, "--at", 3000, "--by", 2000), "--by needs a step after what was seen, 3000, got 2000"),
        ((made.path,), "needs evaluations of the run so far, and"),
        ((MAINLINE, "--at", 3000, "--learn", tmp_path / "none"), "holds no runs to compare"),
        ((tmp_path / "none",), "is no run"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1 and said in str(result.exception), (arguments, result.exception)


def test_it_learns_from_sweeps_that_are_named_if_they_tell_anything(tmp_path):
    made = sweep(tmp_path / "s", BASE, {"seed": [0, 1]}, **HERE)
    result = run(MAINLINE, "--at", 3000, "--learn", made.path)
    # Sixty steps of these runs end before anything is general.
    assert result.exit_code == 1 and "learned from runs that generalised" in str(result.exception)


def test_training_with_a_forecast_is_the_same_training(tmp_path, monkeypatch):
    from interp.training import loop

    monkeypatch.setattr(loop, "SECONDS_BETWEEN_TOLD", -1.0)
    seen, told = [], []

    def forecast(rows):
        seen.append(len(rows))
        return f"groks ~{len(rows)}"

    progress_bar.tell(lambda fields: told.append(fields.get("told")))
    try:
        one = train(tiny_config(60), tmp_path / "one", threads=1, told=forecast)
    finally:
        progress_bar.tell(None)
    other = train(tiny_config(60), tmp_path / "other", threads=1)
    assert one.history().equals(other.history())
    # Of the evaluations so far, every tenth step.
    assert seen[-1] == 6 and "groks ~3" in told
    command = CliRunner().invoke(
        app, ["train", str(tmp_path / "c"), "--p", "7", "--steps", "20", "--forecast"]
    )
    assert command.exit_code == 0, command.output
    assert interp.open_run(tmp_path / "c").steps[-1] == 20
    longer = CliRunner().invoke(app, ["resume", str(tmp_path / "c"), "--steps", "30", "--forecast"])
    assert longer.exit_code == 0, longer.output


@pytest.mark.skipif("not __import__('interp.analyses.many_runs', fromlist=['BOUNDARY']).BOUNDARY.exists()")
def test_what_ships_is_what_the_published_sweeps_teach():
    """The command that makes it: python -m benchmarks.forecaster."""
    from benchmarks.forecaster import learned
    from interp.theories.forecaster import read_forecaster

    assert read_forecaster().to_json() == json.loads(json.dumps(learned().to_json()))


def a_history(path, test_accuracies):
    """Give a tiny run this history of test accuracies, an evaluation every ten steps."""
    n = len(test_accuracies)
    table = pd.DataFrame({"step": range(0, 10 * n, 10), "train_loss": 0.1, "test_loss": 0.5})
    table = table.assign(train_accuracy=1.0, test_accuracy=test_accuracies)
    table.loc[0, "train_accuracy"] = 0.1
    table.to_parquet(path / "history.parquet", index=False)


def test_of_a_run_that_has_collapsed_nothing_is_forecast(tmp_path):
    made = train(tiny_config(20), tmp_path / "r", threads=1)
    a_history(made.path, [0.1] * 5 + [1.0] * 15 + [0.2] * 20)
    said = run(made.path).output
    assert (
        "it had generalised and collapsed between steps 190 and 200. Nothing was learned of runs that did"
        in said
    )
    assert json.loads(run(made.path, "--json").output)["collapse"] == [190, 200]


def test_of_a_loss_that_need_not_fall_to_nothing_it_is_said(tmp_path):
    made = train(tiny_config(20, optimizer={"loss": "hinge"}), tmp_path / "r", threads=1)
    a_history(made.path, [0.1, 0.2, 0.3])
    assert "This run minimises hinge, with which it need not" in run(made.path).output


def test_of_fresh_rows_none_is_memorized():
    told = {"run": "r", "seen": 5, "generalised": None, "collapse": None, "memorization": None}
    fresh = pd.DataFrame({"step": [0], "test_accuracy": 0.5, "sees_fresh_rows": True})
    assert _lines({**told, "why_not": why_not(fresh)})[0].endswith("so that nothing is forecast.")
    assert "has not memorized yet" in _lines({**told, "why_not": ""})[0]


def test_training_on_fresh_rows_with_a_forecast_is_refused_before_it_starts(tmp_path):
    options = ["--preset", "parity-fresh", "--steps", "20"]
    made = CliRunner().invoke(app, ["train", str(tmp_path / "r"), *options])
    assert made.exit_code == 0, made.output
    commands = (
        ["train", str(tmp_path / "other"), *options, "--forecast"],
        ["resume", str(tmp_path / "r"), "--steps", "30", "--forecast"],
    )
    for command in commands:
        refused = CliRunner().invoke(app, command)
        assert refused.exit_code == 1 and "memorizes none" in str(refused.exception)
    assert not (tmp_path / "other").exists() and interp.open_run(tmp_path / "r").steps[-1] == 20

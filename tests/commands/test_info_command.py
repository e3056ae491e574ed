"""`interp info`: a run, and a folder of runs."""

import dataclasses
import json
import shutil

import pytest
from typer.testing import CliRunner

from interp.checks.of_run import verify_run
from interp.commands.cli import app
from interp.commands.info import print_lines
from interp.runs.run import open_run
from interp.runs.saving import save_history, update_record
from interp.training.arms import Arm
from interp.training.branches import branch
from interp.training.rules import ScaleUpdates
from interp.training.session import lock


def run(*arguments):
    result = CliRunner().invoke(app, ["info", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def lines(text):
    return dict(line.split(None, 1) for line in text.splitlines())


def with_history(run, train, test):
    """The run with these accuracies in place of its own, every tenth step."""
    history = run.history()
    is_evaluated = history["test_accuracy"].notna()
    for name, values in (("train_accuracy", train), ("test_accuracy", test)):
        steps = range(int(is_evaluated.sum()))
        history.loc[is_evaluated, name] = [
            values if type(values) is float else float(i >= values) for i in steps
        ]
    save_history(run, history)


def test_it_says_when_it_memorized_and_grokked_with_bracket_and_threshold(tiny_run_copy):
    with_history(tiny_run_copy, 3, 7)
    told = lines(run(tiny_run_copy.path))
    assert told["memorized"] == "between steps 20 and 30 (train accuracy 0.95 from then on)"
    assert told["grokked"] == "between steps 60 and 70 (test accuracy 0.95 from then on)"
    with_history(tiny_run_copy, 0, 0.5)
    told = lines(run(tiny_run_copy.path))
    assert told["memorized"] == "from the first step on (train accuracy 0.95)"
    assert told["grokked"] == "not by step 300 (test accuracy 0.95)"
    save_history(tiny_run_copy, tiny_run_copy.history()[["step", "train_loss"]])
    assert not {"memorized", "grokked"} & lines(run(tiny_run_copy.path)).keys()


def test_a_run_that_has_lost_what_it_had_grokked_says_so(tiny_run_copy):
    history = tiny_run_copy.history()
    history["train_accuracy"] = 1.0
    history["test_accuracy"] = [float(100 <= step <= 220) for step in history["step"]]
    save_history(tiny_run_copy, history)
    assert lines(run(tiny_run_copy.path))["grokked"] == (
        "from step 100 to 220, and has lost it (test accuracy 0.95)"
    )
    (row,) = [line.split() for line in run(tiny_run_copy.path.parent).splitlines() if "complete" in line]
    assert row[-3:] == ["100", "(lost)", "complete"]
    (about,) = json.loads(run(tiny_run_copy.path.parent, "--json"))
    assert about["lost"] == [100, 220] and about["grokked"]["step"] is None


def test_a_history_that_lags_behind_the_checkpoints_says_of_which_step_it_is(tiny_run_copy):
    history = tiny_run_copy.history()
    assert lines(run(tiny_run_copy.path))["test"].count("step") == 0
    save_history(tiny_run_copy, history[history["step"] <= 120])
    told = lines(run(tiny_run_copy.path))
    assert told["at"] == "step 300 of 300" and told["test"].endswith(" (at step 120)")
    assert "300" in run(tiny_run_copy.path.parent)


def test_a_run_whose_trainer_died_says_so(tiny_run_copy):
    record = dataclasses.replace(tiny_run_copy.record, status="running")
    update_record(tiny_run_copy, record)
    with lock(tiny_run_copy.path):
        assert lines(run(tiny_run_copy.path))["status"] == "running"
    told = lines(run(tiny_run_copy.path))["status"]
    assert told.startswith("interrupted: its trainer is gone since 20")
    assert told.endswith(f". Continue with: interp resume {tiny_run_copy.path}")
    # As the list of its folder has it, and verify, too.
    (note,) = verify_run(tiny_run_copy.path, losses=0).findings
    assert note.message.startswith("the run is interrupted: its trainer is gone; `interp resume ")
    assert "interrupted" in run(tiny_run_copy.path.parent)


@pytest.fixture
def folder(tiny_run, tmp_path):
    for name in ("one", "sweep/a-run-whose-name-is-far-too-long-for-a-column-of-a-table", "sweep/two"):
        shutil.copytree(
            tiny_run.path, tmp_path / "runs" / name, ignore=shutil.ignore_patterns("measures", "packed")
        )
    with_history(open_run(tmp_path / "runs" / "one"), 3, 7)
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{}")
    (tmp_path / "runs" / "notes.txt").write_text("mine")
    return tmp_path / "runs"


def test_a_folder_of_runs_is_a_table_of_80_columns(folder):
    told = run(folder).splitlines()
    assert told[0].split() == ["run", "task", "steps", "memorized", "grokked", "status"]
    assert max(map(len, told[:5])) <= 80
    rows = {line.split()[0]: line.split() for line in told[1:5]}
    assert rows["one"] == ["one", "add", "mod", "11", "300", "30", "70", "complete"]
    assert rows["broken"] == ["broken", "-", "-", "-", "-", "unreadable"]
    (cut,) = [name for name in rows if name.startswith("sweep/a-run")]
    assert cut.endswith("…")
    assert told[5].startswith("broken: ") and "is not 'grokscope-run'" in told[5]
    assert len(told[-1]) <= 80


def test_a_folder_of_runs_for_programs(folder):
    by_name = {about["run"]: about for about in json.loads(run(folder, "--json"))}
    assert len(by_name) == 4
    one = by_name["one"]
    assert (one["task"], one["step"], one["n_steps"], one["unit"], one["status"]) == (
        "add mod 11", 300, 300, "step", "complete",
    )  # fmt: skip
    assert (one["grokked"]["before"], one["grokked"]["step"], one["grokked"]["threshold"]) == (60, 70, 0.95)
    assert by_name["broken"]["status"] == "unreadable" and by_name["broken"]["error"]


def test_a_terminal_has_no_line_that_is_broken_by_its_edge(monkeypatch, capsys):
    lines = {"status": "a text of many words that goes on " * 5, "task": "short"}
    print_lines(lines)
    assert capsys.readouterr().out == f"status  {lines['status'].rstrip()}\ntask    short\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    print_lines(lines)
    told = capsys.readouterr().out.splitlines()
    assert len(told) > 3 and max(map(len, told)) <= 60
    assert told[0].startswith("status  a text") and told[1].startswith("        ")
    assert " ".join(" ".join(told[:-1]).split()) == f"status {lines['status']}".strip()


def test_a_branch_says_its_arm_and_what_it_left(tiny_run_copy, tmp_path):
    at = tiny_run_copy.optimizer_steps[-1]
    arm = Arm(name="norm", dose=1.1, reference="control", rules=(ScaleUpdates(factor=0.9),))
    made = branch(tiny_run_copy, tmp_path / "norm", at=at, budget=10, arm=arm, pair="2", jitter=3)
    told = lines(run(made.path))
    assert told["arm"] == "norm-1.1, compared with control, pair 2, disturbed at the branch (seed 3)"
    assert told["left"] == f"{tiny_run_copy.path} at step {at}"
    control = branch(tiny_run_copy, tmp_path / "control", at=at, budget=10)
    assert lines(run(control.path))["arm"] == "control, pair 0"
    assert "arm" not in lines(run(tiny_run_copy.path))

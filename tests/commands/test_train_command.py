"""`interp train`: from options to a recipe, of any family."""

import re

import pytest
from typer.testing import CliRunner

import interp
from interp.commands.cli import app
from interp.runs.presets import PRESETS

QUICK = [
    "--steps",
    "6",
    "--d-model",
    "8",
    "--heads",
    "2",
    "--d-mlp",
    "8",
    "--threads",
    "1",
    "--evaluate-every",
    "3",
]


def run(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)], catch_exceptions=True)


def test_options_and_set_reach_the_same_fields_and_set_counts_more(tmp_path):
    done = run(
        tmp_path / "r", "--p", 7, "--weight-decay", 0.5, "--set", "task.p=11", "--set", "optimizer.weight_decay=0.3",
        "--set", "task.split=torch", "--beta2", 0.9, "--save", "every:2", "--normalization", "none", *QUICK,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    config = interp.open_run(tmp_path / "r").config
    assert (config.task.p, config.task.split, config.optimizer.weight_decay) == (11, "torch", 0.3)
    assert (config.optimizer.betas, config.model.d_vocab_out, config.n_steps) == ((0.9, 0.9), 11, 6)
    assert config.schedule.steps == (0, 2, 4, 6)
    assert (
        f"Next:\n  interp info {tmp_path / 'r'}\n  interp analyse fourier {tmp_path / 'r'}\n" in done.output
    )


def test_a_task_of_another_family(tmp_path):
    done = run(
        tmp_path / "r", "--preset", "mainline", "--task", "groups", "--set", "task.group=S3", "--set",
        "task.train_fraction=0.6", *QUICK,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    opened = interp.open_run(tmp_path / "r")
    assert (opened.config.task.family, opened.config.task.group) == ("groups", "S3")
    assert opened.task.labels[1 * 6 + 2] == opened.config.task.finite_group.table[1, 2]
    assert "interp analyse groups" in done.output


def test_a_group_from_its_cayley_table_needs_no_file_afterwards(tmp_path):
    table = tmp_path / "klein.csv"
    table.write_text("0,1,2,3\n1,0,3,2\n2,3,0,1\n3,2,1,0\n")
    arguments = [
        "--preset",
        "mainline",
        "--task",
        "groups",
        "--cayley-table",
        table,
        "--train-fraction",
        0.5,
        *QUICK,
    ]
    done = run(tmp_path / "r", *arguments)
    assert done.exit_code == 0, done.output
    table.unlink()
    opened = interp.open_run(tmp_path / "r")
    assert opened.config.task.group == "klein" and opened.task.labels[1 * 4 + 2] == 3
    table.write_text("0,1\n1,1\n")
    assert "klein.csv" in str(run(tmp_path / "s", *arguments).exception)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "task.p"], "--set task.p: needs FIELD=VALUE"),
        (["--group", "S3"], "--group: .*use --task groups"),
        (["--task", "groups", "--p", "7"], "--p: .*use --task languages or modular"),
        (["--heads", "3"], "--d-model divisible by --heads, got --d-model 128 and --heads 3"),
        (["--warmup-steps", "-1"], "Warm-up needs --warmup-steps of at least 0, got -1"),
        (["--set", "n_steps=0"], "--set n_steps=0: a run needs a number of steps"),
        (["--set", "n_steps=true"], "--set n_steps=true: a run needs a number of steps"),
        (["--set", "task.p=true"], "--set task.p=true: Input should be a valid integer, got True"),
        (["--set", "task.family=groups"], "--set task.family=groups: .*of that family: --task groups"),
        (["--preset", "nothing"], "There is no preset 'nothing'"),
    ],
)
def test_errors_name_what_was_typed_and_leave_nothing_behind(tmp_path, arguments, message):
    done = run(tmp_path / "r", *arguments)
    assert isinstance(done.exception, ValueError)
    with pytest.raises(ValueError, match=message):
        raise done.exception
    assert not (tmp_path / "r").exists()


def test_the_help_names_every_preset_and_family():
    from interp.tasks.families import FAMILIES

    text = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).output
    for name in (*PRESETS, *FAMILIES):
        assert name in text


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            ["--threads", 10**9],
            2,
            r"Invalid value for '--threads': Input should be less than or equal to 1024",
        ),
        (
            ["--threads", 10**15],
            2,
            r"Invalid value for '--threads': Input should be less than or equal to 1024",
        ),
        (["--batch-seed", -1, "--batch-size", 4], 1, "Mini-batches need --batch-seed of at least 0, got -1"),
        (["--momentum", "nan"], 1, "needs momentum finite and at least 0, got --momentum nan"),
        (["--eps", "inf"], 1, "needs --eps finite and at least 0, got --eps inf"),
        (["--beta1", 2], 1, r"needs --beta1 and --beta2 of at least 0 and below 1, got \[2\.0, "),
        (["--corrupted-fraction", -1], 1, r"needs --corrupted-fraction in \[0, 1\], got -1\.0"),
        (["--train-fraction", -1], 1, "needs --train-fraction strictly between 0 and 1, got -1"),
        (["--save", "1" * 5000], 1, "A schedule needs steps of at most 100 digits, got '111"),
        (["--cayley-table", "x\nforged"], 1, r"^interp: --cayley-table: x\\nforged is no Cayley table"),
        (["--operation", "a\udcff"], 1, r"--operation needs a name, got 'a\\udcff'"),
    ],
)
def test_odd_values_are_refused_by_the_name_of_their_option(
    tmp_path, options, code, message, capsys, monkeypatch
):
    from interp.commands.cli import main

    monkeypatch.setattr("sys.argv", ["interp", "train", str(tmp_path / "run"), *map(str, options)])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert end.value.code == code and re.search(message, said), said
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_started_is_refused_before_anything_is_promised(tiny_run_copy):
    out = CliRunner().invoke(app, ["train", str(tiny_run_copy.path), *QUICK])
    assert out.exit_code != 0 and "Saves" not in out.output


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("task.train_fraction=-1", "needs --set task.train_fraction strictly between 0 and 1, got -1"),
        ("optimizer.momentum=-1", "got --set optimizer.momentum=-1"),
        ("x[\\1_=1", "--set x[\\1_=1: "),
    ],
)
def test_what_was_set_is_named_as_it_was_typed(tmp_path, setting, message, capsys, monkeypatch):
    from interp.commands.cli import main

    monkeypatch.setattr("sys.argv", ["interp", "train", str(tmp_path / "run"), "--set", setting])
    with pytest.raises(SystemExit):
        main()
    assert message in capsys.readouterr().err

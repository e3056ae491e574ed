"""Every door that takes someone else's checkpoints takes the same statements, and tables of two are never mixed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from interp.analyses import frame, weight_norms
from interp.commands.cli import app
from interp.ground.stated_options import STATED_OPTIONS, stated_arguments, typed
from interp.networks.config import initial_weights
from interp.sources.opening import open_run
from tests.tiny import tiny_config

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::interp.sources.files.reading.SourceWarning")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Checkpoints that say nothing of what was learned, and a log of losses that are not theirs."""
    folder = tmp_path_factory.mktemp("theirs") / "series"
    folder.mkdir()
    for step in (0, 10):
        torch.save(initial_weights(tiny_config().model, step), folder / f"step_{step}.pt")
    (folder / "log.csv").write_text("step,train_loss,test_loss\n0,9,9\n10,9,9\n")
    return folder


def call(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


STATED = ["--task", "subtract", "--split", "torch", "--split-seed", "5", "--train-fraction", "0.4"]


def test_info_measure_verify_and_analyses_take_them(source, tmp_path):
    shown = call("info", source, *STATED).output
    assert "subtract mod 11, 40% train (split 'torch', seed 5)" in " ".join(shown.split())
    assert "subtract mod 11" not in call("info", source).output
    # Without a task recorded losses cannot be compared; with one they are, and these are wrong.
    assert "the task is not known" in call("verify", source).output
    checked = call("verify", source, *STATED)
    assert checked.exit_code == 1 and "largest difference of train_loss" in checked.output
    call("measure", source, *STATED, "--probes", "losses", "--out", tmp_path / "tables")
    losses = pd.read_csv(tmp_path / "tables" / "losses.csv")
    assert set(losses["split"]) == {"train", "test", "all"}
    call("analyse", "weight_norms", source, *STATED, "--out", tmp_path / "norms")
    about = json.loads((tmp_path / "norms" / "summary.json").read_text())
    assert about["config"]["task"]["operation"] == "subtract"
    assert about["stated"] == ["--task subtract", "--train-fraction 0.4", "--split torch", "--split-seed 5"]


@pytest.mark.slow
def test_a_script_takes_them(source, tmp_path):
    module = weight_norms
    frame.main(
        "weight_norms", "", module.compute, module.draw, module.summarize,
        ["--run", str(source), "--out", str(tmp_path), "--task", "add", "--no-separate-vocabularies"],
    )  # fmt: skip
    about = json.loads((tmp_path / "summary.json").read_text())
    assert about["config"]["task"]["operation"] == "add"
    assert about["stated"] == ["--task add", "--no-separate-vocabularies"]


def test_every_door_shows_every_option():
    flags = [option.flag for option in STATED_OPTIONS]
    for command in ("import", "info", "measure", "verify", "analyse"):
        text = call(command, "--help").output
        assert [flag for flag in flags if f"  {flag} " not in text] == [], command
    script = subprocess.run(
        [sys.executable, "analyses/fourier.py", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert [flag for flag in flags if f"  {flag}" not in script.stdout] == []


def test_they_are_arguments_of_open_run():
    options = {"task": "add", "p": 7, "normalization": "none", "heads": 4, "unit": "epoch", "format": "bridge",
               "equals_token": False, "activation": None}  # fmt: skip
    assert stated_arguments(options) == {
        "task": {"operation": "add", "p": 7, "equals_token": False},
        "model": {"normalization_type": None, "n_heads": 4}, "unit": "epoch", "format": "bridge",
    }  # fmt: skip
    assert typed(options) == [
        "--task add", "--p 7", "--no-equals-token", "--normalization none", "--heads 4", "--format bridge",
        "--unit epoch",
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [["info"], ["measure"], ["verify"], ["analyse", "weight_norms"]])
def test_a_run_takes_none_and_says_what_was_typed(tiny_run, arguments):
    with pytest.raises(
        ValueError, match=r"is a run, which says itself what it is: leave out --p 7, --unit epoch"
    ):
        call(*arguments, tiny_run.path, "--p", 7, "--unit", "epoch")


def losses_of(source, folder, *stated):
    call("measure", source, *stated, "--probes", "losses", "--out", folder)
    return pd.read_csv(folder / "losses.csv").query("split == 'all'")["loss"].tolist()


def test_tables_kept_under_one_statement_are_not_handed_out_under_another(source, tmp_path):
    tables, kept = {}, open_run(source).measures
    # Other tests keep tables of the same checkpoints under the same statement.
    shutil.rmtree(kept, ignore_errors=True)
    for stated in (("--task", "add"), ("--task", "multiply"), ("--task", "add", "--activation", "gelu")):
        tables[stated] = losses_of(source, tmp_path / "-".join(stated), *stated)
    assert len({tuple(losses) for losses in tables.values()}) == 3
    assert len(set(kept.glob("losses-*.parquet"))) == 3
    for stated, losses in tables.items():
        assert losses_of(source, tmp_path / "again", *stated) == losses


@pytest.mark.slow
def test_tables_of_another_statement_are_not_drawn(source, tmp_path):
    arguments = ["analyse", "fourier", source, "--out", tmp_path, "--task"]
    call(*arguments, "add")
    with pytest.raises(
        ValueError, match=r"were computed with --task add, not with --task subtract. Run `interp anal"
    ):
        call(*arguments, "subtract", "--draw-only")
    call(*arguments, "add", "--draw-only")
    call(*arguments[:-1], "--draw-only")

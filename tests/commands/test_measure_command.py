"""`interp measure` on a tiny run."""

import json
import shutil

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import interp.measurement.standard
from interp.commands.measure import measure as command
from interp.measurement.measure import measure
from interp.measurement.standard import STANDARD
from interp.measurement.stream import MeasureError
from interp.runs.tensor_files import RunError

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(command)


def call(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_named_probes_at_chosen_steps(tiny_run_copy, tmp_path):
    out = tmp_path / "tables"
    told = call(tiny_run_copy.path, "--probes", "losses, weight_norms", "--steps", "every:100", "--out", out)
    assert f"{out}: 2 tables over 4 checkpoints, summary.json" in told
    tables = measure(tiny_run_copy, ["losses", "weight_norms"], "every:100")
    for name, table in tables.items():
        written = pd.read_csv(out / f"{name}.csv")
        pd.testing.assert_frame_equal(written, table, check_dtype=False, check_exact=True)
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["run"] == "tiny"
    assert summary["config"]["task"]["p"] == 11
    assert summary["key_frequencies"] is None
    assert summary["probes"]["losses"] == {"rows": len(tables["losses"]), "steps": [0, 100, 200, 300]}
    assert summary["phases"]["memorization"]["step"] > 0
    assert summary["phases"]["cleanup"] == {"quantity": "", "threshold": None, "before": None, "step": None}


def test_the_standard_set_shares_one_key_set(tiny_run_copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = call(tiny_run_copy.path, "--steps", "200,300")
    assert "induction_scores: does not apply." in told
    out = tmp_path / "figures" / "tiny" / "measure"
    assert {file.stem for file in out.glob("*.csv")} == set(STANDARD) - {"induction_scores"}
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["probes"]["induction_scores"]["not_applicable"]
    assert isinstance(summary["key_frequencies"], list)
    measures = pd.read_csv(out / "progress_measures.csv")
    sizes = measures[measures["selection"] == "key"]["n_frequencies"].unique()
    assert sizes.tolist() == [len(summary["key_frequencies"])]


def test_slow_probes_have_steps_of_their_own(tiny_run_copy, tmp_path, monkeypatch):
    monkeypatch.setattr(interp.measurement.standard, "STANDARD", ("losses",))
    monkeypatch.setattr(interp.measurement.standard, "SLOW", ("weight_spectra",))
    out = tmp_path / "tables"
    call(tiny_run_copy.path, "--probes", "all", "--slow-steps", "near:120", "--out", out)
    assert pd.read_csv(out / "losses.csv")["step"].nunique() == len(tiny_run_copy.steps)
    assert pd.read_csv(out / "weight_spectra.csv")["step"].unique().tolist() == [100]


def test_damage_stops_it_unless_told_to_keep_going(tiny_run_copy, tmp_path):
    file = tiny_run_copy.path / tiny_run_copy.index[100]["file"]
    file.write_bytes(b"nothing")
    arguments = [tiny_run_copy.path, "--probes", "losses", "--out", tmp_path / "tables"]
    with pytest.raises(RunError, match=r"0000000100\.safetensors is damaged"):
        call(*arguments)
    assert "0000000100.safetensors is damaged" in call(*arguments, "--keep-going")
    summary = json.loads((tmp_path / "tables" / "summary.json").read_text("utf-8"))
    assert 100 not in summary["probes"]["losses"]["steps"]
    assert "is damaged" in summary["probes"]["losses"]["failed"]["100"]


def test_a_failing_probe_is_told(tiny_run_copy, tmp_path, monkeypatch):
    def broken(snapshot):
        raise ZeroDivisionError("here")

    monkeypatch.setattr(interp.probes, "named", lambda name: broken)
    with pytest.raises(MeasureError, match="Probe 'losses' failed at step 0"):
        call(tiny_run_copy.path, "--probes", "losses", "--out", tmp_path)


def test_no_cache_leaves_the_run_as_it_was(tiny_run_copy, tmp_path):
    shutil.rmtree(tiny_run_copy.path / "measures", ignore_errors=True)
    call(tiny_run_copy.path, "--probes", "losses", "--no-cache", "--out", tmp_path / "tables")
    assert not (tiny_run_copy.path / "measures").exists()


def test_help_shows_an_example():
    assert "interp measure checkpoints/mainline --probes losses,weight_norms" in " ".join(
        call("--help").split()
    )

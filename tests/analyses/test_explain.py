"""Why did it switch? Asked of a run with a trial, without one, and of tables alone."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from interp.analyses import explain
from interp.analyses.frame import Analysis, answer
from interp.commands.cli import app
from interp.measurement.measure import measure
from interp.tables.folder import read_tables
from interp.theories import ALL
from tests.report.trials import RUN, make_trial
from tests.theories import worlds
from tests.tiny import tiny_config

RECORD = {
    "theory", "prediction", "verdict", "statistic", "value", "low", "high", "rival", "arms", "primary", "why", "status",
    "does_not_show", "would_change", "other_events",
}  # fmt: skip


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    return make_trial(
        tmp_path_factory.mktemp("trials") / RUN, worlds.circuit_progress_world, n_pairs=3, sd=0.02
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the name that the trial is of."""
    from interp.runs.schedule import make_schedule
    from interp.training.train import train

    schedule = make_schedule(60, ["0", "60"], [])
    return train(tiny_config(60, schedule=schedule), tmp_path_factory.mktemp("runs") / RUN, threads=1)


def report(*arguments):
    """The command, and what it said; errors as they are raised."""
    result = CliRunner().invoke(app, ["report", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def no_pages(tables, about):
    return [(".html", b"drawn elsewhere")], {}


@pytest.fixture(scope="module")
def drawn(trial, run, tmp_path_factory):
    """The folder of a page that was drawn from the trial alone."""
    out = tmp_path_factory.mktemp("drawn") / "explain"
    report(run.path, "--trial", trial, "--out", out, "--draw-only")
    return out


@pytest.mark.slow
def test_the_page_of_a_trial_is_drawn_from_its_tables(drawn):
    names = {path.name for path in drawn.iterdir()}
    assert {
        "explain.html",
        "explain.pdf",
        "explain.png",
        "summary.json",
        "about.json",
        "arms.csv",
        "trial.csv",
    } <= names
    text = (drawn / "explain.html").read_text("utf-8")
    assert "On this run, the trained arms support hidden progress" in text
    assert (drawn / "explain.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_the_summary_has_the_lock_and_every_verdict(drawn, trial):
    summary = json.loads((drawn / "summary.json").read_text())
    lock = json.loads((trial / "predictions.json").read_text())
    assert summary["lock"] == {"hash": lock["hash"], "time": lock["time"]}
    assert len(summary["theories"]) == sum(len(theory.predictions) for theory in ALL)
    assert all(set(record) == RECORD for record in summary["theories"])
    by_name = {record["prediction"]: record for record in summary["theories"]}
    assert by_name["keys_back_is_slower"]["verdict"] == "supported"
    assert by_name["keys_back_is_slower"]["low"] > 1.25 and by_name["keys_back_is_slower"]["primary"] is True
    # What is not known is null.
    assert by_name["critical_size_falls_with_width"]["value"] is None
    assert "NaN" not in (drawn / "summary.json").read_text()


@pytest.mark.slow
def test_the_same_page_is_drawn_again_without_torch(drawn, run, trial, tmp_path):
    out = tmp_path / "again"
    code = (
        "import sys; from interp.commands.cli import main\n"
        f"sys.argv = ['interp', 'report', {str(run.path)!r}, '--trial', {str(trial)!r}, '--out', {str(out)!r}, "
        "'--draw-only']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules, 'drawing loaded torch'"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
    for name in ("explain.html", "explain.pdf", "explain.png"):
        assert (out / name).read_bytes() == (drawn / name).read_bytes(), name


@pytest.mark.slow
def test_tables_kept_in_the_folder_are_drawn_without_the_trial(drawn, run, tmp_path):
    out = tmp_path / "kept"
    shutil.copytree(drawn, out)
    (out / "explain.html").unlink()
    report(run.path, "--out", out, "--draw-only")
    assert (out / "explain.html").read_bytes() == (drawn / "explain.html").read_bytes()


def test_what_the_trial_lacks_of_the_run_is_measured(run, trial, tmp_path, monkeypatch):
    monkeypatch.setattr(explain, "pages", no_pages)
    folder = tmp_path / "trial"
    shutil.copytree(trial, folder)
    _set_config(folder, run)
    out = tmp_path / "out"
    said = report(run.path, "--trial", folder, "--out", out, "--device", "cpu")
    assert f"{out / 'explain'}.pdf, .png, summary.json and" in said
    tables, _ = read_tables(out)
    # The trial's own table of losses, and a spectrum that it has not.
    assert tables["losses"]["step"].max() == 8000
    assert set(tables["weight_spectra"]["step"]) == {0, 60}
    assert {"arms", "levels", "checks", "curves", "trial", "history"} <= set(tables)


def test_what_was_measured_stays_with_the_trial_until_the_run_goes_on(run, trial, tmp_path, monkeypatch):
    folder, out = tmp_path / "trial", tmp_path / "out"
    shutil.copytree(trial, folder)
    shutil.rmtree(folder / "observed")
    _set_config(folder, run)
    monkeypatch.setattr(explain, "probes_needed", lambda: ["losses", "weight_norms"])
    monkeypatch.setattr(explain, "pages", no_pages)
    report(run.path, "--trial", folder, "--out", out, "--device", "cpu")
    kept, about = read_tables(folder / "observed")
    assert (about["run"], about["step"]) == ("made", run.steps[-1])
    assert {"history", "losses", "weight_norms", "does_not_apply"} <= set(kept)
    # Drawn from the folder alone, it is the same page.
    report("--trial", folder, "--out", tmp_path / "again", "--draw-only")
    first, again = (read_tables(place)[0] for place in (out, tmp_path / "again"))
    for name, table in first.items():
        pd.testing.assert_frame_equal(again[name], table)
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "observed").iterdir()}
    report(run.path, "--trial", folder, "--out", out, "--device", "cpu")
    assert before == {path.name: path.stat().st_mtime_ns for path in (folder / "observed").iterdir()}
    # Tables that end before the run does are not taken for it.
    (folder / "observed" / "about.json").write_text(json.dumps({**about, "step": 1, "tables": [*kept]}))
    (folder / "observed" / "losses.csv").write_text("step,split,loss,accuracy\n1,test,9.0,0.0\n")
    report(run.path, "--trial", folder, "--out", out, "--device", "cpu")
    assert read_tables(folder / "observed")[1]["step"] == run.steps[-1]
    pd.testing.assert_frame_equal(read_tables(folder / "observed")[0]["losses"], kept["losses"])


def _set_config(folder, run):
    """The lock, written again for the config of this run."""
    from interp.runs.belonging import belonging
    from interp.theories.lock import hash_of

    for name in ("predictions.json", "about.json"):
        value = json.loads((folder / name).read_text())
        if name == "predictions.json":
            value["run"]["parents"][0]["decides"] = belonging("run.json", run.config)["run"]
            del value["hash"]
            value["hash"] = new = hash_of(value)
        else:
            value["lock"]["hash"] = new
        (folder / name).write_text(json.dumps(value))


def test_a_trial_of_another_config_is_refused(run, trial, tmp_path):
    with pytest.raises(
        ValueError, match=r"the lock was written for a run 'made' of another config than that of "
    ):
        report(run.path, "--trial", trial, "--out", tmp_path / "out", "--device", "cpu")


def test_evidence_of_ours_is_not_taken_for_a_run_of_the_same_name(run, trial, tmp_path, monkeypatch):
    monkeypatch.setattr(explain, "probes_needed", lambda: ["losses", "weight_norms"])
    monkeypatch.setattr(explain, "EVIDENCE", trial.parent)
    monkeypatch.chdir(tmp_path)
    # The lock there was written for another config: the page of this run rests on its checkpoints alone.
    tables = explain.compute(run, "cpu")
    assert "arms" not in tables
    own = tmp_path / "trials" / RUN
    shutil.copytree(trial, own)
    _set_config(own, run)
    assert "arms" in explain.compute(run, "cpu")


@pytest.mark.parametrize("how", [["--draw-only"], ["--device", "cpu"]])
def test_a_trial_of_another_run_is_refused(how, run, trial, tmp_path):
    other = tmp_path / "elsewhere"
    shutil.copytree(run.path, other)
    with pytest.raises(
        ValueError, match=r"tables of one run: the trial is of run 'made', the run.* of 'elsewhere'"
    ):
        report(other, "--trial", trial, "--out", tmp_path / "out", *how)


def test_an_edited_lock_draws_no_page(run, trial, tmp_path):
    folder, out = tmp_path / "trial", tmp_path / "out"
    shutil.copytree(trial, folder)
    text = (folder / "predictions.json").read_text()
    (folder / "predictions.json").write_text(text.replace('"n_pairs": 3', '"n_pairs": 4'))
    with pytest.raises(ValueError, match="was edited after it was written"):
        report(run.path, "--trial", folder, "--out", out, "--draw-only")
    assert not out.exists()


def test_drawing_needs_tables_of_the_run(run, trial, tmp_path):
    folder = tmp_path / "trial"
    shutil.copytree(trial, folder)
    shutil.rmtree(folder / "observed")
    with pytest.raises(
        ValueError, match=r"holds no tables of the run itself \(observed/\). Leave out --draw-only"
    ):
        report(run.path, "--trial", folder, "--out", tmp_path / "out", "--draw-only")


def test_the_trial_of_a_run_is_found_by_its_name(trial, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(explain, "EVIDENCE", tmp_path / "evidence")
    path = tmp_path / RUN
    assert explain.trial_folder(RUN, None) is None and explain.found(path) is None
    shutil.copytree(trial, tmp_path / "trials" / RUN)
    assert str(explain.trial_folder(RUN, None)) == f"trials/{RUN}"
    # What is committed goes first.
    shutil.copytree(trial, tmp_path / "evidence" / RUN)
    assert explain.trial_folder(RUN, None) == tmp_path / "evidence" / RUN
    tables, about = explain.found(path)
    assert about["run"] == RUN and "arms" in tables
    assert explain.trial_folder(RUN, tmp_path) == tmp_path


def test_evidence_that_is_no_trial_is_none_of_a_run_of_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(explain, "EVIDENCE", tmp_path / "evidence")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evidence" / RUN).mkdir(parents=True)
    (tmp_path / "evidence" / RUN / "part_losses.parquet").touch()
    assert explain.trial_folder(RUN, None) is None
    (tmp_path / "trials" / RUN).mkdir(parents=True)
    assert explain.trial_folder(RUN, None) == Path("trials") / RUN
    (tmp_path / "evidence" / RUN / "arms.csv").touch()
    assert explain.trial_folder(RUN, None) == tmp_path / "evidence" / RUN


def test_drawing_takes_the_committed_evidence_for_the_bundled_run_alone(trial, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(explain, "EVIDENCE", tmp_path / "evidence")
    monkeypatch.setattr(explain, "BUNDLED_RUNS", tmp_path / "checkpoints")
    shutil.copytree(trial, tmp_path / "evidence" / RUN)
    assert explain.found(tmp_path / "runs" / RUN) is None
    assert explain.found(tmp_path / "checkpoints" / RUN) is not None


def test_slow_probes_are_taken_where_they_were_measured(run):
    assert explain.kept_steps(run, "local_complexity", "cpu") == []
    measure(run, ["local_complexity"], [60], progress=False)
    assert explain.kept_steps(run, "local_complexity", "cpu") == [60]
    tables = explain.measured(run, "cpu", set())
    assert set(tables["local_complexity"]["step"]) == {60}
    assert "learning_coefficient" not in tables


def test_the_probes_are_those_that_predictions_name():
    needed = explain.probes_needed()
    assert {"losses", "progress_measures", "learning_coefficient", "algorithm"} <= set(needed)
    assert len(needed) == len(set(needed)) and not any(re.search(r"\W", name) for name in needed)


@pytest.mark.slow
def test_the_frame_gives_the_same_by_its_three_functions(drawn):
    tables, _ = read_tables(drawn)
    summary = explain.summarize(tables)
    assert summary["lock"]["hash"] == json.loads((drawn / "summary.json").read_text())["lock"]["hash"]
    assert explain.draw(tables).axes[0].get_ylabel() == "theory"


def test_a_folder_alone_is_redrawn_whatever_run_it_is_of(drawn, trial, tmp_path, monkeypatch):
    """Without a run the output folder says which is meant, not the bundled run's evidence."""
    monkeypatch.setattr(explain, "EVIDENCE", tmp_path / "evidence")
    shutil.copytree(trial, tmp_path / "evidence" / "mainline")
    out = tmp_path / "kept"
    shutil.copytree(drawn, out)
    # What is drawn of these tables, others have looked at.
    analysis = Analysis("explain", explain.compute, explain.draw, explain.summarize, no_pages, explain.found)
    answer(analysis, None, out, draw_only=True, device="cpu", program="interp report", stated={})
    assert json.loads((out / "summary.json").read_text())["run"] == RUN

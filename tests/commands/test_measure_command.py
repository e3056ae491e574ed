"""`interp measure` on a tiny run."""

import json
import re
import shutil

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

import interp.measurement.standard
from interp.commands.cli import app as cli
from interp.commands.measure import measure as command
from interp.measurement.measure import measure
from interp.measurement.standard import STANDARD
from interp.measurement.stream import MeasureError
from interp.runs.tensor_files import RunError
from interp.sources import SourceWarning
from tests.commands.test_train_command import QUICK

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
    assert summary["phases"]["cleanup"] == {
        "quantity": "", "threshold": None, "before": None, "step": None, "relapses": [],
    }  # fmt: skip


def test_the_standard_set_shares_one_key_set(tiny_run_copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = call(tiny_run_copy.path, "--steps", "200,300")
    assert "induction_scores: does not apply." in told
    out = tmp_path / "figures" / "tiny" / "measure"
    assert {file.stem for file in out.glob("*.csv")} == set(STANDARD) - {
        "induction_scores",
        # No frequency stands out of a network that has not generalised: their tables have no rows.
        "key_frequencies", "frequency_phases", "algorithm_by_frequency",
    }  # fmt: skip
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


# The key set of progress_measures is measured before all else.
@pytest.mark.parametrize("asked", ["losses", "progress_measures"])
def test_a_failing_probe_is_told(asked, tiny_run_copy, tmp_path, monkeypatch):
    def named(name):
        def broken(snapshot):
            raise ZeroDivisionError("here")

        broken.__name__ = name
        return broken

    monkeypatch.setattr(interp.probes, "named", named)
    with pytest.raises(
        MeasureError, match="Probe 'losses' failed at step 0.* To go on past it use --keep-going.$"
    ):
        call(tiny_run_copy.path, "--probes", asked, "--out", tmp_path)


def test_no_cache_leaves_the_run_as_it_was(tiny_run_copy, tmp_path):
    shutil.rmtree(tiny_run_copy.path / "measures", ignore_errors=True)
    call(tiny_run_copy.path, "--probes", "losses", "--no-cache", "--out", tmp_path / "tables")
    assert not (tiny_run_copy.path / "measures").exists()


PROBES = """
import pandas as pd
from beside import double

def counted(snapshot):
    return double(len(snapshot.weights))

def size(snapshot):
    return pd.DataFrame([{"n": counted(snapshot)}])

def rows(snapshot, k=2):
    return pd.DataFrame({"k": range(k)})

def no_probe(a, b):
    return a

def empty(snapshot):
    return pd.DataFrame()

class Probe:
    pass

number = 3
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "beside.py").write_text("def double(n):\n    return 2 * n\n")
    # A name that Python's own library has too.
    file = tmp_path / "json.py"
    file.write_text(PROBES)
    return file


def test_probes_of_ones_own_are_measured_and_kept(tiny_run_copy, tmp_path, own, monkeypatch):
    out = tmp_path / "tables"
    told = call(
        tiny_run_copy.path,
        "--probe",
        f"{own}:size",
        "--probe",
        f"{own}:rows",
        "--steps",
        "0,50",
        "--out",
        out,
    )
    assert "2 tables over 2 checkpoints" in told
    assert pd.read_csv(out / "size.csv")["n"].tolist() == [22, 22]
    assert pd.read_csv(out / "rows.csv")["step"].tolist() == [0, 0, 50, 50]
    kept = {
        file.name: file.stat().st_mtime_ns for file in (tiny_run_copy.path / "measures").glob("*.parquet")
    }
    assert len(kept) == 2

    # Kept by source: the same call reads them; where a function that it calls is another, it is measured anew.
    monkeypatch.setattr("interp.measurement.measure.outcomes", lambda run, todo, *_, **__: (x for x in todo))
    call(tiny_run_copy.path, "--probe", f"{own}:size", "--steps", "0,50", "--out", out)
    own.write_text(PROBES.replace("double(len", "double(1 + len"))
    with pytest.raises(AttributeError):
        call(tiny_run_copy.path, "--probe", f"{own}:size", "--steps", "0,50", "--out", out)


@pytest.mark.slow
def test_a_probe_of_ones_own_beside_others_and_in_processes(tiny_run_copy, tmp_path, own):
    out = tmp_path / "tables"
    call(
        tiny_run_copy.path,
        "--probes",
        "losses",
        "--probe",
        f"{own}:size",
        "--jobs",
        2,
        "--no-cache",
        "--out",
        out,
    )
    assert {file.stem for file in out.glob("*.csv")} == {"losses", "size"}
    assert pd.read_csv(out / "size.csv")["n"].nunique() == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size", r"--probe needs FILE.py:FUNCTION, as my_probes.py:largest_share, got 'size'"),
        ("nowhere.py:size", "needs a file of Python, and there is none at nowhere.py"),
        (
            "{own}:nothing",
            "one snapshot, and .* has none of the name 'nothing'. Its probes could be counted, size, rows, empty",
        ),
        (
            "{own}:no_probe",
            r"and 'no_probe' in .* is called with \(a, b\). Its probes could be counted, size, rows",
        ),
        ("{own}:pd", "and 'pd' in .* is of type module"),
        ("{own}:Probe", "and 'Probe' in .* is a class"),
        ("{own}:number", "and 'number' in .* is of type int"),
        (
            "{exits}:size",
            r"exits.py could not be run, at line 2: it calls sys.exit\(3\). --probe runs the whole",
        ),
        (
            "{broken}:size",
            r"broken.py could not be run, at line 3: ZeroDivisionError: division by zero. --probe",
        ),
        ("{unwritten}:size", r"unwritten.py could not be run, at line 1: SyntaxError"),
    ],
)
def test_what_is_no_probe_is_said(tiny_run_copy, tmp_path, own, text, message):
    broken, unwritten, exits = (tmp_path / f"{name}.py" for name in ("broken", "unwritten", "exits"))
    exits.write_text("import sys\nsys.exit(3)\n")
    broken.write_text("def half(n):\n\n    return 1 / n\n\nhalf(0)\n")
    unwritten.write_text("def (:\n")
    with pytest.raises(ValueError, match=message):
        call(
            tiny_run_copy.path,
            "--probe",
            text.format(own=own, broken=broken, unwritten=unwritten, exits=exits),
        )
    with pytest.raises(ValueError, match="different names, got 'size' twice"):
        call(tiny_run_copy.path, "--probe", f"{own}:size", "--probe", f"{own}:size")
    own.write_text("def losses(snapshot):\n    return 1\n")
    with pytest.raises(ValueError, match="a name that no probe of --probes has, got 'losses'"):
        call(tiny_run_copy.path, "--probes", "losses", "--probe", f"{own}:losses")


def test_a_probe_without_rows_is_said(tiny_run_copy, tmp_path, own):
    arguments = [tiny_run_copy.path, "--probe", f"{own}:empty", "--out", tmp_path / "tables", "--steps"]
    assert "empty: no rows at 2 checkpoints.\n" in call(*arguments, "0,50")
    told = call(*arguments, "0", "--probes", "losses")
    assert "empty: no rows at 1 checkpoint.\n" in told and "1 table over 1 checkpoint, summary" in told


def test_probes_are_listed_with_a_line_each():
    from interp import probes

    lines = dict(line.split(None, 1) for line in call("--list").splitlines())
    assert list(lines) == probes.available()
    assert lines["weight_norms"].startswith("L2 norm of every parameter")


def test_the_same_is_said_once(tiny_run_copy, tmp_path):
    (tiny_run_copy.path / tiny_run_copy.index[100]["file"]).write_bytes(b"nothing")
    probes = "losses,weight_norms,weight_spectra"
    told = call(tiny_run_copy.path, "--probes", probes, "--keep-going", "--out", tmp_path / "tables")
    assert told.count("0000000100.safetensors is damaged") == 1
    assert "other steps can still be read. (3 probes)" in told
    out = CliRunner().invoke(
        cli, ["train", str(tmp_path / "random"), "--operation", "random", *QUICK, "--p", "7"]
    )
    assert out.exit_code == 0, out.output
    told = call(
        tmp_path / "random", "--probes", "logit_spectrum,logit_cells,losses", "--out", tmp_path / "tables"
    )
    assert "logit_spectrum, logit_cells: do not apply. " in told and told.count("under any renaming") == 1


def test_ctrl_c_says_what_is_kept(tiny_run_copy, monkeypatch):
    def stopped(*_, **__):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr("interp.measurement.measure.outcomes", stopped)
    message = "Stopped measuring run 'tiny'. What was measured is kept: the same call goes on"
    with pytest.raises(KeyboardInterrupt, match=message):
        measure(tiny_run_copy, ["losses"])
    with pytest.raises(KeyboardInterrupt, match="Nothing is kept"):
        measure(tiny_run_copy, ["losses"], cache=False)


def test_the_advice_for_words_of_the_command_line_works(tiny_run_copy, annotations_off):
    from interp.measurement.standard import SLOW

    with annotations_off():
        for word, names in (("standard", "STANDARD"), ("all", "STANDARD + SLOW")):
            with pytest.raises(
                ValueError, match=rf"got '{word}', a word .* Use {re.escape(names)} from interp.meas"
            ):
                measure(tiny_run_copy, word)
        with pytest.raises(ValueError, match=r"got 'losses' alone. Use \['losses'\]"):
            measure(tiny_run_copy, "losses")
    assert set(measure(tiny_run_copy, STANDARD, [0])) == set(STANDARD)
    assert all(isinstance(name, str) for name in STANDARD + SLOW)


def test_help_shows_an_example():
    assert "interp measure checkpoints/mainline --probes losses,weight_norms" in " ".join(
        call("--help").split()
    )


def test_a_source_that_records_no_losses_and_has_no_task(tmp_path):
    """Nothing says when it memorized: the tables are written all the same."""
    import torch

    from tests import foreign

    state = foreign.random_state(foreign.hooked_shapes(3001, 3, 2, 2, 4, 16, 1, 3000))
    torch.save(state, tmp_path / "step_5.pt")
    options = ("--activation", "relu", "--attention", "causal", "--normalization", "none", "--no-cache")
    with pytest.warns(SourceWarning, match="No task"):
        call(tmp_path / "step_5.pt", "--probes", "weight_norms", "--out", tmp_path / "tables", *options)
    summary = json.loads((tmp_path / "tables" / "summary.json").read_text())
    assert summary["phases"] == {} and summary["probes"]["weight_norms"]["steps"] == [5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--jobs", 0), "measure needs --jobs of at least 1, or -1 for one a core, got 0"),
        (("--steps", "1" * 5000), "Steps have at most 100 digits, got '111"),
        (("--steps", "near:\u00b2"), "Steps are all, every:N, log:N, near:S, A-B or S"),
    ],
)
def test_odd_values_are_refused_in_words(tiny_run_copy, options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(tiny_run_copy.path, "--probes", "losses", "--out", tmp_path / "tables", *options)


def test_findings_are_not_written_over_a_folder(tiny_run_copy, tmp_path):
    result = CliRunner().invoke(cli, ["verify", str(tiny_run_copy.path), "--json", str(tmp_path)])
    assert f"--json needs a file to write, got {str(tmp_path)!r}"[:60] in str(result.exception)

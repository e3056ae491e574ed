"""The commands on runs of families without residues: each works, or says in one sentence why not.

Features in place of tokens, drawn rows, fresh rows, a hinge loss, no Fourier structure.
"""

import json
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

import interp
from interp.commands.cli import app
from interp.tables.transitions import Transition
from interp.theories.forecaster import in_words, live, read_forecaster

TINY = (
    "--set", "task.n_bits=8", "--set", "task.n_train=50", "--set", "task.n_test=60", "--d-mlp", "16", "--save",
    "every:50", "--save-optimizer", "every:50", "--threads", "1", "--steps", "100",
)  # fmt: skip


def done(*arguments):
    return CliRunner().invoke(app, [str(x) for x in arguments])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Of fresh rows; the finite ones are the easier case."""
    path = tmp_path_factory.mktemp("families") / "fresh"
    assert done("train", path, "--preset", "parity-fresh", *TINY).exit_code == 0
    return path


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["info", "RUN"], "parity of 3 of 8 bits"),
        (["info", "RUN"], "batches of 32 fresh rows"),
        (["verify", "RUN"], "no problems"),
        (
            ["measure", "RUN", "--probes", "standard", "--out", "OUT"],
            "so that Fourier probes of residues do not apply",
        ),
        pytest.param(
            ["analyse", "progress_measures", "RUN", "--out", "OUT"],
            "Fourier probes of residues do not apply",
            marks=pytest.mark.slow,
        ),
        (["analyse", "weight_norms", "RUN", "--out", "OUT"], "weight_norms.pdf"),
        pytest.param(["analyse", "attention", "RUN", "--out", "OUT"], "no attention", marks=pytest.mark.slow),
        (["analyse", "fourier", "RUN", "--out", "OUT"], "Fourier probes of residues do not apply"),
        (["explore", "RUN", "--out", "OUT.html"], "opens in a browser"),
        (["figure", "RUN", "coordinate_curves", "--out", "OUT"], "coordinate_curves.pdf"),
        (["forecast", "RUN"], "seen up to step 100: it sees fresh rows at every step and memorizes none."),
    ],
    ids=lambda x: " ".join(x[:2]) if isinstance(x, list) else "",
)
def test_each_command_has_an_answer(command, says, run, tmp_path):
    places = {"RUN": str(run), "OUT": str(tmp_path / "out"), "OUT.html": str(tmp_path / "page.html")}
    result = done(*[places.get(x, x) for x in command])
    assert result.exit_code == 0, result.exception
    assert says in " ".join(result.output.split())


def test_of_fresh_rows_none_is_said_to_be_memorized(run):
    assert "memorized" not in done("info", run).output and "grokked" in done("info", run).output


def test_a_run_alone_that_had_nothing_to_forecast_is_told(run, tmp_path):
    result = done("analyse", "forecast", run, "--out", tmp_path / "out")
    assert result.exit_code == 1 and isinstance(result.exception, ValueError)
    assert str(result.exception).startswith("forecast ")


def test_it_is_resumed_and_branched(run, tmp_path):
    assert done("resume", run, "--steps", 120).exit_code == 0
    result = done("verify", run)
    assert result.exit_code == 0 and "no problems" in result.output


def with_history(run, path, *, is_fresh=True, **columns):
    """A copy of the run that evaluated these values every ten steps, of fresh rows or of the same again."""
    shutil.copytree(run, path)
    n = len(next(iter(columns.values())))
    table = {"step": range(0, 10 * n, 10), "train_loss": 0.1, "test_loss": 0.5, "train_accuracy": 1.0}
    pd.DataFrame({**table, **columns}).to_parquet(path / "history.parquet", index=False)
    if not is_fresh:
        about = json.loads((path / "run.json").read_text())
        del about["config"]["optimizer"]["fresh"], about["checksum"]
        (path / "run.json").write_text(json.dumps(about))
    return interp.open_run(path)


# Lasting for 150 steps, lost for 200.
GROKS_AND_COLLAPSES = [0.5] * 5 + [1.0] * 15 + [0.4] * 20


def test_phases_of_it_are_those_of_its_accuracies(run, tmp_path):
    fresh = with_history(run, tmp_path / "fresh", test_accuracy=GROKS_AND_COLLAPSES)
    unknown = Transition("", None, None, None)
    assert interp.phases(fresh) == {
        "memorization": unknown,
        "circuit_formation": unknown,
        "cleanup": unknown,
        "cleanup_end": unknown,
        "grokking": Transition("test_accuracy", 0.95, 390, None),
        "collapse": Transition("test_accuracy below", 0.95, 190, 200),
    }


def test_the_same_rows_seen_again_are_memorized_and_forecast(run, tmp_path):
    falls = [2.0 - 0.02 * i for i in range(40)]
    finite = with_history(
        run, tmp_path / "finite", is_fresh=False,
        train_accuracy=[0.5] * 5 + [1.0] * 35, test_accuracy=[0.5] * 40, test_loss=falls,
    )  # fmt: skip
    assert interp.phases(finite)["memorization"] == Transition("train_accuracy", 0.95, 40, 50)
    said = " ".join(done("forecast", finite.path).output.split())
    assert "memorized at step 50, has not generalised" in said
    # The line through it is at 0 at step 1000; what was learned says how far beyond.
    told = json.loads(done("forecast", finite.path, "--json").output)
    (row,) = (row for row in told["forecasts"] if row["measure"] == "test_loss")
    assert row["raw"] == pytest.approx(1000) and f"test loss {in_words(row)}" in said
    assert "Gini of W_E no answer: does not apply to this run" in said
    assert "Those learned modular tasks. This one learns parity, of which nothing was learned" in said
    assert "This run minimises hinge, with which it need not" in said


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["digits", "languages", "images", "parity"])
def test_runs_of_each_family_are_dated_and_forecast(preset, tmp_path):
    made = tmp_path / "made"
    assert (
        done("train", made, "--preset", preset, "--steps", 40, "--save", "every:20", "--threads", 1).exit_code
        == 0
    )
    accuracies = {"train_accuracy": [0.5] * 5 + [1.0] * 35, "test_accuracy": [0.1] * 30 + [0.96] * 10}
    run = with_history(made, tmp_path / "run", test_loss=[2.0 - 0.02 * i for i in range(40)], **accuracies)
    found = interp.phases(run)
    assert found.pop("memorization") == Transition("train_accuracy", 0.95, 40, 50)
    assert found.pop("grokking") == Transition("test_accuracy", 0.95, 290, 300)
    assert found.pop("collapse") == Transition("test_accuracy below", 0.95, 390, None)
    assert set(found.values()) == {Transition("", None, None, None)}
    told = json.loads(done("forecast", run.path, "--at", 250, "--json").output)
    rows = {row["measure"]: row for row in told["forecasts"]}
    assert rows["test_loss"]["raw"] == pytest.approx(1000) and told["came"] == 300
    assert {row["why_not"] for name, row in rows.items() if name != "test_loss"} == {
        "does not apply to this run"
    }
    said = " ".join(done("forecast", run.path, "--at", 250).output.split())
    assert f"This one learns {run.config.task.family}, of which nothing was learned" in said
    assert ("minimises" in said) == (preset in ("images", "parity"))


def test_of_what_nobody_can_foresee_nothing_is_forecast(run, tmp_path):
    """A history with the accuracy on what is predictable: the test loss has a floor."""
    columns = {"test_accuracy": [0.3] * 40, "test_predictable_accuracy": [0.5] * 40}
    finite = with_history(run, tmp_path / "finite", is_fresh=False, **columns)
    said = done("forecast", finite.path).output
    assert "it asks what nobody can foresee too" in said and "nothing is forecast" in said
    row = {"step": 390, "train_accuracy": 1.0, "test_accuracy": 0.3, "test_loss": 2.0}
    assert live(read_forecaster())([{**row, "test_predictable_accuracy": 0.5}]) == "groks: no forecast"

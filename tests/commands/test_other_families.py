"""The commands on runs of families without residues: each works, or says in one sentence why not.

Features in place of tokens, drawn rows, fresh rows, a hinge loss, no Fourier structure.
"""

import pytest
from typer.testing import CliRunner

from interp.commands.cli import app

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
        (["analyse", "progress_measures", "RUN", "--out", "OUT"], "Fourier probes of residues do not apply"),
        (["analyse", "weight_norms", "RUN", "--out", "OUT"], "weight_norms.pdf"),
        (["analyse", "attention", "RUN", "--out", "OUT"], "no attention"),
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


def test_phases_of_it_are_those_of_its_accuracies(run):
    import interp

    found = interp.phases(interp.open_run(run))
    assert set(found) >= {"memorization", "grokking", "collapse"}
    assert found["circuit_formation"].before is None and found["circuit_formation"].step is None

"""`interp analyse`: the list, the errors, the help. What it computes is tested with the scripts."""

import pytest
from typer.testing import CliRunner

from interp import analyses
from interp.commands.cli import app


def call(*arguments):
    result = CliRunner().invoke(app, ["analyse", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_without_a_name_every_analysis_is_listed_with_its_question():
    lines = call().splitlines()
    assert [line.split()[0] for line in lines] == sorted(analyses.__all__)
    assert "weight_norms       How do the weights grow, move and thin out along training?" in lines
    assert all(len(line.split()) > 4 for line in lines)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"There is no analysis 'furier'. There are: attention, clock_pizza, compare, digits"
    ):
        call("furier", "checkpoints/mainline")
    # A function of the package is no analysis.
    with pytest.raises(ValueError, match="There is no analysis 'named'"):
        call("named")


def test_errors_of_a_run_name_what_was_typed(tmp_path):
    with pytest.raises(ValueError, match="holds no run and no checkpoints"):
        call("fourier", tmp_path)
    with pytest.raises(ValueError, match="Run `interp analyse fourier` without --draw-only first"):
        call("fourier", tmp_path, "--draw-only", "--out", tmp_path)
    with pytest.raises(ValueError, match="tpu"):
        call("fourier", "--device", "tpu", "--out", tmp_path)


def test_help_shows_an_example():
    assert "interp analyse fourier checkpoints/mainline" in " ".join(call("--help").split())

"""Analyses of many runs: what they say of planted tables, of a real sweep, and redrawn without torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from interp import analyses
from interp.analyses import frame
from interp.commands.cli import app
from interp.sweeps.gathered import Gathered
from interp.sweeps.opened import NotMeasured
from interp.sweeps.sweep import sweep
from interp.tables.folder import clean
from tests.analyses.test_analyses import OF_A_RUN, script
from tests.sweeps.test_sweep import HERE, OVER
from tests.tables.test_shares import planted
from tests.tiny import tiny_config

NAMES = sorted(set(analyses.__all__) - set(OF_A_RUN))
PROMISED = {
    "phase_diagram": {"phases", "power_laws", "critical", "n_runs"},
    "compare": {"compared"},
    "double_descent": {"descents", "epoch_descents", "speeds"},
    "forecast": {"scores"},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    # Long enough to be looked at some time after memorization.
    return sweep(tmp_path_factory.mktemp("many") / "small", tiny_config(160).recipe(), OVER, seeds=1, **HERE)


def world(seed=0):
    """24 runs over fraction and decay with a law: delay = 1500 (decay)^-1 at fractions that suffice, else never."""
    rng, rows = np.random.default_rng(seed), []
    for fraction in (0.3, 0.5, 0.7):
        for decay in (0.3, 1.0, 3.0):
            for _ in range(4):
                delay = 1500 / decay * rng.lognormal(0, 0.2)
                never = fraction < 0.4 or delay > 9900
                rows.append((fraction, decay, 100, None if never else 100 + int(delay), 10000))
    runs = planted(rows).assign(seed=0, grokking_lost=None, memorization_before=90)

    def histories():
        parts = []
        for row in runs.to_dict("records"):
            steps = np.arange(0, 10001, 100)
            at = np.inf if pd.isna(row["grokking_step"]) else row["grokking_step"]
            accuracy = np.where(steps >= at, 1.0, 0.3)
            curve = {
                "train_accuracy": 1.0,
                "test_accuracy": accuracy,
                "train_loss": 1e-3,
                "test_loss": 1.01 - accuracy,
            }
            parts.append(pd.DataFrame({"run": row["run"], "step": steps, **curve}))
        return pd.concat(parts, ignore_index=True)

    def measured(probe):
        raise NotMeasured("none was measured")

    return Gathered("world", ("task.train_fraction", "optimizer.weight_decay"), runs, histories, measured)


# The doors are the same for all; what each draws has tests of its own.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name if name == "forecast" else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_of_a_real_sweep_both_doors_say_the_same_and_redraw_without_torch(name, small, tmp_path):
    out, module = tmp_path / "script", script(name)
    frame.main(
        name, module.__doc__, module.compute, module.draw, module.summarize,
        ["--run", str(small.path), "--out", str(out)], subject=module.subject,
    )  # fmt: skip
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert {"run", "fields", "versions", "command"} | PROMISED[name] <= summary.keys()
    assert (summary["run"], summary["n_runs"], summary["fields"]) == ("small", 2, ["optimizer.weight_decay"])
    picture = (out / f"{name}.png").read_bytes()
    result = CliRunner().invoke(app, ["analyse", name, str(small.path), "--out", str(tmp_path / "command")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "command" / f"{name}.png").read_bytes() == picture
    code = (
        f"import sys; sys.argv = ['{name}', '--out', {str(out)!r}, '--draw-only']\n"
        f"import runpy; runpy.run_path({str(Path('analyses', name + '.py'))!r}, run_name='__main__')\n"
        "assert 'torch' not in sys.modules, 'drawing loaded torch'"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
    assert (out / f"{name}.png").read_bytes() == picture
    assert json.loads((out / "summary.json").read_text("utf-8")) == summary


def test_the_phase_diagram_finds_what_was_planted():
    module = analyses.phase_diagram
    tables = module.compute(world(), "cpu")
    summary = clean(module.summarize(tables))
    assert summary["n_runs"] == 36 and summary["phases"]["confusion"] == 0
    assert summary["phases"]["memorization"] >= 12
    (decay,) = (law for law in summary["power_laws"] if law["field"] == "optimizer.weight_decay")
    assert decay["low"] < -1 < decay["high"] < 0
    own = tables["power_laws"].query("field == 'optimizer.weight_decay' and setting != 'all settings'")
    assert len(own) == 2 and own["exponent"].tolist() == pytest.approx([-1, -1], abs=0.15)
    critical = [row for row in summary["critical"] if row["field"] == "task.train_fraction"]
    assert {(row["before"], row["step"]) for row in critical} == {(0.3, 0.5)}
    words = " ".join(summary["said"])
    assert "of 36 runs generalised by their end" in words and "Delay ~ weight decay^-0." in words
    figure = module.draw(tables)
    texts = {text.get_text() for text in figure.findobj(match=lambda a: hasattr(a, "get_text"))}
    assert {"0/4", "4/4", "train fraction", "weight decay", "grokking", "memorization"} <= texts


def test_compare_aligns_groups_by_their_grokking_step():
    module = analyses.compare
    tables = module.compute(world(), "cpu")
    groups = tables["compared"].set_index("group")
    assert len(groups) == 9 and groups.loc["weight decay = 0.3, train fraction = 0.3", "n_grokked"] == 0
    aligned = tables["by_grokking"].query("quantity == 'test_accuracy'")
    assert "weight decay = 0.3, train fraction = 0.3" not in set(aligned["group"])
    # Evaluated every 100 steps, and told as what was seen last: each has risen within a place or two after the step.
    assert (aligned.loc[aligned["x"] > 1.2, "median"] == 1).all() and (
        aligned.loc[aligned["x"] < 1, "median"] == 0.3
    ).all()
    module.draw(tables)


def changed(**columns):
    """The planted world with other columns."""
    base = world()
    return Gathered(base.name, base.fields, base.runs.assign(**columns), base.histories, base.measured)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_worlds_at_the_edge_are_drawn_or_refused_in_a_sentence(name):
    never = pd.array([None] * 36, dtype="Int64")
    mixed = ["complete"] * 34 + ["running", "diverged"]
    module = analyses.named(name)
    for gathered in (
        changed(grokking_step=never, delay=never, delay_high=never),
        changed(status=mixed),
        changed(**{"optimizer.weight_decay": [0.0, 1.0] * 18}),
        changed(**{"task.train_fraction": ["none", "x"] * 18}),
        changed(**{"optimizer.weight_decay": 1.0, "task.train_fraction": 0.5}),
        Gathered("seeds", (), world().runs, world().histories, world().measured),
    ):
        tables = module.compute(gathered, "cpu")
        module.draw(tables)
        assert clean(module.summarize(tables))["said"]
    with pytest.raises(
        ValueError, match="forecast looks at complete runs from 1.5 times .* of the 36 runs of world none"
    ):
        analyses.forecast.compute(changed(status="running"), "cpu")


def test_the_forecast_is_tested_on_what_was_left_out():
    tables = analyses.forecast.compute(world(), "cpu")
    assert set(tables["scores"]["left_out"]) == {"task.train_fraction", "optimizer.weight_decay", "family"}
    said = analyses.forecast.summarize(tables)["said"]
    assert (
        said[0].startswith("Another train fraction, by its test loss: error")
        and "runs that never grokked" in said[1]
    )


@pytest.mark.slow
def test_few_runs_are_drawn_one_by_one(small):
    from interp.sweeps.gathered import gathered

    tables = analyses.compare.compute(gathered(small.path), "cpu")
    assert tables["compared"]["group"].tolist() == small.names
    assert tables["by_grokking"].empty


def test_an_analysis_of_a_run_takes_one_and_of_many_no_statements(small, tmp_path):
    for arguments, said in (
        (["weight_norms", "checkpoints/mainline", "--with", "x"], "weight_norms is asked of one run, got 2"),
        (
            ["compare", str(small.path), "--p", "5", "--out", str(tmp_path)],
            "compare reads runs that say themselves what",
        ),
        (["compare", str(tmp_path / "nowhere"), "--out", str(tmp_path)], "holds no runs to compare"),
    ):
        result = CliRunner().invoke(app, ["analyse", *arguments])
        assert result.exit_code == 1 and said in str(result.exception)

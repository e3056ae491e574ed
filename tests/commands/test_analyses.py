"""Every script in analyses/ answers its question on a tiny run, and redraws without torch."""

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pandas as pd
import pytest

from interp.analyses import frame
from tests.tiny import tiny_config

ANALYSES = Path(__file__).parents[2] / "analyses"
NAMES = sorted(path.stem for path in ANALYSES.glob("*.py"))
# What other programs read off summary.json.
PROMISED = {
    "fourier": {
        "test_accuracy", "key_frequencies", "neuron_frequency_counts", "neuron_fraction_explained_median",
        "logit_fraction_explained", "gini_W_E", "gini_W_L",
    },
    "progress_measures": {
        "memorization", "circuit_formation", "cleanup", "grokking", "restricted_loss", "excluded_loss",
    },
    "weight_norms": {"total_l2"},
    "clock_pizza": {"gradient_symmetricity", "distance_irrelevance", "circularity", "verdict"},
}  # fmt: skip


def unused(*_):
    raise AssertionError("not reached")


def script(name):
    spec = spec_from_file_location(f"analyses_{name}", ANALYSES / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """Few steps and few checkpoints: the slow probes look at each."""
    from interp.runs.schedule import make_schedule
    from interp.training.train import train

    schedule = make_schedule(120, ["0", "60", "120"], [])
    return train(tiny_config(120, schedule=schedule), tmp_path_factory.mktemp("runs") / "short", threads=1)


@pytest.mark.parametrize("name", NAMES)
def test_script_answers_and_redraws(name, short_run, tmp_path):
    out = tmp_path / name
    module = script(name)
    frame.main(
        name, module.__doc__, module.compute, module.draw, module.summarize,
        ["--run", str(short_run.path), "--out", str(out), "--device", "cpu"],
    )  # fmt: skip
    summary = json.loads((out / "summary.json").read_text())
    assert {"run", "p", "step", "config", "versions", "command"} | PROMISED.get(name, set()) <= summary.keys()
    assert (summary["run"], summary["p"], summary["step"]) == ("short", 11, 120)
    assert list(out.glob("*.csv"))
    pictures = {suffix: (out / f"{name}{suffix}").read_bytes() for suffix in (".png", ".pdf")}

    code = (
        f"import sys; sys.argv = ['{name}', '--run', {str(short_run.path)!r}, '--out', {str(out)!r}, '--draw-only']\n"
        f"import runpy; runpy.run_path({str(ANALYSES / (name + '.py'))!r}, run_name='__main__')\n"
        "assert 'torch' not in sys.modules, 'drawing loaded torch'"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
    redrawn = json.loads((out / "summary.json").read_text())
    assert redrawn == summary
    for suffix, before in pictures.items():
        assert (out / f"{name}{suffix}").read_bytes() == before, "equal tables must give equal files"


def test_drawing_without_tables_says_what_to_do(tmp_path, capsys):
    with pytest.raises(SystemExit, match="holds no tables of this analysis to draw. Run `python analyses/f"):
        frame.main("f", "", unused, unused, unused, ["--out", str(tmp_path), "--draw-only"])


def test_a_directory_that_is_no_run_is_one_line(tmp_path):
    with pytest.raises(SystemExit, match="f: .* holds no run and no checkpoints: neither a run.json"):
        frame.main("f", "", unused, unused, unused, ["--run", str(tmp_path)])


def test_tables_come_back_bit_for_bit(tmp_path):
    table = pd.DataFrame({"step": [0, 1], "x": [0.1 + 0.2, 1e-300], "name": ["a", "b"]})
    analysis.write_tables(tmp_path, {"t": table}, {"run": "r"})
    tables, about = analysis.read_tables(tmp_path, "f")
    pd.testing.assert_frame_equal(tables["t"], table, check_exact=True)
    assert about == {"run": "r"}
    (tmp_path / "t.csv").unlink()
    with pytest.raises(ValueError, match="t.csv is missing. Run the analysis again"):
        analysis.read_tables(tmp_path, "f")


def test_summaries_hold_json_only():
    import numpy as np

    value = {1: np.float64("nan"), "b": [np.int64(3), float("inf")], "c": np.array([1.5])}
    assert analysis.clean(value) == {"1": None, "b": [3, None], "c": [1.5]}


def test_results_of_another_run_of_the_same_name_are_not_mixed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    analysis.write_tables(
        Path("figures/r/f"), {"t": pd.DataFrame({"step": [0]})}, {"run": "r", "path": "/elsewhere/r"}
    )
    with pytest.raises(SystemExit, match="holds the results of another run of this name, /elsewhere/r"):
        frame.main("f", "", unused, unused, unused, ["--run", str(tmp_path / "r"), "--draw-only"])


def test_fourier_of_a_network_without_neurons(tmp_path):
    from interp.training.train import train

    run = train(tiny_config(50, model={"d_mlp": 0}), tmp_path / "attention-only", threads=1)
    module = script("fourier")
    frame.main(
        "fourier", "", module.compute, module.draw, module.summarize,
        ["--run", str(run.path), "--out", str(tmp_path / "out"), "--device", "cpu"],
    )  # fmt: skip
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["neuron_frequency_counts"] == {}
    assert summary["neuron_fraction_explained_median"] is None

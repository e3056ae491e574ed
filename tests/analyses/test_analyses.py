"""Every script in analyses/ answers its question on a tiny run, and redraws without torch."""

import json
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes
from typer.testing import CliRunner

from interp import analyses
from interp.analyses import frame
from interp.commands.cli import app
from interp.measurement.answers import with_answers
from interp.tables.folder import write_tables
from tests import hand_built
from tests.thinned import thinned
from tests.tiny import tiny_config

ANALYSES = Path(__file__).parents[2] / "analyses"
NAMES = sorted(path.stem for path in ANALYSES.glob("*.py"))
# The others are asked of many runs.
OF_A_RUN = [name for name in NAMES if not hasattr(analyses.named(name), "subject")]
# What other programs read off summary.json.
PROMISED = {
    "fourier": {
        "test_accuracy", "key_frequencies", "neuron_frequency_counts", "neuron_fraction_explained_median",
        "logit_fraction_explained", "gini_W_E", "gini_W_L",
    },
    "progress_measures": {
        "memorization", "circuit_formation", "cleanup", "grokking", "restricted_loss", "excluded_loss",
    },
    "groups": {
        "generalised", "answer", "key_representations", "loss_all", "accuracy_all", "memorization", "circuit_formation",
        "cleanup", "cleanup_end", "grokking", "coset_concentration",
    },
    "digits": {"generalised", "answer", "order_of_digits", "order_of_carries", "by_digit", "by_carry"},
    "language_model": {"said", "induction_heads", "at_end", "compared", "text"},
    "weight_norms": {"total_l2"},
    "sequences": {"answer", "fall", "heads", "formation", "composition", "ablations", "losses_at_end"},
    "explain": {"lock", "theories", "n_trained"},
    "clock_pizza": {"gradient_symmetricity", "distance_irrelevance", "circularity", "verdict"},
}  # fmt: skip


def unused(*_):
    raise AssertionError("not reached")


def script(name):
    spec = spec_from_file_location(f"analyses_{name}", ANALYSES / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def more_of(module):
    """What an analysis has beside its three functions, if it has."""
    keys = ("pages", "found", "subject", "is_of_answers")
    return {key: getattr(module, key) for key in keys if hasattr(module, key)}


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """Few steps and few checkpoints: the slow probes look at each."""
    from interp.runs.schedule import make_schedule
    from interp.training.train import train

    schedule = make_schedule(120, ["0", "120"], [])
    return train(tiny_config(120, schedule=schedule), tmp_path_factory.mktemp("runs") / "short", threads=1)


# The doors are the same for all; what each draws has tests of its own.
IN_CI = ("fourier",)


@pytest.mark.parametrize(
    "name", [name if name in IN_CI else pytest.param(name, marks=pytest.mark.slow) for name in OF_A_RUN]
)
def test_both_doors_answer_alike_and_redraw_without_torch(name, short_run, tmp_path, monkeypatch):
    by_script, by_command = tmp_path / "script", tmp_path / "command"
    module, options = script(name), ["--device", "cpu", "--out"]
    is_of_answers = getattr(module, "is_of_answers", True)
    monkeypatch.setattr("sys.argv", ["/there/first", "typed"])
    frame.main(
        name, module.__doc__, module.compute, module.draw, module.summarize,
        ["--run", str(short_run.path), *options, str(by_script)], **more_of(module),
    )  # fmt: skip
    summary = json.loads((by_script / "summary.json").read_text())
    shared = {"run", "p", "step", "config", "versions", "command", "does_not_apply"}
    assert ("outcome" in summary) == is_of_answers
    assert shared | PROMISED.get(name, set()) <= summary.keys()
    assert (summary["run"], summary["p"], summary["step"]) == ("short", 11, 120)
    assert list(by_script.glob("*.csv"))

    result = CliRunner().invoke(app, ["analyse", name, str(short_run.path), *options, str(by_command)])
    assert result.exit_code == 0, result.output
    assert f"\n{by_command / name}.pdf, .png, summary.json and " in result.output
    judged = re.match(r"The run has not generalised by step \d+: its test accuracy is 0\.", result.output)
    assert (judged is not None) == is_of_answers
    files = sorted(path.name for path in by_script.iterdir())
    assert files == sorted(path.name for path in by_command.iterdir())
    assert {f"{name}.png", f"{name}.pdf", "about.json", "summary.json"} < set(files)
    for file in files:
        if file.endswith(".json"):
            one, other = (json.loads((out / file).read_text("utf-8")) for out in (by_script, by_command))
            assert (one.pop("command"), other.pop("command")) == ("python /there/first typed", "interp typed")
            assert one == other
        else:
            assert (by_script / file).read_bytes() == (by_command / file).read_bytes(), file

    code = (
        f"import sys; sys.argv = ['{name}', '--run', {str(short_run.path)!r}, '--out', {str(by_command)!r}]\n"
        "sys.argv.append('--draw-only')\n"
        f"import runpy; runpy.run_path({str(ANALYSES / (name + '.py'))!r}, run_name='__main__')\n"
        "assert 'torch' not in sys.modules, 'drawing loaded torch'"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
    redrawn = json.loads((by_command / "summary.json").read_text())
    assert redrawn | {"command": summary["command"]} == summary
    for suffix in (".png", ".pdf"):
        before, after = ((out / f"{name}{suffix}").read_bytes() for out in (by_script, by_command))
        assert after == before, "equal tables must give equal files"


def test_scripts_and_analyses_are_the_same_ones():
    assert sorted(analyses.__all__) == NAMES
    for name in NAMES:
        module, own = analyses.named(name), script(name)
        assert module.__doc__.partition("\n")[0] == own.__doc__.partition("\n")[0]
        assert (own.compute, own.draw, own.summarize) == (module.compute, module.draw, module.summarize)


def test_help_of_a_script_shows_the_whole_question(capsys):
    with pytest.raises(SystemExit, match="0"):
        frame.main("fourier", analyses.fourier.__doc__, unused, unused, unused, ["--help"])
    told = capsys.readouterr().out
    assert "Nanda et al. 2023, sections 4 and 5" in told and "--run checkpoints/mainline --out" in told


def test_a_run_must_be_named_where_the_bundled_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(frame, "BUNDLED_RUN", tmp_path / "site-packages" / "checkpoints" / "mainline")
    for arguments in ([], ["--draw-only"], ["--out", str(tmp_path)]):
        with pytest.raises(
            SystemExit, match="f: f needs a run, got none. The bundled run comes with the repos"
        ):
            frame.main("f", "", unused, unused, unused, arguments)
    # Redrawing from a folder needs no run.
    with pytest.raises(SystemExit, match="holds no tables of this analysis"):
        frame.main("f", "", unused, unused, unused, ["--out", str(tmp_path), "--draw-only"])


def test_drawing_without_tables_says_what_to_do(tmp_path, capsys):
    with pytest.raises(SystemExit, match="holds no tables of this analysis to draw. Run `python analyses/f"):
        frame.main("f", "", unused, unused, unused, ["--out", str(tmp_path), "--draw-only"])


def test_a_directory_that_is_no_run_is_one_line(tmp_path):
    with pytest.raises(SystemExit, match="f: .* holds no run and no checkpoints: neither a run.json"):
        frame.main("f", "", unused, unused, unused, ["--run", str(tmp_path)])


def test_a_table_that_is_missing_is_named(tmp_path):
    write_tables(tmp_path, {"t": pd.DataFrame({"step": [0]})}, {"run": "r"})
    (tmp_path / "t.csv").unlink()
    with pytest.raises(SystemExit, match="f: .*t.csv is missing. Run the analysis again without --draw-only"):
        frame.main("f", "", unused, unused, unused, ["--out", str(tmp_path), "--draw-only"])


def test_results_of_another_run_of_the_same_name_are_not_mixed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tables(
        Path("figures/r/f"), {"t": pd.DataFrame({"step": [0]})}, {"run": "r", "path": "/elsewhere/r"}
    )
    with pytest.raises(SystemExit, match="holds the results of another run of this name, /elsewhere/r"):
        frame.main("f", "", unused, unused, unused, ["--run", str(tmp_path / "r"), "--draw-only"])


@pytest.mark.slow
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


@pytest.mark.parametrize(
    "name",
    [
        name if name in ("fourier", "digits") else pytest.param(name, marks=pytest.mark.slow)
        for name in OF_A_RUN
    ],
)
def test_of_a_task_without_an_algebra_what_applies_is_drawn(name, tmp_path):
    operation = ("random", "x2+y2")[OF_A_RUN.index(name) % 2]
    from interp.runs.schedule import make_schedule
    from interp.training.train import train

    recipe = tiny_config(20, task={"operation": operation}, schedule=make_schedule(20, ["0", "20"], []))
    run = train(recipe, tmp_path / "run", threads=1)
    out, module = tmp_path / "out", script(name)
    frame.main(
        name, "", module.compute, module.draw, module.summarize,
        ["--run", str(run.path), "--out", str(out), "--device", "cpu"], **more_of(module),
    )  # fmt: skip
    summary = json.loads((out / "summary.json").read_text())
    needs_algebra = {
        "explain",
        "fourier",
        "progress_measures",
        "attention",
        "clock_pizza",
        "groups",
        "digits",
        "languages",
        "parity",
    }
    reasons = [r for r in summary["does_not_apply"] if operation in r]
    assert bool(reasons) == (name in needs_algebra)
    if getattr(module, "is_of_answers", True):
        assert summary["outcome"]["said"].startswith("The run has not generalised")
    if name == "attention":
        assert summary["heads"][0]["attention_sd"]["0"] > 0
        maps = pd.read_csv(out / "patterns_at_end.csv")
        assert len(maps) == 121 and maps["L0H0"].between(0, 1).all()


@pytest.mark.slow
def test_tables_of_another_version_are_told_as_such(short_run, tmp_path):
    module, out = script("fourier"), tmp_path / "out"
    arguments = ["--run", str(short_run.path), "--out", str(out), "--device", "cpu"]
    frame.main("fourier", "", module.compute, module.draw, module.summarize, arguments)
    spectrum = pd.read_csv(out / "logit_spectrum.csv").drop(columns="null")
    spectrum.to_csv(out / "logit_spectrum.csv", index=False)
    with pytest.raises(
        SystemExit, match="have no 'null': another version wrote them. Run `python analyses/fou"
    ):
        frame.main("fourier", "", module.compute, module.draw, module.summarize, [*arguments, "--draw-only"])


def test_a_number_of_a_key_set_is_given_beside_random_sets_alone():
    from interp.probes import fourier_sparsity, logit_spectrum, losses, progress_measures, weight_norms

    def summary(frequencies):
        snapshot = hand_built.clock([2, 5])
        probes = (losses, fourier_sparsity, logit_spectrum, weight_norms)
        tables = {probe.__name__: probe(snapshot).assign(step=0) for probe in probes}
        measures = progress_measures(snapshot, frequencies=frequencies).assign(step=0)
        key = pd.DataFrame({"frequency": frequencies, "is_key": True, "chosen_by": "hand"})
        tables |= {"progress_measures": measures, "key_frequencies": key, "history": pd.DataFrame()}
        return analyses.progress_measures.summarize(tables)

    assert summary([2, 5])["restricted_accuracy"] == 1 and summary([2, 5])["has_random_sets"]
    # Of six frequencies two remain, which are no set of four.
    found = summary([1, 2, 3, 5])
    assert (found["restricted_accuracy"], found["trig_loss"], found["has_random_sets"]) == (None, None, False)


def test_where_no_names_can_tell_a_head_is_not_called_chance():
    from interp.analyses.attention import _said

    row = {"step": 0, "layer": 0, "head": 1, "frequency": 2, "fraction_explained": 0.8}
    for null, said in (
        (0.5, "$k=2$, 0.80"),
        (0.9, "$k=2$, 0.80, chance"),
        (float("inf"), "$k=2$, 0.80, no null"),
    ):
        assert _said(pd.DataFrame([row | {"null": null}]), "L0H1") == said


def test_the_axes_of_attention_are_what_is_drawn_along_them(tmp_path):
    """Multiplication is drawn in the order of logarithms, in which its patterns are waves, and says so."""
    from interp.analyses.attention import axis_label
    from interp.figures import style
    from interp.runs.schedule import make_schedule
    from interp.training.train import train
    from interp.views import animations
    from interp.views.pictures import PICTURES

    schedule = make_schedule(5, ["0", "5"], [])
    for operation, labels in (
        ("add", ["$a$", "$b$"]),
        ("subtract", ["$a$", "$-b$ mod 11"]),
        ("multiply", [r"$\log_{2} a$", r"$\log_{2} b$"]),
        ("divide", [r"$\log_{2} a$", r"$\log_{6} b$"]),
    ):
        run = train(
            tiny_config(5, task={"operation": operation}, schedule=schedule), tmp_path / operation, threads=1
        )
        tables = analyses.attention.compute(run, "cpu")
        assert all(0 < head["qk_null"] < 1 for head in analyses.attention.summarize(tables)["heads"])
        assert tables["pattern_axes"]["label"].tolist() == labels
        # The cell of each pair is that pair's attention, whatever the order.
        structure, task = run.task.structure, run.task
        maps = tables["patterns_at_end"].set_index(["first", "second"])["L0H0"]
        _, cache = run.model(5).run_with_cache(task.tokens)
        to_first = cache["blocks.0.attn.hook_pattern"][:, 0, -1, 0]
        for i in (3, 50, 109):
            a, b = structure.pairs[i].tolist()
            place = (int(structure.first[a]), int(structure.second[b]))
            if min(place) >= 0:
                assert maps[place] == pytest.approx(to_first[i].item(), abs=2e-5)  # five decimals are kept
    figure = analyses.attention.draw(with_answers(run, tables, "cpu"))
    maps = [ax for sub in figure.subfigs[:1] for ax in sub.axes]
    assert maps[0].get_ylabel() == labels[0] and maps[0].get_xlabel() == labels[1]
    assert axis_label("a", structure.first.numpy(), 10) == labels[0]
    # The answers over pairs lie in that order too, in pictures and in films.
    for name in ("logit_map", "neuron_map"):
        picture = PICTURES[name]
        tables = picture.compute(run, "cpu", 5)
        ax = picture.draw(tables).axes[0]
        assert (ax.get_ylabel(), ax.get_xlabel()) == tuple(labels)
        assert picture.caption(tables).endswith(" Axes: log₆ b and log₂ a.")
    film = animations.named("logits")
    band = style.blank_figure(2.0).subfigures()
    film.setup(film.compute(run, [5], "cpu"), band)
    assert (band.axes[0].get_ylabel(), band.axes[0].get_xlabel()) == tuple(labels)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::interp.sources.SourceWarning")
@pytest.mark.parametrize(
    "name", ["attention", "clock_pizza", "fourier", "groups", "progress_measures", "weight_norms"]
)
def test_a_run_whose_split_is_lost_is_analysed_all_the_same(name, tmp_path):
    """A network that generalises and no record of its train pairs: what needs none is drawn, and named as it is."""
    weights = hand_built.clock([2, 5]).weights
    (tmp_path / "clock").mkdir()
    for step, scale in ((100, 1.0), (200, 10.0)):
        changed = {"unembed.W_U": weights["unembed.W_U"] * scale}
        torch.save({**weights, **changed}, tmp_path / "clock" / f"step_{step}.pt")
    module, out = script(name), tmp_path / "out"
    frame.main(
        name, "", module.compute, module.draw, module.summarize,
        ["--run", str(tmp_path / "clock"), "--out", str(out), "--device", "cpu"],
    )  # fmt: skip
    assert (out / f"{name}.png").stat().st_size > 0
    summary = json.loads((out / "summary.json").read_text())
    assert "accuracy on all rows" in summary["outcome"]["said"]
    assert summary.get("test_accuracy") is None


@pytest.fixture(scope="module")
def lone_checkpoint(tmp_path_factory):
    """A file of weights of a network that generalises, and nothing beside it: no step, no split."""
    from safetensors.torch import save_file

    from tests import hand_built

    snapshot = hand_built.clock([2, 5])
    file = tmp_path_factory.mktemp("downloaded") / "model.safetensors"
    save_file({name: w.contiguous() for name, w in snapshot.weights.items()}, file)
    return file


def texts_of(figure):
    """All that a figure says."""
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.filterwarnings("ignore::interp.sources.SourceWarning")
@pytest.mark.parametrize(
    "name", thinned(["attention", "clock_pizza", "fourier", "geometry", "weight_norms"], 2)
)
def test_a_lone_checkpoint_of_an_unknown_split_is_drawn_at_its_step(name, lone_checkpoint):
    from interp.sources.opening import open_stated

    module = analyses.named(name)
    run = open_stated(lone_checkpoint, {"activation": "quadratic"})
    tables = with_answers(run, module.compute(run, "cpu"), "cpu")
    figure = module.draw(tables)
    figure.draw_without_rendering()
    assert not any("grokking" in text or "memorization" in text for text in texts_of(figure))
    along = [ax for ax in figure.findobj(Axes) if ax.axison and ax.get_xlabel() == "training step"]
    assert along
    for ax in along:
        assert (ax.get_xlim(), ax.get_xticks().tolist()) == ((-0.5, 0.5), [0])
    module.summarize(tables)
    if name == "geometry":
        reasons = tables["does_not_apply"].set_index("table")["reason"]
        assert reasons["sharpness"].startswith(
            "This needs the train/test split, which the run does not have."
        )
        # What needs no split is there.
        assert len(tables["kernel_distance"]) == 2
        assert module.summarize(tables)["steps"] == [0]


@pytest.mark.slow
def test_legends_of_the_geometry_fit_their_panels():
    """Also where the ticks of a panel are wide; what does not fit takes width from the panels at each drawing."""
    from tests.figures import test_figures as made

    tables = {
        "history": made.HISTORY,
        "sharpness": made.SHARPNESS,
        "gradient_statistics": made.GRADIENTS.assign(noise_scale=[260.0, 330.0, 380.0]),
        "kernel_distance": made.KERNELS,
        "local_complexity": made.COMPLEXITY,
        "compressibility": made.SIZES,
        "learning_coefficient": made.COEFFICIENTS.assign(chain=0, acceptance=1.0),
    }
    figure = analyses.geometry.draw(tables)
    figure.draw_without_rendering()
    width = figure.axes[5].get_position().width
    for ax in figure.axes:
        assert ax.get_legend().get_window_extent().x1 <= figure.bbox.x1
    figure.draw_without_rendering()
    assert figure.axes[5].get_position().width > 0.95 * width > 0.18


def test_a_failing_probe_of_an_analysis_gives_no_advice_of_another_door(short_run, monkeypatch):
    from interp.measurement.measure import measure
    from interp.measurement.stream import MeasureError

    def broken(snapshot):
        raise ZeroDivisionError("here.")

    def compute(run, device):
        return measure(run, {"broken": broken})

    options = {"draw_only": False, "device": "cpu", "program": "interp analyse f", "stated": {}}
    with pytest.raises(
        MeasureError, match=r"Probe 'broken' failed .*: ZeroDivisionError: here \(.*:\d+\)\. What"
    ) as caught:
        frame.answer(frame.Analysis("f", compute, unused, unused), str(short_run.path), None, **options)
    assert "on_error" not in str(caught.value) and "--keep-going" not in str(caught.value)


def test_what_terminals_obey_is_shown_as_text(tiny_run, tmp_path):
    options = ["--run", str(tiny_run.path), "--out", str(tmp_path), "--unit", "x\x1b[2J"]
    with pytest.raises(SystemExit, match=r"f: .* leave out --unit x\\x1b\[2J") as end:
        frame.main("f", "", unused, unused, unused, options)
    assert "\x1b" not in str(end.value.code)

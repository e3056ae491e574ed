"""Figures by their names: each function of the library has one, and what it says are the numbers of its tables."""

import inspect
import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from typer.testing import CliRunner

from interp import figures
from interp.analyses.attention import pattern_maps
from interp.commands.cli import app
from interp.figures import style
from interp.tables.accuracies import by_split
from interp.tables.outcome import outcome
from interp.views import pictures
from interp.views.pictures import PARTS, PICTURES, making, named, trials, whole
from interp.views.pictures.captions import full_caption, grokking_said, latex, latex_figure
from interp.views.pictures.papers import by_difference
from tests.thinned import thinned

ROOT = Path(__file__).parents[2]


def script():
    spec = spec_from_file_location("make_gallery", ROOT / "docs" / "make_gallery.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def gallery():
    return script()


@pytest.fixture(scope="module")
def kept(gallery):
    """The tables of every picture that the gallery keeps, and what they are of."""
    return {name: gallery.kept(name) for name in pictures.names()}


OF_A_RUN = [name for name in pictures.names() if named(name).subject is None]


def exported():
    return {name for name, value in vars(figures).items() if inspect.isfunction(value)}


def test_every_figure_function_has_a_picture_or_is_a_part_of_others():
    assert exported() - set(PICTURES) == set(PARTS)
    assert not set(PARTS) & set(PICTURES)


def test_a_name_that_there_is_not_is_told_with_those_close_to_it():
    with pytest.raises(ValueError, match="no figure 'loss_curve'. Close to it: loss_curves") as error:
        named("loss_curve")
    assert "spectrum_map" not in str(error.value)
    with pytest.raises(ValueError, match="no figure 'zzz'. There are: attention, .*, skill_bars"):
        named("zzz")


def test_latex_obeys_nothing_that_a_caption_says():
    said = r"W_E: 95 % of $x$ & {a}, #1 ~ 2^7 < 3 > 1 \n | " + '"='
    assert latex(said) == (
        r"W\_E: 95 \% of \$x\$ \& \{a\}, \#1 \textasciitilde{} 2\textasciicircum{}7 \textless{} 3 \textgreater{} 1 "
        r"\textbackslash{}n \textbar{} \textquotedbl{}="
    )
    assert latex_figure("figures/a_b.pdf", "5 %", "a_b").splitlines() == [
        r"\begin{figure}[t]",
        r"  \centering",
        r"  \includegraphics{figures/a_b.pdf}",
        r"  \caption{5 \%}",
        r"  \label{fig:a_b}",
        r"\end{figure}",
    ]


def three(value):
    return f"{float(value):.3g}"


def at_end(table, **where):
    rows = table[table["step"] == table["step"].max()]
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return rows


def numbers_of_losses(tables):
    last = at_end(by_split(tables["history"])).iloc[0]
    grokking = outcome(tables).grokking
    return [three(last["train_loss"]), three(last["test_loss"]), f"{grokking.before} and {grokking.step}"]


def numbers_of_spectrum(tables):
    last = at_end(tables["embedding_spectrum"])
    top = last.sort_values("fraction", ascending=False).iloc[0]
    return [f"k = {int(top['frequency'])} ({top['fraction']:.1%})", three(last["null"].iloc[0])]


def numbers_of_components(tables):
    table = tables["logit_components"]
    diagonal = table[(table["frequency_first"] == table["frequency_second"]) & (table["frequency_first"] > 0)]
    return [f"holds {diagonal['fraction'].sum():.1%}"]


def numbers_of_neurons(tables):
    table = tables["neuron_frequencies"]
    counts = table["frequency"].value_counts()
    return [f"{counts[29]} at k = 29", f"{(table['fraction_explained'] >= 0.85).sum()} reach 0.85"]


def numbers_of_progress(tables):
    rows = at_end(tables["progress_measures"], measure="restricted_loss", split="all").set_index("selection")
    random = rows.loc["random"]
    band = f"(random sets {three(random['loss_min'])} to {three(random['loss_max'])})"
    return [f"restricted loss {three(rows.loc['key', 'loss'])} {band}"]


def numbers_of_norms(tables):
    total = tables["weight_norms"].query("matrix == 'total'")["sum_of_squares"]
    return [three(total.iloc[0]), three(total.max()), three(total.iloc[-1])]


def numbers_of_attention(tables):
    row = tables["attention_periodicity"].iloc[0]
    return [f"L0H0 k = {row['frequency']} explains {row['fraction_explained']:.2f} (null {row['null']:.2f})"]


def numbers_of_effects(tables):
    counts = tables["effects"]["verdict"].value_counts()
    return [f"{len(tables['effects'])} effects", *(f"{n} {verdict}" for verdict, n in counts.items())]


def numbers_of_cells(tables):
    cells = tables["cells"]
    return [f"{cells['grokking'].sum()} grokking", f"{cells['comprehension'].sum()} comprehension"]


NUMBERS = {
    "loss_curves": numbers_of_losses,
    "spectrum_map": numbers_of_spectrum,
    "component_map": numbers_of_components,
    "neuron_histogram": numbers_of_neurons,
    "progress_curves": numbers_of_progress,
    "total_norm_curve": numbers_of_norms,
    "attention_map": numbers_of_attention,
    "effect_intervals": numbers_of_effects,
    "phase_cells": numbers_of_cells,
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_caption_says_the_numbers_of_its_tables(name, kept):
    tables, _ = kept[name]
    said = named(name).caption(tables)
    assert all(number in said for number in NUMBERS[name](tables)), said


def test_a_caption_names_run_and_checkpoints(kept):
    said = {
        name: full_caption(named(name), *kept[name])
        for name in ("loss_curves", "component_map", "noise_curve")
    }
    n = kept["loss_curves"][0]["losses"]["step"].nunique()
    assert said["loss_curves"].endswith(f"Run mainline (p = 113), {n} checkpoints from step 0 to 10000.")
    assert said["component_map"].endswith("Run mainline (p = 113), checkpoint of step 10000.")
    # Slow probes look at fewer than are saved.
    few = kept["noise_curve"][0]["gradient_statistics"]["step"].nunique()
    assert few < n and f"{few} checkpoints" in said["noise_curve"]
    assert full_caption(named("phase_cells"), *kept["phase_cells"]).endswith("Runs: boundary, 280 runs.")


def never_right(table):
    names = [name for name in table if name.endswith("accuracy")]
    return table.assign(**dict.fromkeys(names, 0.01))


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("spectrum_map", "embedding_spectrum"),
        ("feature_curves", "logit_spectrum"),
        ("neuron_histogram", "neuron_frequencies"),
        ("attention_map", "attention_periodicity"),
        ("quality_curves", "representation_quality"),
    ],
)
def test_a_null_that_there_is_not_is_neither_a_number_nor_a_line(name, table, kept):
    tables, _ = kept[name]
    said = named(name).caption({**tables, table: tables[table].assign(null=float("inf"))})
    assert "inf" not in said.replace("infer", "") and "line on the colour bar" not in said
    assert "(null" not in said and "Dotted: the null" not in said
    there = named(name).caption(tables)
    assert "null" in there or "line on the colour bar" in there


def test_a_head_that_is_constant_has_no_best_frequency(kept):
    tables, _ = kept["periodicity_curves"]
    constant = {"frequency": 0, "fraction_explained": float("nan"), "null": float("nan")}
    table = tables["attention_periodicity"]
    table = table.assign(**{c: table[c].where(table["head"] > 0, x) for c, x in constant.items()})
    said = named("periodicity_curves").caption({**tables, "attention_periodicity": table})
    assert "L0H0 is constant" in said and "nan" not in said and " at k = 0" not in said


def test_without_a_key_set_no_panel_of_a_paper_speaks_of_one(kept):
    tables, _ = kept["nanda2023"]
    never = {**tables, "losses": never_right(tables["losses"])}
    never["key_frequencies"] = tables["key_frequencies"].assign(is_key=False)
    legends = [ax.get_legend() for ax in named("nanda2023").draw(never).axes]
    words = [text.get_text() for legend in legends if legend for text in legend.get_texts()]
    assert "excluded loss, strongest 5" in words and "strongest 5 alone" in words
    assert not any("key set" in word for word in words)


def test_a_run_that_never_memorized_is_shown_from_its_first_checkpoint(kept):
    tables, _ = kept["liu2022"]
    assert "the first checkpoint that has memorized" in named("liu2022").caption(tables)
    never = {n: never_right(t) if n in ("history", "losses") else t for n, t in tables.items()}
    said = named("liu2022").caption(never)
    assert "at the first checkpoint and at the last" in said and "memorized" not in said.split("(c)")[0]


def test_accuracy_on_all_rows_is_called_so_in_the_figure_after_zhong(kept):
    tables, _ = kept["zhong2023"]
    losses = tables["losses"]
    unknown = {**tables, "losses": losses[losses["split"] == "test"].assign(split="all")}
    legends = [ax.get_legend() for ax in named("zhong2023").draw(unknown).axes]
    words = [text.get_text() for legend in legends if legend for text in legend.get_texts()]
    assert "accuracy on all rows" in words and "test accuracy" not in words


@pytest.mark.parametrize("n", [5, 6])
def test_the_right_answer_is_drawn_by_sum_and_difference(n):
    _, axes = figures.style.new_figure()
    a, b = (x.reshape(-1) for x in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    # A pizza: of the difference alone.
    logit = 10.0 * ((a - b) % n) + 0.0 * b
    by_difference(pd.DataFrame({"first": a, "second": b, "logit": logit}), axes[0, 0])
    (grid,) = (np.asarray(x.get_array()).reshape(n, n) for x in axes[0, 0].collections)
    assert grid.tolist() == [[10.0 * d] * n for d in range(n)]
    assert (axes[0, 0].get_ylabel(), axes[0, 0].get_xlabel()) == (f"$a - b$ mod {n}", f"$a + b$ mod {n}")


def test_random_sets_are_spoken_of_where_there_are_some(kept):
    tables, _ = kept["chughtai2023"]
    losses = tables["representation_losses"]
    assert "random" not in losses["selection"].tolist()
    assert "random sets" not in named("chughtai2023").caption(tables)
    drawn = pd.concat([losses, losses.head(1).assign(selection="random")])
    assert "beside those of random sets" in named("chughtai2023").caption(
        {**tables, "representation_losses": drawn}
    )


# What a caption speaks of where it shows no time axis.
TIMELESS = {
    "attention_map", "component_map", "neuron_histogram", "qk_bars", "feature_curves", "spectrum_map",
    *("branch_curves", "effect_intervals", "order_brackets", "values_by_arm", "verdict_grid"),
    *("embedding_circles", "frequency_loss_points", "logit_map", "neuron_map"),
    *("language_spectrum_bars", "removal_bars", "variance_points"),
    # Of heads that form where nothing is memorized.
    *("part_curves", "head_curves", "ablation_curves"),
}  # fmt: skip


@pytest.mark.parametrize("name", thinned(OF_A_RUN, 3))
def test_a_run_that_never_generalised_says_so(name, kept):
    tables, _ = kept[name]
    tables = {
        table: never_right(rows) if table in ("history", "losses") else rows for table, rows in tables.items()
    }
    said, figure = named(name).caption(tables), making.drawn(named(name), tables, {})
    assert name in TIMELESS or "has not generalised by step" in said
    assert any("has not generalised by step" in text.get_text().replace("\n", " ") for text in figure.texts)


def test_where_nothing_says_whether_it_has_the_caption_alone_does(kept):
    tables = {
        name: rows for name, rows in kept["total_norm_curve"][0].items() if name not in ("history", "losses")
    }
    assert "is not known" in named("total_norm_curve").caption(tables)
    figure = making.drawn(named("total_norm_curve"), tables, {})
    assert not any("has generalised" in text.get_text().replace("\n", " ") for text in figure.texts)


@pytest.mark.parametrize("name", thinned(OF_A_RUN, 3))
def test_a_single_checkpoint_is_drawn_and_told(name, kept):
    tables, about = kept[name]
    alone = {
        table: rows if table == "history" or "step" not in rows else at_end(rows)
        for table, rows in tables.items()
    }
    named(name).draw(alone)
    said = full_caption(named(name), alone, about)
    assert "checkpoint of step" in said or "one checkpoint, step" in said


def test_steps_of_a_run_that_counts_epochs_are_epochs(kept):
    for name in ("total_norm_curve", "liu2022"):
        tables, about = kept[name]
        said = full_caption(named(name), tables, about | {"unit": "epoch"})
        texts = [
            text.get_text() for text in making.drawn(named(name), tables, {"unit": "epoch"}).findobj(Text)
        ]
        assert "epoch 10000" in said and "training epoch" in texts
        assert not any("step" in text for text in [said, *texts])
    # Arms are trained here, in steps, whatever the checkpoints of the run count.
    tables, about = kept["effect_intervals"]
    assert full_caption(named("effect_intervals"), tables, about | {"unit": "epoch"}).startswith(
        "Steps from the"
    )


def test_a_caption_says_which_band_is_drawn_of_a_run_that_had_generalised_before():
    steps = [100, 200, 300]
    losses = pd.DataFrame({"step": steps, "split": "test", "loss": 0.1, "accuracy": 1.0})
    tables = {"losses": losses, "weight_norms": pd.DataFrame({"step": steps})}
    assert grokking_said(tables).startswith(
        "Grey band: test accuracy stays at 0.95 or above by step 100, the first"
    )
    alone = {name: table[table["step"] == 100] for name, table in tables.items()}
    assert grokking_said(alone).startswith("No band: test accuracy stays at 0.95 or above by step 100")


def test_what_began_before_the_first_checkpoint_began_by_it():
    nan = float("nan")
    moves = pd.DataFrame({"what": ["a", "b", "c"], "after": [nan, 100, 300], "by": [100, 200, nan]})
    assert "a [by 100], b [100 to 200] and c [not by 300]" in trials._moves_said({"moves": moves})


@pytest.mark.parametrize("identity", [{}, {"branch_step": [100, 100, 200], "kind": "jitter"}])
def test_arms_of_one_branch_step_need_not_say_which(identity, annotations_off):
    rows = {"arm": ["norm", "eps", "late"], "dose": None, "ratio": [2.0, 4.0, 9.0], "n_pairs": 3}
    branch = {"arm": "x", "pair": "0", "branch_step": 100, "since": [0, 10], "test_accuracy": [0.0, 1.0]}
    curves = {
        (arm, None, "jitter"): pd.DataFrame(branch | {"arm": arm})
        for arm in ("norm", "eps", "late", "control")
    }
    told = SimpleNamespace(effects=pd.DataFrame(rows | identity), main_step=100, curves=curves, lock=None)
    wanted = ["eps", "norm", "control"] if identity else ["late", "eps", "norm", "control"]
    elsewhere = SimpleNamespace(**vars(told) | {"main_step": 300})
    with annotations_off():
        found, none = trials._branches(told)["branches"], trials._branches(elsewhere)["branches"]
    assert found["label"].unique().tolist() == wanted
    assert len(none) == (0 if identity else len(found))


def test_heads_are_in_their_order_and_not_in_that_of_letters():
    table = pd.DataFrame(
        {"first": [0, 1], "second": 0, **{f"L0H{i}": [0.0, i in (2, 10)] for i in range(11)}}
    )
    figure = style.blank_figure(2.0)
    tables = {
        "patterns_at_end": table.astype(float),
        "pattern_axes": pd.DataFrame({"label": ["a", "b"]}),
        "attention_periodicity": pd.DataFrame(),
    }
    names = [ax.get_title() for ax in pattern_maps(figure, tables)]
    assert names.index("L0H2") < names.index("L0H10")
    said = PICTURES["attention_map"].caption
    assert "to the first operand, from 0 to 1, over all inputs (a, b)" in said(tables)
    # Of rows that are no pairs.
    of_tokens = {**tables, "pattern_axes": pd.DataFrame({"label": ["first token", "second token"]})}
    assert "to the first token, from 0 to 1, mean over all inputs that share" in said(of_tokens)


def figure_of(*arguments):
    return CliRunner().invoke(app, ["figure", *map(str, arguments)])


def test_the_list_has_a_line_each():
    listed = figure_of("--list").output.splitlines()
    assert listed == figure_of().output.splitlines()
    assert [line.split()[0] for line in listed] == pictures.names()
    assert next(line for line in listed if line.startswith("qk_bars")).endswith(PICTURES["qk_bars"].shows)


@pytest.mark.slow
def test_kept_tables_are_drawn_without_torch_while_the_run_is_the_same(tiny_run_copy, tmp_path):
    run, out = tiny_run_copy.path, tmp_path / "out"
    first = figure_of(run, "spectrum_map", "--out", out, "--as", "pdf,png,svg", "--caption")
    assert first.exit_code == 0, first.output
    files = {file.name: file.read_bytes() for file in out.iterdir()}
    wanted = {"about.json", "summary.json", "embedding_spectrum.csv", "losses.csv", "history.csv"}
    assert wanted | {f"spectrum_map.{kind}" for kind in ("pdf", "png", "svg")} <= files.keys()
    summary = json.loads(files["summary.json"])
    assert summary["preset"] == "journal-text" and summary["run"] == "tiny" and "versions" in summary
    assert latex(summary["caption"]) in first.stdout and first.stdout.startswith(r"\begin{figure}")

    code = (
        f"import sys; sys.argv = ['interp', 'figure', {str(run)!r}, 'spectrum_map', '--out', {str(out)!r}, "
        "'--as', 'pdf,png,svg']\n"
        "from interp.commands.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules, 'drawing loaded torch'"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "drawn from the tables there" in done.stdout
    assert {file.name: file.read_bytes() for file in out.iterdir()} == files

    index = json.loads((run / "index.json").read_text())
    last = index.pop("300")
    (run / "index.json").write_text(json.dumps(index))
    again = figure_of(run, "spectrum_map", "--out", out)
    assert again.exit_code == 0 and "drawn from" not in again.output, again.output
    assert pd.read_csv(out / "embedding_spectrum.csv")["step"].max() == 250
    # What is asked for redraws what is there, whatever became of the run.
    (run / "index.json").write_text(json.dumps(index | {"300": last}))
    asked = figure_of(run, "spectrum_map", "--out", out, "--draw-only")
    assert "drawn from the tables there" in asked.output
    assert pd.read_csv(out / "embedding_spectrum.csv")["step"].max() == 250


def test_another_step_device_or_trial_is_another_question(tiny_run, tmp_path):
    def key(name="component_map", run=tiny_run.path, others=(), **asked):
        return making.made_from(
            name, named(name), str(run), others, **{"step": None, "device": "auto", "stated": {}} | asked
        )

    assert key() == key() is not None
    others = [key("qk_bars"), key(step=50), key(device="cpu"), key(stated={"task": "x"})]
    assert len({key(), *others}) == 5
    # Of someone's checkpoints no index says what they hold.
    assert key(run=tmp_path) is None and key(others=[str(tmp_path)]) is None
    evidence = ROOT / "analyses" / "evidence" / "boundary"
    assert key("phase_cells", evidence) == key("phase_cells", evidence) is not None


def test_a_step_is_that_of_a_picture_of_one_checkpoint(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = figure_of(tiny_run.path, "component_map", "--step", 150)
    assert done.exit_code == 0, done.output
    out = Path("figures/tiny/figure/component_map-step-150")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["step"] == 150 and "checkpoint of step 150" in summary["caption"]
    assert set(pd.read_csv(out / "logit_components.csv")["step"]) == {150}
    with pytest.raises(ValueError, match="no checkpoint at step 151.*nearest.*150"):
        making.make("component_map", str(tiny_run.path), step=151)
    with pytest.raises(
        ValueError, match="loss_curves shows all checkpoints of a run and takes no --step, got 150"
    ):
        making.make("loss_curves", str(tiny_run.path), step=150)


@pytest.mark.slow
def test_what_cannot_be_drawn_is_said(tiny_run, tmp_path):
    def make(name, **asked):
        return making.make(name, str(tiny_run.path), tmp_path / "out", device="cpu", **asked)

    with pytest.raises(ValueError, match="written as pdf, png, svg or some of them, got pdf, gif"):
        make("loss_curves", formats=["pdf", "gif"])
    with pytest.raises(ValueError, match="no preset 'neurips-colum'"):
        make("loss_curves", preset="neurips-colum")
    with pytest.raises(ValueError, match="holds no tables of this analysis to draw"):
        making.make("loss_curves", str(tiny_run.path), tmp_path / "none", draw_only=True)
    with pytest.raises(
        ValueError, match="concentration_curves shows nothing of run 'tiny': The group C11 has no"
    ):
        make("concentration_curves")
    make("loss_curves")
    with pytest.raises(
        ValueError, match="out holds the tables of loss_curves, not of total_norm_curve. Name that"
    ):
        make("total_norm_curve", draw_only=True)
    make("component_map", step=150)
    with pytest.raises(
        ValueError, match="holds the tables of step 150, not of step 100. Name that, or another"
    ):
        make("component_map", step=100, draw_only=True)
    assert make("component_map", step=150, draw_only=True).was_kept
    assert not making.make("total_norm_curve", str(tiny_run.path), tmp_path / "out", device="cpu").was_kept
    with pytest.raises(ValueError, match="loss_curves is asked of one run, got 2"):
        make("loss_curves", others=["x"])
    with pytest.raises(ValueError, match="effect_intervals shows nothing of run 'tiny': no arm was trained"):
        make("effect_intervals")
    done = figure_of(tiny_run.path)
    assert done.exit_code == 1 and "needs the name of a figure after" in str(done.exception)


def test_a_network_without_attention_is_told_what_it_lacks(tmp_path):
    run = tmp_path / "mlp"
    size = ["--group", "S3", "--d-model", "8", "--d-mlp", "8", "--steps", "2", "--save", "every:2"]
    trained = CliRunner().invoke(app, ["train", str(run), "--preset", "s5", *size, "--threads", "1"])
    assert trained.exit_code == 0, trained.output
    for name in ("attention_map", "qk_bars", "periodicity_curves"):
        with pytest.raises(ValueError, match=f"{name} shows nothing of run 'mlp': .*attention"):
            making.make(name, str(run), tmp_path / name, device="cpu")
        assert not (tmp_path / name).exists()


def test_many_frequencies_are_drawn():
    steps, p = [0, 100], 997
    parts = [
        pd.DataFrame({"step": s, "frequency": range(1, p // 2 + 1), "fraction": 2 / p, "null": 0.01})
        for s in steps
    ]
    tables = {"embedding_spectrum": pd.concat(parts)}
    figure = named("spectrum_map").draw(tables)
    figure.draw_without_rendering()
    assert f"an even spread gives {2 / (p - 1):.1%}" in named("spectrum_map").caption(tables)


def test_an_analysis_says_of_its_panels_what_it_says_of_itself(kept):
    said = full_caption(named("weight_norms"), *kept["weight_norms"])
    assert said.startswith("(a) Sum of squares of each weight and of all. (b)") and "`" not in said
    assert "The run has generalised" in said
    assert set(whole.NAMES) < set(pictures.names())

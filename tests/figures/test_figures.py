"""Every figure function draws a hand-made table onto the axes it is given, returns them, and names what it draws."""

import inspect
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D

from interp import figures
from interp.figures import style
from interp.tables import shares
from interp.tables.power_laws import power_laws
from interp.tables.transitions import Transition
from interp.theories.backtest import scores
from tests.tables.test_shares import planted
from tests.thinned import thinned

STEPS = [0, 10, 100]
RISING = [0.1, 0.5, 0.9]
PLANE = pd.DataFrame(
    {
        "frequency": 2,
        "residue": range(5),
        "cosine": [1.0, 0, -1, 0, 1],
        "sine": [0.0, 1, 0, -1, 0],
        "fraction": 0.4,
    }
)
KEY = pd.DataFrame({"frequency": [3, 1], "before": [0, 10], "step": [10, 100]})
LINES = figures.matrix_lines(["embed.W_E", "blocks.0.mlp.W_in"])


def along(**columns):
    """Rows at each step, the other columns the same or one value a step."""
    return pd.DataFrame({"step": STEPS, **columns})


def stacked(column, values, **columns):
    return pd.concat([along(**{column: value}, **columns) for value in values], ignore_index=True)


def pairs(n, *names, **columns):
    first, second = (x.reshape(-1) for x in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    return pd.DataFrame({names[0]: first, names[1]: second, **columns})


PAIRS = pairs(3, "first", "second", logit=np.arange(9.0), probability=0.5)
QUALITY = stacked("frequency", [2, 5], parallel_chords=RISING, parallelograms=0.05, null=0.2)
DIGITS = stacked(
    "digit", ["0", "1", "all"], split="test", carry="all", n=90, accuracy=RISING, loss=[2.0, 1.0, 0.1]
)
READOUTS = stacked(
    "stream", ["pre", "post"], layer=0, digit=1, is_question=True, accuracy=RISING, control=0.6, majority=0.5
)
PART_LOSSES = stacked("part", ["predictable", "unpredictable"], split="test", loss=[2.0, 1.0, 0.1])
HEAD_SCORES = stacked("head", [0, 1], layer=1, score=RISING, null=0.2)
HEAD_LINES = figures.head_lines(HEAD_SCORES)
HEADS_ABLATED = stacked("heads", ["none", "one", "other"], patterns="free", effect=RISING)
PATCHED = stacked("site", ["head 0", "mlp", "resid_post"], layer=0, digit=1, moved=RISING, null=0.0)
# Facts of A are train; of B unseen, as sentences are.
ANSWERED = pd.concat(
    [
        along(
            kind=kind,
            asked=asked,
            answered=answered,
            split=split,
            accuracy=accuracy,
            dictionary_accuracy=accuracy,
        )
        for kind, asked, answered, split, accuracy in (
            ("fact", "A", "A", "train", [0.1, 1.0, 1.0]),
            ("fact", "B", "B", "unseen", RISING),
            ("sentence", "A", "B", "unseen", [0.1, 0.6, 1.0]),
            ("sentence", "B", "A", "unseen", [0.2, 0.3, 0.9]),
        )
    ]
)
ALIGNED = stacked(
    "measure", ["cosine", "planes", "procrustes", "cka", "spectrum_overlap"], language="B", part="embedding",
    numbering="own", value=RISING, null=[0.2, 0.25, 0.3],
)  # fmt: skip
SPECTRA = pd.concat(
    [
        stacked(
            "frequency",
            [1, 2, 3],
            language=name,
            part="embedding",
            numbering="own",
            fraction=RISING,
            null=0.4,
        )
        for name in "AB"
    ]
)
REMOVED = pd.DataFrame(
    [
        {"step": 100, "where": where, "circuit": c, "tested": t, "selection": s, "accuracy": a}
        for where in ("embedding", "neurons")
        for c in "AB"
        for t in "AB"
        for s, a in (("key", 0.1), ("random", 0.7))
    ]
)
VARIED = pd.DataFrame(
    [
        {"step": 100, "layer": 0, "component": c, "unit": i, "language": name, "variance": i + shift}
        for c, n in (("neuron", 5), ("head", 3))
        for i in range(n)
        for name, shift in (("A", 0.5), ("B", 1.0))
    ]
)
HISTORY = along(train_loss=[2.0, 0.5, 1e-4], test_loss=[2.0, 3.0, 1e-3])
LOSSES = pd.concat([along(split=s, loss=[2.0, 1.0, 0.1]) for s in ("train", "test", "all")])
SPECTRUM = stacked("frequency", [1, 2, 3], fraction=RISING, fraction_explained=[0.0, 0.1, 0.4], null=0.2)
SPARSITY = stacked("matrix", ["W_E", "W_L"], gini=RISING, gini_null=0.1)
NEURONS = pd.DataFrame(
    {"frequency": [0, 1, 3, 3, 2], "fraction_explained": [0.0, 0.9, 0.95, 0.9, 0.3], "null": 0.4}
)
COMPONENTS = pairs(4, "frequency_first", "frequency_second", fraction=np.linspace(0, 1, 16))
PERIODICITY = stacked("head", [0, 1], layer=0, fraction_explained=RISING, null=0.3)
PATTERNS = pd.concat(
    [stacked("head", [0, 1], layer=0, position=p, attention=0.3, attention_sd=RISING) for p in (0, 2)]
)
CIRCUITS = pd.concat(
    [
        pd.DataFrame({"circuit": "qk", "position": 0, "head": h, "frequency": [1, 2], "fraction": [0.3, 0.7]})
        for h in (0, 1)
    ]
)
HEADS = figures.head_lines(PERIODICITY)
NORMS = pd.concat(
    [along(matrix=m, sum_of_squares=[9.0, 4.0, 1.0], l2=[3.0, 2.0, 1.0]) for m in [*LINES, "total"]]
)
RANKS = stacked("matrix", list(LINES), effective_rank=[8.0, 6.0, 4.0], full_rank=8)
DISTANCES = along(
    matrix="total", initial_cosine=[1.0, 0.5, 0.0], final_cosine=[0.0, 0.5, 1.0], initial_relative_change=RISING,
    final_relative_change=RISING, update_norm=[0.0, 1.0, 2.0], update_steps=[0, 10, 90],
)  # fmt: skip
MEASURES = pd.concat(
    [
        along(
            measure=m,
            split=s,
            selection=x,
            loss=[2.0, 1.0, 0.5],
            loss_min=[1.0, 0.5, 0.2],
            loss_max=[3.0, 2.0, 1.0],
        )
        for m, s in (("excluded_loss", "train"), ("restricted_loss", "all"))
        for x in ("key", "causal", "random")
    ]
)
LOSSES_AT_END = LOSSES[LOSSES["step"] == 100]
LEFT_OUT = {"measure": "excluded_loss", "selection": "single", "split": "train"}
KEPT = {"measure": "restricted_loss", "selection": "key", "split": "train", "frequency": [0]}
WITHOUT_ONE = pd.concat(
    [
        pd.DataFrame({**LEFT_OUT, "frequency": [1, 2, 3], "loss": [2.0, 0.1, 3.0]}),
        pd.DataFrame({**KEPT, "loss": [0.05]}),
    ]
)
ALGORITHM = along(
    test_accuracy=RISING, gradient_symmetricity=RISING, distance_irrelevance=RISING, circularity=RISING,
    clock_fraction=RISING, pizza_fraction=RISING, coefficient_of_variation=[3.0, 1.0, 0.1],
)  # fmt: skip
VERDICTS = along(verdict=["neither", "undecided", "clock"])
PARTS = stacked(
    "frequency", [3, 1], distance_irrelevance=RISING, double=2, double_fraction=RISING, median_fraction=0.05
)
K_LINES = figures.frequency_lines([3, 1])
SHARPNESS = along(eigenvalue=[1.0, 10.0, 5.0], per_loss=[1.0, 20.0, 50.0])
GRADIENTS = along(
    matrix="total",
    noise_scale=[1.0, 2.0, 3.0],
    alignment=RISING,
    weight_cosine=RISING,
    collapsed_fraction=RISING,
)
KERNELS = stacked(
    "kernel",
    ["tangent", "features"],
    initial_distance=RISING,
    final_distance=RISING,
    linearization_error=RISING,
    label_alignment=RISING,
)
COMPLEXITY = stacked("split", ["train", "test"], radius="relative", mean=RISING)
SIZES = pd.concat(
    [
        along(criterion=c, tolerance=t, bits=[900.0, 800.0, 300.0])
        for c, t in (("absolute", 0.01), ("relative", 0.1))
    ]
)
COEFFICIENTS = along(llc=RISING, sd=0.1, r_hat=[1.0, 1.05, 2.0], n_chains=4)
PARTS_OF_NETWORK = ("left_embedding", "unembedding", "hidden_left", "hidden_right", "hidden_product")
SHARES = pd.concat(
    [
        stacked("representation", ["trivial", "sign", "standard"], part=part, share=RISING)
        for part in PARTS_OF_NETWORK
    ]
)
SIMILARITY = stacked(
    "representation", ["sign", "standard"], similarity=[0.0, -0.1, 0.5], fraction_explained=[0.0, 0.01, 0.25]
)
SINGLE = stacked(
    "representation",
    ["trivial", "sign", "standard"],
    measure="excluded_loss",
    selection="single",
    loss=[2.0, 1.0, 3.0],
)
SUBNETWORKS = stacked(
    "subnetwork", ["chosen", "others", "random"], n_neurons=6, mean_norm=[1.0, 0.4, 0.8], accuracy_test=[0.5, 0.6, 1.0],
)  # fmt: skip
DECIDING = stacked("rule", ["every row", "99 %"], n_neurons=[100.0, 20.0, 6.0], n_width=100)
COORDINATES = along(share=RISING, readers_share=RISING, null=0.075)
COSETS = stacked("neuron", [0, 1, 2], side="left", concentration=[2.0, 1.0, 1e-9])
BY_NAME = figures.representation_colours(["standard"])
EFFECTS = pd.DataFrame(
    {
        "label": ["a over control", "b over control", "c over control", "d over control"],
        "ratio": [2.0, 0.5, np.inf, np.nan],
        "low": [1.6, 0.4, 3.0, np.nan],
        "high": [2.5, 0.6, np.inf, np.nan],
        "zone": np.log(1.15),
        "n_pairs": [3, 3, 3, 0],
        "n_censored": [0, 0, 3, 0],
        "verdict": ["later", "earlier", "later", "not evaluable"],
        "why": ["", "", "", "norm path: 0.1, allowed 0.005"],
    }
)
BRANCHES = pd.DataFrame(
    {
        "label": "norm",
        "pair": ["0"] * 3 + ["1"] * 3,
        "since": [0, 10, 20] * 2,
        "test_accuracy": [0.0, 0.4, 1.0] * 2,
    }
)
ARMS = figures.arm_lines(["norm", "control"])
ORDER = pd.DataFrame(
    {"what": ["memorization", "grokking", "cleanup"], "before": [0, 10, 100], "step": [10, 100, np.nan]}
)
BOARD = pd.DataFrame(
    {
        "theory": ["norm_clock", "norm_clock", "capacity"],
        "column": ["norm", "norm", "checkpoints"],
        "verdict": ["supported", "undecided", "contradicted"],
    }
)
TURNED = pd.DataFrame({"label": ["norm at dose 1.15", "control", "control"], "angle": [1.1, 0.8, 0.9]})
TURNING = {"quantity": "angle", "arms": ["control", "norm at dose 1.15"], "axis": "angle (rad)"}
GRID = {"theories": ["norm_clock", "capacity"], "columns": ["checkpoints", "norm"]}
NOTHING = pd.DataFrame({"step": pd.Series(dtype="int64")})
GROKKING = Transition("test_accuracy", 0.95, 10, 100)

DRAWN = {
    "algorithm_curves": lambda ax: figures.algorithm_curves(ALGORITHM, VERDICTS, ax),
    "attention_map": lambda ax: figures.attention_map(
        pairs(3, "first", "second", L0H1=0.5), ax, head="L0H1", said="constant"
    ),
    "branch_curves": lambda ax: figures.branch_curves(BRANCHES, ax, lines=ARMS, threshold=0.95),
    "coefficient_curve": lambda ax: figures.coefficient_curve(COEFFICIENTS, ax),
    "complexity_curves": lambda ax: figures.complexity_curves(COMPLEXITY, ax),
    "concentration_curves": lambda ax: figures.concentration_curves(COSETS, ax),
    "component_map": lambda ax: figures.component_map(COMPONENTS, KEY, ax),
    "coordinate_curves": lambda ax: figures.coordinate_curves(COORDINATES, ax),
    "direction_curves": lambda ax: figures.direction_curves(DISTANCES, ax),
    "double_curves": lambda ax: figures.double_curves(PARTS, ax, lines=K_LINES),
    "effect_intervals": lambda ax: figures.effect_intervals(EFFECTS, ax),
    "effective_sparsity_curves": lambda ax: figures.effective_sparsity_curves(DECIDING, ax),
    "feature_curves": lambda ax: figures.feature_curves(SPARSITY, SPECTRUM, KEY, ax),
    "feature_kernel_curves": lambda ax: figures.feature_kernel_curves(KERNELS, ax),
    "formula_curves": lambda ax: figures.formula_curves(ALGORITHM, ax),
    "frequency_loss_points": lambda ax: figures.frequency_loss_points(WITHOUT_ONE, LOSSES_AT_END, KEY, ax),
    "gradient_curves": lambda ax: figures.gradient_curves(GRADIENTS, ax),
    "hidden_curves": lambda ax: figures.hidden_curves(SHARES, ax, names=["standard"]),
    "irrelevance_curves": lambda ax: figures.irrelevance_curves(
        PARTS, ax, lines=K_LINES, thresholds=(0.2, 0.9)
    ),
    "loss_curves": lambda ax: figures.loss_curves({"history": HISTORY, "losses": LOSSES}, ax),
    "movement_curves": lambda ax: figures.movement_curves(PATTERNS, ax, lines=HEADS),
    "neuron_histogram": lambda ax: figures.neuron_histogram(NEURONS, KEY, ax),
    "noise_curve": lambda ax: figures.noise_curve(GRADIENTS, ax),
    "norm_curves": lambda ax: figures.norm_curves(NORMS, ax, lines=LINES),
    "order_brackets": lambda ax: figures.order_brackets(ORDER, ax),
    "periodicity_curves": lambda ax: figures.periodicity_curves(PERIODICITY, ax, lines=HEADS),
    "progress_curves": lambda ax: figures.progress_curves(MEASURES, ax),
    "qk_bars": lambda ax: figures.qk_bars(CIRCUITS, ax, lines=HEADS),
    "quantity_curves": lambda ax: figures.quantity_curves(
        HISTORY,
        ax,
        columns={"train_loss": "train"},
        label="loss (nats)",
        levels={"chance": 1.5},
        band="test_loss",
    ),
    "rank_curves": lambda ax: figures.rank_curves(RANKS, ax, lines=LINES),
    "share_curves": lambda ax: figures.share_curves(
        SHARES, ax, parts={"left_embedding": "-", "unembedding": "--"}, colours=BY_NAME
    ),
    "sharpness_curves": lambda ax: figures.sharpness_curves(SHARPNESS, ax),
    "similarity_curves": lambda ax: figures.similarity_curves(SIMILARITY, ax, colours=BY_NAME),
    "single_loss_curves": lambda ax: figures.single_loss_curves(SINGLE, ax, colours=BY_NAME),
    "size_curves": lambda ax: figures.size_curves(SIZES, ax),
    "sparsity_curves": lambda ax: figures.sparsity_curves(SPARSITY, ax),
    "subnetwork_curves": lambda ax: figures.subnetwork_curves(SUBNETWORKS, ax, column="accuracy_test"),
    "spectrum_map": lambda ax: figures.spectrum_map(SPECTRUM, ax),
    "speed_curve": lambda ax: figures.speed_curve(DISTANCES, NORMS, ax),
    "tangent_kernel_curves": lambda ax: figures.tangent_kernel_curves(KERNELS, ax),
    "total_norm_curve": lambda ax: figures.total_norm_curve(NORMS, ax),
    "values_by_arm": lambda ax: figures.values_by_arm(TURNED, ax, **TURNING),
    "verdict_grid": lambda ax: figures.verdict_grid(BOARD, ax, **GRID),
}
# What lies over another picture: it names no axis.
BANDS = {
    "bracket_band": lambda ax: figures.bracket_band(GROKKING, ax),
    "emergence_bands": lambda ax: figures.emergence_bands(KEY, ax),
    "phase_bands": lambda ax: figures.phase_bands({"grokking": GROKKING}, ax, edge=True),
}
# The words that the axes hold where the network has nothing of the kind.
LACKING = {
    "branch_curves": (lambda ax: figures.branch_curves(NOTHING, ax, lines=ARMS), "does not apply"),
    "effect_intervals": (lambda ax: figures.effect_intervals(EFFECTS[:0], ax), "no arm was trained"),
    "order_brackets": (
        lambda ax: figures.order_brackets(ORDER[:0], ax), "no table says when anything began",
    ),
    "values_by_arm": (lambda ax: figures.values_by_arm(TURNED[:0], ax, **TURNING), "no arm came to the event"),
    "embedding_circles": (lambda ax: figures.embedding_circles(PLANE[:0], ax), "no plane of a frequency"),
    "logit_map": (lambda ax: figures.logit_map(NOTHING, ax), "does not apply"),
    "neuron_map": (lambda ax: figures.neuron_map(NOTHING, ax), "does not apply"),
    "quality_curves": (lambda ax: figures.quality_curves(NOTHING, ax), "does not apply"),
    "quantity_curves": (
        lambda ax: figures.quantity_curves(NOTHING, ax, columns={}, label="loss"), "does not apply",
    ),
    "overlaid_curves": (
        lambda ax: figures.overlaid_curves(
            CURVES[:0], ax, quantity="test_accuracy", colours={"g": "C0"}, relative=False
        ),
        "none was evaluated",
    ),
    "exponent_intervals": (
        lambda ax: figures.exponent_intervals(LAWS, ax, field="task.p", settings=[SETTING]),
        "no power law of this field",
    ),
    "verdict_grid": (
        lambda ax: figures.verdict_grid(BOARD[:0], ax, theories=[], columns=[]), "no prediction",
    ),
    "coefficient_curve": (lambda ax: figures.coefficient_curve(NOTHING, ax), "does not apply"),
    "complexity_curves": (lambda ax: figures.complexity_curves(NOTHING, ax), "does not apply"),
    "concentration_curves": (
        lambda ax: figures.concentration_curves(NOTHING, ax), "cosets say nothing of\nthis group or network",
    ),
    "hidden_curves": (lambda ax: figures.hidden_curves(NOTHING, ax, names=[]), "this network has no neurons"),
    "share_curves": (
        lambda ax: figures.share_curves(NOTHING, ax, parts={"unembedding": "-"}, colours={}),
        "this network has no such weights",
    ),
    "single_loss_curves": (
        lambda ax: figures.single_loss_curves(NOTHING, ax, colours={}),
        "does not apply, or the train pairs\nare not known",
    ),
    "effective_sparsity_curves": (
        lambda ax: figures.effective_sparsity_curves(NOTHING, ax),
        "this network has no neurons\nthat can be taken apart",
    ),
    "subnetwork_curves": (lambda ax: figures.subnetwork_curves(NOTHING, ax), "does not apply"),
    "coordinate_curves": (
        lambda ax: figures.coordinate_curves(NOTHING, ax), "no features are known\nof which few count",
    ),
    "feature_kernel_curves": (lambda ax: figures.feature_kernel_curves(NOTHING, ax), "does not apply"),
    "frequency_loss_points": (
        lambda ax: figures.frequency_loss_points(NOTHING, LOSSES, KEY, ax),
        "does not apply, or the train pairs\nare not known",
    ),
    "gradient_curves": (lambda ax: figures.gradient_curves(NOTHING, ax), "does not apply"),
    "loss_curves": (lambda ax: figures.loss_curves({"history": NOTHING}, ax), "does not apply"),
    "neuron_histogram": (lambda ax: figures.neuron_histogram(NOTHING, KEY, ax), "no neurons by frequency"),
    "noise_curve": (lambda ax: figures.noise_curve(NOTHING, ax), "does not apply"),
    "qk_bars": (lambda ax: figures.qk_bars(CIRCUITS[:0], ax, lines=HEADS), "does not apply"),
    "sharpness_curves": (lambda ax: figures.sharpness_curves(NOTHING, ax), "does not apply"),
    "size_curves": (lambda ax: figures.size_curves(NOTHING, ax), "does not apply"),
    "sparsity_curves": (lambda ax: figures.sparsity_curves(SPARSITY[:0], ax), "does not apply"),
    "spectrum_map": (lambda ax: figures.spectrum_map(NOTHING, ax, matrix="$W_L$"), "no spectrum of $W_L$"),
    "component_map": (lambda ax: figures.component_map(NOTHING, KEY, ax), "does not apply"),
    "feature_curves": (lambda ax: figures.feature_curves(NOTHING, NOTHING, KEY, ax), "does not apply"),
    "movement_curves": (lambda ax: figures.movement_curves(NOTHING, ax, lines={}), "does not apply"),
    "periodicity_curves": (lambda ax: figures.periodicity_curves(NOTHING, ax, lines={}), "does not apply"),
    "progress_curves": (lambda ax: figures.progress_curves(NOTHING, ax), "does not apply"),
    "similarity_curves": (lambda ax: figures.similarity_curves(NOTHING, ax, colours={}), "does not apply"),
    "tangent_kernel_curves": (lambda ax: figures.tangent_kernel_curves(NOTHING, ax), "does not apply"),
}  # fmt: skip


@pytest.fixture
def ax():
    figure, axes = style.new_figure()
    yield axes[0, 0]
    figure.draw_without_rendering()  # what is drawn can be rendered, without a warning


def step_of(table):
    """The column of a table's steps, if it has any."""
    return next((column for column in ("step", "x") if column in table), None)


@pytest.fixture
def lone_step(monkeypatch):
    """Every table of this module at its last step alone, as of a single checkpoint."""
    here = sys.modules[__name__]
    for name, table in list(vars(here).items()):
        if isinstance(table, pd.DataFrame) and (column := step_of(table)) and table is not KEY:
            monkeypatch.setattr(here, name, table[table[column] == STEPS[-1]])
    return STEPS[-1]


def drawn_within(ax):
    """The pixels inside the axes."""
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    box, height = ax.get_window_extent(), int(ax.figure.bbox.height)
    rows = slice(height - int(box.y1), height - int(box.y0))
    return np.asarray(canvas.buffer_rgba())[rows, int(box.x0) : int(box.x1)].copy()


def test_an_update_needs_two_checkpoints(ax, lone_step):
    figures.speed_curve(DISTANCES.assign(update_steps=0), NORMS, ax)
    assert [t.get_text() for t in ax.texts] == ["a single checkpoint\nhas no update"]


def test_the_axis_of_a_single_checkpoint_is_its_step(ax, lone_step):
    figures.total_norm_curve(NORMS, ax)
    for scale in ("log", "linear"):
        style.step_axis(ax, [lone_step], scale)
        assert (ax.get_xlim(), ax.get_xticks().tolist()) == ((99.5, 100.5), [100])
        assert [t.get_text() for t in ax.get_xticklabels()] == ["100"]


def test_a_single_checkpoint_beside_a_history_keeps_its_axis():
    """Also where another panel of the same axis draws the history."""
    _, axes = style.new_figure(2, 1, sharex=True)
    figures.loss_curves({"history": HISTORY}, axes[0, 0])
    figures.total_norm_curve(NORMS[NORMS["step"] == 100], axes[1, 0])
    style.step_axes(axes, [100], scale="linear")
    assert axes[1, 0].get_xlim() == (0, 100)
    assert axes[1, 0].lines[0].get_marker() == "o" and axes[0, 0].lines[0].get_marker() in ("", "None")


def test_a_single_checkpoint_says_not_since_when(ax, lone_step):
    """Neither a band nor a name of it; a bracket that the history gives stays."""
    figures.bracket_band(Transition("test_accuracy", 0.95, None, lone_step), ax, label="grokking")
    figures.formula_curves(ALGORITHM, ax)
    assert not ax.patches
    assert "grokking" not in [t.get_text() for t in ax.get_legend().get_texts()]
    ax.clear()
    figures.bracket_band(Transition("test_accuracy", 0.95, 50, 60), ax, label="grokking")
    figures.formula_curves(ALGORITHM, ax)
    style.step_axis(ax, [lone_step], "linear")
    assert len(ax.patches) == 1 and ax.get_xlim() == (0, 100)
    assert "grokking" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_a_point_without_neighbours_is_marked_and_its_kind_of_line_told(ax):
    nan = float("nan")
    for dashes, values in (
        ("-", [0, nan, 2, 3]),
        ("--", [0, nan, 2, nan]),
        (":", [nan, 1, nan, nan]),
        ("-", [0, 1, 2, 3]),
    ):
        ax.plot(range(4), values, ls=dashes, label="curve")
    style.legend_above(ax, n_columns=1)
    marks = [(line.get_marker(), line.get_markevery()) for line in ax.lines]
    assert marks == [("o", [0]), ("s", [0, 2]), ("_", [1]), ("None", None)]
    assert [handle.get_marker() for handle in ax.get_legend().legend_handles] == ["o", "s", "_", "None"]


def test_the_lowest_panel_that_has_an_axis_names_the_steps():
    _, axes = style.new_figure(2, 2, sharex=True)
    style.note_instead(axes[1, 0])
    style.step_axes(axes, STEPS, scale="linear")
    assert [ax.get_xlabel() for ax in axes.flat] == ["training step", "", "", "training step"]
    assert [ax.xaxis.get_tick_params()["labelbottom"] for ax in axes[0]] == [True, False]


def test_hollow_points_are_named_where_there_are_some(ax):
    figures.coefficient_curve(COEFFICIENTS, ax)
    assert r"$\hat{R} > 1.1$" in [t.get_text() for t in ax.get_legend().get_texts()]
    ax.clear()
    figures.coefficient_curve(COEFFICIENTS.assign(r_hat=1.0), ax)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["mean of 4 chains"]


MANY = planted(
    [
        (fraction, decay, 100, None if fraction < 0.4 else int(100 + 1500 * k / decay), 20000)
        for fraction in (0.3, 0.5)
        for decay in (0.3, 1.0)
        for k in (1, 2, 3)
    ]
)
SWEPT = ["task.train_fraction", "optimizer.weight_decay"]
CELLS = shares.cells(MANY, SWEPT)
LAWS = power_laws(MANY, SWEPT)
CRITICAL = shares.critical_values(CELLS, SWEPT)
SETTING = "train fraction = 0.5"
NAMED = MANY.assign(setting=[f"train fraction = {f:g}" for f in MANY["task.train_fraction"]])
TESTED = pd.DataFrame(
    {
        "run": ["a", "a", "b", "b"], "family": ["x", "x", "y", "y"], "measure": "test_loss", "left_out": "family",
        "multiple": [2.0, 5.0] * 2, "seen": [200.0, 500.0] * 2, "event": [1000.0, 1000.0, np.nan, np.nan],
        "budget": 5000.0, "step": [900.0, 1100.0, 2000.0, np.nan], "low": [600.0, 800.0, 900.0, np.nan],
        "high": [1500.0, np.inf, 4000.0, np.nan], "mean": 700.0, "no_change": [400.0, 1000.0] * 2,
    }
)  # fmt: skip
CURVES = pd.DataFrame(
    {"group": "g", "x": [1.0, 10.0, 100.0], "median": [0.1, 0.5, 1.0], "low": 0.1, "high": 1.0, "n": 3}
)
DRAWN |= {
    "phase_cells": lambda ax: figures.phase_cells(CELLS, ax, x=SWEPT[0], y=SWEPT[1]),
    "survival_curves": lambda ax: figures.survival_curves(
        shares.survival(MANY, SWEPT[:1]), ax, field=SWEPT[0]
    ),
    "delay_points": lambda ax: figures.delay_points(NAMED, LAWS, ax, field=SWEPT[1], settings=[SETTING]),
    "exponent_intervals": lambda ax: figures.exponent_intervals(LAWS, ax, field=SWEPT[1], settings=[SETTING]),
    "critical_brackets": lambda ax: figures.critical_brackets(CRITICAL[CRITICAL["field"] == SWEPT[0]], ax),
    "overlaid_curves": lambda ax: figures.overlaid_curves(
        CURVES, ax, quantity="test_accuracy", colours={"g": "C0"}, relative=False
    ),
    "forecast_points": lambda ax: figures.forecast_points(
        TESTED, ax, colours={"x": "C0", "y": "C1"}, of="family"
    ),
    "error_curves": lambda ax: figures.error_curves(TESTED, ax),
    "embedding_circles": lambda ax: figures.embedding_circles(PLANE, ax),
    "logit_map": lambda ax: figures.logit_map(PAIRS, ax),
    "neuron_map": lambda ax: figures.neuron_map(
        PAIRS.assign(neuron=7, activation=0.5, frequency=2, fraction_explained=0.9), ax
    ),
    "digit_curves": lambda ax: figures.digit_curves(DIGITS, ax),
    "readout_curves": lambda ax: figures.readout_curves(READOUTS, ax),
    "patching_curves": lambda ax: figures.patching_curves(PATCHED, ax),
    "language_curves": lambda ax: figures.language_curves(ANSWERED, ax, first="A", language="B"),
    "alignment_curves": lambda ax: figures.alignment_curves(ALIGNED, ax, language="B", part="embedding"),
    "language_spectrum_bars": lambda ax: figures.language_spectrum_bars(
        SPECTRA, ax, languages=["A", "B"], part="embedding"
    ),
    "removal_bars": lambda ax: figures.removal_bars(REMOVED, ax, languages=["A", "B"]),
    "variance_points": lambda ax: figures.variance_points(VARIED, ax, first="A", language="B"),
    "quality_curves": lambda ax: figures.quality_curves(QUALITY, ax),
    "answer_shares": lambda ax: figures.answer_shares(TESTED, ax),
    "skill_bars": lambda ax: figures.skill_bars(scores(TESTED), ax),
}
BY_SIZE = pd.DataFrame(
    {
        "experiment": "planted", "noise": [0.0] * 3 + [0.15] * 3, "size": [2.0, 8.0, 32.0] * 2, "relative_size": 1.0,
        "train_error": [0.3, 0.1, 0.0] * 2, "test_error": [0.4, 0.5, 0.2] * 2, "test_error_low": 0.1,
        "test_error_high": 0.6, "ridge_error": [0.3, 0.2, 0.1] * 2, "norm": [1.0, 9.0, 3.0] * 2,
        "effective_rank": [1.0, 4.0, 5.0] * 2, "margin": [-1.0, 0.0, 1.0] * 2,
    }
)  # fmt: skip
THRESHOLDS = pd.DataFrame({"noise": [0.0, 0.15], "outside": [2.0, 8.0], "inside": [8.0, 32.0]})
EPOCHS = pd.concat(
    [along(size=s, run="a", train_error=[0.9, 0.5, 0.1], test_error=RISING) for s in (2.0, 8.0)]
)
PATTERN = pd.concat([along(pattern=p, accuracy=RISING) for p in ("right labels", "wrong labels", "new rows")])
SPEEDS = pd.DataFrame(
    {
        "pattern": ["right labels", "new rows", "new rows"],
        "time": ["ln step", "ln step", "step"],
        "floor": 0.1,
        "gamma": 0.9,
        "alpha": 2.0,
        "half_step": 20.0,
    }
)
SLICE = pd.DataFrame(
    {
        "factor": [0.5, 1.0, 2.0] * 2, "split": ["train"] * 3 + ["test"] * 3, "loss": [2.0, 1.0, 0.5] * 2,
        "squared_error": [0.9, 0.1, 4.0] * 2, "accuracy": RISING * 2,
    }
)  # fmt: skip
DRAWN |= {
    "descent_curves": lambda ax: figures.descent_curves(BY_SIZE, THRESHOLDS, ax, name="neurons"),
    "epoch_curves": lambda ax: figures.epoch_curves(EPOCHS, ax, name="neurons"),
    "beside_curves": lambda ax: figures.beside_curves(BY_SIZE, ax, quantity="norm"),
    "pattern_curves": lambda ax: figures.pattern_curves(PATTERN, SPEEDS, ax),
    "slice_curves": lambda ax: figures.slice_curves(SLICE, ax),
    "part_curves": lambda ax: figures.part_curves(PART_LOSSES, ax, chance=1.5),
    "head_curves": lambda ax: figures.head_curves(
        HEAD_SCORES, ax, quantity="score", says="score", lines=HEAD_LINES
    ),
    "ablation_curves": lambda ax: figures.ablation_curves(HEADS_ABLATED, ax),
}


NOT_ALONG_STEPS = {
    *(
        "attention_map",
        "branch_curves",
        "component_map",
        "effect_intervals",
        "embedding_circles",
        "frequency_loss_points",
        "logit_map",
    ),
    *("neuron_histogram", "neuron_map", "order_brackets", "qk_bars", "values_by_arm", "verdict_grid"),
    *("answer_shares", "critical_brackets", "delay_points", "error_curves", "exponent_intervals"),
    *("forecast_points", "phase_cells", "skill_bars", "survival_curves"),
    *("language_spectrum_bars", "removal_bars", "variance_points"),
    *("beside_curves", "descent_curves", "epoch_curves", "pattern_curves", "slice_curves"),
}
ALONG_STEPS = sorted(set(DRAWN) - NOT_ALONG_STEPS)


@pytest.mark.parametrize("name", thinned(sorted(set(ALONG_STEPS) - {"speed_curve"}), 3))
def test_a_single_checkpoint_is_seen(name, ax, lone_step):
    DRAWN[name](ax)
    style.step_axis(ax, [lone_step])
    curves = [line for line in ax.lines if list(line.get_xdata()) == [lone_step]]
    assert curves or ax.collections
    assert all(line.get_marker() != "None" for line in curves)
    seen = drawn_within(ax)
    for artist in [*curves, *ax.collections]:
        artist.set_visible(False)
    assert (seen != drawn_within(ax)).any()


def test_a_cell_is_divided_by_its_shares_and_says_how_many(ax):
    figures.phase_cells(CELLS, ax, x=SWEPT[0], y=SWEPT[1])
    assert sorted(text.get_text() for text in ax.texts) == ["0/3", "0/3", "3/3", "3/3"]
    wide = [patch for patch in ax.patches if patch.get_width() > 0.9]
    assert len(wide) == 4 and len({patch.get_facecolor() for patch in wide}) >= 2


def test_an_interval_without_an_end_is_not_drawn_and_never_stands_at_the_edge(ax):
    figures.forecast_points(TESTED, ax, colours={"x": "C0", "y": "C1"}, of="family")
    (bars,) = ax.collections[:1]
    heights = [abs(segment[1][1] - segment[0][1]) for segment in bars.get_segments()]
    assert heights == pytest.approx([900, 0])
    crosses = [line for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert len(crosses) == 1 and crosses[0].get_xdata()[0] > 5000


def test_a_forecast_of_what_never_came_is_within_the_axes_however_early_it_is(ax):
    early = TESTED.assign(step=TESTED["step"].where(TESTED["event"].notna(), 5.0))
    figures.forecast_points(early, ax, colours={"x": "C0", "y": "C1"}, of="family")
    assert ax.get_ylim()[0] < 5 and ax.get_xlim()[0] < 5


NO_BY_SIZE = BY_SIZE[:0]


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda ax: figures.descent_curves(NO_BY_SIZE, THRESHOLDS, ax, name="x"), "no size was swept"),
        (lambda ax: figures.epoch_curves(EPOCHS[:0], ax, name="x"), "no evaluations along training"),
        (lambda ax: figures.beside_curves(NO_BY_SIZE, ax, quantity="norm"), "not measured"),
        (
            lambda ax: figures.beside_curves(BY_SIZE.assign(margin=np.nan), ax, quantity="margin"),
            "not measured",
        ),
        (lambda ax: figures.pattern_curves(PATTERN[:0], SPEEDS, ax), "no run with wrong labels was measured"),
        (lambda ax: figures.slice_curves(SLICE[:0], ax), "does not apply"),
    ],
)
def test_what_a_sweep_lacks_is_said_in_the_picture(draw, words, ax):
    assert draw(ax) is ax and [text.get_text() for text in ax.texts] == [words]


def test_a_threshold_is_a_band_of_its_bracket_and_one_without_an_end_is_none(ax):
    figures.descent_curves(BY_SIZE, THRESHOLDS.assign(outside=[2.0, np.nan]), ax, name="neurons")
    assert [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches] == [(2, 8)]
    solid, dashed, dotted = (line.get_ydata().tolist() for line in ax.lines[:3])
    assert (solid, dashed, dotted) == ([0.4, 0.5, 0.2], [0.3, 0.1, 0.0], [0.3, 0.2, 0.1])


def test_the_exact_fit_is_a_line_where_it_is_known(ax):
    figures.descent_curves(BY_SIZE, THRESHOLDS.assign(exact_inside=[30.0, np.nan]), ax, name="neurons")
    upright = [line for line in ax.lines if line.get_linestyle() == "-."]
    assert [list(line.get_xdata()) for line in upright] == [[30, 30]]


def test_errors_along_steps_are_means_over_runs_by_size(ax):
    other = EPOCHS[EPOCHS["size"] == 2].assign(run="b", test_error=0.0)
    figures.epoch_curves(pd.concat([EPOCHS, other]), ax, name="neurons")
    solid = [line for line in ax.lines if line.get_linestyle() == "-"]
    assert [line.get_label() for line in solid] == ["2", "8"]
    assert solid[0].get_ydata().tolist() == pytest.approx([x / 2 for x in RISING])
    assert solid[1].get_ydata().tolist() == pytest.approx(RISING)


def test_patterns_are_points_and_the_sigmoid_in_the_logarithm_is_a_line(ax):
    figures.pattern_curves(PATTERN, SPEEDS, ax)
    points = [line for line in ax.lines if line.get_linestyle() == "None"]
    fitted = [line for line in ax.lines if line.get_linestyle() != "None"]
    assert len(points) == 3 and all(set(line.get_ydata()) <= set(RISING) for line in points)
    assert [line.get_label() for line in fitted] == ["right labels", "new rows"]
    # Half of the way, at its step.
    at = np.interp(20, fitted[0].get_xdata(), fitted[0].get_ydata())
    assert at == pytest.approx(0.5, abs=0.01)


def test_a_slice_is_a_curve_a_split(ax):
    figures.slice_curves(SLICE, ax)
    assert {line.get_label(): line.get_ydata().tolist() for line in ax.lines[:2]} == {
        "train": [2.0, 1.0, 0.5], "test": [2.0, 1.0, 0.5],
    }  # fmt: skip


def test_the_norm_is_a_share_of_that_of_the_largest_size(ax):
    figures.beside_curves(BY_SIZE[:3].assign(relative_size=[0.25, 1.0, 4.0]), ax, quantity="norm")
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([1 / 3, 3, 1])


def n_artists(ax):
    return len(ax.lines) + len(ax.patches) + len(ax.collections)


def test_every_figure_function_is_tried():
    drawing = {
        name
        for name, function in vars(figures).items()
        if inspect.isfunction(function) and "ax" in inspect.signature(function).parameters
    }
    assert drawing == set(DRAWN) | set(BANDS)


@pytest.mark.parametrize("name", DRAWN)
def test_it_draws_onto_the_axes_and_names_them(name, ax):
    assert DRAWN[name](ax) is ax
    assert n_artists(ax) > 0
    assert ax.get_ylabel()


@pytest.mark.parametrize("name", BANDS)
def test_a_band_spans_its_bracket(name, ax):
    assert BANDS[name](ax) is ax
    spans = sorted((p.get_x(), p.get_x() + p.get_width()) for p in ax.patches)
    assert (10, 100) in spans
    assert spans == ([(0, 10), (10, 100)] if name == "emergence_bands" else [(10, 100)])


@pytest.mark.parametrize("name", LACKING)
def test_what_is_lacking_is_said_in_the_picture(name, ax):
    draw, words = LACKING[name]
    assert draw(ax) is ax
    assert words in [text.get_text() for text in ax.texts]
    assert ax.get_legend() is None


def curve(ax, label):
    """The values of the curve of this name."""
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return line.get_xdata().tolist(), line.get_ydata().tolist()


def test_losses_are_those_of_the_trainer_or_else_of_the_checkpoints(ax):
    figures.loss_curves({"history": HISTORY, "losses": LOSSES}, ax)
    assert curve(ax, "test") == (STEPS, [2.0, 3.0, 1e-3])
    assert [line.get_label() for line in ax.lines] == ["train", "test"]
    assert ax.get_yscale() == "log"
    ax.clear()
    figures.loss_curves({"history": HISTORY[:0], "losses": LOSSES}, ax, marker=".")
    assert curve(ax, "all") == (STEPS, [2.0, 1.0, 0.1])
    assert [line.get_marker() for line in ax.lines] == ["."] * 3
    ax.clear()
    figures.loss_curves({"losses": LOSSES[LOSSES["split"] == "all"]}, ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["all"]
    ax.clear()
    gaps = HISTORY.assign(test_loss=[2.0, float("nan"), 1e-3])
    figures.loss_curves({"history": gaps}, ax)
    assert curve(ax, "test") == ([0, 100], [2.0, 1e-3])


def test_a_legend_names_the_handles_that_it_is_given(ax):
    ax.plot(STEPS, RISING)
    style.legend_above(ax, n_columns=1, handles=[Line2D([], [], label="a head")])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a head"] and not ax.texts
    ax.clear()
    ax.plot(STEPS, RISING, label="a band")
    style.legend_above(ax, n_columns=1, handles=[])
    assert ax.get_legend() is None and [t.get_text() for t in ax.texts] == ["does not apply"]


def test_options_of_a_legend_reach_it(ax):
    figures.feature_curves(SPARSITY, SPECTRUM, KEY, ax, title="features")
    assert ax.get_legend().get_title().get_text() == "features"
    assert [t.get_text() for t in ax.get_legend().get_texts()][-3:] == ["$k=3$", "$k=1$", "null (dotted)"]


def test_frequencies_that_are_not_key_are_grey_and_have_no_name(ax):
    figures.feature_curves(SPARSITY, SPECTRUM, KEY, ax, are_key=False)
    named = [t.get_text() for t in ax.get_legend().get_texts()]
    assert "logits: strongest 2" in named and not any("$k=" in name for name in named)
    assert [line.get_color() for line in ax.lines].count("0.6") == 2


@pytest.mark.parametrize(
    ("draw", "absent"),
    [
        (lambda ax: figures.feature_curves(SPARSITY, SPECTRUM.assign(null=np.inf), KEY, ax), "null"),
        (lambda ax: figures.sparsity_curves(SPARSITY.assign(gini_null=np.nan), ax), "null"),
        (lambda ax: figures.periodicity_curves(PERIODICITY.assign(null=np.inf), ax, lines=HEADS), "null"),
        (lambda ax: figures.progress_curves(MEASURES[MEASURES["selection"] != "random"], ax), "random"),
    ],
    ids=["features", "sparsity", "periodicity", "progress"],
)
def test_a_legend_does_not_name_what_is_not_drawn(draw, absent, ax):
    draw(ax)
    named = [t.get_text() for t in ax.get_legend().get_texts()]
    assert named and not any(absent in name for name in named)


def test_excluded_and_restricted_stand_below_each_other_in_the_legend(ax):
    figures.progress_curves(MEASURES, ax)
    named = [t.get_text().split()[0] for t in ax.get_legend().get_texts()]
    assert named == ["excluded", "restricted", "causal", "causal", "random", "random"]


def test_without_a_split_the_restricted_losses_are_drawn_alone(ax):
    figures.progress_curves(MEASURES[MEASURES["split"] == "all"], ax)
    named = [t.get_text() for t in ax.get_legend().get_texts()]
    assert named == ["restricted loss, key set", "causal set", "random sets"]


def test_a_band_of_one_random_set_is_seen(ax):
    one = MEASURES.assign(loss_min=MEASURES["loss"], loss_max=MEASURES["loss"])
    figures.progress_curves(one, ax)
    assert all(band.get_linewidth()[0] > 0 for band in ax.collections) and len(ax.collections) == 2


def test_the_loss_without_each_frequency_is_beside_those_with_all_and_with_the_set(ax):
    draw = DRAWN["frequency_loss_points"]
    draw(ax)
    points = np.concatenate([dots.get_offsets() for dots in ax.collections])
    assert sorted(points.tolist()) == [[1, 2.0], [2, 0.1], [3, 3.0]]
    assert {line.get_label(): line.get_ydata()[0] for line in ax.lines} == {
        "with all": 0.1,
        "key set alone": 0.05,
    }
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "3"]
    ax.clear()
    unknown = WITHOUT_ONE[WITHOUT_ONE["selection"] == "key"]
    figures.frequency_loss_points(unknown, LOSSES, KEY, ax)
    assert "are not known" in ax.texts[0].get_text()


def test_parallelograms_are_thin_beside_the_chords_and_no_null_is_named_where_there_is_none(ax):
    figures.quality_curves(QUALITY.assign(null=np.inf), ax)
    thin = [line for line in ax.lines if line.get_linewidth() < 0.8 and len(line.get_xdata())]
    assert [line.get_ydata().tolist() for line in thin] == [[0.05] * 3] * 2
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["$k = 2$", "$k = 5$", "parallelograms"]


def test_accuracy_on_all_rows_is_called_so(ax):
    figures.algorithm_curves(ALGORITHM, VERDICTS, ax, accuracy="accuracy on all rows")
    named = [t.get_text() for t in ax.get_legend().get_texts()]
    assert "accuracy on all rows" in named and "test accuracy" not in named


LEGENDS_ABOVE = (
    "algorithm_curves", "direction_curves", "double_curves", "feature_curves", "formula_curves", "irrelevance_curves",
    "loss_curves", "neuron_histogram", "periodicity_curves", "progress_curves", "similarity_curves", "sparsity_curves",
)  # fmt: skip


@pytest.mark.parametrize("name", LEGENDS_ABOVE)
def test_a_legend_lies_above_the_curves_and_right_of_the_panel_letter(name):
    figure, axes = style.new_figure(2, 2, height=4.5)
    ax = DRAWN[name](axes[0, 1])
    style.label_panels(axes.flat)
    figure.draw_without_rendering()
    legend, letter = ax.get_legend().get_window_extent(), ax.texts[-1].get_window_extent()
    assert legend.y0 >= ax.get_window_extent().y1 - 1  # a point of a pixel: rounding of the layout
    assert not legend.overlaps(letter)
    assert legend.x1 <= figure.bbox.x1 + 1


@pytest.mark.parametrize("n", [15, 56])
def test_noise_is_dark_in_a_spectrum_and_a_planted_frequency_is_not(n, ax):
    rng = np.random.default_rng(0)
    shares = rng.gamma(64, size=(2, n))  # of 64 columns of random numbers
    table = pd.DataFrame(
        {
            "step": np.repeat([0, 10], n),
            "frequency": np.tile(np.arange(1, n + 1), 2),
            "fraction": (shares / shares.sum(1, keepdims=True)).reshape(-1),
            "null": 1.5 / n,
        }
    )
    figures.spectrum_map(table, ax)
    (image,) = ax.collections
    assert image.norm(table["fraction"].max()) < 0.2
    assert image.norm(0.7) >= 1
    ax.clear()
    assert figures.spectrum_map(table.assign(fraction=0.9), ax).collections[0].norm.vmax == 0.9


def test_noise_is_dark_in_a_map_of_components(ax):
    rng = np.random.default_rng(0)
    shares = rng.gamma(4, size=16 * 16)
    figures.component_map(
        pairs(16, "frequency_first", "frequency_second", fraction=shares / shares.sum()), KEY, ax
    )
    (image,) = ax.collections
    values = np.asarray(image.norm(image.get_array())).reshape(-1)
    assert np.median(values) < 0.05 and values.max() < 0.25
    assert image.norm(0.5) > 0.85


def test_key_frequencies_that_are_neighbours_share_a_label(ax):
    key = pd.DataFrame({"frequency": [29, 7, 5, 1]})
    figures.component_map(pairs(57, "frequency_first", "frequency_second", fraction=1.0), key, ax)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0, 1, 5, 7", "29"]
    assert ax.xaxis.get_minorticklocs().tolist() == [0, 1, 5, 7, 29]


def test_frequencies_are_ticked_at_whole_numbers(ax):
    few = pd.DataFrame({"step": 0, "frequency": [1, 2, 3, 4, 5], "fraction": 0.2, "null": 0.3})
    two = pd.concat([few, few.assign(step=10)])
    places = [figures.spectrum_map(two, ax).yaxis.get_ticklocs().tolist()]
    ax.clear()
    places.append(figures.qk_bars(CIRCUITS, ax, lines=HEADS).xaxis.get_ticklocs().tolist())
    assert all(place.is_integer() for axis in places for place in axis)


def test_bars_of_a_deeper_network_say_that_they_are_the_first_layers(ax):
    figures.qk_bars(CIRCUITS, ax, lines={**HEADS, "L1H0": {"color": "k"}})
    assert ax.get_ylabel() == "head (first layer only)"
    assert [t.get_text() for t in ax.get_yticklabels()] == ["L0H0", "L0H1"]


def test_notes_below_a_figure_stay_within_it():
    figure, axes = style.new_figure(1, 2)
    style.note_below(figure, ["word " * 60, "another"])
    figure.draw_without_rendering()
    note = figure._supxlabel
    assert note.get_text().count("\n") >= 2
    extent = note.get_window_extent()
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1 and extent.y0 >= -1
    assert not any(extent.overlaps(ax.get_tightbbox()) for ax in axes.flat)
    style.note_below(empty := style.new_figure()[0], [])
    assert empty._supxlabel is None


def test_what_never_comes_has_no_band(ax):
    figures.bracket_band(Transition("test_accuracy", 0.95, 100, None), ax)
    figures.phase_bands({"cleanup": Transition("", None, None, None)}, ax, edge=True)
    assert n_artists(ax) == 0
    # From the first checkpoint on: from the start of the axis.
    figures.bracket_band(Transition("test_accuracy", 0.95, None, 10), ax)
    assert (ax.patches[0].get_x(), ax.patches[0].get_width()) == (0, 10)


def test_a_bracket_in_words():
    words = [
        figures.bracket_text(Transition("", None, before, step))
        for before, step in ((None, None), (100, None), (None, 0), (10, 100))
    ]
    assert words == ["not known", "not by 100", "by 0", "10 to 100"]


def test_patches_of_a_legend_have_the_colours_of_the_bands(ax):
    figures.phase_bands({"grokking": GROKKING}, ax)
    (patch,) = figures.phase_patches(["grokking"])
    assert patch.get_facecolor() == ax.patches[0].get_facecolor()


def test_steps_are_named_below_the_lowest_row_alone():
    _, axes = style.new_figure(2, 2)
    style.step_axes(axes, STEPS, scale="linear")
    assert [ax.get_xlabel() for ax in axes.flat] == ["", "", "training step", "training step"]
    assert all(ax.get_xlim() == (0, 100) for ax in axes.flat)


def test_a_log_step_axis_leaves_the_other_axis_its_ticks(ax):
    """Losses within a decade are labelled at minor ticks alone."""
    ax.plot(STEPS, [2.0, 3.0, 6.0])
    ax.set_yscale("log")
    before = ax.yaxis.get_minor_locator()
    style.step_axis(ax, STEPS)
    assert ax.yaxis.get_minor_locator() is before
    assert len(ax.xaxis.get_minorticklocs()) == 0


def test_a_log_step_axis_within_a_decade_has_its_ends_for_ticks(ax):
    shown = []
    for steps in ([0, 20, 40, 80], [0, 50, 51], [0, 20, 200]):
        style.step_axis(ax, steps)
        shown.append([label.get_text() for label in ax.get_xticklabels()])
    assert shown == [["0", "20", "80"], ["0", "51"], ["0", "$10^{2}$"]]


def test_texts_of_a_figure_say_what_its_steps_count():
    figure, axes = style.new_figure()
    style.step_axis(axes[0, 0], STEPS)
    axes[0, 0].set_title("step 5")
    style.note_below(figure, ["not by step 5"])
    style.name_unit(figure, "epoch")
    texts = axes[0, 0].get_xlabel(), axes[0, 0].get_title(), figure._supxlabel.get_text()
    assert texts == ("training epoch", "epoch 5", "not by epoch 5")


def test_a_frequency_whose_double_is_the_whole_circle_has_none(ax):
    figures.double_curves(PARTS.assign(double=0), ax, lines=K_LINES)
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert named == ["none of $k=3$", "none of $k=1$", "median"]


def test_representations_that_are_followed_are_not_called_key(ax):
    figures.hidden_curves(SHARES, ax, names=["standard"], are_key=False)
    assert ax.get_ylabel().endswith("strongest 1 representations")


def test_a_linear_step_axis_has_as_many_ticks_as_fit(ax):
    style.step_axis(ax, STEPS, scale="linear", n_ticks=2)
    assert ax.get_xticks().tolist() == [0, 50, 100]


def test_a_style_is_there_without_pandas_and_leaves_a_notebook_its_backend():
    code = (
        "import sys, matplotlib, interp.figures.style; print(matplotlib.get_backend(auto_select=False), "
        "{'pandas', 'torch', 'scipy', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    own = os.environ | {"MPLBACKEND": "svg"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=own)
    assert (done.stdout.strip(), done.stderr) == ("svg set()", "")


def test_key_representations_have_colours_and_others_are_grey(ax):
    figures.share_curves(SHARES, ax, parts={"left_embedding": "-"}, colours=BY_NAME)
    found = {line.get_label(): line.get_color() for line in ax.lines if len(line.get_xdata())}
    assert found == {
        "left embedding, trivial": "0.75",
        "left embedding, sign": "0.75",
        "left embedding, standard": style.PALETTE[0],
    }
    ax.clear()
    figures.single_loss_curves(SINGLE, ax, colours=BY_NAME)
    # Without the constant nothing changes but the constant.
    assert [line.get_color() for line in ax.lines] == [style.PALETTE[0], "0.75"]


def test_squares_of_similarities_are_summed(ax):
    figures.similarity_curves(SIMILARITY, ax, colours=BY_NAME)
    assert curve(ax, "squares of all") == (STEPS, [0.0, 0.02, 0.5])
    assert curve(ax, "standard") == (STEPS, [0.0, -0.1, 0.5])


def test_the_median_neuron_is_drawn(ax):
    neurons = [along(neuron=i, side="left", concentration=c) for i, c in enumerate((2.0, 0.5, 1e-9))]
    dead = along(neuron=3, side="right", concentration=float("nan"))
    figures.concentration_curves(pd.concat([*neurons, dead]), ax)
    assert curve(ax, "median neuron") == (STEPS, [0.5] * 3)


def test_residues_are_joined_in_the_order_in_which_their_multiples_walk_the_circle(ax):
    figures.embedding_circles(PLANE, ax)
    (line,) = ax.lines
    # 2a mod 5 of 0 .. 4 is 0, 2, 4, 1, 3: residues 0, 3, 1, 4, 2 and 0 again.
    assert line.get_xdata().tolist() == PLANE["cosine"][[0, 3, 1, 4, 2, 0]].tolist()
    assert ax.collections[0].get_array().tolist() == [0, 1, 2, 3, 4]


def test_a_map_has_the_first_operand_upwards(ax):
    figures.logit_map(PAIRS, ax, limits=(0.0, 20.0))
    (image,) = ax.collections
    assert image.get_array().reshape(3, 3)[1].tolist() == [3, 4, 5] and image.get_clim() == (0, 20)

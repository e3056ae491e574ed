"""Curves of losses by part, of heads and of ablations: what is drawn, and what is said where there is nothing."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from interp.figures import ablation_curves, head_curves, head_lines, part_curves, style

STEPS = [0, 10, 100]
NOTHING = pd.DataFrame({"step": []})
PARTS = pd.DataFrame(
    [
        {"step": step, "split": split, "part": part, "loss": 4.0 - i}
        for i, step in enumerate(STEPS)
        for split in ("train", "test", "all")
        for part in ("all", "predictable", "unpredictable", "copy 2")
    ]
)
SCORES = pd.DataFrame(
    [
        {"step": step, "layer": layer, "head": head, "score": i / 3, "null": 0.2}
        for i, step in enumerate(STEPS)
        for layer in (0, 1)
        for head in (0, 1)
    ]
)
ABLATIONS = pd.DataFrame(
    [
        {"step": step, "heads": heads, "patterns": patterns, "effect": float(i)}
        for i, step in enumerate(STEPS)
        for heads in ("none", "one", "other")
        for patterns in ("free", "kept")
    ]
)


@pytest.fixture
def ax():
    figure = style.blank_figure(3.0)
    assert isinstance(figure, Figure)
    return figure.subplots()


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_parts_have_a_curve_for_each_known_split(ax):
    assert part_curves(PARTS, ax, chance=3.5) is ax
    # Test and train of three parts, and chance; "all" rows are not drawn beside them, nor parts of parts.
    assert len(ax.lines) == 7 and labels(ax) == ["predictable", "unpredictable", "all"]
    assert list(ax.lines[0].get_ydata()) == [3.5, 3.5] and ax.get_ylabel() == "loss (nats)"


def test_without_a_split_all_rows_are_drawn(ax):
    part_curves(PARTS[PARTS["split"] == "all"], ax)
    assert len(ax.lines) == 3


def test_every_head_has_its_line_and_the_null_is_dotted(ax):
    head_curves(SCORES, ax, quantity="score", says="score", lines=head_lines(SCORES), threshold=0.3)
    assert labels(ax) == ["L0H0", "L0H1", "L1H0", "L1H1", "null"]
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), 0.2)
    assert len({line.get_color() for line in ax.lines[1:5]}) == 4


def test_ablations_are_solid_and_dashed(ax):
    ablation_curves(ABLATIONS, ax)
    assert labels(ax) == ["one", "other", "patterns kept"]
    assert [line.get_linestyle() for line in ax.lines[:4]] == ["-", "--", "-", "--"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: part_curves(NOTHING, ax),
        lambda ax: head_curves(NOTHING, ax, quantity="score", says="score", lines={}),
        lambda ax: ablation_curves(NOTHING, ax),
    ],
)
def test_what_is_lacking_is_said_in_the_picture(draw, ax):
    draw(ax)
    assert [text.get_text() for text in ax.texts] == [style.DOES_NOT_APPLY]

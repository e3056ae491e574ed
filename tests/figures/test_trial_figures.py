"""Figures of trained arms say what their tables say: censored intervals are open, verdicts are told apart in grey."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from interp import figures
from interp.figures import style
from interp.figures.arms import MARKS
from interp.figures.branches import median_curve
from interp.figures.scoreboard import VERDICTS
from tests.figures.test_figures import ARMS, BOARD, BRANCHES, EFFECTS, GRID, ORDER


@pytest.fixture
def ax():
    figure, axes = style.new_figure()
    yield axes[0, 0]
    figure.draw_without_rendering()


def bars(ax, y):
    """The bars of a row: left end, right end, face."""
    found = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_y() < y < p.get_y() + p.get_height()]
    return [(p.get_x(), p.get_x() + p.get_width(), p.get_facecolor()) for p in found]


def test_an_interval_spans_its_ends_and_the_zone_is_shaded(ax):
    figures.effect_intervals(EFFECTS, ax)
    zone, interval = bars(ax, 0)
    assert zone[:2] == pytest.approx((1 / 1.15, 1.15)) and interval[:2] == pytest.approx((1.6, 2.5))
    assert to_rgb(zone[2]) == to_rgb("0.88") and to_rgb(interval[2]) == to_rgb(MARKS["later"][0])
    marks = [(line.get_marker(), line.get_xdata()[0]) for line in ax.lines if line.get_marker() != "None"]
    # The third ratio has no end, the fourth is not known.
    assert marks == [(">", 2.0), ("<", 0.5)]
    assert ax.get_xscale() == "log" and ax.get_ylim()[0] > ax.get_ylim()[1]


def test_a_censored_interval_is_open_and_goes_on(ax):
    figures.effect_intervals(EFFECTS, ax)
    _, (left, right, face) = bars(ax, 2)
    assert left == 3.0 and right == pytest.approx(ax.get_xlim()[1]) and to_rgb(face) == (1, 1, 1)
    arrows = [a for a in ax.texts if getattr(a, "arrow_patch", None) is not None]
    assert [a.xy[1] for a in arrows] == [2]
    counts = [t.get_text() for t in ax.texts if "pair" in t.get_text()]
    assert counts == ["3 pairs", "3 pairs", "3 pairs, 3 censored", "0 pairs"]


def test_what_is_not_evaluable_says_which_check_failed(ax):
    figures.effect_intervals(EFFECTS, ax)
    assert bars(ax, 3) == []
    assert "not evaluable: norm path: 0.1, allowed 0.005" in [t.get_text() for t in ax.texts]


def test_one_pair_is_a_point_without_an_interval(ax):
    one = EFFECTS[:1].assign(low=np.nan, high=np.nan, verdict="undecided", n_pairs=1)
    figures.effect_intervals(one, ax)
    assert len(bars(ax, 0)) == 1
    assert [line.get_marker() for line in ax.lines if line.get_marker() != "None"] == ["o"]


def test_the_legend_names_what_occurs():
    def named(table):
        figure, axes = style.new_figure()
        figures.effect_intervals(table, axes[0, 0])
        figures.effect_legend(figure, table)
        return [t.get_text() for t in figure.legends[0].get_texts()]

    assert named(EFFECTS) == ["later", "earlier", "counts as equal", "open: did not come within the budget"]
    assert named(EFFECTS[:1]) == ["later", "counts as equal"]


def test_the_median_of_pairs_is_thick(ax):
    other = BRANCHES.assign(test_accuracy=np.where(BRANCHES["pair"] == "0", 0.0, 1.0))
    figures.branch_curves(other, ax, lines=ARMS)
    thin, thick = (
        [line for line in ax.lines if (line.get_linewidth() > 1) == is_thick] for is_thick in (False, True)
    )
    assert len(thin) == 2 and len(thick) == 1
    assert thick[0].get_ydata().tolist() == [0.5, 0.5, 0.5] and thick[0].get_label() == "norm"
    assert ax.get_xlabel() == "steps since the branch" and ax.get_ylabel() == "test accuracy"


def test_a_median_goes_as_far_as_half_of_the_pairs():
    steps, _ = median_curve([(np.array([0.0, x]), np.zeros(2)) for x in (10, 20, 40)])
    assert steps.max() == 20


def test_brackets_lie_where_they_begin_and_end(ax):
    figures.order_brackets(ORDER, ax)
    assert [b[:2] for y in (0, 1) for b in bars(ax, y)] == [(0, 10), (10, 100)]
    assert [t.get_text() for t in ax.texts] == ["not by then"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["memorization", "grokking", "cleanup"]


def test_the_grid_shows_a_sign_for_each_prediction(ax):
    figures.verdict_grid(BOARD, ax, **GRID)
    signs = {(t.get_text(), round(t.get_position()[0]), round(t.get_position()[1])) for t in ax.texts}
    assert signs == {("+", 1, 0), ("?", 1, 0), (VERDICTS["contradicted"][2], 0, 1)}
    assert [t.get_text() for t in ax.get_xticklabels()] == ["checkpoints", "norm"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["norm clock", "capacity"]


def test_many_predictions_of_a_cell_stay_within_it(ax):
    many = pd.DataFrame({"theory": "t", "column": "c", "verdict": list(VERDICTS)})
    figures.verdict_grid(many, ax, theories=["t"], columns=["c"])
    cells = [p for p in ax.patches if isinstance(p, Rectangle)]
    assert len(cells) == 6
    assert all(p.get_x() >= -0.5 and p.get_x() + p.get_width() <= 0.5 for p in cells)
    assert all(p.get_y() >= -0.5 and p.get_y() + p.get_height() <= 0.5 for p in cells)
    assert len({(round(p.get_x(), 3), round(p.get_y(), 3)) for p in cells}) == 6
    assert len({round(p.get_y(), 3) for p in cells}) == 2


def lightness(colour):
    """Relative luminance (WCAG 2.1), what is left of a colour in grey."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_verdicts_are_told_apart_without_colour():
    assert len({sign for _, _, sign in VERDICTS.values()}) == len(VERDICTS)
    decided = [
        lightness(VERDICTS[name][0]) for name in ("supported", "contradicted", "consistent", "undecided")
    ]
    # A contrast of 1.5 between neighbours is seen side by side.
    for dark, light in itertools.pairwise(decided):
        assert (light + 0.05) / (dark + 0.05) > 1.5
    for shade, sign, _ in VERDICTS.values():
        if sign in ("white", "black"):
            ends = sorted([lightness(shade), lightness(sign)])
            # What WCAG asks of large text and of graphics.
            assert (ends[1] + 0.05) / (ends[0] + 0.05) > 3
    assert len({mark for _, mark in MARKS.values()}) == len(MARKS)

"""Tables as they should not be: without a column, without numbers, of a prime that is large."""

import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import QuadMesh

from interp import figures
from interp.figures import style
from tests.figures import test_figures
from tests.figures.legibility import overlaps
from tests.figures.test_figures import ALONG_STEPS, DRAWN, KEY, pairs, step_of
from tests.thinned import thinned


@pytest.fixture
def ax():
    figure, axes = style.new_figure()
    yield axes[0, 0]
    figure.draw_without_rendering()


def change(monkeypatch, changed):
    """Every table of the figures' tests, changed."""
    here = sys.modules[test_figures.__name__]
    for name, table in list(vars(here).items()):
        if isinstance(table, pd.DataFrame) and len(table):
            monkeypatch.setattr(here, name, changed(table))


# Their tables are made by another function, in the test itself.
MADE = {"critical_brackets", "skill_bars", "survival_curves"}


@pytest.mark.parametrize("name", sorted(set(DRAWN) - MADE - {"attention_map"}))
def test_a_table_without_its_columns_is_refused(name, ax, monkeypatch):
    change(monkeypatch, lambda table: pd.DataFrame({"other": range(len(table))}))
    with pytest.raises(ValueError, match=rf"{name} needs the column .*, got a table with .*other"):
        DRAWN[name](ax)


def test_a_map_of_a_head_that_is_not_there_is_refused(ax):
    with pytest.raises(ValueError, match=r"attention_map needs the column .*L0H9.*, got a table with .*L0H1"):
        figures.attention_map(pairs(3, "first", "second", L0H1=0.5), ax, head="L0H9")


BAD = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}
# What a run or a recipe is, and how it was asked: no measurement.
STATED = {"step", "before", "multiple", "budget", "tolerance", "zone", "at"}


def measured(table):
    """The columns that hold measurements."""
    return [name for name in table.select_dtypes("float") if name not in STATED]


@pytest.mark.parametrize(
    "bad", ["nan", pytest.param("inf", marks=pytest.mark.slow), pytest.param("-inf", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", thinned(sorted(set(DRAWN) - MADE), 3))
def test_a_table_without_one_number_is_no_broken_picture(name, bad, ax, monkeypatch):
    change(monkeypatch, lambda table: table.assign(**dict.fromkeys(measured(table), BAD[bad])))
    assert DRAWN[name](ax) is ax


@pytest.mark.parametrize(
    "draw",
    [
        figures.embedding_circles,
        lambda table, ax: figures.overlaid_curves(table, ax, quantity="norm", colours={}, relative=False),
        lambda table, ax: figures.values_by_arm(table, ax, quantity="angle", arms=[], axis="angle (rad)"),
    ],
)
def test_a_table_of_nothing_needs_no_columns(draw, ax):
    assert draw(pd.DataFrame(), ax) is ax
    assert len(ax.texts) == 1 and not ax.has_data()


def test_what_is_infinite_leaves_a_gap_unless_it_says_something():
    seen = []

    def draw(table, ax):
        seen.append(table)

    given = pd.DataFrame(
        {"step": [0, 1], "loss": [np.inf, 1.0], "high": [np.inf, -np.inf], "low": [-np.inf, 0.0]}
    )
    figures.given_tables.drawn_as_given(draw)({"one": given}, None)
    expected = given.assign(loss=[np.nan, 1.0], high=[np.inf, np.nan])
    pd.testing.assert_frame_equal(seen[0]["one"], expected)
    assert given["loss"][0] == np.inf


@pytest.mark.slow
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", sorted(set(DRAWN) - MADE))
def test_one_column_without_a_number_is_no_broken_picture(name, bad, monkeypatch):
    here = sys.modules[test_figures.__name__]
    tables = {key: t for key, t in vars(here).items() if isinstance(t, pd.DataFrame) and len(t)}
    for key, table in tables.items():
        if key not in DRAWN[name].__code__.co_names:
            continue
        for column in measured(table):
            figure, axes = style.new_figure()
            with monkeypatch.context() as patch:
                patch.setattr(here, key, table.assign(**{column: BAD[bad]}))
                DRAWN[name](axes[0, 0])
                figure.draw_without_rendering()


def values_at(ax, x):
    """The numbers that curves, bands and maps have at this place."""
    places = [line.get_xydata() for line in ax.lines]
    for drawn in ax.collections:
        if isinstance(drawn, QuadMesh):
            cells = drawn.get_coordinates()
            column = np.searchsorted(cells[0, :, 0], x) - 1
            places.append([(x, value) for value in np.ma.filled(drawn.get_array()[:, column], np.nan)])
        else:
            places += [path.vertices for path in drawn.get_paths()]
    return [float(y) for part in places for at, y in part if at == x and np.isfinite(y)]


@pytest.mark.parametrize("name", thinned(ALONG_STEPS, 3))
def test_a_number_that_is_missing_leaves_a_gap(name, ax, monkeypatch):
    def with_a_gap(table):
        if (column := step_of(table)) is None:
            return table
        floats = table.select_dtypes("float").columns.difference(["step", "before", "x"])
        return table.assign(**{c: table[c].where(table[column] != 10) for c in floats})

    change(monkeypatch, with_a_gap)
    assert DRAWN[name](ax) is ax
    assert values_at(ax, 100) and values_at(ax, 10) == []


def test_another_error_of_a_figure_is_not_called_a_column():
    def wrong(table, ax):
        return {}["lines"]

    with pytest.raises(KeyError, match="lines"):
        figures.given_tables.drawn_as_given(wrong)(KEY, None)


def test_a_large_prime_is_a_picture_and_no_flood_of_ticks():
    n, steps = 498, [0, 10, 100]
    _, axes = style.new_figure(1, 2, height=3.0)
    spectrum = pd.DataFrame(
        {
            "step": np.repeat(steps, n),
            "frequency": np.tile(np.arange(1, n + 1), 3),
            "fraction": 1 / n,
            "null": 0.01,
        }
    )
    figures.spectrum_map(spectrum, axes[0, 0])
    figures.component_map(
        pairs(n + 1, "frequency_first", "frequency_second", fraction=1 / n**2), KEY, axes[0, 1]
    )
    for ax in axes.flat:
        assert ax.collections[0].get_rasterized()
        assert max(len(ax.get_xticks()), len(ax.get_yticks())) <= 12
    assert overlaps(axes[0, 0].figure) == []

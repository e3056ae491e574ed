"""Figures of several panels can be read where they go: drawn from the kept tables of the gallery, nothing measured."""

from itertools import cycle
from types import SimpleNamespace

import pytest

from interp.figures import style
from interp.report import pictures
from interp.report.account import moves
from interp.tables.phases import phases
from interp.views.pictures import making, named, names, papers, trials, whole
from tests.figures.legibility import overlaps, smallest
from tests.figures.test_figures import ARMS, BRANCHES
from tests.report.trials import observed_tables
from tests.thinned import of_several
from tests.views.test_pictures import script

# Ten rows of panels, each as the first.
TOO_LONG = {"compare"}
SEVERAL = [name for name in (*whole.NAMES, *papers.PICTURES, *trials.PICTURES) if name not in TOO_LONG]
OTHERS = sorted(set(names()) - set(SEVERAL) - TOO_LONG)
PLACES = ("journal-text", "icml-column", "icml-text")
# Grids of panels have no place in a column of a slide or a poster.
ALL_PLACES = (*PLACES, "acl-column")


@pytest.fixture(scope="module")
def gallery():
    return script()


def found(name, preset, gallery):
    with style.using(preset):
        figure = making.drawn(named(name), *gallery.kept(name))
        return overlaps(figure), smallest(figure)


# A place for some of the figures; all of both with the slow tests.
@pytest.mark.parametrize(("name", "preset"), of_several(zip(SEVERAL, cycle(PLACES), strict=False), 3))
def test_no_text_lies_on_another(name, preset, gallery):
    met, least = found(name, preset, gallery)
    assert met == [] and least >= 5.5


@pytest.mark.parametrize("preset", PLACES)
def test_no_text_lies_on_another_in_the_figures_of_a_page(preset, annotations_off):
    observed = {name: table.drop(columns="run", errors="ignore") for name, table in observed_tables().items()}
    begun = phases(observed)
    told = SimpleNamespace(observed=observed, phases=begun, moves=moves(observed, begun))
    with annotations_off(), style.using(preset):
        assert overlaps(pictures.timeline(told)) == []


def test_no_text_lies_on_another_where_panels_are_placed_by_hand():
    curves = pictures.Curves(BRANCHES.assign(norm=2.0), ("test_accuracy", "norm"), ARMS)
    assert overlaps(pictures.branches(curves, "What was found of these arms, in a sentence. " * 4)) == []


@pytest.mark.slow
@pytest.mark.parametrize("preset", ALL_PLACES)
@pytest.mark.parametrize("name", [*SEVERAL, *OTHERS])
def test_no_text_lies_on_another_anywhere(name, preset, gallery):
    met, least = found(name, preset, gallery)
    assert met == [] and least >= 5.5

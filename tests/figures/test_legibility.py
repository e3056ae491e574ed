"""Figures can be read where they are printed: no text on text, none too small, no two lines that look alike."""

import pytest

from interp.figures import style
from tests.figures.legibility import alike, overlaps, smallest
from tests.figures.test_figures import DRAWN
from tests.thinned import thinned

PAPERS = ("acl-column", "arxiv-column", "icml-column", "iclr-half", "journal-column", "neurips-half")
GREY, APART = 8.0, 8.0  # lightness L* and CIELAB distance that are seen beside each other


@pytest.mark.parametrize("name", thinned(sorted(DRAWN), 2))
def test_no_text_lies_on_another_in_any_column(name):
    # A column each for every figure: all of them for all columns would take a minute.
    preset = PAPERS[sorted(DRAWN).index(name) % len(PAPERS)]
    with style.using(preset):
        figure, axes = style.new_figure()
        DRAWN[name](axes[0, 0])
        style.label_panels(axes.flat)
        assert overlaps(figure) == [], preset
        assert smallest(figure) >= 5.5, preset


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_lines_differ_in_grey_and_to_the_colour_blind_or_have_other_dashes(name):
    _, axes = style.new_figure()
    assert alike(DRAWN[name](axes[0, 0]), grey=GREY, apart=APART) == []

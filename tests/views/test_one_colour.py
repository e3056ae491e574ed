"""One thing looks alike wherever it is drawn: in figures, in the report, on the page."""

from itertools import pairwise

import pytest

from interp.figures import arm_lines, frequency_lines
from interp.figures.colours import N_LINES, line_of
from interp.report import pictures
from interp.views.explored import explored
from interp.views.page_lines import page_line
from interp.views.pictures.trials import _branches, _draw_branches
from interp.views.tried import tried
from tests.report.test_sentences import of_world


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return of_world(tmp_path_factory.mktemp("circuit"))


def test_as_many_lines_differ_as_are_said_to():
    lines = [(line["color"], str(line["ls"])) for line in map(line_of, range(N_LINES))]
    assert N_LINES == 36 and len(set(lines)) == N_LINES
    assert all(a[0] != b[0] for a, b in pairwise(lines))


@pytest.mark.slow
def test_an_arm_looks_alike_in_every_figure_and_on_the_page(told):
    lines = pictures.trial_lines(told)
    assert lines["control"]["color"] == "#000000" and len(lines) > 8
    on_page = {arm["label"]: arm["line"] for arm in tried(told)["arms"]}
    assert on_page == {label: page_line(lines[label]) for label in on_page}
    drawn = [pictures.curves_of(row, told) for row in told.rows]
    drawn = [one.lines for one in drawn if one is not None]
    assert len({tuple(one) for one in drawn}) > 3
    for one in drawn:
        assert one == {label: lines[label] for label in one}
    tables = _branches(told)
    figure = _draw_branches(tables)
    named = {line.get_label(): line.get_color() for line in figure.axes[0].get_legend().get_lines()}
    assert named and named == {label: arm_lines(lines)[label]["color"] for label in named}


def test_a_frequency_has_the_colour_of_figures_on_the_page(tiny_run):
    page = explored([tiny_run])
    followed = page["runs"][0]["followed"]
    assert len(followed) > 1
    lines = {str(k): page_line(line) for k, line in frequency_lines(followed).items()}
    assert page["colours"]["frequency"] == lines

"""Presets of figures: widths and fonts, folding, what a reader would stumble over, and equal files."""

import hashlib
import subprocess
import sys

import matplotlib
import pandas as pd
import pytest
from matplotlib.text import Text

from interp import figures
from interp.figures import presets, style
from interp.figures.colours import head_lines, line_of
from tests.figures.legibility import alike, overlaps
from tests.figures.test_figures import NEURONS, PARTS, PERIODICITY, SPARSITY, SPECTRUM, stacked

PAPERS = [name for name in presets.PRESETS if not name.startswith(("slides", "poster"))]


def test_overlaps_and_texts_beyond_the_edge_are_found():
    figure, axes = style.new_figure(width=3.0)
    axes[0, 0].text(0.5, 0.5, "one", transform=axes[0, 0].transAxes)
    axes[0, 0].text(0.52, 0.5, "other", transform=axes[0, 0].transAxes)
    figure.text(0.98, 0.5, "beyond").set_in_layout(False)
    for x, name in ((0.1, "slanted"), (0.2, "beside"), (0.22, "upon")):
        options = {"rotation": 45, "rotation_mode": "anchor", "transform": axes[0, 0].transAxes}
        axes[0, 0].text(x, 0.1, name, **options)
    assert overlaps(figure) == ["'beyond' sticks out", "'one' over 'other'", "'beside' over 'upon'"]


def test_lines_that_look_alike_are_found():
    _, axes = style.new_figure()
    for colour, label in ((style.VERMILION, "first"), (style.GREEN, "second"), (style.BLUE, "third")):
        axes[0, 0].plot([0, 1], [0, 1], color=colour, label=label)
    assert alike(axes[0, 0], grey=10.0, apart=0.0) == ["first and second in grey: 4"]


def test_a_preset_has_the_width_of_its_venue_and_fonts_that_are_there():
    assert {n: presets.named(n).width for n in ("neurips-text", "icml-column", "icml-text", "acl-column")} == {
        "neurips-text": 5.5, "icml-column": 3.25, "icml-text": 6.75, "acl-column": 3.03,
    }  # fmt: skip
    for name in presets.PRESETS:
        with style.using(name) as preset:
            figure, axes = style.new_figure()
            text = axes[0, 0].set_xlabel("step")
            assert figure.get_figwidth() == preset.width
            assert text.get_fontname() in presets.FAMILIES[preset.family]
            assert text.get_fontsize() == preset.size + 0.5


@pytest.mark.parametrize("name", PAPERS)
def test_notes_of_a_paper_are_read(name):
    with style.using(name):
        _, axes = style.new_figure()
        assert Text(0, 0, "note", fontsize=style.SMALL, figure=axes[0, 0].figure).get_fontsize() >= 5.5


def test_an_unknown_preset_is_refused_and_the_former_one_comes_back():
    with (
        pytest.raises(
            ValueError, match=r"There is no preset 'icml-colum'\. Is 'icml-column' meant\? There are: acl"
        ),
        style.using("icml-colum"),
    ):
        pass
    with pytest.raises(RuntimeError), style.using("icml-column"):
        raise RuntimeError
    assert style.current() == presets.named(presets.DEFAULT)


def test_a_font_that_is_not_installed_has_one_in_its_place(monkeypatch):
    presets._installed.cache_clear()
    monkeypatch.setitem(presets.FAMILIES, presets.SERIF, ("No Such Font", "STIXGeneral"))
    try:
        assert presets.settings(presets.named("acl-column"))["font.family"] == "STIXGeneral"
    finally:
        presets._installed.cache_clear()


def test_a_grid_too_narrow_for_its_panels_is_folded():
    with style.using("icml-column"):
        figure, axes = style.new_figure(2, 3, height=4.0)
        assert axes.shape == (2, 3)
        places = [ax.get_subplotspec() for ax in axes.flat]
        assert [(p.rowspan.start, p.colspan.start) for p in places] == [(i, 0) for i in range(6)]
        assert figure.get_figheight() > 4.0
    _, axes = style.new_figure(2, 3)
    assert axes[1, 2].get_subplotspec().colspan.start == 2


def test_a_legend_has_as_many_columns_as_fit():
    _, axes = style.new_figure(width=2.0)
    for label in ("a rather long name", "another long name", "a third long name"):
        axes[0, 0].plot([0, 1], [0, 1], label=label)
    style.legend_above(axes[0, 0], n_columns=3)
    assert axes[0, 0].get_legend()._ncols == 1


def test_sixty_four_heads_do_not_flood_a_legend():
    table = stacked("head", list(range(64)), layer=0, fraction_explained=[0.1, 0.5, 0.9], null=0.3)
    figure, axes = style.new_figure()
    figures.periodicity_curves(table, axes[0, 0], lines=head_lines(table))
    named = [text.get_text() for text in axes[0, 0].get_legend().get_texts()]
    assert len(named) == 13 and named[11] == "L0H11 and 52 more"
    assert overlaps(figure) == []


def test_a_thing_has_the_same_looks_whatever_the_order_of_its_table():
    lines = figures.frequency_lines([29, 5, 7, 1])
    assert lines == figures.frequency_lines([1, 5, 7, 29])
    assert list(lines) == [29, 5, 7, 1]
    assert lines[5] == line_of(1)
    assert figures.head_lines(PERIODICITY) == figures.head_lines(PERIODICITY[::-1])


def test_a_frequency_has_one_colour_in_the_figures_of_a_run():
    """The strength of frequencies differs from table to table, and with it the order in which they come."""
    seen = []
    _, axes = style.new_figure(1, 3)
    spectrum = figures.feature_curves(SPARSITY, SPECTRUM, pd.DataFrame({"frequency": [3, 1]}), axes[0, 0])
    parts = figures.irrelevance_curves(
        PARTS, axes[0, 1], lines=figures.frequency_lines([1, 3]), thresholds=(0.2, 0.9)
    )
    for ax in (spectrum, parts):
        seen.append(
            {line.get_label(): line.get_color() for line in ax.lines if "k=" in str(line.get_label())}
        )
    ax = figures.neuron_histogram(NEURONS, pd.DataFrame({"frequency": [3, 1]}), axes[0, 2])
    found = {}
    for bar, name in zip(*ax.get_legend_handles_labels(), strict=True):
        if (k := name.split(":")[0]) in seen[0]:
            colour = getattr(bar, "patches", [bar])[0].get_facecolor()
            found[k] = matplotlib.colors.to_hex(colour).upper()
    seen.append(found)
    assert seen[0] == seen[1] == seen[2] and len(set(seen[0].values())) == 2


WRITE = """
import sys
from pathlib import Path
from interp.figures import style
with style.using("acl-column"):
    figure, axes = style.new_figure()
    axes[0, 0].plot([0, 1], [0, 1], label="$k=1$")
    axes[0, 0].fill_between([0, 1], [0, 1], [1, 2], hatch="/")
    style.legend_above(axes[0, 0], n_columns=1)
    style.save_figure(figure, Path(sys.argv[1]), ("pdf", "svg", "png"))
"""


def test_a_figure_is_the_same_file_in_another_process(tmp_path):
    sums = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        subprocess.run([sys.executable, "-c", WRITE, str(tmp_path / name / "f")], check=True)
        files = sorted((tmp_path / name).iterdir())
        sums.append({f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files})
    assert sums[0] == sums[1] and list(sums[0]) == ["f.pdf", "f.png", "f.svg"]
    pdf = (tmp_path / "first" / "f.pdf").read_bytes()
    # Of type 42: the outlines of the font, and none of type 3, which journals refuse.
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf


def test_a_format_that_is_not_written_is_refused(tmp_path):
    figure, _ = style.new_figure()
    for formats, got in ((("pdf", "eps"), "pdf, eps"), ((), "nothing")):
        with pytest.raises(
            ValueError, match=rf"A figure is written as pdf, png, svg or some of them, got {got}\."
        ):
            style.save_figure(figure, tmp_path / "f", formats)
    assert list(tmp_path.iterdir()) == []

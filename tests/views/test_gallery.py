"""docs/gallery.md shows every picture, and what it shows is what is drawn today."""

import json
import re

import pytest

from interp.figures import style
from interp.views import pictures
from interp.views.pictures import making
from tests.views.test_pictures import script


@pytest.fixture(scope="module")
def gallery():
    return script()


def test_the_page_is_what_the_kept_tables_give(gallery):
    page = gallery.PAGE.read_text("utf-8")
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == pictures.names()
    assert page == gallery.page(), "run `make gallery`"


# In CI every sixth figure; all of them with the slow tests.
@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_the_lines_on_the_page_draw_what_it_shows(every, gallery, monkeypatch):
    monkeypatch.setattr(making, "tables_of", lambda run, name: gallery.kept(name)[0])
    drawn = json.loads(gallery.DRAWN.read_text("utf-8"))
    blocks = re.findall(r"```python\n(.*?)```", gallery.PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == len(pictures.names()) and {block.count("\n") for block in blocks} == {3}
    changed = []
    assert all(f'"{name}")' in block for name, block in zip(pictures.names(), blocks, strict=True))
    for name, block in list(zip(pictures.names(), blocks, strict=True))[::every]:
        there = {}
        exec(block, there)
        if gallery.fingerprint(there["figure"]) != drawn[name]:
            changed.append(name)
    assert not changed, (
        f"{changed} are drawn otherwise than the page shows: look at them and run `make gallery`"
    )


def test_what_a_figure_draws_and_says_is_in_its_fingerprint(gallery):
    def drawn(low=0.1, bar=0.2, legend="a", below="b", x=1.0):
        figure, (upper, lower) = style.new_bands([2.0, 2.0])
        axes = upper.subplots(), lower.subplots()
        axes[0].fill_between([0, 1], [low, low], [1, 1])
        axes[0].errorbar([0, 1], [1, 2], [bar, bar], ls="")
        axes[1].scatter([0, x], [0, 1])
        style.figure_legend(upper, axes[0].collections[:1], [legend])
        style.note_below(figure, [below])
        return gallery.fingerprint(figure)

    changes = ({}, {"low": 0.2}, {"bar": 0.3}, {"legend": "c"}, {"below": "c"}, {"x": 2.0})
    assert len({drawn(**change) for change in changes}) == len(changes) and drawn() == drawn()


def test_the_images_are_there_and_small(gallery):
    images = {path.stem: path.stat().st_size for path in gallery.FOLDER.glob("*.png")}
    assert set(images) == set(pictures.names())
    assert sum(images.values()) < 2.5e6

"""docs/gallery.md shows every picture, and what it shows is what is drawn today."""

import json
import re

import pytest

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


# In CI every third figure; all of them with the slow tests.
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
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


def test_the_images_are_there_and_small(gallery):
    images = {path.stem: path.stat().st_size for path in gallery.FOLDER.glob("*.png")}
    assert set(images) == set(pictures.names())
    assert sum(images.values()) < 2.5e6

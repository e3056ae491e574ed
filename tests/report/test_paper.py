"""The page on paper: nothing is cut, everything that is decided is in it, equal accounts give equal bytes."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from interp.report import paper
from tests.report.test_sentences import of_world
from tests.theories import worlds


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return of_world(tmp_path_factory.mktemp("made"), worlds.circuit_progress_world, n_pairs=4)


def inside(figure):
    """Whether every text lies within its page."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.texts]
    assert boxes
    return all(
        b.x0 >= 0 and b.y0 >= 0 and b.x1 <= figure.bbox.width and b.y1 <= figure.bbox.height for b in boxes
    )


@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_the_widest_words_fit_the_page(weight):
    # W is the widest letter; words of ordinary text are narrower.
    for text in ("WWWWWWW mmmmm " * 60, "norm-at-margin-squared at dose 1.15 over control " * 30, "x" * 400):
        lines = paper.paragraph(text, size=8.5, inset=0.2, weight=weight)
        (sheet,) = paper.sheets(lines)
        limit = sheet.bbox.width
        canvas = FigureCanvasAgg(sheet)
        canvas.draw()
        wide = "W" not in text
        assert all(t.get_window_extent(canvas.get_renderer()).x1 <= limit for t in sheet.texts) or not wide
        assert len(lines) > 1


def test_a_long_text_takes_more_pages_and_loses_no_line():
    lines = [line for i in range(300) for line in paper.paragraph(f"line {i}", above=0.3)]
    found = list(paper.sheets(lines))
    assert len(found) > 2 and all(inside(sheet) for sheet in found)
    assert [t.get_text() for sheet in found for t in sheet.texts] == [f"line {i}" for i in range(300)]


def test_dollars_are_no_mathematics():
    (sheet,) = paper.sheets(paper.paragraph(r"$\frac{x costs $2"))
    assert inside(sheet) and sheet.texts[0].get_text() == r"$\frac{x costs $2"


@pytest.mark.slow
def test_it_holds_the_answer_and_every_decided_prediction_in_the_same_bytes_each_time(told, monkeypatch):
    pages = []
    true_sheets = paper.sheets

    def kept(lines):
        pages.extend(lines)
        return true_sheets(lines)

    monkeypatch.setattr(paper, "sheets", kept)
    data = paper.paper(told)
    assert data.startswith(b"%PDF") and len(data) > 10_000
    text = " ".join(line.text for line in pages)
    for row in told.rows:
        if row.found is not None:
            assert row.prediction.name.replace("_", " ") in text
    assert told.lock is not None and told.lock.hash in text
    monkeypatch.undo()
    assert paper.paper(told) == data
    for heading in (
        "1. What the evidence says",
        "3. What was changed",
        "4. The scoreboard",
        "5. What is open",
        "6. How",
    ):
        assert heading in text

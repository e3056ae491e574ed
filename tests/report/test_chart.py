"""Charts and sketches in a browser: tables that follow their curves, what ends, what is laid out anew."""

import pytest

from interp.report.explorer.page import page as page_of
from interp.views.explored import explored
from tests.browser import browser, opened

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]

MADE = """(n) => {
    const place = document.body.appendChild(Explorer.make("div", { id: "made" }));
    const x = Array.from({ length: n }, (_, i) => i);
    const of = (factor) => [{ label: "y", colour: "#000", x, y: x.map((one) => factor * one) }];
    const linear = { scale: "linear" };
    window.made = Explorer.chart(place, { series: of(1), x: linear, y: linear, cursorStep: true });
    window.of = of;
}"""


@pytest.fixture(scope="module")
def page(tiny_run, tmp_path_factory):
    data = explored([tiny_run])
    path = tmp_path_factory.mktemp("charts") / "page.html"
    run = {**data["runs"][0], "unit": "epoch"}
    path.write_text(page_of({**data, "runs": [run]}), encoding="utf-8")
    with browser() as chromium, opened(chromium, path.as_uri()) as one:
        yield one


@pytest.fixture
def made(page):
    """A chart of n points, to be asked for."""

    def make(n):
        page.evaluate(MADE, n)
        return page.locator("#made")

    yield make
    page.evaluate("made.destroy(); document.getElementById('made').remove()")


def test_an_open_table_follows_its_curve(page, made):
    chart = made(5)
    chart.get_by_role("button", name="Numbers of").click()
    assert chart.locator("td").all_text_contents() == ["0", "1", "2", "3", "4"]
    page.evaluate("made.update({ series: of(10) })")
    assert chart.locator("td").all_text_contents() == ["0", "10", "20", "30", "40"]
    assert chart.get_by_role("button", name="Numbers of").get_attribute("aria-expanded") == "true"


def test_a_long_table_says_what_it_leaves_out_and_keeps_the_last(made):
    chart = made(1002)
    chart.get_by_role("button", name="Numbers of").click()
    rows = chart.locator("tbody th").all_text_contents()
    assert rows[0] == "0" and rows[-1] == "1001" and len(rows) <= 401
    assert chart.locator("caption").text_content() == f"{len(rows)} of 1,002 rows, evenly spread"


def test_a_chart_that_has_ended_hears_nothing(page, made):
    chart = made(400)
    page.evaluate("Explorer.set({ step: 300 }); Explorer.flush(true)")
    page.evaluate("window.out = document.querySelector('#made .legend b')")
    assert page.evaluate("out.textContent") == "300"
    page.evaluate("made.destroy(); Explorer.set({ step: 100 }); Explorer.flush(true)")
    assert page.evaluate("out.textContent") == "300"
    assert chart.locator(".chart").count() == 0
    made(5)


def test_steps_are_counted_in_the_unit_of_the_run(page):
    page.evaluate("Explorer.set({ step: 150 }); Explorer.flush(true)")
    assert page.locator("#shown").text_content() == "epoch 150"
    assert "by training epoch" in page.locator("#losses-0 .plot").get_attribute("aria-label")


def test_pictures_are_laid_out_anew_when_the_window_changes(page):
    """Clicks are matched with the width that is, so that what is drawn has to be of it too."""
    drawn = "(id) => document.querySelector(`#${id} canvas.sketch`).toDataURL()"
    for name in ("circles-0", "neurons-0", "spectra-0"):
        page.set_viewport_size({"width": 1366, "height": 900})
        page.locator(f"#{name}").scroll_into_view_if_needed()
        page.wait_for_timeout(100)
        wide = page.evaluate(drawn, name)
        page.set_viewport_size({"width": 560, "height": 900})
        page.locator(f"#{name}").scroll_into_view_if_needed()
        page.wait_for_timeout(100)
        narrow = page.evaluate(drawn, name)
        page.evaluate("Explorer.notify('step'); Explorer.flush(true)")
        assert wide != narrow == page.evaluate(drawn, name)
    page.set_viewport_size({"width": 1366, "height": 900})


def test_a_table_is_chosen_and_put_away(page):
    chosen, place = page.locator("#table"), page.locator("#tables .table-place")
    assert chosen.input_value() == "" and place.is_hidden()
    first = chosen.locator("option").nth(1).get_attribute("value")
    chosen.select_option(first)
    page.evaluate("Explorer.flush(true)")
    assert place.locator("tbody tr").count() > 0
    chosen.select_option("")
    page.evaluate("Explorer.flush(true)")
    assert place.is_hidden() and page.said == []

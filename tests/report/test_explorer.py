"""The explorer in a browser: it shows the numbers of the tables, and works by mouse, key and link."""

import re

import pandas as pd
import pytest

import interp
from interp.report.explorer.page import page as page_of
from interp.views.explored import explored
from tests.browser import browser, opened

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def data(tiny_run):
    return explored([tiny_run])


@pytest.fixture(scope="module")
def url(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "tiny.html"
    path.write_text(page_of(data), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium():
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def page(chromium, url):
    with opened(chromium, url, accept_downloads=True) as one:
        yield one


def at(page, **state):
    page.evaluate("(changes) => { Explorer.set(changes); Explorer.flush(true); }", state)


def test_loads_without_errors_and_asks_for_nothing(page):
    at(page, step=100)
    assert page.said == [] and page.asked == []
    assert page.locator("section.panel canvas, section.panel .uplot").count() > 15


def test_numbers_on_the_page_are_those_of_the_tables(page, tiny_run):
    losses = interp.measure(tiny_run, ["losses"], cache=False)["losses"].set_index(["step", "split"])
    for step in (0, 150, 300):
        at(page, step=step)
        said = page.locator("#losses-0 p.now-said a.row").all_text_contents()
        expected = [
            losses.loc[(step, split), name]
            for split in ("train", "test", "all")
            for name in ("accuracy", "loss")
        ]
        assert [float(x) for x in said] == pytest.approx(expected, rel=6e-3)


def test_right_answers_are_counted_as_the_accuracy_says(page, tiny_run):
    table = interp.measure(tiny_run, ["losses"], cache=False)["losses"].set_index(["step", "split"])
    at(page, step=150)
    right = [
        int(x) for x in re.findall(r"(\d+) of", page.locator("#answers-0 p.now-said").first.text_content())
    ]
    rows = table.loc[150]
    assert right == [round(rows.loc[split, "accuracy"] * rows.loc[split, "n"]) for split in ("train", "test")]


def test_slider_keys_and_charts_move_one_step(page):
    at(page, step=0)
    page.locator("#step").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("Explorer.get().step") == 50
    page.keyboard.press("End")
    assert page.evaluate("Explorer.get().step") == 300
    page.keyboard.press("Shift+ArrowLeft")
    assert page.evaluate("Explorer.get().step") == 0
    plot = page.locator("#norms-0 .u-over")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    plot.click(position={"x": box["width"] / 2, "y": 20})
    assert page.evaluate("Explorer.get().step") == 150
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")


def test_a_followed_frequency_stands_in_the_link_and_is_restored(page, chromium, url):
    at(page, step=100, frequency=None)
    page.locator("#logit-share-0 button.frequency").first.click()
    page.wait_for_timeout(250)
    k = page.evaluate("Explorer.get().frequency")
    link = page.evaluate("location.hash")
    assert f"frequency={k}" in link and "step=100" in link
    with opened(chromium, url + link) as other:
        assert other.evaluate("[Explorer.get().step, Explorer.get().frequency]") == [100, k]
        assert (
            other.locator(f"#logit-share-0 button[data-frequency='{k}']").get_attribute("aria-pressed")
            == "true"
        )
    at(page, frequency=None)


def test_plays_to_the_end_and_stops(page):
    at(page, step=200)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press(" ")
    page.wait_for_selector("#play[aria-pressed=true]", timeout=5000)
    page.wait_for_selector("#play[aria-pressed=false]", timeout=5000)
    assert page.evaluate("Explorer.get().step") == 300


def test_csv_is_the_table(page, tiny_run):
    with page.expect_download() as coming:
        page.locator("#norms-0 button.csv").click()
    found = pd.read_csv(coming.value.path())
    expected = interp.measure(tiny_run, ["weight_norms"], cache=False)["weight_norms"]
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5, check_dtype=False)


def test_a_number_leads_to_its_row(page):
    at(page, step=150)
    page.locator("#losses-0 p.now-said a.row").first.click()
    row = page.locator("#tables tr.is-row td").all_text_contents()
    assert row[1:3] == ["150", "train"]


def test_python_of_every_panel_runs(page, tiny_run, tmp_path):
    snippets = page.locator("details.python code").all_text_contents()
    assert len(snippets) > 8
    for code in dict.fromkeys(snippets):
        names = {}
        exec(compile(code, "panel", "exec"), names)
        assert names["run"].steps == tiny_run.steps


@pytest.mark.parametrize("width", [390, 1366, 1920])
def test_no_width_scrolls_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1366, "height": 900})


def test_accessible(page):
    from axe_playwright_python.sync_playwright import Axe

    at(page, step=150)
    found = Axe().run(page).response["violations"]
    bad = [
        (one["id"], one["nodes"][0]["html"][:200])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert bad == []


def test_two_runs_under_one_slider(chromium, tiny_run, tmp_path, data):
    first, second = data["runs"][0], dict(data["runs"][0], name="</script><b>other")
    second["steps"] = first["steps"][1:]
    path = tmp_path / "two.html"
    path.write_text(page_of({**data, "runs": [first, second]}), encoding="utf-8")
    with opened(chromium, path.as_uri()) as page:
        assert page.said == []
        assert page.locator("#losses-0").is_visible() and page.locator("#losses-1").is_visible()
        assert page.locator(".story h2").all_text_contents()[1] == "</script><b>other"


def test_one_checkpoint_has_no_slider(chromium, tiny_run, tmp_path):
    from interp.views import explored as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "steps_shown", lambda run: [300])
        data = explored([tiny_run])
    path = tmp_path / "one.html"
    path.write_text(page_of(data), encoding="utf-8")
    with opened(chromium, path.as_uri()) as page:
        assert page.said == []
        assert page.locator("#step").count() == 0 and "One checkpoint" in page.locator("#bar").text_content()


def test_followed_neuron_is_drawn_with_its_share(page, tiny_run):
    table = interp.measure(tiny_run, ["neuron_frequencies"], steps=[300], cache=False)["neuron_frequencies"]
    neuron = int(table["fraction_explained"].idxmax())
    at(page, step=300, neuron=neuron)
    row = table.iloc[neuron]
    text = page.locator("#neuron-0 .legend").text_content()
    assert f"Neuron {neuron}" in page.locator("#neuron-0 h4").text_content()
    share = float(re.search(rf"k = {row['frequency']} ([\d.]+)", text)[1])
    assert share == pytest.approx(row["fraction_explained"], abs=1 / 254 / 2 + 1e-3)


@pytest.mark.slow
def test_the_bundled_run_fits_and_scrubs(chromium, tmp_path):
    """The page of a run that grokked: its size, its first paint, and the numbers of a checkpoint in the middle."""
    run = interp.open_run("checkpoints/mainline")
    html = page_of(explored([run]))
    assert len(html.encode()) < 8e6
    path = tmp_path / "mainline.html"
    path.write_text(html, encoding="utf-8")
    losses = interp.measure(run, ["losses"], steps=[5500])["losses"].set_index("split")
    with opened(chromium, path.as_uri() + "#step=5500&keys=hindsight&frequency=7") as page:
        assert page.said == [] and page.asked == []
        assert page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") < 1000
        said = page.locator("#losses-0 p.now-said a.row").all_text_contents()
        assert float(said[2]) == pytest.approx(losses.loc["test", "accuracy"], abs=6e-4)
        page.evaluate("Explorer.flush(true)")
        right = page.locator("#answers-0 p.now-said").first.text_content()
        assert (
            f"{round(losses.loc['test', 'accuracy'] * losses.loc['test', 'n'])} of 8939 test pairs" in right
        )
        page.keyboard.press("4")
        assert page.evaluate("Explorer.get().step") in (5700, 5800)

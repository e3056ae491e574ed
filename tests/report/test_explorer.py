"""The explorer in a browser: it shows the numbers of the tables, and works by mouse, key and link."""

import re

import pandas as pd
import pytest

import interp
from interp.report.explorer.page import page as page_of
from interp.views.explored import explored
from tests.browser import browser, opened
from tests.tiny import tiny_group_run

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
def group(tmp_path_factory):
    """What the page has of a short run on S3."""
    return explored([tiny_group_run(tmp_path_factory.mktemp("runs") / "group")])["runs"][0]


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


def later(run, name):
    """The same run as if its first checkpoint had not been saved."""
    steps = run["steps"][1:]
    return {
        **run,
        "name": name,
        "steps": steps,
        "keys": {**run["keys"], "leak-free": run["keys"]["leak-free"][1:]},
        "tables": {
            name: table[table["step"].isin(steps)] if name != "history" and len(table) else table
            for name, table in run["tables"].items()
        },
        "arrays": {
            name: array if name == "is_train" else {**array, "codes": array["codes"][1:]}
            for name, array in run["arrays"].items()
        },
    }


def test_two_runs_under_one_slider(chromium, tmp_path, data):
    first = data["runs"][0]
    second = later(first, "</script><b>other")
    path = tmp_path / "two.html"
    path.write_text(page_of({**data, "runs": [first, second]}), encoding="utf-8")
    losses = first["tables"]["losses"].set_index(["step", "split"])
    with opened(chromium, path.as_uri()) as page:
        assert page.said == []
        assert page.locator(".story h2").all_text_contents()[1] == "</script><b>other"
        assert page.locator("#losses-1-title").text_content() == "Losses: </script><b>other"
        for step, own in ((0, (0, 50)), (150, (150, 150))):
            at(page, step=step)
            for i, there in enumerate(own):
                said = page.locator(f"#losses-{i} p.now-said a.row").all_text_contents()
                assert float(said[0]) == pytest.approx(losses.loc[(there, "train"), "accuracy"], abs=6e-4)
                rows = losses.loc[there]
                right = [
                    round(rows.loc[split, "accuracy"] * rows.loc[split, "n"]) for split in ("train", "test")
                ]
                text = page.locator(f"#answers-{i} p.now-said").first.text_content()
                assert [int(x) for x in re.findall(r"(\d+) of", text)] == right
        assert page.locator("#bar .strip").count() == 2


def test_three_runs_lie_in_three_columns_and_keep_them(chromium, tmp_path, data, group):
    runs = [data["runs"][0], group, later(data["runs"][0], "third")]
    path = tmp_path / "three.html"
    path.write_text(page_of({**data, "runs": runs}), encoding="utf-8")
    with opened(chromium, path.as_uri()) as page:
        assert page.said == []

        def left_and_top(name):
            box = page.locator(f"#{name}").bounding_box()
            return round(box["x"]), round(box["y"])

        lefts = [left_and_top(f"losses-{i}")[0] for i in range(3)]
        assert lefts == sorted(set(lefts))
        assert left_and_top("frequencies-1")[0] == left_and_top("representations-1")[0] == lefts[1]
        assert left_and_top("measures-2") == (lefts[2], left_and_top("measures-0")[1])


def test_a_group_is_told_by_its_representations(chromium, tmp_path, data, group):
    path = tmp_path / "group.html"
    path.write_text(page_of({**data, "runs": [group]}), encoding="utf-8")
    table = group["tables"]["character_similarity"].set_index(["step", "representation"])["similarity"]
    followed = group["representations"]["followed"]
    with opened(chromium, path.as_uri()) as page:
        assert page.said == []
        for step in (0, 20):
            at(page, step=step)
            said = page.locator("#representations-0 .legend").first.locator("li").all_text_contents()
            found = [float(text.split()[-1].replace("−", "-")) for text in said[: len(followed)]]
            assert [text.split()[0] for text in said[: len(followed)]] == followed
            assert found == pytest.approx([table[step, name] for name in followed], rel=6e-3)


def test_losses_of_a_run_without_a_history_or_a_known_split(chromium, tmp_path, data):
    """An empty history has the columns of losses too; a split that is not known is no test split."""
    run = data["runs"][0]
    history = run["tables"]["history"].iloc[:0]
    arrays = {name: array for name, array in run["arrays"].items() if name != "is_train"}
    path = tmp_path / "bare.html"
    bare = {**run, "tables": {**run["tables"], "history": history}, "arrays": arrays}
    path.write_text(page_of({**data, "runs": [bare]}), encoding="utf-8")
    losses = run["tables"]["losses"].set_index(["step", "split"])["loss"]
    with opened(chromium, path.as_uri()) as page:
        assert page.said == []
        at(page, step=150)
        text = page.locator("#losses-0 .legend").text_content()
        for split in ("train", "test"):
            assert float(re.search(rf"{split} ([\d.]+)", text)[1]) == pytest.approx(
                losses[150, split], rel=6e-3
            )
        assert page.locator("#answers-0 select").count() == 1
        said = page.locator("#answers-0 p.now-said").first.text_content()
        assert re.fullmatch(r"Right: \d+ of 121 pairs\.", said)
        page.locator("#answers-0 canvas").hover()
        assert re.match(r"a = \d+, b = \d+: probability", page.locator("#answers-0 p.cell").text_content())


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


def test_a_distance_is_the_nearer_way_round_the_cycle(page, data):
    """The hovered words, the table and the picture mean one distance."""
    at(page, step=0)
    error = data["runs"][0]["arrays"]["error"]["codes"][0]
    row, column = (int(i[0]) for i in (error > 6).nonzero())
    canvas = page.locator("#answers-0 canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    cell = box["width"] / 11
    canvas.hover(position={"x": (column + 0.5) * cell, "y": (row + 0.5) * cell})
    said = page.locator("#answers-0 p.cell").text_content()
    assert said.startswith(f"a = {row}, b = {column} (") and said.endswith(
        f"off by {11 - error[row, column]}"
    )
    with page.expect_download() as coming:
        page.locator("#answers-0 button.csv").click()
    found = pd.read_csv(coming.value.path()).set_index(["a", "b"])["error"]
    assert found[row, column] == 11 - error[row, column] and found.max() <= 5


def test_a_frequency_that_the_run_has_not_is_not_shown(page):
    at(page, step=150, frequency=50)
    for panel in ("logit-share-0", "circles-0", "neuron-0"):
        assert "k = 50" not in page.locator(f"#{panel}").text_content()
    labels = page.locator("#logit-share-0 .legend li").all_text_contents()
    assert not any("–" in label for label in labels)
    at(page, frequency=None)


def test_a_neuron_that_the_run_has_not_is_not_named(page):
    at(page, neuron=5000)
    assert re.fullmatch(r"Neuron \d{1,2}, the purest at the end", page.locator("#neuron-0 h4").text_content())
    at(page, neuron=None)


def test_the_first_table_can_be_chosen(page):
    at(page, table=None, row=None)
    assert page.locator("#table").input_value() == "" and not page.locator(".table-place").is_visible()
    first = page.locator("#table option").nth(1).get_attribute("value")
    page.locator("#table").select_option(first)
    page.wait_for_selector(".table-place tbody tr", timeout=2000)
    assert page.evaluate("Explorer.get().table") == first.split()[1]


def test_what_scrolls_keeps_its_keys(page):
    at(page, step=100, table="losses", row=None)
    page.locator(".table-place").focus()
    for key in ("End", "Home", "ArrowRight", " "):
        page.keyboard.press(key)
    assert page.evaluate("[Explorer.get().step, Explorer.get().playing]") == [100, False]
    page.evaluate("document.activeElement.blur()")


def test_marks_lie_where_clicks_find_them_after_a_resize(page):
    """The page is narrowed without a step: the circles lie as if they had been drawn at that width."""
    at(page, step=100)
    picture = "document.querySelector('#circles-0 canvas').toDataURL()"
    wide = page.evaluate(picture)
    page.set_viewport_size({"width": 480, "height": 900})
    page.wait_for_timeout(200)
    resized = page.evaluate(picture)
    at(page, step=150)
    at(page, step=100)
    assert resized == page.evaluate(picture) != wide
    page.set_viewport_size({"width": 1366, "height": 900})
    page.wait_for_timeout(100)


def test_what_was_drawn_for_the_screen_fits_the_paper(page):
    """Paper is narrower, and nothing is drawn anew for it: measured before the page can notice its width."""
    at(page, step=100)
    page.emulate_media(media="print")
    over = page.evaluate(
        """() => {
          document.getElementById("panels").style.width = "600px";
          const wide = [...document.querySelectorAll("#panels canvas")].filter((canvas) =>
            canvas.getBoundingClientRect().right > canvas.closest(".panel").getBoundingClientRect().right + 1);
          document.getElementById("panels").style.width = "";
          return wide.length;
        }"""
    )
    page.emulate_media(media="screen")
    assert over == 0


@pytest.mark.slow
def test_a_run_without_key_frequencies_names_none(page, data):
    assert data["runs"][0]["keys"]["hindsight"] == []
    at(page, step=300, keys="hindsight")
    assert page.locator("#keys").text_content() == "keys: none, the strongest"
    assert page.locator("#logit-share-0 button.frequency").count() == 5
    assert page.locator("#logit-share-0 button.is-key").count() == 0
    assert "strongest 5" in page.locator("#distance-0 .legend").last.text_content()
    at(page, keys="leak-free")


@pytest.mark.slow
def test_a_head_is_named_with_its_layer(page):
    page.locator("#attention-0 button.head").nth(1).click()
    page.evaluate("Explorer.flush(true)")
    assert page.locator("#bar .chip").text_content().startswith("head L0H1")
    assert page.locator("#attention-0 button.head[aria-pressed=true]").text_content() == "L0H1"
    at(page, head=None)


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

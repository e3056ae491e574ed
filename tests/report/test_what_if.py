"""What if, in a browser: predictions first, outcomes after a click, numbers that are those of the tables."""

import dataclasses
import math
from io import StringIO

import pandas as pd
import pytest

from interp.report.explorer.page import page as page_of
from interp.views.explored import explored
from interp.views.tried import trial_tables, tried
from tests.browser import browser, opened
from tests.report.test_sentences import of_world

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    told = of_world(tmp_path_factory.mktemp("circuit"))
    # One check fails in three of its rows, most of all in the middle one.
    checks = told.checks.copy()
    mine = checks[(checks["arm"] == "norm") & (checks["dose"] == 1.15) & (checks["allowed"] == 0.05)].index
    checks.loc[mine[1:4], ["holds", "found"]] = [[False, 0.3], [False, 0.9], [False, 0.4]]
    # And one effect has no upper bound.
    effects = told.effects.copy()
    effects.loc[0, "high"] = math.inf
    told = dataclasses.replace(told, checks=checks, effects=effects)
    return {**tried(told), "tables": trial_tables(told)}


@pytest.fixture(scope="module")
def url(tiny_run, trial, tmp_path_factory):
    path = tmp_path_factory.mktemp("what_if") / "page.html"
    path.write_text(page_of(explored([tiny_run], trials=[trial])), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium():
    with browser() as running:
        yield running


@pytest.fixture
def page(chromium, url):
    with opened(chromium, url) as one:
        yield one


def decided(trial):
    return next(
        p for p in trial["predictions"] if p["said"] and p["verdict"] in ("supported", "contradicted")
    )


def open_cell(page, one):
    page.evaluate(
        "(changes) => { Explorer.set(changes); Explorer.flush(true); }",
        {"theory": one["theory"], "prediction": one["column"]},
    )
    return page.locator(f"[data-prediction='{one['id']}']")


def test_outcome_is_hidden_until_it_is_revealed_and_the_link_remembers(page, chromium, url, trial):
    one = decided(trial)
    box = open_cell(page, one)
    assert one["statement"] in box.text_content() and one["rival"] in box.text_content()
    assert one["said"] not in box.text_content() and box.locator(".came").count() == 0
    box.get_by_role("button", name=one["verdict"], exact=True).click()
    box.get_by_role("button", name="Reveal what happened").click()
    page.wait_for_selector(".came")
    assert one["said"] in box.text_content() and one["why"] in box.text_content()
    assert "1 of 1" in page.locator(".tally").text_content()
    page.wait_for_timeout(250)
    with opened(chromium, url + page.evaluate("location.hash")) as other:
        assert one["said"] in other.locator(f"[data-prediction='{one['id']}']").text_content()
    assert page.said == [] and page.asked == []


def test_all_outcomes_at_once_and_back(page):
    names = page.locator(".grid .cell").evaluate_all("all => all.map((one) => one.ariaLabel)")
    assert all("not revealed" in name for name in names) and names
    page.get_by_role("button", name="Show all outcomes").click()
    page.evaluate("Explorer.flush(true)")
    names = page.locator(".grid .cell").evaluate_all("all => all.map((one) => one.ariaLabel)")
    assert not any("not revealed" in name for name in names)
    page.get_by_role("button", name="Hide the outcomes").click()
    page.evaluate("Explorer.flush(true)")
    names = page.locator(".grid .cell").evaluate_all("all => all.map((one) => one.ariaLabel)")
    assert all("not revealed" in name for name in names)


def test_keys_move_in_the_grid_and_open(page):
    first = page.locator(".grid .cell").first
    first.focus()
    page.keyboard.press("ArrowDown")
    to = page.evaluate("document.activeElement.dataset")
    assert int(to["y"]) > int(first.get_attribute("data-y"))
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-prediction]")
    assert page.evaluate("Explorer.get().theory") is not None


def test_time_is_switched(page):
    chart = page.locator("#ghosts-0")
    chart.get_by_role("button", name="steps since the branch", exact=True).click()
    page.evaluate("Explorer.flush(true)")
    assert page.evaluate("Explorer.get().clock") == "since"
    assert (
        chart.get_by_role("button", name="steps since the branch", exact=True).get_attribute("aria-pressed")
        == "true"
    )


def test_the_control_is_drawn_from_where_the_arm_branches_alone(page, trial):
    assert len({arm["branch_step"] for arm in trial["arms"] if arm["label"] == "control"}) > 2
    page.evaluate("Explorer.set({arm: 'replay'}); Explorer.flush(true)")
    labels = page.locator("#ghosts-0 .legend li").all_text_contents()
    assert sum(label.startswith("control") for label in labels) == 1
    assert sum(label.startswith("replay") for label in labels) == 1


def test_effects_are_those_of_the_table_and_lead_to_their_row(page, trial):
    ratios = trial["tables"]["trial_effects"].set_index("label")["ratio"]
    for one in trial["effects"]:
        if not page.locator(f"[data-arm='{one['arm']}']").count():
            continue
        page.evaluate("(arm) => { Explorer.set({arm}); Explorer.flush(true); }", one["arm"])
        assert one["said"] in page.locator(".effect-said").text_content()
        found = float(one["said"].split(" ")[0].replace("\u2212", "-"))
        assert found == pytest.approx(ratios[one["label"]], rel=0.05, nan_ok=True)
    page.locator(".effect-said a.row").last.click()
    assert page.locator("#tables tr.is-row").count() == 1


def test_checks_lead_to_the_row_that_they_tell(page, trial):
    one = next(p for p in trial["predictions"] if "norm at dose 1.15" in p["arms"])
    page.evaluate("Explorer.set({revealed: ['all']})")
    box = open_cell(page, one)
    failed = box.locator(".checks tr.failed")
    assert failed.count() == 1 and failed.locator("a.row").text_content() == "0.9"
    failed.locator("a.row").click()
    names = page.locator("#tables thead th").all_text_contents()
    row = dict(
        zip(names, page.locator("#tables tr.is-row").locator("th, td").all_text_contents(), strict=True)
    )
    assert (row["arm"], row["dose"], row["found"], row["holds"]) == ("norm", "1.15", "0.9", "false")


def test_a_number_without_a_bound_is_shown_as_one(page, trial):
    csv = page.evaluate("Explorer.csvOf(Explorer.data.runs[0].tables.trial_effects)")
    assert pd.read_csv(StringIO(csv))["high"].iloc[0] == math.inf
    page.evaluate("Explorer.set({table: 'trial_effects', row: 0}); Explorer.flush(true)")
    assert "∞" in page.locator("#tables tr.is-row").text_content()
    one = decided(trial)
    page.evaluate(
        """(id) => {
            const one = Explorer.data.runs[0].trial.predictions.find((one) => one.id === id);
            Object.assign(one, { value: Infinity, low: 3, high: Infinity });
            Explorer.set({revealed: ["all"]});
        }""",
        one["id"],
    )
    line = open_cell(page, one).locator(".number-line")
    assert "no number" not in line.text_content()
    assert line.locator("path.beyond").count() == 1 and line.locator("circle").count() == 0


def test_a_guess_leaves_the_keys_at_its_prediction(page, trial):
    one = decided(trial)
    box = open_cell(page, one)
    box.get_by_role("button", name="Reveal what happened").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".came")
    assert page.evaluate("document.activeElement.dataset.prediction") == one["id"]


@pytest.mark.slow
def test_narrow_pages_scroll_only_within_the_grid(page, trial):
    page.set_viewport_size({"width": 390, "height": 900})
    page.evaluate("Explorer.set({revealed: ['all']})")
    open_cell(page, decided(trial))
    page.wait_for_timeout(150)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_accessible(page, trial):
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("Explorer.set({revealed: ['all']})")
    open_cell(page, decided(trial))
    found = Axe().run(page, "#what-if").response["violations"]
    assert [
        (v["id"], v["nodes"][0]["html"][:160]) for v in found if v["impact"] in ("serious", "critical")
    ] == []

"""The page stands by itself, shows every prediction, escapes what it is given, and equal accounts give equal pages."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from interp.figures.scoreboard import VERDICTS
from interp.report import pictures
from interp.report.account import account
from interp.report.page import SECTIONS, TURNING, check_rows, page
from interp.report.sentences import plain
from interp.report.small_curves import small_curves
from interp.report.trial import no_trial, read_observed, read_trial
from tests.report.test_sentences import of_world
from tests.report.trials import RUN, STEPS, checks_of, make_trial, observed_tables
from tests.theories import worlds

VOID = {"meta", "br", "img", "input", "hr", "link"}


class Parsed(HTMLParser):
    """Tags with their attributes, and whether each was closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts = [], [], []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def named(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return of_world(tmp_path_factory.mktemp("made"), worlds.eps_frozen_world, n_pairs=4)


@pytest.fixture(scope="module")
def drawn(told):
    return pictures.main_pictures(told)


@pytest.fixture(scope="module")
def text(told, drawn):
    return page(told, drawn)


def test_it_stands_by_itself(text):
    parsed = Parsed(text)
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in parsed.tags}
    for _, attrs in parsed.tags:
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            # Places within the page alone.
            assert attrs.get(name, "#").startswith("#"), attrs
    assert not re.search(r"@import|url\((?!#)", text)


def test_its_sections_are_linked_and_headed(text):
    parsed = Parsed(text)
    links = [a["href"] for a in parsed.named("a")]
    assert links == [f"#{key}" for key in SECTIONS]
    assert [s["id"] for s in parsed.named("section")] == list(SECTIONS)
    assert parsed.named("html") == [{"lang": "en"}]
    assert "width=device-width" in parsed.named("meta")[1]["content"]


def test_every_prediction_opens_its_facts(told, text):
    part = text[text.index('<section id="scoreboard"') : text.index('<section id="open"')]
    summaries = re.findall(r"<details><summary>(.*?)</summary>", part)
    assert len(summaries) == len(told.rows) > 80
    for summary, row in zip(summaries, told.rows, strict=True):
        assert row.verdict in summary and plain(row.prediction.name) in summary
        assert f'<span class="status">{row.status}</span>' in summary
        assert ('class="primary"' in summary) == row.prediction.primary
    for fact in ("Statement", "Rival", "Guards", "Does not show", "What would change it"):
        assert part.count(f"<dt>{fact}</dt>") == len(told.rows)


@pytest.mark.slow
def test_steps_stand_beside_the_angle_where_arms_recorded_it(told, tmp_path):
    assert pictures.turning(told) is None
    folder = make_trial(tmp_path / "trial", worlds.norm_world, n_pairs=3)
    table = pd.read_csv(folder / "levels.csv")
    angles = table.assign(
        quantity="angle_at_event",
        value=1.0 + 0.01 * table["pair"].astype(str).str.extract(r"(\d+)$")[0].astype(int),
    )
    # One arm is not valid, another never came: neither is shown.
    pd.concat([table, angles]).to_csv(folder / "levels.csv", index=False)
    arms = pd.read_csv(folder / "arms.csv")
    arms["valid"] = arms["arm"] != "keys-back"
    arms.loc[(arms["arm"] == "perpendicular"), "step"] = np.nan
    arms.to_csv(folder / "arms.csv", index=False)
    of_angles = account({**read_observed(folder)[0], **read_trial(folder)}, {"run": RUN})
    shown = pictures.turned(of_angles)
    assert {"control", "norm at dose 1.15"} < set(shown["label"])
    assert not {"keys-back", "perpendicular"} & set(shown["label"])
    came = arms[(arms["event"] == "test_accuracy") & (arms["threshold"] == 0.95) & (arms["arm"] == "control")]
    came = came[came["branch_step"] == worlds.MAIN]
    mine = shown[shown["label"] == "control"]
    assert sorted(mine["steps"]) == sorted(came["step"]) and sorted(mine["angle"]) == [1.0, 1.01, 1.02]
    text = page(of_angles)
    assert TURNING[:60] in text and TURNING[:60] not in page(told)


def test_its_two_curves_are_in_a_trained_prediction(told, text):
    (row,) = [r for r in told.rows if r.prediction.name == "keys_back_is_slower"]
    found = pictures.curves_of(row, told)
    assert list(found.lines) == ["keys-back", "others-back", "control"]
    assert found.quantities == ("test_accuracy", "norm") and set(found.table["branch_step"]) == {worlds.MAIN}
    assert "keys back is slower: arms and control since the branch" in text
    (by_margin,) = [r for r in told.rows if r.prediction.name == "larger_norm_at_one_scale_is_slower"]
    assert pictures.curves_of(by_margin, told).quantities == ("test_accuracy", "margin")
    (observed,) = [r for r in told.rows if r.prediction.name == "norm_below_start"]
    assert pictures.curves_of(observed, told) is None


def test_a_failed_check_is_in_sight_and_marked(text):
    before, _, after = text.partition("Did the arms do what they say?")
    shown = after[: after.index("<details>")]
    assert 'class="failed"' in shown and "entries below eps" in shown and "no, in 4 of 4" in shown
    assert "finite loss" not in shown
    assert before


def test_check_rows_give_the_worst_of_all_pairs():
    checks = pd.DataFrame(
        {
            "arm": "norm", "dose": 1.15, "pair": ["0", "1", "2"], "check": "norm path", "allowed": 0.005,
            "found": [0.001, 0.02, 0.004], "holds": [True, False, True],
        }
    )  # fmt: skip
    found = check_rows(checks)
    assert found.loc[1].tolist() == ["norm at dose 1.15", "norm path", "3", 0.02, 0.005, "no, in 1 of 3"]
    # A bound from below, which all meet: the nearest to it.
    above = checks.assign(check="train accuracy", allowed=0.99, found=[1.0, 0.995, 0.999], holds=True)
    assert check_rows(above).loc[1].tolist() == [
        "norm at dose 1.15",
        "train accuracy",
        "3",
        0.995,
        0.99,
        "yes",
    ]
    # What is not a number is the worst of all, and the place is that of a row, whatever the table is indexed by.
    unknown = checks.assign(found=[0.001, 0.02, math.nan], holds=[True, False, False]).set_index(
        pd.Index([7, 7, 7])
    )
    assert check_rows(unknown).index.tolist() == [2]


@pytest.mark.slow
def test_what_comes_out_of_files_is_escaped(tmp_path):
    arms = worlds.null_world(3, 0.05, 1, "jitter")
    name = '<script>alert("1")</script> & $x$'
    arms["arm"] = arms["arm"].replace("replay", name)
    assert len(checks_of(arms))
    told = of_world(tmp_path, arms=arms, n_pairs=3, run='a<b onload="x">')
    shown = page(told)
    parsed = Parsed(shown)
    assert "script" not in {tag for tag, _ in parsed.tags} and "b" not in {tag for tag, _ in parsed.tags}
    assert "onload" not in {name for _, attrs in parsed.tags for name in attrs}
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; $x$" in shown


@pytest.mark.slow
def test_equal_accounts_give_equal_pages(told, drawn, text):
    assert page(told, drawn) == text
    assert page(told, pictures.main_pictures(told)) == text


def test_a_run_on_which_nothing_was_tried_has_a_page():
    told = account({**observed_tables(), **no_trial()}, {"run": RUN, "path": "runs/made"})
    shown = page(told)
    Parsed(shown)
    assert "Nothing was trained" in shown and "interp battery runs/made" in shown
    assert "arms and control since the branch" not in shown


def test_a_run_without_tables_has_a_page():
    nothing = {"history": pd.DataFrame(), "losses": pd.DataFrame()}
    shown = page(account({**nothing, **no_trial()}, {"run": RUN}))
    Parsed(shown)
    assert "No table of the run says when anything began" in shown


def test_the_grid_has_a_cell_for_each_prediction(told):
    table = pictures.grid(told.rows)
    assert len(table) == len(told.rows) and set(table["verdict"]) <= set(VERDICTS)
    columns = pictures.columns_of(table)
    assert (columns[0], columns[-1]) == ("checkpoints", "not measured")
    cell = table[(table["theory"] == "hidden_progress") & (table["column"] == "keys-back")]
    assert len(cell) == 2


def test_small_curves_are_where_the_numbers_are():
    table = pd.DataFrame(
        {"label": "a", "pair": "0", "since": [0, 100], "test_accuracy": [0.0, 1.0], "norm": np.nan}
    )
    lines = {"a": {"color": "#000", "ls": (0, (5, 1.2)), "label": "a"}}
    drawn = small_curves(table, ("test_accuracy", "norm"), lines, "what & why", across=0.95)
    paths = re.findall(r'<path d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)" [^>]*stroke-dasharray', drawn)
    # The pair and its median, from the lower left to the upper right.
    assert len(paths) == 2 and len(set(paths)) == 1
    x0, y0, x1, y1 = map(float, paths[0])
    assert (x0, x1) == (46.0, 296.0) and y0 > y1
    assert "not recorded" in drawn and 'aria-label="what &amp; why"' in drawn
    Parsed(drawn)


def test_a_long_note_stays_clear_of_the_axes(told):
    (row,) = [r for r in told.rows if r.prediction.name == "keys_back_is_slower"]
    figure = pictures.branches(pictures.curves_of(row, told), "words of a verdict that costs $x " * 25)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    note = figure._supxlabel.get_window_extent(renderer)
    axes = min(ax.get_tightbbox(renderer).y0 for ax in figure.axes)
    assert note.y1 < axes and note.y0 >= 0


def test_the_measures_of_a_run_without_key_frequencies_are_not_called_those_of_a_key_set():
    told = account({**observed_tables(), **no_trial()}, {"run": RUN})
    spectrum = pd.DataFrame(
        {"step": STEPS.max(), "frequency": [1, 2, 3], "fraction_explained": 0.01, "null": 0.5}
    )
    without = replace(told, observed={**told.observed, "logit_spectrum": spectrum})

    def named(of):
        return [text.get_text() for text in pictures.timeline(of).axes[1].get_legend().get_texts()]

    assert "excluded loss, strongest 3" in named(without)
    assert "excluded loss, key set" in named(told)

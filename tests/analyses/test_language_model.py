"""The analysis of language models on the series that comes with the repository, and what it refuses."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from interp import analyses
from interp.analyses import frame, language_model, own_options
from interp.commands.cli import app
from interp.tables.language_models import language_transitions
from tests.fake_hub import FakeHub
from tests.tables.test_language_models import tables

TINY = Path(__file__).parents[2] / "checkpoints" / "tiny-lm"
SOME = (0, 100, 1000, 1500, 2000)


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """Some checkpoints of the series, with the first 1,300 tokens of its text."""
    folder = tmp_path_factory.mktemp("lm") / "series"
    folder.mkdir()
    for step in SOME:
        (folder / f"checkpoint-{step}").symlink_to(TINY / f"checkpoint-{step}")
    words = (TINY / "text.txt").read_text("utf-8").split()[:1300]
    (folder / "text.txt").write_text(" ".join(words), "utf-8")
    return folder


def analyse(*arguments):
    return CliRunner().invoke(app, ["analyse", "language_model", *map(str, arguments)])


@pytest.fixture(scope="module")
def answered(series, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    done = analyse(series, "--out", out)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output, out, json.loads((out / "summary.json").read_text("utf-8"))


def test_it_says_when_induction_heads_form_and_what_changed(answered, series):
    said, out, summary = answered
    assert (summary["induction_heads"]["before"], summary["induction_heads"]["step"]) == (1000, 1500)
    assert "Induction heads form between steps 1000 and 1500: L1H3" in said
    assert summary["below_unigram"]["step"] == 100 and summary["strongest_head"]["layer"] == 1
    assert summary["text"]["cut_by"] == "tokenizer.json" and summary["text"]["n_windows"] == 20
    assert summary["text"]["name"] == "text.txt" and summary["missing"] == {}
    assert summary["text"]["sha256"] == hashlib.sha256((series / "text.txt").read_bytes()).hexdigest()
    compared = summary["compared"]
    assert (compared["before"], compared["after"]) == (1000, 1500)
    assert len(compared["moved_most"]) == 12 and compared["changed_most"][0]["n_pairs"] == 3
    assert "outcome" not in summary and "generalised" not in said
    assert (out / "language_model.pdf").stat().st_size > 10_000


def test_what_was_there_and_is_lost_is_told_from_what_never_was():
    none = {name: pd.DataFrame(columns=["step"]) for name in ("missing", "pair")}

    def told(prefix, loss):
        made = tables(prefix, loss, **none)
        return " ".join(language_model.said(made, language_transitions(made)))

    lost = told([0, 0.1, 0.5, 0.6, 0.1, 0.1], (5.0, 4.4, 2.8, 2.9, 3.2, 4.0))
    assert "was from step 2 to 4, and is not at the end, below that of bigram counts, 3.000 nats." in lost
    assert "was from step 2 to 8, and is not at the end, below that of bigrams of its other half" in lost
    assert "It had some from step 2 to 4, and has lost them." in lost
    never = told([0.1] * 6, [4.0] * 6)
    assert "never is below that of bigram counts" in never and "lost" not in never
    came = told([0, 0.1, 0.5, 0.6, 0.5, 0.4], (5.0, 4.4, 2.8, 2.9, 2.9, 2.0))
    assert "is from step 2 on below that of bigram counts" in came


@pytest.mark.slow
def test_it_redraws_from_its_tables_and_knows_which_options_they_were_made_with(answered, series):
    _, out, summary = answered
    done = analyse(series, "--out", out, "--draw-only")
    assert done.exit_code == 0, done.output
    assert json.loads((out / "summary.json").read_text("utf-8"))["compared"] == summary["compared"]
    done = analyse(series, "--out", out, "--draw-only", "--before", 0, "--after", 100)
    assert done.exit_code != 0
    assert "computed with nothing stated, not with --before 0, --after 100" in str(
        done.exception or done.output
    )


@pytest.mark.slow
def test_any_two_steps_can_be_compared(series, tmp_path):
    done = analyse(series, "--out", tmp_path, "--before", 0, "--after", 100)
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert (summary["compared"]["before"], summary["compared"]["after"]) == (0, 100)
    assert summary["compared"]["chosen_by"] == "named"
    assert summary["stated"] == ["--before 0", "--after 100"]


@pytest.mark.slow
def test_it_goes_past_a_hole_where_it_is_asked_to(tmp_path, monkeypatch):
    hole = tmp_path / "hole"
    hole.mkdir()
    shutil.copy(TINY / "checkpoint-0" / "config.json", hole)
    folders = {f"step{step}": TINY / f"checkpoint-{step}" for step in (0, 1000, 1500)}
    FakeHub({**folders, "step1200": hole}, tmp_path / "cache").install(monkeypatch)
    asked = ("hf://org/tiny", "--drop-downloads")
    done = analyse(*asked, "--out", tmp_path / "out")
    assert done.exit_code != 0
    assert "step1200 holds no weights on the hub: the series has a hole" in str(done.exception or done.output)
    done = analyse(*asked, "--out", tmp_path / "out", "--keep-going")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "Missing: 1200. Nothing is known of them" in done.output
    assert "form between steps 1000 and 1500" in done.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))
    assert list(summary["missing"]) == ["1200"] and summary["stated"] == ["--keep-going"]
    done = analyse(*asked, "--out", tmp_path / "none", "--keep-going", "--before", 0, "--after", 1200)
    assert "--after needs a saved step, got 1200" in str(done.exception or done.output)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((0, None), r"--before and --after need each other, got one of them"),
        ((0, 7), r"--after needs a saved step, got 7\. The nearest is 0"),
        ((100, 0), r"--before needs a step below that of --after, got 100 and 0"),
    ],
)
def test_pairs_that_are_none(pair, message):
    with pytest.raises(ValueError, match=message):
        analyses.language_model.check_pair(list(SOME), *pair)


def test_a_text_that_is_none_stops_it_before_anything_is_measured(series, tmp_path):
    (tmp_path / "text.txt").write_bytes(b"")
    done = analyse(series, "--out", tmp_path / "out", "--text", tmp_path / "text.txt")
    assert done.exit_code != 0 and not (tmp_path / "out").exists()
    assert "needs some text, got none" in str(done.exception or done.output)


@pytest.mark.slow
def test_without_a_text_the_rest_is_answered(series, tmp_path):
    folder = tmp_path / "series"
    folder.mkdir()
    for step in (0, 2000):
        (folder / f"checkpoint-{step}").symlink_to(TINY / f"checkpoint-{step}")
    done = analyse(folder, "--out", tmp_path / "out")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "This probe needs a text" in done.output and "between steps 0 and 2000" in done.output
    assert json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))["text"] is None


def test_a_run_of_a_task_has_nothing_to_read_a_text_with(tiny_run):
    mlp = tiny_run
    with pytest.raises(
        ValueError, match=r"text\.npy needs tokens below 12, the vocabulary of the model, got 12"
    ):
        analyses.language_model.read_windows(mlp, _ids(mlp.path.parent / "text.npy", 13))
    windows, about = analyses.language_model.read_windows(mlp, _ids(mlp.path.parent / "text.npy", 12))
    assert windows.shape == (4, 3) and about["cut_by"].item() == "ids"


def unused(*arguments):
    raise AssertionError


def _ids(file, n):
    np.save(file, np.arange(n))
    return file


def test_options_of_one_analysis_are_refused_by_the_others(tiny_run, tmp_path):
    done = CliRunner().invoke(
        app, ["analyse", "fourier", str(tiny_run.path), "--text", "book.txt", "--out", str(tmp_path)]
    )
    assert done.exit_code != 0
    assert "fourier takes no --text, which is an option of language_model" in str(
        done.exception or done.output
    )
    for name in own_options.OWN_OPTIONS:
        assert name in analyses.__all__
    # The script has them too.
    with pytest.raises(SystemExit, match="language_model: --before and --after need each other"):
        frame.main(
            "language_model", "", analyses.language_model.compute, unused, unused,
            ["--run", str(tiny_run.path), "--before", "0", "--out", str(tmp_path / "x")], is_of_answers=False,
        )  # fmt: skip

"""Runs, checkpoints, tasks, transitions, verdicts and effects in a notebook: what they are, escaped, without a pass."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

import interp
from interp.tables.transitions import Transition
from interp.theories.lock import read_lock
from interp.theories.scoreboard import verdicts

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "analyses" / "evidence" / "mainline"


@pytest.fixture(scope="module")
def bundled():
    return interp.open_run(ROOT / "checkpoints" / "mainline")


def test_a_run_says_what_it_is(bundled, monkeypatch):
    from interp.networks import plain

    monkeypatch.setattr(plain, "forward", None)  # a card evaluates no network
    card = bundled._repr_html_()
    for said in ("Run mainline", "add mod 113", "1-layer transformer, 4 heads", "10000 of 10000"):
        assert said in card
    assert "between steps 120 and 130 (train accuracy 0.95 from then on)" in card
    assert "between steps 5740 and 5750 (test accuracy 0.95 from then on)" in card
    lines = str(bundled).splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["run", "status", "task"]
    assert {*interp.describe(bundled)} == {line[:13].strip() for line in lines}


def test_a_name_is_a_strangers_text(tiny_run, tmp_path):
    name = "<script>alert(1)<"
    shutil.copytree(tiny_run.path, tmp_path / name)
    card = interp.open_run(tmp_path / name)._repr_html_()
    assert "<script" not in card and "&lt;script&gt;alert(1)&lt;" in card


def test_a_damaged_run_shows_what_is_wrong(tiny_run, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "damaged")
    (tmp_path / "damaged" / "history.parquet").write_bytes(b"no table")
    run = interp.open_run(tmp_path / "damaged")
    assert "cannot be shown" in run._repr_html_() and "history.parquet" in run._repr_html_()
    assert str(run) == repr(run)


def test_a_foreign_run_says_how_it_was_found(bundled, tmp_path):
    import torch

    for step in (0, 10_000):
        torch.save({"model": bundled.step_weights(step), "step": step}, tmp_path / f"step_{step}.pt")
    with pytest.warns(match="."):
        run = interp.open_run(tmp_path)
    card = run._repr_html_()
    assert "source" in card and str(tmp_path) in card and "opened in place" in card


def test_a_checkpoint_and_a_task(bundled):
    card = bundled.checkpoint(2500)._repr_html_()
    for said in ("step 2500", "parameters", "exp_avg", "embed.W_E", "114 × 128", "float32"):
        assert said in card
    card = bundled.task._repr_html_()
    for said in ("Task add mod 113", "12769", "3830, 8939", "Cyclic", "[0, 0, 113]"):
        assert said in card


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Transition("a_b", 0.95, 10, 20), "between steps 10 and 20 (a b 0.95 from then on)"),
        (Transition("a_b", None, 10, 20), "between steps 10 and 20 (a b from then on)"),
        (Transition("a_b", 0.95, 10, None), "not by step 10 (a b 0.95)"),
        (Transition("a_b", 0.95, None, 0), "from the first step on (a b 0.95)"),
        (Transition("a_b", 0.95, None, None), "not known (a b 0.95)"),
    ],
)
def test_a_transition_says_its_bracket(found, said):
    assert str(found) == said and said in found._repr_html_()


def test_verdicts_and_effects():
    arms = pd.read_csv(EVIDENCE / "arms.csv")
    lock = read_lock(EVIDENCE / "predictions.json")
    rows = verdicts(lock, arms, None, {})
    one = next(row for row in rows if row.verdict == "contradicted")
    table = rows._repr_html_()
    assert f"Verdicts on {len(rows)} predictions" in table and one.interval in table
    card = one._repr_html_()
    for said in ("contradicted", one.interval, "would change", "does not show"):
        assert said in card
    assert str(one).startswith(f"{one.prediction.theory}, {one.prediction.name}: contradicted. ")

    judged = interp.judge(arms)
    row = judged.effects.iloc[0]
    ratio = f"{row['ratio']:.3g} ({row['low']:.3g} to {row['high']:.3g})"
    assert ratio in judged._repr_html_() and ratio in str(judged) and "\n" not in repr(judged)

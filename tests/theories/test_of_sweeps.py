"""What theories say of many runs, on tables in which it is planted, and read off a real sweep."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from interp.analyses import explain
from interp.analyses.of_sweep import TABLE, sweep_runs
from interp.commands.cli import app
from interp.report.account import account
from interp.report.sentences import answer
from interp.sweeps.gathered import gathered
from interp.sweeps.sweep import sweep
from interp.tables.early_activity import FIRST, early_activity
from interp.theories.early_oscillation import area_over_runs
from interp.theories.norm_clock import norm_over_seeds
from interp.theories.reading import NotTestable
from tests.sweeps.test_sweep import BASE, HERE, OVER


def runs(norms=(), activity=(), grokked=None, setting="all runs", is_recipe=True):
    n = max(len(norms), len(activity))
    return pd.DataFrame(
        {
            "run": [f"r{i}" for i in range(n)], "setting": setting, "is_recipe": is_recipe,
            "grokked": True if grokked is None else grokked,
            "norm_at_event": norms or [math.nan] * n, "early_activity": activity or [math.nan] * n,
        }
    )  # fmt: skip


def test_the_spread_of_norms_is_that_of_seeds_with_its_interval():
    norms = [30.0, 31.0, 29.0, 30.5, 29.5, 30.2, 29.8, 30.0]
    found = norm_over_seeds({"sweep_runs": runs(norms)})
    assert found.value == pytest.approx(np.std(norms, ddof=1) / np.mean(norms))
    assert found.low < found.value < found.high and "29 to 31 at the grokking step of 8 runs" in found.said
    rng, held = np.random.default_rng(0), 0
    for _ in range(300):
        drawn = norm_over_seeds({"sweep_runs": runs(list(rng.normal(30, 0.6, 16)))})
        held += drawn.low <= 0.02 <= drawn.high
    # 285 are expected of 300; 274 lie three standard deviations below.
    assert held >= 274
    for table in (runs(norms[:7]), runs(norms, is_recipe=[True] * 7 + [False])):
        with pytest.raises(NotTestable, match="known of 7 runs of this recipe, it takes 8"):
            norm_over_seeds({"sweep_runs": table})
    with pytest.raises(NotTestable, match="'sweep_runs' is missing"):
        norm_over_seeds({})


def test_the_area_is_the_share_of_pairs_that_are_in_order():
    activity, grokked = (
        [1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        [False, False, True, False, False, True, True, False, True, True],
    )
    found = area_over_runs({"sweep_runs": runs(activity=activity, grokked=grokked)})
    come, other = ([a for a, g in zip(activity, grokked, strict=True) if g == x] for x in (True, False))
    assert found.value == np.mean([[a > b for b in other] for a in come])
    assert found.low < found.value < found.high <= 1
    # All in order: ten runs do not make it sure.
    apart = area_over_runs({"sweep_runs": runs(activity=activity, grokked=[False] * 5 + [True] * 5)})
    assert apart.value == 1 and apart.low < 0.95
    with pytest.raises(NotTestable, match="4 runs of the sweep grokked and 5 did not"):
        area_over_runs({"sweep_runs": runs(activity=activity[:9], grokked=[True] * 4 + [False] * 5)})


def test_what_a_setting_does_to_both_is_told_apart():
    """A weight decay makes runs tremble and grok; within it trembling says nothing."""
    rng = np.random.default_rng(1)
    parts = [
        runs(
            activity=list(level + rng.normal(0, 0.1, 40)), grokked=list(rng.random(40) < share), setting=name
        )
        for name, level, share in (("weak", 0.0, 0.1), ("strong", 5.0, 0.9))
    ]
    found = area_over_runs({"sweep_runs": pd.concat(parts)})
    within = float(found.said.split("; ")[1].split()[0])
    assert found.value > 0.8 > 0.7 > within > 0.3


def test_early_activity_is_of_the_fast_part():
    steps = np.arange(500)
    slow = pd.DataFrame({"step": steps, "train_loss": 5 - steps / 200})
    assert early_activity(slow) == pytest.approx(0, abs=1e-20)
    # Plus and minus .1 by turns: variance .01, of which the mean over 21 steps leaves .1 / 21.
    fast = slow.assign(train_loss=slow["train_loss"] + 0.1 * (-1.0) ** steps)
    assert early_activity(fast) == pytest.approx(0.01 * (1 - 1 / 21) ** 2, rel=1e-6)
    later = slow.assign(train_loss=slow["train_loss"] + np.where(steps >= FIRST, 9.0, 0.0))
    assert early_activity(later) == early_activity(slow)
    assert early_activity(slow.iloc[:300]) is None
    assert early_activity(slow.assign(train_loss=np.where(steps == 7, np.nan, 1.0))) is None


def test_a_sweep_says_which_runs_are_of_the_recipe(tmp_path):
    made = sweep(tmp_path / "s", BASE, OVER, seeds=2, probes=("weight_norms",), **HERE)
    config = made.run("weight_decay=1.0,seed=1").config
    never = gathered(made.path)
    never.runs["memorization_step"] = pd.NA
    with pytest.raises(ValueError, match="none of its runs is complete and memorized"):
        sweep_runs(never, config)
    found = gathered(made.path)
    found.runs["memorization_step"], found.runs["grokking_step"] = (
        20,
        pd.array([30, None, 30, 30], dtype="Int64"),
    )
    table = sweep_runs(found, config)
    assert table["is_recipe"].tolist() == [False, False, True, True]
    assert table["setting"].tolist() == ["weight decay = 0.5"] * 2 + ["weight decay = 1"] * 2
    norms = made.measured("weight_norms")
    own = norms[(norms["matrix"] == "total") & (norms["run"] == table["run"][2])].sort_values("step")
    assert table["norm_at_event"][2] == pytest.approx(np.interp(30, own["step"], own["l2"]))
    assert table["norm_at_event"].isna().tolist() == [False, True, False, False]
    # Of sixty steps there is no activity of four hundred.
    assert table["early_activity"].isna().all()


@pytest.mark.slow
def test_what_was_locked_without_a_measure_is_judged_once_there_is_one():
    """The committed lock of p = 59 was written when nothing measured it; the sweep is in the tables beside it."""
    tables, _ = explain.found(None, trial=Path("analyses/evidence/p59"))
    names = ("one_norm_over_seeds", "activity_ranks_runs")
    rows = {r.prediction.name: r for r in account(tables, {}).rows if r.prediction.name in names}
    assert {name: (r.verdict, r.status) for name, r in rows.items()} == dict.fromkeys(
        names, ("contradicted", "exploratory")
    )
    told = account(tables, {})
    assert sum(r.prediction.name in names for r in told.rows) == 2
    assert "Many runs side by side, with nothing locked, contradict" in " ".join(s.text for s in answer(told))
    without = {name: table for name, table in tables.items() if name != TABLE}
    found = {r.prediction.name: r for r in account(without, {}).rows if r.prediction.name in names}
    assert {r.verdict for r in found.values()} == {"not testable here"} and len(found) == 2
    result = CliRunner().invoke(app, ["report", "--sweep", "x", "--draw-only"])
    assert result.exit_code == 1 and "--sweep and --draw-only" in str(result.exception)

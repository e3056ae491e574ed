"""Shares, survival, log-rank tests and critical values on runs whose outcome is planted."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interp.tables import shares

FIELDS = ["task.train_fraction", "optimizer.weight_decay"]


def planted(rows):
    """Runs: (fraction, decay, memorization step, grokking step or None, budget)."""
    table = pd.DataFrame(
        [
            {
                "run": f"r{i}", "status": "complete", "step": budget,
                "task.train_fraction": f, "optimizer.weight_decay": w,
                "memorization_step": m, "grokking_step": g, "grokking_before": budget if g is None else g - 10,
                "delay": None if g is None or m is None else g - m,
                "delay_low": None if m is None else (budget if g is None else g - 10) - m,
                "delay_high": None if g is None or m is None else g - m + 10,
            }
            for i, (f, w, m, g, budget) in enumerate(rows)
        ]
    )  # fmt: skip
    for name in ("memorization_step", "grokking_step", "grokking_before", "delay", "delay_low", "delay_high"):
        table[name] = table[name].astype("Int64")
    return table


def test_phases_are_those_of_liu_et_al():
    events = [(None, None), (100, None), (100, 1100), (100, 1099)]
    runs = planted([(0.3, 1.0, *steps, 5000) for steps in events])
    assert shares.run_phases(runs).tolist() == ["confusion", "memorization", "grokking", "comprehension"]
    assert shares.run_phases(runs, comprehension=2000).tolist()[2:] == ["comprehension"] * 2
    runs.loc[1, "status"] = "diverged"
    phases = shares.run_phases(runs)
    assert pd.isna(phases[1])
    (row,) = shares.cells(runs, []).to_dict("records")
    assert (row["n"], row["n_other"], row["grokking"], row["share"]) == (3, 1, 1, 2 / 3)


def test_a_cell_has_its_exact_interval_and_the_step_by_which_half_have_come():
    runs = planted(
        [(0.3, 1.0, 100, 1000 * (i + 1), 5000) for i in range(3)] + [(0.3, 1.0, 100, None, 5000)] * 5
    )
    (row,) = shares.cells(runs, FIELDS).to_dict("records")
    # Clopper and Pearson by their definition: tails of .025 of the beta distribution.
    assert row["low"] == pytest.approx(stats.beta.ppf(0.025, 3, 6), abs=1e-9)
    assert row["high"] == pytest.approx(stats.beta.ppf(0.975, 4, 5), abs=1e-9)
    # Three of eight never make a half.
    assert math.isnan(row["median_step"])
    half = planted(
        [(0.3, 1.0, 100, 1000 * (i + 1), 5000) for i in range(4)] + [(0.3, 1.0, 100, None, 5000)] * 4
    )
    assert shares.cells(half, FIELDS)["median_step"].tolist() == [4000]


def test_kaplan_meier_counts_runs_that_were_cut_early_as_long_as_they_were_seen():
    """By hand: of 4 one comes at 100, one is cut at 150, one comes at 200, one never: 1, 3/4, 3/8."""
    runs = planted(
        [
            (0.3, 1.0, 10, 100, 900),
            (0.3, 1.0, 10, None, 150),
            (0.3, 1.0, 10, 200, 900),
            (0.3, 1.0, 10, None, 900),
        ]
    )
    table = shares.survival(runs, FIELDS)
    assert dict(zip(table["step"], table["share"], strict=True)) == pytest.approx(
        {0: 1, 100: 0.75, 150: 0.75, 200: 0.375, 900: 0.375}
    )
    assert (table["n"] == 4).all() and (table["optimizer.weight_decay"] == 1.0).all()
    assert shares.survival(runs.iloc[:0], FIELDS).empty


def test_log_rank_tells_the_quicker_value_and_corrects_for_their_number():
    slow = [(0.3, 0.3, 100, 2000 + 100 * i, 5000) for i in range(8)]
    quick = [(0.3, 1.0, 100, 500 + 10 * i, 5000) for i in range(8)]
    never = [(0.2, w, 100, None, 5000) for w in (0.3, 1.0) for _ in range(8)]
    table = shares.log_rank(planted(slow + quick + never), FIELDS)
    row = table[table["field"] == "optimizer.weight_decay"].iloc[0]
    assert (row["value"], row["other"], row["setting"]) == (0.3, 1.0, "train fraction = 0.3")
    assert row["statistic"] < 0 and row["p"] < 1e-3
    # Where nothing has grokked there is nothing to compare; where one side has, there is.
    assert len(table) == 3 and set(table["setting"]) == {
        "train fraction = 0.3",
        "weight decay = 0.3",
        "weight decay = 1",
    }
    assert (
        row["p_holm"] == pytest.approx(min(1, max(3 * table["p"].min(), row["p"])))
        or row["p_holm"] >= row["p"]
    )
    # Holm by hand.
    assert shares._holm(np.array([0.04, 0.01, 0.03])) == pytest.approx([0.06, 0.03, 0.06])


@pytest.mark.slow
def test_null_runs_differ_no_more_often_than_stated():
    rng = np.random.default_rng(0)
    few = 0
    for _ in range(200):
        rows = [(0.3, w, 100, int(s), 10**6) for w in (0.3, 1.0) for s in 1000 * rng.lognormal(0, 0.4, 8)]
        few += shares.log_rank(planted(rows), FIELDS[1:])["p"].iloc[0] < 0.05
    # 10 are expected of 200; 20 are beyond three standard deviations.
    assert few <= 20


def test_what_diverged_is_no_late_run_and_has_no_budget():
    runs = planted([(0.3, 1.0, 100, 1000, 5000), (0.3, 1.0, 100, None, 12)])
    runs["status"] = ["complete", "diverged"]
    (row,) = shares.cells(runs, FIELDS).to_dict("records")
    assert (row["budget"], row["median_step"], row["n_other"]) == (5000, 1000, 1)
    # Of runs that come at one moment nothing is told apart.
    same = planted([(f, 1.0, 100, 1000, 5000) for f in (0.3, 0.5) for _ in range(4)])
    assert shares.log_rank(same, FIELDS).empty


def test_the_critical_value_is_a_bracket_and_open_where_it_was_not_reached():
    def cells(*counts):
        rows = [
            (0.2 + 0.1 * j, 1.0, 100, 2000 if i < k else None, 5000)
            for j, k in enumerate(counts)
            for i in range(8)
        ]
        return shares.critical_values(shares.cells(planted(rows), FIELDS), FIELDS)

    row = cells(0, 3, 8).iloc[0]
    assert (round(row["before"], 9), round(row["step"], 9), row["is_monotone"]) == (0.3, 0.4, True)
    assert (row["share_before"], row["share_step"], row["setting"]) == (0.375, 1.0, "weight decay = 1")
    # Where fewer generalise at larger values it is gone through from the largest down.
    row = cells(8, 8, 1, 0).iloc[0]
    assert (row["direction"], round(row["before"], 9), round(row["step"], 9)) == ("fall", 0.4, 0.3)
    row = cells(0, 1, 4).iloc[0]
    assert round(row["before"], 9) == 0.4 and pd.isna(row["step"])
    row = cells(5, 7, 8).iloc[0]
    assert pd.isna(row["before"]) and round(row["step"], 9) == 0.2
    # From where on it stays above: an island of luck is not the boundary.
    row = cells(6, 2, 8).iloc[0]
    assert (round(row["before"], 9), round(row["step"], 9), row["is_monotone"]) == (0.3, 0.4, False)


def test_fields_that_are_no_numbers_are_compared_and_not_ordered():
    runs = planted([(0.3, 1.0, 100, 900, 5000), (0.3, 1.0, 100, None, 5000)]).assign(
        **{"model.act_fn": ["relu", "gelu"]}
    )
    cells = shares.cells(runs, ["model.act_fn"])
    assert cells["model.act_fn"].tolist() == ["gelu", "relu"] and cells["share"].tolist() == [0, 1]
    assert shares.critical_values(cells, ["model.act_fn"]).empty

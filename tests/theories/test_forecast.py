"""Forecasts: lines that are lines, intervals that hold on new families, nothing learned from what comes later."""

import math

import numpy as np
import pandas as pd
import pytest

from interp.theories.backtest import backtest, scores, will_it
from interp.theories.forecast import (
    LEVEL,
    MULTIPLES,
    TEST_LOSS,
    Calibration,
    calibration,
    chance,
    curves_of,
    extrapolated,
    levels,
    looks,
    usable,
)
from interp.theories.forecaster import Forecaster, forecaster, forecasts, in_words, live, read_forecaster

STEPS = np.arange(0.0, 10001.0, 10.0)


def runs_of(rows):
    """(run, p, memorization step, grokking step or None)."""
    table = pd.DataFrame(rows, columns=["run", "task.p", "memorization_step", "grokking_step"])
    table["grokking_before"] = table["grokking_step"].sub(10).fillna(10000)
    for name in ("memorization_step", "grokking_step", "grokking_before"):
        table[name] = table[name].astype("Int64")
    return table.assign(step=10000, status="complete")


def world(*, factor=lambda p: 1.25, n_families=12, n_seeds=4, noise=0.05, seed=0, never=()):
    """Test loss falls on a straight line to 0 at T0; test accuracy rises at factor(p) T0, never for p in `never`."""
    rng, rows, parts = np.random.default_rng(seed), [], []
    for p in range(n_families):
        for s in range(n_seeds):
            t0 = 10 ** rng.uniform(2.8, 3.5)
            event = t0 * factor(p) * math.exp(noise * rng.normal())
            name = f"p{p}-{s}"
            rows.append((name, p, 100, None if p in never else round(event)))
            loss = 10 * np.maximum(1 - STEPS / t0, 0) + 1e-3
            parts.append(pd.DataFrame({"run": name, "step": STEPS, "test_loss": loss}))
    return runs_of(rows), pd.concat(parts, ignore_index=True)


def looked_at(runs, histories):
    curves = curves_of(histories)
    return looks(curves, runs, levels(curves, runs), ["task.p"])


def by_modulus(runs, histories):
    return backtest(curves_of(histories), runs, ["task.p"], "task.p")


def test_a_straight_line_arrives_where_it_does_and_what_came_later_is_not_looked_at():
    line = 10 - STEPS / 300
    assert extrapolated(STEPS, line, 900.0, 0.0).step == pytest.approx(3000)
    later = np.where(STEPS > 900, 77.0, line)
    assert extrapolated(STEPS, later, 900.0, 0.0).step == pytest.approx(3000)
    # Only the last third counts: before it the curve was another.
    earlier = np.where(STEPS < 590, 50.0, line)
    assert extrapolated(STEPS, earlier, 900.0, 0.0).step == pytest.approx(3000)
    # A curve that rises to its level, as a Gini coefficient.
    assert extrapolated(STEPS, STEPS / 10000, 900.0, 0.3).step == pytest.approx(3000)


def test_what_gives_no_answer_says_why():
    for values, why in (
        (1 + STEPS / 300, "does not head there"),
        (10 - STEPS / 3000, "more than 10 times what was seen"),
    ):
        line = extrapolated(STEPS, values, 900.0, 0.0)
        assert line.step is None and line.why_not == why
    broken = np.where(STEPS == 800, np.nan, 10 - STEPS / 300)
    assert extrapolated(STEPS, broken, 900.0, 0.0).why_not == "values that are no numbers"
    assert extrapolated(STEPS[::40], 10 - STEPS[::40] / 300, 900.0, 0.0).why_not.startswith("too few")
    # Past its level already, from either side: due now.
    assert extrapolated(STEPS, 0.1 + STEPS / 1000, 900.0, 0.3).step == 900
    assert extrapolated(STEPS, 5 - STEPS / 100, 900.0, 0.0).step == 900


def test_levels_are_medians_at_the_event_and_of_the_test_loss_none():
    runs = runs_of([("a", 3, 100, 1000), ("b", 3, 100, 2000), ("c", 3, 100, None)])
    gini = pd.concat([pd.DataFrame({"run": r, "step": STEPS, "value": STEPS / 10000}) for r in "abc"])
    found = levels({TEST_LOSS: gini, "gini_W_E": gini}, runs)
    assert found == {TEST_LOSS: 0.0, "gini_W_E": pytest.approx(0.15)}


def test_the_factor_is_learned_and_the_forecast_corrected():
    runs, histories = world(factor=lambda p: 1.25, noise=0.0)
    tested = by_modulus(runs, histories)
    # Where the line has arrived, and the event comes later, it says "now".
    answered = tested[tested["raw"] > tested["seen"]]
    assert len(answered) > 100
    assert (answered["step"] / answered["event"]).to_numpy() == pytest.approx(1, abs=0.01)
    row = scores(tested).iloc[0]
    assert row["error"] < 0.02 and row["skill_mean"] > 0.9 and row["skill_no_change"] > 0.9
    assert row["n_never"] == 0 and row["n_answered"] == row["n_grokked"] == 48


def test_a_forecast_does_not_change_with_what_its_run_does_later():
    """Hindsight trap: the curve after each look is replaced, the answers stay."""
    runs, histories = world()
    table = looked_at(runs, histories)
    for multiple in (2.0, 5.0):
        changed = histories.copy()
        changed.loc[changed["step"] > 100 * multiple, "test_loss"] = 1e6
        again = looked_at(runs, changed)
        for one in (table, again):
            one.loc[one["raw"].isna(), "raw"] = -1.0
        pick = [t[t["multiple"] == multiple].set_index("run")["raw"] for t in (table, again)]
        pd.testing.assert_series_equal(*pick)


def test_what_is_left_out_teaches_nothing_about_itself():
    """One family goes wrong by its own factor: left out it is missed, though its seeds would have told."""
    runs, histories = world(factor=lambda p: 4.0 if p == 0 else 1.0, noise=0.02)
    tested = by_modulus(runs, histories)
    tested = tested[tested["raw"] > tested["seen"]]
    error = (np.log10(tested["event"]) - np.log10(tested["step"])).abs()
    assert error[tested["task.p"] == 0].min() > 0.5 > 0.05 > error[tested["task.p"] != 0].max()


def test_intervals_hold_on_new_families_as_often_as_they_say():
    """Each family has a factor of its own: what was learned of many runs of few families covers a new one's too."""
    rng, held = np.random.default_rng(1), []
    for _ in range(300):
        shifts = rng.normal(0, 0.3, 15)
        errors = np.concatenate([s + rng.normal(0, 0.02, 10) for s in shifts])
        learned = Calibration(errors, np.full(150, 0.1), 15)
        new = rng.normal(0, 0.3) + rng.normal(0, 0.02)
        _, low, high = learned.forecast(1.0)
        held.append(low <= 10**new <= high)
    # 80 % are promised at least; three standard deviations of 300 draws are 7 %.
    assert np.mean(held) >= LEVEL - 0.07
    # Pooled as if all runs were independent, 1.3 would do for the same 80 %; with 15 families it cannot be narrower.
    assert np.mean(held) <= 0.95


def test_few_families_promise_nothing():
    errors = np.zeros(80)
    assert Calibration(errors, np.full(80, 0.1), 8).forecast(100.0) == (100.0, 0.0, math.inf)
    assert Calibration(np.zeros(90), np.full(90, 0.1), 9).forecast(100.0) == pytest.approx(
        (100.0, 100.0, 100.0)
    )


def test_quantiles_are_those_of_the_weighted_families():
    """By hand: 9 families of one error each, 0 to 8 tenths; a tenth of the mass is a new family's."""
    learned = Calibration(np.arange(9) / 10, np.ones(9), 9)
    assert learned.quantile(0.5, is_upper=True) == 0.4 and learned.quantile(0.9, is_upper=True) == 0.8
    assert learned.quantile(0.9, is_upper=False) == 0.0 and learned.quantile(0.91, is_upper=True) == math.inf
    assert learned.shift == 0.4


def test_each_family_counts_as_much_as_another():
    table = pd.DataFrame(
        {
            "run": ["a"] * 8 + ["b", "b", "c"], "family": ["x"] * 10 + ["y"], "measure": TEST_LOSS,
            "raw": 100.0, "event": 200.0, "budget": 1000.0,
        }
    )  # fmt: skip
    found = usable(table)
    assert found.groupby("family")["weight"].sum().tolist() == pytest.approx([1, 1])
    assert found.groupby("run")["weight"].sum().tolist() == pytest.approx([0.5, 0.5, 1])
    assert found["error"].tolist() == pytest.approx([math.log10(2)] * 11)
    # One that was not trained for long enough to be seen to come late is left out, whether it came or not.
    assert usable(table.assign(budget=150.0)).empty and usable(table.assign(event=np.nan)).empty
    assert calibration(found.iloc[:0], TEST_LOSS) is None


def test_runs_that_never_do_are_false_alarms_and_teach_nothing():
    runs, histories = world(never=(0, 1), n_families=12)
    tested = by_modulus(runs, histories)
    row = scores(tested).iloc[0]
    # Their lines arrive like those of the others: every one is an alarm.
    assert row["n_never"] == 8 and row["n_alarms"] == 8 and row["n_false"] == 8
    assert row["error"] < 0.05 and row["coverage"] >= LEVEL


def test_nothing_that_is_compared_lies_in_the_past():
    runs, histories = world()
    tested = by_modulus(runs, histories).dropna(subset=["step"])
    for column in ("step", "low", "high", "mean", "no_change"):
        assert (tested[column] >= tested["seen"]).all()


def test_the_level_of_a_measure_is_that_of_the_others():
    """Gini coefficients are twice as large at the event in one family: it is forecast by the level of the others."""
    runs, _ = world()
    at = runs.set_index("run")["grokking_step"].astype(float)
    gini = pd.concat(
        [
            pd.DataFrame({"run": r, "step": STEPS, "matrix": "W_E", "gini": STEPS / at[r] * level})
            for r in runs["run"]
            for level in [0.8 if r.startswith("p0-") else 0.4]
        ]
    )  # fmt: skip
    curves = {"gini_W_E": curves_of(pd.DataFrame({"run": [], "step": [], "test_loss": []}), gini)["gini_W_E"]}
    tested = backtest(curves, runs, ["task.p"], "task.p")
    far = tested[tested["raw"] > tested["seen"]]
    # Halfway to its own level, it is where the others are at the event.
    assert (far["raw"] / far["event"])[far["task.p"] == 0].to_numpy() == pytest.approx(0.5, abs=0.01)
    assert (far["raw"] / far["event"])[far["task.p"] != 0].to_numpy() == pytest.approx(1, abs=0.01)


def test_runs_that_are_not_done_or_memorized_at_once_are_not_looked_at():
    runs, histories = world(n_families=3)
    runs.loc[0, "status"], runs.loc[1, "memorization_step"] = "running", 0
    assert set(looked_at(runs, histories)["run"]) == set(runs["run"][2:])
    none = runs.assign(memorization_step=9900)
    assert looked_at(none, histories).empty
    empty = by_modulus(none, histories)
    assert empty.empty and {"step", "left_out", "family"} <= set(empty) and scores(empty).empty


def test_curves_that_tell_nothing_have_no_skill():
    rng = np.random.default_rng(3)
    rows, parts = [], []
    for p in range(10):
        for s in range(4):
            rows.append((f"p{p}-{s}", p, 100, int(10 ** rng.uniform(3, 3.7))))
            loss = 5 - STEPS / 10 ** rng.uniform(2, 3.3)
            parts.append(pd.DataFrame({"run": f"p{p}-{s}", "step": STEPS, "test_loss": loss}))
    row = scores(by_modulus(runs_of(rows), pd.concat(parts))).iloc[0]
    assert row["n_scored"] > 50 and row["skill_mean"] < 0.1


def test_the_chance_is_that_of_kaplan_and_meier_by_hand():
    # At 5, 10 and 20 times memorization; one cut at 8 times.
    runs = runs_of([("a", 3, 100, 500), ("b", 3, 100, 1000), ("c", 3, 100, 2000), ("d", 3, 100, None)])
    runs.loc[3, "grokking_before"] = 800
    # Of 4 one comes at 5; the cut one leaves; of 2 one comes at 10, the other at 20.
    assert chance(runs, 1.0, 5.0) == pytest.approx(1 / 4)
    assert chance(runs, 6.0, 12.0) == pytest.approx(1 / 2)
    assert chance(runs, 6.0, 20.0) == pytest.approx(1)
    assert math.isnan(chance(runs, 21.0, 30.0))
    # Nobody was seen for a hundred times: no flat line says that nothing comes any more.
    assert math.isnan(chance(runs, 6.0, 100.0))


def test_will_it_is_scored_against_what_knows_no_time():
    runs, histories = world(never=(0, 1, 2, 3, 4, 5))
    found = will_it(runs, looked_at(runs, histories), "task.p").set_index("multiple")
    assert set(found.index) <= set(MULTIPLES) and found.loc[1.5, "n"] == 48
    assert found.loc[1.5, "share"] == pytest.approx(0.5)
    # Late, when those that do have done so, time alone tells.
    assert found.loc[50.0, "chance"] < 0.2 and found.loc[50.0, "brier"] < found.loc[50.0, "brier_share"]


@pytest.fixture(scope="module")
def learned():
    runs, histories = world()
    return forecaster(runs, curves_of(histories), ["task.p"], {"sweeps": ["planted"]})


def test_what_was_learned_comes_back_from_json(learned, tmp_path):
    import json

    (tmp_path / "f.json").write_text(json.dumps(learned.to_json()))
    again = read_forecaster(tmp_path / "f.json")
    assert isinstance(again, Forecaster) and again.about == {
        "sweeps": ["planted"],
        "n_runs": 48,
        "n_families": 12,
    }
    assert again.calibrations[TEST_LOSS].forecast(1000.0) == pytest.approx(
        learned.calibrations[TEST_LOSS].forecast(1000.0), rel=1e-3
    )
    assert chance(again.runs, 2.0, 20.0) == chance(learned.runs, 2.0, 20.0)
    (tmp_path / "f.json").write_text("{}")
    with pytest.raises(
        ValueError, match="f.json holds nothing that forecasts were learned from: 'calibrations'"
    ):
        read_forecaster(tmp_path / "f.json")


def test_of_runs_that_never_generalised_nothing_is_learned():
    runs, histories = world(never=range(12))
    with pytest.raises(
        ValueError, match="learned from runs that generalised some time after they memorized, and none"
    ):
        forecaster(runs, curves_of(histories), ["task.p"], {})


def test_a_run_is_forecast_from_what_was_seen(learned):
    history = pd.DataFrame({"run": "r", "step": STEPS, "test_loss": 10 - STEPS / 300})
    table = forecasts(learned, curves_of(history), 900.0).set_index("measure")
    row = table.loc[TEST_LOSS]
    assert row["raw"] == pytest.approx(3000) and row["step"] == pytest.approx(3750, rel=0.03)
    assert 900 <= row["low"] < row["step"] < row["high"]
    assert table.loc["gini_W_E", "why_not"] == "not measured" and math.isnan(table.loc["gini_W_E", "step"])
    # Nothing that was seen not to come is forecast.
    quick = Calibration(np.full(90, -1.0), np.full(90, 0.1), 9)
    early = Forecaster({TEST_LOSS: 0.0}, {TEST_LOSS: quick}, learned.runs, {})
    row = forecasts(early, curves_of(history), 900.0).set_index("measure").loc[TEST_LOSS]
    assert (row["step"], row["low"], row["high"]) == (900, 900, 900)


def test_while_a_run_trains_it_is_said_in_a_few_words(learned):
    told = live(learned)
    rows = [
        {"step": s, "train_accuracy": float(s >= 100), "test_accuracy": 0.2, "test_loss": 10 - s / 300}
        for s in range(0, 901, 10)
    ]
    assert told(rows[:5]) == "" and told([]) == ""
    (row,) = forecasts(learned, curves_of(pd.DataFrame(rows).assign(run="r")), 900.0).to_dict("records")[:1]
    assert told(rows) == f"groks {in_words(row)}"
    flat = [{**row, "test_loss": 5.0 + row["step"] / 1000} for row in rows]
    assert told(flat) == "groks: no forecast"
    assert told([*rows, {**rows[-1], "step": 910, "test_accuracy": 0.99}]) == ""
    # Steps that were not evaluated are none.
    assert told([*rows, {"step": 911, "train_loss": 0.1}]) == told(rows)


def test_a_task_without_residues_has_its_test_loss_alone():
    """Of it the probe of sparsity has an empty table."""
    histories = pd.DataFrame({"run": "a", "step": [0, 1], "test_loss": [1.0, 0.5]})
    empty = pd.DataFrame({"run": pd.Series(dtype=str), "step": pd.Series(dtype=int)})
    assert set(curves_of(histories, empty)) == set(curves_of(histories)) == {"test_loss"}

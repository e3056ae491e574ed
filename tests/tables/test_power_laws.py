"""Censored power laws: against planted laws, least squares, scipy's censored fit and another library's numbers."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interp.tables.power_laws import censored_fit, delay_bounds, power_laws
from tests.tables.test_shares import planted

WD = "optimizer.weight_decay"


def drawn(exponent, decays, n, sd, rng, budget=10**7, fraction=0.3):
    rows = []
    for decay in decays:
        for delay in 2000 * decay**exponent * rng.lognormal(0, sd, n):
            grokked = 100 + max(int(delay), 20)
            rows.append((fraction, decay, 100, grokked if grokked < budget else None, budget))
    return planted(rows)


def test_without_censoring_it_is_least_squares():
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    y = 1.5 - 0.7 * x + 0.3 * rng.normal(size=40)
    terms = np.stack([np.ones(40), x], axis=1)
    fit = censored_fit(terms, y, y)
    by_squares = stats.linregress(x, y)
    assert fit.coefficients == pytest.approx([by_squares.intercept, by_squares.slope], abs=1e-4)
    # Differences of the likelihood have some four digits.
    assert fit.errors[1] == pytest.approx(by_squares.stderr, rel=1e-3)


def test_censored_without_slope_it_is_scipys_fit():
    rng = np.random.default_rng(2)
    y = rng.normal(3, 0.5, 60)
    low, high = np.where(y > 3.4, 3.4, y), np.where(y > 3.4, np.inf, y)
    fit = censored_fit(np.ones((60, 1)), low, high)
    data = stats.CensoredData(uncensored=y[y <= 3.4], right=np.full((y > 3.4).sum(), 3.4))
    # scipy's optimizer stops at a relative change of 1e-4.
    assert (fit.coefficients[0], fit.scatter) == pytest.approx(stats.norm.fit(data), abs=1e-3)


def test_with_brackets_and_censoring_it_is_what_lifelines_finds():
    """LogNormalAFTFitter of lifelines 0.30.3 (fit_interval_censoring) on the same draws: coefficients and errors."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    t = np.exp(2 - 1.3 * x + 0.4 * rng.normal(size=80))
    cut = np.quantile(t, 0.8)
    low, high = np.where(t > cut, cut, 0.98 * t), np.where(t > cut, np.inf, 1.02 * t)
    fit = censored_fit(np.stack([np.ones(80), x], axis=1), np.log(low), np.log(high))
    assert fit.coefficients == pytest.approx([1.943660, -1.293910], abs=1e-5)
    # Of the likelihood alone; here it is taken into account that 64 runs told two coefficients.
    assert fit.errors * np.sqrt(62 / 64) == pytest.approx([0.050131, 0.056859], rel=1e-3)
    assert np.log(fit.scatter) == pytest.approx(-0.975297, abs=1e-5)
    assert (fit.n, fit.n_censored) == (80, 16)


def test_a_planted_exponent_is_found_and_leaving_censored_runs_out_would_flatten_it():
    rng = np.random.default_rng(3)
    runs = drawn(-1.0, [0.1, 0.3, 1.0, 3.0], 12, 0.4, rng, budget=8000)
    assert 6 < runs["grokking_step"].isna().sum() < 24
    (law,) = power_laws(runs, [WD]).to_dict("records")
    assert law["low"] < -1.0 < law["high"] and law["high"] - law["low"] < 0.5
    assert (law["setting"], law["n"], law["n_values"]) == ("all runs", 48, 4)
    come = runs[runs["grokking_step"].notna()]
    (naive,) = power_laws(come, [WD]).to_dict("records")
    assert naive["exponent"] > law["exponent"] + 0.05


@pytest.mark.slow
def test_intervals_hold_as_often_as_they_say():
    rng, hits = np.random.default_rng(4), 0
    for _ in range(30):
        (law,) = power_laws(drawn(-1.2, [0.3, 1.0, 3.0], 8, 0.5, rng, budget=9000), [WD]).to_dict("records")
        hits += law["low"] <= -1.2 <= law["high"]
    # 28.5 of 30 are expected; 25 lie three standard deviations below.
    assert hits >= 25


def test_brackets_that_are_wide_beside_the_scatter_tell_no_law():
    """Evaluated every 500 steps, delays of about 500: a law runs through all brackets, its error would be 0."""
    runs = drawn(-0.1, [0.3, 1.0, 3.0], 3, 0.02, np.random.default_rng(8)).assign(
        delay_low=1500, delay_high=2500
    )
    for name in ("delay_low", "delay_high"):
        runs[name] = runs[name].astype("Int64")
    assert power_laws(runs, [WD]).empty
    bounds = delay_bounds(runs)
    terms = np.stack([np.ones(len(bounds)), np.log(bounds[WD])], axis=1)
    with pytest.raises(ValueError, match="known more closely than they scatter"):
        censored_fit(terms, bounds["low"].to_numpy(), bounds["high"].to_numpy())


def test_settings_without_a_logarithm_have_a_level_each():
    """Within each activation p does nothing; slow activations were tried at larger p."""
    rng = np.random.default_rng(9)
    parts = []
    for name, level, values in (("relu", 500, (10, 20, 30)), ("gelu", 2500, (20, 30, 60))):
        for p in values:
            rows = [(0.3, 1.0, 100, 100 + int(d), 10**6) for d in level * rng.lognormal(0, 0.1, 6)]
            parts.append(planted(rows).assign(**{"task.p": p, "model.act_fn": name}))
    table = power_laws(pd.concat(parts, ignore_index=True), ["task.p", "model.act_fn"])
    own = table[table["setting"] != "all settings"]
    assert len(own) == 2 and own["exponent"].abs().max() < 0.15
    assert "all settings" not in set(table["setting"])


def test_what_bends_is_told_from_what_does_not():
    rng = np.random.default_rng(5)
    straight = power_laws(drawn(-1.0, [0.1, 0.3, 1.0, 3.0], 10, 0.2, rng), [WD])["p_curvature"][0]
    bent = drawn(-1.0, [0.1, 0.3, 1.0], 10, 0.2, rng)
    more = drawn(+1.0, [3.0], 10, 0.2, rng)
    curved = power_laws(pd.concat([bent, more], ignore_index=True), [WD])["p_curvature"][0]
    assert straight > 0.01 > 1e-6 > curved


def test_all_fields_together_and_each_alone():
    rng = np.random.default_rng(6)
    parts = [drawn(-1.0, [0.3, 1.0, 3.0], 8, 0.2, rng, fraction=f) for f in (0.3, 0.6)]
    # A larger fraction is four times as quick: an exponent of -2.
    parts[1][["delay", "delay_low", "delay_high"]] = parts[1][["delay", "delay_low", "delay_high"]] // 4
    table = power_laws(pd.concat(parts, ignore_index=True), ["task.train_fraction", WD])
    together = table[table["setting"] == "all settings"].set_index("field")
    for field, planted_exponent in (("task.train_fraction", -2), (WD, -1)):
        assert together.loc[field, "low"] < planted_exponent < together.loc[field, "high"]
    assert set(table[table["field"] == WD]["setting"]) == {
        "train fraction = 0.3",
        "train fraction = 0.6",
        "all settings",
    }


def test_what_cannot_be_fitted_has_no_row():
    rng = np.random.default_rng(7)
    never = planted([(0.3, w, 100, None, 5000) for w in (0.3, 1.0) for _ in range(8)])
    assert power_laws(never, [WD]).empty
    one = pd.concat([never[never[WD] == 0.3], drawn(-1.0, [1.0], 8, 0.3, rng)], ignore_index=True)
    # Runs have come at one value alone: the slope is bounded on one side at most.
    assert power_laws(one, [WD]).empty
    with pytest.raises(ValueError, match="A fit of 2 terms needs more runs that have come, got 2"):
        censored_fit(np.array([[1.0, 0.0], [1.0, 1.0]]), np.zeros(2), np.zeros(2))


def test_a_delay_that_may_be_none_has_no_lower_bound():
    runs = planted([(0.3, 1.0, 100, 105, 5000), (0.3, 1.0, 100, None, 5000), (0.3, 1.0, None, None, 5000)])
    bounds = delay_bounds(runs)
    assert len(bounds) == 2
    assert bounds["low"].tolist() == [-np.inf, pytest.approx(np.log(4900))]
    assert bounds["high"].tolist() == [pytest.approx(np.log(15)), np.inf]

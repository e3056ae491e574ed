"""Thresholds and second descents of planted curves, against what was planted, and of noise, which has none."""

import numpy as np
import pandas as pd
import pytest

from interp.tables.interpolation import (
    MODEL,
    SAMPLE,
    binned,
    by_size,
    descents,
    epoch_descents,
    second_descent,
    shown_sizes,
    thresholds,
)

SIZES = (1, 2, 4, 8, 16, 32)


def planted(error, fits, axis=MODEL, n=4, spread=0.005, seed=0, noise=0.15):
    """Runs whose test error is error(size) and noise, and which fit where `fits` says."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        [
            {
                "experiment": "planted",
                "axis": axis,
                "setting": "",
                "noise": noise,
                "size": float(size),
                "run": f"{size}-{draw}",
                "interpolates": bool(fits(size, draw)),
                "train_error": 0.0 if fits(size, draw) else 0.1,
                "test_error": error(size) + spread * rng.standard_normal(),
                "test_loss": 1.0,
            }
            for size in SIZES
            for draw in range(n)
        ]
    )


def bump(size):
    return {1: 0.5, 2: 0.3, 4: 0.4, 8: 0.6, 16: 0.3, 32: 0.2}[size]


def test_the_threshold_is_the_first_size_that_fits_for_good():
    (row,) = thresholds(planted(bump, lambda size, _: size >= 8)).to_dict("records")
    assert (row["outside"], row["inside"]) == (4, 8)
    # A size that fits by luck and one run that does not fit: neither is for good.
    (row,) = thresholds(
        planted(bump, lambda size, draw: size == 2 or size > 8 or (size == 8 and draw))
    ).to_dict("records")
    assert (row["outside"], row["inside"]) == (8, 16)


def test_over_train_rows_it_is_the_last_number_that_fits():
    (row,) = thresholds(planted(bump, lambda size, _: size <= 8, axis=SAMPLE)).to_dict("records")
    assert (row["inside"], row["outside"]) == (8, 16)


def test_to_meet_every_label_exactly_is_a_threshold_of_its_own_where_it_is_known():
    runs = planted(bump, lambda size, _: size >= 4)
    (without,) = thresholds(runs).to_dict("records")
    assert np.isnan([without["exact_outside"], without["exact_inside"]]).all()
    (row,) = thresholds(runs.assign(fits_exactly=runs["size"] >= 16)).to_dict("records")
    assert (row["outside"], row["inside"], row["exact_outside"], row["exact_inside"]) == (2, 4, 8, 16)


@pytest.mark.parametrize("axis", [MODEL, SAMPLE])
def test_a_threshold_that_is_not_on_the_grid_has_one_end(axis):
    (never,) = thresholds(planted(bump, lambda *_: False, axis=axis)).to_dict("records")
    (always,) = thresholds(planted(bump, lambda *_: True, axis=axis)).to_dict("records")
    first, last = (32, 1) if axis == MODEL else (1, 32)
    assert np.isnan(never["inside"]) and never["outside"] == first
    assert np.isnan(always["outside"]) and always["inside"] == last


def test_a_planted_bump_is_found_where_it_is():
    (row,) = descents(planted(bump, lambda *_: False)).to_dict("records")
    assert row["shows"] and row["peak_at"] == 8
    # Means of four runs of spread 0.005: within 5 standard errors.
    for name, value in (("peak", 0.6), ("valley_before", 0.3), ("valley_after", 0.2), ("height", 0.3)):
        assert row[name] == pytest.approx(value, abs=0.018)
    # Three standard errors of a difference of two such means, the spread itself known to a quarter.
    assert row["needed"] == pytest.approx(3 * 0.005 * np.sqrt(2 / 4), rel=0.6)


@pytest.mark.parametrize(
    "error", [lambda s: 0.9 - 0.02 * s, lambda s: 0.1 + 0.02 * s, lambda s: abs(s - 8) / 40 + 0.1]
)
def test_curves_that_fall_rise_or_are_a_u_have_no_second_descent(error):
    (row,) = descents(planted(error, lambda *_: False, spread=0.0)).to_dict("records")
    assert not row["shows"] and row["height"] == 0 and np.isnan(row["peak_at"])


def test_noise_alone_has_a_bump_and_no_descent():
    found = [
        descents(planted(lambda _: 0.3, lambda *_: False, spread=0.02, seed=seed)).iloc[0]
        for seed in range(40)
    ]
    assert np.mean([row["height"] > 0 for row in found]) > 0.9
    # The highest of four bumps, beyond three standard errors: rarely (2 of 40 would be one in twenty).
    assert sum(row["shows"] for row in found) <= 2


@pytest.mark.parametrize("error", [bump, lambda size: 0.9 - 0.02 * size])
def test_of_one_run_a_size_it_cannot_be_told(error):
    (row,) = descents(planted(error, lambda *_: False, n=1)).to_dict("records")
    assert np.isnan(row["needed"]) and row["shows"] is None
    assert (row["height"] > 0.2) == (error is bump)
    # Nor of two sizes, between which there is none.
    two = second_descent(pd.DataFrame({0: [0.1, 0.2], 1: [0.1, 0.2]}, index=[1, 2]))
    assert two["shows"] is None and two["height"] == 0 and not np.isnan(two["needed"])


def test_means_by_size_and_shares_that_fit():
    table = by_size(planted(bump, lambda size, draw: size > 8 or draw == 0, n=2, spread=0.0)).set_index(
        "size"
    )
    assert table.loc[8, "n_interpolating"] == 1 and table.loc[16, "n_interpolating"] == 2
    assert table.loc[8, "train_error"] == pytest.approx(0.05) and table.loc[8, "test_error"] == pytest.approx(
        0.6
    )
    assert table.loc[8, "n"] == 2 and table.loc[8, "test_error_low"] == table.loc[8, "test_error_high"]


def test_steps_are_binned_evenly_in_their_logarithm():
    steps = np.arange(0, 1001)
    history = pd.DataFrame({"run": "a", "step": steps, "train_accuracy": 1.0, "test_accuracy": 0.75})
    table = binned(history.assign(test_accuracy=history["test_accuracy"].where(steps % 2 == 0)))
    # From step 2 to 1000, four a decade: the bins of 2, 3.2 .., 5.6 .., 10 .., to the one that starts at 1000.
    assert (table["test_error"] == 0.25).all() and (table["train_error"] == 0).all()
    assert table["step"].tolist() == [2, 4, 8, 16, 30, 56, 98, 176, 316, 562, 998, 1000]


def test_descents_along_steps_are_those_of_the_means_over_runs():
    steps = [1, 3, 10, 30, 100]
    errors = [0.9, 0.3, 0.5, 0.4, 0.1]
    along = pd.concat(
        pd.DataFrame(
            {
                "experiment": "planted", "axis": MODEL, "setting": "", "noise": 0.0, "size": 8.0, "run": run,
                "step": steps, "train_error": 0.0, "test_error": np.add(errors, shift),
            }
        )
        for run, shift in (("a", 0.01), ("b", -0.01))
    )  # fmt: skip
    (row,) = epoch_descents(along).to_dict("records")
    assert (row["size"], row["axis"], row["peak_at"], row["shows"]) == (8, "steps", 10, True)
    assert row["height"] == pytest.approx(0.2) and row["needed"] == pytest.approx(3 * 0.01 * np.sqrt(2))


def test_sizes_that_are_shown_lie_on_both_sides_of_the_threshold():
    along = pd.DataFrame({"size": SIZES})
    assert shown_sizes(along, pd.DataFrame({"inside": [8.0]})) == [2, 8, 32]
    assert shown_sizes(along, pd.DataFrame({"inside": [np.nan]})) == [2, 8, 32]
    assert shown_sizes(along, pd.DataFrame({"inside": [1.0]})) == [1, 32]
    # One that was not followed: the nearest, by ratio.
    assert shown_sizes(along, pd.DataFrame({"inside": [12.0]})) == [4, 16, 32]

"""Falls of curves that were made up: sudden, gradual, none at all; brackets that hold the truth."""

import numpy as np
import pandas as pd
import pytest

from interp.tables.falls import fall, steepest_fall

STEPS = np.unique(np.geomspace(10, 10_000, 60).round().astype(int))


def table(values, steps=STEPS):
    return pd.DataFrame({"step": steps, "loss": values})


def sigmoid(middle, width, high=4.0, low=0.2, steps=STEPS):
    """A fall whose slope per ln(step) is largest at its middle."""
    return low + (high - low) / (1 + np.exp((np.log(steps) - np.log(middle)) / width))


@pytest.mark.parametrize("middle", [60, 300, 2000])
def test_a_sudden_fall_is_found_where_it_was_put(middle):
    found = fall(table(sigmoid(middle, 0.08)), "loss", floor=0.0)
    assert found.steepest.before <= middle <= found.steepest.step
    # A logistic curve has gone 10 % of its way at ln(9) widths before the middle, and 90 % as far behind it.
    begun, done = middle * 9**-0.08, middle * 9**0.08
    assert found.begun.before <= begun <= found.begun.step
    assert found.done.before <= done <= found.done.step
    assert found.factor[0] <= done / begun <= found.factor[1]
    assert found.share == pytest.approx(3.8 / 4, abs=1e-3)


def test_a_straight_line_takes_its_whole_width():
    line = 4 - 3.8 * np.log(STEPS / 10) / np.log(1000)
    found = fall(table(line), "loss", floor=0.0)
    # 0.8 of three decades.
    assert found.factor[0] <= 1000**0.8 <= found.factor[1]


def test_few_checkpoints_leave_it_open():
    steps = np.array([0, 100, 1000])
    found = fall(table([4.0, 4.0, 0.1], steps), "loss", floor=0.0)
    assert (found.begun.before, found.begun.step) == (found.done.before, found.done.step) == (100, 1000)
    assert found.factor == (1.0, 10.0)


@pytest.mark.parametrize("low", [3.9, 2.2])
def test_a_curve_that_stays_far_from_its_floor_has_no_fall(low):
    assert fall(table(sigmoid(300, 0.08, low=low)), "loss", floor=0.0) is None


def test_noise_on_a_plateau_is_no_fall():
    noise = 4 + 0.05 * np.random.default_rng(0).standard_normal(len(STEPS))
    assert fall(table(noise), "loss", floor=0.0) is None
    # But there is a steepest place, as there always is.
    assert steepest_fall(table(noise), "loss").step is not None


def test_a_curve_that_rises_is_steepest_nowhere():
    found = steepest_fall(table(np.log(STEPS)), "loss")
    assert (found.before, found.step) == (10_000, None)


def test_the_slope_is_per_logarithm_and_step_0_is_left_out():
    # A fall of 1 from 1000 to 2000 is as steep as one of 1 from 10 to 20, per ln(step), and steeper than one of 0.9.
    found = steepest_fall(table([9, 5, 4.1, 4.1, 3.1], [0, 10, 20, 1000, 2000]), "loss")
    assert (found.before, found.step) == (1000, 2000)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"least in \(0, 1\], got 0"):
        fall(table(sigmoid(300, 0.1)), "loss", floor=0.0, least=0.0)
    with pytest.raises(ValueError, match="begins above its floor 5, and 'loss' begins at 4"):
        fall(table(sigmoid(300, 0.01)), "loss", floor=5.0)
    with pytest.raises(ValueError, match="two checkpoints after step 0, there are 1"):
        steepest_fall(table([1.0, 0.5], [0, 10]), "loss")


def test_the_summary_holds_plain_numbers():
    found = fall(table(sigmoid(300, 0.08)), "loss", floor=0.0)
    summary = found.summary()
    assert summary["times_as_many_steps"] == list(found.factor)
    assert summary["steepest"]["threshold"] is None and summary["begun"]["step"] > 0

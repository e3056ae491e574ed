"""Which steps the texts of a schedule name."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.runs.schedule import Schedule, fitted_schedule, longer_schedule, make_schedule


@pytest.mark.parametrize(
    ("save", "want"),
    [
        ([], (100,)),
        (["every:40"], (0, 40, 80, 100)),
        (["every:1000"], (0, 100)),
        (["10-30:10"], (10, 20, 30, 100)),
        (["10-35:10"], (10, 20, 30, 35, 100)),  # both ends, on the grid or not
        (["7-7:10"], (7, 100)),
        ([7, "5", "5"], (5, 7, 100)),
        (["log:3"], (0, 1, 10, 100)),
        (["log:1"], (0, 1, 100)),
        (["every:50", "48-52:1"], (0, 48, 49, 50, 51, 52, 100)),
    ],
)
def test_texts(save, want):
    assert make_schedule(100, save, []).steps == want


def test_steps_with_optimizer_state_are_saved_too():
    schedule = make_schedule(100, ["every:50"], ["10-14:2", 50])
    assert schedule.optimizer_steps == (10, 12, 14, 50)
    assert schedule.steps == (0, 10, 12, 14, 50, 100)


@given(n_steps=st.integers(1, 50_000), n=st.integers(1, 80))
def test_logarithmic_steps_are_evenly_spaced_on_a_log_axis(n_steps, n):
    steps = make_schedule(n_steps, [f"log:{n}"], []).steps
    assert steps[0] == 0
    assert steps[-1] == n_steps
    assert len(steps) <= n + 2
    if n > 1:
        ratio = n_steps ** (1 / (n - 1))
        # Rounding moves a step by at most 1/2.
        assert all(b <= (a + 0.5) * ratio + 0.5 for a, b in pairwise(steps[1:]))


@given(n_steps=st.integers(1, 300_000))
def test_a_fitted_schedule_brackets_everything_within_its_share(n_steps):
    schedule = fitted_schedule(n_steps)
    assert schedule.steps[0] == 0 and schedule.steps[-1] == n_steps
    assert all(b - a <= max(5, 0.05 * a) for a, b in pairwise(schedule.steps))
    # Not denser than that needs.
    assert len(schedule.steps) <= 23 + max(0, 53 * math.log10(n_steps / 100))
    states = [0, *schedule.optimizer_steps, n_steps]
    assert n_steps < 100 or all(b / max(a, 75) <= 2.2 for a, b in pairwise(states))


def test_a_longer_schedule_keeps_what_was_saved():
    old = make_schedule(40, ["every:10"], [20])
    longer = longer_schedule(old, 40, 100, ["every:25"], [80])
    assert longer.steps == (0, 10, 20, 30, 40, 50, 75, 80, 100)
    assert longer.optimizer_steps == (20, 80)
    assert longer_schedule(old, 40, 50, None).steps == (0, 10, 20, 30, 40, 45, 50)
    # Up to where training is, what was not saved cannot be.
    assert longer_schedule(old, 33, 60, ["every:1"]).steps == (0, 10, 20, 30, *range(34, 61))


def test_errors():
    texts = ["every:0", "every:x", "log:0", "10-20", "10-20:0", "-5", "1.5", "", "all"]
    for text in texts:
        with pytest.raises(ValueError, match=f"made of every:N, log:N, START-STOP:EVERY .*, got '{text}'"):
            make_schedule(100, [text], [])
    for text in ("101", "90-110:10", "200-300:10"):
        with pytest.raises(ValueError, match=f"'{text}' names steps beyond the run's last step 100"):
            make_schedule(100, [text], [])
    with pytest.raises(ValueError, match=r"needs START <= STOP, got '50-20:10'. Use 20-50:10"):
        make_schedule(100, ["50-20:10"], [])
    with pytest.raises(ValueError, match="n_steps of at least 1, got 0"):
        make_schedule(0, ["every:10"], [])
    with pytest.raises(ValueError, match="at least one saved step, got none"):
        Schedule(steps=(), optimizer_steps=())
    for steps in [(5, 3), (3, 3), (-1, 3)]:
        with pytest.raises(ValueError, match=f"distinct ascending steps of at least 0, got {steps[0]}, 3"):
            Schedule(steps=steps, optimizer_steps=())
    with pytest.raises(ValueError, match="optimizer_steps among its saved steps, got 4, 7 beside them"):
        Schedule(steps=(1, 2), optimizer_steps=(2, 7, 4))
    with pytest.raises(ValueError, match=r"got 100, 101, .*107, ... \(20 in all\) beside them"):
        Schedule(steps=(1, 2), optimizer_steps=tuple(range(100, 120)))

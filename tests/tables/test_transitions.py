"""Curves whose transitions are known by construction, and laws that hold for every curve."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.tables.accuracies import by_split
from interp.tables.curves import breaks, curve, reached, scaled, slopes
from interp.tables.transitions import (
    COMPLETION,
    ONSET,
    Delay,
    Transition,
    change_points,
    delay,
    grokking,
    is_grokking,
    memorization,
    precedes,
    share_of_change,
    spells,
    transition,
)


def table(values, steps=None, name="x"):
    steps = range(0, 100 * len(values), 100) if steps is None else steps
    return pd.DataFrame({"step": list(steps), name: values})


def bracket(values, threshold=1.0, direction="rise", **options):
    found = transition(table(values), "x", threshold, direction, **options)
    assert (found.quantity, found.threshold) == ("x", threshold)
    return found.before, found.step


# --- one curve, one threshold


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 1, 1], (100, 200)),  # rises for good
        ([0, 1, 0, 1], (200, 300)),  # a spike is not a rise
        ([0, 1, 1, 0], (300, None)),  # relapses for good: never
        ([0, 0, 0, 0], (300, None)),  # never
        ([1, 1, 1, 1], (None, 0)),  # from the first
        ([0, 0, 0, 1], (200, 300)),  # at the very end
        ([1], (None, 0)),
        ([0], (0, None)),
        ([0, np.nan, np.nan, 1], (0, 300)),  # not measured in between: a wider bracket
        ([0, np.nan, 1, np.nan], (0, 200)),
        ([0, np.inf, np.inf], (0, 100)),  # infinity is a value
        ([0, -np.inf, 1], (100, 200)),
        ([0, 1.0, 1.0], (0, 100)),  # reached at the threshold itself
    ],
)
def test_known_brackets(values, expected):
    assert bracket(values) == expected
    negated = [-v for v in values]
    assert bracket(negated, -1.0, "fall") == expected


def test_rows_in_any_order():
    shuffled = table([0, 0, 1, 1]).sample(frac=1, random_state=3)
    assert transition(shuffled, "x", 1.0, "rise") == Transition("x", 1.0, 100, 200)


@pytest.mark.parametrize(
    ("values", "tolerated", "expected", "relapses"),
    [
        ([0, 1, 1, 1, 1, 0, 1, 1], 0.0, (500, 600), ()),
        ([0, 1, 1, 1, 1, 0, 1, 1], 0.25, (0, 100), ((500, 500),)),  # one of four: a spike
        ([0, 1, 1, 1, 0, 1, 1], 0.25, (400, 500), ()),  # one of three: it had not held for long
        ([0, 1, 1, 1, 1, 0, 0, 1, 1], 0.25, (600, 700), ()),  # two of four
        ([0, 1, 1, 1, 1, 0, 0, 1, 1], 0.5, (0, 100), ((500, 600),)),
        ([0, 1, 0, 0, 1, 1, 1], 0.25, (300, 400), ()),  # a spike before the rise does not make it earlier
        ([0, 1, 0, 1, 0, 1, 0, 1], 0.5, (600, 700), ()),  # flicker is no arrival
        ([0, 1, 1, 1, 1, 0], 0.25, (500, None), ()),  # nothing is known after the last checkpoint
        ([0, *[1] * 4, 0, *[1] * 4, 0, 1], 0.25, (0, 100), ((500, 500), (1000, 1000))),  # two of them
        ([0, 1, 1, 1, 1, 0, 1, 1, 0, 1], 0.25, (800, 900), ()),  # two of six, together too many
        # Held once, for 8, and since then gone for most of the time: what was passed over does not count as held.
        ([0, *[1] * 8, *[0, 0, 1] * 5], 0.25, (2200, 2300), ()),
        ([1, 1, 1, 1, 1, 0, 1], 0.25, (None, 0), ((500, 500),)),  # holds from the first
    ],
)
def test_short_relapses_are_passed_over_and_named(values, tolerated, expected, relapses):
    found = transition(table(values), "x", 1.0, "rise", tolerated=tolerated)
    assert (found.before, found.step) == expected
    assert found.relapses == relapses


def test_one_spike_of_the_loss_does_not_redate_memorization():
    """Train accuracy of 1 from step 60 with one evaluation of .917 at 1610, as seen in a two-layer run."""
    steps = np.arange(0, 2010, 10)
    accuracy = np.where(steps < 60, 0.1, 1.0)
    accuracy[steps == 1610] = 0.917
    evaluations = pd.DataFrame({"step": steps, "train_accuracy": accuracy})
    assert memorization(evaluations) == Transition("train_accuracy", 0.95, 50, 60, ((1610, 1610),))
    assert memorization(evaluations, tolerated=0.0) == Transition("train_accuracy", 0.95, 1610, 1620)


curves = st.lists(st.integers(0, 3), min_size=1, max_size=30)


@given(curves, st.sampled_from([1.0, 2.0, 3.0]), st.integers(0, 1000), st.sampled_from([0.0, 0.25, 0.5]))
def test_shifting_steps_shifts_the_bracket(values, threshold, shift, tolerated):
    here = transition(table(values), "x", threshold, "rise", tolerated=tolerated)
    steps = [100 * i + shift for i in range(len(values))]
    there = transition(table(values, steps), "x", threshold, "rise", tolerated=tolerated)
    assert there.before == (None if here.before is None else here.before + shift)
    assert there.step == (None if here.step is None else here.step + shift)


@given(curves, st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from([0.0, 0.25, 0.5]))
def test_bracket_says_what_it_means(values, threshold, tolerated):
    found = transition(table(values), "x", threshold, "rise", tolerated=tolerated)
    steps = [100 * i for i in range(len(values))]
    if found.step is not None:
        assert values[steps.index(found.step)] >= threshold
        assert found.before is None or steps.index(found.before) == steps.index(found.step) - 1
    if found.before is not None:
        assert values[steps.index(found.before)] < threshold
    if found.step is None:
        assert found.before == steps[-1]
    if found.step is not None:
        below = {step for step, value in zip(steps, values, strict=True) if value < threshold}
        passed = {step for first, last in found.relapses for step in range(first, last + 1, 100)}
        assert {step for step in below if step > found.step} == passed
        assert tolerated or not passed


@given(curves, st.sampled_from([1.0, 2.0, 3.0]), st.data())
def test_an_earlier_spike_moves_nothing(values, threshold, data):
    found = transition(table(values), "x", threshold, "rise")
    early = [i for i in range(len(values)) if found.before is not None and 100 * i < found.before]
    if not early:
        return
    values = list(values)
    values[data.draw(st.sampled_from(early))] = 99
    assert transition(table(values), "x", threshold, "rise") == found


@given(curves, st.sampled_from([1.0, 2.0, 3.0]), st.data())
def test_more_checkpoints_narrow_the_bracket(values, threshold, data):
    """Of the checkpoints of a dense run some are kept: theirs is a bracket around the dense one."""
    kept = sorted({0, len(values) - 1, *data.draw(st.sets(st.integers(0, len(values) - 1)))})
    # A relapse between kept checkpoints cannot be seen by them: the law is about curves that rise once.
    values = np.maximum.accumulate(values)
    dense = transition(table(values), "x", threshold, "rise")
    coarse = transition(table(values[kept], [100 * i for i in kept]), "x", threshold, "rise")
    assert (coarse.step is None) == (dense.step is None)
    if coarse.step is not None:
        assert coarse.step >= dense.step
        assert (coarse.before is None) == (dense.before is None)
        assert dense.before is None or coarse.before <= dense.before


def test_spells_tell_what_a_transition_leaves_out():
    found = spells(table([1, 0, 1, 1, 0, 0, 1]), "x", 1.0, "rise")
    assert [(a.before, a.step, b.before, b.step) for a, b in found] == [
        (None, 0, 0, 100),
        (100, 200, 300, 400),
        (500, 600, 600, None),
    ]
    assert spells(table([0, 0]), "x", 1.0, "rise") == []


# --- onset and completion


def test_onset_and_completion_of_a_line():
    line = table(np.arange(101.0), range(101))
    onset, completion = (share_of_change(line, "x", share) for share in (ONSET, COMPLETION))
    assert (onset.before, onset.step, onset.threshold) == (4, 5, 5.0)
    assert (completion.before, completion.step) == (94, 95)
    falling = share_of_change(table(-np.arange(101.0), range(101)), "x", ONSET)
    assert (falling.before, falling.step, falling.threshold) == (4, 5, -5.0)


def test_onset_on_a_log_scale():
    losses = table(np.exp(-np.arange(101.0)), range(101))
    onset = share_of_change(losses, "x", ONSET, scale="log")
    # exp and log round: the value at the threshold itself may fall on either side.
    assert (onset.before, onset.step) in [(4, 5), (5, 6)]
    assert onset.threshold == pytest.approx(np.exp(-5.0))
    assert share_of_change(losses, "x", ONSET).step == 1  # most of the change of a loss is its first step


def test_the_whole_change_is_reached_at_the_end_and_flat_curves_never_change():
    rise = table([0.1, 0.2, 0.5, 0.7])
    assert share_of_change(rise, "x", 1.0).step == 300
    assert share_of_change(rise, "x", 1.0, scale="log").step == 300
    assert share_of_change(table([2.0, 5.0, 2.0]), "x", 0.5) == Transition("x", 2.0, 200, None)


def test_a_spike_at_the_end_can_be_tolerated():
    values = [0.0] * 5 + [1.0] * 10 + [50.0]
    assert share_of_change(table(values), "x", 0.5).step == 1500
    assert share_of_change(table(values), "x", 0.5, n_last=3).step == 500


# --- memorization, grokking, delay


def history(train, test, test_loss=None, every=100):
    n = len(train)
    return pd.DataFrame(
        {
            "step": np.arange(n) * every,
            "train_loss": np.linspace(5, 0.1, n),
            "train_accuracy": train,
            "test_loss": test_loss if test_loss is not None else [4.0] + [9.0] * (n - 1),
            "test_accuracy": test,
        }
    )


GROKS = history([0, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1, 1, 1])
NEVER_MEMORIZES = history([0, 0.2, 0.4, 0.5], [0, 0, 0.1, 0.1])
NEVER_GROKS = history([0, 1, 1, 1], [0, 0.1, 0.1, 0.1])
AT_ONCE = history([0, 0, 0, 1, 1], [0, 0, 0, 1, 1], test_loss=[4, 3, 2, 1, 0])
UNGROKS = history([0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 0.3, 0.2])
BORN_READY = history([1, 1, 1], [1, 1, 1])


@pytest.mark.parametrize(
    ("run", "memorized", "grokked", "expected"),
    [
        (GROKS, (0, 100), (400, 500), Delay(400, 300, 500)),
        (NEVER_MEMORIZES, (300, None), (300, None), Delay(None, None, None)),
        (NEVER_GROKS, (0, 100), (300, None), Delay(None, 200, None)),
        (AT_ONCE, (200, 300), (200, 300), Delay(0, -100, 100)),
        (UNGROKS, (0, 100), (500, None), Delay(None, 400, None)),
        (BORN_READY, (None, 0), (None, 0), Delay(0, 0, 0)),
    ],
)
def test_runs_of_every_kind(run, memorized, grokked, expected):
    first, second = memorization(run), grokking(run)
    assert (first.before, first.step) == memorized
    assert (second.before, second.step) == grokked
    assert delay(first, second) == expected


def test_history_and_losses_table_agree():
    run = GROKS.assign(train_accuracy=lambda t: 0.97 * t["train_accuracy"])
    long = [
        {
            "run": "r",
            "step": row.step,
            "split": split,
            "loss": row[f"{split}_loss"],
            "accuracy": row[f"{split}_accuracy"],
        }
        for _, row in run.iterrows()
        for split in ("train", "test")
    ]
    losses = pd.DataFrame(long)
    assert memorization(losses) == memorization(run)
    assert grokking(losses) == grokking(run)
    assert is_grokking(losses) == is_grokking(run)
    assert memorization(losses, 0.98).step is None


@pytest.mark.parametrize(
    ("run", "verdict", "why"),
    [
        (
            GROKS,
            True,
            "Test accuracy follows at 4 times the memorization step or later, after the test loss rose",
        ),
        (NEVER_MEMORIZES, False, r"Train accuracy does not stay at 0\.95 by step 300"),
        (NEVER_GROKS, None, r"Test accuracy does not stay at 0\.95 by step 300: not yet, or never"),
        (AT_ONCE, False, "Test accuracy follows at 1.5 times the memorization step at most"),
        (UNGROKS, None, r"Test accuracy does not stay at 0\.95 by step 500"),
        (GROKS.assign(test_loss=4.0), False, "The test loss never rises above its initial value"),
        (
            history([0, 1, 1, 1], [0, 0, 1, 1]),
            None,
            "The checkpoints leave open whether it took 1 or inf times as long",
        ),
    ],
)
def test_is_it_grokking(run, verdict, why):
    import re

    found, told = is_grokking(run)
    assert found is verdict
    assert re.match(why, told)


def test_a_spike_after_generalization_is_no_overfitting():
    steady = GROKS.assign(test_loss=4.0)
    at = grokking(steady).step
    for step, verdict in ((at + 100, False), (at, True), (at - 100, True)):
        spiked = steady.assign(test_loss=steady["test_loss"].mask(steady["step"] == step, 9.0))
        assert (spiked["test_loss"] == 9.0).sum() == 1
        assert is_grokking(spiked)[0] is verdict


def test_train_of_the_losses_table_counts_corrupted_rows():
    rows = [
        {"step": step, "split": split, "n": n, "loss": loss, "accuracy": accuracy}
        for step, right in ((0, 0.0), (100, 0.2), (200, 1.0))
        for split, n, loss, accuracy in (
            ("train", 30, 1.0, 1.0),
            ("corrupted", 10, 5.0, right),
            ("test", 60, 3.0, 0.0),
        )
    ]
    losses = pd.DataFrame(rows)
    assert (memorization(losses).before, memorization(losses).step) == (100, 200)
    assert by_split(losses)["train_accuracy"].tolist() == [0.75, 0.8, 1.0]  # (30 + 10 * right) / 40
    assert by_split(losses)["train_loss"].tolist() == [2.0] * 3  # (30 * 1 + 10 * 5) / 40
    only = losses[losses["split"] != "train"]
    assert by_split(only)["train_accuracy"].tolist() == [0.0, 0.2, 1.0]
    with pytest.raises(
        ValueError, match="counts corrupted rows, .* needs the column n of the `losses` table"
    ):
        memorization(losses.drop(columns="n"))


def test_is_it_grokking_asks_for_the_ratio_it_is_given():
    assert is_grokking(GROKS, ratio=4.0)[0] is True
    assert is_grokking(GROKS, ratio=4.1)[0] is None


@given(*[st.integers(0, 20)] * 2, *[st.integers(1, 9)] * 2)
def test_the_true_delay_lies_in_the_interval(first, second, width, other_width):
    one, two = Transition("a", 1.0, first, first + width), Transition("b", 1.0, second, second + other_width)
    found = delay(one, two)
    for a in range(first + 1, first + width + 1):
        for b in range(second + 1, second + other_width + 1):
            assert found.low <= b - a <= found.high
    assert precedes(one, two) is (
        True if first + width <= second else False if second + other_width <= first else None
    )


def test_order_of_what_never_comes_and_of_what_was_there_already():
    comes, never = Transition("a", 1.0, 100, 200), Transition("b", 1.0, 900, None)
    already = Transition("c", 1.0, None, 0)
    assert precedes(comes, never) is True
    assert precedes(never, comes) is False
    assert precedes(never, never) is None
    assert precedes(already, comes) is True
    assert precedes(comes, already) is False
    assert precedes(already, already) is None
    assert precedes(Transition("d", 1.0, None, None), comes) is None
    assert (
        precedes(comes, Transition("e", 1.0, 100, None)) is None
    )  # measured no longer than the first's bracket


# --- change points


def test_knots_of_a_curve_of_straight_pieces_are_found():
    steps = np.arange(0, 10_000, 100)
    values = np.interp(steps, [0, 3000, 6000, 9900], [0, 1, -8, -9])
    found = change_points(table(values, steps), "x", 2)
    assert [(t.before, t.step) for t in found] == [(2900, 3100), (5900, 6100)]
    assert all(t.threshold is None for t in found)
    knots, slope = breaks(steps, values, 2)
    np.testing.assert_allclose(knots, [0, 3000, 6000, 9900])
    np.testing.assert_allclose(slope, [1 / 3000, -9 / 3000, -1 / 3900])
    positive = table(np.exp(values), steps)
    assert [t.before for t in change_points(positive, "x", 2, scale="log")] == [2900, 5900]


def test_knots_are_the_best_ones():
    """Against all pairs of knots, by brute force."""
    rng = np.random.default_rng(0)
    x = np.arange(18.0)
    values = np.interp(x, [0, 6, 11, 17], [0, 2, -5, -5]) + 0.05 * rng.standard_normal(18)

    def cost(inner):
        at = [0, *inner, 17]
        return ((np.interp(x, at, values[at]) - values) ** 2).sum()

    candidates = [(i, j) for i in range(2, 15) for j in range(i + 3, 15)]
    best = min(candidates, key=cost)
    knots, _ = breaks(x.astype(int), values, 2)
    assert tuple(knots[1:-1].astype(int)) == best == (6, 11)


def test_knots_with_uneven_checkpoints_lie_in_their_brackets():
    steps = np.unique(np.geomspace(1, 10_000, 120).astype(int))
    values = np.interp(steps, [1, 4000, 10_000], [0, 0, 5])
    (found,) = change_points(table(values, steps), "x", 1)
    assert found.before <= 4000 <= found.step


def test_long_curves_are_cut_on_a_coarser_grid():
    steps = np.arange(0, 100_000, 10)
    (found,) = change_points(table(np.interp(steps, [0, 40_000, 99_990], [0, 0, 5]), steps), "x", 1)
    assert found.before <= 40_000 <= found.step
    assert found.step - found.before <= 1020  # two grid spacings


@given(st.integers(2, 12), st.floats(-3, 3), st.floats(-5, 5))
def test_slope_of_a_line_is_its_slope(n, a, b):
    steps = np.cumsum(np.arange(1, n + 1))
    # 5 values of size below 250, slopes from differences: rounding of a few 1e-15 relative to the values.
    np.testing.assert_allclose(slopes(steps, a * steps + b, 5), a, atol=1e-12)


def test_slopes_are_smoothed():
    noisy = np.arange(50.0) + np.resize([1, -1], 50)
    assert np.abs(slopes(np.arange(50), noisy, 5) - 1).max() < np.abs(np.gradient(noisy) - 1).max() + 1e-12
    assert np.abs(slopes(np.arange(50), noisy, 5)[5:-5] - 1).max() < 0.1


# --- errors


def test_errors_say_what_is_missing(annotations_off):
    good = table([0.0, 1.0])
    with pytest.raises(ValueError, match="The table has no column 'gini'; it has step, x"):
        transition(good, "gini", 1.0, "rise")
    with pytest.raises(ValueError, match="holds no value of 'x': there is nothing to date"):
        transition(table([np.nan]), "x", 1.0, "rise")
    with pytest.raises(ValueError, match=r"one row a step, step 0 has several\. Choose rows first"):
        transition(table([0, 1], [0, 0]), "x", 1.0, "rise")
    with annotations_off(), pytest.raises(ValueError, match="A direction is 'rise' or 'fall', got 'up'"):
        reached(np.zeros(1), 1.0, "up")
    with annotations_off(), pytest.raises(ValueError, match="A scale is 'linear' or 'log', got 'sqrt'"):
        scaled(np.ones(1), "sqrt", "x")
    for tolerated in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"tolerated is a share of the time .* in \[0, 1\), got"):
            transition(good, "x", 1.0, "rise", tolerated=tolerated)
    with pytest.raises(ValueError, match="at least 1 checkpoint for its last value, got n_last=0"):
        share_of_change(good, "x", 0.5, n_last=0)
    with pytest.raises(ValueError, match="A log scale needs values above 0, 'x' goes down to 0"):
        share_of_change(good, "x", 0.5, scale="log")
    for share in (0.0, 1.1):
        with pytest.raises(ValueError, match=r"needs a share in \(0, 1\], got"):
            share_of_change(good, "x", share)
    with pytest.raises(
        ValueError, match="'x' is not finite at its first or last step: it has no whole change"
    ):
        share_of_change(table([0, np.inf]), "x", 0.5)
    with pytest.raises(ValueError, match="2 change points need at least 1 and 9 checkpoints, there are 8"):
        change_points(table(np.arange(8.0)), "x", 2)
    assert len(change_points(table(np.arange(9.0) ** 2), "x", 2)) == 2
    with pytest.raises(ValueError, match="0 change points need at least 1"):
        change_points(table(np.arange(8.0)), "x", 0)
    with pytest.raises(ValueError, match="Change points need finite values"):
        change_points(table([0, np.inf, 1, 1, 1, 1, 1]), "x", 1)
    with pytest.raises(ValueError, match="A slope needs at least two checkpoints, there is one"):
        slopes(np.array([1]), np.array([1.0]), 5)
    steps, values = curve(table([1.0, np.nan, 0.0], [7, 5, 3]), "x")
    assert (steps.tolist(), values.tolist()) == ([3, 7], [0.0, 1.0])


def test_nothing_here_loads_torch():
    code = (
        "import sys, pandas as pd; from interp.tables import transitions, phases;"
        "t = pd.DataFrame({'step': range(9), 'x': [0.0] * 5 + [1.0] * 4});"
        "transitions.change_points(t, 'x', 1); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

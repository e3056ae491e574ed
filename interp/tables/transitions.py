"""When something happened along a run, read off its tables, with the bracket that the checkpoints leave open.

A rise counts only if it lasts to the end of the run: a spike is not grokking, and a run that relapses for good never
grokked. Short relapses are passed over, counted and named: one spike of the loss is not forgetting. Every answer is a
`Transition`: the last checkpoint without it and the first with it. What happened between the two is not known, so that
a delay has an interval, and of two transitions whose brackets overlap none came first.

Thresholds are arguments without default, or constants with a name here, and stand in the answer.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"step": [0, 100, 200, 300, 400], "accuracy": [0.0, 0.99, 0.1, 0.97, 1.0]})
    >>> transition(table, "accuracy", 0.95, "rise")  # not at 100, which was a spike
    Transition(quantity='accuracy', threshold=0.95, before=200, step=300, relapses=())

The phases of Nanda et al. are put together from several tables in `interp.tables.phases`.

References: Liu et al. 2022, "Omnigrok: grokking beyond algorithmic data" (95 % for both accuracies).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from interp.ground import html_card
from interp.ground.thresholds import ACCURACY
from interp.tables.accuracies import by_split, judged_column, memorizes_nothing
from interp.tables.brackets_said import transition_said
from interp.tables.curves import (
    GRID,
    SHORT,
    Direction,
    Scale,
    breaks,
    curve,
    last_spell,
    reached,
    scaled,
    stretches,
)

# Shares of a curve's whole change at its onset and its completion.
ONSET, COMPLETION = 0.05, 0.95


@dataclass(frozen=True)
class Transition:
    """Something that begins between two checkpoints and lasts to the end of the run.

    Attributes:
        quantity: the column, or what was made of it.
        threshold: the value that is crossed; None for change points, which have none.
        before: last checkpoint without it; None if it holds from the first.
        step: first checkpoint with it; None if it never comes to stay (then `before` is the last checkpoint).
        relapses: first and last step of each short relapse after `step` that was passed over.
    """

    quantity: str
    threshold: float | None
    before: int | None
    step: int | None
    relapses: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        return transition_said(self)

    def _repr_html_(self) -> str:
        return html_card.card(
            self.quantity.replace("_", " "), html_card.lines({"came": transition_said(self)})
        )


@dataclass(frozen=True)
class Delay:
    """The steps between two transitions, as far as their brackets tell.

    Attributes:
        steps: from the one's `step` to the other's; None if one never comes.
        low, high: bounds of the true delay. `high` is None where the second does not come by the end of the run: then
            it takes `low` steps or more (right-censored), and leaving such runs out of a mean biases it.
    """

    steps: int | None
    low: int | None
    high: int | None


def transition(
    table: pd.DataFrame, quantity: str, threshold: float, direction: Direction, *, tolerated: float = SHORT
) -> Transition:
    """When the quantity reaches the threshold for good.

    Args:
        table: one row a step, columns `step` and `quantity`. NaN means not measured there; infinity is a value.
        threshold: reached at this value or beyond it.
        direction: "rise" or "fall".
        tolerated: a relapse is passed over if it and those before it lasted at most this share of the time that the
            threshold had held before it; 0 passes over none. What lasts to the end of the run is never passed over.

    Raises:
        ValueError: if the column is missing or empty, a step occurs twice, or direction or tolerated are not valid.
    """
    steps, values = curve(table, quantity)
    return lasting(quantity, threshold, steps, reached(values, threshold, direction), tolerated)


def spells(
    table: pd.DataFrame, quantity: str, threshold: float, direction: Direction
) -> list[tuple[Transition, Transition]]:
    """Every stretch of checkpoints beyond the threshold: when it begins and when it ends.

    What `transition` leaves out: spikes, relapses, and a run that ungroks. The last stretch ends never if it lasts.

    Raises:
        ValueError: as `transition`.
    """
    steps, values = curve(table, quantity)
    mask = reached(values, threshold, direction)
    found = []
    for first, end in stretches(mask):
        begins = Transition(quantity, threshold, int(steps[first - 1]) if first else None, int(steps[first]))
        ends = Transition(
            quantity, threshold, int(steps[end - 1]), int(steps[end]) if end < len(steps) else None
        )
        found.append((begins, ends))
    return found


def last_lost(
    table: pd.DataFrame, quantity: str, threshold: float, direction: Direction
) -> tuple[int, int] | None:
    """First and last step of the last stretch beyond the threshold, of a curve that does not end there; None without.

    What is said of a curve for which `transition` has no step: it may have been there and have lost it.

    Raises:
        ValueError: as `transition`.

    >>> table = pd.DataFrame({"step": [0, 1, 2, 3], "accuracy": [0.0, 1.0, 1.0, 0.0]})
    >>> last_lost(table, "accuracy", 0.95, "rise")
    (1, 2)
    """
    held = spells(table, quantity, threshold, direction)
    if not held or held[-1][1].step is None:
        return None
    begins, ends = held[-1]
    return begins.step, ends.before  # type: ignore[return-value]


def share_of_change(
    table: pd.DataFrame,
    quantity: str,
    share: float,
    *,
    scale: Scale = "linear",
    tolerated: float = SHORT,
    n_last: int = 1,
) -> Transition:
    """When a curve has gone this share of its way from its first to its last value, for good.

    With ONSET and COMPLETION when a probe's change begins and is done. It does not say that there was a jump: a
    straight line has its onset at 5 % of the run. A curve that rises and falls back has little whole change, and a
    run that was stopped in mid-change has an earlier "end". A curve whose ends are equal never changes.

    Args:
        share: in (0, 1].
        scale: "log" for quantities over many orders, as losses.
        tolerated: as `transition`.
        n_last: checkpoints at the end whose median counts as the last value: more than 1 against a spike there.

    Raises:
        ValueError: as `transition`, or if share, scale or n_last are not valid, or a value is not above 0 on a log
            scale.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share_of_change needs a share in (0, 1], got {share}.")
    if n_last < 1:
        raise ValueError(
            f"share_of_change needs at least 1 checkpoint for its last value, got n_last={n_last}."
        )
    steps, values = curve(table, quantity)
    y = scaled(values, scale, quantity)
    if not np.isfinite(y[[0, -1]]).all():
        raise ValueError(f"{quantity!r} is not finite at its first or last step: it has no whole change.")
    end = float(np.median(y[-n_last:]))
    level = float(y[0] + share * (end - y[0]))
    threshold = level if scale == "linear" else float(np.exp(level))
    if end == y[0]:
        return Transition(quantity, threshold, int(steps[-1]), None)
    # Against the level on the curve's own scale: exp(log(x)) may differ from x in the last digit.
    mask = reached(y, level, "rise" if end > y[0] else "fall")
    return lasting(quantity, threshold, steps, mask, tolerated)


def memorization(
    history: pd.DataFrame, threshold: float = ACCURACY, *, tolerated: float = SHORT
) -> Transition:
    """When train accuracy reaches the threshold for good. In a run that never memorizes `step` is None.

    With corrupted labels it counts the labels that were shown, corrupted ones included. A run on fresh rows never does.

    Args:
        history: as `Run.history()`, or the `losses` table of `measure`: its column `n` is needed where it has corrupted
            rows, which it keeps out of its train split.
        threshold, tolerated: as `transition`.
    """
    wide = by_split(history)
    if memorizes_nothing(wide):
        return Transition("train_accuracy", threshold, int(wide["step"].max()), None)
    return transition(wide, "train_accuracy", threshold, "rise", tolerated=tolerated)


def grokking(history: pd.DataFrame, threshold: float = ACCURACY, *, tolerated: float = SHORT) -> Transition:
    """When test accuracy reaches the threshold for good. In a run that never groks, or ungroks, `step` is None.

    That test accuracy rises does not make it grokking: it may have risen with train accuracy. See `is_grokking`. Of a
    task that asks what nobody can foresee too, the accuracy is that on what is predictable.

    Args:
        history: as `Run.history()`, or the `losses` table of `measure`.
        threshold, tolerated: as `transition`.
    """
    wide = by_split(history)
    return transition(wide, judged_column(wide, "test"), threshold, "rise", tolerated=tolerated)


def delay(first: Transition, second: Transition) -> Delay:
    """The steps from one transition to another, with the interval that their brackets leave; may be negative.

    The grokking delay is delay(memorization(h), grokking(h)). A transition that holds from the first checkpoint is
    taken to lie at step 0 or after.
    """
    if first.step is None:
        return Delay(None, None, None)
    if second.step is None:
        return Delay(None, (second.before or 0) - first.step, None)
    return Delay(
        second.step - first.step, (second.before or 0) - first.step, second.step - (first.before or 0)
    )


def precedes(first: Transition, second: Transition) -> bool | None:
    """Whether the first came before the second; None where their brackets overlap, or neither came."""

    def surely(one: Transition, other: Transition) -> bool:
        return one.step is not None and other.before is not None and one.step <= other.before

    return True if surely(first, second) else False if surely(second, first) else None


def is_grokking(
    history: pd.DataFrame, *, threshold: float = ACCURACY, ratio: float = 2.0, tolerated: float = SHORT
) -> tuple[bool | None, str]:
    """Whether generalization came late enough to be called grokking, and why; None if the run cannot tell.

    Two conditions: test accuracy rises for good at `ratio` times the memorization step or later, and the test loss
    climbed above its initial value by then. A change of both accuracies at once, as with most of the table in train,
    has neither. Time counts from step 0, so that the ratio depends on the learning rate's warm-up too.

    Raises:
        ValueError: as `transition`, or if the table has no test loss.
    """
    accuracies = by_split(history)
    memorized = memorization(history, threshold, tolerated=tolerated)
    generalized = grokking(history, threshold, tolerated=tolerated)
    if memorized.step is None:
        return False, f"Train accuracy does not stay at {threshold:g} by step {memorized.before}."
    if generalized.step is None:
        return (
            None,
            f"Test accuracy does not stay at {threshold:g} by step {generalized.before}: not yet, or never.",
        )
    low = (generalized.before or 0) / max(memorized.step, 1)
    high = generalized.step / (memorized.before or 0) if memorized.before else np.inf
    if high < ratio:
        return False, f"Test accuracy follows at {high:.3g} times the memorization step at most."
    steps, losses = curve(accuracies, "test_loss")
    if not (losses[steps <= generalized.step] > losses[0]).any():  # a spike after that is another matter
        return False, "The test loss never rises above its initial value: the run does not overfit first."
    if low < ratio:
        return (
            None,
            f"The checkpoints leave open whether it took {low:.3g} or {high:.3g} times as long to generalize.",
        )
    return (
        True,
        f"Test accuracy follows at {low:.3g} times the memorization step or later, after the test loss rose.",
    )


def change_points(
    table: pd.DataFrame, quantity: str, n_breaks: int, *, scale: Scale = "linear"
) -> list[Transition]:
    """Where the slope of a curve changes most: the knots of the best continuous curve of n_breaks + 1 straight pieces.

    For curves that cross no threshold of note. There is always an answer, also on a smooth curve where nothing breaks:
    look whether the points stay where they are with more or fewer breaks.

    Args:
        scale: "log" for quantities over many orders, as losses.

    Returns:
        One a break, ascending, threshold None; the bracket is the grid spacing on either side, out to the checkpoints.

    Raises:
        ValueError: as `transition`, or if there are fewer than 3 * (n_breaks + 1) checkpoints.
    """
    steps, values = curve(table, quantity)
    knots, _ = breaks(steps, scaled(values, scale, quantity), n_breaks)
    return [Transition(quantity, None, *around(steps, knot)) for knot in knots[1:-1]]


def lasting(
    quantity: str, threshold: float | None, steps: np.ndarray, holds: np.ndarray, tolerated: float
) -> Transition:
    """From where `holds` is true to the end, short relapses passed over as `transition` says."""
    if not holds[-1]:
        return Transition(quantity, threshold, int(steps[-1]), None)
    begin, relapses = last_spell(steps, holds, tolerated)
    return Transition(
        quantity,
        threshold,
        int(steps[begin - 1]) if begin else None,
        int(steps[begin]),
        tuple((int(steps[first]), int(steps[last])) for first, last in relapses),
    )


def around(steps: np.ndarray, knot: float) -> tuple[int, int]:
    """The checkpoints that surely lie before and after a knot, which is known to a grid spacing."""
    spacing = (steps[-1] - steps[0]) / (min(len(steps), GRID) - 1)
    before, after = steps[steps <= knot - spacing / 2], steps[steps >= knot + spacing / 2]
    return int(before[-1] if len(before) else steps[0]), int(after[0] if len(after) else steps[-1])

"""When a loss fell, and how fast: the bump of a training curve, with its brackets.

A loss that goes down for long and one that stays where it is and then falls end alike. What tells them apart is how
many times as many steps the fall took. From which factor on a fall is sudden nobody says, and neither is it said here.

References: Olsson et al. 2022, "In-context learning and induction heads" (the phase change and its bump); Nanda et al.
2023, on other tasks (the steepest fall of a curve).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interp.tables.curves import curve
from interp.tables.outcome import bracket
from interp.tables.transitions import Transition, share_of_change

# Shares of the whole fall between which it is measured.
BEGUN, DONE = 0.1, 0.9


@dataclass(frozen=True)
class Fall:
    """How a curve went down, as far as its checkpoints tell.

    Attributes:
        begun, done: when it has gone BEGUN and DONE of its way from the first to the last value for good.
        steepest: the two neighbouring checkpoints between which it falls most per unit of ln(step).
        share: of the way from the first value to the floor that it went.
        factor: bounds of how many times as many steps it took from `begun` to `done`. A straight line on an axis of
            ln(step) from step 10 to 10,000 takes 250 times as many.
    """

    begun: Transition
    done: Transition
    steepest: Transition
    share: float
    factor: tuple[float, float]

    def summary(self) -> dict[str, Any]:
        """For summary.json."""
        return {
            "begun": bracket(self.begun),
            "done": bracket(self.done),
            "steepest": bracket(self.steepest),
            "share_of_the_way_to_the_floor": self.share,
            "times_as_many_steps": list(self.factor),
        }


def fall(
    table: pd.DataFrame, quantity: str, *, floor: float, least: float = 0.5, n_last: int = 1
) -> Fall | None:
    """How the curve fell; None if it has not gone `least` of the way from its first value to the floor.

    Without that bound there is always a steepest place, also on a curve that only trembles.

    Args:
        table: one row a step, columns `step` and `quantity`.
        floor: where the curve cannot go below: 0 for what can be foreseen wholly.
        least: in (0, 1].
        n_last: as of `share_of_change`.

    Raises:
        ValueError: as `share_of_change`; if least is not valid, or the curve begins at the floor or below it, or has
            fewer than two steps after step 0.
    """
    if not 0 < least <= 1:
        raise ValueError(f"A fall needs least in (0, 1], got {least}.")
    _, values = curve(table, quantity)
    if not values[0] > floor:
        raise ValueError(
            f"A fall needs a curve that begins above its floor {floor:g}, and {quantity!r} begins at {values[0]:g}."
        )
    last = float(np.median(values[-n_last:]))
    share = float((values[0] - last) / (values[0] - floor))
    if share < least:
        return None
    begun, done = (share_of_change(table, quantity, part, n_last=n_last) for part in (BEGUN, DONE))
    return Fall(begun, done, steepest_fall(table, quantity), share, _factor(begun, done))


def steepest_fall(table: pd.DataFrame, quantity: str) -> Transition:
    """The neighbouring checkpoints between which a curve falls most per unit of ln(step).

    The bracket is the two checkpoints, and the curve is steepest somewhere between them only if it is as smooth as they
    are close. Step 0 has no logarithm and is left out.

    Returns:
        threshold None; `step` None where the curve never falls.

    Raises:
        ValueError: as `curve`, or if there are fewer than two steps after step 0.
    """
    steps, values = curve(table, quantity)
    steps, values = steps[steps > 0], values[steps > 0]
    if len(steps) < 2:
        raise ValueError(
            f"A steepest fall needs at least two checkpoints after step 0, there are {len(steps)}."
        )
    slope = np.diff(values) / np.diff(np.log(steps))
    i = int(slope.argmin())
    name = f"steepest fall of {quantity}"
    if slope[i] >= 0:
        return Transition(name, None, int(steps[-1]), None)
    return Transition(name, None, int(steps[i]), int(steps[i + 1]))


def _factor(begun: Transition, done: Transition) -> tuple[float, float]:
    """Bounds of the later step over the earlier one; what holds at step 0 has no factor."""
    if begun.step is None or done.step is None:
        return 1.0, np.inf
    low = max((done.before or 0) / max(begun.step, 1), 1.0)
    return low, done.step / begun.before if begun.before else np.inf

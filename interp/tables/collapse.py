"""When a run that had generalised no longer does: for good, or for long. A spike is neither.

Not every fall below the threshold is one: test accuracy flickers while it rises, and slingshots throw it back for a few
evaluations. Here a collapse is what lasts, goes deep, and ends something that had lasted.

References: Varma et al. 2023, "Explaining grokking through circuit efficiency", section 5 (ungrokking); Thilak et al.
2022, "The slingshot mechanism" (spikes).
"""

import numpy as np
import pandas as pd

from interp.tables.curves import SHORT, curve, lasting_spells, middles, reached
from interp.tables.transitions import Transition

# It had generalised if it had held for this share of the time before it did, over two evaluations or more.
HELD = 0.1
# Deep: half of the evaluations below the threshold are below this share of it.
DEEP = 0.9


def collapse(table: pd.DataFrame, quantity: str, threshold: float, *, tolerated: float = SHORT) -> Transition:
    """When a quantity that had risen for long falls back below the threshold for long; the last time that it does.

    For long: the time below is more than `tolerated` of the time that it had held, short relapses within passed over,
    as `interp.tables.transitions.transition` passes them over. Whether it comes back later plays no part.

    Args:
        table, threshold, tolerated: as `transition`.

    Returns:
        `before` is the last evaluation of the stretch that had held, `step` the first below. `step` None: it has not
        collapsed by `before`. Both None: it is not known, as the curve ends in a fall that is too short to be told from
        a spike.

    Raises:
        ValueError: as `transition`.

    >>> table = pd.DataFrame({"step": range(0, 900, 100), "accuracy": [0, 0, 1, 1, 1, 1, 0.2, 0.1, 0.1]})
    >>> collapse(table, "accuracy", 0.95)
    Transition(quantity='accuracy below', threshold=0.95, before=500, step=600, relapses=())
    """
    steps, values = curve(table, quantity)
    edges = middles(steps)
    held = lasting_spells(steps, reached(values, threshold, "rise"), tolerated)
    begins = [*[begin for begin, _, _ in held], len(steps)][1:]
    found, is_open = None, False
    for (begin, end, _), again in zip(held, begins, strict=True):
        lasted = edges[end] - edges[begin]
        had = end - begin > 1 and lasted >= HELD * (edges[begin] - edges[0])
        if end == len(steps) or not had:
            continue
        below = edges[again] - edges[end]
        if below <= tolerated * lasted:
            is_open = again == len(steps)
        elif np.median(values[end:again]) < DEEP * threshold:
            found = Transition(f"{quantity} below", threshold, int(steps[end - 1]), int(steps[end]))
    if found is not None:
        return found
    return Transition(f"{quantity} below", threshold, None if is_open else int(steps[-1]), None)

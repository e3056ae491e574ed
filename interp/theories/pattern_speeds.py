"""Pattern speeds: a fast rule of thumb first, then memorized noise, then the slow rule that holds."""

import math

import numpy as np

from interp.theories.prediction import Theory, of_checkpoints, of_nothing_here
from interp.theories.reading import NotTestable, Seen, Tables, grokked, table
from interp.theories.statistic import Region

NAME = "pattern_speeds"
SOURCE = "Davies, Langosco, Krueger 2023, Unifying grokking and double descent"


def early_bump(tables: Tables) -> Seen:
    """How far test accuracy falls back after its first maximum, before it grows for good."""
    rows = table(tables, "losses", split="test").sort_values("step")
    end = grokked(tables).step
    values = rows[rows["step"] < end]["accuracy"].to_numpy()
    if len(values) < 3:
        raise NotTestable("fewer than 3 checkpoints lie before the grokking step")
    # The largest fall from a value to a later one.
    highest = np.maximum.accumulate(values)
    i = int((highest - values).argmax())
    fall, peak = float(highest[i] - values[i]), float(highest[i])
    n = float(rows["n"].iloc[0])
    half = 1.96 * math.sqrt((peak * (1 - peak) + values[i] * (1 - values[i])) / n)
    said = f"{peak:.3f} to {values[i]:.3f}, {n:.0f} test rows"
    return Seen(fall, fall - half, fall + half, said, "More test rows.")


PATTERN_SPEEDS = Theory(
    name=NAME,
    statement="Patterns are learned at their own speeds: easy ones that hold, hard ones that do not, hard ones "
    "that do.",
    source=SOURCE,
    requires="Test accuracy bumps early, dips, and rises late; the same along model size.",
    forbids="That test accuracy only rises.",
    predictions=(
        of_checkpoints(
            theory=NAME,
            name="early_bump",
            statement="Before it grows for good, test accuracy falls back by a hundredth or more.",
            source=SOURCE,
            function="early_bump",
            required=Region(low=0.01),
            rival="one circuit that only grows",
            rival_region=Region(high=0.005),
            probes="losses",
            stress_test="Test accuracy by kind of pair: commuted pairs, pairs with 0, equal operands.",
        ),
        of_nothing_here(
            theory=NAME,
            name="same_along_size",
            statement="The three epochs appear along model size as along time.",
            source=SOURCE,
            what="it takes runs of many sizes, and the tables of one run are judged here",
            needs="A sweep over d_model",
            required=Region(low=0.01),
            rival="size changes only the speed",
            rival_region=None,
        ),
    ),
    observations=(early_bump,),
)

"""Early and late implicit bias: weights shrink along a fixed direction first, and turn in a narrow window later."""

from interp.theories.prediction import Theory, of_checkpoints, of_nothing_here
from interp.theories.reading import Seen, Tables, around, memorized, table
from interp.theories.statistic import Region

NAME = "implicit_bias"
SOURCE = "Lyu et al. 2024, Dichotomy of early and late phase implicit biases can provably induce grokking"


def direction_at_memorization(tables: Tables) -> Seen:
    """Cosine between the weights at memorization and at the first checkpoint."""
    rows = table(tables, "weight_distances", matrix="total")
    value, low, high = around(rows, "initial_cosine", memorized(tables))
    return Seen(value, low, high, "cosine of all weights with those of the first checkpoint")


IMPLICIT_BIAS = Theory(
    name=NAME,
    statement="The early bias is that of a kernel, the late one that of a maximal margin; weight decay makes the "
    "turn sharp.",
    source=SOURCE,
    requires="Until memorization and beyond weights keep their direction.",
    forbids="That they have turned by memorization.",
    predictions=(
        of_checkpoints(
            theory=NAME,
            name="direction_kept_until_memorization",
            statement="At memorization the weights still point as they did at the start (cosine 0.9 or more).",
            source=SOURCE,
            function="direction_at_memorization",
            required=Region(low=0.9),
            rival="rich from the start",
            rival_region=Region(high=0.9),
            probes="losses,weight_distances",
            does_not_show="Anything about runs from a much larger initialization, for which it was proved.",
        ),
        of_nothing_here(
            theory=NAME,
            name="normalised_margin_turns",
            statement="The normalised margin is flat on the plateau and grows after a sharp turn.",
            source=SOURCE,
            what="normalising the margin takes the degree by which logits grow with the weights, which no probe "
            "measures",
            needs="The slope of log margin against log scale of the weights, at each checkpoint",
            required=Region(low=0.5),
            rival="it grows evenly while the norm falls",
            rival_region=Region(high=0.5),
        ),
    ),
    observations=(direction_at_memorization,),
)

"""Lazy to rich: the network first fits with the features it was born with, and learns features late."""

from interp.theories.prediction import Guard, Theory, of_arms, of_checkpoints
from interp.theories.reading import NotEvaluable, Seen, Tables, around, memorized, table
from interp.theories.statistic import EffectRatio, Region, ShareLost

NAME = "lazy_to_rich"
SOURCE = "Kumar et al. 2024, Grokking as the transition from lazy to rich training dynamics"
PROGRESS = "hidden progress: features grow through the plateau, so that a stretch without them is lost"
ASSUMES = "The read-out that trains meanwhile does not itself change what features do later."


def kernel_at_memorization(tables: Tables) -> Seen:
    """How far the tangent kernel has turned by memorization, as a share of its whole turn to the last checkpoint."""
    kernels = table(tables, "kernel_distance", kernel="tangent").sort_values("step")
    end = float(kernels["initial_distance"].iloc[-1])
    if not end > 0:
        raise NotEvaluable("the tangent kernel does not move from its first to its last checkpoint")
    value, low, high = around(kernels, "initial_distance", memorized(tables))
    return Seen(value / end, low / end, high / end, f"distance {value:.3g} of {end:.3g} at the end")


LAZY_TO_RICH = Theory(
    name=NAME,
    statement="On the plateau the network is lazy: its kernel stands still. Generalisation waits for features to "
    "be learned.",
    source=SOURCE,
    requires="Freezing the features for a stretch of the plateau costs little of it; the kernel moves after "
    "memorization.",
    forbids="That a stretch without feature learning is lost; that the kernel has turned before memorization.",
    predictions=(
        of_arms(
            theory=NAME,
            name="frozen_features_cost_little",
            statement="From memorization on embedding, attention and W_in are frozen for half the plateau, then "
            "released: at "
            "most a quarter of that stretch is lost.",
            source=SOURCE,
            statistic=ShareLost(arm="readout-first", over="control"),
            required=Region(high=0.25),
            rival=PROGRESS,
            rival_region=Region(low=0.75),
            guards=(
                Guard(
                    statistic=EffectRatio(arm="readout-first-reset", over="control"),
                    region=Region(1 / 1.25, 1.25),
                    says="resetting the optimizer's moments at the release costs little by itself",
                ),
            ),
            primary=True,
            cost=3.0,
            assumptions=ASSUMES,
            stress_test="Freeze the direction of the features alone, with the control's norm path.",
            does_not_show="What the features do after the release.",
        ),
        of_arms(
            theory=NAME,
            name="frozen_directions_cost_little",
            statement="The same with the directions frozen and the norms those of the control.",
            source=SOURCE,
            statistic=ShareLost(arm="readout-first-radial", over="control"),
            required=Region(high=0.25),
            rival=PROGRESS,
            rival_region=Region(low=0.75),
            cost=3.0,
            assumptions=ASSUMES,
            stress_test="Freeze the features whole.",
            does_not_show="What the features do after the release.",
        ),
        of_checkpoints(
            theory=NAME,
            name="kernel_still_at_memorization",
            statement="By memorization the tangent kernel has made less than half of its way.",
            source=SOURCE,
            function="kernel_at_memorization",
            required=Region(high=0.5),
            rival="rich from the start",
            rival_region=Region(low=0.5),
            probes="losses,kernel_distance",
            does_not_show="That features cause the jump; and the end of the way is that of the last checkpoint.",
        ),
    ),
    observations=(kernel_at_memorization,),
)

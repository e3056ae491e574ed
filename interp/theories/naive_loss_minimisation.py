"""Naive loss minimisation: gradients grow the weights along themselves, until arithmetic stops all learning."""

from interp.theories.prediction import Theory, of_arms, of_checkpoints
from interp.theories.reading import NotTestable, Seen, Tables, grokked, memorized, table
from interp.theories.statistic import EffectRatio, Region

NAME = "naive_loss_minimisation"
SOURCE = "Prieto et al. 2025, Grokking at the edge of numerical stability"


def collapsed_on_plateau(tables: Tables) -> Seen:
    """Median share of train rows whose float32 softmax is exactly 1, over the checkpoints of the plateau."""
    rows = table(tables, "gradient_statistics", matrix="total")
    begin, end = memorized(tables).step, grokked(tables).step
    assert begin is not None and end is not None
    shares = rows[(rows["step"] >= begin) & (rows["step"] < end)]["collapsed_fraction"].dropna()
    if not len(shares):
        raise NotTestable("no checkpoint of the plateau has gradient statistics")
    said = f"{len(shares)} checkpoints from step {begin} to {end}"
    return Seen(float(shares.median()), float(shares.min()), float(shares.max()), said)


NAIVE_LOSS_MINIMISATION = Theory(
    name=NAME,
    statement="After memorization the gradient only scales the logits up; removing that part ends the delay, and "
    "without "
    "weight decay it ends in rounding to zero.",
    source=SOURCE,
    requires="The gradient without its part along the weights generalises sooner, at the same norm. Without decay "
    "a loss "
    "that does not round generalises where float32 does not.",
    forbids="That the perpendicular gradient is only faster because it changes the norm.",
    predictions=(
        of_arms(
            theory=NAME,
            name="perpendicular_is_faster",
            statement="Without the gradient's part along the weights the jump comes in 0.8 of the time that the plain "
            "gradient takes on the same norm path.",
            source=SOURCE,
            statistic=EffectRatio(arm="perpendicular", over="perpendicular-norm"),
            required=Region(high=0.8),
            rival="norm and scale of the logits, whose path is the same in both arms",
            rival_region=Region(1 / 1.15, 1.15),
            primary=True,
            cost=2.0,
            assumptions="Replaying the other arm's norms disturbs nothing else.",
            stress_test="Against the control, whose norm path is its own.",
            does_not_show="That the part along the weights delays by saturation rather than by taking up the step.",
        ),
        of_arms(
            theory=NAME,
            name="no_rounding_no_stop",
            statement="Without weight decay StableMax generalises where the float32 softmax stands still.",
            source=SOURCE,
            statistic=EffectRatio(arm="no-decay-stablemax", over="no-decay-float32"),
            required=Region(high=0.8),
            rival="without decay nothing pulls towards the general solution",
            rival_region=Region(1 / 1.15, 1.15),
            cost=3.0,
            assumptions="StableMax at this learning rate trains as well; eps is small enough to play no part.",
            stress_test="float64 in place of StableMax.",
            does_not_show="Anything about runs with weight decay.",
        ),
        of_arms(
            theory=NAME,
            name="more_digits_no_stop",
            statement="Without weight decay the float64 softmax goes on where float32 stands still.",
            source=SOURCE,
            statistic=EffectRatio(arm="no-decay-float64", over="no-decay-float32"),
            required=Region(high=0.8),
            rival="without decay nothing pulls towards the general solution",
            rival_region=Region(1 / 1.15, 1.15),
            cost=3.0,
            assumptions="eps is small enough to play no part.",
            stress_test="StableMax in place of float64.",
            does_not_show="Anything about runs with weight decay.",
        ),
        of_checkpoints(
            theory=NAME,
            name="collapse_on_plateau",
            statement="On the plateau more than half of the train rows no longer train for rounding in float32.",
            source=SOURCE,
            function="collapsed_on_plateau",
            required=Region(low=0.5),
            forbidden=Region(high=0.1),
            rival="weight decay keeps the logits small enough",
            rival_region=Region(high=0.1),
            probes="losses,gradient_statistics",
            does_not_show="That collapse delays: a run in float64 does not feel it.",
        ),
    ),
    observations=(collapsed_on_plateau,),
)

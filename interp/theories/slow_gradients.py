"""Slow gradients: what generalises moves along the slowly varying part of the gradient."""

from interp.theories.prediction import Theory, of_arms, of_nothing_here
from interp.theories.statistic import EffectRatio, Region

NAME = "slow_gradients"
SOURCE = "Lee et al. 2024, Grokfast: accelerated grokking by amplifying slow gradients"

SLOW_GRADIENTS = Theory(
    name=NAME,
    statement="The gradient has a fast part that fits and a slow part that generalises; amplifying the slow one "
    "speeds it up.",
    source=SOURCE,
    requires="Amplifying the slow part is faster than amplifying as much of anything else; subtracting it is slower.",
    forbids="That a larger learning rate, or as much of an added gradient that points elsewhere, does as well.",
    predictions=(
        of_arms(
            theory=NAME,
            name="faster_than_a_larger_rate",
            statement="Amplifying the running mean of the gradient takes 0.8 of the time that plain updates take which "
            "turn the weights as fast.",
            source=SOURCE,
            statistic=EffectRatio(arm="slow-gradient", over="slow-gradient-rate"),
            required=Region(high=0.8),
            rival="just a larger learning rate",
            rival_region=Region(1 / 1.15, 1.15),
            primary=True,
            cost=2.0,
            assumptions="At each step the weights turn by the other arm's angle, at its norms.",
            stress_test="The mean with its rows exchanged, of equal norm.",
            does_not_show="That the slow part drives runs in which nobody amplifies it.",
        ),
        of_arms(
            theory=NAME,
            name="faster_than_a_shuffled_history",
            statement="It takes 0.8 of the time that it takes to add the same mean with its rows exchanged, of equal "
            "norm.",
            source=SOURCE,
            statistic=EffectRatio(arm="slow-gradient", over="slow-gradient-shuffled"),
            required=Region(high=0.8),
            rival="any added gradient of that size",
            rival_region=Region(1 / 1.15, 1.15),
            cost=2.0,
            assumptions="What is added has the size of the mean and changes as slowly, and points elsewhere.",
            stress_test="An equally large update of the plain gradient.",
            does_not_show="That the order of the gradients in time matters: it takes a history to exchange them in it.",
        ),
        of_arms(
            theory=NAME,
            name="slower_without",
            statement="Subtracting the running mean delays the jump.",
            source=SOURCE,
            statistic=EffectRatio(arm="slow-gradient-subtracted", over="control"),
            required=Region(low=1.15),
            rival="the slow part plays no part",
            rival_region=Region(1 / 1.15, 1.15),
            cost=2.0,
            assumptions="The shorter update that is left is not what delays.",
            stress_test="A learning rate that makes the updates equally long.",
            does_not_show="Whether the direction or the length of the update does it.",
        ),
        of_nothing_here(
            theory=NAME,
            name="slow_part_points_to_the_solution",
            statement="On the plateau the running mean of the gradient turns towards the general solution, the "
            "rest does not.",
            source=SOURCE,
            what="no probe keeps the running mean of the gradients between checkpoints",
            needs="Gradients of consecutive steps, recorded while the run trains",
            required=Region(low=0.0),
            rival="both turn alike",
            rival_region=Region(high=0.0),
        ),
    ),
)

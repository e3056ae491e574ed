"""Weight norm as such: generalisation comes when the norm of the weights has come down to one value."""

import math

from interp.theories.prediction import Guard, Theory, of_arms, of_checkpoints
from interp.theories.reading import Seen, Tables, around, grokked, table
from interp.theories.statistic import EffectRatio, LevelRatio, Region, Spread

NAME = "weight_norm"
SOURCE = "Liu, Michaud, Tegmark 2022, Omnigrok: grokking beyond algorithmic data"
SCALE = "the scale of the logits, which is the same in both arms"
SAME = Region(1 / 1.15, 1.15)


def norm_at_grokking(tables: Tables) -> Seen:
    """The norm of all weights at the grokking step over that at the first checkpoint."""
    norms = table(tables, "weight_norms", matrix="total").sort_values("step")
    first = float(norms["l2"].iloc[0])
    if not first > 0:
        return Seen(math.nan, math.nan, math.nan, "the norm at the first checkpoint is 0")
    value, low, high = around(norms, "l2", grokked(tables))
    return Seen(value / first, low / first, high / first, f"norm {value:.4g} after {first:.4g} at the start")


SLOWER = Guard(
    statistic=EffectRatio(arm="norm-at-margin", dose=1.15, over="norm-at-margin", over_dose=0.85),
    region=Region(low=1.25),
    says="at their own turning speeds the arms differ in how many steps they take; else there is nothing to explain",
)

WEIGHT_NORM = Theory(
    name=NAME,
    statement="A shell of weight norm generalises; training reaches it late because weight decay is slow.",
    source=SOURCE,
    requires="A larger norm delays the jump at one and the same scale of the logits; all arms jump at one norm.",
    forbids="That arms of different norm and equal scale of the logits jump together.",
    predictions=(
        of_arms(
            theory=NAME,
            name="larger_norm_at_one_scale_is_slower",
            statement="With 1.15 times the control's norm the jump takes half as long again as with 0.85 times, "
            "although "
            "both have the control's mean margin.",
            source=SOURCE,
            statistic=EffectRatio(arm="norm-at-margin", dose=1.15, over="norm-at-margin", over_dose=0.85),
            required=Region(low=1.5),
            rival=SCALE,
            rival_region=SAME,
            primary=True,
            cost=4.0,
            assumptions="The output temperature changes nothing but the scale of the logits; few entries lie "
            "below eps.",
            stress_test="The same with a learning rate that follows the norm, so that the angular step is equal.",
            does_not_show="Whether the norm of all weights or of some matrices does it.",
        ),
        of_arms(
            theory=NAME,
            name="larger_norm_at_one_angular_step_is_slower",
            statement="The same with updates scaled by the norm, so that directions turn more nearly equally fast.",
            source=SOURCE,
            statistic=EffectRatio(arm="norm-rate", dose=1.15, over="norm-rate", over_dose=0.85),
            required=Region(low=1.5),
            rival="angular speed, which is the same in both arms, and the scale of the logits",
            rival_region=SAME,
            cost=4.0,
            assumptions="As for the arms at one learning rate; Adam's step is proportional to the rate.",
            stress_test="Arms that turn exactly as fast as the control.",
            does_not_show="Whether the norm of all weights or of some matrices does it.",
        ),
        of_arms(
            theory=NAME,
            name="larger_norm_at_one_turning_speed_is_slower",
            statement="With the control's mean margin, and weights that turn as far as its own at each step, 1.15 "
            "times its norm still takes a quarter longer than 0.85 times.",
            source=SOURCE,
            statistic=EffectRatio(arm="norm-turning", dose=1.15, over="norm-turning", over_dose=0.85),
            required=Region(low=1.25),
            rival="turning speed: a longer vector turns more slowly, and that is all",
            rival_region=SAME,
            guards=(SLOWER,),
            cost=4.0,
            assumptions="Tensor by tensor the arms may turn by other shares of the whole.",
            stress_test="Turning speed halved and doubled at the control's norm.",
            does_not_show="What the norm does where nobody holds the turning speed: there it slows it.",
        ),
        of_arms(
            theory=NAME,
            name="larger_norm_turns_further",
            statement="At the control's margins, 1.15 times its norm takes not only more steps than 0.85 times: the "
            "weights turn through a larger angle, too, before the jump.",
            source=SOURCE,
            statistic=LevelRatio(
                arm="norm-at-margin",
                dose=1.15,
                over="norm-at-margin",
                over_dose=0.85,
                quantity="angle_at_event",
            ),
            required=Region(low=1.25),
            rival="turning speed: an update turns a longer vector by less, and the jump comes after one angle",
            rival_region=SAME,
            guards=(SLOWER,),
            cost=4.0,
            assumptions="What counts is the angle of all weights together, whichever way they turn.",
            stress_test="The arms whose updates are scaled with the norm.",
            does_not_show="That turning by itself brings the jump: random turning would do it then.",
        ),
        of_arms(
            theory=NAME,
            name="one_norm_at_the_event",
            statement="All arms jump at one norm, within 5 %.",
            source=SOURCE,
            statistic=Spread(quantity="norm_at_event"),
            required=Region(high=0.05),
            rival="a clock that the norm slows, so that a held norm is the norm at the event",
            rival_region=Region(low=0.15),
            guards=(
                Guard(
                    statistic=EffectRatio(arm="norm", dose=1.15, over="norm", over_dose=0.85),
                    region=Region(low=1.25),
                    says="the arms differ in when they jump; else one norm says nothing",
                ),
            ),
            assumptions="At least three arms whose norm differs before the event.",
            stress_test="Arms with a held norm by themselves.",
            does_not_show="That the norm decides: what falls along the way has one value at the event by construction.",
        ),
        of_checkpoints(
            theory=NAME,
            name="norm_below_start",
            statement="At the grokking step the norm is below that of the initialization.",
            source=SOURCE,
            function="norm_at_grokking",
            required=Region(high=1.0),
            rival="weight decay, which lowers every norm whatever generalises",
            rival_region=Region(high=1.0),
            probes="losses,weight_norms",
        ),
    ),
    observations=(norm_at_grokking,),
)

"""Angular distance: generalising weights lie an angle away; what changes the delay changes how fast weights turn."""

from interp.theories.prediction import Guard, Theory, of_arms
from interp.theories.statistic import EffectRatio, LevelRatio, Region, Spread
from interp.theories.weight_norm import SAME, SLOWER

NAME = "angular_distance"
SOURCE = (
    "Truong et al. 2026, First-passage prediction of grokking delay (arXiv 2605.18845): no jump before weights have "
    "turned by a threshold angle"
)
TIME = "what is waited for is time, decay or a norm: an arm that turns faster is then turned further when it comes"
MOVES = Guard(
    statistic=EffectRatio(arm="norm", dose=1.15, over="norm", over_dose=0.85),
    region=Region(low=1.25),
    says="the arms differ in how many steps they take; else one angle says nothing",
)

ANGULAR_DISTANCE = Theory(
    name=NAME,
    statement="The generalising weights lie at an angle from those that memorize; the delay is the time to turn there.",
    source=SOURCE,
    requires="Arms that need very different numbers of steps have turned by one and the same angle when they jump.",
    forbids="That an arm which turns many times faster turns that many times further before it jumps.",
    predictions=(
        of_arms(
            theory=NAME,
            name="one_time_at_one_turning_speed",
            statement="Turned at each step by the control's angle, 1.15 and 0.85 times its norm take equally long at "
            "its mean margin.",
            source=SOURCE,
            statistic=EffectRatio(arm="norm-turning", dose=1.15, over="norm-turning", over_dose=0.85),
            required=SAME,
            rival="the norm as such, however fast weights turn",
            rival_region=Region(low=1.25),
            guards=(SLOWER,),
            primary=True,
            cost=4.0,
            assumptions="A step of one angle is one step on the way, whatever the norm.",
            stress_test="Turning speed halved and doubled at the control's norm.",
            does_not_show="That turning by itself brings the jump. Of a network whose function only scales with its "
            "weights nothing could differ; what is tested is how far this one is from that.",
        ),
        of_arms(
            theory=NAME,
            name="turning_speed_sets_the_time",
            statement="At the control's norms and mean margin, weights that turn half as far a step take 2.5 times as "
            "many steps as weights that turn twice as far, or more.",
            source=SOURCE,
            statistic=EffectRatio(arm="turning", dose=0.5, over="turning", over_dose=2.0),
            required=Region(low=2.5),
            rival="time: decay and the norm take their course, which is the control's in both arms",
            rival_region=Region(0.8, 1.25),
            cost=4.0,
            assumptions="Larger updates go the same way. After the control's own jump its path turns ever more slowly, "
            "and a slow arm with it.",
            stress_test="The angle that the weights turned through up to the jump is one and the same.",
            does_not_show="That it is the angle and not the length of the way: at one norm they are the same.",
        ),
        of_arms(
            theory=NAME,
            name="one_angle_over_all_arms",
            statement="When arms have generalised, their weights are one angle away from those at the branch, within "
            "0.3 of it, however many steps it took.",
            source=SOURCE,
            statistic=Spread(quantity="net_angle_when_done"),
            required=Region(high=0.3),
            rival=TIME,
            rival_region=Region(low=0.6),
            guards=(MOVES,),
            cost=4.0,
            assumptions="Arms end soon after they have generalised, all by the same rule.",
            stress_test="Arms that turn at random (noise): they must not jump for it.",
            does_not_show="That the angle brings the jump: what ends in one place is always as far from one start.",
        ),
        of_arms(
            theory=NAME,
            name="one_turning_at_one_margin",
            statement="At the control's margins, 1.15 and 0.85 times its norm turn through one angle up to the jump.",
            source=SOURCE,
            statistic=LevelRatio(
                arm="norm-at-margin",
                dose=1.15,
                over="norm-at-margin",
                over_dose=0.85,
                quantity="angle_at_event",
            ),
            required=SAME,
            rival="the norm as such, which makes the way longer",
            rival_region=Region(low=1.25),
            guards=(SLOWER,),
            cost=4.0,
            assumptions="The sum of the angles of all updates is the way; it is longer where updates go to and fro.",
            stress_test="The angle between the weights at the branch and at the end.",
            does_not_show="Why an update turns a longer vector by less.",
        ),
        of_arms(
            theory=NAME,
            name="one_turning_without_the_radial_gradient",
            statement="Without the part of the gradient along the weights the jump comes in half the steps or "
            "fewer, and after as much turning.",
            source=SOURCE,
            statistic=LevelRatio(arm="perpendicular", over="control", quantity="angle_at_event"),
            required=Region(0.8, 1.25),
            rival=TIME,
            rival_region=Region(low=2.0),
            guards=(
                Guard(
                    statistic=EffectRatio(arm="perpendicular", over="control"),
                    region=Region(high=0.5),
                    says="the arm is faster by half or more",
                ),
            ),
            cost=2.0,
            assumptions="As for the arms of the norm.",
            stress_test="The plain gradient on the norms that the arm led to.",
            does_not_show="Why the arm turns faster.",
        ),
    ),
)

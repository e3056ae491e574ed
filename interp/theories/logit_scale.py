"""Logit scale mediates: the norm delays the jump because it makes the logits large, and by nothing else."""

from interp.theories.prediction import Guard, Theory, of_arms
from interp.theories.statistic import EffectRatio, Recovery, Region

NAME = "logit_scale"
SOURCE = "arXiv 2606.18465 (most of the effect of the norm goes through the scale of the logits)"
NORM = "the norm as such"
ASSUMES = "The output temperature changes nothing but the scale of the logits; few entries lie below eps."

# Arms that nothing moves are equal for no reason of this theory.
MOVES = Guard(
    statistic=EffectRatio(arm="norm", dose=1.15, over="norm", over_dose=0.85),
    region=Region(low=1.25),
    says="without a match the norm moves the event",
)
RECOVERED = Recovery(
    matched="norm-at-margin", matched_dose=1.15, moved="norm", moved_dose=1.15, over="control"
)
# What squared error does is this theory's only where cross-entropy does what it says.
RECOVERS = Guard(
    statistic=RECOVERED,
    region=Region(low=0.5),
    says="under cross-entropy the match takes half of the effect away",
)

LOGIT_SCALE = Theory(
    name=NAME,
    statement="Large weights saturate the loss: the margin, not the norm, decides how fast the rest is learned.",
    source=SOURCE,
    requires="Matching the margin takes the effect of the norm away under cross-entropy, and not under squared error.",
    forbids="That norms differ in effect at one margin under cross-entropy.",
    predictions=(
        of_arms(
            theory=NAME,
            name="margin_recovers_the_delay",
            statement="Of the delay that 1.15 times the norm costs, matching the control's margin takes 0.7 or "
            "more away.",
            source=SOURCE,
            statistic=RECOVERED,
            required=Region(low=0.7),
            rival=NORM,
            rival_region=Region(high=0.3),
            primary=True,
            cost=3.0,
            assumptions=ASSUMES,
            stress_test="The same at eps 1e-25, and at 0.85 times the norm.",
            does_not_show="That the scale of the logits delays runs whose norm nobody moved.",
        ),
        of_arms(
            theory=NAME,
            name="margin_recovers_the_gain",
            statement="Of the time that 0.85 times the norm saves, matching the control's margin takes 0.7 or more "
            "away.",
            source=SOURCE,
            statistic=Recovery(
                matched="norm-at-margin", matched_dose=0.85, moved="norm", moved_dose=0.85, over="control"
            ),
            required=Region(low=0.7),
            rival=NORM,
            rival_region=Region(high=0.3),
            cost=3.0,
            assumptions=ASSUMES,
            stress_test="The same at eps 1e-25, and at 1.15 times the norm.",
            does_not_show="That a smaller norm saves time by the scale of the logits in runs that nobody moved.",
        ),
        of_arms(
            theory=NAME,
            name="one_time_at_one_margin",
            statement="At the control's margin, 1.15 and 0.85 times its norm take equally long.",
            source=SOURCE,
            statistic=EffectRatio(arm="norm-at-margin", dose=1.15, over="norm-at-margin", over_dose=0.85),
            required=Region(1 / 1.25, 1.25),
            rival=NORM,
            rival_region=Region(low=1.5),
            guards=(MOVES,),
            cost=2.0,
            assumptions=ASSUMES,
            stress_test="The same at eps 1e-25.",
            does_not_show="That the norm does nothing elsewhere than between 0.85 and 1.15.",
        ),
        of_arms(
            theory=NAME,
            name="one_time_at_one_margin_small_eps",
            statement="The same at eps 1e-25, where no entry stands still for arithmetic.",
            source=SOURCE,
            statistic=EffectRatio(
                arm="norm-at-margin-eps", dose=1.15, over="norm-at-margin-eps", over_dose=0.85
            ),
            required=Region(1 / 1.25, 1.25),
            rival=NORM,
            rival_region=Region(low=1.5),
            guards=(MOVES,),
            cost=2.0,
            assumptions="The output temperature changes nothing but the scale of the logits.",
            stress_test="The same at eps 1e-8.",
            does_not_show="That the norm does nothing elsewhere than between 0.85 and 1.15.",
        ),
        of_arms(
            theory=NAME,
            name="norm_counts_under_squared_error",
            statement="Under squared error, which does not saturate, 1.15 times the norm still delays the jump.",
            source=SOURCE,
            statistic=EffectRatio(arm="norm-squared", dose=1.15, over="control-squared"),
            required=Region(low=1.15),
            rival="saturation of the loss alone",
            rival_region=Region(1 / 1.15, 1.15),
            guards=(RECOVERS,),
            cost=2.0,
            assumptions="Squared error trains to the same circuit.",
            stress_test="The dose of 0.85.",
            does_not_show="By which way the norm acts there.",
        ),
        of_arms(
            theory=NAME,
            name="margin_does_not_recover_under_squared_error",
            statement="Under squared error, matching the margin takes away half of the delay at most.",
            source=SOURCE,
            statistic=Recovery(
                matched="norm-at-margin-squared",
                matched_dose=1.15,
                moved="norm-squared",
                moved_dose=1.15,
                over="control-squared",
            ),
            required=Region(high=0.5),
            rival="the scale of the logits whatever the loss",
            rival_region=Region(low=0.7),
            guards=(RECOVERS,),
            cost=3.0,
            assumptions="Squared error trains to the same circuit.",
            stress_test="The dose of 0.85.",
            does_not_show="What the rest of the effect goes through.",
        ),
    ),
)

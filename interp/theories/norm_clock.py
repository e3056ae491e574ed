"""Norm as a clock: a held norm does not prevent generalisation, it slows it, exponentially in the norm."""

from interp.theories.prediction import Theory, of_arms, of_nothing_here
from interp.theories.statistic import EffectRatio, Region

NAME = "norm_clock"
SOURCE = "Truong et al. 2026 (delay law of norm separation; runs with a held norm)"

NORM_CLOCK = Theory(
    name=NAME,
    statement="The delay grows exponentially with the norm at which the weights are held; grokking comes at that norm.",
    source=SOURCE,
    requires="1.15 times the norm takes much longer than 0.85 times, and neither is kept from generalising.",
    forbids="That the norm plays no part; that generalisation waits for one value of it.",
    predictions=(
        of_arms(
            theory=NAME,
            name="larger_norm_is_slower",
            statement="With 1.15 times the control's norm the jump takes twice as long as with 0.85 times.",
            source=SOURCE,
            statistic=EffectRatio(arm="norm", dose=1.15, over="norm", over_dose=0.85),
            required=Region(low=2.0),
            rival="the norm plays no part",
            rival_region=Region(1 / 1.15, 1.15),
            cost=3.0,
            assumptions="Both arms follow the control's norm path times their dose; the sham is a replay of that "
            "path, not "
            "a norm held where the branch happened to find it.",
            stress_test="The replay of the control's own path must equal the control.",
            does_not_show="Whether the norm or the scale of the logits that comes with it does the slowing.",
        ),
        of_nothing_here(
            theory=NAME,
            name="one_norm_over_seeds",
            statement="Free runs of one recipe grok at one norm, within 2 % over seeds.",
            source=SOURCE,
            what="it takes several runs from initialization, and the tables of one run are judged here",
            needs="Norms at the grokking step of at least 8 seeds, as rows norm_at_event of a table of levels",
            required=Region(high=0.02),
            rival="the recipe fixes every trajectory alike",
            rival_region=None,
        ),
    ),
)

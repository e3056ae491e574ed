"""Synergy: neurons carry information together before the jump that none carries alone."""

from interp.theories.prediction import Theory, of_nothing_here
from interp.theories.statistic import Region

NAME = "synergy"
SOURCE = "Clauw, Stramaglia, Marinazzo 2024, Information-theoretic progress measures reveal grokking"

SYNERGY = Theory(
    name=NAME,
    statement="Grokking is an emergent transition: synergy among groups of neurons peaks early and falls at the jump.",
    source=SOURCE,
    requires="A peak of the O-information's synergy before the jump.",
    forbids="That synergy only follows the jump.",
    predictions=(
        of_nothing_here(
            theory=NAME,
            name="synergy_peaks_before_the_jump",
            statement="Synergy peaks between memorization and the jump.",
            source=SOURCE,
            what="no probe estimates the O-information of groups of neurons",
            needs="A probe that estimates it, with a null of shuffled inputs",
            required=Region(low=0.1),
            rival="it follows the size of the activations",
            rival_region=None,
        ),
    ),
)

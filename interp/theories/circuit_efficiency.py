"""Circuit efficiency: the generalising circuit wins because it makes logits at less norm, if there are enough data."""

from interp.theories.prediction import Guard, Theory, of_arms, of_nothing_here
from interp.theories.statistic import Level, LevelDifference, Region

NAME = "circuit_efficiency"
SOURCE = "Varma et al. 2023, Explaining grokking through circuit efficiency"
ACCURACY = "never_trained_accuracy"
KEPT = Guard(
    statistic=Level(arm="exchange", quantity=ACCURACY),
    region=Region(low=0.95),
    says="exchanging as many pairs at constant number leaves the accuracy on pairs never trained at 0.95 or more",
)


def _fits(arm: str, dose: float) -> Guard:
    return Guard(
        statistic=Level(arm=arm, dose=dose, quantity="train_accuracy"),
        region=Region(low=0.99),
        says=f"{arm} still answers its train pairs",
    )


CIRCUIT_EFFICIENCY = Theory(
    name=NAME,
    statement="Below a critical number of train pairs memorizing costs less norm than generalising, above it more.",
    source=SOURCE,
    requires="A run that has grokked ungroks when its train set shrinks below the critical size, whatever the "
    "weight decay.",
    forbids="That a formed circuit stays at any number of pairs with weight decay on.",
    predictions=(
        of_arms(
            theory=NAME,
            name="ungroks_below_critical_size",
            statement="Trained on at half the critical number of pairs, the network loses pairs that it was never "
            "shown.",
            source=SOURCE,
            statistic=Level(arm="shrink", dose=0.5, quantity=ACCURACY),
            required=Region(high=0.5),
            rival="a formed circuit stays",
            rival_region=Region(low=0.95),
            guards=(_fits("shrink", 0.5), KEPT),
            cost=3.0,
            assumptions="The critical size comes from a sweep of this recipe; the arm was trained to convergence.",
            stress_test="As many pairs exchanged at constant number must change nothing.",
            does_not_show="That efficiency delays the first jump: this is about a network that has grokked.",
        ),
        of_arms(
            theory=NAME,
            name="stays_above_critical_size",
            statement="At one and a half times the critical number it keeps them.",
            source=SOURCE,
            statistic=Level(arm="shrink", dose=1.5, quantity=ACCURACY),
            required=Region(low=0.95),
            rival="any smaller train set ungroks",
            rival_region=Region(high=0.5),
            guards=(_fits("shrink", 1.5), KEPT),
            cost=3.0,
            assumptions="As above the critical size is known; the arm was trained to convergence.",
            stress_test="Other pairs of the same number.",
            does_not_show="Where between the two sizes it turns.",
        ),
        of_arms(
            theory=NAME,
            name="same_at_both_decays",
            statement="How much is kept at half the critical number does not hang on weight decay: 3 times as "
            "much decay "
            "changes it by at most 0.1.",
            source=SOURCE,
            statistic=LevelDifference(
                arm="shrink-decay", dose=0.5, over="shrink", over_dose=0.5, quantity=ACCURACY
            ),
            required=Region(-0.1, 0.1),
            rival="the end of shrinking weights: more decay, less kept",
            rival_region=Region(high=-0.25),
            guards=(_fits("shrink-decay", 0.5),),
            cost=3.0,
            assumptions="Both arms have converged.",
            stress_test="The same at 1.5 times the critical size.",
            does_not_show="That either circuit's efficiency is as the theory says: only that decay does not matter.",
        ),
        of_nothing_here(
            theory=NAME,
            name="more_logit_for_less_norm",
            statement="Per parameter norm the generalising circuit makes more logit than the memorizing one.",
            source=SOURCE,
            what="no probe attributes parameter norm to one of two circuits in the same weights",
            needs="The norm at matched loss of networks that memorize alone and that generalise alone",
            required=Region(low=1.0),
            rival="both cost alike",
            rival_region=Region(high=1.0),
        ),
    ),
)

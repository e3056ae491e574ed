"""No difference: arms that are alike in their losses just after the edit generalise at one time, whatever was "
"edited."""

from interp.theories.prediction import Theory, of_arms
from interp.theories.statistic import Equal, Region

NAME = "no_difference"
SOURCE = (
    "Ioannidis 2005, Why most published research findings are false: the account that every effect must beat"
)

NO_DIFFERENCE = Theory(
    name=NAME,
    statement="Only the losses count: of two edits with the same immediate effect none changes the time of the jump.",
    source=SOURCE,
    requires="Arms and their shams, equal in train and test loss and slopes just after the edit, have equal D.",
    forbids="That what was edited matters.",
    predictions=(
        of_arms(
            theory=NAME,
            name="arms_equal_their_shams",
            statement="Every arm takes as long as its sham, within 15 %.",
            source=SOURCE,
            statistic=Equal(
                comparisons=(
                    ("keys-back", None, "others-back", None),
                    ("frequency-raised", None, "frequency-raised-sham", None),
                    ("entropy-penalty", None, "random-penalty", None),
                    ("slow-gradient", None, "slow-gradient-shuffled", None),
                    ("keep-subnetwork", None, "keep-random-neurons", None),
                )
            ),
            required=Region(high=1.15),
            rival="any account by which what was edited matters",
            rival_region=Region(low=1.25),
            assumptions="Arms and shams are as large as each other; what they do to the loss at once is matched for "
            "the key frequencies alone.",
            stress_test="The control against itself, jittered: it must come out equal.",
            does_not_show="That nothing matters: only that nothing that was edited does.",
        ),
    ),
)

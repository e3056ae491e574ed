"""Structure search: the jump is the discovery of a good mask of the weights, whatever their norm or sparsity."""

from interp.theories.prediction import Theory, of_nothing_here
from interp.theories.statistic import Region

NAME = "grokked_tickets"
SOURCE = "Minegishi, Iwasawa, Matsuo 2023, Bridging lottery ticket and grokking"

GROKKED_TICKETS = Theory(
    name=NAME,
    statement="The delay is a search for structure: the mask of large weights of a grokked network, rewound to the "
    "initialization, trains without delay.",
    source=SOURCE,
    requires="Masks from after the jump remove the delay, masks from before it, of equal norm and sparsity, do not.",
    forbids="That norm or sparsity explain the delay.",
    predictions=(
        of_nothing_here(
            theory=NAME,
            name="rewound_ticket_has_no_delay",
            statement="With the mask of the grokked network, rewound, grokking comes in half the steps or less.",
            source=SOURCE,
            what="no arm of this package trains the initialization under a mask from the end",
            needs="Runs from the initial weights with masks of several checkpoints, as rows of an arms table",
            required=Region(high=0.5),
            rival="sparsity or norm of the start",
            rival_region=Region(low=0.87),
        ),
        of_nothing_here(
            theory=NAME,
            name="masks_change_most_at_the_jump",
            statement="The Jaccard distance between masks of successive checkpoints peaks where test accuracy is "
            "steepest.",
            source=SOURCE,
            what="no probe compares the largest weights of two checkpoints",
            needs="A probe of the run that keeps the mask of the largest weights",
            required=Region(-0.1, 0.1),
            rival="masks change most while the norm falls fastest",
            rival_region=None,
        ),
    ),
)

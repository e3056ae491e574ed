"""Execution manifold: weights move on few directions, and their updates stop commuting before the jump."""

from interp.theories.prediction import Theory, of_nothing_here
from interp.theories.statistic import Region

NAME = "execution_manifold"
SOURCE = "Xu 2026 (execution manifold and commutator defect)"

EXECUTION_MANIFOLD = Theory(
    name=NAME,
    statement="Attention weights move along one direction; gradients orthogonal to it, which do not commute, make "
    "the jump.",
    source=SOURCE,
    requires="The commutator defect rises before the jump; taking the orthogonal gradient away blocks it.",
    forbids="That taking as much gradient away at random blocks it too.",
    predictions=(
        of_nothing_here(
            theory=NAME,
            name="orthogonal_gradient_is_needed",
            statement="Without the gradient orthogonal to the manifold the jump takes twice as long as without as "
            "much at random.",
            source=SOURCE,
            what="no arm of the battery removes the gradient outside of a trajectory's own directions",
            needs="The arm and its random twin, as rows of an arms table",
            required=Region(low=2.0),
            rival="any loss of gradient delays as much",
            rival_region=Region(1 / 1.15, 1.15),
        ),
        of_nothing_here(
            theory=NAME,
            name="defect_rises_before_the_jump",
            statement="The commutator defect of two batches rises tenfold well before the jump.",
            source=SOURCE,
            what="no probe takes two steps in either order, and a full batch has no second one",
            needs="A run in batches, and a probe that takes both orders from each checkpoint",
            required=Region(low=0.1),
            rival="it rises in runs that do not generalise too",
            rival_region=None,
        ),
    ),
)

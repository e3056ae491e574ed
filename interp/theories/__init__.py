"""What tables say about explanations: a theory a file, judged in the same way, side by side.

    >>> from interp.theories import ALL, scoreboard                            # doctest: +SKIP
    >>> predictions = [prediction for theory in ALL for prediction in theory.predictions]  # doctest: +SKIP
    >>> scoreboard(predictions, arms, levels, tables)                          # doctest: +SKIP

`ALL` holds every theory that is imported here.
"""

from interp.theories.angular_distance import ANGULAR_DISTANCE
from interp.theories.capacity import CAPACITY
from interp.theories.circuit_efficiency import CIRCUIT_EFFICIENCY
from interp.theories.complexity_search import COMPLEXITY_SEARCH
from interp.theories.compression import COMPRESSION
from interp.theories.early_oscillation import EARLY_OSCILLATION
from interp.theories.execution_manifold import EXECUTION_MANIFOLD
from interp.theories.frequency_lottery import FREQUENCY_LOTTERY
from interp.theories.grokked_tickets import GROKKED_TICKETS
from interp.theories.hidden_progress import HIDDEN_PROGRESS
from interp.theories.implicit_bias import IMPLICIT_BIAS
from interp.theories.lazy_to_rich import LAZY_TO_RICH
from interp.theories.local_complexity import LOCAL_COMPLEXITY
from interp.theories.lock import Lock, read_lock, write_lock
from interp.theories.logit_scale import LOGIT_SCALE
from interp.theories.margin_maximisation import MARGIN_MAXIMISATION
from interp.theories.metric_artefact import METRIC_ARTEFACT
from interp.theories.naive_loss_minimisation import NAIVE_LOSS_MINIMISATION
from interp.theories.no_difference import NO_DIFFERENCE
from interp.theories.norm_clock import NORM_CLOCK
from interp.theories.pattern_speeds import PATTERN_SPEEDS
from interp.theories.prediction import Guard, Prediction, Theory
from interp.theories.representation_learning import REPRESENTATION_LEARNING
from interp.theories.scoreboard import scoreboard, verdicts
from interp.theories.single_frequency_neurons import SINGLE_FREQUENCY_NEURONS
from interp.theories.singular_learning import SINGULAR_LEARNING
from interp.theories.slingshot import SLINGSHOT
from interp.theories.slow_gradients import SLOW_GRADIENTS
from interp.theories.sparse_subnetwork import SPARSE_SUBNETWORK
from interp.theories.synergy import SYNERGY
from interp.theories.verdict import judged
from interp.theories.weight_norm import WEIGHT_NORM
from interp.theories.which_algorithm import WHICH_ALGORITHM

ALL: tuple[Theory, ...]


def __getattr__(name: str) -> tuple[Theory, ...]:
    # Gathered when asked for, so that a theory is a file and a line here.
    if name == "ALL":
        return tuple(value for value in globals().values() if isinstance(value, Theory))
    raise AttributeError(f"module 'interp.theories' has no attribute {name!r}")

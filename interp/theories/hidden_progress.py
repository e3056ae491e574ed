"""Hidden progress: the circuit that will generalise grows while test accuracy stands still, and cleanup shows it.

The key set of the whole run is hindsight: it was chosen where the run had generalised. Each row that uses it has a
leak-free twin, with the frequencies that stand out of that checkpoint's logits alone.
"""

from interp.tables.phases import phases
from interp.theories.prediction import Guard, Theory, of_arms, of_checkpoints
from interp.theories.reading import (
    NotEvaluable,
    NotTestable,
    Seen,
    Tables,
    crossing,
    grokked,
    lead,
    memorized,
    table,
)
from interp.theories.statistic import EffectRatio, Growth, Level, Region

# Nats that the restricted loss falls below, and the test loss too.
ANSWERS = 1.0
# Nats above which train rows rest on the circuit.
RESTS_ON_CIRCUIT = 0.5

NAME = "hidden_progress"
SOURCE = "Nanda et al. 2023, Progress measures for grokking via mechanistic interpretability, section 5"
AT_THE_JUMP = "the features appear at the jump"
HINDSIGHT = "a key set chosen where the run had generalised, which leads by construction"


def restricted_before_test(tables: Tables) -> Seen:
    """How much earlier the key set of the run answers alone than the network does, as a share of the delay."""
    return _restricted(tables, "key")


def restricted_before_test_leak_free(tables: Tables) -> Seen:
    """The same of the frequencies that stand out of each checkpoint by itself."""
    return _restricted(tables, "causal")


def excluded_before_test(tables: Tables) -> Seen:
    """How much earlier train answers rest on the run's key set than test accuracy rises, as a share of the delay."""
    return _excluded(tables, "key")


def excluded_before_test_leak_free(tables: Tables) -> Seen:
    """The same of the frequencies that stand out of each checkpoint by itself."""
    return _excluded(tables, "causal")


def grokking_within_cleanup(tables: Tables) -> Seen:
    """Where in cleanup the grokking step lies, 0 at its beginning and 1 at its end; phases by the run's key set."""
    return _within_cleanup(tables, "key")


def grokking_within_cleanup_leak_free(tables: Tables) -> Seen:
    """The same with phases by the frequencies that stand out of each checkpoint by itself."""
    return _within_cleanup(tables, "causal")


def _within_cleanup(tables: Tables, selection: str) -> Seen:
    came = grokked(tables)
    chosen = table(tables, "progress_measures", selection=selection).assign(selection="key")
    needed = {name: table(tables, name) for name in ("weight_norms", "fourier_sparsity")}
    found = phases({**tables, **needed, "progress_measures": chosen})
    begins, ends = found["cleanup"], found["cleanup_end"]
    if begins.step is None or begins.before is None:
        raise NotEvaluable("cleanup does not begin by the last checkpoint")
    # Not over yet: it lasts to the last checkpoint at least.
    until = ends.before if ends.step is None else ends.step
    assert came.step is not None
    if until is None or until <= begins.step:
        raise NotTestable("the checkpoints of cleanup are too few to say when it ends")
    start = (begins.before + begins.step) / 2
    low, value, high = ((came.step - x) / (until - x) for x in (begins.step, start, begins.before))
    open_end = "" if ends.step is not None else " at least"
    said = (
        f"grokking at {came.step}, cleanup from {begins.before} to {begins.step} on until {until}{open_end}"
    )
    return Seen(value, low, high, said)


def _restricted(tables: Tables, selection: str) -> Seen:
    restricted = table(
        tables, "progress_measures", measure="restricted_loss", selection=selection, split="all"
    )
    begun = memorized(tables)
    came = crossing(table(tables, "losses", split="test"), "loss", ANSWERS, "fall")
    if came.step is None:
        raise NotEvaluable(f"the test loss does not stay below {ANSWERS:g} nat")
    first = crossing(restricted, "loss", ANSWERS, "fall")
    said = f"restricted loss ({selection}) below {ANSWERS:g} nat from step {first.step}, test loss from {came.step}"
    return Seen(*lead(first, came, begun), said)


def _excluded(tables: Tables, selection: str) -> Seen:
    excluded = table(tables, "progress_measures", measure="excluded_loss", selection=selection, split="train")
    begun, came = memorized(tables), grokked(tables)
    first = crossing(excluded, "loss", RESTS_ON_CIRCUIT, "rise")
    said = f"excluded loss ({selection}) above {RESTS_ON_CIRCUIT:g} nat from step {first.step}, grokking at {came.step}"
    return Seen(*lead(first, came, begun), said)


HIDDEN_PROGRESS = Theory(
    name=NAME,
    statement="Circuit formation goes on through the plateau, unseen in test accuracy; cleanup then removes what "
    "hides it.",
    source=SOURCE,
    requires="The circuit's own loss falls, and train answers come to rest on it, long before test accuracy "
    "rises. Setting "
    "the circuit back costs time, the more the older it is.",
    forbids="That the circuit appears together with the jump; that setting back anything else costs as much.",
    predictions=(
        of_arms(
            theory=NAME,
            name="keys_back_is_slower",
            statement="Key frequencies set back to their state at memorization delay the jump by a quarter more "
            "than as "
            "many other frequencies do.",
            source=SOURCE,
            statistic=EffectRatio(arm="keys-back", over="others-back"),
            required=Region(low=1.25),
            rival="norm, numerics and chance: it does not matter which frequencies are set back",
            rival_region=Region(1 / 1.15, 1.15),
            guards=(
                Guard(
                    statistic=EffectRatio(arm="keys-ahead", over="control"),
                    region=Region(high=1.15),
                    says="the mirror arm, key frequencies from later on, is no slower than the control",
                ),
            ),
            primary=True,
            cost=4.0,
            assumptions="Both edits are of one norm and change the test loss at once by as much; margin and norm "
            "follow "
            "the control's.",
            stress_test="Key frequencies grafted from a later checkpoint must speed the jump up.",
            does_not_show="That the circuit alone suffices: what hides it must go too.",
        ),
        of_arms(
            theory=NAME,
            name="older_circuit_costs_more",
            statement="The delay that setting the key frequencies back costs grows with the age of the branch point.",
            source=SOURCE,
            statistic=Growth(arm="keys-back", over="control"),
            required=Region(low=0.0),
            rival="a fixed cost of repair",
            rival_region=Region(high=0.0),
            cost=2.0,
            assumptions="The repair of the rest of the network takes as long at both branch points.",
            stress_test="A third branch point lies between the two.",
            does_not_show="How fast the circuit grew: two points are no curve.",
        ),
        of_arms(
            theory=NAME,
            name="cleanup_by_hand",
            statement="Where the circuit is complete and test accuracy is below a half, removing all else from "
            "the weights "
            "brings test accuracy to 0.9, without training.",
            source=SOURCE,
            statistic=Level(arm="cleanup", quantity="test_accuracy_after"),
            required=Region(low=0.9),
            rival=AT_THE_JUMP,
            rival_region=Region(high=0.5),
            guards=(
                Guard(
                    statistic=Level(arm="cleanup", quantity="test_accuracy_before"),
                    region=Region(high=0.5),
                    says="test accuracy before the edit is below a half",
                ),
                Guard(
                    statistic=Level(arm="cleanup-random", quantity="test_accuracy_gained"),
                    region=Region(high=0.05),
                    says="an edit of the same norm at random brings no more than 0.05",
                ),
            ),
            primary=True,
            assumptions="The key set was chosen without looking at this checkpoint's test rows.",
            stress_test="The same with the frequencies that stand out of this checkpoint alone.",
            does_not_show="That training gets there by removing the same.",
        ),
        of_checkpoints(
            theory=NAME,
            name="restricted_before_test",
            statement="The key set alone answers (restricted loss below 1 nat) well before the network does.",
            source=SOURCE,
            function="restricted_before_test",
            required=Region(low=0.1),
            rival=HINDSIGHT,
            rival_region=None,
            probes="losses,logit_spectrum,progress_measures",
            does_not_show="Progress that could have been known then: the key set is that of the end.",
        ),
        of_checkpoints(
            theory=NAME,
            name="restricted_before_test_leak_free",
            statement="The frequencies that stand out of a checkpoint answer alone well before the network does.",
            source=SOURCE,
            function="restricted_before_test_leak_free",
            required=Region(low=0.1),
            rival=AT_THE_JUMP,
            rival_region=Region(high=0.1),
            probes="losses,progress_measures",
        ),
        of_checkpoints(
            theory=NAME,
            name="excluded_before_test",
            statement="Train answers come to rest on the key set (excluded loss rises) before test accuracy rises.",
            source=SOURCE,
            function="excluded_before_test",
            required=Region(low=0.1),
            rival=HINDSIGHT,
            rival_region=None,
            probes="losses,logit_spectrum,progress_measures",
            does_not_show="Progress that could have been known then: the key set is that of the end.",
        ),
        of_checkpoints(
            theory=NAME,
            name="excluded_before_test_leak_free",
            statement="Train answers come to rest on what stands out of the checkpoint before test accuracy rises.",
            source=SOURCE,
            function="excluded_before_test_leak_free",
            required=Region(low=0.1),
            rival=AT_THE_JUMP,
            rival_region=Region(high=0.1),
            probes="losses,progress_measures",
        ),
        of_checkpoints(
            theory=NAME,
            name="grokking_within_cleanup",
            statement="The grokking step lies within cleanup, by the run's key set.",
            source=SOURCE,
            function="grokking_within_cleanup",
            required=Region(0.0, 1.0),
            rival=HINDSIGHT,
            rival_region=None,
            probes="losses,logit_spectrum,progress_measures,weight_norms,fourier_sparsity",
        ),
        of_checkpoints(
            theory=NAME,
            name="grokking_within_cleanup_leak_free",
            statement="The grokking step lies within cleanup, by what stands out of each checkpoint.",
            source=SOURCE,
            function="grokking_within_cleanup_leak_free",
            required=Region(0.0, 1.0),
            rival="the norm falls once the network has generalised",
            rival_region=Region(high=0.0),
            probes="losses,progress_measures,weight_norms,fourier_sparsity",
        ),
    ),
    observations=(
        restricted_before_test,
        restricted_before_test_leak_free,
        excluded_before_test,
        excluded_before_test_leak_free,
        grokking_within_cleanup,
        grokking_within_cleanup_leak_free,
    ),
)

"""Sparse subnetwork: a few neurons take over from the many that memorized, and their choice decides the time."""

from interp.theories.prediction import Theory, of_arms, of_checkpoints
from interp.theories.reading import NotEvaluable, Seen, Tables, around, converged, grokked, memorized, table
from interp.theories.statistic import EffectRatio, Region

NAME = "sparse_subnetwork"
SOURCE = "Merrill, Tsilivis, Shukla 2023, A tale of two circuits"
SHRINKS = "weight decay, which shrinks what is not used, whatever generalises"
FINAL = "The neurons are chosen where the run had generalised: what they could have been known by is another question."


def active_neurons_at_grokking(tables: Tables) -> Seen:
    """The effective number of neurons at the grokking step over that at memorization."""
    rows = table(tables, "neuron_activity")
    value, low, high = around(rows, "participation_ratio", grokked(tables))
    return _over_memorization(tables, value, low, high)


def active_neurons_at_convergence(tables: Tables) -> Seen:
    """The same at the last checkpoint, where it has settled."""
    rows = table(tables, "neuron_activity").sort_values("step")
    after = memorized(tables).step
    assert after is not None
    converged(rows, "participation_ratio", after)
    value = float(rows["participation_ratio"].iloc[-1])
    return _over_memorization(tables, value, value, value)


def _over_memorization(tables: Tables, value: float, low: float, high: float) -> Seen:
    n, least, most = around(table(tables, "neuron_activity"), "participation_ratio", memorized(tables))
    if not least > 0:
        raise NotEvaluable("no neuron varies at memorization")
    return Seen(value / n, low / most, high / least, f"{value:.0f} neurons after {n:.0f} at memorization")


SPARSE_SUBNETWORK = Theory(
    name=NAME,
    statement="A dense subnetwork memorizes and a sparse one generalises; the switch is the latter taking over.",
    source=SOURCE,
    requires="Keeping the neurons of the final subnetwork is faster than keeping others; the number of active neurons "
    "collapses at the jump.",
    forbids="That any neurons of the same size, or of the same frequencies, do as well.",
    predictions=(
        of_arms(
            theory=NAME,
            name="its_neurons_are_faster",
            statement="With the neurons of the final subnetwork alone the jump takes two thirds of the time that "
            "random "
            "neurons of equal norm take.",
            source=SOURCE,
            statistic=EffectRatio(arm="keep-subnetwork", over="keep-random-neurons"),
            required=Region(high=0.67),
            rival="sparsity as such",
            rival_region=Region(1 / 1.15, 1.15),
            primary=True,
            cost=2.0,
            assumptions="Both sets have the same summed norm; margins follow the control's.",
            stress_test="Several draws of random neurons.",
            does_not_show=FINAL,
        ),
        of_arms(
            theory=NAME,
            name="which_neuron_not_which_frequency",
            statement="It takes 0.87 of the time that as many neurons with the largest share of key frequencies take.",
            source=SOURCE,
            statistic=EffectRatio(arm="keep-subnetwork", over="keep-key-neurons"),
            required=Region(high=0.87),
            rival="which frequency, not which neuron",
            rival_region=Region(1 / 1.15, 1.15),
            cost=2.0,
            assumptions="Both sets have the same summed norm; margins follow the control's.",
            stress_test="The key neurons of a later checkpoint.",
            does_not_show=FINAL,
        ),
        of_checkpoints(
            theory=NAME,
            name="fewer_neurons_at_grokking",
            statement="By the grokking step half or less of the neurons that were active at memorization are.",
            source=SOURCE,
            function="active_neurons_at_grokking",
            required=Region(high=0.5),
            rival=SHRINKS,
            rival_region=None,
            probes="losses,neuron_activity",
        ),
        of_checkpoints(
            theory=NAME,
            name="fewer_neurons_at_convergence",
            statement="At convergence half or less of the neurons that were active at memorization are.",
            source=SOURCE,
            function="active_neurons_at_convergence",
            required=Region(high=0.5),
            rival=SHRINKS,
            rival_region=None,
            probes="losses,neuron_activity",
        ),
    ),
    observations=(active_neurons_at_grokking, active_neurons_at_convergence),
)

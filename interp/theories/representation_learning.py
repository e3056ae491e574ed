"""Representation learning: generalisation comes when the embedding is a circle, and as far as it is one."""

from interp.tables.curves import curve
from interp.theories.prediction import Theory, of_checkpoints, of_nothing_here
from interp.theories.reading import NotEvaluable, Seen, Tables, around, converged, grokked, memorized, table
from interp.theories.statistic import Region

NAME = "representation_learning"
SOURCE = "Liu et al. 2022, Towards understanding grokking: an effective theory of representation learning"


def sparsity_at_grokking(tables: Tables) -> Seen:
    """Gini coefficient of W_E's frequencies at the grokking step over that of an embedding without structure."""
    rows = table(tables, "fourier_sparsity", matrix="W_E")
    over = rows.assign(over_null=rows["gini"] / rows["gini_null"])
    value, low, high = around(over, "over_null", grokked(tables))
    return Seen(value, low, high, "times the Gini coefficient of a random embedding")


def sparsity_by_grokking(tables: Tables) -> Seen:
    """Share of its rise, from memorization to its largest where it has settled, that is done at the grokking step."""
    rows = table(tables, "fourier_sparsity", matrix="W_E")
    begin = memorized(tables)
    assert begin.step is not None
    converged(rows, "gini", begin.step)
    first, _, _ = around(rows, "gini", begin)
    most = float(curve(rows, "gini")[1].max())
    if not most > first:
        raise NotEvaluable("the embedding is no sparser in frequencies after memorization than at it")
    value, low, high = around(rows, "gini", grokked(tables))
    done, least, largest = ((x - first) / (most - first) for x in (value, low, high))
    said = f"Gini {first:.3f} at memorization, {value:.3f} at grokking, {most:.3f} at most"
    return Seen(done, least, largest, said)


LATE = "the embedding is tidied up after the network answers"

REPRESENTATION_LEARNING = Theory(
    name=NAME,
    statement="Structure of the embedding decides: as far as it is a circle, pairs never shown are answered.",
    source=SOURCE,
    requires="The embedding's structure has come when test accuracy has.",
    forbids="That accuracy jumps at a constant structure of the embedding, or long before it.",
    predictions=(
        of_checkpoints(
            theory=NAME,
            name="structure_at_grokking",
            statement="At the grokking step the embedding is at least twice as sparse in frequencies as a "
            "random one.",
            source=SOURCE,
            function="sparsity_at_grokking",
            required=Region(low=2.0),
            rival="accuracy jumps with an embedding that is as it was",
            rival_region=Region(high=1.25),
            probes="losses,fourier_sparsity",
        ),
        of_checkpoints(
            theory=NAME,
            name="structure_by_convergence",
            statement="Half of the rise to convergence is done at the grokking step.",
            source=SOURCE,
            function="sparsity_by_grokking",
            required=Region(low=0.5),
            rival=LATE,
            rival_region=Region(high=0.5),
            probes="losses,fourier_sparsity",
        ),
        of_nothing_here(
            theory=NAME,
            name="parallelograms_predict_accuracy",
            statement="The parallelograms that the embedding has predict which pairs are answered.",
            source=SOURCE,
            what="no probe counts parallelograms of the embedding (the index RQI)",
            needs="A probe that counts them in the plane of each key frequency",
            required=Region(low=0.8),
            rival="accuracy hangs on the read-out",
            rival_region=Region(high=0.5),
        ),
    ),
    observations=(sparsity_at_grokking, sparsity_by_grokking),
)

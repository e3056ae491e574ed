"""Compression: the network generalises because it is simplified; most of that comes with the jump, not after it."""

import pandas as pd

from interp.tables.curves import curve
from interp.theories.prediction import Theory, of_arms, of_checkpoints
from interp.theories.reading import NotEvaluable, Seen, Tables, around, converged, grokked, memorized, table
from interp.theories.statistic import EffectRatio, Level, Region

NAME = "compression"
SOURCE = "DeMoss et al. 2024, The complexity dynamics of grokking"
FOLLOWS = "compression follows the jump"
CUT_OFF = "A run that was cut off before its end counts as not evaluable."


def bits_saved_by_grokking(tables: Tables) -> Seen:
    """Share of the fall of the compressed size, from its peak on the plateau to convergence, done at grokking."""
    rows = table(tables, "compressibility", criterion="absolute")
    # Of several tolerances the strictest: it asks for most of what the network answers.
    return _share(tables, rows[rows["tolerance"] == rows["tolerance"].min()], "bits")


def rank_saved_by_grokking(tables: Tables) -> Seen:
    """The same of the effective rank, summed over the matrices."""
    rows = table(tables, "weight_spectra")
    return _share(tables, rows.groupby("step", as_index=False)["effective_rank"].sum(), "effective_rank")


def bits_fall_by_grokking(tables: Tables) -> Seen:
    """The compressed size at the grokking step over its peak on the plateau."""
    rows = table(tables, "compressibility", criterion="absolute")
    rows = rows[rows["tolerance"] == rows["tolerance"].min()]
    peak, _ = _peak(tables, rows, "bits")
    value, low, high = around(rows, "bits", grokked(tables))
    return Seen(value / peak, low / peak, high / peak, f"{value:.3g} bits after {peak:.3g}")


def _peak(tables: Tables, rows: pd.DataFrame, quantity: str) -> tuple[float, int]:
    begin, end = memorized(tables).step, grokked(tables).step
    assert begin is not None and end is not None
    steps, values = curve(rows, quantity)
    plateau = values[(steps >= begin) & (steps < end)]
    if not len(plateau) or not plateau.max() > 0:
        raise NotEvaluable(f"{quantity} has no value above 0 between memorization and grokking")
    return float(plateau.max()), begin


def _share(tables: Tables, rows: pd.DataFrame, quantity: str) -> Seen:
    peak, begin = _peak(tables, rows, quantity)
    converged(rows, quantity, begin)
    end = float(curve(rows, quantity)[1][-1])
    if not end < peak:
        raise NotEvaluable(f"{quantity} does not fall after its peak")
    value, low, high = around(rows, quantity, grokked(tables))
    share, most, least = ((peak - x) / (peak - end) for x in (value, low, high))
    return Seen(
        share,
        least,
        most,
        f"{quantity} {peak:.4g} at its peak, {value:.4g} at the grokking step, {end:.4g} at the end",
    )


COMPRESSION = Theory(
    name=NAME,
    statement="Memorization is complex, the general solution simple; generalisation is a fall of complexity.",
    source=SOURCE,
    requires="More than half of the compression is done by the jump; pressing for simplicity speeds it up.",
    forbids="That compression begins after the jump; that any penalty of that size does as well.",
    predictions=(
        of_arms(
            theory=NAME,
            name="pressure_speeds_it_up",
            statement="A penalty on spectral entropy takes 0.87 of the time of a penalty in a random direction "
            "with as large a "
            "gradient.",
            source=SOURCE,
            statistic=EffectRatio(arm="entropy-penalty", over="random-penalty"),
            required=Region(high=0.87),
            rival="any penalty of that size",
            rival_region=Region(1 / 1.15, 1.15),
            primary=True,
            cost=2.0,
            assumptions="Norm and margin follow the control's in both arms.",
            stress_test="Another weight of the penalty.",
            does_not_show="That runs without the penalty generalise by compressing.",
        ),
        of_arms(
            theory=NAME,
            name="half_done_by_the_event",
            statement="In the control more than half of the compression is done when test accuracy arrives.",
            source=SOURCE,
            statistic=Level(arm="control", quantity="share_of_compression"),
            required=Region(low=0.5),
            rival=FOLLOWS,
            rival_region=Region(high=0.5),
            cost=1.0,
            assumptions="The control was trained to convergence.",
            stress_test="Another tolerance of the compression.",
            does_not_show="That compression comes first: only that it is not late.",
        ),
        of_checkpoints(
            theory=NAME,
            name="bits_saved_by_grokking",
            statement="More than half of the bits that are saved by convergence are saved at the grokking step.",
            source=SOURCE,
            function="bits_saved_by_grokking",
            required=Region(low=0.5),
            rival=FOLLOWS,
            rival_region=Region(high=0.5),
            probes="losses,compressibility",
            assumptions=CUT_OFF,
        ),
        of_checkpoints(
            theory=NAME,
            name="rank_saved_by_grokking",
            statement="More than half of the effective rank that is lost by convergence is lost at the grokking step.",
            source=SOURCE,
            function="rank_saved_by_grokking",
            required=Region(low=0.5),
            rival=FOLLOWS,
            rival_region=Region(high=0.5),
            probes="losses,weight_spectra",
            assumptions=CUT_OFF,
        ),
        of_checkpoints(
            theory=NAME,
            name="bits_fall_by_grokking",
            statement="At the grokking step the network needs 0.8 of the bits of its peak, or less.",
            source=SOURCE,
            function="bits_fall_by_grokking",
            required=Region(high=0.8),
            forbidden=Region(low=1.0),
            rival="accounts in which complexity plays no part",
            rival_region=Region(low=0.9),
            probes="losses,compressibility",
        ),
    ),
    observations=(bits_saved_by_grokking, rank_saved_by_grokking, bits_fall_by_grokking),
)

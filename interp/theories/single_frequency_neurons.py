"""Single-frequency neurons: neurons become periodic, slowly at first and faster from the jump on."""

import numpy as np

from interp.tables.curves import curve
from interp.theories.prediction import Theory, of_checkpoints, of_nothing_here
from interp.theories.reading import NotEvaluable, NotTestable, Seen, Tables, grokked, memorized, table
from interp.theories.statistic import Region

NAME = "single_frequency_neurons"
SOURCE = "Gromov 2023, Grokking modular arithmetic; Doshi et al. 2023, To grok or not to grok"


def participation_accelerates(tables: Tables) -> Seen:
    """Slope of the read-out's inverse participation ratio just before grokking over that early on the plateau.

    In the last quarter of the time from memorization, and in the first half.
    """
    rows = table(tables, "fourier_sparsity", matrix="W_L")
    begin, end = memorized(tables).step, grokked(tables)
    assert begin is not None and end.step is not None
    steps, values = curve(rows, "inverse_participation_ratio")
    if ((steps >= begin) & (steps <= end.step)).sum() < 4:
        raise NotTestable(
            "fewer than 4 checkpoints between memorization and grokking have a participation ratio"
        )

    def ratio(stop: int) -> float:
        a, half, late = begin, (begin + stop) / 2, stop - (stop - begin) / 4
        at = np.interp([a, half, late, stop], steps, values)
        early = (at[1] - at[0]) / (half - a)
        if not early > 0:
            raise NotEvaluable("the participation ratio does not grow in the first half of the plateau")
        return float((at[3] - at[2]) / (stop - late) / early)

    ends = sorted(ratio(int(step)) for step in {end.before or end.step, end.step})
    return Seen(ratio(end.step), ends[0], ends[-1], f"steps {begin} to {end.step}")


SINGLE_FREQUENCY_NEURONS = Theory(
    name=NAME,
    statement="Generalising neurons are periodic, memorizing ones are not; the former take over.",
    source=SOURCE,
    requires="Periodicity grows from the start and accelerates at the jump; pruning the others loses corrupted "
    "rows first.",
    forbids="That it grows evenly.",
    predictions=(
        of_checkpoints(
            theory=NAME,
            name="participation_accelerates",
            statement="The inverse participation ratio grows at least 1.5 times as fast just before the jump as "
            "early on the "
            "plateau.",
            source=SOURCE,
            function="participation_accelerates",
            required=Region(low=1.5),
            rival="it grows evenly",
            rival_region=Region(0.8, 1.25),
            probes="losses,fourier_sparsity",
        ),
        of_nothing_here(
            theory=NAME,
            name="pruning_the_others_loses_corrupted_rows",
            statement="Pruning the least periodic neurons loses corrupted train rows and leaves test accuracy.",
            source=SOURCE,
            what="no table of levels has accuracies after pruning by periodicity, and it takes corrupted labels",
            needs="A run with corrupted labels, and its accuracies after pruning in order of periodicity",
            required=Region(high=0.0),
            rival="all neurons serve both",
            rival_region=Region(-0.05, 0.05),
        ),
    ),
    observations=(participation_accelerates,),
)

"""Capacity: memorizing and generalising compete for a network's capacity, and its size decides between four regimes."""

import math

from interp.theories.prediction import Theory, of_checkpoints, of_nothing_here
from interp.theories.reading import Seen, Tables, around, grokked, memorized, table
from interp.theories.statistic import Region

NAME = "capacity"
SOURCE = "Huang et al. 2024, Unified view of grokking, double descent and emergent abilities"


def norm_change_on_plateau(tables: Tables) -> Seen:
    """ln of the norm at the grokking step over that at memorization."""
    rows = table(tables, "weight_norms", matrix="total")
    (value, low, high), (first, least, most) = (around(rows, "l2", f(tables)) for f in (grokked, memorized))
    said = f"norm {first:.4g} at memorization, {value:.4g} at grokking"
    return Seen(math.log(value / first), math.log(low / most), math.log(high / least), said)


CAPACITY = Theory(
    name=NAME,
    statement="With room for more than the train pairs a network groks: memorizes first, then trades it for the rule.",
    source=SOURCE,
    requires="Where it groks the norm falls from memorization to the jump; where it lacks room it rises.",
    forbids="Grokking at a rising norm.",
    predictions=(
        of_checkpoints(
            theory=NAME,
            name="norm_falls_on_plateau",
            statement="From memorization to the grokking step the norm falls.",
            source=SOURCE,
            function="norm_change_on_plateau",
            required=Region(high=0.0),
            rival="weight decay, which lowers every norm",
            rival_region=None,
            probes="losses,weight_norms",
        ),
        of_nothing_here(
            theory=NAME,
            name="critical_size_falls_with_width",
            statement="The critical number of train pairs falls with width, the number that can be memorized rises.",
            source=SOURCE,
            what="it takes runs of several widths and train fractions, and the tables of one run are judged here",
            needs="A sweep over width and train fraction",
            required=Region(high=0.0),
            rival="the critical number is that of the data alone",
            rival_region=Region(-0.1, 0.1),
        ),
    ),
    observations=(norm_change_on_plateau,),
)

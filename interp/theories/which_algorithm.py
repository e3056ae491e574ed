"""Which algorithm: pizza-like at the jump, clock after cleanup. It names the circuit, and says nothing about when."""

import math

from interp.theories.clock_or_pizza import checkpoint_verdicts
from interp.theories.prediction import Theory, of_checkpoints
from interp.theories.reading import NotEvaluable, Seen, Tables, grokked, table
from interp.theories.statistic import Region

NAME = "which_algorithm"
SOURCE = "Zhong et al. 2023, The clock and the pizza, section 4"
NO_TIME = "Anything about when or why the network generalised."


def clock_at_grokking(tables: Tables) -> Seen:
    """Share of what key frequencies explain that lies in clocks, at the first checkpoint that has generalised."""
    return _clock(tables, is_end=False)


def clock_at_convergence(tables: Tables) -> Seen:
    """The same at the last checkpoint; its interval spans the last three."""
    return _clock(tables, is_end=True)


def _clock(tables: Tables, *, is_end: bool) -> Seen:
    names = ("algorithm", "algorithm_by_frequency")
    found = checkpoint_verdicts({name: table(tables, name) for name in names}).sort_values("step")
    later = found[(found["step"] >= (grokked(tables).step or 0)) & found["clock_score"].notna()]
    if len(later) < (3 if is_end else 1):
        raise NotEvaluable("too few checkpoints from the grokking step on have a frequency that stands out")
    rows = later.tail(3) if is_end else later.head(1)
    scores = rows["clock_score"]
    value = float(scores.iloc[-1 if is_end else 0])
    return Seen(value, float(scores.min()), float(scores.max()), f"steps {', '.join(map(str, rows['step']))}")


def most_pizza_at_grokking(tables: Tables) -> Seen:
    """ln of the step at which logits depend least on the distance of the operands, over the grokking step.

    Of the frequencies that stand out of each checkpoint alone, weighted by what they explain.
    """
    rows = table(tables, "algorithm_by_frequency")
    rows = rows[rows["distance_irrelevance"].notna()]
    weighted = rows.assign(irrelevance=rows["distance_irrelevance"] * rows["fraction"])
    sums = weighted.groupby("step")[["irrelevance", "fraction"]].sum()
    irrelevance = (sums["irrelevance"] / sums["fraction"]).dropna()
    if len(irrelevance) < 3:
        raise NotEvaluable("fewer than 3 checkpoints have a frequency that stands out")
    i, came = int(irrelevance.argmin()), grokked(tables)
    least = int(irrelevance.index[i])
    ends = irrelevance.index[[max(i - 1, 0), min(i + 1, len(irrelevance) - 1)]]
    assert came.step is not None
    low = math.log(max(ends[0], 1) / came.step)
    high = math.log(max(ends[1], 1) / max(came.before or 1, 1))
    return Seen(
        math.log(max(least, 1) / came.step), low, high, f"least at step {least}, {irrelevance.iloc[i]:.2f}"
    )


WHICH_ALGORITHM = Theory(
    name=NAME,
    statement="The circuit looks like a pizza when it first answers and is rebuilt into a clock in cleanup.",
    source=SOURCE,
    requires="The signature of a pizza is strongest at the jump; after convergence the key frequencies are clocks.",
    forbids="That the first circuit that generalises is the last one.",
    predictions=(
        of_checkpoints(
            theory=NAME,
            name="most_pizza_at_grokking",
            statement="The key frequencies look most like pizzas within a fifth of the grokking step.",
            source=SOURCE,
            function="most_pizza_at_grokking",
            required=Region(-0.2, 0.2),
            rival="one algorithm throughout, whose signature moves evenly to the end",
            rival_region=Region(low=0.3),
            probes="losses,algorithm_by_frequency",
            does_not_show=NO_TIME,
        ),
        of_checkpoints(
            theory=NAME,
            name="no_clock_yet_at_grokking",
            statement="At the grokking step clocks hold less than half of what the key frequencies explain.",
            source=SOURCE,
            function="clock_at_grokking",
            required=Region(high=0.5),
            rival="a clock from the beginning",
            rival_region=Region(low=0.9),
            probes="losses,algorithm,algorithm_by_frequency",
            does_not_show=NO_TIME,
        ),
        of_checkpoints(
            theory=NAME,
            name="clock_at_convergence",
            statement="At convergence clocks hold 0.9 or more of it.",
            source=SOURCE,
            function="clock_at_convergence",
            required=Region(low=0.9),
            rival="a pizza to the end",
            rival_region=Region(high=0.1),
            probes="losses,algorithm,algorithm_by_frequency",
            does_not_show=NO_TIME,
        ),
    ),
    observations=(clock_at_grokking, clock_at_convergence, most_pizza_at_grokking),
)

"""Local complexity: linear regions leave the train rows and gather at the decision boundary before the jump."""

from interp.tables.curves import curve
from interp.theories.prediction import Theory, of_arms, of_checkpoints
from interp.theories.reading import NotEvaluable, NotTestable, Seen, Tables, around, grokked, memorized, table
from interp.theories.statistic import LevelDifference, Region

NAME = "local_complexity"
SOURCE = "Humayun, Balestriero, Baraniuk 2024, Deep networks always grok and here is why"


def complexity_falls_before_grokking(tables: Tables) -> Seen:
    """Local complexity around train rows at the grokking step over its largest value on the plateau."""
    rows = table(tables, "local_complexity", split="train", radius="relative")
    begin, end = memorized(tables), grokked(tables)
    assert begin.step is not None and end.step is not None
    steps, values = curve(rows, "mean")
    plateau = (steps >= begin.step) & (steps < end.step)
    if not plateau.any():
        raise NotTestable("no checkpoint of the plateau has a local complexity")
    if not (peak := float(values[plateau].max())) > 0:
        raise NotEvaluable("no train row has a kink nearby on the whole plateau")
    value, low, high = around(rows, "mean", end)
    return Seen(
        value / peak,
        low / peak,
        high / peak,
        f"{value:.3g} kinks at the grokking step, {peak:.3g} at the peak",
    )


LOCAL_COMPLEXITY = Theory(
    name=NAME,
    statement="After interpolation linear regions migrate away from the data; that migration makes the jump.",
    source=SOURCE,
    requires="A second descent of local complexity begins before the jump, larger per unit of norm than without "
    "structure "
    "in the labels.",
    forbids="That local complexity stands still until the jump, or only follows the size of the weights.",
    predictions=(
        of_arms(
            theory=NAME,
            name="more_than_scale",
            statement="Local complexity descends more per unit of ln norm on true labels than on random ones.",
            source=SOURCE,
            statistic=LevelDifference(
                arm="control", over="random-labels", quantity="local_complexity_descent"
            ),
            required=Region(low=0.0),
            rival="local complexity is a proxy of scale: no more than on random labels",
            rival_region=Region(high=0.0),
            cost=1.0,
            assumptions="The random-label run follows the control's norm path.",
            stress_test="A relative radius and an absolute one.",
            does_not_show="That migration of regions makes the jump rather than comes with it.",
        ),
        of_checkpoints(
            theory=NAME,
            name="complexity_falls_before_grokking",
            statement="At the grokking step local complexity around train rows is 0.8 of its largest value on the "
            "plateau.",
            source=SOURCE,
            function="complexity_falls_before_grokking",
            required=Region(high=0.8),
            rival="it falls with the jump or after it",
            rival_region=Region(low=0.9),
            probes="losses,local_complexity",
        ),
    ),
    observations=(complexity_falls_before_grokking,),
)

"""Early oscillation: how the train loss trembles in its first hundreds of steps tells which runs will generalise."""

import math

import pandas as pd

from interp.theories.prediction import Theory, of_sweep
from interp.theories.reading import NotTestable, Seen, Tables, table
from interp.theories.statistic import Region

NAME = "early_oscillation"
SOURCE = "Notsawo et al. 2023, Predicting grokking long before it happens"

FEWEST = 5


def area_over_runs(tables: Tables) -> Seen:
    """The chance that a run that grokked had more early activity than one that did not (area under the ROC curve).

    Within settings it is the same of pairs of one setting: what a setting does to both is out of it. Interval: Hanley
    and McNeil 1982, of independent runs.
    """
    rows = table(tables, "sweep_runs").dropna(subset=["early_activity"])
    come, not_come = (rows.loc[rows["grokked"] == x, "early_activity"] for x in (True, False))
    n, m = len(come), len(not_come)
    if min(n, m) < FEWEST:
        raise NotTestable(
            f"{n} runs of the sweep grokked and {m} did not, it takes {FEWEST} of each whose train loss is known at "
            "each early step"
        )
    area = _wins(come, not_come) / (n * m)
    # Where all pairs are in order, half a pair less: their number bounds what is known.
    at = min(max(area, 0.5 / (n * m)), 1 - 0.5 / (n * m))
    one, two = at / (2 - at), 2 * at**2 / (1 + at)
    variance = at * (1 - at) + (n - 1) * (one - at**2) + (m - 1) * (two - at**2)
    reach = 1.96 * math.sqrt(variance / (n * m))
    said = f"{n} runs that grokked and {m} that did not{_within(rows)}"
    return Seen(area, max(area - reach, 0.0), min(area + reach, 1.0), said, "More runs.")


def _wins(some: pd.Series, others: pd.Series) -> float:
    """In how many pairs the first is larger; ties count half (the statistic of Mann and Whitney)."""
    # Half a second to load, and theories are listed more often than judged.
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(some, others).statistic)


def _within(rows: pd.DataFrame) -> str:
    """The area over pairs of runs of one setting, in words; nothing where no setting has both."""
    wins = pairs = 0.0
    for _, part in rows.groupby("setting"):
        come, not_come = (part.loc[part["grokked"] == x, "early_activity"] for x in (True, False))
        if len(come) and len(not_come):
            wins += _wins(come, not_come)
            pairs += len(come) * len(not_come)
    return f"; {wins / pairs:.2f} within settings ({pairs:.0f} pairs)" if pairs else ""


EARLY_OSCILLATION = Theory(
    name=NAME,
    statement="Runs whose early train loss oscillates much will grok.",
    source=SOURCE,
    requires="Over runs, early activity of the train loss ranks those that grok above those that do not.",
    forbids="That it ranks them no better than chance, on settings that were not used to choose it.",
    predictions=(
        of_sweep(
            theory=NAME,
            name="activity_ranks_runs",
            statement="Early activity ranks runs that grok above others, with an area of 0.8 or more.",
            source=SOURCE,
            function="area_over_runs",
            needs="A sweep with runs that grok and runs that do not",
            required=Region(low=0.8),
            rival="learning rate and weight decay, which set both",
            rival_region=Region(high=0.6),
        ),
    ),
    observations=(area_over_runs,),
)

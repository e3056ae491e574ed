"""Early oscillation: how the train loss trembles in its first hundreds of steps tells which runs will generalise."""

from interp.theories.prediction import Theory, of_nothing_here
from interp.theories.statistic import Region

NAME = "early_oscillation"
SOURCE = "Notsawo et al. 2023, Predicting grokking long before it happens"

EARLY_OSCILLATION = Theory(
    name=NAME,
    statement="Runs whose early train loss oscillates much will grok.",
    source=SOURCE,
    requires="Over runs, early activity of the train loss ranks those that grok above those that do not.",
    forbids="That it ranks them no better than chance, on settings that were not used to choose it.",
    predictions=(
        of_nothing_here(
            theory=NAME,
            name="activity_ranks_runs",
            statement="Early activity ranks runs that grok above others, with an area of 0.8 or more.",
            source=SOURCE,
            what="it is a statement about many runs, and the tables of one run are judged here",
            needs="A sweep with runs that grok and runs that do not",
            required=Region(low=0.8),
            rival="learning rate and weight decay, which set both",
            rival_region=Region(high=0.6),
        ),
    ),
)

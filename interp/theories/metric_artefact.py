"""Metric artefact: nothing switches, a threshold makes a jump of what grows evenly."""

import numpy as np
import pandas as pd

from interp.tables.curves import curve
from interp.theories.prediction import Theory, of_checkpoints
from interp.theories.reading import NotEvaluable, Seen, Tables, grokked, table
from interp.theories.statistic import Region

NAME = "metric_artefact"
SOURCE = "Schaeffer, Miranda, Koyejo 2023, Are emergent abilities of large language models a mirage?"


def jump_against_margin(tables: Tables) -> Seen:
    """Steps in which test accuracy makes its way from 10 % to 90 % of its rise, over those of the mean test margin."""
    rows = table(tables, "losses", split="test")
    grokked(tables)
    accuracy, margin = (_length(rows, column) for column in ("accuracy", "margin_mean"))
    value = accuracy[0] / margin[0]
    said = f"{accuracy[0]:.0f} steps of accuracy, {margin[0]:.0f} of margin"
    return Seen(value, accuracy[1] / margin[2], accuracy[2] / max(margin[1], 1.0), said)


def _length(rows: pd.DataFrame, quantity: str) -> tuple[float, float, float]:
    """Steps from 10 % to 90 % of a curve's last rise from its least value, and the bounds that its checkpoints "
    "leave."""
    steps, values = curve(rows, quantity)
    begin = int(values.argmin())
    steps, values = steps[begin:], np.maximum.accumulate(values[begin:])
    if len(steps) < 3 or not values[-1] > values[0]:
        raise NotEvaluable(f"{quantity} on test rows does not rise from its least value over 3 checkpoints")
    share = (values - values[0]) / (values[-1] - values[0])
    i, j = (int(np.argmax(share >= part)) for part in (0.1, 0.9))
    at = [float(np.interp(part, share, steps)) for part in (0.1, 0.9)]
    shortest = float(max(steps[max(j - 1, 0)] - steps[i], 1))
    return max(at[1] - at[0], 1.0), shortest, float(steps[j] - steps[max(i - 1, 0)])


METRIC_ARTEFACT = Theory(
    name=NAME,
    statement="The switch is made by accuracy's threshold: a smooth measure grows evenly through it.",
    source=SOURCE,
    requires="Accuracy jumps in less than half of the time in which the mean margin makes its way.",
    forbids="That a smooth measure turns as fast.",
    predictions=(
        of_checkpoints(
            theory=NAME,
            name="jump_shorter_than_margin",
            statement="Test accuracy makes its way in half of the steps, or less, in which the mean test margin does.",
            source=SOURCE,
            function="jump_against_margin",
            required=Region(high=0.5),
            rival="the network itself changes: a smooth measure turns as fast",
            rival_region=Region(low=0.67),
            probes="losses",
            does_not_show="That nothing happens: a smooth measure may be smooth and late.",
        ),
    ),
    observations=(jump_against_margin,),
)

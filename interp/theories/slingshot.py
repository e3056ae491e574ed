"""Slingshot: generalisation is made by the spikes of the train loss that adaptive optimizers run into."""

import numpy as np
import pandas as pd

from interp.tables.curves import curve, stretches
from interp.theories.prediction import Guard, Theory, of_arms, of_checkpoints
from interp.theories.reading import NotTestable, Seen, Tables, grokked, memorized
from interp.theories.statistic import EffectRatio, Level, Observed, Region

NAME = "slingshot"
SOURCE = "Thilak et al. 2022, The slingshot mechanism"
# A spike is that many times the running median of the evaluations before it.
TIMES, WINDOW = 10.0, 51
# Level of an arm: its spikes up to its event.
ARM_SPIKES = "spikes"


def spikes_before_grokking(tables: Tables) -> Seen:
    """How often the train loss springs up between memorization and grokking."""
    history = tables.get("history")
    if history is None or "train_loss" not in history:
        raise NotTestable("the table 'history' with a train loss at every evaluation is missing")
    begin, end = memorized(tables).step, grokked(tables).step
    assert begin is not None and end is not None
    n = float(n_spikes(history, float(begin), float(end)))
    return Seen(n, n, n, f"train loss over {TIMES:g} times its running median, steps {begin} to {end}")


def n_spikes(history: pd.DataFrame, begin: float, end: float) -> int:
    """How often the train loss is more than TIMES the running median of its evaluations, after begin and up to end."""
    steps, losses = curve(history, "train_loss")
    usual = pd.Series(losses).rolling(WINDOW, min_periods=3).median().shift(1).to_numpy()
    is_spike = (losses > TIMES * np.where(np.isnan(usual), np.inf, usual)) & (steps > begin) & (steps <= end)
    return len(stretches(is_spike))


def _gone_in(arm: str) -> Guard:
    return Guard(
        statistic=Level(arm=arm, quantity=ARM_SPIKES),
        region=Region(high=0.0),
        says=f"spikes are gone in {arm}",
    )


SPIKES = Guard(
    statistic=Observed(function="spikes_before_grokking"),
    region=Region(low=1.0),
    says="the run has spikes to take away",
)
HARMLESS = "numerics: rounding makes the spikes, and they do nothing"

SLINGSHOT = Theory(
    name=NAME,
    statement="Cycles of a growing last layer and a spike of the loss move the network to flatter, general solutions.",
    source=SOURCE,
    requires="Grokking comes after spikes; without them it takes twice as long or longer.",
    forbids="That a run without a spike groks.",
    predictions=(
        of_arms(
            theory=NAME,
            name="without_spikes_float64_is_slower",
            statement="With float64 logits, in which spikes vanish, the jump takes twice as long.",
            source=SOURCE,
            statistic=EffectRatio(arm="float64", over="control"),
            required=Region(low=2.0),
            rival=HARMLESS,
            rival_region=Region(1 / 1.15, 1.15),
            guards=(SPIKES, _gone_in("float64")),
            cost=2.0,
            assumptions="More digits change nothing but the spikes.",
            stress_test="Spikes taken away by a gradient whose mean over classes is removed.",
            does_not_show="That spikes are the way by which it generalises; only that it is slower without.",
        ),
        of_arms(
            theory=NAME,
            name="without_spikes_zero_sum_is_slower",
            statement="With a float32 gradient of zero sum over classes, in which spikes vanish, the jump takes "
            "twice as long.",
            source=SOURCE,
            statistic=EffectRatio(arm="zero-sum-float32", over="control"),
            required=Region(low=2.0),
            rival=HARMLESS,
            rival_region=Region(1 / 1.15, 1.15),
            guards=(SPIKES, _gone_in("zero-sum-float32")),
            cost=2.0,
            assumptions="The mean over classes does nothing but make spikes.",
            stress_test="float64 logits.",
            does_not_show="That spikes are the way by which it generalises; only that it is slower without.",
        ),
        of_checkpoints(
            theory=NAME,
            name="spikes_before_grokking",
            statement="At least one spike of the train loss lies between memorization and grokking.",
            source=SOURCE,
            function="spikes_before_grokking",
            required=Region(low=1.0),
            rival="any other account: spikes are a side effect",
            rival_region=None,
            probes="losses",
            stress_test="Evaluate at every step: a spike may lie between two evaluations.",
        ),
    ),
    observations=(spikes_before_grokking,),
)

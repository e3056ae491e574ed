"""Singular learning theory: noise carries the network to the basin of larger volume, which is the simpler solution."""

import numpy as np

from interp.theories.prediction import Theory, of_arms, of_checkpoints, of_nothing_here
from interp.theories.reading import NotEvaluable, NotTestable, Seen, Tables, grokked, memorized, table
from interp.theories.statistic import DoseTrend, Region

NAME = "singular_learning"
SOURCE = (
    "Panickssery, Vaintrob 2023, Investigating the learning coefficient of modular addition; Lau et al. 2023"
)
AGREE = 1.1  # split R-hat above which chains do not agree


def coefficient_falls_by_grokking(tables: Tables) -> Seen:
    """The learning coefficient at the grokking step over its largest value on the plateau."""
    return _fall(tables, is_end=False)


def coefficient_falls_by_convergence(tables: Tables) -> Seen:
    """The same at the last checkpoint."""
    return _fall(tables, is_end=True)


def _fall(tables: Tables, *, is_end: bool) -> Seen:
    rows = table(tables, "learning_coefficient")
    begin, end = memorized(tables).step, grokked(tables).step
    by_step = rows.groupby("step").agg(
        llc=("llc", "mean"), sd=("llc", "std"), n=("llc", "size"), hat=("r_hat", "max")
    )
    plateau = by_step[(by_step.index >= begin) & (by_step.index < end)]
    later = by_step[by_step.index >= end]
    if not len(plateau) or not len(later):
        raise NotTestable(
            "no checkpoint of the plateau, or none from the grokking step on, has a learning coefficient"
        )
    peak, at = plateau.loc[plateau["llc"].idxmax()], later.iloc[-1 if is_end else 0]
    if max(peak["hat"], at["hat"]) > AGREE:
        raise NotEvaluable(f"the chains do not agree (R-hat {max(peak['hat'], at['hat']):.2f})")
    if not peak["llc"] > 0:
        raise NotEvaluable(f"the largest learning coefficient of the plateau is {peak['llc']:.3g}")
    value = float(at["llc"] / peak["llc"])
    errors = [one["sd"] / np.sqrt(one["n"]) / abs(one["llc"]) for one in (peak, at)]
    half = 1.96 * abs(value) * float(np.hypot(*errors))
    said = f"{at['llc']:.3g} at step {at.name}, {peak['llc']:.3g} at its peak"
    return Seen(value, value - half, value + half, said, "More chains of the sampler.")


SINGULAR_LEARNING = Theory(
    name=NAME,
    statement="Training drifts, driven by noise, towards solutions with more volume at one loss: fewer effective "
    "parameters.",
    source=SOURCE,
    requires="More noise, sooner; the learning coefficient falls to the general solution at matched train loss "
    "and margin.",
    forbids="That noise which does not diffuse does the same; that the coefficient rises through the jump.",
    predictions=(
        of_arms(
            theory=NAME,
            name="diffusion_speeds_it_up",
            statement="Over three temperatures the time with noise, relative to noise that takes back at each "
            "second step "
            "what it gave, falls.",
            source=SOURCE,
            statistic=DoseTrend(arm="noise", over="antithetic-noise"),
            required=Region(high=-0.05),
            rival="deterministic accounts",
            rival_region=Region(-0.05, 0.05),
            primary=True,
            cost=6.0,
            assumptions="Both noises disturb the loss alike; norms follow the control's.",
            stress_test="A fourth temperature, below the others.",
            does_not_show="That volume is what the noise finds.",
        ),
        of_checkpoints(
            theory=NAME,
            name="coefficient_falls_by_grokking",
            statement="At the grokking step the learning coefficient is 0.8 of its largest value on the plateau, "
            "or less.",
            source=SOURCE,
            function="coefficient_falls_by_grokking",
            required=Region(high=0.8),
            forbidden=Region(low=1.0),
            rival="accounts in which complexity plays no part",
            rival_region=Region(0.9, 1.1),
            probes="losses,learning_coefficient",
            stress_test="Other step sizes and localizations of the sampler.",
        ),
        of_checkpoints(
            theory=NAME,
            name="coefficient_falls_by_convergence",
            statement="At the last checkpoint it is 0.8 of that value, or less.",
            source=SOURCE,
            function="coefficient_falls_by_convergence",
            required=Region(high=0.8),
            forbidden=Region(low=1.0),
            rival="accounts in which complexity plays no part",
            rival_region=Region(0.9, 1.1),
            probes="losses,learning_coefficient",
            stress_test="Other step sizes and localizations of the sampler.",
        ),
        of_nothing_here(
            theory=NAME,
            name="memorizing_twin_has_more",
            statement="A memorizing twin has a larger learning coefficient at matched train loss and margin.",
            source=SOURCE,
            what="it takes a network that memorized the same pairs and never generalises, at matched loss and margin",
            needs="A twin run without decay, and its learning coefficients over a grid of sampler settings",
            required=Region(low=1.0),
            rival="both have the volume of a network of that norm",
            rival_region=Region(0.9, 1.1),
        ),
    ),
    observations=(coefficient_falls_by_grokking, coefficient_falls_by_convergence),
)

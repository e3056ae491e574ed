"""Frequency lottery: which frequencies win is drawn at the initialization, and the data do not care."""

import numpy as np

from interp.tables.key_frequencies import run_key_frequencies
from interp.theories.prediction import Guard, Theory, of_arms, of_checkpoints
from interp.theories.reading import NotEvaluable, Seen, Tables, around, grokked, table
from interp.theories.statistic import EffectRatio, LevelDifference, Region

NAME = "frequency_lottery"
SOURCE = "He et al. 2026, On the mechanism and dynamics of modular addition"
DATA = "the data decide the frequencies"


def winners_at_the_start(tables: Tables) -> Seen:
    """Mean rank of the key frequencies in embedding and read-out at the first checkpoint: 1 first, 0 last, 0.5 chance.

    The key set is the outcome here, not a measure: what predicts it is that of the first checkpoint alone.
    """
    keys = run_key_frequencies({name: table(tables, name) for name in ("logit_spectrum", "losses")})
    if not keys:
        raise NotEvaluable("the run has no key frequencies")
    spectra = [_first(tables, name) for name in ("embedding_spectrum", "neuron_logit_spectrum")]
    ranks = (spectra[0] * spectra[1]).rank()
    share = (ranks - 1) / max(len(ranks) - 1, 1)
    value = float(share.loc[keys].mean())
    # Of n ranks without replacement: the mean of m has this variance by chance.
    n, m = len(share), len(keys)
    half = 1.96 * float(np.sqrt(share.var(ddof=0) / m * (n - m) / max(n - 1, 1)))
    said = f"{m} key frequencies of {n}"
    return Seen(value, value - half, value + half, said, "More key frequencies, as of a larger p.")


def _first(tables: Tables, name: str):
    rows = table(tables, name)
    return rows[rows["step"] == rows["step"].min()].set_index("frequency")["fraction"]


def phases_aligned_at_grokking(tables: Tables) -> Seen:
    """How well neurons' phases in and out agree, over the frequencies that stand out of the checkpoint."""
    rows = table(tables, "frequency_phases").groupby("step", as_index=False)["alignment"].mean()
    value, low, high = around(rows, "alignment", grokked(tables))
    return Seen(value, low, high, "mean over frequencies that stand out of the checkpoint alone")


def phases_aligned_at_convergence(tables: Tables) -> Seen:
    """The same at the last checkpoint."""
    rows = table(tables, "frequency_phases").groupby("step")["alignment"].mean()
    if rows.index[-1] <= (grokked(tables).step or 0):
        raise NotEvaluable("no checkpoint after the grokking step has a frequency that stands out")
    value = float(rows.iloc[-1])
    return Seen(value, value, value, f"step {rows.index[-1]}")


FREQUENCY_LOTTERY = Theory(
    name=NAME,
    statement="Frequencies compete, and those that start with most amplitude and least misalignment win.",
    source=SOURCE,
    requires="Raising a frequency at the start makes it win; phases align. When the jump comes does not hang on "
    "which wins.",
    forbids="That the train pairs decide which frequencies win.",
    predictions=(
        of_arms(
            theory=NAME,
            name="raised_frequency_wins",
            statement="The runner-up raised to the leader's amplitude enters the final key set more often than a "
            "frequency that "
            "was raised by the same norm at random: 5 of 5 against none of 5 is enough, 4 against 1 is not.",
            source=SOURCE,
            statistic=LevelDifference(
                arm="frequency-raised", over="frequency-raised-sham", quantity="in_final_keys"
            ),
            required=Region(low=0.2),
            rival=DATA,
            rival_region=Region(-0.2, 0.2),
            cost=4.0,
            assumptions="Raising changes amplitude alone; the dose was found on other pairs.",
            stress_test="Several doses.",
            does_not_show="That the winners of runs in which nothing was raised were drawn at the start.",
        ),
        of_arms(
            theory=NAME,
            name="no_earlier_for_it",
            statement="The jump comes at the same time whichever frequency was raised.",
            source=SOURCE,
            statistic=EffectRatio(arm="frequency-raised", over="frequency-raised-sham"),
            required=Region(1 / 1.25, 1.25),
            rival="a head start of the circuit",
            rival_region=Region(high=0.8),
            guards=(
                Guard(
                    statistic=LevelDifference(
                        arm="frequency-raised", over="frequency-raised-sham", quantity="in_final_keys"
                    ),
                    region=Region(low=0.2),
                    says="raising makes the frequency win",
                ),
            ),
            cost=4.0,
            assumptions="Both raise by the same norm.",
            stress_test="Several doses.",
            does_not_show="That frequencies are equally good: only two were compared.",
        ),
        of_checkpoints(
            theory=NAME,
            name="winners_lead_at_the_start",
            statement="The final key frequencies rank high in embedding and read-out at the first checkpoint.",
            source=SOURCE,
            function="winners_at_the_start",
            required=Region(low=0.5),
            rival=DATA,
            rival_region=Region(0.4, 0.5),
            probes="losses,logit_spectrum,embedding_spectrum,neuron_logit_spectrum",
            does_not_show="That the start decides alone: a rank above chance leaves much open.",
        ),
        of_checkpoints(
            theory=NAME,
            name="phases_aligned_at_grokking",
            statement="At the grokking step neurons' phases in and out agree (0.9 of full alignment).",
            source=SOURCE,
            function="phases_aligned_at_grokking",
            required=Region(low=0.9),
            rival="any account in which neurons vote for the sum",
            rival_region=None,
            probes="losses,frequency_phases",
        ),
        of_checkpoints(
            theory=NAME,
            name="phases_aligned_at_convergence",
            statement="At convergence they still do.",
            source=SOURCE,
            function="phases_aligned_at_convergence",
            required=Region(low=0.9),
            rival="any account in which neurons vote for the sum",
            rival_region=None,
            probes="losses,frequency_phases",
        ),
    ),
    observations=(winners_at_the_start, phases_aligned_at_grokking, phases_aligned_at_convergence),
)

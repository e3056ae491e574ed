"""When few neurons come to decide, and when a few chosen ones lead, from the tables of `interp.probes.parity`.

References: Merrill et al. 2023, "A tale of two circuits: grokking as competition of sparse and dense subnetworks",
sections 2.1, 3.1 and 3.2; figure 5 (the marker of memorization).
"""

import numpy as np
import pandas as pd

from interp.tables.accuracies import by_split
from interp.tables.curves import SHORT
from interp.tables.transitions import Transition, spells, transition

# Above this train accuracy, for the first time, the paper takes a network to have memorized.
MARKED = 0.98
# A network whose effective sparsity does not fall to this share of its largest has not become sparse.
SPARSER = 0.1
# Mean norm of the chosen neurons over that of all others, from which on they lead.
LEAD = 2.0


def of_rule(table: pd.DataFrame, rule: str = "every row") -> pd.DataFrame:
    """The rows of `effective_sparsity` with one rule."""
    return table[table["rule"] == rule] if len(table) else table


def sparsification(table: pd.DataFrame, rule: str = "every row", *, tolerated: float = SHORT) -> Transition:
    """When the effective sparsity falls for good below the geometric mean of its largest and its last value.

    Half-way on a logarithmic scale, so that it does not depend on the width of the layer alone. Never, where the last
    is more than a tenth of the largest. The threshold follows from how the run ends: of a run that is stopped half-way
    it is another one.

    Args:
        table: of `effective_sparsity`.
        tolerated: as `interp.tables.transitions.transition`.

    Raises:
        ValueError: as `transition`.
    """
    counts = of_rule(table, rule)
    if not len(counts):
        return Transition("n_neurons", None, None, None)
    counts = counts.sort_values("step")
    largest, last = (max(1, int(x)) for x in (counts["n_neurons"].max(), counts["n_neurons"].iloc[-1]))
    threshold = float(np.sqrt(largest * last))
    if last > SPARSER * largest:
        return Transition("n_neurons", threshold, int(counts["step"].iloc[-1]), None)
    return transition(counts, "n_neurons", threshold, "fall", tolerated=tolerated)


def lead(table: pd.DataFrame, *, tolerated: float = SHORT) -> Transition:
    """When the chosen neurons have twice the mean norm of all others for good.

    Args:
        table: of `subnetworks`.
        tolerated: as `interp.tables.transitions.transition`.
    """
    if not len(table):
        return Transition("norm over that of others", LEAD, None, None)
    wide = table.pivot(index="step", columns="subnetwork", values="mean_norm")
    ratio = (wide["chosen"] / wide["others"]).rename("norm over that of others").reset_index()
    if ratio["norm over that of others"].isna().all():
        return Transition("norm over that of others", LEAD, None, None)
    return transition(ratio, "norm over that of others", LEAD, "rise", tolerated=tolerated)


def first_memorized(answers: pd.DataFrame) -> Transition:
    """The first evaluation with more than 98 % of the train rows right, whether it lasts or not: the paper's marker.

    Args:
        answers: a history, or the `losses` table.
    """
    wide = by_split(answers)
    found = spells(wide, "train_accuracy", float(np.nextafter(MARKED, 1)), "rise")
    if not found:
        return Transition("train_accuracy", MARKED, int(wide["step"].max()), None)
    begins = found[0][0]
    return Transition("train_accuracy", MARKED, begins.before, begins.step)

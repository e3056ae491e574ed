"""Where the 2-D Fourier transform of the logits over (a, b) has its power."""

import pandas as pd

from interp.probes.fourier.logit_components import logit_components
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def logit_cells(snapshot: Snapshot) -> pd.DataFrame:
    """Share of the logits' power over (a, b), by kind of 2-D Fourier component.

    A clock has all of it in quadratic cells. Linear cells signal a pizza or memorised structure, cross cells
    memorisation.

    Columns:
        kind: "quadratic" (equal frequency in a and b), "linear" (constant in one of them), "cross" (different
            frequencies); they sum to 1.
        fraction: share of the squared norm without the constant cell, as `logit_components` has it.

    Raises:
        NotApplicable: if the task has no algebra.

    References: Nanda et al. 2023, section 4.2.
    """
    table = snapshot.once(logit_components)
    first, second = table["frequency_first"], table["frequency_second"]
    linear = (first == 0) | (second == 0)
    parts = {"quadratic": (first == second) & ~linear, "linear": linear, "cross": (first != second) & ~linear}
    return pd.DataFrame(
        {"kind": list(parts), "fraction": [table.loc[part, "fraction"].sum() for part in parts.values()]}
    )

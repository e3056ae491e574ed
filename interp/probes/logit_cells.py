"""Where the 2-D Fourier transform of the logits over (a, b) has its power."""

import pandas as pd

from interp import fourier
from interp.snapshots import Snapshot

VERSION = 1


def logit_cells(snapshot: Snapshot) -> pd.DataFrame:
    """Share of the logits' power over (a, b), by kind of 2-D Fourier component.

    A clock has all of it in quadratic cells, four a key frequency. Linear cells signal a pizza or memorised structure,
    cross cells memorisation.

    Columns:
        kind: "quadratic" (equal frequency in a and b), "linear" (constant in one of them), "cross" (different
            frequencies); the three sum to 1. "top_20": the twenty largest cells, whatever their kind.
        fraction: share of the squared norm without the constant cell, summed over answers. The logits are centred for
            each input over the answers.

    Raises:
        NotApplicable: if the task has no algebra.

    References: Nanda et al. 2023, section 4.2.
    """
    logits = snapshot.logit_cube
    n = logits.shape[0]
    power = fourier.transform_2d(logits - logits.mean(-1, keepdim=True)).square().sum(-1)
    power[0, 0] = 0
    total = power.sum()
    k = fourier.frequency_of_component(n).to(power.device)
    same = k[:, None] == k[None, :]
    linear = (k[:, None] == 0) | (k[None, :] == 0)
    parts = {
        "quadratic": power[same & ~linear].sum(),
        "linear": power[linear].sum(),
        "cross": power[~same & ~linear].sum(),
        "top_20": power.flatten().topk(min(20, power.numel())).values.sum(),
    }
    return pd.DataFrame(
        {
            "kind": list(parts),
            "fraction": [(part / total).item() if total > 0 else 0.0 for part in parts.values()],
        }
    )

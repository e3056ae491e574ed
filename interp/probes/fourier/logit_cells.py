"""Where the 2-D Fourier transform of the logits over (a, b) has its power."""

import pandas as pd
import torch

from interp.mathematics.lines import linear_power, quadratic_power
from interp.snapshots.residues import Residues
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

    References: Nanda et al. 2023, section 4.1, figure 4.
    """
    residues = snapshot.once(Residues)
    lines = residues.logit_lines
    quadratic, linear = quadratic_power(lines).sum(), linear_power(lines).sum()
    constant = (residues.n * lines.first.mean(0)).square().sum()
    # Parseval: what is in no other cell. A difference, so that of a perfect clock it is rounding.
    cross = (residues.logit_power - constant - quadratic - linear).clamp_min(0)
    power = torch.stack([quadratic, linear, cross])
    share = power / power.sum().clamp_min(torch.finfo(power.dtype).tiny)
    return pd.DataFrame({"kind": ["quadratic", "linear", "cross"], "fraction": share.cpu().numpy()})

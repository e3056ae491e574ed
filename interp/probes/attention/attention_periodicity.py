"""How much of each head's pattern is one frequency, and how much depends on the difference of the operands."""

import pandas as pd
import torch

from interp.mathematics.lines import LineMeans, antisymmetric_power, one_frequency_null, one_frequency_power
from interp.snapshots.residues import Residues, orders_of_residues
from interp.snapshots.snapshot import Snapshot

VERSION = 2

N_NULL_DRAWS = 19

CONSTANT = 1e-6  # standard deviation of attention below which a pattern is constant: float32 rounding is 6e-8


def attention_periodicity(snapshot: Snapshot) -> pd.DataFrame:
    """The dominant frequency of each head's attention to the first operand, over all pairs (a, b).

    With "=" as the query the pattern is a sigmoid of a score difference, and a head of one frequency has attention
    close to 0.5 + alpha (cos wa - cos wb) + beta (sin wa - sin wb). That form is not a function of a-b: its mean over
    the pairs of one difference is 0.5, and its difference fraction 0. A fraction near 1 says nothing about how far
    attention moves: see `attention_patterns` for the spread.

    Columns:
        layer, head.
        frequency: the k that explains most; 0 where the pattern is the same for all pairs.
        fraction_explained: share of the pattern's variance in the eight non-constant products of {1, cos w_k a,
            sin w_k a} and {1, cos w_k b, sin w_k b}; NaN where the pattern is constant, as are the next three.
        null: what the best frequency explains after the residues of both operands were given random names, the most of
            19 draws (5 % level); infinite for n < 7.
        difference_fraction: share of the variance that is a function of a-b alone.
        linear_fraction: share of the variance in (cos w_k a - cos w_k b) and (sin w_k a - sin w_k b) at that k.

    Raises:
        NotApplicable: if the task has no algebra or the network no attention.

    References: Nanda et al. 2023, appendix C.1 (attention heads approximated by one frequency).
    """
    to_first = snapshot.once(Residues).table(snapshot.pattern[..., 0]).cpu().double()
    n, _, n_layers, n_heads = to_first.shape
    pattern = to_first.reshape(n, n, -1)
    pattern = pattern - pattern.mean((0, 1))
    varies = pattern.square().mean((0, 1)) > CONSTANT**2

    lines = LineMeans.of(pattern)
    names = snapshot.of_task(orders_of_residues)[:N_NULL_DRAWS].cpu()
    best, k = one_frequency_power(lines).max(0)
    total = pattern.square().sum((0, 1))
    columns = {
        "fraction_explained": best / total.clamp_min(torch.finfo(total.dtype).tiny),
        "null": one_frequency_null(pattern, names) / total,
        "difference_fraction": n * lines.differences.square().sum(0) / total,
        "linear_fraction": antisymmetric_power(lines).gather(0, k[None]).squeeze(0) / total,
    }
    return pd.DataFrame(
        {
            "layer": torch.arange(n_layers).repeat_interleave(n_heads).numpy(),
            "head": torch.arange(n_heads).repeat(n_layers).numpy(),
            "frequency": torch.where(varies, k + 1, 0).numpy(),
            **{name: torch.where(varies, x, torch.nan).numpy() for name, x in columns.items()},
        }
    )

"""How many directions each weight matrix uses."""

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.networks.layers import as_matrix
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def weight_spectra(snapshot: Snapshot) -> pd.DataFrame:
    """Spectral norm, stable and effective rank of every weight matrix, by its singular values in float64.

    The heads of an attention weight are taken side by side as one matrix between the residual stream and all heads:
    (d_model, head * d_head) for W_Q, W_K, W_V and (head * d_head, d_model) for W_O. A random matrix has an effective
    rank a little below its smaller side; a circuit of m frequencies tends to 2m in W_E and W_U. The stable rank is
    never above the effective one. Biases are left out.

    Columns:
        matrix: the parameter's name, in alphabetical order.
        spectral_norm: largest singular value.
        stable_rank: sum of squared singular values over the largest squared; from 1 to the rank.
        effective_rank: exp of the entropy of the singular values divided by their sum; from 1 to the rank. Counts
            small singular values for more than the stable rank does. Both ranks are NaN for a matrix of zeros.
        full_rank: the smaller side of the matrix, the most that either rank can be.

    References: Roy and Vetterli 2007, "The effective rank" (entropy of the singular values, not of their squares);
    Rudelson and Vershynin 2007 (stable rank).
    """
    rows = []
    for name, w in sorted(snapshot.weights.items()):
        is_bias = name.rsplit(".", 1)[-1].startswith("b_")  # b_Q has an axis for the heads
        if w.ndim >= 2 and not is_bias:
            values = singular_values(as_matrix(name, w).cpu().double())
            rows.append({"matrix": name, **_ranks(values)})
    columns = ["matrix", "spectral_norm", "stable_rank", "effective_rank", "full_rank"]
    return pd.DataFrame(rows, columns=columns)


def singular_values(matrix: Float[Tensor, "row column"]) -> Float[Tensor, " singular"]:
    """Singular values, descending."""
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    # Those of the triangle are the same, and of a long matrix it is much smaller.
    return torch.linalg.svdvals(torch.linalg.qr(tall, mode="r").R if len(tall) > tall.shape[1] else tall)


def _ranks(values: Float[Tensor, " singular"]) -> dict[str, int | float]:
    largest = values[0].item()
    share = values / values.sum()
    entropy = -torch.special.xlogy(share, share).sum()
    return {
        "spectral_norm": largest,
        "stable_rank": (values / values[0]).square().sum().item(),
        "effective_rank": entropy.exp().item(),
        "full_rank": len(values),
    }

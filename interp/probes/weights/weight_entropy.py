"""How evenly the size of each weight matrix is spread over its entries."""

import math

import pandas as pd
import torch

from interp.snapshots.snapshot import Snapshot

VERSION = 1


def weight_entropy(snapshot: Snapshot) -> pd.DataFrame:
    """Absolute weight entropy of every parameter and of all together, as it stands in the paper and free of scale.

    The paper's H = -sum |w| log |w| is no entropy of a distribution: c w has c H - c log(c) sum |w|, so that it follows
    the norm, and where all weights are small it rises with their number times their size. Divided by sum |w| first,
    what is left is how evenly the size is spread, whatever the norm; that can move the other way. Both are of
    coordinates: a rotation within a layer that leaves the function as it is changes them.

    Columns:
        matrix: the parameter's name, in alphabetical order, biases too; "total" (all as one vector) in the last row.
        n_parameters: n, numbers in it.
        l1: sum |w|.
        absolute_entropy: -sum |w| log |w|, nats; weights of 0 add nothing. Negative where weights above 1 prevail.
        entropy: -sum q log q of q = |w| / sum |w|, from 0 (one weight) to log n; NaN where all weights are 0.
        effective_share: exp(entropy) / n, about the share of weights that hold the size; from 1/n to 1.

    References: Golechha 2024, "Progress measures for grokking on real-world tasks" (absolute weight entropy); the
    entropy of shares, and its exponential as a number, as Roy and Vetterli 2007 have it of singular values.
    """
    rows = [_row(name, w) for name, w in sorted(snapshot.weights.items())]
    table = pd.DataFrame(rows)
    l1 = float(table["l1"].sum())
    # Of the whole by its parts: entropy between the matrices, and within each by its share.
    share = table["l1"] / l1 if l1 else table["l1"] * math.nan
    within = (share * (table["entropy"].fillna(0) - share.where(share > 0, 1).map(math.log))).sum()
    total = {
        "matrix": "total",
        "n_parameters": int(table["n_parameters"].sum()),
        "l1": l1,
        "absolute_entropy": float(table["absolute_entropy"].sum()),
        "entropy": float(within) if l1 else math.nan,
    }
    table = pd.DataFrame([*rows, total])
    table["effective_share"] = table["entropy"].map(math.exp) / table["n_parameters"]
    return table


def _row(name: str, w: torch.Tensor) -> dict:
    # float64 on the CPU, as in weight_norms.
    size = w.cpu().double().abs()
    l1 = size.sum()
    share = size / l1
    return {
        "matrix": name,
        "n_parameters": w.numel(),
        "l1": l1.item(),
        "absolute_entropy": -torch.special.xlogy(size, size).sum().item(),
        "entropy": -torch.special.xlogy(share, share).sum().item(),
    }

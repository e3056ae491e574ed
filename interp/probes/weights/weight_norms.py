"""How large each weight is, and which share of the squared norm it holds."""

import pandas as pd
import torch

from interp.snapshots.snapshot import Snapshot

VERSION = 1


def weight_norms(snapshot: Snapshot) -> pd.DataFrame:
    """L2 norm of every parameter and of all together, biases and the row of "=" included.

    The total falls through cleanup under weight decay. In a network with LayerNorm the norm of most weights does not
    change the function, so that a falling norm need not mean a simpler one.

    Columns:
        matrix: the parameter's name, in alphabetical order; "total" (all parameters as one vector) in the last row.
        n_parameters: numbers in it.
        l2: square root of the sum of squares.
        sum_of_squares: what weight decay acts on, and what Nanda et al. plot.
        share: sum_of_squares over that of all parameters, in [0, 1]; 0 throughout where all weights are 0.

    References: Nanda et al. 2023, figure 7 (sum of squared weights over all parameters).
    """
    rows = [_row(name, w.numel(), _sum_of_squares(w)) for name, w in sorted(snapshot.weights.items())]
    table = pd.DataFrame(rows)
    total = _row("total", int(table["n_parameters"].sum()), float(table["sum_of_squares"].sum()))
    table = pd.DataFrame([*rows, total])
    table["share"] = table["sum_of_squares"] / (total["sum_of_squares"] or 1.0)
    return table


def _sum_of_squares(w: torch.Tensor) -> float:
    # float64 on the CPU: mps has none, and sums of 10^5 squares in float32 err in the seventh digit.
    return w.cpu().double().square().sum().item()


def _row(name: str, n_parameters: int, sum_of_squares: float) -> dict:
    return {
        "matrix": name,
        "n_parameters": n_parameters,
        "l2": sum_of_squares**0.5,
        "sum_of_squares": sum_of_squares,
    }

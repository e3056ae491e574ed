"""How far the weights have moved from where they began, from where they end, and since the checkpoint before."""

import math

import pandas as pd
import torch
from torch import Tensor

from interp.networks.config import Weights
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1
DEPENDS_ON_RUN = True  # reads the first, the last and the previous checkpoint


def weight_distances(snapshot: Snapshot) -> pd.DataFrame:
    """Distance, relative change and cosine to the first and to the last checkpoint, and the update since the previous.

    The initialization is the first saved checkpoint: of an imported run this need not be step 0. The end is the last
    saved one, wherever the run stands. Updates between checkpoints at unequal distances do not compare: divide by
    `update_steps`, and even so a zigzag is shorter than its path.

    Columns:
        matrix: the parameter's name, in alphabetical order; "total" (all parameters as one vector) in the last row.
        initial_distance: norm of the difference to the first checkpoint.
        initial_relative_change: that, over the norm at the first checkpoint; infinite or NaN where that is 0 (biases).
        initial_cosine: cosine of the angle between the weights now and at the first checkpoint; NaN where one is 0.
        final_distance, final_relative_change, final_cosine: the same to the last checkpoint.
        update_norm: norm of the difference to the saved checkpoint before; NaN at the first.
        update_steps: steps since then; 0 at the first.

    Raises:
        NotApplicable: if the snapshot does not belong to a run.

    References: Kumar et al. 2024 and Lyu et al. 2024 (change and direction since the initialization).
    """
    run = snapshot.run
    if run is None:
        raise NotApplicable(
            "Weight distances need a run to compare checkpoints of; this snapshot was made by hand. Use "
            "Snapshot.of(run, step)."
        )
    before = max((s for s in run.steps if s < snapshot.step), default=None)
    now = _double(snapshot.weights)
    first, last = (_double(run.step_weights(run.steps[i])) for i in (0, -1))
    previous = None if before is None else _double(run.step_weights(before))
    rows = []
    for name in [*now, None]:
        row: dict[str, str | float] = {"matrix": name or "total"}
        for kind, other in (("initial", first), ("final", last)):
            row |= {f"{kind}_{key}": value for key, value in _compare(now, other, name).items()}
        row["update_norm"] = math.nan if previous is None else _norm(_difference(now, previous, name))
        row["update_steps"] = 0 if before is None else snapshot.step - before
        rows.append(row)
    return pd.DataFrame(rows)


def _double(weights: Weights) -> Weights:
    return {name: w.cpu().double() for name, w in sorted(weights.items())}


def _part(weights: Weights, name: str | None) -> list[Tensor]:
    return list(weights.values()) if name is None else [weights[name]]


def _difference(now: Weights, other: Weights, name: str | None) -> list[Tensor]:
    return [w - other[n] for n, w in now.items() if name in (None, n)]


def _norm(parts: list[Tensor]) -> float:
    return math.sqrt(sum(w.square().sum().item() for w in parts))


def _compare(now: Weights, other: Weights, name: str | None) -> dict[str, float]:
    distance = torch.tensor(_norm(_difference(now, other, name)), dtype=torch.float64)
    norm_now = torch.tensor(_norm(_part(now, name)), dtype=torch.float64)
    norm_other = torch.tensor(_norm(_part(other, name)), dtype=torch.float64)
    product = sum((w * other[n]).sum() for n, w in now.items() if name in (None, n))
    return {
        "distance": distance.item(),
        "relative_change": (distance / norm_other).item(),  # tensors: 0/0 is NaN, not an exception
        "cosine": (product / (norm_now * norm_other)).item(),
    }

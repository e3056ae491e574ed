"""How far the weights have moved from where they began, from where they end, and since the checkpoint before."""

import numpy as np
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
    columns: dict[str, np.ndarray] = {}
    for kind, step in (("initial", run.steps[0]), ("final", run.steps[-1])):
        columns |= {f"{kind}_{key}": x for key, x in _compare(now, _double(run.step_weights(step))).items()}
    update = np.full(len(now) + 1, np.nan)
    if before is not None:
        update = _norms(_squares(now, _double(run.step_weights(before))))
    return pd.DataFrame(
        {
            "matrix": [*now, "total"],
            **columns,
            "update_norm": update,
            "update_steps": 0 if before is None else snapshot.step - before,
        }
    )


def _double(weights: Weights) -> Weights:
    return {name: w.cpu().double() for name, w in sorted(weights.items())}


def _compare(now: Weights, other: Weights) -> dict[str, np.ndarray]:
    """Distance, relative change and cosine of each matrix, and of all as one vector."""
    distance = _norms(_squares(now, other))
    norm_now, norm_other = (_norms([_product(w, w) for w in x.values()]) for x in (now, other))
    products = _with_total([_product(w, other[name]) for name, w in now.items()])
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "distance": distance,
            "relative_change": distance / norm_other,
            "cosine": products / (norm_now * norm_other),
        }


def _squares(now: Weights, other: Weights) -> list[float]:
    return [_product(d, d) for d in (w - other[name] for name, w in now.items())]


def _product(a: Tensor, b: Tensor) -> float:
    return torch.dot(a.flatten(), b.flatten()).item()


def _with_total(numbers: list[float]) -> np.ndarray:
    return np.array([*numbers, sum(numbers)])


def _norms(squares: list[float]) -> np.ndarray:
    return np.sqrt(_with_total(squares))

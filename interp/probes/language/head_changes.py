"""How far each head and each MLP has moved since another checkpoint."""

from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1
# Reads the checkpoint that is named.
DEPENDS_ON_RUN = True


def head_changes(snapshot: Snapshot, *, since: int | None = None) -> pd.DataFrame:
    """Relative change of what each head and each MLP computes with, from another checkpoint to this one.

    Of a head the two products that its function depends on: W_Q W_K^T, where it attends, and W_V W_O, what it moves. A
    rotation of the space between the factors changes neither. A large change says where training was at work, not that
    it mattered: compare with other checkpoints as far apart.

    Args:
        since: the other step; without one the probe does not apply.

    Columns:
        layer: of the head or the MLP.
        head: -1 for the MLP.
        part: "QK", "OV" or "MLP" (both matrices as one vector).
        change: Frobenius norm of the difference over that at the other checkpoint; infinite where that is 0.
        norm: Frobenius norm now.

    Raises:
        NotApplicable: if no step is named, the snapshot belongs to no run, or its model has no attention.
        RunError: if that step was not saved.

    References: Elhage et al. 2021, "A mathematical framework for transformer circuits" (QK and OV circuits).
    """
    if since is None:
        raise NotApplicable(
            "head_changes needs a step to compare with: functools.partial(head_changes, since=STEP)."
        )
    if snapshot.run is None:
        raise NotApplicable(
            "head_changes needs a run to compare checkpoints of; this snapshot was made by hand."
        )
    now, then = snapshot.model, snapshot.run.model(since)
    if not hasattr(now, "W_Q"):
        raise NotApplicable("This network has no attention.")
    rows = []
    for layer in range(len(now.W_Q)):
        for part, left, right in (("QK", "W_Q", "W_K"), ("OV", "W_V", "W_O")):
            a, b = (_products(model, left, right, layer) for model in (now, then))
            rows += [(layer, head, part, *_moved(x, y)) for head, (x, y) in enumerate(zip(a, b, strict=True))]
        mlp, former = _mlp(now, layer), _mlp(then, layer)
        if mlp is not None and former is not None:
            rows.append((layer, -1, "MLP", *_moved(mlp, former)))
    return pd.DataFrame(rows, columns=["layer", "head", "part", "change", "norm"])


def _products(model: Any, left: str, right: str, layer: int) -> list[Float[Tensor, "d_model d_model"]]:
    """The product of each head of a layer."""
    x, y = (getattr(model, name)[layer].detach().cpu().double() for name in (left, right))
    # Fewer keys and values than queries: several heads share one.
    y_of = len(x) // len(y)
    return [w @ (y[i // y_of].T if right == "W_K" else y[i // y_of]) for i, w in enumerate(x)]


def _mlp(model: Any, layer: int) -> Float[Tensor, " weight"] | None:
    found = []
    for name in ("W_in", "W_out"):
        try:
            found.append(getattr(model, name)[layer].detach().cpu().double().flatten())
        except (AttributeError, IndexError):
            return None
    return torch.cat(found)


def _moved(now: Tensor, then: Tensor) -> tuple[float, float]:
    before = torch.linalg.vector_norm(then).item()
    moved = torch.linalg.vector_norm(now - then).item()
    change = moved / before if before else (float("inf") if moved else 0.0)
    return change, torch.linalg.vector_norm(now).item()

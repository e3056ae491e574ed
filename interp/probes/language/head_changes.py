"""How far each head and each MLP has moved since another checkpoint."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 3
# Reads the checkpoint that is named.
DEPENDS_ON_RUN = True

Factors = tuple[Float[Tensor, "d_model d_head"], Float[Tensor, "d_model d_head"]]


def head_changes(snapshot: Snapshot, *, since: int | None = None) -> pd.DataFrame:
    """Relative change of what each head and each MLP computes with, from another checkpoint to this one.

    Of a head two products: W_Q W_K^T, where it attends, and W_V W_O, what it moves. A rotation of the space between the
    factors changes neither of them, and with learned positions nothing that the head does. With rotary positions W_Q
    W_K^T says where it attends at distance 0 alone: queries and keys that turn together across the planes of the
    rotation attend elsewhere and are not seen to change here. A large change says where training was at work, not that
    it mattered: compare with other checkpoints as far apart.

    Args:
        since: the other step; without one the probe does not apply.

    Columns:
        layer: of the head or the MLP.
        head: -1 for the MLP.
        part: "QK", "OV" or "MLP" (W_in, W_out and the gate of a gated one as one vector).
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
    for part, left, right in (("QK", "W_Q", "W_K"), ("OV", "W_V", "W_O")):
        # A view of a model of Hugging Face lays all its layers side by side, each time that it is asked for.
        lefts, rights = ([getattr(model, name) for model in (now, then)] for name in (left, right))
        for layer in range(len(lefts[0])):
            heads = zip(
                *(_factors(x[layer], y[layer], part) for x, y in zip(lefts, rights, strict=True)), strict=True
            )
            rows += [(layer, head, part, *_moved(*factors)) for head, factors in enumerate(heads)]
    rows += [(layer, -1, "MLP", *found) for layer, found in enumerate(_mlps_moved(now, then))]
    table = pd.DataFrame(rows, columns=["layer", "head", "part", "change", "norm"])
    return table.sort_values("layer", kind="stable", ignore_index=True)


def _factors(left: Tensor, right: Tensor, part: str) -> Iterator[Factors]:
    """The factors of each head of a layer, whose product is the first times the second transposed."""
    # Fewer keys and values than queries: several heads share one.
    n = max(len(left), len(right))
    for head in range(n):
        x, y = (w[head * len(w) // n].detach().cpu().double() for w in (left, right))
        yield x, (y if part == "QK" else y.mT)


def _moved(now: Factors, then: Factors) -> tuple[float, float]:
    """Relative change of a product and its norm, from its factors: the product itself is of d_model x d_model."""
    (a, b), (former_a, former_b) = now, then
    # The difference of two products as one, whose factors vanish with it.
    difference = norm_of_product(torch.cat([a - former_a, former_a], 1), torch.cat([b, b - former_b], 1))
    return _relative(difference, norm_of_product(former_a, former_b)), norm_of_product(a, b)


def norm_of_product(a: Float[Tensor, "row inner"], b: Float[Tensor, "column inner"]) -> float:
    """Frobenius norm of a b^T, in the space between: orthogonal factors from the left and the right change no norm."""
    small = (torch.linalg.qr(x, mode="r").R for x in (a, b))
    left, right = small
    return torch.linalg.matrix_norm(left @ right.mT).item()


def _mlps_moved(now: Any, then: Any) -> list[tuple[float, float]]:
    """Relative change of all weights of each MLP and their norm; none where there are none by these names."""
    try:
        both = [(getattr(now, name), getattr(then, name)) for name in ("W_in", "W_out")]
    except AttributeError:
        return []
    if getattr(now, "W_gate", None) is not None:
        both.append((now.W_gate, then.W_gate))
    found = []
    for layer in range(len(both[0][0])):
        x, y = (
            torch.cat([pair[k][layer].detach().cpu().double().flatten() for pair in both]) for k in (0, 1)
        )
        before = y.norm().item()
        found.append((_relative((x - y).norm().item(), before), x.norm().item()))
    return found


def _relative(moved: float, before: float) -> float:
    return moved / before if before else (float("inf") if moved else 0.0)

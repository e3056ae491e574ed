"""What is recorded along a branch and what rules steer by: norms of tensors, of updates, the margin of the logits.

A rule that follows a recorded path and the recorder that writes one call the same functions, on the same device and in
the same precision. So an arm that replays its own path divides a number by itself, and its factor is 1 to the last bit.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.networks.config import Weights
from interp.networks.objective import precise


def tensor_norm(w: Tensor) -> Float[Tensor, ""]:
    """Root of the sum of the squares of all entries, float64 (float32 on mps).

    >>> tensor_norm(torch.tensor([[3.0], [4.0]])).item()
    5.0
    """
    return w.to(precise(w.device)).square().sum().sqrt()


def whole_norm(norms: Mapping[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """Norm of all tensors together, from theirs by name."""
    # The order of a sum counts for its last bit, and a file gives weights back in another one.
    return torch.stack([norms[name] for name in sorted(norms)]).square().sum().sqrt()


def norms_of(weights: Mapping[str, Tensor]) -> dict[str, Float[Tensor, ""]]:
    """`tensor_norm` of each."""
    return {name: tensor_norm(w) for name, w in weights.items()}


def update_norm(before: Weights, after: Weights) -> Float[Tensor, ""]:
    """Norm of what an update did to all weights together, weight decay and what rules did included."""
    # Differences of float32 weights are exact in float64 only.
    long = precise(next(iter(before.values())).device)
    return whole_norm(norms_of({name: after[name].to(long) - w.to(long) for name, w in before.items()}))


def mean_margin(
    logits: Float[Tensor, "question output"], labels: Int[Tensor, " question"]
) -> Float[Tensor, ""]:
    """Mean over the questions of the label's logit minus the largest other one, float64 (float32 on mps).

    Raises:
        ValueError: if there is no other output.

    >>> mean_margin(torch.tensor([[1.0, 4.0, 2.0], [0.0, 5.0, 6.0]]), torch.tensor([1, 0])).item()
    -2.0
    """
    if logits.shape[-1] < 2:
        raise ValueError(
            f"A margin needs at least two outputs, got {logits.shape[-1]}. It is the distance to the largest other one."
        )
    of_label = logits.gather(-1, labels[:, None])[:, 0]
    largest_other = logits.scatter(-1, labels[:, None], -torch.inf).amax(-1)
    # Picked as they are, subtracted in float64: the whole table need not be converted.
    return (of_label.to(precise(logits.device)) - largest_other).mean()

"""The trainer's loss as a function of the weights: what the probes of the loss landscape share."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.networks.answers import answer_logits
from interp.networks.config import ModelConfig, Weights
from interp.snapshots.snapshot import NotApplicable, Snapshot


def rows_of(snapshot: Snapshot, split: str) -> tuple[Int[Tensor, "example pos"], Int[Tensor, " example"]]:
    """Tokens and labels of the "train" or the "test" rows, on the snapshot's device.

    Raises:
        NotApplicable: if the run has no task, or no row in this split.
    """
    mask = snapshot.is_train if split == "train" else ~snapshot.is_train
    if not mask.any():
        raise NotApplicable(f"This probe needs {split} rows, and the split of this task has none.")
    return snapshot.known_task.tokens.to(snapshot.device)[mask], snapshot.labels[mask]


def mean_loss(
    config: ModelConfig, tokens: Int[Tensor, "example pos"], labels: Int[Tensor, " example"]
) -> Callable[[Weights], Float[Tensor, ""]]:
    """A function from weights to the mean cross-entropy in nats that the trainer minimises (all d_vocab_out logits).

    log-softmax and mean are in float64 (float32 on mps), whatever the weights are.
    """
    logits = answer_logits(config, tokens)
    dtype = torch.float32 if tokens.device.type == "mps" else torch.float64
    return lambda weights: torch.nn.functional.cross_entropy(logits(weights).to(dtype), labels)


def as_vector(weights: Weights) -> Float[Tensor, " parameter"]:
    """All weights end to end, in the order of the dict."""
    return torch.cat([w.reshape(-1) for w in weights.values()])


def as_weights(vector: Float[Tensor, " parameter"], like: Weights) -> Weights:
    """The inverse of `as_vector`: views of the vector in the names and shapes of `like`."""
    parts = vector.split([w.numel() for w in like.values()])
    return {name: part.view(w.shape) for (name, w), part in zip(like.items(), parts, strict=True)}

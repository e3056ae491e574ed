"""The trainer's loss as a function of the weights: what the probes of the loss landscape share."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from interp.networks import objective
from interp.networks.answers import answer_logits
from interp.networks.config import ModelConfig, Weights
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.task import Questions


def questions_of(snapshot: Snapshot, split: str) -> Questions:
    """The "train" or the "test" questions, on the snapshot's device.

    Raises:
        NotApplicable: if the run has no task, or no question in this split.
    """
    questions = snapshot.known_task.of_split(split)
    if not len(questions.labels):
        raise NotApplicable(f"This probe needs {split} rows, and the split of this task has none.")
    return questions.to(snapshot.device)


def mean_loss(config: ModelConfig, questions: Questions) -> Callable[[Weights], Float[Tensor, ""]]:
    """A function from weights to the mean cross-entropy in nats that the trainer minimises (all outputs).

    log-softmax and mean are in float64 (float32 on mps), whatever the weights are.
    """
    logits, dtype = answer_logits(config, questions), objective.precise(questions.labels.device)
    return lambda weights: objective.loss(logits(weights), questions.labels, dtype)


def as_vector(weights: Weights) -> Float[Tensor, " parameter"]:
    """All weights end to end, in the order of the dict."""
    return torch.cat([w.reshape(-1) for w in weights.values()])


def as_weights(vector: Float[Tensor, " parameter"], like: Weights) -> Weights:
    """The inverse of `as_vector`: views of the vector in the names and shapes of `like`."""
    parts = vector.split([w.numel() for w in like.values()])
    return {name: part.view(w.shape) for (name, w), part in zip(like.items(), parts, strict=True)}

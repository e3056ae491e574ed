"""One definition of loss and accuracy, used by the trainer, the probes and the checks.

Three choices, stated wherever a number is made of logits:

- Which logits count: all outputs that the network has. A trainer's softmax runs over all of them, and an answer that
  is no residue ("=", another token of the vocabulary) is a wrong answer. Only what is defined over the named answers
  (Fourier and group probes) looks at the first `n_answers` alone, and says so.
- Precision: log-softmax and mean in the stated dtype. In float32 a loss below about 1e-7 is rounding; recorded and
  probed losses are float64.
- Weighting: every question counts the same.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def precise(device: torch.device | str) -> torch.dtype:
    """float64, or float32 on devices without it (mps)."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def loss(
    logits: Float[Tensor, "question output"], labels: Int[Tensor, " question"], dtype: torch.dtype
) -> Float[Tensor, ""]:
    """Mean cross-entropy over the questions, nats, differentiable."""
    return torch.nn.functional.cross_entropy(logits.to(dtype), labels)


def losses(
    logits: Float[Tensor, "question output"], labels: Int[Tensor, " question"], dtype: torch.dtype
) -> Float[Tensor, " question"]:
    """Cross-entropy of each question, nats; `loss` is their mean."""
    return torch.nn.functional.cross_entropy(logits.to(dtype), labels, reduction="none")


def is_right(
    logits: Float[Tensor, "question output"], labels: Int[Tensor, " question"]
) -> Bool[Tensor, " question"]:
    """Whether the largest logit is the label's; of equal ones the first counts."""
    return logits.argmax(-1) == labels


def scores(logits: Float[Tensor, "question output"], labels: Int[Tensor, " question"]) -> dict[str, float]:
    """ "loss" (in float64) and "accuracy" over the questions, as recorded along a run and compared by the checks."""
    dtype = precise(logits.device)
    return {
        "loss": loss(logits, labels, dtype).item(),
        "accuracy": is_right(logits, labels).to(dtype).mean().item(),
    }

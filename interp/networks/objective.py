"""One definition of loss and accuracy, used by the trainer, the probes and the checks.

Three choices, stated wherever a number is made of logits:

- Which logits count: all outputs that the network has. A trainer's softmax runs over all of them, and an answer that
  is no residue ("=", another token of the vocabulary) is a wrong answer. Only what is defined over the named answers
  (Fourier and group probes) looks at the first `n_answers` alone, and says so.
- Precision: log-softmax and mean in the stated dtype. In float32 a loss below about 1e-7 is rounding; recorded and
  probed losses are float64. In float16 the losses of the questions are taken in it and their mean is accumulated in
  float32, since a sum over a few thousand questions would overflow.
- Weighting: every question counts the same.

What training minimises may be another function of the logits (`Kind`). What is recorded and probed stays
cross-entropy, so that runs can be compared whatever they minimised.

- "squared-error": sum over all outputs of the squared distance to the one-hot label, mean over the questions. No half
  and no mean over outputs: torch's MSELoss, which Liu et al. 2022 ("Omnigrok") minimise, is this divided by the number
  of outputs, and a gradient that many times smaller meets Adam's eps that much earlier.
- "hinge": max(0, 1 - (logit of the label - the largest other logit)), the multi-class hinge of Crammer and Singer. Of
  two outputs f(x) is the difference of their logits, and this is the hinge max(0, 1 - y f(x)) of Barak et al. 2022 and
  Merrill et al. 2023. A question with a margin of 1 has no gradient at all.
- "stablemax": as cross-entropy, of probabilities s(x) / sum of s with s(x) = x + 1 for x >= 0 and 1 / (1 - x) below,
  in place of exp. It grows linearly, so that no probability rounds to 1, and it depends on a shift of all logits.

References: Prieto et al. 2025, "Grokking at the edge of numerical stability" (StableMax); Crammer and Singer 2001, "On
the algorithmic implementation of multiclass kernel-based vector machines" (hinge).
"""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.ground.judged import PREDICTABLE

Kind = Literal["cross-entropy", "squared-error", "stablemax", "hinge"]


def precise(device: torch.device | str) -> torch.dtype:
    """float64, or float32 on devices without it (mps)."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def loss(
    logits: Float[Tensor, "question output"],
    labels: Int[Tensor, " question"],
    dtype: torch.dtype,
    kind: Kind = "cross-entropy",
) -> Float[Tensor, ""]:
    """Mean over the questions, differentiable; cross-entropy and StableMax in nats."""
    if kind == "cross-entropy" and dtype != torch.float16:
        return torch.nn.functional.cross_entropy(logits.to(dtype), labels)
    return losses(logits, labels, dtype, kind).mean()


def losses(
    logits: Float[Tensor, "question output"],
    labels: Int[Tensor, " question"],
    dtype: torch.dtype,
    kind: Kind = "cross-entropy",
) -> Float[Tensor, " question"]:
    """What each question adds to the `loss`, which is their mean."""
    x = logits.to(dtype)
    if kind == "cross-entropy":
        return torch.nn.functional.cross_entropy(x, labels, reduction="none")
    if kind == "squared-error":
        return (x - torch.nn.functional.one_hot(labels, x.shape[-1])).square().sum(-1)
    if kind == "hinge":
        right = x.gather(-1, labels[:, None])[:, 0]
        return torch.relu(1 - (right - x.scatter(-1, labels[:, None], -torch.inf).amax(-1)))
    # In logarithms, each branch on its own side of zero: 1 / (1 - x) has a pole on the other.
    above, below = 1 + x.clamp(min=0), 1 - x.clamp(max=0)
    log_s = torch.where(x >= 0, above.log(), -below.log())
    total = torch.where(x >= 0, above, 1 / below).sum(-1)
    return total.log() - log_s.gather(-1, labels[:, None])[:, 0]


def is_right(
    logits: Float[Tensor, "question output"], labels: Int[Tensor, " question"]
) -> Bool[Tensor, " question"]:
    """Whether the largest logit is the label's; of equal ones the first counts."""
    return logits.argmax(-1) == labels


def scores(
    logits: Float[Tensor, "question output"],
    labels: Int[Tensor, " question"],
    is_judged: Bool[Tensor, " question"] | None = None,
) -> dict[str, float]:
    """ "loss" (in float64) and "accuracy" over the questions, as recorded along a run and compared by the checks.

    Args:
        is_judged: questions whose answers can be foreseen, where not all can: "predictable_accuracy" is over them.
    """
    dtype = precise(logits.device)
    is_hit = is_right(logits, labels).to(dtype)
    found = {"loss": loss(logits, labels, dtype).item(), "accuracy": is_hit.mean().item()}
    if is_judged is not None and is_judged.any():
        found[f"{PREDICTABLE}_accuracy"] = is_hit[is_judged].mean().item()
    return found

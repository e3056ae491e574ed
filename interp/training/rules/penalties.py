"""Rules that add to the loss: the spectral entropy of the weights, and its sham in a random direction."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.ground.plain_text import shown
from interp.networks.config import Weights
from interp.networks.layers import as_matrix
from interp.training.rules.base import Now, Rule
from interp.training.rules.bounds import check_chosen, check_fields, chosen, of_weight
from interp.training.rules.recorded import tensor_norm, whole_norm


def spectral_entropy(w: Float[Tensor, "row column"]) -> Float[Tensor, ""]:
    """Entropy of the singular values of a matrix divided by their sum, nats, differentiable.

    From 0 (rank one) to the log of the rank; singular values of zero do not count. Does not depend on the norm.

    >>> round(spectral_entropy(torch.eye(4)).exp().item(), 4)
    4.0
    """
    values = torch.linalg.svdvals(w)
    share = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)
    # The logarithm of 1 where a value is rounding, so that its slope is not infinite there.
    counts = share > torch.finfo(values.dtype).eps
    return -(share * torch.where(counts, share, 1.0).log()).sum()


@dataclass(frozen=True, kw_only=True)
class SpectralEntropy(Rule):
    """The loss plus a multiple of the spectral entropy, summed over the matrices.

    Drives the weights to few singular values without asking for a norm. Controls the entropy. Laws: the entropy of a
    rank-one matrix is 0, of n equal singular values ln n, whatever the norm; strength 0 adds nothing, bit for bit.

    Records: spectral_entropy, the sum over the matrices, nats.

    Attributes:
        strength: of the entropy in the loss (beta of the paper).
        parts: parts or weights; all matrices by default. Vectors have no spectrum and do not count. The heads of W_Q,
            W_K and W_V stand side by side in one matrix, those of W_O below each other.

    References: DeMoss et al. 2024, "The complexity dynamics of grokking" (singular values over their sum, not squares).
    """

    kind: Literal["spectral-entropy"] = "spectral-entropy"
    strength: float
    parts: tuple[str, ...] = ()

    def __post_init__(self):
        check_fields(self, strength=(0, math.inf))

    def check(self, weights: Weights, recipe: object) -> None:
        _check_matrices(self, self.parts, weights)

    def penalty(self, weights: Weights, now: Now) -> Float[Tensor, ""] | None:
        if self.strength == 0:
            return None
        entropy = _summed(self.parts)(weights)
        now.records["spectral_entropy"] = entropy.detach()
        return self.strength * entropy


@dataclass(frozen=True, kw_only=True)
class RandomPenalty(Rule):
    """A penalty whose gradient has the size of that of `SpectralEntropy` here and now, in a random direction.

    The gradient of the entropy penalty is computed, and a linear function of the weights is added whose gradient has
    its norm, tensor by tensor, along a direction that the seed fixes for the whole branch. Laws: that equality, to
    float rounding; strength 0 adds nothing, bit for bit.

    Records: spectral_entropy, as of `SpectralEntropy`; penalty_gradient, norm of the gradient that was added.

    Attributes:
        strength, parts: of the entropy penalty whose size it has.
        seed: of the direction.
    """

    kind: Literal["random-penalty"] = "random-penalty"
    strength: float
    parts: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self):
        check_fields(self, strength=(0, math.inf))

    def check(self, weights: Weights, recipe: object) -> None:
        _check_matrices(self, self.parts, weights)

    def penalty(self, weights: Weights, now: Now) -> Float[Tensor, ""] | None:
        if self.strength == 0:
            return None
        fixed = {name: weights[name].detach() for name in _matrices(self.parts, weights)}
        slopes, entropy = torch.func.grad_and_value(_summed(self.parts))(fixed)
        terms, norms = [], {}
        for name, slope in slopes.items():
            direction = torch.randn(slope.shape, generator=of_weight(self.seed, name)).to(slope)
            norms[name] = self.strength * tensor_norm(slope)
            slope = direction * (norms[name] / tensor_norm(direction)).to(slope.dtype)
            terms.append((slope.detach() * weights[name]).sum())
        now.records["spectral_entropy"] = entropy.detach()
        now.records["penalty_gradient"] = whole_norm(norms).detach()
        return torch.stack(terms).sum()


def _check_matrices(rule: Rule, parts: tuple[str, ...], weights: Weights) -> None:
    """Refuse parts that hold no matrix."""
    check_chosen(rule, parts, tuple(weights))
    if not _matrices(parts, weights):
        raise ValueError(
            f"{type(rule).__name__} needs at least one matrix, got {shown(parts)}. Vectors have no spectrum: name "
            "weights such as embed.W_E, or leave the parts out for all matrices."
        )


def _matrices(parts: tuple[str, ...], weights: Weights) -> tuple[str, ...]:
    names = chosen(parts, tuple(weights)) if parts else tuple(weights)
    return tuple(name for name in sorted(names) if weights[name].ndim > 1)


def _summed(parts: tuple[str, ...]) -> Callable[[Weights], Tensor]:
    def entropy(weights: Weights) -> Tensor:
        return torch.stack(
            [spectral_entropy(as_matrix(name, weights[name])) for name in _matrices(parts, weights)]
        ).sum()

    return entropy

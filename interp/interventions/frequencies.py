"""Frequencies in weights: keep, remove, scale, or take them from another checkpoint.

Two places. `W_E`: the rows of the operands' tokens, in the order of the algebra. `W_L`, what each neuron adds to each
answer's logit, is no parameter but the product W_out W_U; only W_U has the answers as an axis, and
(W_out W_U) P = W_out (W_U P) for every projection P of answers, so that W_L is edited in W_U's columns. The direct path
from the residual stream to the logits goes through the same columns and is edited with it.

What stays in every edit of this file: all other tensors; rows of tokens that are no residue ("="), residues that the
algebra does not name (0 of a product) and outputs that are no answer; all other frequencies, as far as they are not
named. Neurons and logits are activations: `interp.interventions.activation_frequencies`.

References: Nanda et al. 2023, "Progress measures for grokking via mechanistic interpretability", section 4.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.interventions.bench import Bench
from interp.interventions.parts import (
    TENSOR_OF,
    Place,
    axes,
    check_places,
    cyclic,
    frequency_span,
    grafted_span,
    kept_span,
    rows,
    scaled_span,
)
from interp.mathematics import fourier
from interp.networks.config import Weights


@dataclass(frozen=True, kw_only=True)
class _OfFrequencies:
    """Which frequencies an edit names, and where.

    Raises:
        ValueError: if a place is unknown; from `edit`, if the task is not cyclic, has no such frequency or the network
            no such tensor.
    """

    frequencies: tuple[int, ...]
    where: tuple[Place, ...]

    def __post_init__(self):
        check_places(self.where)

    @property
    def tensors(self) -> tuple[str, ...]:
        """The tensors that are changed."""
        return tuple(TENSOR_OF[place] for place in self.where)


@dataclass(frozen=True, kw_only=True)
class KeepFrequencies(_OfFrequencies):
    """Only these frequencies stay.

    Attributes:
        constant: whether the mean over the tokens (or answers) stays with them. It acts as a bias: without it, the loss
            of a bias is mixed with that of the frequencies.
    """

    constant: bool = True
    kind: Literal["keep-frequencies"] = "keep-frequencies"

    untouched: ClassVar[str] = (
        "the named frequencies, the mean if constant, tokens that are no residue, other tensors"
    )

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        basis = frequency_span(bench, self.frequencies)
        return kept_span(weights, bench, self.where, basis, float(self.constant))


@dataclass(frozen=True, kw_only=True)
class RemoveFrequencies(_OfFrequencies):
    """Everything but these frequencies stays."""

    kind: Literal["remove-frequencies"] = "remove-frequencies"

    untouched: ClassVar[str] = "the other frequencies, the mean, tokens that are no residue, other tensors"

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        return scaled_span(weights, bench, self.where, frequency_span(bench, self.frequencies), 0.0)


@dataclass(frozen=True, kw_only=True)
class ScaleFrequencies(_OfFrequencies):
    """The amplitude of these frequencies times a factor."""

    factor: float
    kind: Literal["scale-frequencies"] = "scale-frequencies"

    untouched: ClassVar[str] = "the other frequencies, the mean, tokens that are no residue, other tensors"

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        return scaled_span(weights, bench, self.where, frequency_span(bench, self.frequencies), self.factor)


@dataclass(frozen=True, kw_only=True)
class GraftFrequencies(_OfFrequencies):
    """These frequencies as a donor has them: set back by an earlier checkpoint, ahead by a later one.

    Attributes:
        donor: its name on the bench.

    Raises:
        ValueError: if there is no such donor, or it has other shapes.
    """

    donor: str
    kind: Literal["graft-frequencies"] = "graft-frequencies"

    untouched: ClassVar[str] = "the other frequencies, the mean, tokens that are no residue, other tensors"

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        return grafted_span(weights, bench, self.where, frequency_span(bench, self.frequencies), self.donor)


def frequency_norms(weights: Weights, bench: Bench, place: Place) -> Float[Tensor, " frequency"]:
    """Norm of each frequency k = 1 .. n//2 in a place, over both operands where they have tokens of their own.

    Raises:
        ValueError: if the task is not cyclic or the network has no such tensor.
    """
    cyclic(bench)
    powers = [fourier.power(rows(weights, axis)).sum(1) for axis in axes(bench, place)]
    return torch.stack(powers).sum(0).sqrt()[1:]

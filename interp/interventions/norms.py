"""Norms of tensors, once: their directions stay. Holding a norm along training is a rule, not an edit."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch

from interp.interventions.bench import Bench, chosen_tensors
from interp.networks.config import Weights


@dataclass(frozen=True, kw_only=True)
class ScaleNorms:
    """Tensors times a factor.

    Attributes:
        tensors: their names; all where none is named, biases too.

    Raises:
        ValueError: if the factor is not finite; from `edit`, if a tensor is unknown.
    """

    factor: float
    tensors: tuple[str, ...] = ()
    kind: Literal["scale-norms"] = "scale-norms"

    untouched: ClassVar[str] = "the direction of every tensor, and the tensors that are not named"

    def __post_init__(self):
        if not math.isfinite(self.factor):
            raise ValueError(f"Scaling norms needs a finite factor, got {self.factor}. 1 changes nothing.")

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        return {
            **weights,
            **{name: self.factor * weights[name] for name in chosen_tensors(weights, self.tensors)},
        }


@dataclass(frozen=True, kw_only=True)
class TakeNorms:
    """Each tensor rescaled to the norm that a donor's has.

    Attributes:
        donor: its name on the bench.
        tensors: their names; all where none is named. A tensor of zeros stays.

    Raises:
        ValueError: from `edit`, if a tensor is unknown, the donor missing or of another network.
    """

    donor: str
    tensors: tuple[str, ...] = ()
    kind: Literal["take-norms"] = "take-norms"

    untouched: ClassVar[str] = "the direction of every tensor, and the tensors that are not named"

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        names = chosen_tensors(weights, self.tensors)
        donor = bench.donor(self.donor, weights, names)
        out = dict(weights)
        for name in names:
            own, wanted = (float(torch.linalg.vector_norm(w[name].double())) for w in (weights, donor))
            if own:
                out[name] = wanted / own * weights[name]
        return out

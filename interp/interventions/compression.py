"""Weights written with less: fewer singular values, fewer levels, fewer entries.

Each is a projection: done again it changes nothing.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from interp.ground.choices import check_choices
from interp.interventions.bench import Bench, chosen_tensors
from interp.networks.config import Weights


@dataclass(frozen=True, kw_only=True)
class LowRank:
    """Matrices cut to their largest singular values, attention head by head.

    Attributes:
        rank: singular values that stay; matrices of no larger rank stay as they are.
        tensors: their names; all matrices where none is named.

    Raises:
        ValueError: if the rank is negative; from `edit`, if a tensor is unknown.
    """

    rank: int
    tensors: tuple[str, ...] = ()
    kind: Literal["low-rank"] = "low-rank"

    untouched: ClassVar[str] = (
        "the leading singular directions, biases and norms, the tensors that are not named"
    )

    def __post_init__(self):
        if self.rank < 0:
            raise ValueError(
                f"A low rank needs to be at least 0, got {self.rank}. It counts singular values."
            )

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        names = chosen_tensors(weights, self.tensors)
        matrices = [n for n in names if weights[n].ndim > 1 and min(weights[n].shape[-2:]) > self.rank]
        return {**weights, **{name: self._cut(weights[name]) for name in matrices}}

    def _cut(self, w: Tensor) -> Tensor:
        u, s, v = torch.linalg.svd(w.double(), full_matrices=False)
        r = self.rank
        return ((u[..., :r] * s[..., None, :r]) @ v[..., :r, :]).to(w.dtype)


@dataclass(frozen=True, kw_only=True)
class Quantize:
    """Each tensor rounded to 2^bits - 1 evenly spaced values from minus to plus its largest entry.

    Raises:
        ValueError: if there are fewer than 2 bits or more than 24; from `edit`, if a tensor is unknown.
    """

    bits: int
    tensors: tuple[str, ...] = ()
    kind: Literal["quantize"] = "quantize"

    untouched: ClassVar[str] = "the largest entry of each tensor, zeros, the tensors that are not named"

    def __post_init__(self):
        if not 2 <= self.bits <= 24:
            raise ValueError(
                f"Quantizing needs 2 to 24 bits, got {self.bits}. One bit has no zero between its two values, and "
                "float32 holds no more than 24."
            )

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        names = chosen_tensors(weights, self.tensors)
        return {**weights, **{name: self._rounded(weights[name]) for name in names if weights[name].any()}}

    def _rounded(self, w: Tensor) -> Tensor:
        largest = w.double().abs().max()
        n_levels = 2 ** (self.bits - 1) - 1
        return ((w.double() / largest * n_levels).round() / n_levels * largest).to(w.dtype)


@dataclass(frozen=True, kw_only=True)
class Prune:
    """The entries of smallest magnitude set to zero.

    Attributes:
        share: of the entries that become zero (rounded down), from 0 to 1.
        within: "network" compares entries of all chosen tensors, "tensor" cuts the same share of each.

    Raises:
        ValueError: if the share is outside, or `within` no such word; from `edit`, if a tensor is unknown.
    """

    share: float
    within: Literal["network", "tensor"]
    tensors: tuple[str, ...] = ()
    kind: Literal["prune"] = "prune"

    untouched: ClassVar[str] = "the largest entries, the tensors that are not named"

    def __post_init__(self):
        check_choices(self)
        if not 0 <= self.share <= 1:
            raise ValueError(
                f"Pruning needs a share from 0 to 1, got {self.share}. It is that of the entries cut."
            )

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        names = chosen_tensors(weights, self.tensors)
        if not self.share:
            return dict(weights)
        groups = [names] if self.within == "network" else [(name,) for name in names]
        return {**weights, **{k: w for group in groups for k, w in self._pruned(weights, group).items()}}

    def _pruned(self, weights: Weights, names: tuple[str, ...]) -> Weights:
        flat = torch.cat([weights[name].flatten() for name in names])
        smallest = flat.abs().argsort(stable=True)[: math.floor(self.share * len(flat))]
        parts = flat.index_fill(0, smallest, 0.0).split([weights[name].numel() for name in names])
        return {name: part.reshape(weights[name].shape) for name, part in zip(names, parts, strict=True)}

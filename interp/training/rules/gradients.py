"""Rules on what the optimizer sees of the gradient, and on the size of the update that it makes of it.

An edit of the gradient passes through Adam, whose division by sqrt(v) mixes entries: an update of a gradient without
some component may still have it. Weight decay is no part of the gradient and goes on in every direction.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from interp.networks.config import Weights
from interp.networks.objective import precise
from interp.training.rules.base import Now, Rule
from interp.training.rules.bounds import check_fields, of_weight
from interp.training.rules.recorded import norms_of, update_norm, whole_norm

# A gradient is radial if less than this share of its norm is left beside the weights: the rest is rounding.
ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Perpendicular(Rule):
    """The gradient without its component along the weights: g - (g.w / w.w) w.

    Controls the share of the gradient that only makes the weights larger or smaller. Laws: what is left is orthogonal
    to the weights, to float rounding; share 0 is the identity, bit for bit. A gradient that is radial to rounding (any
    of a single number is) becomes zero and is not rescaled.

    Records: radial, the largest |cosine| of a gradient with its weights before; radial_left, the same after.

    Attributes:
        share: of the component that is removed; 1 removes it, a dose between lies between.
        each: "tensor": every tensor by itself; "whole": all of them as one vector.
        rescaled: to the norm that the gradient had, as the published optimizer does; the paper's equation does not.

    References: Prieto et al. 2025, "Grokking at the edge of numerical stability", section 5 (perpendicular gradient).
    """

    kind: Literal["perpendicular"] = "perpendicular"
    share: float = 1.0
    each: Literal["tensor", "whole"] = "tensor"
    rescaled: bool = True

    def __post_init__(self):
        check_fields(self, share=(0, 1))

    def gradients(
        self, gradients: Weights, weights: Weights, memory: dict[str, Weights], now: Now
    ) -> Weights:
        long = {name: g.to(precise(g.device)) for name, g in gradients.items()}
        at = {name: weights[name].detach().to(g.dtype) for name, g in long.items()}
        of_weights, former = self._squares(at), self._squares(long)
        products = self._products(long, at)
        now.records["radial"] = _largest_cosine(products, former, of_weights)
        left = {
            name: g - self.share * _ratio(products[name], of_weights[name]) * at[name]
            for name, g in long.items()
        }
        if self.rescaled:
            left = _to_former_norm(left, self._squares(left), former)
        now.records["radial_left"] = _largest_cosine(
            self._products(left, at), self._squares(left), of_weights
        )
        return {name: g.to(gradients[name].dtype) for name, g in left.items()}

    def _products(self, gradients: Weights, weights: Weights) -> Weights:
        return self._shared({name: (g * weights[name]).sum() for name, g in gradients.items()})

    def _squares(self, vectors: Weights) -> Weights:
        return self._shared({name: x.square().sum() for name, x in vectors.items()})

    def _shared(self, by_name: Weights) -> Weights:
        if self.each == "tensor":
            return by_name
        return dict.fromkeys(by_name, torch.stack([by_name[name] for name in sorted(by_name)]).sum())


def _ratio(x: Tensor, over: Tensor) -> Tensor:
    return torch.where(over > 0, x / over, 0.0)


def _to_former_norm(left: Weights, found: Weights, wanted: Weights) -> Weights:
    return {
        name: torch.where(
            found[name] > ROUNDING**2 * wanted[name], g * (wanted[name] / found[name]).sqrt(), 0.0
        )
        for name, g in left.items()
    }


def _largest_cosine(products: Weights, squares: Weights, others: Weights) -> Tensor:
    cosines = [_ratio(x.abs(), (squares[name] * others[name]).sqrt()) for name, x in products.items()]
    return torch.stack(cosines).amax()


@dataclass(frozen=True, kw_only=True)
class SlowGradients(Rule):
    """The gradient plus a multiple of its own exponential moving average, or a sham of that.

    h <- decay * h + (1 - decay) * g, then g + amplitude * h goes to the optimizer. The average begins as the first
    gradient, has no bias correction and holds the gradient of this step already, as in the published code. Controls
    the slow part of the gradient. Laws: amplitude 0 is the identity, bit for bit; a shuffled average has the norm of
    the average, tensor by tensor.

    Where the gradient hardly changes the average is the gradient: "added" then multiplies it by 1 + amplitude, and
    "subtracted" by 1 - amplitude, which above amplitude 1 goes uphill.

    Records: slow_ratio, norm of what is added over norm of the gradient, all tensors together.

    Attributes:
        decay: of the average, per step; .98 forgets half in 34 steps.
        amplitude: lambda of the paper.
        how: "added"; "subtracted"; "shuffled": what is added is the average with its rows (entries of a vector) in
            another order, fixed by the seed, in which none stays at its place.
        seed: of the order.

    References: Lee et al. 2024, "Grokfast: accelerated grokking by amplifying slow gradients" (Grokfast-EMA).
    """

    kind: Literal["slow-gradients"] = "slow-gradients"
    decay: float = 0.98
    amplitude: float = 2.0
    how: Literal["added", "subtracted", "shuffled"] = "added"
    seed: int = 0

    def __post_init__(self):
        check_fields(self, decay=(0, 1), amplitude=(0, math.inf))

    def start(self, weights: Weights) -> dict[str, Weights]:
        return {
            "slow": {name: torch.zeros_like(w) for name, w in weights.items()},
            # A weight that is frozen at first has its first gradient later.
            "begun": {name: torch.zeros((), device=w.device) for name, w in weights.items()},
        }

    def gradients(
        self, gradients: Weights, weights: Weights, memory: dict[str, Weights], now: Now
    ) -> Weights:
        slow, begun = memory["slow"], memory["begun"]
        for name, g in gradients.items():
            slow[name] = torch.where(begun[name] > 0, slow[name] * self.decay + g * (1 - self.decay), g)
            begun[name] = torch.ones_like(begun[name])
        sign = -1 if self.how == "subtracted" else 1
        added = {name: sign * self.amplitude * self._ordered(slow, name) for name in gradients}
        size, of = whole_norm(norms_of(added)), whole_norm(norms_of(gradients))
        now.records["slow_ratio"] = torch.where(of > 0, size / of, 0.0)
        return {name: g + added[name] for name, g in gradients.items()}

    def _ordered(self, slow: Weights, name: str) -> Tensor:
        if self.how != "shuffled":
            return slow[name]
        rows = slow[name].reshape(-1, slow[name].shape[-1]) if slow[name].ndim > 1 else slow[name]
        order = shuffled_rows(len(rows), self.seed, name).to(rows.device)
        return rows[order].reshape(slow[name].shape)


def shuffled_rows(n: int, seed: int, name: str) -> Tensor:
    """An order of the n rows of a weight in which none stays where it was: one cycle through all of them.

    >>> order = shuffled_rows(5, 0, "embed.W_E").tolist()
    >>> sorted(order), any(i == j for i, j in enumerate(order))
    ([0, 1, 2, 3, 4], False)
    """
    cycle = torch.randperm(n, generator=of_weight(seed, name))
    order = torch.empty_like(cycle)
    order[cycle] = cycle.roll(1)
    return order


@dataclass(frozen=True, kw_only=True)
class ScaleUpdates(Rule):
    """The update times a factor, or as large as that of another arm at the same step.

    The whole update is scaled, weight decay included, as a change of the learning rate would. Controls the size of the
    steps: the rate-matched sham of whatever makes the steps of another arm larger. Laws: the norm of the update is
    the one wanted, to the rounding of the weights; factor 1 and the arm's own path are the identity, bit for bit.

    Records: update_scale, the factor; update_error, the relative deviation of the update's norm from the path's (0
    without a path).

    Attributes:
        of: the arm whose recorded update norms are followed (column update_norm, at the step that the update leaves).
        factor: of the update; with `of`, of the path.
        limit: the factor on the update stays below it.
    """

    looks_back: ClassVar[bool] = True

    kind: Literal["scale-updates"] = "scale-updates"
    of: str | None = None
    factor: float = 1.0
    limit: float = 1e3

    def __post_init__(self):
        check_fields(self, factor=(0, math.inf), limit=(1, math.inf))

    def needs(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return () if self.of is None else (f"{self.of}/update_norm",)

    def updated(self, before: Weights, after: Weights, memory: dict[str, Weights], now: Now) -> Weights:
        own = update_norm(before, after)
        wanted = self.factor * (own if self.of is None else now.path[f"{self.of}/update_norm"].to(own.device))
        # An update of nothing, as the first one of a warm-up, has no direction.
        scale = torch.where(own > 0, wanted / own, 1.0).clamp(max=self.limit)
        # Written so that a factor of 1 adds zero: before + 1 * (after - before) would round.
        scaled = {name: w + (scale - 1).to(w.dtype) * (w - before[name]) for name, w in after.items()}
        now.records["update_scale"] = scale
        off = (update_norm(before, scaled) - wanted).abs()
        now.records["update_error"] = torch.where(wanted > 0, off / wanted, 0.0)
        return scaled

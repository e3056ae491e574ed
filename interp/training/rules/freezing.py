"""Rules that hold parts of a network still for a while, and release them.

Parts and weights are named alike: "embedding" (and positions), "attention", "mlp_in", "mlp_out", "norms",
"unembedding", or any weight by its name.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch

from interp.networks.config import Weights
from interp.training.rules.base import Now, Rule
from interp.training.rules.bounds import check_chosen, check_fields, chosen


@dataclass(frozen=True, kw_only=True)
class Freeze(Rule):
    """Some weights are left out of the first updates of the branch: no gradient, no weight decay, moments as they were.

    Controls which weights learn. Laws: frozen weights are the same, bit for bit; with no weights, or until 0, the rule
    is the identity, bit for bit. Rules that act on the weights after the update (norms, noise) still reach them.

    Records: nothing; the weights show it.

    Attributes:
        parts: parts or weights.
        until: steps since the branch: so many updates leave them out.

    References: Kumar et al. 2024, "Grokking as the transition from lazy to rich training dynamics" (what it tests).
    """

    kind: Literal["freeze"] = "freeze"
    parts: tuple[str, ...]
    until: int

    def __post_init__(self):
        check_fields(self, until=(0, math.inf))

    def check(self, weights: Weights, recipe: object) -> None:
        check_chosen(self, self.parts, tuple(weights))

    def gradients(
        self, gradients: Weights, weights: Weights, memory: dict[str, Weights], now: Now
    ) -> Weights:
        if now.since >= self.until:
            return gradients
        frozen = chosen(self.parts, tuple(weights))
        return {name: g for name, g in gradients.items() if name not in frozen}


@dataclass(frozen=True, kw_only=True)
class ForgetMoments(Rule):
    """The moments of some weights are set back to zero before one update, as if their training began there.

    The sham of a release: a frozen part has old moments when it is let go, and this one has none without having been
    frozen. Law: with no weights the rule is the identity, bit for bit.

    Records: nothing.

    Attributes:
        parts: parts or weights.
        at: updates since the branch that come before.
    """

    kind: Literal["forget-moments"] = "forget-moments"
    parts: tuple[str, ...]
    at: int

    def __post_init__(self):
        check_fields(self, at=(0, math.inf))

    def check(self, weights: Weights, recipe: object) -> None:
        check_chosen(self, self.parts, tuple(weights))

    def forgets(self, names: tuple[str, ...], now: Now) -> tuple[str, ...]:
        return chosen(self.parts, names) if now.since == self.at else ()


@dataclass(frozen=True, kw_only=True)
class HoldDirections(Rule):
    """Some weights keep the direction that they have at the branch; their norm goes on as the updates have it.

    After each update a tensor is projected onto its direction at the branch: the part of the update along it counts,
    the part across does not. A projection that would turn a tensor round leaves it at zero. Controls the directions.
    Laws: each tensor is a multiple of itself at the branch, to float rounding; with no weights, or until 0, the rule is
    the identity, bit for bit. Tensors of zeros have no direction and stay zero.

    Records: turned, the largest share of an updated tensor's norm that the projection took away.

    Attributes:
        parts: parts or weights.
        until: steps since the branch: so many updates are projected.
    """

    kind: Literal["hold-directions"] = "hold-directions"
    parts: tuple[str, ...]
    until: int

    def __post_init__(self):
        check_fields(self, until=(0, math.inf))

    def check(self, weights: Weights, recipe: object) -> None:
        check_chosen(self, self.parts, tuple(weights))

    def start(self, weights: Weights) -> dict[str, Weights]:
        return {
            "at_branch": {name: weights[name].detach().clone() for name in chosen(self.parts, tuple(weights))}
        }

    def updated(self, before: Weights, after: Weights, memory: dict[str, Weights], now: Now) -> Weights:
        if now.since >= self.until or not memory["at_branch"]:
            return after
        held, turned = dict(after), []
        for name, start in memory["at_branch"].items():
            square, w = start.square().sum(), after[name]
            # A multiple of the weights at the branch, so that rounding does not add up over steps.
            multiple = torch.where(square > 0, (w * start).sum() / square, 0.0).clamp(min=0)
            held[name] = multiple * start
            lost, norm = (w - held[name]).square().sum(), w.square().sum()
            turned.append(torch.where(norm > 0, lost / norm, 0.0).sqrt())
        now.records["turned"] = torch.stack(turned).amax()
        return held

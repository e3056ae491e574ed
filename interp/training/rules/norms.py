"""Rules that hold the norms of the weights to a path: another arm's recorded one, or one that is written down.

They act after the update, by a factor on each tensor, and leave every direction as the optimizer made it. To clamp the
norm at its value at the branch is no sham: it is not the norm that the control would have. The sham of a norm arm is
the replay of the control's own norms.

References: Liu et al. 2022, "Omnigrok: grokking beyond algorithmic data" (training at a fixed norm).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from interp.networks.config import Weights
from interp.training.rules.base import Now, Rule
from interp.training.rules.bounds import check_fields
from interp.training.rules.recorded import norms_of, whole_norm

Each = Literal["tensor", "whole"]


@dataclass(frozen=True, kw_only=True)
class ReplayNorms(Rule):
    """After each update the norms are those that another arm had after as many steps since the branch, times a factor.

    Controls the path of the norms. Law: replay of an arm's own norms is the identity, bit for bit.

    Records: norm_error, the largest relative deviation of a norm from what it should be, after the rescaling.

    Attributes:
        of: the arm whose recorded path is followed (columns norm/<weight>).
        factor: on the path.
        each: "tensor": every tensor has its own norm; "whole": one factor for all tensors, so that the norm of all of
            them together follows the path and their ratios stay as the optimizer makes them.
    """

    kind: Literal["replay-norms"] = "replay-norms"
    of: str = "control"
    factor: float = 1.0
    each: Each = "tensor"

    def __post_init__(self):
        check_fields(self, factor=(1e-12, math.inf))

    def needs(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{self.of}/norm/{name}" for name in names)

    def updated(self, before: Weights, after: Weights, memory: dict[str, Weights], now: Now) -> Weights:
        wanted = {name: now.path_after[f"{self.of}/norm/{name}"].to(w.device) for name, w in after.items()}
        return rescaled(after, wanted, self.factor, self.each, only_above=False, now=now)


@dataclass(frozen=True, kw_only=True)
class HoldNorm(Rule):
    """After each update the norms are their value at the branch, times a factor, decaying from there if wanted.

    Controls the path of the norms. Law: after s steps a norm is factor * exp(-rate * s) times that at the branch, to
    float rounding; with `only_above` it is at most that, and what lies below is left as it is, bit for bit. A tensor
    of zeros at the branch (a fresh bias) has no norm to be held at and is left to the optimizer.

    Records: norm_error, the largest relative deviation of a norm from what it should be, after the rescaling; with
    `only_above` the largest relative excess.

    Attributes:
        factor: on the norms at the branch; the first update ends there, at once.
        rate: of the decay, per step. Decoupled weight decay alone has lr * weight_decay.
        each: as of `ReplayNorms`.
        only_above: a clamp: norms are lowered to the path, never raised to it.
    """

    kind: Literal["hold-norm"] = "hold-norm"
    factor: float = 1.0
    rate: float = 0.0
    each: Each = "tensor"
    only_above: bool = False

    def __post_init__(self):
        check_fields(self, factor=(1e-12, math.inf), rate=(-1, 1))

    def start(self, weights: Weights) -> dict[str, Weights]:
        return {"norm": norms_of(weights)}

    def updated(self, before: Weights, after: Weights, memory: dict[str, Weights], now: Now) -> Weights:
        factor = self.factor * math.exp(-self.rate * (now.since + 1))
        return rescaled(after, memory["norm"], factor, self.each, only_above=self.only_above, now=now)


def rescaled(
    weights: Weights, wanted: Mapping[str, Tensor], factor: float, each: Each, *, only_above: bool, now: Now
) -> Weights:
    """The weights at these norms times a factor; records norm_error."""
    names = list(weights)
    found, target = _norms(weights, each), {name: factor * wanted[name] for name in names}
    if each == "whole":
        target = dict.fromkeys(names, factor * whole_norm({name: wanted[name] for name in names}))
    out: Weights = {}
    for name, w in weights.items():
        # Zeros have no direction in which they could have a norm, and are no norm to be held at.
        ratio = torch.where((found[name] > 0) & (target[name] > 0), target[name] / found[name], 1.0)
        ratio = ratio.clamp(max=1) if only_above else ratio
        out[name] = w * ratio.to(w.dtype)
    now.records["norm_error"] = _largest_error(_norms(out, each), target, only_above)
    return out


def _norms(weights: Weights, each: Each) -> Weights:
    norms = norms_of(weights)
    return norms if each == "tensor" else dict.fromkeys(norms, whole_norm(norms))


def _largest_error(found: Weights, target: Mapping[str, Tensor], only_above: bool) -> Tensor:
    over = torch.stack(
        [torch.where((x > 0) & (target[name] > 0), x / target[name] - 1, 0.0) for name, x in found.items()]
    )
    return over.clamp(min=0).amax() if only_above else over.abs().amax()

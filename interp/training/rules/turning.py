"""The rule that holds how fast weights turn: norms, and how far each update turns, follow another arm's path.

To scale an update and then to bring the norms back does not do it. Much of an update on a plateau is weight decay,
which lies along the weights and is taken back with the norms: the weights turn by less than the update's size says.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.networks.config import Weights
from interp.networks.objective import precise
from interp.training.rules.base import Now, Rule
from interp.training.rules.bounds import check_fields
from interp.training.rules.norms import rescaled

# Each takes the error of the stretch to a small multiple of itself: turning is all but linear in it.
ITERATIONS = 8


@dataclass(frozen=True, kw_only=True)
class ReplayTurning(Rule):
    """After each update every tensor has the norm that another arm had, and the tensors turned as far as that arm's.

    The update is stretched until, with the norms as they are to be, the weights turn as far as wanted. How far all
    tensors turn is the root of the sum of 2 r t (1 - cos angle) over them, r and t the norms before and after, each
    as a share of the whole norm; where ratios of norms stay as they are it is the angle between all weights before
    and after as one vector. Those ratios are the path's, and turn that vector besides, whatever the speed.

    Controls norms and turning speed, and leaves where the weights turn to. Laws: norms and turning are those wanted, to
    the rounding of the weights, so that at speed 1 the angle of the whole is the other arm's; on the arm's own path the
    identity, bit for bit. An update along the weights alone turns nothing, however long it is made.

    Records: update_scale, the stretch; norm_error, the largest relative deviation of a norm; turning_error, the
    relative deviation of the turning (0 where none is wanted).

    Attributes:
        of: the arm whose recorded path is followed (columns norm/<weight> and update_norm).
        factor: on its norms.
        speed: on its turning.
        limit: the stretch stays below it.

    References: Kosson, Messmer, Jaggi 2024, "Rotational equilibrium: how weight decay balances learning across neural
    networks" (optimizers that fix the angle of each update).
    """

    looks_back: ClassVar[bool] = True

    kind: Literal["replay-turning"] = "replay-turning"
    of: str = "control"
    factor: float = 1.0
    speed: float = 1.0
    limit: float = 1e3

    def __post_init__(self):
        check_fields(self, factor=(1e-12, math.inf), speed=(0, math.inf), limit=(1, math.inf))

    def needs(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return (*(f"{self.of}/norm/{name}" for name in names), f"{self.of}/update_norm")

    def updated(self, before: Weights, after: Weights, memory: dict[str, Weights], now: Now) -> Weights:
        names = tuple(after)
        path, path_after = (
            {name: x[f"{self.of}/norm/{name}"].to(after[name].device) for name in names}
            for x in (now.path, now.path_after)
        )
        update = now.path[f"{self.of}/update_norm"].to(next(iter(after.values())).device)
        wanted = self.speed * _turning_of_path(update, path, path_after)
        norms = torch.stack([self.factor * path_after[name] for name in names])
        scale = _stretch(_products(before, after), norms, wanted, self.limit)
        # Written so that a stretch of 1 adds zero.
        stretched = {name: w + (scale - 1).to(w.dtype) * (w - before[name]) for name, w in after.items()}
        out = rescaled(stretched, path_after, self.factor, "tensor", only_above=False, now=now)
        found = _turning(_products(before, out), torch.zeros_like(norms), torch.ones_like(scale))
        now.records["update_scale"] = scale
        now.records["turning_error"] = torch.where(wanted > 0, (found / wanted - 1).abs(), 0.0)
        return out


def _turning_of_path(update: Float[Tensor, ""], before: Weights, after: Weights) -> Float[Tensor, ""]:
    """How far tensors of these norms turned in an update of this norm: what of it lies across them, over the norms.

    |u|^2 is the sum of (t - r)^2 + 2 r t (1 - cos angle) over the tensors.
    """
    r, t = (torch.stack([norms[name] for name in before]) for norms in (before, after))
    across = (update.square() - (t - r).square().sum()).clamp(min=0)
    whole = r.square().sum().sqrt() * t.square().sum().sqrt()
    return torch.where(whole > 0, across / whole, 0.0).sqrt()


def _products(before: Weights, after: Weights) -> tuple[Tensor, Tensor, Tensor]:
    """Of each tensor: |w|^2, the update along the weights in units of them, |update across them|^2."""
    found = []
    for name, old in before.items():
        long = old.to(precise(old.device))
        update = after[name].to(long.dtype) - long
        square = long.square().sum()
        along = torch.where(square > 0, (long * update).sum() / square, 0.0)
        found.append(torch.stack([square, along, (update - along * long).square().sum()]))
    square, along, across = torch.stack(found).unbind(-1)
    return square, along, across


def _turning(
    products: tuple[Tensor, Tensor, Tensor], norms: Float[Tensor, " tensor"], scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """How far weights turn by so many times the update, each tensor brought to its norm, or left as it is at 0."""
    square, along, across = products
    along_after = 1 + scale * along
    length = (square * along_after.square() + scale.square() * across).sqrt()
    to = torch.where((length > 0) & (norms > 0), norms, length)
    root = square.sqrt()
    # 2 (1 - cos angle) is the square of the chord between both directions.
    chord = (along_after * root / length - 1).square() + scale.square() * across / length.square()
    turned = torch.where((root > 0) & (length > 0), root * to * chord, 0.0).sum()
    return (turned / (square.sum().sqrt() * to.square().sum().sqrt())).sqrt()


def _stretch(
    products: tuple[Tensor, Tensor, Tensor],
    norms: Float[Tensor, " tensor"],
    wanted: Float[Tensor, ""],
    limit: float,
) -> Float[Tensor, ""]:
    """How many times the update the weights are to go, to turn that far when each tensor is brought to its norm."""
    scale = torch.ones_like(wanted)
    for _ in range(ITERATIONS):
        now = _turning(products, norms, scale)
        scale = torch.where(now > 0, scale * wanted / now, scale).clamp(max=limit)
    return scale

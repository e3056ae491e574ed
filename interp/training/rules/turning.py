"""The rule that holds how fast the weights turn: norms and the angle of each update follow another arm's path.

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
from interp.training.rules.recorded import norms_of, update_norm, whole_norm

# Each takes the error of the stretch to a small multiple of itself: an angle is all but linear in it.
ITERATIONS = 8


@dataclass(frozen=True, kw_only=True)
class ReplayTurning(Rule):
    """After each update every tensor has the norm that another arm had, and the weights turned by that arm's angle.

    The update is stretched until, with the norms as they are to be, the angle between the weights before and after it,
    all as one vector, is the one by which the other arm's turned at this step. Controls norms and turning speed, and
    leaves where the weights turn to. Laws: norms and angle are those wanted, to the rounding of the weights; on the
    arm's own path the identity, bit for bit. An update along the weights alone turns nothing, however long it is made.

    Records: update_scale, the stretch; norm_error, the largest relative deviation of a norm; turning_error, the
    relative deviation of the angle (0 where none is wanted).

    Attributes:
        of: the arm whose recorded path is followed (columns norm/<weight> and update_norm).
        factor: on its norms.
        speed: on its angles.
        limit: the stretch stays below it.
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
        norms, next_norms = (
            {name: path[f"{self.of}/norm/{name}"].to(after[name].device) for name in names}
            for path in (now.path, now.path_after)
        )
        update = now.path[f"{self.of}/update_norm"].to(next(iter(after.values())).device)
        angle = self.speed * angle_of_update(update, whole_norm(norms), whole_norm(next_norms))
        wanted = torch.stack([self.factor * next_norms[name] for name in names])
        scale = _stretch(*_products(before, after), wanted, angle, self.limit)
        # Written so that a stretch of 1 adds zero.
        stretched = {name: w + (scale - 1).to(w.dtype) * (w - before[name]) for name, w in after.items()}
        out = rescaled(stretched, next_norms, self.factor, "tensor", only_above=False, now=now)
        found = angle_of_update(
            update_norm(before, out), whole_norm(norms_of(before)), whole_norm(norms_of(out))
        )
        now.records["update_scale"] = scale
        now.records["turning_error"] = torch.where(angle > 0, (found / angle - 1).abs(), 0.0)
        return out


def angle_of_update(
    update: Float[Tensor, ""], before: Float[Tensor, ""], after: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Angle between two vectors of these norms whose difference has the norm `update`, radians.

    |u|^2 = (after - before)^2 + 4 before after sin^2(angle / 2): what only changes the norm turns nothing. 0 where one
    of them is zero.

    >>> round(angle_of_update(torch.tensor(2.0**0.5), torch.tensor(1.0), torch.tensor(1.0)).item(), 4)
    1.5708
    """
    both = 4 * before * after
    across = (update.square() - (after - before).square()).clamp(min=0)
    return 2 * torch.where(both > 0, across / both, 0.0).clamp(max=1).sqrt().asin()


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


def _stretch(
    square: Float[Tensor, " tensor"],
    along: Float[Tensor, " tensor"],
    across: Float[Tensor, " tensor"],
    norms: Float[Tensor, " tensor"],
    angle: Float[Tensor, ""],
    limit: float,
) -> Float[Tensor, ""]:
    """How many times the update the weights are to go, to turn by the angle when each tensor is brought to its norm."""

    def turned(scale: Tensor) -> Tensor:
        along_after = 1 + scale * along
        length = (square * along_after.square() + scale.square() * across).sqrt()
        to = torch.where((length > 0) & (norms > 0), norms, length)
        # What a tensor is multiplied by, in the vector of all of length 1.
        by = torch.where(length > 0, to / length, 1.0) / to.square().sum().sqrt()
        aside = (by * along_after - 1 / square.sum().sqrt()).square() * square
        chord = (aside + (by * scale).square() * across).sum().sqrt()
        return 2 * (chord / 2).clamp(max=1).asin()

    scale = torch.ones_like(angle)
    for _ in range(ITERATIONS):
        now = turned(scale)
        scale = torch.where(now > 0, scale * angle / now, scale).clamp(max=limit)
    return scale

"""Rules on the scale of the logits that the loss is taken of: the network's function keeps its own scale.

The loss sees factor * logits. What the network answers does not change, what it still wants to change does: a norm arm
with the margin path of its control tells an effect of the norm as such from one of the logits' scale. The factor is a
number to the gradient: it is not differentiated.
"""

import math
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from interp.training.rules.base import Now, Rule
from interp.training.rules.bounds import check_fields
from interp.training.rules.recorded import mean_margin


@dataclass(frozen=True, kw_only=True)
class ScaleLogits(Rule):
    """The loss sees the logits times a factor, an inverse temperature.

    Controls the scale of the logits in the loss. Law: factor 1 is the identity, bit for bit.

    Records: scale, the factor.

    References: Lyu et al. 2024 and Kumar et al. 2024 for output scale as a cause of delay.
    """

    kind: Literal["scale-logits"] = "scale-logits"
    factor: float = 1.0

    def __post_init__(self):
        check_fields(self, factor=(0, math.inf))

    def logits(
        self,
        logits: Float[Tensor, "question output"],
        labels: Int[Tensor, " question"],
        now: Now,
    ) -> Float[Tensor, "question output"]:
        now.records["scale"] = logits.new_full((), self.factor)
        return logits * self.factor


@dataclass(frozen=True, kw_only=True)
class MatchMargin(Rule):
    """The loss sees the logits times that factor with which their mean margin is the one another arm had at this step.

    Controls the path of the mean margin over the questions of the step. A factor follows margins of either size but
    not of either sign: where one of the two is not positive, it goes to its limit, and with neither positive it is 1.
    Laws: the margin after scaling is the recorded one, to float rounding, unless the factor is at its limit; on the
    arm's own path the identity, bit for bit.

    The recorded margin is that of the whole train set: in mini-batches the batch's mean is made equal to it.

    Records: scale, the factor; margin_error, the relative deviation of the margin after scaling from the path's.

    Attributes:
        of: the arm whose recorded path is followed (column margin).
        limit: the factor stays within 1/limit and limit.
    """

    kind: Literal["match-margin"] = "match-margin"
    of: str = "control"
    limit: float = 1e3

    def __post_init__(self):
        check_fields(self, limit=(1, math.inf))

    def needs(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return (f"{self.of}/margin",)

    def logits(
        self,
        logits: Float[Tensor, "question output"],
        labels: Int[Tensor, " question"],
        now: Now,
    ) -> Float[Tensor, "question output"]:
        wanted = now.path[f"{self.of}/margin"].to(logits.device)
        own = mean_margin(logits.detach(), labels)
        # The smallest positive number stands for margins that are not.
        least = 1e-30
        factor = (wanted.clamp(min=least) / own.clamp(min=least)).clamp(1 / self.limit, self.limit)
        scaled = logits * factor.to(logits.dtype)
        now.records["scale"] = factor
        now.records["margin_error"] = (
            mean_margin(scaled.detach(), labels) - wanted
        ).abs() / wanted.abs().clamp(min=least)
        return scaled

"""The rule on how the gradient of the logits is spread over the outputs."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from interp.networks.objective import precise
from interp.training.rules.base import Now, Rule


@dataclass(frozen=True, kw_only=True)
class ZeroSum(Rule):
    """The gradient of the logits is made to sum to zero over the outputs of each question.

    Of cross-entropy it does so by itself, in exact arithmetic. In float32 it does not once the label's probability
    rounds to 1: the label's entry is then zero and those of the others are not, and the logits drift together, which
    is the arithmetic reading of slingshots. Controls that drift. Laws: the logits stay as they are, bit for bit; their
    gradient sums to zero over the outputs, to the rounding of its entries. Where the gradient sums to zero already
    (in float64) the rule changes it by rounding alone.

    Records: nothing: the gradient is not known yet where the rule acts.

    References: Thilak et al. 2022, "The slingshot mechanism" (what it is to explain).
    """

    kind: Literal["zero-sum"] = "zero-sum"

    def logits(
        self,
        logits: Float[Tensor, "question output"],
        labels: Int[Tensor, " question"],
        now: Now,
    ) -> Float[Tensor, "question output"]:
        mean = logits.to(precise(logits.device)).mean(-1, keepdim=True)
        # Takes away zero, and has the gradient of the centred logits: functions need no hook on a tensor for it.
        return logits - (mean - mean.detach()).to(logits.dtype)

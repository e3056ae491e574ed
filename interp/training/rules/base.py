"""What a rule is: something that acts at each step of a branch, as a value.

A step has four places where a rule can act, in this order: on the logits before the loss is taken, on the loss
(a penalty), on the gradients before the optimizer sees them, on the weights after its update. A rule is a frozen
dataclass, so that it can be printed, compared, hashed and written into a lock file or a run.json; what it remembers
from step to step is a dict of tensors by weight that is saved and restored with the optimizer's state.

Rules are functions of tensors without `.item()` or branches on values, so that a stack of members can be trained under
`torch.func.vmap` with the same rules: what depends on the step alone (a stretch that ends) may branch on it.

Several rules act one after the other in the order of the arm: the second sees what the first left.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.networks.config import Weights


@dataclass(frozen=True, eq=False)
class Now:
    """One step as a rule sees it.

    Attributes:
        step: of the run: the number of updates so far.
        since: of the branch: 0 at its first update.
        path: of the recorded paths that the rules need, the values at the weights before this update.
        path_after: their values at the weights after it.
        records: what rules record of this step, by name; goes into the run's history.
    """

    step: int
    since: int
    path: Mapping[str, Tensor] = field(default_factory=dict)
    path_after: Mapping[str, Tensor] = field(default_factory=dict)
    records: dict[str, Tensor] = field(default_factory=dict)

    def generator(self, seed: int, device: torch.device | str = "cpu") -> torch.Generator:
        """A generator that gives the same numbers at this step of the branch whenever it is asked."""
        # Two odd multipliers keep neighbouring steps and seeds apart; a resumed run needs no generator's state.
        mixed = (seed * 0x9E3779B97F4A7C15 + (self.since + 1) * 0xD1B54A32D192ED03) % 2**63
        return torch.Generator(device).manual_seed(mixed)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule that does nothing; those that do something override the places where they act.

    Attributes:
        looks_back: whether `updated` needs the weights before the update.
    """

    looks_back: ClassVar[bool] = False

    def needs(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Columns of recorded paths that it follows, as "control/norm/embed.W_E", given the names of the weights."""
        return ()

    def check(self, weights: Weights, recipe: Any) -> None:
        """Refuse a network or recipe on which the rule makes no sense.

        Raises:
            ValueError: with what it needs.
        """

    def start(self, weights: Weights) -> dict[str, Weights]:
        """What the rule remembers at the branch, by kind and weight; saved with the optimizer's state."""
        return {}

    def logits(
        self,
        logits: Float[Tensor, "question output"],
        labels: Int[Tensor, " question"],
        now: Now,
    ) -> Float[Tensor, "question output"]:
        """What the loss is taken of."""
        return logits

    def penalty(self, weights: Weights, now: Now) -> Float[Tensor, ""] | None:
        """What is added to the loss."""
        return None

    def gradients(
        self, gradients: Weights, weights: Weights, memory: dict[str, Weights], now: Now
    ) -> Weights:
        """What the optimizer sees; a weight without a gradient is not updated at all, its moments stay."""
        return gradients

    def forgets(self, names: tuple[str, ...], now: Now) -> tuple[str, ...]:
        """Weights whose moments are set back to zero before this update."""
        return ()

    def updated(self, before: Weights, after: Weights, memory: dict[str, Weights], now: Now) -> Weights:
        """The weights after the update; `before` is empty unless the rule looks back."""
        return after

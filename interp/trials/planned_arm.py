"""A planned arm: what is trained, where it leaves the parent, for how long."""

from dataclasses import dataclass, replace
from typing import Literal

from interp.training.arms import Arm, Until
from interp.training.rules import AnyRule, MatchMargin, ReplayNorms

Point = Literal["plateau", "later", "memorization", "start", "grokked"]

UNTIL = Until()


@dataclass(frozen=True, kw_only=True)
class Planned:
    """An arm, where it leaves the parent, and how long it is trained.

    Attributes:
        follows: labels of the arms of its pair whose recorded path its rules follow.
        budget: steps at most, in units of what the parent takes from there to test accuracy 0.95.
        until: None where the whole budget is trained, as of a control whose path others follow.
    """

    arm: Arm
    point: Point = "plateau"
    follows: tuple[str, ...] = ()
    budget: float = 4.0
    until: Until | None = UNTIL

    @property
    def key(self) -> str:
        """Its folder within a pair: arms of two branch points have the same names."""
        return self.arm.label if self.point == "plateau" else f"{self.arm.label}@{self.point}"


def control_at(point: Point, budget: float) -> Planned:
    """The control of another branch point than the main one, trained to its end."""
    return Planned(arm=Arm(name="control"), point=point, until=None, budget=budget)


def after(control: str, arm: Arm) -> Planned:
    """An arm that is compared with a control and follows its path."""
    return Planned(arm=replace(arm, reference=control), follows=(control,))


def matched(of: str = "control", factor: float = 1.0) -> tuple[AnyRule, ...]:
    """Norm and logit scale of another arm: what is left to differ is the direction."""
    return ReplayNorms(of=of, factor=factor), MatchMargin(of=of)

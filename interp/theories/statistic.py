"""What is read off tables to test a theory, as values: they print, compare, hash and lie in a lock file.

D is the number of steps from the branch to the event. A dose is None where an arm has none.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from interp.theories import arms_table

EVENT, THRESHOLD = "test_accuracy", 0.95


@dataclass(frozen=True)
class Region:
    """An interval on a statistic's own scale, its ends included; None is no bound on that side."""

    low: float | None = None
    high: float | None = None

    def __post_init__(self):
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(
                f"A region needs low of at most high, got {self.low:g} and {self.high:g}. Exchange them."
            )

    @property
    def bounds(self) -> tuple[float, float]:
        """Both ends, infinite where there is no bound."""
        return (
            -float("inf") if self.low is None else self.low,
            float("inf") if self.high is None else self.high,
        )

    def holds(self, low: float, high: float) -> bool:
        """Whether the interval lies inside; one that is not known (NaN) does not."""
        return self.bounds[0] <= low and high <= self.bounds[1]

    def excludes(self, low: float, high: float) -> bool:
        """Whether the interval lies outside, none of it within."""
        return high < self.bounds[0] or low > self.bounds[1]

    def __str__(self) -> str:
        if self.low is None:
            return "anything" if self.high is None else f"at most {self.high:.3g}"
        return f"at least {self.low:.3g}" if self.high is None else f"{self.low:.3g} to {self.high:.3g}"


@dataclass(frozen=True, kw_only=True)
class EffectRatio:
    """D(arm) / D(over), by pairs."""

    arm: str
    over: str
    dose: float | None = None
    over_dose: float | None = None
    event: str = EVENT
    threshold: float = THRESHOLD
    kind: Literal["effect_ratio"] = "effect_ratio"


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """1 - ln[D(matched) / D(over)] / ln[D(moved) / D(over)]: the share of an effect that a match takes away."""

    matched: str
    moved: str
    over: str
    matched_dose: float | None = None
    moved_dose: float | None = None
    over_dose: float | None = None
    event: str = EVENT
    threshold: float = THRESHOLD
    kind: Literal["recovery"] = "recovery"


@dataclass(frozen=True, kw_only=True)
class ShareLost:
    """[D(arm) - D(over)] / l, l the steps of the stretch (a level of the arm): 1 if all of it was lost, 0 if none."""

    arm: str
    over: str
    stretch: str = "frozen_steps"
    event: str = EVENT
    threshold: float = THRESHOLD
    kind: Literal["share_lost"] = "share_lost"


@dataclass(frozen=True, kw_only=True)
class Growth:
    """D(arm) - D(over) at the latest branch point less that at the earliest, in steps."""

    arm: str
    over: str
    event: str = EVENT
    threshold: float = THRESHOLD
    kind: Literal["growth"] = "growth"


@dataclass(frozen=True, kw_only=True)
class DoseTrend:
    """Slope of ln D(arm), or of ln D(arm) / D(over) at the same dose, against ln dose, by pairs."""

    arm: str
    over: str | None = None
    event: str = EVENT
    threshold: float = THRESHOLD
    kind: Literal["dose_trend"] = "dose_trend"


@dataclass(frozen=True, kw_only=True)
class Level:
    """Mean over pairs of a quantity of one arm."""

    arm: str
    quantity: str
    dose: float | None = None
    kind: Literal["level"] = "level"


@dataclass(frozen=True, kw_only=True)
class LevelDifference:
    """Mean over pairs of a quantity of one arm less that of another."""

    arm: str
    over: str
    quantity: str
    dose: float | None = None
    over_dose: float | None = None
    kind: Literal["level_difference"] = "level_difference"


@dataclass(frozen=True, kw_only=True)
class LevelRatio:
    """A quantity of one arm over that of another, by pairs; both above 0."""

    arm: str
    over: str
    quantity: str
    dose: float | None = None
    over_dose: float | None = None
    kind: Literal["level_ratio"] = "level_ratio"


@dataclass(frozen=True, kw_only=True)
class Spread:
    """(Largest - smallest) / mean of a quantity over all arms, by pairs."""

    quantity: str
    kind: Literal["spread"] = "spread"


@dataclass(frozen=True, kw_only=True)
class Equal:
    """The ratio D(arm) / D(over) furthest from 1 of several pairs of arms; its inverse if it is below 1.

    Attributes:
        comparisons: (arm, dose, over, over_dose).
    """

    comparisons: tuple[tuple[str, float | None, str, float | None], ...]
    event: str = EVENT
    threshold: float = THRESHOLD
    kind: Literal["equal"] = "equal"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a function of the theory's file reads off the tables of the run that was observed."""

    function: str
    kind: Literal["observed"] = "observed"


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A number that nothing in this package measures; the prediction stands, and says what it would take."""

    what: str
    kind: Literal["absent"] = "absent"


# Those that are made of times to an event.
Timed = EffectRatio | Recovery | ShareLost | Growth | DoseTrend | Equal
Statistic = Timed | Level | LevelDifference | LevelRatio | Spread | Observed | Absent


def arms_of(statistic: Statistic) -> tuple[str, ...]:
    """The arms that a statistic is made of, each once, in its order."""
    if isinstance(statistic, Equal):
        names = [name for arm, _, over, _ in statistic.comparisons for name in (arm, over)]
    else:
        fields = ("matched", "moved", "arm", "over")
        names = [getattr(statistic, field) for field in fields if getattr(statistic, field, None)]
    return tuple(dict.fromkeys(names))


def described(statistic: Statistic) -> str:
    """A statistic in a few words and signs."""
    s = statistic
    if isinstance(s, Observed):
        return s.function.replace("_", " ")
    if isinstance(s, Absent):
        return "not measured"
    if isinstance(s, Level):
        return f"{s.quantity} of {named(s.arm, s.dose)}"
    if isinstance(s, LevelDifference):
        return f"{s.quantity} of {named(s.arm, s.dose)} less that of {named(s.over, s.over_dose)}"
    if isinstance(s, LevelRatio):
        return f"{s.quantity} of {named(s.arm, s.dose)} over that of {named(s.over, s.over_dose)}"
    if isinstance(s, Spread):
        return f"spread of {s.quantity} over all arms"
    event = f"{s.event} {s.threshold:g}"
    if isinstance(s, EffectRatio):
        return f"D({named(s.arm, s.dose)})/D({named(s.over, s.over_dose)}), {event}"
    if isinstance(s, Recovery):
        matched, moved = named(s.matched, s.matched_dose), named(s.moved, s.moved_dose)
        return f"share of the effect of {moved} that {matched} takes away, {event}"
    if isinstance(s, ShareLost):
        return f"[D({s.arm}) - D({s.over})]/{s.stretch}, {event}"
    if isinstance(s, Growth):
        return f"D({s.arm}) - D({s.over}) at the later branch point less that at the earlier, {event}"
    if isinstance(s, DoseTrend):
        ratio = f"D({s.arm})" if s.over is None else f"D({s.arm})/D({s.over})"
        return f"slope of ln {ratio} against ln dose, {event}"
    assert isinstance(s, Equal)
    return f"furthest ratio of D between {', '.join(arms_of(s))}, {event}"


def named(arm: str, dose: float | None) -> str:
    """An arm with its dose, in words."""
    return arms_table.named(arm, math.nan if dose is None else dose)


_STATISTICS: dict[str, type] = {
    "effect_ratio": EffectRatio,
    "recovery": Recovery,
    "share_lost": ShareLost,
    "growth": Growth,
    "dose_trend": DoseTrend,
    "level": Level,
    "level_difference": LevelDifference,
    "level_ratio": LevelRatio,
    "spread": Spread,
    "equal": Equal,
    "observed": Observed,
    "absent": Absent,
}


def statistic_from(value: dict[str, Any]) -> Statistic:
    """The statistic that `dataclasses.asdict` made this of.

    Raises:
        ValueError: if its kind is not known.
        TypeError: if a field is missing or unknown.
    """
    fields = dict(value)
    kind = fields.get("kind")
    if kind not in _STATISTICS:
        raise ValueError(
            f"A statistic needs a kind, one of {', '.join(_STATISTICS)}, got {kind!r}. It was written by another "
            f"version."
        )
    if kind == "equal":
        fields["comparisons"] = tuple(tuple(part) for part in fields["comparisons"])
    return _STATISTICS[kind](**fields)

"""Rules that act at each step of a branch, as values that go into JSON: one topic a file."""

import dataclasses
import json
from typing import Any, get_args

import pydantic

from interp.ground.plain_text import shown
from interp.training.rules.base import Rule
from interp.training.rules.classes import ZeroSum
from interp.training.rules.freezing import ForgetMoments, Freeze, HoldDirections
from interp.training.rules.gradients import Perpendicular, ScaleUpdates, SlowGradients
from interp.training.rules.noise import AntitheticNoise, Noise
from interp.training.rules.norms import HoldNorm, ReplayNorms
from interp.training.rules.penalties import RandomPenalty, SpectralEntropy
from interp.training.rules.subspaces import RemoveSubspace
from interp.training.rules.temperature import MatchMargin, ScaleLogits
from interp.training.rules.turning import ReplayTurning

AnyRule = (
    ReplayNorms
    | HoldNorm
    | ScaleLogits
    | MatchMargin
    | Perpendicular
    | SlowGradients
    | ScaleUpdates
    | ReplayTurning
    | RemoveSubspace
    | ZeroSum
    | Noise
    | AntitheticNoise
    | Freeze
    | ForgetMoments
    | HoldDirections
    | SpectralEntropy
    | RandomPenalty
)

KINDS: dict[str, type[Rule]] = {kind.kind: kind for kind in get_args(AnyRule)}


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """The rule as JSON holds it, all fields and its kind; refuses a rule that is not among `KINDS`."""
    value = json.loads(json.dumps(dataclasses.asdict(rule)))
    if KINDS.get(value.get("kind")) is not type(rule):
        raise ValueError(f"A rule in JSON needs to be one of {', '.join(KINDS)}, got {shown(rule)}.")
    return value


def rule_from_json(value: Any) -> AnyRule:
    """The rule that JSON describes; fields that are left out have their defaults.

    Raises:
        ValueError: if there is no such kind (those there are, are listed), a field is unknown, missing or of another
            type, or the rule refuses its value.
    """
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(
            f"A rule needs a kind, one of {', '.join(KINDS)}, got {shown(value if kind is None else kind)}."
        )
    names = [field.name for field in dataclasses.fields(KINDS[kind])]
    if strange := [name for name in value if name not in names]:
        raise ValueError(
            f"A rule of kind {kind!r} has the fields {', '.join(names)}, got {', '.join(map(shown, strange))}. "
            f"Kinds are {', '.join(KINDS)}."
        )
    try:
        return pydantic.TypeAdapter(KINDS[kind]).validate_json(json.dumps(value), strict=True)  # type: ignore[return-value]
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        what = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
        raise ValueError(
            f"A rule of kind {kind!r} cannot be made: {field + ': ' if field else ''}{what}."
        ) from error

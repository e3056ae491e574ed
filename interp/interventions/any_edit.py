"""Every edit as one type, its JSON, and the two that are made of others.

A lock file and a run.json hold edits as `{"kind": "keep-frequencies", "frequencies": [17, 25], ...}`. An edit of a new
kind is one more name in the union here.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union

import pydantic

from interp.interventions.activation_frequencies import KeepFrequenciesOf, RemoveFrequenciesOf
from interp.interventions.bench import ActivationEdit, Bench, Edit
from interp.interventions.components import GraftComponent, InterpolateComponent
from interp.interventions.compression import LowRank, Prune, Quantize
from interp.interventions.directions import RandomDirection
from interp.interventions.frequencies import (
    GraftFrequencies,
    KeepFrequencies,
    RemoveFrequencies,
    ScaleFrequencies,
)
from interp.interventions.heads import AblateHeads
from interp.interventions.neurons import AblateNeurons, KeepNeurons, RemoveNeurons
from interp.interventions.norms import ScaleNorms, TakeNorms
from interp.interventions.patching import Patch
from interp.interventions.representations import (
    GraftRepresentations,
    KeepRepresentations,
    RemoveRepresentations,
    ScaleRepresentations,
)
from interp.networks.config import Weights


def _read(value: Any) -> Any:
    """An edit inside another one, as pydantic finds it."""
    return value if isinstance(value, Edit) else edit_from_json(value)


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """A share of an edit: w + factor * (edited - w) for every tensor that it changes.

    Attributes:
        factor: 0 does nothing, 1 is the edit itself; beyond 1 goes further the same way.
    """

    of: Annotated[Edit, pydantic.PlainValidator(_read)]
    factor: float
    kind: Literal["scaled"] = "scaled"

    untouched: ClassVar[str] = "what the edit leaves untouched"

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        edited = self.of.edit(weights, bench)
        return {
            name: w if edited[name] is w else w + self.factor * (edited[name] - w)
            for name, w in weights.items()
        }


@dataclass(frozen=True, kw_only=True)
class Composed:
    """Edits one after another, each on what the one before made."""

    edits: tuple[Annotated[Edit, pydantic.PlainValidator(_read)], ...]
    kind: Literal["composed"] = "composed"

    untouched: ClassVar[str] = "what every one of the edits leaves untouched"

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        out = dict(weights)
        for edit in self.edits:
            out = edit.edit(out, bench)
        return out


_EDITS = (
    KeepFrequencies, RemoveFrequencies, ScaleFrequencies, GraftFrequencies,
    KeepRepresentations, RemoveRepresentations, ScaleRepresentations, GraftRepresentations,
    ScaleNorms, TakeNorms, GraftComponent, InterpolateComponent, RemoveNeurons, KeepNeurons,
    LowRank, Quantize, Prune, RandomDirection, Scaled, Composed,
)  # fmt: skip
_ACTIVATION_EDITS = (AblateHeads, AblateNeurons, KeepFrequenciesOf, RemoveFrequenciesOf, Patch)

# For type checkers and for pydantic, which picks the class by the field.
if TYPE_CHECKING:
    AnyEdit = Edit
    AnyActivationEdit = ActivationEdit
else:
    AnyEdit = Annotated[Union[_EDITS], pydantic.Discriminator("kind")]  # noqa: UP007
    AnyActivationEdit = Annotated[Union[_ACTIVATION_EDITS], pydantic.Discriminator("kind")]  # noqa: UP007


def edit_to_json(edit: Edit | ActivationEdit) -> dict[str, Any]:
    """The edit as a dict of what JSON has: numbers, words, lists, dicts."""
    return pydantic.TypeAdapter(type(edit)).dump_python(edit, mode="json")


def edit_from_json(value: Any) -> Edit:
    """The edit of weights that `edit_to_json` wrote.

    Raises:
        ValueError: if it is of no known kind, or its fields are not those of the kind.
    """
    return _from_json(value, _EDITS)


def activation_edit_from_json(value: Any) -> ActivationEdit:
    """The edit of activations that `edit_to_json` wrote.

    Raises:
        ValueError: as `edit_from_json`.
    """
    return _from_json(value, _ACTIVATION_EDITS)


def _from_json(value: Any, kinds: tuple[Any, ...]) -> Any:
    by_kind = {kind.kind: kind for kind in kinds}
    kind = value.get("kind") if isinstance(value, dict) else value
    if not isinstance(value, dict) or not isinstance(kind, str) or kind not in by_kind:
        raise ValueError(
            f"An intervention needs a known kind, got {kind!r:.60}. There are: {', '.join(by_kind)}."
        )
    known = [field.name for field in dataclasses.fields(by_kind[kind])]
    if unknown := [name for name in value if name not in known]:
        raise ValueError(
            f"Intervention {kind!r} needs the fields {', '.join(known)}, got {', '.join(map(repr, unknown))} as well."
        )
    try:
        return pydantic.TypeAdapter(by_kind[kind]).validate_python(value)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"Intervention {kind!r} needs {where or 'other fields'} that can be read: {first['msg']}."
        ) from None

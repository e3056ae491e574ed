"""Edits as JSON: every kind comes back as it was, and what is no edit is refused in one sentence."""

import dataclasses
import json

import pytest

from interp.interventions import any_edit
from interp.interventions.activation_frequencies import KeepFrequenciesOf, RemoveFrequenciesOf
from interp.interventions.any_edit import (
    Composed,
    Scaled,
    activation_edit_from_json,
    edit_from_json,
    edit_to_json,
)
from interp.interventions.bench import ActivationEdit, Edit
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
from tests.interventions.benches import changed, same, transformer

KEYS = {"frequencies": (2, 5), "where": ("W_E", "W_L")}
NAMED = {"representations": ("k=2", "trivial"), "where": ("W_L",)}
EDITS = [
    KeepFrequencies(constant=False, **KEYS),
    RemoveFrequencies(**KEYS),
    ScaleFrequencies(factor=0.5, **KEYS),
    GraftFrequencies(donor="ahead", **KEYS),
    KeepRepresentations(**NAMED),
    RemoveRepresentations(**NAMED),
    ScaleRepresentations(factor=1.5, **NAMED),
    GraftRepresentations(donor="ahead", **NAMED),
    ScaleNorms(factor=0.8, tensors=("unembed.W_U",)),
    TakeNorms(donor="ahead"),
    GraftComponent(component="QK", donor="ahead", layers=(0,)),
    InterpolateComponent(component="mlp", donor="ahead", share=0.25),
    RemoveNeurons(neurons=(1, 3)),
    KeepNeurons(neurons=(1, 3), layer=0),
    LowRank(rank=2),
    Quantize(bits=4),
    Prune(share=0.5, within="tensor"),
    RandomDirection(norms=(("embed.W_E", 1.5), ("unembed.W_U", 0.5)), seed=3, tilt=0.1, spared=(2,)),
    Scaled(of=RemoveFrequencies(**KEYS), factor=0.3),
    Composed(edits=(ScaleNorms(factor=2.0), Scaled(of=Composed(edits=(Quantize(bits=3),)), factor=0.5))),
]
ACTIVATION_EDITS = [
    AblateHeads(heads=(0, 2), how="resample", seed=4),
    AblateNeurons(neurons=(0,), how="mean"),
    KeepFrequenciesOf(frequencies=(3,), where="neurons"),
    RemoveFrequenciesOf(frequencies=(3,), where="logits"),
    Patch(names=("hook_embed",), donor="ahead", positions=(1,), units=(0, 4)),
]


def of_kind(edit):
    return edit.kind


def test_the_list_has_every_kind_once():
    assert {type(edit) for edit in EDITS} == set(any_edit._EDITS)
    assert {type(edit) for edit in ACTIVATION_EDITS} == set(any_edit._ACTIVATION_EDITS)
    kinds = [edit.kind for edit in EDITS + ACTIVATION_EDITS]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("edit", EDITS, ids=of_kind)
def test_an_edit_comes_back_from_json_and_does_the_same(edit):
    found = edit_from_json(json.loads(json.dumps(edit_to_json(edit))))
    assert found == edit
    assert hash(found) == hash(edit)
    assert isinstance(edit, Edit)
    weights, bench = transformer()
    after = edit.edit(weights, bench)
    same(after, found.edit(weights, bench))
    assert changed(weights, after)
    assert type(edit).untouched


@pytest.mark.parametrize("edit", ACTIVATION_EDITS, ids=of_kind)
def test_an_edit_of_activations_comes_back_from_json(edit):
    found = activation_edit_from_json(json.loads(json.dumps(edit_to_json(edit))))
    assert found == edit
    assert hash(found) == hash(edit)
    assert isinstance(edit, ActivationEdit)
    assert type(edit).untouched


@pytest.mark.parametrize("edit", EDITS + ACTIVATION_EDITS, ids=of_kind)
def test_edits_are_values(edit):
    assert dataclasses.replace(edit) == edit
    with pytest.raises(dataclasses.FrozenInstanceError):
        edit.kind = "other"


def test_the_union_is_a_type_for_pydantic():
    import pydantic

    @dataclasses.dataclass(frozen=True)
    class Arm:
        name: str
        edits: tuple[any_edit.AnyEdit, ...]

    adapter = pydantic.TypeAdapter(Arm)
    arm = Arm("keys-back", tuple(EDITS))
    assert adapter.validate_json(adapter.dump_json(arm)) == arm


def test_a_share_of_an_edit_is_on_the_line():
    weights, bench = transformer()
    edit = RemoveFrequencies(frequencies=(2,), where=("W_E",))
    assert changed(weights, Scaled(of=edit, factor=0.5).edit(weights, bench)) == {"embed.W_E"}
    same(weights, Scaled(of=edit, factor=0.0).edit(weights, bench))
    same(edit.edit(weights, bench), Scaled(of=edit, factor=1.0).edit(weights, bench), 1e-6)
    half = ScaleFrequencies(frequencies=(2,), where=("W_E",), factor=0.5).edit(weights, bench)
    same(half, Scaled(of=edit, factor=0.5).edit(weights, bench), 1e-6)


def test_composed_edits_act_in_order():
    weights, bench = transformer()
    first, second = Quantize(bits=3), Prune(share=0.5, within="tensor")
    want = second.edit(first.edit(weights, bench), bench)
    same(want, Composed(edits=(first, second)).edit(weights, bench))
    assert changed(weights, Composed(edits=()).edit(weights, bench)) == set()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"kind": "delete"},
            r"An intervention needs a known kind, got 'delete'\. There are: keep-frequencies, remove-f",
        ),
        ({}, r"needs a known kind, got None"),
        ("keep-frequencies", r"needs a known kind, got 'keep-frequencies'\. There are"),
        ({"kind": ["low-rank"]}, r"needs a known kind, got \['low-rank'\]"),
        ({"kind": "ablate-heads", "heads": [1], "how": "zero"}, r"needs a known kind, got 'ablate-heads'"),
        (
            {"kind": "low-rank", "rank": 2, "ranks": 3},
            r"'low-rank' needs the fields rank, tensors, kind, got 'ranks' as",
        ),
        ({"kind": "low-rank"}, r"Intervention 'low-rank' needs rank that can be read: .*required"),
        (
            {"kind": "low-rank", "rank": "two"},
            r"Intervention 'low-rank' needs rank that can be read: .*integer",
        ),
        ({"kind": "quantize", "bits": 1}, r"Quantizing needs 2 to 24 bits, got 1"),
        (
            {"kind": "scaled", "of": {"kind": "x"}, "factor": 1},
            r"Intervention 'scaled' .*needs a known kind, got 'x'",
        ),
    ],
)
def test_what_is_no_edit_is_refused(value, message):
    with pytest.raises(ValueError, match=message) as caught:
        edit_from_json(value)
    assert "\n" not in str(caught.value)


def test_an_edit_of_weights_is_none_of_activations():
    with pytest.raises(ValueError, match=r"needs a known kind, got 'low-rank'\. There are: ablate-heads"):
        activation_edit_from_json({"kind": "low-rank", "rank": 2})

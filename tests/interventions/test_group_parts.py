"""Representations in weights: on residues they are frequencies, on groups they carry a hand-built network."""

import pytest
import torch

from interp.interventions.bench import Bench
from interp.interventions.frequencies import KeepFrequencies, RemoveFrequencies, ScaleFrequencies
from interp.interventions.representations import (
    GraftRepresentations,
    KeepRepresentations,
    RemoveRepresentations,
    ScaleRepresentations,
)
from interp.mathematics.groups import named_group
from interp.mathematics.representations import irreducible_representations, trace_table
from interp.networks import plain
from interp.networks.config import initial_weights
from tests import hand_built
from tests.interventions.benches import changed, mlp, noisy, of, same, transformer

BOTH = ("W_E", "W_L")


def random_group_network(group="S4"):
    task = hand_built.composition(group)
    config = hand_built.group_mlp(task, d_model=8, d_mlp=16)
    return noisy(initial_weights(config, 0), 0), Bench(
        config, task, {"ahead": noisy(initial_weights(config, 1), 1)}
    )


@pytest.mark.parametrize("network", [transformer, mlp])
def test_a_representation_of_residues_is_a_frequency(network):
    weights, bench = network()
    pairs = [
        (RemoveRepresentations, RemoveFrequencies, {}),
        (ScaleRepresentations, ScaleFrequencies, {"factor": 2.5}),
    ]
    for one, other, more in pairs:
        found = one(representations=("k=3", "k=5"), where=BOTH, **more).edit(weights, bench)
        same(other(frequencies=(3, 5), where=BOTH, **more).edit(weights, bench), found, 5e-7)
    kept = KeepRepresentations(representations=("k=3", "trivial"), where=BOTH).edit(weights, bench)
    same(KeepFrequencies(frequencies=(3,), where=BOTH).edit(weights, bench), kept, 5e-7)


def test_laws_of_parts():
    weights, bench = random_group_network()
    named = {"representations": ("standard", "[2,2]"), "where": BOTH}
    keep, remove = KeepRepresentations(**named), RemoveRepresentations(**named)
    kept, removed = keep.edit(weights, bench), remove.edit(weights, bench)
    for tensor, n in (("embed.W_E", 48), ("unembed.W_U", 24)):
        rows = (slice(n),) if tensor == "embed.W_E" else (slice(None), slice(n))
        torch.testing.assert_close(
            (kept[tensor] + removed[tensor])[rows], weights[tensor][rows], atol=5e-7, rtol=0
        )
    same(kept, keep.edit(kept, bench), 5e-7)
    same(removed, remove.edit(removed, bench), 5e-7)
    assert changed(weights, removed) == {"embed.W_E", "unembed.W_U"}
    double = ScaleRepresentations(factor=2.0, **named).edit(weights, bench)
    same(weights, ScaleRepresentations(factor=0.5, **named).edit(double, bench), 2e-6)
    own = Bench(bench.config, bench.task, {"own": weights, **bench.donors})
    there = GraftRepresentations(donor="ahead", **named).edit(weights, own)
    same(keep.edit(bench.donors["ahead"], own) | {k: there[k] for k in there if k not in ("embed.W_E", "unembed.W_U")},
         keep.edit(there, own), 5e-7)  # fmt: skip
    same(weights, GraftRepresentations(donor="own", **named).edit(there, own), 5e-7)
    for kind, more in ((RemoveRepresentations, {}), (ScaleRepresentations, {"factor": 2.0}),
                       (GraftRepresentations, {"donor": "ahead"})):  # fmt: skip
        nothing = kind(representations=(), where=BOTH, **more).edit(weights, bench)
        assert changed(weights, nothing) == set()


def test_a_network_of_characters_without_one_loses_its_character():
    snapshot = hand_built.characters({"standard": 3.0, "sign": 2.0})
    weights, bench = of(snapshot)
    edited = RemoveRepresentations(representations=("standard",), where=("W_L",)).edit(weights, bench)
    group = named_group("S4")
    sign = next(r for r in irreducible_representations(group) if r.name == "sign")
    want = 2.0 * trace_table(group, sign)[group.table.flatten()]
    found = plain.forward(bench.config, edited, bench.task.tokens)[:, -1, :24]
    pairs = bench.task.structure.pairs
    # Sums of float32 products of order 1.
    torch.testing.assert_close(found.double(), want[pairs[:, 0] * 24 + pairs[:, 1]], atol=1e-4, rtol=0)


def test_names_and_structure_are_asked_for():
    weights, bench = random_group_network()
    with pytest.raises(
        ValueError, match=r"S4 needs names of its irreducible representations, got k=3\. There are: triv"
    ):
        RemoveRepresentations(representations=("k=3",), where=("W_E",)).edit(weights, bench)
    weights, bench = transformer()
    task = hand_built.addition(operation="x2+xy+y2")
    with pytest.raises(
        ValueError, match=r"needs a task whose answer is a product in a group, got x2\+xy\+y2 mod 13"
    ):
        RemoveRepresentations(representations=("sign",), where=("W_E",)).edit(
            weights, Bench(bench.config, task)
        )
    with pytest.raises(ValueError, match=r"needs where to be of W_E, W_L, got \(\)"):
        RemoveRepresentations(representations=("sign",), where=())

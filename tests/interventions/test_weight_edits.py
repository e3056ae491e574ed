"""Norms, components, neurons and compression: identity, idempotence, inverse, and what stays the same object."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.interventions.bench import Bench, edit_norms, loss_of_test_rows
from interp.interventions.components import (
    GraftComponent,
    InterpolateComponent,
    component_tensors,
    swapped,
)
from interp.interventions.compression import LowRank, Prune, Quantize
from interp.interventions.neurons import KeepNeurons, RemoveNeurons, largest, neuron_norms
from interp.interventions.norms import ScaleNorms, TakeNorms
from interp.networks import plain
from interp.networks.config import initial_weights
from interp.networks.objective import losses
from tests import hand_built
from tests.interventions.benches import changed, mlp, of, same, transformer

NETWORKS = [transformer, mlp]
ALL_BIASES = {"attention_bias": True, "unembed_bias": True, "normalization_type": "LN", "n_layers": 2}


def logits_of(weights, bench):
    return plain.forward(bench.config, weights, bench.task.tokens)[:, -1]


# --- norms


@given(factor=st.floats(0.1, 10))
def test_scaling_and_scaling_back_is_nothing(factor):
    weights, bench = transformer()
    there = ScaleNorms(factor=factor).edit(weights, bench)
    for name, w in weights.items():
        torch.testing.assert_close(there[name].norm(), factor * w.norm(), rtol=1e-5, atol=0)
    back = ScaleNorms(factor=1 / factor).edit(there, bench)
    # Two roundings of float32 entries of order 1.
    same(weights, back, 1e-6)
    one = ScaleNorms(factor=factor, tensors=("unembed.W_U",)).edit(weights, bench)
    assert changed(weights, one) == {"unembed.W_U"}
    # With the last matrix alone the logits scale exactly.
    torch.testing.assert_close(
        logits_of(one, bench), factor * logits_of(weights, bench), atol=1e-4, rtol=1e-5
    )


def test_norms_of_a_donor_are_taken_and_directions_stay():
    weights, bench = transformer()
    edited = TakeNorms(donor="ahead").edit(weights, bench)
    for name, w in edited.items():
        torch.testing.assert_close(w.norm(), bench.donors["ahead"][name].norm(), rtol=1e-5, atol=0)
        torch.testing.assert_close(w / w.norm(), weights[name] / weights[name].norm(), atol=1e-6, rtol=0)
    own = Bench(bench.config, bench.task, {"own": weights})
    same(weights, TakeNorms(donor="own").edit(weights, own))
    some = TakeNorms(donor="ahead", tensors=("embed.W_E",)).edit(weights, bench)
    assert changed(weights, some) == {"embed.W_E"}
    zero = weights | {"blocks.0.mlp.b_in": torch.zeros(32)}
    assert not TakeNorms(donor="ahead").edit(zero, bench)["blocks.0.mlp.b_in"].any()


def test_norm_edits_refuse():
    weights, bench = transformer()
    with pytest.raises(ValueError, match=r"Scaling norms needs a finite factor, got nan\. 1 changes nothing"):
        ScaleNorms(factor=math.nan)
    with pytest.raises(
        ValueError, match=r"needs tensors of the network, got W_E\. There are: embed\.W_E, pos_embed"
    ):
        ScaleNorms(factor=2.0, tensors=("W_E",)).edit(weights, bench)
    with pytest.raises(ValueError, match="needs a donor 'back', got 'ahead'"):
        TakeNorms(donor="back").edit(weights, bench)


# --- components


def test_components_together_are_the_network_and_none_overlap():
    _, bench = transformer(**ALL_BIASES)
    parts = ("embedding", "positions", "QK", "OV", "mlp_in", "mlp_out", "norms", "unembedding")
    found = [name for part in parts for name in component_tensors(bench, part)]
    assert sorted(found) == sorted(component_tensors(bench, "everything"))
    assert len(set(found)) == len(found) == len(transformer(**ALL_BIASES)[0])
    assert component_tensors(bench, "QK", (1,)) == tuple(
        f"blocks.1.attn.{leaf}" for leaf in ("W_Q", "b_Q", "W_K", "b_K")
    )
    assert set(component_tensors(bench, "attention")) == {
        *component_tensors(bench, "QK"),
        *component_tensors(bench, "OV"),
    }
    assert set(component_tensors(bench, "mlp", (0,))) == {
        f"blocks.0.mlp.{x}" for x in ("W_in", "b_in", "W_out", "b_out")
    }


@pytest.mark.parametrize(
    "component", ["embedding", "QK", "OV", "attention", "mlp_in", "mlp", "unembedding", "everything"]
)
def test_a_graft_is_the_donors_tensors_and_nothing_else(component):
    weights, bench = transformer(**ALL_BIASES)
    grafted = GraftComponent(component=component, donor="ahead").edit(weights, bench)
    names = set(component_tensors(bench, component))
    assert changed(weights, grafted) == names
    assert all(grafted[name] is bench.donors["ahead"][name] for name in names)
    own = Bench(bench.config, bench.task, {"own": weights})
    assert changed(weights, GraftComponent(component=component, donor="own").edit(weights, own)) == set()
    moved = InterpolateComponent(component=component, donor="ahead", share=1.0).edit(weights, bench)
    same(grafted, moved, 1e-6)
    same(weights, InterpolateComponent(component=component, donor="ahead", share=0.0).edit(weights, bench))
    assert changed(weights, moved) == names


def test_half_of_the_way_is_the_mean():
    weights, bench = mlp()
    half = InterpolateComponent(component="unembedding", donor="ahead", share=0.5).edit(weights, bench)
    mean = (weights["unembed.W_U"] + bench.donors["ahead"]["unembed.W_U"]) / 2
    torch.testing.assert_close(half["unembed.W_U"], mean, atol=1e-6, rtol=0)


def test_swapping_twice_is_nothing_and_everything_is_the_other_network():
    weights, bench = transformer()
    other = bench.donors["ahead"]
    one, two = swapped("attention", weights, other, bench)
    assert changed(weights, one) == set(component_tensors(bench, "attention")) == changed(other, two)
    again = swapped("attention", one, two, bench)
    assert changed(weights, again[0]) == set() == changed(other, again[1])
    assert changed(other, swapped("everything", weights, other, bench)[0]) == set()


def test_component_edits_refuse(annotations_off):
    weights, bench = mlp()
    with pytest.raises(
        ValueError, match=r"needs a component that the network has, got 'mlp_out'\. There are: embedding, mlp"
    ):
        GraftComponent(component="mlp_out", donor="ahead").edit(weights, bench)
    with pytest.raises(ValueError, match=r"needs a layer from 0 to 0, got 1"):
        GraftComponent(component="mlp", donor="ahead", layers=(1,)).edit(weights, bench)
    wide = Bench(bench.config, bench.task, {"wide": initial_weights(transformer()[1].config, 0)})
    with pytest.raises(ValueError, match=r"Donor 'wide' needs embed\.W_E of shape \(26, 8\), got \(14, 16\)"):
        InterpolateComponent(component="everything", donor="wide", share=0.5).edit(weights, wide)
    with (
        annotations_off(),
        pytest.raises(ValueError, match=r"needs component to be one of 'embedding', .*got 'W_E'"),
    ):
        GraftComponent(component="W_E", donor="ahead")


# --- neurons


@pytest.mark.parametrize("network", NETWORKS)
def test_removed_neurons_say_nothing_and_the_others_what_they_said(network):
    weights, bench = network()
    n = bench.config.d_mlp
    gone = (0, 3, n - 1)
    edited = RemoveNeurons(neurons=gone).edit(weights, bench)
    out = "blocks.0.mlp.W_out" if network is transformer else "unembed.W_U"
    assert changed(weights, edited) == {"blocks.0.mlp.W_in", "blocks.0.mlp.b_in", out}

    def silenced(name, x):
        if name != "blocks.0.mlp.hook_post":
            return x
        mask = torch.ones(n)
        mask[list(gone)] = 0
        return x * mask

    want = plain.forward(bench.config, weights, bench.task.tokens, silenced)[:, -1]
    torch.testing.assert_close(logits_of(edited, bench), want, atol=1e-5, rtol=0)
    same(edited, RemoveNeurons(neurons=gone).edit(edited, bench))
    kept = KeepNeurons(neurons=tuple(i for i in range(n) if i not in gone)).edit(weights, bench)
    same(edited, kept)


def test_removed_neurons_have_no_gradient():
    weights, bench = transformer()
    edited = RemoveNeurons(neurons=(1, 2)).edit(weights, bench)
    leaves = {name: w.clone().requires_grad_() for name, w in edited.items()}
    loss_of_test_rows(bench)(leaves).backward()
    for name, dim in (("blocks.0.mlp.W_in", 1), ("blocks.0.mlp.b_in", 0), ("blocks.0.mlp.W_out", 0)):
        gradient = leaves[name].grad.movedim(dim, 0)
        assert not gradient[1:3].any()
        assert gradient.any()


def test_no_neurons_and_all_neurons():
    weights, bench = transformer()
    assert changed(weights, RemoveNeurons(neurons=()).edit(weights, bench)) == set()
    assert changed(weights, KeepNeurons(neurons=tuple(range(32))).edit(weights, bench)) == set()
    empty = KeepNeurons(neurons=()).edit(weights, bench)
    assert not neuron_norms(empty, bench).any()


def test_a_memorizer_loses_the_rows_of_its_removed_neurons_and_no_other():
    weights, bench = of(hand_built.memorizer())
    gone = (0, 7)
    edited = RemoveNeurons(neurons=gone).edit(weights, bench)
    worse = losses(logits_of(edited, bench), bench.task.labels, torch.float64) - losses(
        logits_of(weights, bench), bench.task.labels, torch.float64
    )
    rows = bench.task.split.nonzero().flatten()[list(gone)]
    # Neuron i holds train row i: its row falls to chance, ln 13 from next to nothing.
    assert sorted((worse.abs() > 1e-6).nonzero().flatten().tolist()) == sorted(rows.tolist())
    torch.testing.assert_close(worse[rows], torch.full((2,), math.log(13)).double(), atol=1e-3, rtol=0)


def test_norms_of_neurons_are_of_all_that_they_read_and_write():
    for network in NETWORKS:
        weights, bench = network()
        for neuron in (0, 5):
            # What removal takes away, orthogonal tensors, is the neuron.
            norms = edit_norms(RemoveNeurons(neurons=(neuron,)), weights, bench)
            total = math.sqrt(sum(norm**2 for norm in norms.values()))
            assert float(neuron_norms(weights, bench)[neuron]) == pytest.approx(total, rel=1e-9)


def test_the_largest_are_chosen_in_order_and_ties_by_index():
    assert largest(torch.tensor([3.0, 1.0, 3.0, 2.0]), 2) == (0, 2)
    assert largest([1.0, 1.0, 1.0], 2) == (0, 1)
    assert largest([1.0], 0) == ()
    with pytest.raises(ValueError, match="Choosing neurons needs a number from 0 to 1, got 2"):
        largest([1.0], 2)


@pytest.mark.parametrize("kind", [KeepNeurons, RemoveNeurons])
def test_neuron_edits_refuse(kind):
    weights, bench = transformer()
    with pytest.raises(ValueError, match=r"needs neurons from 0 to 31, got \[32, -1\]"):
        kind(neurons=(32, 3, -1)).edit(weights, bench)
    with pytest.raises(ValueError, match=r"needs a layer from 0 to 0, got 2\. Layers are counted from 0"):
        kind(neurons=(0,), layer=2).edit(weights, bench)
    weights, bench = transformer(d_mlp=0)
    with pytest.raises(ValueError, match="needs a network with neurons, got one without"):
        kind(neurons=(0,)).edit(weights, bench)


# --- compression

COMPRESSIONS = [
    LowRank(rank=3),
    LowRank(rank=0),
    Quantize(bits=2),
    Quantize(bits=5),
    Prune(share=0.3, within="network"),
    Prune(share=0.9, within="tensor"),
    Prune(share=1.0, within="network"),
]


@pytest.mark.parametrize("edit", COMPRESSIONS)
@pytest.mark.parametrize("network", NETWORKS)
def test_compressing_twice_is_compressing_once(edit, network):
    weights, bench = network()
    once = edit.edit(weights, bench)
    assert changed(weights, once)
    # A second SVD rounds; a second rounding or cut finds what it left.
    same(once, edit.edit(once, bench), 1e-6)


def test_low_rank_is_the_nearest_of_its_rank():
    weights, bench = transformer()
    edited = LowRank(rank=3).edit(weights, bench)
    assert changed(weights, edited) == {
        name for name, w in weights.items() if w.ndim > 1 and min(w.shape[-2:]) > 3
    }
    for name in changed(weights, edited):
        s = torch.linalg.svdvals(weights[name].double())
        gone = torch.linalg.vector_norm(edited[name].double() - weights[name].double())
        torch.testing.assert_close(gone, s[..., 3:].norm(), atol=1e-5, rtol=0)
        assert (torch.linalg.svdvals(edited[name].double())[..., 3:] < 1e-5).all()
    assert changed(weights, LowRank(rank=99).edit(weights, bench)) == set()


def test_quantized_tensors_have_few_values_and_their_largest_entry():
    weights, bench = transformer()
    edited = Quantize(bits=3, tensors=("embed.W_E",)).edit(weights, bench)
    assert changed(weights, edited) == {"embed.W_E"}
    w, found = weights["embed.W_E"], edited["embed.W_E"]
    assert len(found.unique()) == 7
    assert found.abs().max() == w.abs().max()
    # Rounding to the nearest of levels a third of the largest entry apart.
    assert (found - w).abs().max() <= w.abs().max() / 6 + 1e-6
    zero = weights | {"blocks.0.mlp.b_in": torch.zeros(32)}
    assert "blocks.0.mlp.b_in" not in changed(zero, Quantize(bits=3).edit(zero, bench))


def test_pruning_cuts_the_smallest_of_network_or_tensor():
    weights, bench = transformer()
    n = sum(w.numel() for w in weights.values())
    flat = torch.cat([w.flatten() for w in weights.values()])
    cut = torch.cat([w.flatten() for w in Prune(share=0.3, within="network").edit(weights, bench).values()])
    assert int((cut == 0).sum()) == math.floor(0.3 * n)
    assert flat[cut == 0].abs().max() <= flat[cut != 0].abs().min()
    assert torch.equal(flat[cut != 0], cut[cut != 0])
    for name, w in Prune(share=0.5, within="tensor").edit(weights, bench).items():
        assert int((w == 0).sum()) == weights[name].numel() // 2
    assert changed(weights, Prune(share=0.0, within="network").edit(weights, bench)) == set()
    some = Prune(share=0.5, within="network", tensors=("unembed.W_U",)).edit(weights, bench)
    assert changed(weights, some) == {"unembed.W_U"}


def test_compression_refuses():
    weights, bench = transformer()
    with pytest.raises(ValueError, match="A low rank needs to be at least 0, got -1"):
        LowRank(rank=-1)
    with pytest.raises(ValueError, match="Quantizing needs 2 to 24 bits, got 1"):
        Quantize(bits=1)
    with pytest.raises(ValueError, match=r"Pruning needs a share from 0 to 1, got 1\.5"):
        Prune(share=1.5, within="network")
    for edit in (LowRank(rank=1, tensors=("W",)), Quantize(bits=4, tensors=("W",)),
                 Prune(share=0.5, within="tensor", tensors=("W",))):  # fmt: skip
        with pytest.raises(ValueError, match="needs tensors of the network, got W"):
            edit.edit(weights, bench)


def test_words_of_pruning(annotations_off):
    with (
        annotations_off(),
        pytest.raises(ValueError, match="Prune needs within to be one of 'network', 'tensor', got 'all'"),
    ):
        Prune(share=0.5, within="all")

"""Frequencies in weights: the laws, and what the hand-built networks must lose."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.interventions.bench import Bench
from interp.interventions.frequencies import (
    GraftFrequencies,
    KeepFrequencies,
    RemoveFrequencies,
    ScaleFrequencies,
    frequency_norms,
)
from interp.mathematics.fourier import fourier_basis
from interp.mathematics.residues import discrete_logarithms
from interp.networks import objective, plain
from interp.networks.config import initial_weights
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot
from tests import hand_built
from tests.interventions.benches import changed, mlp, noisy, of, same, transformer

BOTH = ("W_E", "W_L")
SETS = st.lists(st.integers(1, 6), unique=True, max_size=6).map(tuple)
PLACES = st.sampled_from([("W_E",), ("W_L",), BOTH])
# Parts are made in float64; what is left is the rounding of float32 weights of order 1, twice.
ROUNDING = 5e-7


def logits_of(weights, bench):
    return plain.forward(bench.config, weights, bench.task.tokens)[:, -1]


def network(name):
    return transformer() if name == "transformer" else mlp()


@pytest.mark.parametrize("name", ["transformer", "mlp"])
@given(frequencies=SETS, where=PLACES)
def test_kept_and_removed_parts_are_the_whole(name, frequencies, where):
    weights, bench = network(name)
    kept = KeepFrequencies(frequencies=frequencies, where=where, constant=False).edit(weights, bench)
    removed = RemoveFrequencies(frequencies=frequencies, where=where).edit(weights, bench)
    rest = tuple(k for k in range(1, 7) if k not in frequencies)
    kept_rest = KeepFrequencies(frequencies=rest, where=where).edit(weights, bench)
    same(removed, kept_rest, ROUNDING)
    if "W_E" in where:
        n = 13 if name == "transformer" else 26
        whole = (kept["embed.W_E"] + removed["embed.W_E"])[:n]
        torch.testing.assert_close(whole, weights["embed.W_E"][:n], atol=ROUNDING, rtol=0)
        assert torch.equal(kept["embed.W_E"][n:], weights["embed.W_E"][n:])
    if "W_L" in where:
        whole = kept["unembed.W_U"] + removed["unembed.W_U"]
        torch.testing.assert_close(whole, weights["unembed.W_U"], atol=ROUNDING, rtol=0)


@given(frequencies=SETS, others=SETS, where=PLACES, factor=st.floats(0.25, 4))
def test_what_is_done_twice_undone_or_exchanged(frequencies, others, where, factor):
    weights, bench = transformer()
    named = {"frequencies": frequencies, "where": where}
    for edit in (KeepFrequencies(**named), RemoveFrequencies(**named)):
        once = edit.edit(weights, bench)
        same(once, edit.edit(once, bench), ROUNDING)
    there = ScaleFrequencies(factor=factor, **named).edit(weights, bench)
    # Weights are of order 1, so that 4 times their rounding is 2e-6.
    same(weights, ScaleFrequencies(factor=1 / factor, **named).edit(there, bench), 2e-6)
    disjoint = tuple(k for k in others if k not in frequencies)
    one, other = (
        ScaleFrequencies(factor=factor, **named),
        RemoveFrequencies(frequencies=disjoint, where=where),
    )
    same(other.edit(one.edit(weights, bench), bench), one.edit(other.edit(weights, bench), bench), 2e-6)


@given(frequencies=SETS, where=PLACES)
def test_setting_back_and_grafting_undo_each_other(frequencies, where):
    weights, bench = transformer()
    own = Bench(bench.config, bench.task, {"own": weights, **bench.donors})
    back = GraftFrequencies(frequencies=frequencies, where=where, donor="ahead")
    ahead = GraftFrequencies(frequencies=frequencies, where=where, donor="own")
    same(weights, ahead.edit(weights, own))
    same(weights, ahead.edit(back.edit(weights, own), own), ROUNDING)
    # What is grafted is the donor's, the rest is its own.
    grafted = back.edit(weights, own)
    keep, remove = (
        kind(frequencies=frequencies, where=where) for kind in (KeepFrequencies, RemoveFrequencies)
    )
    donor = own.donors["ahead"]
    same(remove.edit(weights, own), remove.edit(grafted, own), ROUNDING)
    for place, tensor, dim in (("W_E", "embed.W_E", 0), ("W_L", "unembed.W_U", 1)):
        if place in where and frequencies:
            found, want = (
                KeepFrequencies(**vars_of(keep), constant=False).edit(w, own)[tensor].narrow(dim, 0, 13)
                for w in (grafted, donor)
            )
            torch.testing.assert_close(found, want, atol=ROUNDING, rtol=0)


def vars_of(edit):
    return {"frequencies": edit.frequencies, "where": edit.where}


def test_all_frequencies_grafted_leave_the_mean():
    weights, bench = transformer()
    edit = GraftFrequencies(frequencies=tuple(range(1, 7)), where=("W_E",), donor="ahead")
    grafted, donor = edit.edit(weights, bench)["embed.W_E"][:13], bench.donors["ahead"]["embed.W_E"][:13]
    torch.testing.assert_close(grafted - grafted.mean(0), donor - donor.mean(0), atol=ROUNDING, rtol=0)
    torch.testing.assert_close(grafted.mean(0), weights["embed.W_E"][:13].mean(0), atol=ROUNDING, rtol=0)


def edits(where):
    named = {"frequencies": (2, 5), "where": where}
    return [
        KeepFrequencies(**named),
        RemoveFrequencies(**named),
        ScaleFrequencies(factor=0.5, **named),
        GraftFrequencies(donor="ahead", **named),
    ]


@pytest.mark.parametrize("where", [("W_E",), ("W_L",), BOTH])
@pytest.mark.parametrize("i", range(4))
def test_what_is_not_named_is_the_same_object(where, i):
    weights, bench = transformer()
    before = {name: w.clone() for name, w in weights.items()}
    edit = edits(where)[i]
    after = edit.edit(weights, bench)
    assert changed(weights, after) == set(edit.tensors)
    assert torch.equal(after["embed.W_E"][13], weights["embed.W_E"][13])
    same(before, weights)


def test_nothing_named_is_nothing_changed():
    weights, bench = transformer()
    for edit in edits(BOTH)[1:]:
        empty = type(edit)(**{**vars(edit), "frequencies": ()})
        assert changed(weights, empty.edit(weights, bench)) == set()
    same(weights, ScaleFrequencies(frequencies=(3,), where=BOTH, factor=1.0).edit(weights, bench))


@pytest.mark.parametrize("lost", [(2,), (5,), (2, 5)])
def test_a_clock_without_a_frequency_in_its_answers_loses_its_wave(lost):
    snapshot = hand_built.clock([2, 5], amplitudes=[10.0, 6.0])
    weights, bench = of(snapshot)
    edited = RemoveFrequencies(frequencies=lost, where=("W_L",)).edit(weights, bench)
    t = torch.arange(13, dtype=torch.float64)
    a, b, c = torch.meshgrid(t, t, t, indexing="ij")
    rest = [(k, amplitude) for k, amplitude in ((2, 10.0), (5, 6.0)) if k not in lost]
    waves = [amplitude * torch.cos(2 * torch.pi * k * (a + b - c) / 13) for k, amplitude in rest]
    want = sum(waves, torch.zeros(13, 13, 13, dtype=torch.float64)).reshape(169, 13)
    found = logits_of(edited, bench)
    # Sums of float32 terms of order 10.
    torch.testing.assert_close(found.double(), want, atol=1e-4, rtol=0)
    loss = objective.loss(found, bench.task.labels, torch.float64)
    torch.testing.assert_close(
        loss, objective.loss(want, bench.task.labels, torch.float64), atol=1e-4, rtol=0
    )
    before = objective.loss(logits_of(weights, bench), bench.task.labels, torch.float64)
    assert loss > before + 0.01


def test_a_clock_without_its_frequency_in_the_embedding_is_at_chance_and_others_cost_nothing():
    weights, bench = of(hand_built.clock([3], amplitudes=[10.0]))
    blind = RemoveFrequencies(frequencies=(3,), where=("W_E",)).edit(weights, bench)
    assert logits_of(blind, bench).abs().max() < 1e-4
    others = RemoveFrequencies(frequencies=(1, 2, 4, 5, 6), where=BOTH).edit(weights, bench)
    torch.testing.assert_close(logits_of(others, bench), logits_of(weights, bench), atol=1e-4, rtol=0)


def test_a_memorizer_loses_nothing_that_another_frequency_would_not_take():
    snapshot = hand_built.memorizer()
    weights, bench = of(snapshot)
    train = bench.task.split
    for k in range(1, 7):
        edited = RemoveFrequencies(frequencies=(k,), where=("W_L",)).edit(weights, bench)
        is_right = objective.is_right(logits_of(edited, bench), bench.task.labels)
        # All frequencies have the same part in a table; without one the label is still the largest of its row.
        assert is_right[train].all()
        norms = frequency_norms(weights, bench, "W_L")
        torch.testing.assert_close(norms, norms.mean().expand(6), atol=1e-5, rtol=0)


def test_norms_of_frequencies_are_those_of_the_parts():
    for weights, bench in (transformer(), mlp()):
        for place, tensor in (("W_E", "embed.W_E"), ("W_L", "unembed.W_U")):
            found = frequency_norms(weights, bench, place)
            for k in range(1, 7):
                edited = RemoveFrequencies(frequencies=(k,), where=(place,)).edit(weights, bench)
                gone = (weights[tensor].double() - edited[tensor].double()).norm()
                torch.testing.assert_close(found[k - 1], gone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("operation", ["multiply", "divide", "subtract"])
def test_frequencies_are_those_of_the_algebra(operation):
    task = hand_built.addition(operation=operation)
    config = hand_built.config_for(task, d_model=8, n_heads=1, d_mlp=8)
    weights = noisy(initial_weights(config, 0), 0)
    bench = Bench(config, task)
    edited = RemoveFrequencies(frequencies=(2,), where=BOTH).edit(weights, bench)
    view = Snapshot(0, edited, hand_built.DescribedNetwork(config), task).once(Residues)
    n = 13 if operation == "subtract" else 12
    basis = fourier_basis(n)
    for rows, gone in itertools.product((view.embedding.double(), view.neuron_logit_map.double()), (3, 4)):
        assert (basis[gone] @ rows).abs().max() < 1e-6
        assert (basis[1] @ rows).abs().max() > 1e-2
    if n == 12:
        # 0 has no logarithm and is in no frequency.
        assert discrete_logarithms(13)[0] == -1
        assert torch.equal(edited["embed.W_E"][0], weights["embed.W_E"][0])
        assert torch.equal(edited["unembed.W_U"][:, 0], weights["unembed.W_U"][:, 0])


def test_operands_with_tokens_of_their_own_are_both_edited():
    weights, bench = mlp()
    edited = KeepFrequencies(frequencies=(4,), where=("W_E",)).edit(weights, bench)["embed.W_E"]
    for rows in (edited[:13], edited[13:26]):
        power = (fourier_basis(13) @ rows.double()).square().sum(1)
        assert (power > 1e-6).nonzero().flatten().tolist() == [0, 7, 8]


def test_W_L_is_edited_through_the_answers_of_W_U():
    weights, bench = transformer()
    edited = RemoveFrequencies(frequencies=(3,), where=("W_L",)).edit(weights, bench)
    w_out = weights["blocks.0.mlp.W_out"].double()
    part = fourier_basis(13)[5:7]
    w_l = w_out @ weights["unembed.W_U"].double()
    torch.testing.assert_close(
        w_out @ edited["unembed.W_U"].double(), w_l - w_l @ part.T @ part, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RemoveFrequencies(frequencies=(7,), where=("W_E",)).edit(*transformer()),
         r"Frequencies on Z_13 run from 1 to 6, got \[7\]"),
        (lambda: KeepFrequencies(frequencies=(0,), where=("W_E",)).edit(*transformer()),
         r"Frequencies on Z_13 run from 1 to 6, got \[0\]"),
        (lambda: GraftFrequencies(frequencies=(1,), where=("W_E",), donor="back").edit(*transformer()),
         r"needs a donor 'back', got 'ahead'\. Give the weights"),
        (lambda: GraftFrequencies(frequencies=(1,), where=("W_E",), donor="back").edit(*of(hand_built.clock([1]))),
         r"needs a donor 'back', got none\."),
        (lambda: RemoveFrequencies(frequencies=(1,), where=("W_L",)).edit(*of(hand_built.characters({"sign": 1.0}))),
         r"needs a task whose answer is a sum under some renaming, got .*S4"),
    ],
)  # fmt: skip
def test_errors_say_what_is_there(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_place_is_one_of_two(annotations_off):
    with (
        annotations_off(),
        pytest.raises(ValueError, match=r"needs where to be of W_E, W_L, got \('neurons',\)"),
    ):
        RemoveFrequencies(frequencies=(1,), where=("neurons",))
    with pytest.raises(ValueError, match=r"needs where to be of W_E, W_L, got \(\)"):
        RemoveFrequencies(frequencies=(1,), where=())


def test_a_donor_of_another_network_is_refused():
    weights, bench = transformer()
    wide = {"wide": initial_weights(transformer(d_model=32)[1].config, 0), "empty": {}}
    edit = GraftFrequencies(frequencies=(1,), where=("W_E",), donor="wide")
    with pytest.raises(
        ValueError, match=r"'wide' needs embed\.W_E of shape \(14, 16\), got \(14, 32\)\. It is of anoth"
    ):
        edit.edit(weights, Bench(bench.config, bench.task, wide))
    edit = GraftFrequencies(frequencies=(1,), where=("W_E",), donor="empty")
    with pytest.raises(ValueError, match=r"'empty' needs embed\.W_E of shape \(14, 16\), got nothing"):
        edit.edit(weights, Bench(bench.config, bench.task, wide))


def test_networks_without_such_a_tensor_are_refused():
    task = hand_built.addition(equals_token=False)
    one_hot = hand_built.group_mlp(task, d_model=13, d_mlp=8, one_hot_embed=True)
    with pytest.raises(ValueError, match="on W_E needs a learned embedding, got a one-hot one"):
        RemoveFrequencies(frequencies=(1,), where=("W_E",)).edit(
            initial_weights(one_hot, 0), Bench(one_hot, task)
        )
    weights, bench = transformer(tied_unembed=True)
    with pytest.raises(
        ValueError, match="on W_L needs an unembedding of its own, got one that is tied to W_E"
    ):
        RemoveFrequencies(frequencies=(1,), where=("W_L",)).edit(weights, bench)
    with pytest.raises(ValueError, match="needs the task of the run, got none"):
        RemoveFrequencies(frequencies=(1,), where=("W_E",)).edit(weights, Bench(bench.config))
    task = hand_built.addition(operation="x2+xy+y2")
    with pytest.raises(ValueError, match=r"sum under some renaming, got x2\+xy\+y2 mod 13"):
        RemoveFrequencies(frequencies=(1,), where=("W_E",)).edit(weights, Bench(bench.config, task))

"""Shams do as much as the edit, at another place, and follow from their seed."""

import dataclasses

import numpy as np
import pytest
import torch

from interp.interventions.activation_frequencies import RemoveFrequenciesOf
from interp.interventions.bench import Bench, edit_norms
from interp.interventions.components import GraftComponent
from interp.interventions.directions import RandomDirection
from interp.interventions.frequencies import (
    GraftFrequencies,
    KeepFrequencies,
    RemoveFrequencies,
    frequency_norms,
)
from interp.interventions.heads import AblateHeads
from interp.interventions.neurons import AblateNeurons, KeepNeurons, RemoveNeurons
from interp.interventions.representations import GraftRepresentations, KeepRepresentations
from interp.interventions.shams import (
    neurons_of_norm,
    other_frequencies,
    other_neurons,
    other_representations,
    other_units,
    raised,
    raised_by,
    random_direction,
    summed_norm,
)
from tests import hand_built
from tests.interventions.benches import changed, mlp, of, same, transformer

BOTH = ("W_E", "W_L")


@pytest.mark.parametrize(
    "edit",
    [
        KeepFrequencies(frequencies=(1, 4), where=BOTH, constant=False),
        GraftFrequencies(frequencies=(1, 4), where=BOTH, donor="ahead"),
        RemoveFrequenciesOf(frequencies=(1, 4), where="logits"),
    ],
)
def test_other_frequencies_are_as_many_and_none_that_is_named_or_spared(edit):
    _, bench = transformer()
    drawn = [other_frequencies(edit, bench, seed, spared=(6,)) for seed in range(20)]
    assert drawn[3] == other_frequencies(edit, bench, 3, spared=(6,))
    for sham in drawn:
        assert len(set(sham.frequencies)) == 2
        assert set(sham.frequencies) <= {2, 3, 5}
        assert dataclasses.replace(sham, frequencies=(1, 4)) == edit
    assert {sham.frequencies for sham in drawn} == {(2, 3), (2, 5), (3, 5)}
    with pytest.raises(ValueError, match="This sham needs 2 frequencies that the edit does not name, got 1"):
        other_frequencies(edit, bench, 0, spared=(2, 3, 6))


def test_other_representations_leave_the_trivial_one_where_it_is():
    _, bench = of(hand_built.characters({"standard": 1.0}))
    edit = KeepRepresentations(representations=("trivial", "standard"), where=BOTH)
    drawn = {other_representations(edit, bench, seed).representations for seed in range(30)}
    assert drawn == {("trivial", name) for name in ("sign", "[2,2]", "standard_sign")}
    graft = GraftRepresentations(representations=("sign", "standard", "[2,2]"), where=BOTH, donor="ahead")
    with pytest.raises(ValueError, match="needs 3 representations that the edit does not name, got 1"):
        other_representations(graft, bench, 0)


def test_a_random_direction_has_the_norms_of_the_edit_and_nothing_of_its_direction():
    weights, bench = transformer()
    edit = GraftComponent(component="everything", donor="ahead")
    sham = random_direction(edit, weights, bench, 5)
    wanted, found = edit_norms(edit, weights, bench), edit_norms(sham, weights, bench)
    # Entries are float32, of order 1, and the norms are of some hundred of them.
    assert found == pytest.approx(wanted, rel=1e-5)
    assert sham == random_direction(edit, weights, bench, 5)
    deltas = [
        torch.cat([(e.edit(weights, bench)[name] - w).flatten() for name, w in weights.items()])
        for e in (edit, sham, random_direction(edit, weights, bench, 6))
    ]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        # Some thousand entries: the cosine of independent directions has a standard deviation below .02.
        assert abs(float(torch.cosine_similarity(deltas[i], deltas[j], dim=0))) < 0.1


def test_a_random_direction_touches_what_it_names():
    weights, bench = transformer()
    sham = RandomDirection(norms=(("unembed.W_U", 2.0), ("embed.W_E", 0.0)), seed=0)
    edited = sham.edit(weights, bench)
    assert changed(weights, edited) == {"unembed.W_U"}
    torch.testing.assert_close((edited["unembed.W_U"] - weights["unembed.W_U"]).norm(), torch.tensor(2.0))
    assert changed(weights, RandomDirection(norms=(), seed=0).edit(weights, bench)) == set()


@pytest.mark.parametrize("tilt", [0.0, 0.7, -1.2])
@pytest.mark.parametrize("network", [transformer, mlp])
def test_spared_frequencies_and_what_is_no_residue_stay(tilt, network):
    weights, bench = network()
    sham = RandomDirection(norms=(("embed.W_E", 3.0), ("unembed.W_U", 2.0)), seed=1, tilt=tilt, spared=(2, 5))
    edited = sham.edit(weights, bench)
    for place in BOTH:
        before, after = (frequency_norms(w, bench, place) for w in (weights, edited))
        moved = (before - after).abs() > 1e-5
        assert moved.tolist() == [True, False, True, True, False, True]
    spared = KeepFrequencies(frequencies=(2, 5), where=BOTH, constant=False)
    same(spared.edit(weights, bench) | {"embed.W_E": spared.edit(weights, bench)["embed.W_E"][:13]},
         spared.edit(edited, bench) | {"embed.W_E": spared.edit(edited, bench)["embed.W_E"][:13]}, 1e-6)  # fmt: skip
    assert torch.equal(edited["embed.W_E"][13 if network is transformer else 26 :],
                       weights["embed.W_E"][13 if network is transformer else 26 :])  # fmt: skip
    assert edit_norms(sham, weights, bench) == pytest.approx({"embed.W_E": 3.0, "unembed.W_U": 2.0}, rel=1e-6)


def test_a_tilt_leans_on_the_gradient_of_the_test_loss():
    from interp.interventions.bench import loss_of_test_rows

    weights, bench = transformer()
    loss = loss_of_test_rows(bench)
    norms = (("embed.W_E", 0.01), ("blocks.0.mlp.W_in", 0.01))
    changes = [
        float(loss(RandomDirection(norms=norms, seed=2, tilt=tilt).edit(weights, bench)) - loss(weights))
        for tilt in (-1.5, -0.7, 0.0, 0.7, 1.5)
    ]
    assert changes == sorted(changes)
    assert changes[0] < 0 < changes[-1]
    # Of steps this small the steepest makes, to first order, the norm of the step times that of the gradient.
    leaves = {name: weights[name].clone().requires_grad_() for name, _ in norms}
    loss({**weights, **leaves}).backward()
    slope = sum(float(leaf.grad.norm()) for leaf in leaves.values()) * 0.01
    steepest = RandomDirection(norms=norms, seed=2, tilt=np.pi / 2).edit(weights, bench)
    assert float(loss(steepest) - loss(weights)) == pytest.approx(slope, rel=0.05)


def test_random_directions_refuse():
    weights, bench = transformer()
    with pytest.raises(ValueError, match=r"needs finite norms of at least 0, got embed\.W_E: -1\.0"):
        RandomDirection(norms=(("embed.W_E", -1.0),), seed=0)
    with pytest.raises(ValueError, match=r"needs tensors of the network, got W_E"):
        RandomDirection(norms=(("W_E", 1.0),), seed=0).edit(weights, bench)
    with pytest.raises(
        ValueError, match=r"Sparing frequencies needs tensors of embed\.W_E and unembed\.W_U, got blocks"
    ):
        RandomDirection(norms=(("blocks.0.mlp.W_in", 1.0),), seed=0, spared=(1,)).edit(weights, bench)
    with pytest.raises(ValueError, match=r"Frequencies on Z_13 run from 1 to 6, got \[8\]"):
        RandomDirection(norms=(("embed.W_E", 1.0),), seed=0, spared=(8,)).edit(weights, bench)
    unsplit = Bench(bench.config, dataclasses.replace(bench.task, is_train=None))
    with pytest.raises(ValueError, match="needs the train/test split"):
        RandomDirection(norms=(("embed.W_E", 1.0),), seed=0, tilt=0.1).edit(weights, unsplit)


@pytest.mark.parametrize("kind", [KeepNeurons, RemoveNeurons])
def test_random_neurons_have_the_summed_norm_of_the_edit(kind):
    weights, bench = transformer()
    edit = kind(neurons=(1, 8, 20, 30))
    drawn = [other_neurons(edit, weights, bench, seed, tolerance=0.002) for seed in range(10)]
    assert drawn[0] == other_neurons(edit, weights, bench, 0, tolerance=0.002)
    assert len({sham.neurons for sham in drawn}) > 5
    target = summed_norm(edit, weights, bench)
    for sham in drawn:
        assert type(sham) is kind
        assert len(set(sham.neurons)) == 4
        assert not set(sham.neurons) & set(edit.neurons)
        assert summed_norm(sham, weights, bench) == pytest.approx(target, rel=0.002)


def test_the_largest_neurons_have_no_peers_of_their_number():
    norms = torch.tensor([1.0] * 12 + [5.0, 5.0])
    with pytest.raises(
        ValueError, match=r"need a summed norm of 10 within 1\.0%, got 2 with 2 of them\. .*same_number=False"
    ):
        neurons_of_norm(norms, 10.0, 2, 0, 0.01, avoided=(12, 13))
    free = neurons_of_norm(norms, 10.0, None, 0, 0.01, avoided=(12, 13))
    assert len(free) == 10
    assert max(free) < 12
    # Where the others do not suffice, all may be drawn.
    everyone = neurons_of_norm(norms, 22.0, None, 0, 0.01, avoided=(12, 13))
    assert set(everyone) == set(range(14))


def test_other_units_are_others():
    _, bench = transformer()
    heads = {other_units(AblateHeads(heads=(2,), how="mean"), bench, seed).heads for seed in range(30)}
    assert heads == {(0,), (1,), (3,)}
    drawn = other_units(AblateNeurons(neurons=(0, 1), how="resample", seed=7), bench, 0)
    assert drawn.how == "resample"
    assert drawn.seed == 7
    assert len(set(drawn.neurons) - {0, 1}) == 2
    with pytest.raises(ValueError, match="needs 3 heads that the edit does not name, got 1"):
        other_units(AblateHeads(heads=(0, 1, 2), how="zero"), bench, 0)


def test_a_raised_frequency_has_the_leaders_amplitude_and_its_sham_the_same_norm():
    weights, bench = transformer()
    edit = raised(weights, bench, 3, 5, BOTH)
    after = edit.edit(weights, bench)
    for place in BOTH:
        before, now = (frequency_norms(w, bench, place) for w in (weights, after))
        assert float(now[2]) == pytest.approx(float(before[4]), rel=1e-6)
        torch.testing.assert_close(now[[0, 1, 3, 4, 5]], before[[0, 1, 3, 4, 5]], atol=1e-6, rtol=0)
    norms = edit_norms(edit, weights, bench)
    sham = raised_by(weights, bench, 6, norms, BOTH)
    assert edit_norms(sham, weights, bench) == pytest.approx(norms, rel=1e-5)


def test_nothing_is_raised_from_zero():
    weights, bench = transformer()
    gone = RemoveFrequencies(frequencies=(2,), where=("W_E",)).edit(weights, bench)
    zero = {name: torch.zeros_like(w) for name, w in gone.items()}
    for make in (
        lambda: raised(zero, bench, 2, 5, ("W_E",)),
        lambda: raised_by(zero, bench, 2, {"embed.W_E": 1.0}, ("W_E",)),
    ):
        with pytest.raises(ValueError, match="Raising frequency 2 needs some of it in W_E, got none"):
            make()
    with pytest.raises(ValueError, match=r"Frequencies on Z_13 run from 1 to 6, got \[0\]"):
        raised(weights, bench, 2, 0, ("W_E",))

"""The Fourier probes find what was planted, and nothing in networks that hold nothing."""

import numpy as np
import pytest
import torch

from interp.mathematics import fourier
from interp.networks.config import initial_weights
from interp.networks.network import DescribedNetwork
from interp.probes.fourier.embedding_spectrum import embedding_spectrum
from interp.probes.fourier.fourier_sparsity import fourier_sparsity
from interp.probes.fourier.frequency_phases import frequency_phases
from interp.probes.fourier.key_frequencies import key_frequencies
from interp.probes.fourier.logit_cells import logit_cells
from interp.probes.fourier.logit_components import logit_components
from interp.probes.fourier.logit_spectrum import logit_spectrum
from interp.probes.fourier.neuron_frequencies import neuron_frequencies
from interp.probes.fourier.neuron_logit_spectrum import neuron_logit_spectrum
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import NotApplicable, Snapshot
from tests import hand_built

EVERY_FREQUENCY = range(1, 7)  # p = 13: the last one, (p-1)/2, is the one that public code forgets


def selected(snapshot, selection):
    table = key_frequencies(snapshot)
    return set(table[table["selection"] == selection]["frequency"])


@pytest.mark.parametrize("k", EVERY_FREQUENCY)
def test_planted_frequency_is_found_by_every_selection_and_no_other_is(k):
    snapshot = hand_built.clock([k])
    for selection in ("logits", "embedding"):
        assert selected(snapshot, selection) == {k}, selection
    for probe in (embedding_spectrum, neuron_logit_spectrum):
        table = probe(snapshot).set_index("frequency")
        # 1e-6: weights are float32.
        assert table.loc[k, "fraction"] == pytest.approx(1, abs=1e-6)
    neurons = neuron_frequencies(snapshot)
    assert set(neurons["frequency"]) == {k}
    # (cos wa + cos wb)^2 has variance 1 in 2 cos wa cos wb and 1/8 in each of (cos 2wa)/2, (cos 2wb)/2.
    np.testing.assert_allclose(neurons["fraction_explained"], 0.8, atol=1e-6)


@pytest.mark.parametrize("k", EVERY_FREQUENCY)
def test_pure_neurons_are_selected(k):
    snapshot = hand_built.clock([k])
    a, b = snapshot.task.config.pairs().double().T
    w = 2 * torch.pi * k / 13
    pure = torch.stack(
        [torch.cos(w * a) * torch.sin(w * b) + 0.3, torch.cos(w * a), torch.sin(w * (a + b))], 1
    )
    snapshot.activation.kept[snapshot.network.neurons[-1]] = pure  # kept: the activations are what we say
    table = neuron_frequencies(snapshot)
    assert (table["frequency"] == k).all()
    np.testing.assert_allclose(table["fraction_explained"], 1, atol=1e-12)
    assert selected(snapshot, "neurons") == {k}


def test_all_frequencies_of_a_clock_with_amplitudes():
    amplitudes = [1.0, 2.0, 3.0]
    snapshot = hand_built.clock([1, 4, 6], amplitudes=amplitudes)
    table = logit_spectrum(snapshot).set_index("frequency")
    norm = 13 * (13 / 2) ** 0.5
    np.testing.assert_allclose(table.loc[[1, 4, 6], "coefficient"], np.array(amplitudes) * norm, rtol=1e-5)
    np.testing.assert_allclose(
        table.loc[[1, 4, 6], "fraction_explained"], np.array([1, 4, 9]) / 14, rtol=1e-5
    )
    assert table["fraction_explained"].sum() == pytest.approx(1, abs=1e-5)
    # Phases of absent frequencies are those of rounding noise; of present ones they are exactly zero by construction.
    np.testing.assert_allclose(table.loc[[1, 4, 6], "phase"], 0, atol=1e-5)


def test_a_late_clock_shows_its_phase():
    clock = hand_built.clock([3])
    lag = 2 * torch.pi * 3 / 13  # W_U rolled by one: the logits peak at c = a + b + 1
    out = {**clock.weights, "unembed.W_U": clock.weights["unembed.W_U"].roll(1, dims=1)}
    table = logit_spectrum(Snapshot(0, out, clock.network, clock.task)).set_index("frequency")
    # cos(w(a+b-(c-1))) = cos(w(a+b-c) + w)
    assert table.loc[3, "phase"] == pytest.approx(lag, abs=1e-5)


def test_a_clock_writes_in_the_phase_it_reads_and_a_late_one_does_not():
    clock = hand_built.clock([3, 5])
    table = frequency_phases(clock).set_index("frequency")
    assert table["n_neurons"].tolist() == [8, 8]
    np.testing.assert_allclose(table["alignment"], 1, atol=1e-5)
    np.testing.assert_allclose(table["concentration"], 0, atol=1e-5)  # cosines and sines, of either sign
    late = {**clock.weights, "unembed.W_U": clock.weights["unembed.W_U"].roll(1, dims=1)}
    late_table = frequency_phases(Snapshot(0, late, clock.network, clock.task)).set_index("frequency")
    want = [np.cos(2 * np.pi * k / 13) for k in (3, 5)]
    np.testing.assert_allclose(late_table["alignment"], want, atol=1e-5)


def test_memorizer_has_no_key_frequencies_and_no_sparsity():
    snapshot = hand_built.memorizer(p=31)
    assert selected(snapshot, "embedding") == set()
    assert selected(snapshot, "neurons") == set()
    # One-hot embedding: every frequency has equal power, exactly.
    np.testing.assert_allclose(embedding_spectrum(snapshot)["fraction"], 1 / 15, rtol=1e-6)
    sparsity = fourier_sparsity(snapshot).set_index("matrix")
    assert sparsity.loc["W_E", "gini"] == pytest.approx(0, abs=1e-6)
    assert sparsity.loc["W_E", "inverse_participation_ratio"] == pytest.approx(1 / 15, rel=1e-5)
    # Correct on 40 % of pairs, the logits do correlate with cos(w(a+b-c)), but with all frequencies equally.
    logits = logit_spectrum(snapshot)["fraction_explained"]
    assert logits.max() < 2.0 * logits.median()


def test_random_network_is_nearly_uniform():
    sparsity = fourier_sparsity(hand_built.random_network(p=31, d_model=64, d_mlp=128))
    assert sparsity["gini"].max() < 0.1  # random norms of 64 and 128 entries vary by about 1/sqrt(2*64)


@pytest.mark.parametrize(
    "operation", ["add", "multiply"]
)  # groups of order 13 and 12: odd, and even with a Nyquist
def test_neuron_fractions_match_the_dense_two_dimensional_transform(operation):
    task = hand_built.addition(13, operation=operation)
    config = hand_built.config_for(task, d_model=16, n_heads=4, d_mlp=24)
    snapshot = Snapshot(0, initial_weights(config, 3), DescribedNetwork(config), task)
    n = task.structure.order
    basis, component = fourier.fourier_basis(n), fourier.frequency_of_component(n)
    spectrum = torch.einsum(
        "fa,gb,abn->fgn", basis, basis, snapshot.once(Residues).neuron_table.double()
    ).square()
    spectrum[0, 0] = 0
    total = spectrum.sum((0, 1))
    shares = []
    for k in range(1, n // 2 + 1):
        cells = [0, *(component == k).nonzero().squeeze(1).tolist()]
        shares.append(spectrum[cells][:, cells].sum((0, 1)) / total)
    shares = torch.stack(shares).numpy()
    found = neuron_frequencies(snapshot)
    is_live = (total > 1e-8).numpy()
    assert is_live.sum() > 10
    live = found[is_live]
    # 1e-5: the probe works on float32 activations. A neuron active on one pair has ties: any of them will do.
    np.testing.assert_allclose(live["fraction_explained"], shares.max(0)[is_live], atol=1e-5)
    np.testing.assert_allclose(
        live["fraction_explained"], shares[live["frequency"] - 1, live["neuron"]], atol=1e-5
    )
    assert (found["frequency"][~is_live] == 0).all()


def test_cells_of_a_clock_are_quadratic_and_the_shares_add_up():
    cells = logit_cells(hand_built.clock([2, 5])).set_index("kind")["fraction"]
    assert cells["quadratic"] == pytest.approx(1, abs=1e-6)
    mixed = logit_cells(hand_built.random_network()).set_index("kind")["fraction"]
    assert mixed[["quadratic", "linear", "cross"]].sum() == pytest.approx(1, abs=1e-9)
    assert mixed["linear"] > 0.5  # an untrained network is nearly additive in its two inputs


def test_components_of_a_clock_lie_on_the_diagonal_at_its_frequencies():
    table = logit_components(hand_built.clock([2, 5], amplitudes=[1.0, 2.0]))
    share = table.set_index(["frequency_first", "frequency_second"])["fraction"]
    assert share.loc[(2, 2)] == pytest.approx(0.2, abs=1e-6)
    assert share.loc[(5, 5)] == pytest.approx(0.8, abs=1e-6)


def test_a_dead_neuron_has_no_frequency():
    clock = hand_built.clock([2])
    weights = {k: v.clone() for k, v in clock.weights.items()}
    weights["blocks.0.mlp.W_in"][:, 3] = 0
    weights["blocks.0.mlp.b_in"][3] = 0.7
    found = neuron_frequencies(Snapshot(0, weights, clock.network, clock.task))
    assert found.loc[3, "frequency"] == 0
    assert found.loc[3, "fraction_explained"] == 0


def test_relabelling_the_residues_by_a_unit_relabels_the_frequencies():
    """a -> u a is an automorphism of Z_p: a clock of frequency k becomes one of frequency k u^-1."""
    clock, p, u = hand_built.clock([1]), 13, 5
    t = torch.arange(p)
    weights = dict(clock.weights)
    weights["embed.W_E"] = torch.cat([weights["embed.W_E"][(u * t) % p], weights["embed.W_E"][p:]])
    weights["unembed.W_U"] = weights["unembed.W_U"][:, (u * t) % p]
    moved = Snapshot(0, weights, clock.network, clock.task)
    assert selected(moved, "logits") == {min(u % p, p - u % p)}
    assert (moved.logits.argmax(1) == moved.labels).all()


@pytest.mark.parametrize("operation", ["subtract", "multiply", "divide"])
def test_the_algebra_brings_other_operations_to_sums(operation):
    """A network whose logits are the ideal cube of the operation has one frequency in the algebra's names."""
    task = hand_built.addition(13, operation=operation)
    config = hand_built.config_for(task, d_model=16, n_heads=4, d_mlp=24)
    snapshot = Snapshot(0, initial_weights(config, 0), DescribedNetwork(config), task)
    algebra = snapshot.task.structure
    x = algebra.first[task.config.pairs()[:, 0]] + algebra.second[task.config.pairs()[:, 1]]
    ideal = torch.cos(2 * torch.pi * 2 * (x[:, None] - algebra.answer[None, :]) / algebra.order)
    snapshot.activation.kept["hook_unembed"] = ideal  # kept: the logits are what we say
    table = logit_spectrum(snapshot).set_index("frequency")
    assert table["fraction_explained"].idxmax() == 2
    assert table.loc[2, "fraction_explained"] == pytest.approx(1, abs=1e-9)


def test_operations_without_algebra_say_so():
    task = hand_built.addition(13, operation="x2+xy+y2")
    config = hand_built.config_for(task, d_model=16, n_heads=4, d_mlp=24)
    snapshot = Snapshot(0, initial_weights(config, 0), DescribedNetwork(config), task)
    for probe in (embedding_spectrum, logit_spectrum, neuron_frequencies, key_frequencies, fourier_sparsity):
        with pytest.raises(NotApplicable, match="are not a sum under any renaming"):
            probe(snapshot)

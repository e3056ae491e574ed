"""Every Fourier number beside its null: a clock stands out of it, memorizers and untrained networks do not."""

from importlib import import_module

import numpy as np
import pytest
import torch

from interp.ground.thresholds import stands_out
from interp.mathematics import fourier
from interp.mathematics.lines import LineMeans, one_frequency_null, one_frequency_power
from interp.mathematics.relabelling import cyclic_names
from interp.probes import (
    algorithm_by_frequency,
    attention_circuits,
    attention_periodicity,
    character_similarity,
    embedding_spectrum,
    fourier_sparsity,
    key_frequencies,
    logit_spectrum,
    neuron_frequencies,
    neuron_logit_spectrum,
    progress_measures,
    representation_losses,
)
from tests import hand_built


def key(snapshot):
    table = logit_spectrum(snapshot)
    return table[stands_out(table["fraction_explained"], table["null"])]["frequency"].tolist()


def test_the_frequencies_of_a_clock_stand_out_and_no_others():
    assert key(hand_built.clock([2, 5])) == [2, 5]


def test_of_a_memorizer_none_does_although_each_explains_more_than_half_a_percent():
    """At p = 13 the answers that it looks up put 6.6 % of the logits into every frequency."""
    snapshot = hand_built.memorizer(p=13)
    table = logit_spectrum(snapshot)
    assert (table["fraction_explained"] > 0.005).all()
    assert key(snapshot) == []
    assert algorithm_by_frequency(snapshot).empty
    assert "logits" not in set(key_frequencies(snapshot)["selection"])
    measures = progress_measures(snapshot)
    assert (measures[measures["selection"] == "causal"]["n_frequencies"] == 0).all()


def test_of_untrained_networks_hardly_any_does():
    found = [key(hand_built.random_network(p=13, seed=seed)) for seed in range(40)]
    # At most 1 in 40 a network is promised: 5 or more of 40 would be a chance of 1 in 300.
    assert sum(map(bool, found)) < 5


def test_of_less_than_seven_residues_nothing_is_said_to_stand_out():
    table = logit_spectrum(hand_built.clock([1], p=5))
    assert np.isinf(table["null"]).all()


@pytest.mark.parametrize("probe", [embedding_spectrum, neuron_logit_spectrum])
def test_spectra_of_weights_beside_their_null(probe):
    clock = probe(hand_built.clock([2, 5]))
    assert set(clock[clock["fraction"] > clock["null"]]["frequency"]) == {2, 5}
    found = [probe(hand_built.random_network(p=13, seed=seed)) for seed in range(40)]
    assert sum((table["fraction"] > table["null"]).any() for table in found) < 5


def test_gini_beside_that_of_random_names():
    clock = fourier_sparsity(hand_built.clock([2, 5]))
    assert (clock["gini"] > clock["gini_null"] + 0.2).all()
    untrained = fourier_sparsity(hand_built.random_network(p=31, d_model=64, d_mlp=128))
    # Of 31 rows of 64 random numbers: the coefficients of any order are alike to a hundredth.
    assert (untrained["gini"] - untrained["gini_null"]).abs().max() < 0.02


def test_neurons_and_heads_beside_what_random_names_of_both_operands_give():
    clock = neuron_frequencies(hand_built.clock([2, 5]))
    live = clock[clock["frequency"] > 0]
    assert (live["fraction_explained"] > live["null"]).mean() > 0.9
    untrained = neuron_frequencies(hand_built.random_network(p=13))
    # The null is the most of any neuron.
    assert (untrained["fraction_explained"] > untrained["null"]).mean() < 0.1
    circuits = attention_circuits(hand_built.random_network(p=13))
    assert (circuits["fraction"] <= circuits["null"]).mean() > 0.9
    heads = attention_periodicity(hand_built.random_network(p=13))
    assert (heads["fraction_explained"] <= heads["null"]).mean() > 0.5


@pytest.mark.parametrize("n_neurons", [63, 64, 65, 127, 128, 200])
def test_the_null_of_neurons_is_taken_over_at_most_64_of_them(n_neurons, monkeypatch):
    seen = []
    module = import_module("interp.probes.fourier.neuron_frequencies")
    one = module.one_frequency_null
    monkeypatch.setattr(
        module, "one_frequency_null", lambda table, names: seen.append(table.shape[2]) or one(table, names)
    )
    snapshot = hand_built.random_network(p=7, d_mlp=n_neurons, act_fn="gelu")
    n_alive = (neuron_frequencies(snapshot)["frequency"] > 0).sum()
    assert n_alive == n_neurons and seen == [{63: 63, 64: 64, 65: 33, 127: 64, 128: 64, 200: 50}[n_neurons]]


def test_the_null_of_a_table_over_pairs_is_that_of_both_operands_renamed():
    n = 11
    x = torch.randn(n, n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    names, _ = cyclic_names(n, n_draws=2)
    found = one_frequency_null(x, names)
    frequency = fourier.frequency_of_component(n)
    renamed = [fourier.transform_2d(x[order][:, order]).square() for order in names]
    powers = []
    for squares in renamed:
        for k in range(1, n // 2 + 1):
            own = (frequency == k) | (frequency == 0)
            powers.append(squares[own][:, own].sum((0, 1)) - squares[0, 0])
    # Rounded up.
    torch.testing.assert_close(found, torch.stack(powers).amax(0), rtol=2e-9, atol=1e-10)
    same = torch.eye(n, dtype=torch.float64)[..., None]
    assert (one_frequency_power(LineMeans.of(same)) < one_frequency_null(same, names)).all()
    assert torch.isinf(one_frequency_null(x, names[:0])).all()


def test_characters_of_a_group_beside_their_null():
    circuit = character_similarity(hand_built.characters({"standard": 3.0}))
    is_key = stands_out(circuit["fraction_explained"], circuit["null"])
    assert circuit[is_key]["representation"].tolist() == ["standard"]
    memorizer = character_similarity(hand_built.group_memorizer())
    assert (memorizer["fraction_explained"] > 0.005).any()
    assert not stands_out(memorizer["fraction_explained"], memorizer["null"]).any()
    losses = representation_losses(hand_built.group_memorizer())
    assert (losses[losses["selection"] == "causal"]["n_representations"] == 0).all()


@pytest.mark.parametrize("p", [12, 13])
def test_a_cyclic_group_by_characters_has_the_shares_and_nulls_of_its_frequencies(p):
    """Two analyses of one run must not choose two key sets."""
    snapshot = hand_built.clock([2, 5], p=p)
    characters, spectrum = character_similarity(snapshot), logit_spectrum(snapshot)
    # That of n/2 is called sign, and comes first.
    named = characters["representation"].str.removeprefix("k=").replace("sign", str(p // 2)).astype(int)
    characters = characters.iloc[named.argsort()].reset_index(drop=True)
    is_key = stands_out(characters["fraction_explained"], characters["null"])
    assert characters[is_key]["representation"].tolist() == ["k=2", "k=5"]
    np.testing.assert_allclose(
        characters["fraction_explained"], spectrum["fraction_explained"], rtol=1e-6, atol=1e-12
    )
    np.testing.assert_allclose(characters["null"], spectrum["null"], rtol=1e-6, atol=1e-12)


def test_random_sets_stand_beside_every_loss_and_accuracy_of_a_key_set():
    table = progress_measures(hand_built.memorizer(p=13), frequencies=[1, 3])
    random = table[table["selection"] == "random"]
    assert {"restricted_loss", "trig_loss", "excluded_loss"} <= set(random["measure"])
    kept = random[random["measure"] != "excluded_loss"]
    assert (kept["accuracy_min"] <= kept["accuracy"]).all()
    assert (kept["accuracy"] <= kept["accuracy_max"]).all()
    assert table[table["selection"] == "key"]["accuracy_min"].isna().all()

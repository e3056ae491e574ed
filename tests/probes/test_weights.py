"""Weight probes against other ways to the same numbers, on networks of several families."""

import math

import numpy as np
import pytest
import torch

from interp.networks.config import initial_weights
from interp.networks.layers import as_matrix
from interp.networks.network import DescribedNetwork
from interp.probes.answers.neuron_activity import neuron_activity
from interp.probes.weights.weight_distances import weight_distances
from interp.probes.weights.weight_norms import weight_norms
from interp.probes.weights.weight_spectra import weight_spectra
from interp.runs.config import RunConfig
from interp.runs.record import RunRecord
from interp.runs.saving import create_run, save_checkpoint
from interp.snapshots.snapshot import NotApplicable, Snapshot
from tests import hand_built

FAMILIES = {
    "transformer": {},
    "two layers with LayerNorm": {"n_layers": 2, "normalization_type": "LN", "attention_bias": True},
    "attention only": {"d_mlp": 0, "unembed_bias": True},
    "MLP": {"n_heads": 0, "d_head": 0, "positions": "none"},
}


def network(family, seed=0):
    task = hand_built.addition()
    fields = {"d_model": 8, "n_heads": 2, "d_mlp": 12} | FAMILIES[family]
    config = hand_built.config_for(task, **fields)
    return Snapshot(0, initial_weights(config, seed), DescribedNetwork(config), task)


def altered(snapshot, **weights):
    full = {next(n for n in snapshot.weights if n.endswith(f".{key}")): w for key, w in weights.items()}
    return Snapshot(0, {**snapshot.weights, **full}, snapshot.network, snapshot.task)


def run_of(tmp_path, snapshot, steps):
    config = RunConfig(
        task=snapshot.task.config, model=snapshot.config, optimizer=None, n_steps=None, schedule=None, seed=None,
        evaluation_interval=None,
    )  # fmt: skip
    record = RunRecord(status="complete", unit="step")
    run = create_run(tmp_path / "run", config, record, snapshot.task)
    for step, weights in steps.items():
        save_checkpoint(run, step, weights)
    return run


@pytest.mark.parametrize("family", FAMILIES)
def test_norms_are_those_of_one_long_vector(family):
    snapshot = network(family)
    table = weight_norms(snapshot).set_index("matrix")
    vector = torch.nn.utils.parameters_to_vector(snapshot.weights.values()).double().numpy()
    assert table.loc["total", "n_parameters"] == vector.size
    # 1e-12: float64 sums in another order.
    assert table.loc["total", "l2"] == pytest.approx(np.linalg.norm(vector), rel=1e-12)
    assert set(table.index) == {*snapshot.weights, "total"}
    parts = table.drop("total")
    assert parts["share"].sum() == pytest.approx(1, rel=1e-12)
    assert table.loc["total", "share"] == 1
    np.testing.assert_allclose(parts["l2"] ** 2, parts["sum_of_squares"], rtol=1e-12)
    for name, w in snapshot.weights.items():
        assert table.loc[name, "l2"] == pytest.approx(np.linalg.norm(w.double().numpy().ravel()), rel=1e-12)


def test_biases_count():
    snapshot = network("transformer")
    heavier = altered(snapshot, b_in=torch.full((12,), 3.0))
    before, after = (weight_norms(s).set_index("matrix")["sum_of_squares"] for s in (snapshot, heavier))
    assert after["total"] - before["total"] == pytest.approx(12 * 9)


def test_doubled_weights_have_doubled_norms_and_equal_ranks():
    snapshot = network("transformer")
    doubled = Snapshot(0, {n: 2 * w for n, w in snapshot.weights.items()}, snapshot.network, snapshot.task)
    norms, spectra = ((probe(snapshot), probe(doubled)) for probe in (weight_norms, weight_spectra))
    # Powers of two are exact.
    assert (norms[1]["l2"] == 2 * norms[0]["l2"]).all()
    assert (norms[1]["share"] == norms[0]["share"]).all()
    np.testing.assert_allclose(spectra[1]["spectral_norm"], 2 * spectra[0]["spectral_norm"], rtol=1e-12)
    for rank in ("stable_rank", "effective_rank"):
        np.testing.assert_allclose(spectra[1][rank], spectra[0][rank], rtol=1e-12)


def test_a_network_of_zeros_has_no_norm_and_no_rank():
    snapshot = network("transformer")
    zeros = Snapshot(0, {n: 0 * w for n, w in snapshot.weights.items()}, snapshot.network, snapshot.task)
    assert (weight_norms(zeros)[["l2", "share"]] == 0).all(axis=None)
    table = weight_spectra(zeros)
    assert (table["spectral_norm"] == 0).all()
    assert table[["stable_rank", "effective_rank"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("values", "stable", "effective"),
    [
        ([3.0] * 8, 8.0, 8.0),
        ([5.0, 0, 0, 0, 0, 0, 0, 0], 1.0, 1.0),
        ([2.0, 2.0, 2.0, 0, 0, 0, 0, 0], 3.0, 3.0),
        # (4 + 1 + 1) / 4; entropy of (1/2, 1/4, 1/4) is 1.5 ln 2.
        ([2.0, 1.0, 1.0, 0, 0, 0, 0, 0], 1.5, 2**1.5),
    ],
)
def test_ranks_of_planted_singular_values(values, stable, effective):
    draws = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(14, 8, dtype=torch.float64, generator=draws)).Q
    right = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64, generator=draws)).Q
    planted = (left * torch.tensor(values, dtype=torch.float64)) @ right.T
    snapshot = altered(network("transformer"), W_E=planted.float())
    row = weight_spectra(snapshot).set_index("matrix").loc["embed.W_E"]
    # 1e-5: float32 weights; their rounding makes small singular values out of none.
    assert row["spectral_norm"] == pytest.approx(max(values), rel=1e-6)
    assert row["stable_rank"] == pytest.approx(stable, rel=1e-5)
    assert row["effective_rank"] == pytest.approx(effective, rel=1e-5)
    assert row["full_rank"] == 8


@pytest.mark.parametrize("family", FAMILIES)
def test_every_matrix_has_ranks_within_its_bounds_and_no_bias_has(family):
    snapshot = network(family)
    table = weight_spectra(snapshot).set_index("matrix")
    assert list(table.index) == sorted(n for n in snapshot.weights if ".W_" in n)
    # sum s^2 / max s^2 <= sum s / max s, which is exp of the min-entropy.
    assert (table["stable_rank"] <= table["effective_rank"] + 1e-9).all()
    assert (table["stable_rank"] >= 1 - 1e-9).all()
    assert (table["effective_rank"] <= table["full_rank"] + 1e-9).all()


def test_attention_weights_are_one_map_from_and_to_the_residual_stream():
    snapshot = network("transformer")
    x = torch.randn(5, 8)
    for name in "QKV":
        w = snapshot.weights[f"blocks.0.attn.W_{name}"]
        by_head = torch.cat([x @ w[head] for head in range(2)], 1)
        torch.testing.assert_close(x @ as_matrix(f"blocks.0.attn.W_{name}", w), by_head)
    w_o, z = snapshot.weights["blocks.0.attn.W_O"], torch.randn(5, 2, 4)
    by_head = sum(z[:, head] @ w_o[head] for head in range(2))
    torch.testing.assert_close(z.flatten(1) @ as_matrix("blocks.0.attn.W_O", w_o), by_head)


def vector(weights):
    return torch.cat([weights[name].double().reshape(-1) for name in sorted(weights)])


def test_distances_to_the_first_the_last_and_the_previous_checkpoint(tmp_path):
    states = {step: network("transformer", seed=step).weights for step in (0, 50, 200)}
    run = run_of(tmp_path, network("transformer"), states)
    table = weight_distances(Snapshot.of(run, 50)).set_index("matrix")
    cases = {name: {s: w[name].double().reshape(-1) for s, w in states.items()} for name in states[0]}
    cases["total"] = {s: vector(w) for s, w in states.items()}
    for name, w in cases.items():
        for kind, step in (("initial", 0), ("final", 200)):
            distance = torch.dist(w[50], w[step]).item()
            # 1e-12: float64 sums in another order.
            assert table.loc[name, f"{kind}_distance"] == pytest.approx(distance, rel=1e-12)
            if w[step].norm() > 0:
                cosine = torch.nn.functional.cosine_similarity(w[50], w[step], dim=0).item()
                assert table.loc[name, f"{kind}_relative_change"] == pytest.approx(
                    distance / w[step].norm().item()
                )
                assert table.loc[name, f"{kind}_cosine"] == pytest.approx(cosine, abs=1e-12)
    np.testing.assert_array_equal(
        table["update_norm"], table["initial_distance"]
    )  # the previous is the first
    assert (table["update_steps"] == 50).all()
    last = weight_distances(Snapshot.of(run, 200)).set_index("matrix")
    assert last.loc["total", "update_norm"] == pytest.approx(
        torch.dist(cases["total"][200], cases["total"][50]).item(), rel=1e-12
    )
    assert (last["update_steps"] == 150).all()
    assert (last["final_distance"] == 0).all()


def test_a_checkpoint_is_at_no_distance_and_no_angle_from_itself(tmp_path):
    snapshot = network("transformer")
    longer = {name: 3 * w for name, w in snapshot.weights.items()}
    run = run_of(tmp_path, snapshot, {0: snapshot.weights, 10: longer})
    table = weight_distances(Snapshot.of(run, 0)).set_index("matrix")
    assert (table["initial_distance"] == 0).all()
    assert table["update_norm"].isna().all()
    assert (table["update_steps"] == 0).all()
    # Three times as long, same direction: two thirds of the way to the end are missing. 1e-7: 3w is rounded to float32.
    assert table.loc["total", "final_relative_change"] == pytest.approx(2 / 3, rel=1e-7)
    assert table.loc["total", "final_cosine"] == pytest.approx(1, rel=1e-12)
    assert table.loc["total", "initial_cosine"] == pytest.approx(1, rel=1e-12)


def test_biases_that_started_at_zero_have_no_relative_change(tmp_path):
    snapshot = network("transformer")
    moved = altered(snapshot, b_in=torch.ones(12)).weights
    run = run_of(tmp_path, snapshot, {0: snapshot.weights, 10: moved})
    table = weight_distances(Snapshot.of(run, 10)).set_index("matrix")
    assert table.loc["blocks.0.mlp.b_in", "initial_relative_change"] == math.inf
    assert math.isnan(table.loc["blocks.0.mlp.b_out", "initial_relative_change"])
    assert math.isnan(table.loc["blocks.0.mlp.b_in", "initial_cosine"])


def test_distances_need_a_run():
    with pytest.raises(NotApplicable, match=r"Weight distances need a run .*Use Snapshot\.of"):
        weight_distances(network("transformer"))


def test_each_neuron_of_a_memorizer_is_active_on_one_input():
    snapshot = hand_built.memorizer()
    row = neuron_activity(snapshot).iloc[0]
    n_train = snapshot.task.n_train
    assert row["n_neurons"] == n_train
    assert row["dead_fraction"] == 0
    # 1e-6: float32 means.
    assert row["active_fraction"] == pytest.approx(1 / 169, rel=1e-6)
    assert row["participation_ratio"] == pytest.approx(n_train, rel=1e-6)


def test_dead_and_loud_neurons_are_counted():
    snapshot = network("transformer")
    activations = torch.zeros(169, 12)
    activations[:, 2:6] = 7.0  # on, but the same on all inputs: no variance to carry
    activations[::2, 6] = 1.0
    activations[::2, 7] = 1.0
    snapshot.activation.kept[snapshot.network.neurons[-1]] = (
        activations  # kept: the activations are what we say
    )
    row = neuron_activity(snapshot).iloc[0]
    assert row["dead_fraction"] == 6 / 12
    assert row["active_fraction"] == pytest.approx((4 + 2 * 85 / 169) / 12, rel=1e-6)
    assert row["participation_ratio"] == pytest.approx(2, rel=1e-6)


def test_a_dead_layer_has_no_participation_ratio():
    dead = altered(network("transformer"), b_in=torch.full((12,), -1e3))
    row = neuron_activity(dead).iloc[0]
    assert row["dead_fraction"] == 1
    assert row["active_fraction"] == 0
    assert math.isnan(row["participation_ratio"])


def test_neuron_activity_needs_neurons():
    with pytest.raises(NotApplicable, match="no MLP neurons"):
        neuron_activity(network("attention only"))

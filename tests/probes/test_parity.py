"""Probes of sparse parity: networks built by hand, laws, and the same numbers by another way."""

import itertools
import math

import numpy as np
import pytest
import torch

from interp.networks.config import initial_weights
from interp.networks.feature_mlps import features_mlp
from interp.networks.network import DescribedNetwork
from interp.probes import effective_sparsity, feature_coordinates, fourier_gap, losses, subnetworks
from interp.probes.parity.effective_sparsity import bisected
from interp.probes.parity.fourier_gap import all_signs
from interp.snapshots.neuron_sums import NeuronSums
from interp.snapshots.snapshot import NotApplicable, Snapshot
from tests import hand_built
from tests.hand_built_parity import counter, lookup, parity_task, truth_table


def random_snapshot(task=None, *, seed=0, d_mlp=12, **changes):
    task = task or parity_task()
    config = features_mlp(n_features=task.config.n_bits, n_outputs=2, d_mlp=d_mlp, **changes)
    return Snapshot(0, initial_weights(config, seed), DescribedNetwork(config), task)


def by_rule(snapshot):
    return effective_sparsity(snapshot).set_index("rule")


# --- the networks are what they say


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("make", [counter, truth_table])
def test_the_circuits_are_right_on_every_row(make, k):
    # All 64 rows there are.
    table = losses(make(parity_task(6, k, 30, 34))).set_index("split")
    assert table.loc["all", "n"] == 64 and table.loc["all", "accuracy"] == 1


def test_the_lookup_knows_its_train_rows_alone():
    table = losses(lookup()).set_index("split")
    assert table.loc["train", "accuracy"] == 1
    # It says 0 on each test row, half of which are 1: within 5 standard errors of 100 rows.
    assert abs(table.loc["test", "accuracy"] - 0.5) < 0.25


# --- effective sparsity


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_a_circuit_among_idle_neurons_is_as_sparse_as_it_was_built(k):
    for make, size in ((counter, k), (truth_table, 2 ** (k - 1))):
        table = by_rule(make(parity_task(k=k)))
        assert table["n_neurons"].tolist() == [size] * 4
        assert (table["n_width"] == size + 20).all()
        assert (table[["faithfulness_test", "accuracy_test"]] == 1).all(axis=None)
        assert (table["mean_norm"] > 10 * table["others_norm"]).all()


def test_a_lookup_needs_a_neuron_for_every_row_that_it_knows():
    snapshot = lookup()
    n = int(snapshot.labels[snapshot.is_train].sum())
    table = by_rule(snapshot)
    assert table.loc["every row", "n_neurons"] == n > 20
    assert table.loc["every row", "accuracy_test"] < 0.75


def test_an_untrained_network_needs_nearly_all_of_its_neurons():
    table = by_rule(random_snapshot(parity_task(n_train=200), d_mlp=50))
    assert table.loc["every row", "n_neurons"] > 40


@pytest.mark.parametrize("make", [counter, truth_table, lookup])
def test_labels_play_no_part_in_who_decides(make):
    """The null of random labels: the rule compares answers with answers."""
    task = parity_task(corrupted_fraction=1.0)
    assert (
        by_rule(make()).loc["every row", "n_neurons"]
        == (by_rule(Snapshot(0, (s := make()).weights, s.network, task)).loc["every row", "n_neurons"])
    )


@pytest.mark.parametrize(
    "snapshot",
    [random_snapshot(), random_snapshot(seed=1, n_layers=2), hand_built.random_network(p=13)],
    ids=["an MLP", "two layers", "a transformer"],
)
def test_kept_neurons_are_those_of_a_forward_pass_with_the_others_at_zero(snapshot):
    """By editing the weights behind the neurons; a transformer ranks by incoming times outgoing norm."""
    config, block = snapshot.config, f"blocks.{snapshot.config.n_layers - 1}.mlp"
    behind = "unembed.W_U" if config.is_mlp else f"{block}.W_out"
    norms = snapshot.weights[f"{block}.W_in"].double().norm(dim=0)
    if not config.is_mlp:
        norms = norms * snapshot.weights[behind].double().norm(dim=1)
    order = sorted(range(len(norms)), key=lambda i: -norms[i])
    expected = []
    for size in range(len(norms) + 1):
        weights = dict(snapshot.weights)
        weights[behind] = weights[behind].clone()
        weights[behind][order[size:]] = 0
        expected.append(Snapshot(0, weights, snapshot.network, snapshot.task).answers)
    sums = snapshot.once(NeuronSums)
    found = sums.answers_by_size
    # float32 there, float64 here: a row whose two largest logits are equal to six digits may differ.
    assert (found == torch.stack(expected, 1)).double().mean() > 0.999
    assert torch.equal(found[:, -1], sums.answers)
    size = by_rule(snapshot).loc["every row", "n_neurons"]
    on_train = snapshot.is_train
    agrees = (found == found[:, -1:])[on_train].all(0)
    assert bool(agrees[size]) and not bool(agrees[:size].any())


def test_parts_of_the_rows_make_no_difference(monkeypatch):
    whole = random_snapshot().once(NeuronSums).answers_by_size
    monkeypatch.setattr("interp.snapshots.neuron_sums.AT_ONCE", 100)
    assert torch.equal(random_snapshot().once(NeuronSums).answers_by_size, whole)


def test_halving_finds_the_least_where_agreement_grows():
    generator = torch.Generator().manual_seed(0)
    for n in (1, 2, 5, 100):
        agreement = torch.rand(n, generator=generator).sort().values
        agreement[-1] = 1.0
        least = int((agreement >= 0.7).nonzero()[0])
        assert bisected(agreement, 0.7) == least


def test_the_rule_of_accuracy_may_be_content_with_other_rows():
    """Two rows right for one neuron, two others for both."""
    table = by_rule(random_snapshot(parity_task(n_train=40), d_mlp=40, seed=3))
    assert table.loc["accuracy", "n_neurons"] < table.loc["every row", "n_neurons"]


def test_without_a_split_all_rows_are_train_rows():
    snapshot = counter(parity_task(split="unknown"))
    assert "faithfulness_test" not in effective_sparsity(snapshot)
    assert by_rule(snapshot).loc["every row", "n_neurons"] == 3


def test_a_network_with_normalization_is_refused():
    task = hand_built.addition(13)
    config = hand_built.config_for(task, d_model=16, n_heads=2, d_mlp=8, normalization_type="LN")
    snapshot = Snapshot(0, initial_weights(config, 0), DescribedNetwork(config), task)
    with pytest.raises(NotApplicable, match=r"normalization \(LN\) after its neurons"):
        effective_sparsity(snapshot)


# --- subnetworks


def test_the_circuit_answers_all_and_the_idle_ones_nothing():
    snapshot = counter()
    neurons = snapshot.once(NeuronSums).order[:3].tolist()
    table = subnetworks(snapshot, neurons=neurons).set_index("subnetwork")
    assert table["n_neurons"].to_dict() == {"chosen": 3, "others": 20, "random": 3}
    assert table.loc["chosen", ["faithfulness_test", "accuracy_test"]].tolist() == [1, 1]
    # Without the circuit only the bias is left, which says 0.
    zeros = (snapshot.labels[~snapshot.is_train] == 0).double().mean().item()
    assert table.loc["others", "accuracy_test"] == pytest.approx(zeros)
    # The weights of the counter are -1/2, three of them.
    assert table.loc["chosen", "mean_norm"] == pytest.approx(math.sqrt(3) / 2, rel=1e-6)


def test_random_sets_have_the_mean_norm_of_the_layer():
    snapshot = random_snapshot(d_mlp=200)
    table = subnetworks(snapshot, neurons=range(50)).set_index("subnetwork")
    norms = snapshot.weights["blocks.0.mlp.W_in"].double().norm(dim=0)
    # 20 sets of 50: the mean of their means is off by a thirtieth of the deviation of a neuron.
    assert table.loc["random", "mean_norm"] == pytest.approx(norms.mean().item(), abs=norms.std().item() / 6)
    assert table.loc["chosen", "mean_norm"] == pytest.approx(norms[:50].mean().item(), rel=1e-6)
    assert table.loc["others", "mean_norm"] == pytest.approx(norms[50:].mean().item(), rel=1e-6)


@pytest.mark.parametrize(
    ("neurons", "why"), [([23], "got 23"), ([-1], "got -1"), ([2, 2], "one is named twice")]
)
def test_neurons_that_are_no_set_of_the_layer_are_refused(neurons, why):
    with pytest.raises(ValueError, match=f"needs different neurons 0 to 22, {why}"):
        subnetworks(counter(), neurons=neurons)


def test_a_snapshot_made_by_hand_has_no_last_checkpoint():
    with pytest.raises(NotApplicable, match="subnetworks needs a run, whose last checkpoint says which"):
        subnetworks(counter())


# --- the first layer


def test_all_power_of_a_circuit_is_on_the_relevant_features():
    row = feature_coordinates(counter(n_idle=0)).iloc[0]
    assert (row["share"], row["n_readers"], row["readers_share"], row["null"]) == (1, 3, 1, 0.3)
    assert row["relevant_power"] == 0.25 and row["irrelevant_power"] == 0
    assert np.isnan(row["movement"])


def test_a_lookup_and_an_untrained_network_know_no_relevant_feature():
    assert feature_coordinates(lookup(n_idle=0)).iloc[0]["share"] == pytest.approx(0.3, rel=1e-6)
    row = feature_coordinates(random_snapshot(d_mlp=2000)).iloc[0]
    # 20,000 squares of normal numbers: the share is off by less than 1 % of one.
    assert row["share"] == pytest.approx(0.3, abs=0.02)
    assert row["n_readers"] < 0.2 * 2000


def test_where_every_feature_counts_there_are_no_others():
    row = feature_coordinates(counter(parity_task(4, 4, 8, 4))).iloc[0]
    assert row["share"] == 1 and np.isnan(row["irrelevant_power"]) and np.isnan(row["irrelevant_movement"])


def test_tokens_have_no_features():
    for probe in (feature_coordinates, fourier_gap):
        with pytest.raises(NotApplicable, match="needs a network that reads features of which some count"):
            probe(hand_built.random_network(p=13))


# --- Fourier gap


def majority(task, n_neurons=3):
    """Neurons whose weights are all equal: their slopes are the majority of the signs."""
    n = task.config.n_bits
    snapshot = random_snapshot(task, d_mlp=n_neurons)
    snapshot.weights["blocks.0.mlp.W_in"] = torch.full((n, n_neurons), 1 / n)
    return snapshot


def majority_coefficient(n, m):
    """Of (1 + Maj_n)/2 at a set of m > 0 signs, n and m odd: the formula of O'Donnell 2014, theorem 5.19."""
    half, j = (n - 1) // 2, (m - 1) // 2
    value = math.comb(half, j) / math.comb(n - 1, m - 1) * math.comb(n - 1, half) * 2 / 2**n
    return (-1) ** j * value / 2


@pytest.mark.parametrize(("n", "k"), [(7, 2), (9, 4), (11, 2), (11, 4)])
def test_a_majority_has_the_gap_of_the_closed_form(n, k):
    table = fourier_gap(majority(parity_task(n, k, 20, 20))).set_index(["rows", "features"])
    inside, outside = abs(majority_coefficient(n, k - 1)), abs(majority_coefficient(n, k + 1))
    assert inside > outside > 0
    for features in ("relevant", "random"):
        row = table.loc[("population", features)]
        assert row["is_exact"] and row["n_rows"] == 2**n and row["noise"] == 0
        assert row["within"] == pytest.approx(inside, rel=1e-9)
        assert row["outside"] == pytest.approx(outside, rel=1e-9)
        assert row["gap"] == pytest.approx(inside - outside, rel=1e-9)
        assert row["positive_fraction"] == 1


def test_coefficients_and_gap_are_those_of_the_definition():
    """One number at a time, from every row, for neurons with biases."""
    task = parity_task(6, 3, 20, 20)
    snapshot = random_snapshot(task, d_mlp=5)
    snapshot.weights["blocks.0.mlp.b_in"] = torch.linspace(-0.5, 0.5, 5)
    w, b = snapshot.weights["blocks.0.mlp.W_in"], snapshot.weights["blocks.0.mlp.b_in"]
    squares, gaps = {True: [], False: []}, []
    for neuron in range(5):
        found = {}
        for i in range(6):
            over = {0, 1, 2} ^ {i}
            total = 0.0
            for signs in itertools.product((1.0, -1.0), repeat=6):
                fires = sum(x * y for x, y in zip(signs, w[:, neuron].tolist(), strict=True)) + b[neuron] > 0
                total += math.prod(signs[j] for j in over) * float(fires)
            found[i] = abs(total) / 64
            squares[i < 3].append(found[i] ** 2)
        gaps.append(min(found[i] for i in range(3)) - max(found[i] for i in range(3, 6)))
    row = fourier_gap(snapshot).set_index(["rows", "features"]).loc[("population", "relevant")]
    assert row["within"] == pytest.approx(np.sqrt(np.mean(squares[True])), rel=1e-9)
    assert row["outside"] == pytest.approx(np.sqrt(np.mean(squares[False])), rel=1e-9)
    assert row["gap"] == pytest.approx(np.mean(gaps), rel=1e-9)
    assert row["positive_fraction"] == np.mean(np.array(gaps) > 0)


def test_a_relu_without_bias_has_no_gap_at_an_odd_number_of_features():
    # An odd number of all features, so that no sum is 0, where the slope is neither.
    row = (
        fourier_gap(majority(parity_task(9, 3)))
        .set_index(["rows", "features"])
        .loc[("population", "relevant")]
    )
    assert row["within"] == row["outside"] == 0


def test_the_gradient_of_a_small_network_is_the_coefficient_times_its_output_weight():
    """While the hinge is the correlation loss: dL/dW_in[i, r] = -u_r c_i, of two outputs with u their difference."""
    from interp.networks.answers import answer_logits
    from interp.networks.objective import loss

    snapshot = random_snapshot(parity_task(7, 2, 20, 20), d_mlp=4)
    snapshot.weights["unembed.W_U"] *= 0.01
    row = fourier_gap(snapshot).set_index(["rows", "features"]).loc[("population", "relevant")]
    x = all_signs(7)
    y = x[:, :2].prod(1)
    weights = snapshot.weights
    slopes = (x @ weights["blocks.0.mlp.W_in"] > 0).float()
    u = (weights["unembed.W_U"][:, 0] - weights["unembed.W_U"][:, 1]).double()
    expected = u * ((x * y[:, None]).T @ slopes).double() / 128
    # Cross-entropy of small outputs is log 2 minus half of the correlation, to first order: outputs are about 0.01.
    assert row["gradient_within"] == pytest.approx(expected[:2].square().mean().sqrt().item() / 2, rel=0.02)
    assert row["gradient_outside"] == pytest.approx(expected[2:].square().mean().sqrt().item() / 2, rel=0.05)
    live = weights["blocks.0.mlp.W_in"].clone().requires_grad_()
    from interp.tasks.task import Questions

    n = torch.arange(128)
    logits = answer_logits(snapshot.config, Questions(x, n, n * 0 + 6, (y < 0).long()))
    hinge = loss(logits(weights | {"blocks.0.mlp.W_in": live}), (y < 0).long(), torch.float64, "hinge")
    found = torch.autograd.grad(hinge, live)[0].double()
    # float32 sums of 128 terms.
    torch.testing.assert_close(found, -expected, atol=1e-7, rtol=1e-4)


def test_of_many_features_rows_are_drawn_and_their_noise_is_taken_off():
    row = fourier_gap(random_snapshot(parity_task(40, 3), d_mlp=50), n_drawn=2000).iloc[0]
    assert (row["rows"], row["n_rows"], row["is_exact"]) == ("population", 2000, False)
    # Half of the slopes are 1, the others 0: a variance of 1/4 over the rows.
    assert row["noise"] == pytest.approx(0.5 / math.sqrt(2000), rel=0.02)
    # An odd number of relevant features leaves nothing but noise. Of the mean of 150 and of 1850 squares about 12 % and
    # 3 % are left, roots of a third and of a sixth, and neurons are not quite independent.
    assert row["within"] < 0.7 * row["noise"] and row["outside"] < 0.4 * row["noise"]


def test_a_lone_feature_that_counts_is_read_by_the_mean_slope():
    row = fourier_gap(random_snapshot(parity_task(5, 1, 8, 4))).iloc[0]
    slopes = fourier_slopes(5)
    assert row["within"] == pytest.approx(np.sqrt(np.mean(slopes.mean(0) ** 2)), rel=1e-6)


def fourier_slopes(n):
    snapshot = random_snapshot(parity_task(n, 1, 8, 4))
    return (all_signs(n) @ snapshot.weights["blocks.0.mlp.W_in"] > 0).double().numpy()


def test_random_features_of_a_network_that_has_learned_are_quiet():
    table = fourier_gap(counter(parity_task(12, 3))).set_index(["rows", "features"])
    assert (
        table.loc[("population", "relevant"), "within"] > 10 * table.loc[("population", "random"), "within"]
    )


def test_every_feature_counts_or_too_few_are_left():
    row = fourier_gap(counter(parity_task(4, 4, 8, 4))).iloc[0]
    assert np.isnan(row["gap"]) and np.isnan(row["outside"])
    # Four of five: the random set takes one other and three of the relevant ones.
    assert len(fourier_gap(counter(parity_task(5, 4, 8, 4)))) == 4

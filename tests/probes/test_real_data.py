"""Golechha's measures: networks worked out by hand, laws of scale, oracles by loops, and nulls."""

import math

import numpy as np
import pytest
import torch

from interp.probes.answers.activation_sparsity import activation_sparsity
from interp.probes.landscape.local_circuit_complexity import local_circuit_complexity, without
from interp.probes.weights.weight_entropy import weight_entropy
from interp.snapshots.snapshot import NotApplicable, Snapshot
from tests import hand_built
from tests.probes.test_norm_slice import of_images


def scaled(snapshot, factor, name=None):
    """The network with c times all its weights, or one of them."""
    weights = {n: factor * w if name in (None, n) else w for n, w in snapshot.weights.items()}
    return Snapshot(0, weights, snapshot.network, snapshot.task)


# --- activation sparsity -------------------------------------------------------------------------------------------


def test_of_a_memorizer_one_neuron_is_on_for_its_row_and_none_for_others():
    snapshot = hand_built.memorizer(7)
    n = snapshot.neurons.shape[1]
    table = activation_sparsity(snapshot, thresholds=(0.1,)).set_index("split")
    assert table.loc["train", "sparsity"] == pytest.approx(1 - 1 / n)
    assert table.loc["test", "sparsity"] == 1 == table.loc["test", "near_zero"]
    assert (table["of_scale"] == table["sparsity"]).all()


def test_all_activations_at_zero_and_none():
    snapshot = of_images(mlp_bias=True)
    on = snapshot.weights | {"blocks.0.mlp.b_in": torch.full((12,), 100.0)}
    off = snapshot.weights | {"blocks.0.mlp.b_in": torch.full((12,), -100.0)}
    tables = [activation_sparsity(Snapshot(0, w, snapshot.network, snapshot.task)) for w in (on, off)]
    assert (tables[0][["sparsity", "near_zero", "of_scale"]] == 0).all(axis=None)
    assert (tables[1][["sparsity", "near_zero"]] == 1).all(axis=None) and tables[1]["of_scale"].isna().all()


def test_sparsity_is_what_loops_count_and_of_gelu_negative_ones_are_told_apart():
    snapshot = hand_built.random_network(5, d_model=8, d_mlp=6, n_layers=2, act_fn="gelu")
    table = activation_sparsity(snapshot, thresholds=(0.02,)).set_index(["layer", "split"])
    is_train = snapshot.is_train.tolist()
    for layer in (0, 1):
        values = snapshot.activation(f"blocks.{layer}.mlp.hook_post").tolist()
        squares = [x * x for row in values for x in row]
        scale = math.sqrt(sum(squares) / len(squares))
        own = [x for row, is_own in zip(values, is_train, strict=True) if is_own for x in row]
        row = table.loc[(layer, "train")]
        assert row["sparsity"] == sum(x < 0.02 for x in own) / len(own)
        assert row["near_zero"] == sum(abs(x) < 0.02 for x in own) / len(own) < row["sparsity"]
        assert row["of_scale"] == sum(abs(x) < 0.02 * scale for x in own) / len(own)


def test_only_the_share_of_its_own_scale_is_the_same_for_twice_the_weights():
    snapshot = of_images()
    one, two = (activation_sparsity(s) for s in (snapshot, scaled(snapshot, 2.0)))
    # A power of two: every activation is doubled exactly.
    assert one["of_scale"].equals(two["of_scale"]) and (one["sparsity"] > two["sparsity"]).any()


# --- weight entropy ------------------------------------------------------------------------------------------------


def entropy_by_loops(values):
    size = [abs(float(x)) for x in values]
    absolute = -sum(x * math.log(x) for x in size if x)
    return absolute, -sum(x / sum(size) * math.log(x / sum(size)) for x in size if x)


def test_entropies_are_those_of_loops_of_each_matrix_and_of_all():
    snapshot = of_images()
    table = weight_entropy(snapshot).set_index("matrix")
    whole = []
    for name, w in snapshot.weights.items():
        whole += w.flatten().tolist()
        row = table.loc[name]
        # The same sums in another order, in float64.
        assert (row["absolute_entropy"], row["entropy"]) == pytest.approx(
            entropy_by_loops(w.flatten()), rel=1e-9
        )
    total = table.loc["total"]
    assert table.index[-1] == "total" and total["n_parameters"] == len(whole)
    assert (total["absolute_entropy"], total["entropy"]) == pytest.approx(entropy_by_loops(whole), rel=1e-9)


def test_one_weight_equal_weights_and_none():
    snapshot = of_images()
    one_hot, equal, nothing = ({n: 0 * w for n, w in snapshot.weights.items()} for _ in range(3))
    name, w = next(iter(snapshot.weights.items()))
    one_hot[name] = torch.zeros(w.numel()).index_fill(0, torch.tensor([3]), -0.5).view(w.shape)
    equal[name] = torch.full_like(w, -0.25)
    one, even, none = (
        weight_entropy(Snapshot(0, weights, snapshot.network, snapshot.task)).set_index("matrix")
        for weights in (one_hot, equal, nothing)
    )
    for row in (name, "total"):
        assert one.loc[row, "absolute_entropy"] == pytest.approx(0.5 * math.log(2))
        assert one.loc[row, "entropy"] == 0
        assert even.loc[row, "absolute_entropy"] == pytest.approx(w.numel() * 0.25 * math.log(4))
        assert even.loc[row, "entropy"] == pytest.approx(math.log(w.numel()))
        assert none.loc[row, "absolute_entropy"] == 0 and np.isnan(none.loc[row, "entropy"])
    assert one.loc[name, "effective_share"] == pytest.approx(1 / w.numel())
    assert even.loc[name, "effective_share"] == pytest.approx(1)


def test_scale_moves_the_entropy_of_the_paper_by_its_law_and_that_of_shares_not():
    snapshot, c = of_images(), 3.0
    one, other = weight_entropy(snapshot), weight_entropy(scaled(snapshot, c))
    expected = c * one["absolute_entropy"] - c * math.log(c) * one["l1"]
    # c w is rounded to float32.
    np.testing.assert_allclose(other["absolute_entropy"], expected, rtol=1e-6)
    np.testing.assert_allclose(other["entropy"], one["entropy"], rtol=1e-6)


# --- local circuit complexity --------------------------------------------------------------------------------------


def test_what_is_taken_out_is_so_many_entries_of_one_matrix():
    weights = {"a": torch.arange(1.0, 13.0).view(4, 3).T, "b": torch.ones(2, 2)}
    left = without(weights, "a", 5, torch.Generator().manual_seed(0))
    assert left["b"] is weights["b"] and (left["a"] == 0).sum() == 5
    assert ((left["a"] == 0) | (left["a"] == weights["a"])).all() and (weights["a"] != 0).all()


def test_a_memorizer_forgets_the_rows_whose_neuron_was_cut_off():
    snapshot = hand_built.memorizer(7, scale=4.0)
    name = "blocks.0.mlp.W_out"
    table = local_circuit_complexity(snapshot, n_draws=4).query(f"matrix == '{name}'").set_index("split")
    p = torch.softmax(torch.tensor([4.0, *[0.0] * 6], dtype=torch.float64), 0)
    # Its logits are 0 then: KL(p || uniform).
    each = (math.log(7) + (p * p.log()).sum()).item()
    generator = torch.Generator().manual_seed(0)
    w = snapshot.weights[name]
    n_zeroed = round(0.1 * w.numel())
    cut = [
        int(((w != 0) & (without(snapshot.weights, name, n_zeroed, generator)[name] == 0)).sum())
        for _ in range(4)
    ]
    assert sum(cut) > 0 and (table["n_zeroed"] == n_zeroed).all()
    # float32 logits.
    assert table.loc["train", "complexity"] == pytest.approx(np.mean(cut) * each, rel=1e-5)
    assert table.loc["train", "spread"] == pytest.approx(np.std(cut, ddof=1) * each, rel=1e-5)
    # Of the label 0 the first of equal logits is right still.
    assert 0 < table.loc["train", "changed"] <= np.mean(cut) / table.loc["train", "n_rows"]
    # It says nothing of test rows, cut or not.
    assert table.loc["test", "complexity"] == 0 == table.loc["test", "changed"]


def test_complexity_is_what_loops_say():
    snapshot = of_images(mlp_bias=True, corrupted_fraction=0.2)
    table = local_circuit_complexity(snapshot, fraction=0.3, n_draws=2, seed=5)
    assert set(table["matrix"]) == {"blocks.0.mlp.W_in", "unembed.W_U"}
    assert set(table["split"]) == {"train", "test", "corrupted", "all"}
    name, generator, sums = "unembed.W_U", torch.Generator().manual_seed(5), []
    own = snapshot.is_train & ~snapshot.known_task.is_corrupted
    for _ in range(2):
        cut = Snapshot(
            0, without(snapshot.weights, name, 36, generator), snapshot.network, snapshot.task
        ).logits
        total = 0.0
        for before, after in zip(snapshot.logits[own].tolist(), cut[own].tolist(), strict=True):
            p, q = ([math.exp(x) / sum(map(math.exp, row)) for x in row] for row in (before, after))
            total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        sums.append(total)
    row = table.query(f"matrix == '{name}' and split == 'train'").iloc[0]
    assert row["n_zeroed"] == 36
    # float32 logits.
    assert row["complexity"] == pytest.approx(np.mean(sums), rel=1e-5)
    assert row["per_row"] == pytest.approx(np.mean(sums) / int(own.sum()), rel=1e-5)
    assert row["spread"] == pytest.approx(np.std(sums, ddof=1), rel=1e-4)


def test_nothing_is_lost_where_nothing_is_taken_or_was_there():
    snapshot = of_images()
    nothing = local_circuit_complexity(snapshot, fraction=0.0, n_draws=2)
    assert (nothing[["n_zeroed", "complexity", "spread", "changed"]] == 0).all(axis=None)
    empty = local_circuit_complexity(scaled(snapshot, 0.0, "unembed.W_U"), n_draws=2)
    assert (empty["n_zeroed"] > 0).all() and (empty[["complexity", "changed"]] == 0).all(axis=None)


def test_without_all_last_weights_every_answer_is_a_guess():
    snapshot = of_images()
    table = local_circuit_complexity(snapshot, fraction=1.0, n_draws=1)
    row = table.query("matrix == 'unembed.W_U' and split == 'all'").iloc[0]
    p = snapshot.log_probabilities.exp()
    expected = (math.log(10) + (p * p.log()).sum(1)).sum().item()
    assert row["complexity"] == pytest.approx(expected, rel=1e-6) and np.isnan(row["spread"])


def test_it_grows_with_the_scale_of_the_logits_where_no_answer_changes():
    snapshot = of_images()
    one, eight = (
        local_circuit_complexity(s, n_draws=2).query("matrix == 'blocks.0.mlp.W_in'")
        for s in (snapshot, scaled(snapshot, 8.0, "unembed.W_U"))
    )
    assert (eight["complexity"] > one["complexity"]).all() and eight["changed"].equals(one["changed"])


@pytest.mark.parametrize("probe", [activation_sparsity, weight_entropy, local_circuit_complexity])
@pytest.mark.parametrize("name", ["clock", "two layers", "attention only"])
def test_they_are_finite_on_transformers_or_say_why_not(probe, name):
    snapshot = {
        "clock": lambda: hand_built.clock([1, 3], 7),
        "two layers": lambda: hand_built.random_network(5, d_model=8, n_layers=2),
        "attention only": lambda: hand_built.random_network(5, d_model=8, d_mlp=0),
    }[name]()
    if (probe, name) == (activation_sparsity, "attention only"):
        with pytest.raises(NotApplicable, match="has no MLP neurons"):
            probe(snapshot)
        return
    table = probe(snapshot, n_draws=2) if probe is local_circuit_complexity else probe(snapshot)
    # Of a matrix of zeros in a network built by hand the shares are not known.
    numbers = table.select_dtypes("number").drop(columns=["entropy", "effective_share"], errors="ignore")
    assert len(numbers) and np.isfinite(numbers.to_numpy(dtype=float)).all()


def test_what_cannot_be_is_refused():
    snapshot = of_images()
    with pytest.raises(ValueError, match=r"needs thresholds above 0, got \[0.0\]"):
        activation_sparsity(snapshot, thresholds=(0.0,))
    with pytest.raises(ValueError, match="needs a fraction from 0 to 1, got 1.5"):
        local_circuit_complexity(snapshot, fraction=1.5)
    with pytest.raises(ValueError, match="needs n_draws of at least 1, got 0"):
        local_circuit_complexity(snapshot, n_draws=0)
    untold = Snapshot(0, snapshot.weights, snapshot.network, None)
    for probe in (activation_sparsity, local_circuit_complexity):
        with pytest.raises(NotApplicable, match="needs the task's inputs"):
            probe(untold)
    assert len(weight_entropy(untold)) == 3

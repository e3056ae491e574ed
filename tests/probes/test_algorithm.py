"""Clock or pizza: hand-built networks are called what they are, theory values hold, and gradients match autograd."""

import dataclasses
import itertools
import json
import math
import subprocess
import sys
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import torch

from interp import analyses
from interp.analyses.frame import main
from interp.mathematics import clock_pizza
from interp.measurement.measure import measure
from interp.networks.config import initial_weights
from interp.networks.network import DescribedNetwork
from interp.probes.fourier.algorithm import algorithm, circularity, gradient_cosines, gradient_symmetricity
from interp.probes.fourier.algorithm_by_frequency import algorithm_by_frequency, isolated, spread_differences
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.theories.clock_or_pizza import checkpoint_verdicts, frequency_verdicts, run_verdict
from interp.training.train import train
from tests import hand_built
from tests.tiny import tiny_config

EVERY_FREQUENCY = range(1, 7)


def tables_of(snapshot, **options):
    tables = {
        "algorithm": algorithm(snapshot),
        "algorithm_by_frequency": algorithm_by_frequency(snapshot, **options),
    }
    return {name: table.assign(run="x", step=0) for name, table in tables.items()}


def random_snapshot(seed=0, *, operation="add", p=13, n_layers=1, n_heads=4, task=None, **model):
    task = hand_built.addition(p, operation=operation, **(task or {}))
    config = hand_built.config_for(task, d_model=16, n_heads=n_heads, d_mlp=32, n_layers=n_layers, **model)
    weights = initial_weights(config, seed)
    # Larger than at initialization, so that attention and ReLUs are far from linear.
    return Snapshot(0, {name: 3 * w for name, w in weights.items()}, DescribedNetwork(config), task)


# What the verdict says of networks whose algorithm is known


@pytest.mark.parametrize("k", EVERY_FREQUENCY)
def test_a_clock_is_called_a_clock(k):
    tables = tables_of(hand_built.clock([k]))
    verdicts = checkpoint_verdicts(tables)
    assert verdicts["verdict"].tolist() == ["clock"]
    assert verdicts["clock_score"].tolist() == [1.0]
    assert frequency_verdicts(tables)[["frequency", "verdict"]].values.tolist() == [[k, "clock"]]


@pytest.mark.parametrize("k", EVERY_FREQUENCY)
def test_a_pizza_is_called_a_pizza(k):
    tables = tables_of(hand_built.pizza([k]))
    assert checkpoint_verdicts(tables)["verdict"].tolist() == ["pizza"]
    by_frequency = frequency_verdicts(tables).set_index("frequency")["verdict"]
    assert by_frequency[k] == "pizza"
    # The third harmonic of the pizza's formula shows in the logits; no embedding carries it.
    assert by_frequency.drop(k).isin(["undecided"]).all()


def test_networks_of_several_frequencies_are_called_what_they_are():
    assert checkpoint_verdicts(tables_of(hand_built.clock([2, 5])))["verdict"].tolist() == ["clock"]
    assert checkpoint_verdicts(tables_of(hand_built.pizza([2, 5])))["verdict"].tolist() == ["pizza"]


@pytest.mark.parametrize(
    "snapshot",
    [
        hand_built.memorizer(),
        hand_built.memorizer(train_fraction=0.8),  # cos(w(a+b-c)) explains 80 % of its logits
        hand_built.random_network(),
        hand_built.random_network(seed=1, attention_rate=0.0),
    ],
    ids=["memorizer", "memorizer of most", "random", "random, uniform attention"],
)
def test_networks_without_an_algorithm_are_called_neither(snapshot):
    tables = tables_of(snapshot, frequencies=EVERY_FREQUENCY)
    assert checkpoint_verdicts(tables)["verdict"].tolist() == ["neither"]
    assert set(frequency_verdicts(tables)["verdict"]) == {"neither"}


# The measures against theory


def test_perfect_clock_has_no_distance_irrelevance_and_says_why():
    row = algorithm(hand_built.clock([2, 5])).iloc[0]
    for name in ("", "_runner_up", "_margin"):
        assert math.isnan(row[f"distance_irrelevance{name}"])
    assert "distance_irrelevance: the right answer's logit is the same for all pairs" in row["undefined"]
    # 1e-6: float32 logits of size 2.
    assert row["coefficient_of_variation"] == pytest.approx(0, abs=1e-6)
    assert row["clock_fraction"] == pytest.approx(1, abs=1e-6)
    assert row["test_accuracy"] == 1


def test_pizza_measures_are_those_of_its_formula():
    row = algorithm(hand_built.pizza([3])).iloc[0]
    # 1e-6: float32 weights. Both operands go through one head, so their gradients are equal.
    assert row["gradient_symmetricity"] == pytest.approx(1, abs=1e-6)
    assert row["distance_irrelevance"] == pytest.approx(0, abs=1e-6)
    assert row["pizza_fraction"] == pytest.approx(1, abs=1e-6)
    assert row["undefined"] == ""
    part = algorithm_by_frequency(hand_built.pizza([3, 4], p=31)).set_index("frequency").loc[3]
    assert part["pizza_fraction"] == pytest.approx(1, abs=1e-6)
    # 8/pi^2 of |cos| times the share 0.9927 of cos in |cos| - |sin|; 0.002: 31 points instead of the integral.
    assert part["clock_fraction"] == pytest.approx(8 / np.pi**2 * 0.9927, abs=0.002)
    assert part["coefficient_of_variation"] == pytest.approx(np.sqrt(np.pi**2 / 8 - 1), abs=0.01)
    assert part["distance_irrelevance"] == pytest.approx(0, abs=1e-5)


def ideal(frequencies, p, *, pizza):
    """Logits (d, x, e) of the ideal formulas of Zhong et al., in which the pizza is |cos(w d/2)| cos(w e)."""
    d, _, e = torch.meshgrid(*[torch.arange(p, dtype=torch.float64)] * 3, indexing="ij")
    w = [2 * torch.pi * k / p for k in frequencies]
    return sum((torch.cos(v * d / 2).abs() if pizza else 1) * torch.cos(v * e) for v in w)


def test_ideal_formulas_have_their_theory_values():
    p, differences = 59, torch.arange(59)
    one, three = ideal([4], p, pizza=True), ideal([4, 9, 23], p, pizza=True)
    noise = torch.randn(three.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # 0.002 throughout: sums over 59 points instead of integrals.
    assert clock_pizza.fraction_explained(one, differences, [4], "clock") == pytest.approx(
        8 / np.pi**2, abs=2e-3
    )
    assert clock_pizza.coefficient_of_variation(one[..., 0]) == pytest.approx(0.483, abs=2e-3)
    assert clock_pizza.distance_irrelevance(one[..., 0], 1.0) == pytest.approx(0, abs=1e-12)
    assert clock_pizza.fraction_explained(three, differences, [4, 9, 23], "clock") == pytest.approx(
        8 / np.pi**2, abs=2e-3
    )
    # Three independent terms: the deviation grows as sqrt(3), the mean as 3. 0.005: nearly independent at p = 59.
    assert clock_pizza.coefficient_of_variation(three[..., 0]) == pytest.approx(0.483 / 3**0.5, abs=5e-3)
    # Noise s beside a deviation S of the signal: s / sqrt(S^2 + s^2), S = 0.279 * 6 / pi.
    assert clock_pizza.distance_irrelevance((three + 0.05 * noise)[..., 0], 3.0) == pytest.approx(
        0.05 / math.hypot(0.05, 0.279 * 6 / np.pi), abs=5e-3
    )
    clock = ideal([4], p, pizza=False)
    assert clock_pizza.fraction_explained(clock, differences, [4], "clock") == pytest.approx(1, abs=1e-12)
    assert math.isnan(clock_pizza.distance_irrelevance(clock[..., 0], 1.0))
    # The mean of 59 deviations of 59 draws: 1 - 1/(4 * 59) - 1/59 / 2, about 0.987; 0.01: one draw.
    assert clock_pizza.distance_irrelevance((clock + 1e-3 * noise)[..., 0], 1.0) == pytest.approx(
        0.987, abs=0.01
    )


def test_pizza_formula_is_that_of_the_paper():
    p, k = 11, 3
    w = 2 * np.pi * k / p
    explained = []
    for factor in (1.0, -2.5):
        logits = torch.zeros(p, p, p, dtype=torch.float64)
        for x, y, z in itertools.product(range(p), repeat=3):
            s_x, s_y = np.cos(w * x) + np.cos(w * y), np.sin(w * x) + np.sin(w * y)
            c, s = np.cos(w * z / 2), np.sin(w * z / 2)
            logits[x, y, z] = factor * (abs(c * s_x + s * s_y) - abs(-s * s_x + c * s_y))
        differences = torch.arange(p)
        x, y = clock_pizza.cells(p, differences)
        sorted_logits = clock_pizza.by_distance(logits[x, y], differences, torch.arange(p))
        centred = sorted_logits - sorted_logits.mean(-1, keepdim=True)
        explained.append(clock_pizza.fraction_explained(centred, differences, [k], "pizza"))
    assert explained == pytest.approx([1, 1], abs=1e-12)


@pytest.mark.parametrize("n", [11, 12])
def test_logits_by_distance_are_a_relabelling(n):
    generator = torch.Generator().manual_seed(0)
    logits, answers = torch.rand(n, n, n + 1, generator=generator), torch.randperm(n, generator=generator) + 1
    differences = torch.tensor([0, 3, n - 1])
    x, y = clock_pizza.cells(n, differences)
    got = clock_pizza.by_distance(logits[x, y], differences, answers)
    for i, d in enumerate(differences.tolist()):
        for first, e in itertools.product(range(n), repeat=2):
            second = (first - d) % n
            assert got[i, first, e] == logits[first, second, answers[(first + second - e) % n]]


@pytest.mark.parametrize("formula", ["clock", "pizza"])
@pytest.mark.parametrize("n", [11, 12])
def test_fraction_explained_is_least_squares(formula, n):
    d = [0, 1, 4, 7, 8]
    logits = torch.rand(5, n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits = logits - logits.mean(-1, keepdim=True)
    columns = []
    for k in (1, 2, 5):
        column = np.zeros((5, n, n))
        for i, x, e in itertools.product(range(5), range(n), range(n)):
            w = 2 * np.pi * k / n
            value = np.cos(w * e)
            if formula == "pizza":
                value = abs(np.cos(w * d[i] / 2)) * (abs(np.cos(w * e / 2)) - abs(np.sin(w * e / 2)))
            column[i, x, e] = value
        columns.append((column - column.mean(-1, keepdims=True)).reshape(-1))
    design, target = np.stack(columns, 1), logits.numpy().reshape(-1)
    fitted = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    want = (fitted**2).sum() / (target**2).sum()
    got = clock_pizza.fraction_explained(logits, torch.tensor(d), [1, 2, 5], formula)
    assert got == pytest.approx(want, rel=1e-9)  # float64 both


def test_distance_irrelevance_is_that_of_the_papers_matrix():
    snapshot = random_snapshot()
    p = 13
    row = algorithm(snapshot).iloc[0]
    by_sum = {name: np.zeros((p, p)) for name in ("", "_runner_up", "_margin")}
    for (a, b), logits in zip(
        snapshot.task.config.pairs().tolist(), snapshot.logits.double().numpy(), strict=True
    ):
        right = logits[(a + b) % p]
        wrong = np.delete(logits, (a + b) % p).max()
        for name, value in {"": right, "_runner_up": wrong, "_margin": right - wrong}.items():
            by_sum[name][(a + b) % p, (a - b) % p] = value
    for name, matrix in by_sum.items():
        want = matrix.std(axis=0).mean() / matrix.std()
        assert row[f"distance_irrelevance{name}"] == pytest.approx(want, rel=1e-5)  # float32 logits
    want = by_sum[""].std() / abs(by_sum[""].mean())
    assert row["coefficient_of_variation"] == pytest.approx(want, rel=1e-5)


# Gradient symmetricity


NETWORKS = {
    "with =": {},
    "without =": {"task": {"equals_token": False}},
    "uniform attention": {"attention_rate": 0.3, "attention_dir": "bidirectional"},
    "LayerNorm": {"normalization_type": "LN"},
    "post-norm": {"normalization_type": "LN", "norm_placement": "post"},
    "tied": {"tied_unembed": True},
    "separate vocabularies": {"task": {"separate_vocabularies": True}},
    "two layers": {"n_layers": 2},
    "attention-free": {"n_heads": 0},
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_gradients_match_autograd_through_the_hooked_model(kind):
    snapshot = random_snapshot(**NETWORKS[kind])
    examples, answers = torch.tensor([0, 17, 17, 100, 168]), torch.tensor([3, 0, 5, 12, 7])
    want = []
    for example, answer in zip(examples, answers, strict=True):
        embedded = []

        def keep(value, hook, embedded=embedded):
            value = value.detach().requires_grad_()
            embedded.append(value)
            return value

        logits = snapshot.model.run_with_hooks(
            snapshot.task.tokens[example][None], fwd_hooks=[("hook_embed", keep)]
        )
        (gradient,) = torch.autograd.grad(logits[0, -1, answer], embedded)
        want.append(float(torch.cosine_similarity(gradient[0, 0].double(), gradient[0, 1].double(), dim=0)))
    got = gradient_cosines(snapshot, examples, answers)
    # 1e-4: float32, and cosines of gradients that nearly cancel.
    np.testing.assert_allclose(got, want, atol=1e-4)


def test_all_triples_are_the_mean_over_all_and_a_sample_is_within_its_error():
    snapshot = random_snapshot(p=7)
    examples, answers = torch.arange(49).repeat_interleave(7), torch.arange(7).repeat(49)
    every = gradient_cosines(snapshot, examples, answers)
    mean, error, used = gradient_symmetricity(snapshot, n_triples=None, seed=0)
    assert (mean, error, used) == (pytest.approx(float(every.mean()), abs=1e-6), 0.0, 343)
    assert gradient_symmetricity(snapshot, n_triples=343, seed=0) == (mean, error, used)
    samples = [gradient_symmetricity(snapshot, n_triples=100, seed=seed) for seed in range(20)]
    deviations = np.array([(m - mean) / e for m, e, _ in samples])
    assert len({m for m, _, _ in samples}) == 20
    # Twenty standard normal numbers: their root mean square lies in 0.5 .. 1.5 but for one in 10^4.
    assert 0.5 < np.sqrt((deviations**2).mean()) < 1.5
    assert gradient_symmetricity(snapshot, n_triples=100, seed=3) == samples[3]


def test_chunks_of_triples_do_not_change_them(monkeypatch):
    snapshot = random_snapshot(p=7)
    whole = gradient_symmetricity(snapshot, n_triples=None, seed=0)
    monkeypatch.setattr(import_module("interp.probes.fourier.algorithm"), "CHUNK", 10)
    # 1e-6: float32 products of another size.
    assert gradient_symmetricity(snapshot, n_triples=None, seed=0) == pytest.approx(whole, abs=1e-6)


def test_untrained_network_is_symmetric_and_a_clock_is_not():
    # 0.95: the two positions' embeddings differ at random, by 1/sqrt(d_model) of attention's input.
    assert algorithm(hand_built.random_network()).loc[0, "gradient_symmetricity"] > 0.95
    row = algorithm(hand_built.clock([3]), n_triples=None).iloc[0]
    # The gradients turn by w(a-b) against each other: cos averages to zero over all a - b.
    assert row["gradient_symmetricity"] == pytest.approx(0, abs=1e-6)
    assert row["gradient_symmetricity_se"] == 0


def test_network_without_gradients_says_so():
    snapshot = hand_built.clock([3])
    weights = {name: torch.zeros_like(w) for name, w in snapshot.weights.items()}
    row = algorithm(dataclasses.replace(snapshot, weights=weights)).iloc[0]
    assert row["n_triples"] == 0
    for name in ("gradient_symmetricity", "circularity", "clock_fraction", "coefficient_of_variation"):
        assert math.isnan(row[name])
    assert "gradient_symmetricity: every gradient is zero; " in row["undefined"]
    assert "circularity: the embedding does not vary; clock_fraction: the logits are" in row["undefined"]


def test_one_hot_network_has_the_other_columns():
    snapshot = random_snapshot(n_heads=0)
    config = dataclasses.replace(snapshot.config, one_hot_embed=True, d_model=snapshot.config.d_vocab)
    snapshot = Snapshot(0, initial_weights(config, 0), DescribedNetwork(config), snapshot.task)
    row = algorithm(snapshot).iloc[0]
    assert math.isnan(row["gradient_symmetricity"])
    assert math.isnan(row["circularity"])
    assert row["undefined"] == (
        "gradient_symmetricity: the embedding is one-hot; circularity: the embedding is one-hot"
    )
    assert 0.5 < row["distance_irrelevance"] <= 1
    with pytest.raises(NotApplicable, match="one-hot"):
        algorithm_by_frequency(snapshot, frequencies=[1])
    with pytest.raises(NotApplicable, match="one-hot: no frequency can be taken out"):
        isolated(snapshot, 1)
    with pytest.raises(NotApplicable, match="one-hot: there are no embedding vectors"):
        gradient_cosines(snapshot, torch.tensor([0]), torch.tensor([0]))


# Circularity


@pytest.mark.parametrize("k", EVERY_FREQUENCY)
def test_circle_is_circular(k):
    assert circularity(hand_built.clock([k]).once(Residues).embedding) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("n", [12, 13])
def test_circularity_is_that_of_the_papers_code(n):
    embedding = torch.rand(n, 8, generator=torch.Generator().manual_seed(2))
    centred = embedding.numpy().astype(float) - embedding.numpy().mean(0)
    components = np.linalg.svd(centred, full_matrices=False)[0][:, :4]
    best = []
    for v in components.T:
        power = [
            abs(2 / n * np.sum(v * np.exp(-2j * np.pi * k * np.arange(n) / n)) ** 2) / 2 for k in range(1, n)
        ]
        # |DFT|^2 / n of one sinusoid is shared by k and n-k.
        best.append(min(max(2 * x if 2 * (i + 1) != n else x for i, x in enumerate(power)), 1))
    assert circularity(embedding) == pytest.approx(np.mean(best), abs=1e-6)
    assert circularity(embedding) < 0.9


# One frequency at a time


def test_reduced_network_is_the_projected_one():
    snapshot = random_snapshot()
    n = 13
    got = algorithm_by_frequency(snapshot, frequencies=[2, 5], n_differences=None).set_index("frequency")
    for k in (2, 5):
        t = torch.arange(n, dtype=torch.float64)
        design = torch.stack(
            [torch.ones(n), torch.cos(2 * torch.pi * k * t / n), torch.sin(2 * torch.pi * k * t / n)]
        )
        projector = design.T.double() @ torch.linalg.pinv(design.T.double())
        W_E = snapshot.weights["embed.W_E"].clone()
        W_E[:n] = (projector @ W_E[:n].double()).float()
        cube = (
            dataclasses.replace(snapshot, weights={**snapshot.weights, "embed.W_E": W_E})
            .once(Residues)
            .logit_cube
        )
        cube = cube - cube.mean(-1, keepdim=True)
        right, clock_terms, pizza_terms = np.zeros((n, n)), np.zeros((n, n, n)), np.zeros((n, n, n))
        w = 2 * np.pi * k / n
        for a, b, c in itertools.product(range(n), repeat=3):
            right[(a + b) % n, (a - b) % n] = cube[a, b, (a + b) % n]
            e = a + b - c
            clock_terms[a, b, c] = np.cos(w * e)
            pizza_terms[a, b, c] = abs(np.cos(w * (a - b) / 2)) * (
                abs(np.cos(w * e / 2)) - abs(np.sin(w * e / 2))
            )
        row = got.loc[k]
        # 1e-4 throughout: float32 logits of a network of large weights.
        assert row["distance_irrelevance"] == pytest.approx(right.std(0).mean() / right.std(), rel=1e-4)
        assert row["coefficient_of_variation"] == pytest.approx(right.std() / abs(right.mean()), rel=1e-4)
        for name, terms in {"clock": clock_terms, "pizza": pizza_terms}.items():
            terms = terms - terms.mean(-1, keepdims=True)
            want = (terms * cube.numpy()).sum() ** 2 / ((terms**2).sum() * (cube.numpy() ** 2).sum())
            assert row[f"{name}_fraction"] == pytest.approx(want, rel=1e-4)


def test_isolation_is_a_projection_and_leaves_equals_alone():
    snapshot = random_snapshot()
    once = isolated(snapshot, 4)
    again = isolated(dataclasses.replace(snapshot, weights={**snapshot.weights, "embed.W_E": once}), 4)
    torch.testing.assert_close(again, once, atol=1e-6, rtol=0)  # float32
    assert torch.equal(once[13], snapshot.weights["embed.W_E"][13])
    assert not torch.allclose(once[:13], snapshot.weights["embed.W_E"][:13])


def test_key_frequencies_are_chosen_by_the_logits_and_capped():
    snapshot = hand_built.clock([1, 2, 5], amplitudes=[1.0, 3.0, 2.0])
    assert algorithm_by_frequency(snapshot)["frequency"].tolist() == [2, 5, 1]
    assert algorithm_by_frequency(snapshot, max_frequencies=2)["frequency"].tolist() == [2, 5]
    assert algorithm_by_frequency(snapshot, frequencies=[6, 1])["frequency"].tolist() == [6, 1]
    empty = algorithm_by_frequency(hand_built.random_network())
    assert len(empty) == 0
    assert list(empty) == list(algorithm_by_frequency(snapshot))


@pytest.mark.parametrize("n", [12, 13, 31])
def test_differences_are_spread_over_the_circle(n):
    for k, count in itertools.product(range(1, n // 2 + 1), (1, 4, 12)):
        found = spread_differences(n, k, count)
        assert len(set(found.tolist())) == count
        angles = sorted((k * found % n).tolist())
        gaps = np.diff([*angles, angles[0] + n])
        # Even up to rounding, by one step of the circle at either end of a gap; steps are gcd(k, n) wide.
        assert gaps.max() <= n / count + 2 * math.gcd(k, n)
    assert sorted(spread_differences(n, 3, n + 5).tolist()) == list(range(n))


def test_few_differences_say_what_all_do():
    snapshot = hand_built.pizza([3], p=31)
    few, all_of_them = (
        algorithm_by_frequency(snapshot, frequencies=[3], n_differences=count).iloc[0] for count in (7, None)
    )
    for name in ("coefficient_of_variation", "clock_fraction", "pizza_fraction"):
        # 0.05: |cos| at 7 points, 4 or 5 of 31 apart.
        assert few[name] == pytest.approx(all_of_them[name], abs=0.05)
    assert few["coefficient_of_variation"] != all_of_them["coefficient_of_variation"]


@pytest.mark.parametrize(("k", "double"), [(2, 4), (5, 3), (6, 1)])
def test_doubles_are_weighed(k, double):
    snapshot = hand_built.clock([k])
    t = torch.arange(13)
    W_E = snapshot.weights["embed.W_E"].clone()
    W_E[:13, 8] = 0.5 * torch.sin(2 * torch.pi * double * t / 13)  # a dimension that nothing reads
    planted = dataclasses.replace(snapshot, weights={**snapshot.weights, "embed.W_E": W_E})
    row = algorithm_by_frequency(planted).iloc[0]
    assert row["double"] == double
    # cos and sin of size 1 against a sine of size 1/2.
    assert row["double_fraction"] == pytest.approx(0.25 / 2.25, abs=1e-6)
    assert row["median_fraction"] == pytest.approx(0, abs=1e-6)
    assert algorithm_by_frequency(snapshot).loc[0, "double_fraction"] == pytest.approx(0, abs=1e-6)


# Other operations


def test_subtraction_is_addition_under_other_names():
    task = {"separate_vocabularies": True}
    add, subtract = random_snapshot(task=task), random_snapshot(operation="subtract", task=task)
    W_E = add.weights["embed.W_E"].clone()
    W_E[13:26] = W_E[13 + (-torch.arange(13)) % 13]
    subtract = dataclasses.replace(subtract, weights={**add.weights, "embed.W_E": W_E})
    # 1e-5: float32 sums in another order.
    numbers = algorithm(add, n_triples=None).drop(columns=["undefined", "test_accuracy"])
    pd.testing.assert_frame_equal(
        algorithm(subtract, n_triples=None)[numbers.columns], numbers, rtol=1e-5, atol=1e-7
    )
    pd.testing.assert_frame_equal(
        algorithm_by_frequency(subtract, frequencies=[2, 5]),
        algorithm_by_frequency(add, frequencies=[2, 5]),
        rtol=1e-4,
        atol=1e-7,
    )


def test_multiplication_is_addition_of_logarithms():
    multiply = random_snapshot(operation="multiply", p=13)
    add = random_snapshot(p=12)
    algebra = multiply.task.structure
    W_E, W_U = multiply.weights["embed.W_E"], multiply.weights["unembed.W_U"]
    tokens = [algebra.first.tolist().index(name) for name in range(12)]
    renamed = {**multiply.weights, "embed.W_E": W_E[[*tokens, 13]], "unembed.W_U": W_U[:, tokens]}
    add = dataclasses.replace(add, weights=renamed)
    names = [
        name
        for name in algorithm(add)
        if "distance" in name or name in ("coefficient_of_variation", "circularity")
    ]
    # 1e-4: float32 sums in another order.
    pd.testing.assert_frame_equal(algorithm(multiply)[names], algorithm(add)[names], rtol=1e-4, atol=1e-6)
    # The answer 0 has a logit in the one network and none in the other; no row of non-zero residues has it as label.
    parts = [algorithm_by_frequency(s, frequencies=[1, 4, 6]) for s in (multiply, add)]
    for name in ("distance_irrelevance", "clock_fraction", "pizza_fraction", "double", "double_fraction"):
        np.testing.assert_allclose(parts[0][name], parts[1][name], rtol=1e-3, err_msg=name)
    assert parts[0]["undefined"].tolist() == ["", "", "double_fraction: 2k is the whole circle"]


# Refusals


def test_errors_say_what_is_needed():
    snapshot = hand_built.clock([3])
    with pytest.raises(ValueError, match="n_triples of at least 2, got 1"):
        algorithm(snapshot, n_triples=1)
    with pytest.raises(ValueError, match="of at least 1, got 0 and 8"):
        algorithm_by_frequency(snapshot, n_differences=0)
    with pytest.raises(ValueError, match="of at least 1, got 12 and 0"):
        algorithm_by_frequency(snapshot, max_frequencies=0)
    with pytest.raises(ValueError, match=r"run from 1 to 6, got \[7\]"):
        algorithm_by_frequency(snapshot, frequencies=[7])
    with pytest.raises(ValueError, match=r"run from 1 to 6, got \[0\]"):
        clock_pizza.fraction_explained(torch.ones(13, 13, 13), torch.arange(13), [0], "clock")
    no_sum = random_snapshot(operation="x2+y2")
    for probe in (algorithm, algorithm_by_frequency):
        with pytest.raises(NotApplicable, match="not a sum under any renaming"):
            probe(no_sum)


# The rules of the verdict


def verdict_of(*, frequencies=((29, 0.9, 0.98, 0.6),), null=0.01, **numbers):
    """The verdict on one step; a frequency is (k, fraction, distance irrelevance, clock fraction)."""
    row = {
        "test_accuracy": 1.0,
        "clock_fraction": 0.97,
        "pizza_fraction": 0.8,
        "gradient_symmetricity": 0.4,
    } | numbers
    parts = pd.DataFrame(
        frequencies, columns=["frequency", "fraction", "distance_irrelevance", "clock_fraction"]
    )
    parts["null"] = null
    where = {"run": "x", "step": 5}
    tables = {"algorithm": pd.DataFrame([where | row]), "algorithm_by_frequency": parts.assign(**where)}
    return checkpoint_verdicts(tables).iloc[0], frequency_verdicts(tables)


@pytest.mark.parametrize(
    ("verdict", "why", "numbers"),
    [
        ("clock", "clock frequencies hold 1.00", {}),
        ("neither", "accuracy 0.490", {"test_accuracy": 0.49}),
        ("undecided", "in the jump", {"test_accuracy": 0.94}),
        ("clock", "clock frequencies hold 1.00", {"test_accuracy": 0.95}),
        ("neither", "the formulas explain 0.40", {"clock_fraction": 0.4, "pizza_fraction": 0.3}),
        ("undecided", "symmetricity 0.99", {"gradient_symmetricity": 0.99}),
        ("undecided", "symmetricity nan", {"gradient_symmetricity": float("nan")}),
        ("pizza", "pizza frequencies 1.00", {"gradient_symmetricity": 0.99, "frequencies": [(3, 0.8, 0.03, 0.77)]}),
        ("undecided", "pizza frequencies 1.00", {"gradient_symmetricity": 0.97, "frequencies": [(3, 0.8, 0.03, 0.77)]}),
        ("undecided", "clock frequencies hold 0.75", {"frequencies": [(3, 0.6, 0.97, 0.7), (4, 0.2, 0.5, 0.7)]}),
        ("clock", "hold 0.92", {"frequencies": [(3, 0.6, 0.97, 0.1), (4, 0.05, 0.5, 0.7)]}),
        ("undecided", "hold nan", {"frequencies": []}),
        # The strongest of a network that uses all frequencies alike: each alone is noise, as of less than 7 residues.
        ("undecided", "clock frequencies hold 0.00", {"null": 0.91}),
        ("undecided", "clock frequencies hold 0.00", {"null": float("inf")}),
    ],
)  # fmt: skip
def test_rules_of_the_network(verdict, why, numbers):
    got, _ = verdict_of(**numbers)
    assert got["verdict"] == verdict
    assert why in got["why"]


@pytest.mark.parametrize(
    ("verdict", "why", "irrelevance", "clock_fraction"),
    [
        ("clock", "irrelevance 0.91", 0.91, 0.0),
        ("undecided", "irrelevance 0.89", 0.89, 0.0),
        ("undecided", "irrelevance 0.21", 0.21, 0.8),
        ("pizza", "irrelevance 0.19", 0.19, 0.8),
        ("undecided", "explains only 0.40", 0.19, 0.4),
        ("clock", "logit is constant", float("nan"), 1.0),
        ("undecided", "not defined", float("nan"), float("nan")),
    ],
)
def test_rules_of_a_frequency(verdict, why, irrelevance, clock_fraction):
    _, got = verdict_of(frequencies=[(3, 0.5, irrelevance, clock_fraction)])
    assert got.loc[0, "verdict"] == verdict
    assert why in got.loc[0, "why"]


@pytest.mark.parametrize(
    ("course", "verdict", "since"),
    [
        (["neither", "undecided", "clock", "clock", "clock"], "clock", 2),
        (["neither", "undecided", "undecided", "clock", "clock"], "undecided", None),
        (["pizza"], "pizza", 0),
        (["clock", "pizza"], "undecided", None),
        (["clock", "clock", "clock", "pizza", "pizza", "pizza"], "pizza", 3),
        (["clock", "clock", "clock", "undecided"], "undecided", None),
        (["clock", "neither"], "neither", 1),
    ],
)
def test_a_run_is_judged_by_what_lasts(course, verdict, since):
    verdicts = pd.DataFrame({"run": "x", "step": range(len(course)), "verdict": course, "why": "because"})
    got = run_verdict(verdicts.sample(frac=1, random_state=0))
    assert (got["verdict"], got["since"]) == (verdict, since)
    assert got["why"]
    lasts = None if len(course) < 3 and len(set(course)) == 1 else len(set(course[-3:])) == 1
    assert got["is_stable"] == (lasts if len(course) >= 3 or verdict == "undecided" else None)


def test_one_checkpoint_has_a_verdict_that_is_said_to_show_no_stability():
    """A network that was downloaded: there is no course to judge."""
    one = pd.DataFrame({"run": "x", "step": [7], "verdict": ["clock"], "why": ["because"]})
    got = run_verdict(one)
    assert (got["verdict"], got["since"], got["is_stable"]) == ("clock", 7, None)
    assert got["why"] == "because. One checkpoint shows no stability: whether it lasts is not known"
    two = run_verdict(pd.concat([one, one.assign(step=8)]))
    assert two["verdict"] == "clock" and "2 checkpoints show no stability" in two["why"]


def test_verdict_needs_its_tables():
    tables = tables_of(hand_built.clock([3]))
    with pytest.raises(ValueError, match="needs the table 'algorithm_by_frequency'"):
        frequency_verdicts({"algorithm": tables["algorithm"]})
    with pytest.raises(ValueError, match=r"'x', 7\) is missing"):
        frequency_verdicts(
            tables | {"algorithm_by_frequency": tables["algorithm_by_frequency"].assign(step=7)}
        )
    with pytest.raises(ValueError, match="one run, got 0 rows of 0 runs"):
        run_verdict(checkpoint_verdicts(tables).iloc[:0])


def test_verdict_does_not_load_torch():
    code = "import sys, interp.theories.clock_or_pizza; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_along_a_run(tiny_run):
    tables = measure(tiny_run, [algorithm, algorithm_by_frequency], cache=False, progress=False)
    assert tables["algorithm"]["step"].tolist() == tiny_run.steps
    verdicts = checkpoint_verdicts(tables)
    assert verdicts["step"].tolist() == tiny_run.steps
    assert verdicts.loc[0, "verdict"] == "neither"


# The analysis


def analysis(name):
    module = analyses.named(name)
    return lambda *arguments: main(
        name, module.__doc__, module.compute, module.draw, module.summarize, list(arguments)
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["without =", "attention-free"])
def test_analysis_of_runs(kind, tmp_path):
    changes = {
        "without =": {"task": {"equals_token": False}, "model": {"n_layers": 2}},
        "attention-free": {"model": {"n_heads": 0}},
    }[kind]
    train(tiny_config(100, **changes), tmp_path / "run", threads=1)
    run, out = ("--run", str(tmp_path / "run")), ("--out", str(tmp_path / "out"))
    analysis("clock_pizza")(*run, *out)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {"gradient_symmetricity", "distance_irrelevance", "circularity", "verdict"} <= set(summary)
    assert summary["verdict"] in ("neither", "undecided")  # 100 steps
    assert len(summary["frequencies"]) == 5
    first = (tmp_path / "out" / "clock_pizza.pdf").read_bytes()
    analysis("clock_pizza")(*run, *out, "--draw-only")
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    assert (tmp_path / "out" / "clock_pizza.pdf").read_bytes() == first


def test_analysis_of_a_task_without_sums_says_so(tmp_path):
    train(tiny_config(20, task={"operation": "x2+y2"}), tmp_path / "run", threads=1)
    analysis("clock_pizza")("--run", str(tmp_path / "run"), "--out", str(tmp_path / "out"))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["verdict"] == "not evaluable"
    assert "not a sum under any renaming" in summary["does_not_apply"][0]

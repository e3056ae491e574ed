"""Attention probes: planted patterns and circuits are found, and every number has a plain loop beside it."""

import dataclasses
import itertools
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from interp.analyses import attention
from interp.analyses.frame import main
from interp.measurement.measure import measure
from interp.networks.config import initial_weights, transformer_config
from interp.networks.hooked import build_model
from interp.networks.network import DescribedNetwork
from interp.probes.attention.attention_circuits import attention_circuits
from interp.probes.attention.attention_patterns import attention_patterns
from interp.probes.attention.attention_periodicity import attention_periodicity
from interp.probes.attention.induction_scores import (
    copying_scores,
    head_scores,
    induction_scores,
    pattern_scores,
    repeated_tokens,
)
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.training.train import train
from tests import hand_built
from tests.tiny import tiny_config

EVERY_FREQUENCY = range(1, 7)
P = 13


def random_snapshot(seed=0, *, p=P, operation="add", task=None, n_layers=1, n_heads=4, **model):
    task = hand_built.addition(p, operation=operation, **(task or {}))
    config = hand_built.config_for(task, d_model=16, n_heads=n_heads, d_mlp=32, n_layers=n_layers, **model)
    weights = initial_weights(config, seed)
    # Larger than at initialization, so that patterns move.
    return Snapshot(0, {name: 3 * w for name, w in weights.items()}, DescribedNetwork(config), task)


def with_pattern(*to_first, p=P):
    """A snapshot whose heads have these tables (a, b) as attention to the first operand."""
    snapshot = hand_built.random_network(p)
    to_first = torch.stack([torch.as_tensor(table).reshape(-1) for table in to_first], 1).float()
    pattern = torch.stack([to_first, 1 - to_first, torch.zeros_like(to_first)], -1)[:, None]
    # A cached property: a value in the instance's dict is the one that is used.
    object.__setattr__(snapshot, "__dict__", {**snapshot.__dict__, "pattern": pattern})
    return snapshot


def linear_pattern(k, p=P, alpha=0.2, beta=0.1):
    a, b = np.meshgrid(np.arange(p), np.arange(p), indexing="ij")
    w = 2 * np.pi * k / p
    return 0.5 + alpha * (np.cos(w * a) - np.cos(w * b)) + beta * (np.sin(w * a) - np.sin(w * b))


# Patterns


@pytest.mark.parametrize(
    "changes",
    [{}, {"n_layers": 2}, {"task": {"equals_token": False}}, {"attention_rate": 0.3, "attention_dir": "bidirectional"}],
    ids=["one layer", "two layers", "without =", "mixed with a constant"],
)  # fmt: skip
def test_patterns_are_those_of_the_hooked_model(changes):
    snapshot = random_snapshot(**changes)
    table = attention_patterns(snapshot).set_index(["layer", "head", "position"])
    _, cache = snapshot.model.run_with_cache(snapshot.task.tokens)
    n_pos = snapshot.config.n_ctx
    assert len(table) == snapshot.config.n_layers * 4 * n_pos
    for layer, head in itertools.product(range(snapshot.config.n_layers), range(4)):
        pattern = cache[f"blocks.{layer}.attn.hook_pattern"][:, head, -1].double().numpy()
        share = pattern / pattern.sum(1, keepdims=True)
        entropy = [-sum(x * math.log(x) for x in row if x > 0) for row in share]
        for position in range(n_pos):
            row = table.loc[(layer, head, position)]
            want = [
                pattern[:, position].mean(),
                pattern[:, position].std(),
                np.mean(entropy),
                np.std(entropy),
            ]
            # 1e-5: float32 patterns; entropies of tiny attention magnify their rounding.
            np.testing.assert_allclose(
                row[["attention", "attention_sd", "entropy", "entropy_sd"]], want, atol=1e-5
            )


def test_hand_built_heads_look_where_they_were_told():
    table = attention_patterns(hand_built.clock([2])).set_index(["head", "position"])
    for head, position in itertools.product(range(2), range(3)):
        # Exact: the softmax is one-hot in float32.
        assert table.loc[(head, position), "attention"] == (head == position)
    assert (table[["attention_sd", "entropy", "entropy_sd"]] == 0).all(axis=None)
    uniform = attention_patterns(hand_built.pizza([2]))
    assert (uniform["attention"] == 1).all()  # the constant of Zhong et al. is 1, not 1/3
    np.testing.assert_allclose(uniform["entropy"], math.log(3), rtol=1e-12)


# Periodicity


@pytest.mark.parametrize("k", EVERY_FREQUENCY)
def test_planted_frequency_of_a_pattern_is_found(k):
    a, b = np.meshgrid(np.arange(P), np.arange(P), indexing="ij")
    w = 2 * np.pi * k / P
    noise = np.random.default_rng(0).standard_normal((P, P)) * 0.01
    table = attention_periodicity(
        with_pattern(
            linear_pattern(k),
            0.5 + 0.3 * np.cos(w * (a - b)),
            0.5 + 0.3 * np.sin(w * a) * np.cos(w * b),
            linear_pattern(k) + noise,
        )
    ).set_index("head")
    assert table["frequency"].tolist() == [k] * 4
    # 1e-6: float32 patterns.
    np.testing.assert_allclose(table["fraction_explained"][:3], 1, atol=1e-6)
    # sin(wa) cos(wb) = (sin w(a-b) + sin w(a+b)) / 2: half of it is a function of a-b.
    np.testing.assert_allclose(table["difference_fraction"][:3], [0, 1, 0.5], atol=1e-6)
    np.testing.assert_allclose(table["linear_fraction"][:3], [1, 0, 0], atol=1e-6)
    # Variance of the form: alpha^2 + beta^2 = 0.05. 5e-4: one draw of the noise, a quarter of whose power 1e-4 is at k.
    assert table.loc[3, "fraction_explained"] == pytest.approx(1 - 1e-4 / 0.05, abs=5e-4)


def test_softmax_of_one_frequency_is_nearly_linear():
    a, b = np.meshgrid(np.arange(P), np.arange(P), indexing="ij")
    score = 1.5 * np.cos(2 * np.pi * 3 * np.arange(P) / P + 0.4)
    row = attention_periodicity(with_pattern(1 / (1 + np.exp(score[b] - score[a])))).iloc[0]
    assert row["frequency"] == 3
    # Between 0.9 and 1: the cubic term of the sigmoid carries other products.
    assert 0.9 < row["linear_fraction"] < row["fraction_explained"] < 1
    assert row["difference_fraction"] == pytest.approx(0, abs=1e-9)


def test_two_frequencies_share_a_pattern():
    table = attention_periodicity(
        with_pattern(0.5 + (linear_pattern(2) - 0.5) * 0.8 + (linear_pattern(5) - 0.5) * 0.6)
    )
    assert table.loc[0, "frequency"] == 2
    assert table.loc[0, "fraction_explained"] == pytest.approx(0.64, abs=1e-6)
    assert table.loc[0, "linear_fraction"] == pytest.approx(0.64, abs=1e-6)


def test_constant_pattern_has_no_frequency():
    table = attention_periodicity(hand_built.clock([2]))
    assert table["frequency"].tolist() == [0, 0]
    assert table[["fraction_explained", "difference_fraction", "linear_fraction"]].isna().all(axis=None)


@pytest.mark.parametrize("p", [12, 13])
def test_periodicity_is_least_squares(p):
    values = np.random.default_rng(1).random((p, p))
    row = attention_periodicity(with_pattern(values, p=p)).iloc[0]
    values = values.astype(np.float32).astype(float)
    a, b = (x.reshape(-1) for x in np.meshgrid(np.arange(p), np.arange(p), indexing="ij"))
    centred = values.reshape(-1) - values.mean()

    def share(*functions):
        design = np.stack([np.ones(p * p), *functions], 1)
        return ((design @ np.linalg.lstsq(design, centred, rcond=None)[0]) ** 2).sum() / (centred**2).sum()

    def waves(k):
        w = 2 * np.pi * k / p
        return (np.cos(w * a), np.sin(w * a)), (np.cos(w * b), np.sin(w * b))

    shares = {}
    for k in range(1, p // 2 + 1):
        of_a, of_b = waves(k)
        shares[k] = share(*of_a, *of_b, *[x * y for x in of_a for y in of_b])
    best = max(shares, key=shares.get)
    assert row["frequency"] == best
    assert row["fraction_explained"] == pytest.approx(shares[best], rel=1e-9)
    of_a, of_b = waves(best)
    assert row["linear_fraction"] == pytest.approx(
        share(*[x - y for x, y in zip(of_a, of_b, strict=True)]), rel=1e-9
    )
    assert row["difference_fraction"] == pytest.approx(share(*[(a - b) % p == d for d in range(p)]), rel=1e-9)


def test_periodicity_is_in_the_names_of_the_algebra():
    # To a multiplication the pattern is periodic in logarithms; row 0 of residues has none and is left out.
    snapshot = random_snapshot(operation="multiply")
    order = snapshot.task.structure.order
    logarithm = snapshot.task.structure.first
    a, b = snapshot.task.config.pairs().T
    w = 2 * torch.pi * 5 / order
    to_first = 0.5 + 0.2 * (torch.cos(w * logarithm[a]) - torch.cos(w * logarithm[b]))
    pattern = torch.stack([to_first, 1 - to_first], -1)[:, None, None]
    object.__setattr__(snapshot, "__dict__", {**snapshot.__dict__, "pattern": pattern})
    row = attention_periodicity(snapshot).iloc[0]
    assert (row["frequency"], row["linear_fraction"]) == (5, pytest.approx(1, abs=1e-6))


# Circuits


def planted_circuits(k_score, k_value, p=P):
    """A head that scores the operands by cos of one frequency and moves the cosine and sine of another."""
    snapshot = hand_built.random_network(p)
    weights = {name: torch.zeros_like(w) for name, w in snapshot.weights.items()}
    t = torch.arange(p)
    for column, (k, f) in enumerate([(k_score, torch.cos), (k_value, torch.cos), (k_value, torch.sin)]):
        weights["embed.W_E"][:p, column] = f(2 * torch.pi * k * t / p)
    weights["embed.W_E"][p, 3] = 1.0  # the query: a dimension that only "=" has
    weights["pos_embed.W_pos"][:] = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    weights["pos_embed.W_pos"][2] = 0
    weights["blocks.0.attn.W_Q"][0, 3, 0] = 2.0
    weights["blocks.0.attn.W_K"][0, 0, 0] = 3.0
    weights["blocks.0.attn.W_V"][0, 1, 0] = weights["blocks.0.attn.W_V"][0, 2, 1] = 1.0
    weights["blocks.0.attn.W_O"][0, 0, 4] = weights["blocks.0.attn.W_O"][0, 1, 5] = 1.0
    weights["blocks.0.mlp.W_in"][4, 0] = 1.0
    weights["unembed.W_U"][5, 7] = 1.0
    return dataclasses.replace(snapshot, weights=weights)


@pytest.mark.parametrize("k", EVERY_FREQUENCY)
def test_planted_circuits_are_found(k):
    other = k % 6 + 1
    table = (
        attention_circuits(planted_circuits(k, other))
        .set_index(["head", "position", "circuit", "frequency"])
        .sort_index()
    )
    for position, (circuit, at) in itertools.product(
        (0, 1), {"qk": k, "ov_neurons": other, "ov_logits": other}.items()
    ):
        part = table.loc[(0, position, circuit)]
        assert part["fraction"].idxmax() == at
        # 1e-9: float32 cosines, squared.
        assert part.loc[at, "fraction"] == pytest.approx(1, abs=1e-9)
        # |6 cos / sqrt(d_head)|^2 with d_head = 4, or |cos|^2; sums over 13 tokens.
        assert part.loc[at, "power"] == pytest.approx((9 if circuit == "qk" else 1) * P / 2, rel=1e-6)
    assert table.loc[1, "fraction"].isna().all()
    assert (table.loc[1, "power"] == 0).all()


CIRCUIT_NETWORKS = {
    "with =": {},
    "without =": {"task": {"equals_token": False}},
    "LayerNorm": {"normalization_type": "LN"},
    "sinusoidal": {"positions": "sinusoidal"},
    "biases": {"attention_bias": True},
    "separate vocabularies": {"task": {"separate_vocabularies": True}},
    "subtraction": {"operation": "subtract"},
    "multiplication": {"operation": "multiply"},
}


@pytest.mark.parametrize("kind", CIRCUIT_NETWORKS)
def test_circuits_are_look_ups_of_what_the_model_computes(kind):
    snapshot = random_snapshot(**CIRCUIT_NETWORKS[kind])
    weights = {
        name: torch.randn(w.shape, generator=torch.Generator().manual_seed(1)) if ".b_" in name else w
        for name, w in snapshot.weights.items()
    }
    snapshot = dataclasses.replace(snapshot, weights=weights)
    task, model = snapshot.task, snapshot.model
    _, cache = model.run_with_cache(task.tokens)
    scores = snapshot.once(Residues).table(cache["blocks.0.attn.hook_attn_scores"][:, :, -1].double())
    values = snapshot.once(Residues).table(cache["blocks.0.attn.hook_v"].double())
    n = snapshot.task.structure.order
    t = np.arange(n)

    def power(x, k):
        waves = [np.cos(2 * np.pi * k * t / n), np.sin(2 * np.pi * k * t / n)]
        return sum((np.tensordot(wave / np.linalg.norm(wave), x, 1) ** 2).sum() for wave in waves)

    table = attention_circuits(snapshot).set_index(["head", "position", "circuit", "frequency"])["power"]
    readouts = {"ov_neurons": model.W_in[0], "ov_logits": model.W_U[:, snapshot.once(Residues).answer_order]}
    for head, k in itertools.product(range(4), (1, 5)):
        to_first = scores[:, :, head, 0].numpy()
        # 1e-4: float32 activations against float64 weights.
        n_queries = P if kind == "without =" else 1
        want = sum(power(to_first[:, b], k) for b in range(n_queries)) / n_queries
        assert table[(head, 0, "qk", k)] == pytest.approx(want, rel=1e-4)
        to_second = scores[0, :, head, 1].numpy()
        assert table[(head, 1, "qk", k)] == pytest.approx(power(to_second, k), rel=1e-4)
        for position, (circuit, readout) in itertools.product((0, 1), readouts.items()):
            value = (values[:, 0], values[0])[position][:, position, head]
            moved = (value @ model.W_O[0, head].double() @ readout.double()).detach().numpy()
            assert table[(head, position, circuit, k)] == pytest.approx(power(moved, k), rel=1e-4)


def test_circuits_of_a_network_without_mlp_read_logits_only():
    snapshot = random_snapshot()
    config = dataclasses.replace(snapshot.config, d_mlp=0)
    weights = {name: w for name, w in snapshot.weights.items() if ".mlp." not in name}
    table = attention_circuits(Snapshot(0, weights, DescribedNetwork(config), snapshot.task))
    assert set(table["circuit"]) == {"qk", "ov_logits"}


@pytest.mark.parametrize(
    "probe", [attention_patterns, attention_periodicity, attention_circuits, induction_scores]
)
def test_networks_without_attention_are_refused(probe):
    with pytest.raises(NotApplicable, match="has no attention"):
        probe(random_snapshot(n_heads=0))


@pytest.mark.parametrize("probe", [attention_periodicity, attention_circuits])
def test_tasks_without_algebra_are_refused(probe):
    with pytest.raises(NotApplicable, match="not a sum under any renaming"):
        probe(random_snapshot(operation="x2+y2"))


# Induction


def induction_network(d_vocab=12, n_ctx=24):
    """Two layers: head 0.0 attends to the position before and copies its token; head 1.0 looks that token up.

    The stream holds the token (d_vocab), the position (n_ctx), the token before (d_vocab) and the answer (d_vocab).
    Heads 0.1 and 1.1 do nothing: their scores are zero and their attention uniform.
    """
    d_model = 3 * d_vocab + n_ctx
    config = transformer_config(
        p=d_vocab,
        n_ctx=n_ctx,
        d_vocab=d_vocab,
        n_layers=2,
        d_model=d_model,
        n_heads=2,
        d_mlp=0,
        act_fn="relu",
    )
    model = build_model(config)
    weights = {name: w.detach() for name, w in model.weights().items()}
    token, position, before, answer = (
        range(*bounds)
        for bounds in itertools.pairwise(np.cumsum([0, d_vocab, n_ctx, d_vocab, d_vocab]).tolist())
    )
    weights["embed.W_E"][:, token] = torch.eye(d_vocab)
    weights["pos_embed.W_pos"][:, position] = torch.eye(n_ctx)
    sharp = 30.0 * config.d_head**0.25  # scores of 900: one-hot in float32
    for i in range(1, n_ctx):
        weights["blocks.0.attn.W_Q"][0, position[i], i] = sharp
        weights["blocks.0.attn.W_K"][0, position[i - 1], i] = sharp
    for i in range(d_vocab):
        weights["blocks.0.attn.W_V"][0, token[i], i] = weights["blocks.0.attn.W_O"][0, i, before[i]] = 1.0
        weights["blocks.1.attn.W_Q"][0, token[i], i] = weights["blocks.1.attn.W_K"][0, before[i], i] = sharp
        weights["blocks.1.attn.W_V"][0, token[i], i] = weights["blocks.1.attn.W_O"][0, i, answer[i]] = 1.0
        weights["unembed.W_U"][answer[i], i] = 1.0
    model.load_weights(weights)
    return model


def test_hand_built_induction_head_is_found():
    model = induction_network()
    table = head_scores(model, length=8, n_repeats=3, n_sequences=6, seed=0).set_index(["layer", "head"])
    tokens = repeated_tokens(12, 8, 3, 6, 0)
    # Position 0 has nothing before it and keeps its own token there: queries for that token look at it as well.
    queries = torch.tensor([q for q in range(8, 23) if q % 8])
    assert (
        model(tokens)[:, queries].argmax(-1) == tokens[:, queries + 1]
    ).all()  # it predicts the repetition
    assert table.loc[(0, 0), "previous_token"] == 1
    assert table.loc[(1, 0), "copying"] == pytest.approx(1, abs=1e-6)
    # In the second copy one successor (and position 0 for one of 8 queries), in the third two of equal attention.
    assert table.loc[(1, 0), "prefix_matching"] == pytest.approx((7 + 1 / 2 + 7 + 2 / 3) / 16, abs=1e-6)
    assert table.loc[(1, 0), "induction"] == pytest.approx((7 + 1 / 2 + 7 / 2 + 1 / 3) / 16, abs=1e-6)
    for other in [(0, 0), (0, 1), (1, 1)]:
        assert table.loc[other, "prefix_matching"] < 0.2
    # Uniform attention: 1/(query+1), over queries 1 .. 23.
    uniform = np.mean([1 / (q + 1) for q in range(1, 24)])
    assert table.loc[(0, 1), "previous_token"] == pytest.approx(uniform, rel=1e-6)
    assert math.isnan(table.loc[(0, 1), "copying"])  # moves nothing
    assert (
        table.loc[(0, 0), "copying"] != table.loc[(0, 0), "copying"]
    )  # nothing of what it writes is read as a logit


def test_pattern_scores_are_means_over_positions():
    length, n_pos = 5, 15
    pattern = torch.rand(3, 2, n_pos, n_pos, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tokens = repeated_tokens(9, length, 3, 3, seed=1)
    want = {
        name: np.zeros(2) for name in ("prefix_matching", "induction", "duplicate_token", "previous_token")
    }
    for s, q in itertools.product(range(3), range(n_pos)):
        if q:
            want["previous_token"] += pattern[s, :, q, q - 1].numpy() / (3 * (n_pos - 1))
        earlier = [j for j in range(q) if tokens[s, j] == tokens[s, q]]
        if earlier:
            n_queries = 3 * (n_pos - length)
            want["prefix_matching"] += sum(pattern[s, :, q, j + 1].numpy() for j in earlier) / n_queries
            want["induction"] += pattern[s, :, q, earlier[-1] + 1].numpy() / n_queries
            want["duplicate_token"] += pattern[s, :, q, earlier[-1]].numpy() / n_queries
    for name, score in pattern_scores(pattern, length).items():
        np.testing.assert_allclose(score, want[name], rtol=1e-12)


def test_repeated_tokens_are_repeated_seeded_and_different():
    tokens = repeated_tokens(40, 10, 3, 5, seed=0)
    assert tokens.shape == (5, 30)
    assert torch.equal(tokens[:, :10], tokens[:, 20:])
    assert all(len(set(row.tolist())) == 10 for row in tokens[:, :10])
    assert torch.equal(tokens, repeated_tokens(40, 10, 3, 5, seed=0))
    assert not torch.equal(tokens, repeated_tokens(40, 10, 3, 5, seed=1))
    assert len({tuple(row.tolist()) for row in tokens}) == 5


def test_copying_score_is_that_of_the_large_matrix():
    generator = torch.Generator().manual_seed(0)
    shapes = {"W_E": (11, 6), "W_V": (2, 3, 6, 2), "W_O": (2, 3, 2, 6), "W_U": (6, 10)}
    model = SimpleNamespace(
        **{name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    )
    got = copying_scores(model)
    for layer, head in itertools.product(range(2), range(3)):
        circuit = (model.W_E[:10] @ model.W_V[layer, head] @ model.W_O[layer, head] @ model.W_U).double()
        eigenvalues = torch.linalg.eigvals(circuit)
        # 1e-4: of ten eigenvalues eight are zero, which a float32 product of matrices blurs.
        assert float(got[layer, head]) == pytest.approx(
            float(eigenvalues.real.sum() / eigenvalues.abs().sum()), abs=1e-4
        )
    model.W_O = -model.W_O
    np.testing.assert_allclose(copying_scores(model), -got, atol=1e-9)


def test_scores_are_the_same_through_the_bridge_and_after_a_first_token():
    config = transformer_config(
        p=12, n_ctx=17, d_vocab=12, n_layers=2, d_model=16, n_heads=2, d_mlp=8, act_fn="gelu"
    )
    weights = initial_weights(config, 0)
    model = build_model(config, {name: 3 * w for name, w in weights.items()})
    options = {"length": 8, "n_repeats": 2, "n_sequences": 4, "seed": 0}
    ours, bridged = head_scores(model, **options), head_scores(model.to_bridge(), **options)
    assert list(ours) == list(bridged)
    np.testing.assert_allclose(ours.to_numpy(float), bridged.to_numpy(float), atol=1e-5)  # float32
    # The same positions are scored, one later.
    tokens = torch.cat([torch.full((4, 1), 3), repeated_tokens(12, 8, 2, 4, 0)], 1)
    _, cache = model.run_with_cache(tokens)
    shifted = head_scores(model, **options, first_token=3)
    want = torch.stack([cache["blocks.1.attn.hook_pattern"][:, 1, q, q - 7] for q in range(9, 17)]).mean()
    assert shifted.loc[3, "induction"] == pytest.approx(float(want), abs=1e-6)


def test_probe_form_scores_sequence_models_and_refuses_pairs():
    model = induction_network()
    snapshot = Snapshot(0, dict(model.weights()), DescribedNetwork(model.cfg), None)
    table = induction_scores(snapshot, length=50, n_sequences=4)
    # 12 different tokens and 24 positions: two copies of 12.
    want = head_scores(model, length=12, n_repeats=2, n_sequences=4, seed=0)
    np.testing.assert_allclose(table.to_numpy(float), want.to_numpy(float), atol=1e-6)
    with pytest.raises(
        NotApplicable, match=r"room for 2 copies of at least 8 .* has 3 positions and 14 tokens"
    ):
        induction_scores(random_snapshot())
    with pytest.raises(NotApplicable, match="room for 4 copies"):
        induction_scores(snapshot, n_repeats=4)
    for options, found in [
        ({"n_repeats": 1}, "1, 12 and 32"), ({"n_repeats": 0}, "0, 12 and 32"), ({"length": 1}, "2, 1 and 32"),
        ({"n_sequences": 0}, "2, 12 and 0"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=rf"n_repeats and length of at least 2 .* got {found}"):
            induction_scores(snapshot, **options)
    with pytest.raises(
        ValueError, match=r"A sequence of 13 different tokens needs .* got 12 tokens. Use length=12"
    ):
        head_scores(model, length=13, n_repeats=2, n_sequences=1, seed=0)


def test_along_a_run(tiny_run):
    probes = [attention_patterns, attention_periodicity, attention_circuits, induction_scores]
    tables = measure(tiny_run, probes, cache=False, progress=False)
    for name in ("attention_patterns", "attention_periodicity", "attention_circuits"):
        assert sorted(set(tables[name]["step"])) == tiny_run.steps
    assert len(tables["induction_scores"]) == 0
    assert "3 positions" in tables["induction_scores"].attrs["not_applicable"]


# The analysis


def analyse(*arguments):
    main(
        "attention",
        attention.__doc__,
        attention.compute,
        attention.draw,
        attention.summarize,
        list(arguments),
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["without =", "many heads"])
def test_analysis_of_runs(kind, tmp_path):
    changes = {
        "without =": {"task": {"equals_token": False}},
        "many heads": {"model": {"n_layers": 3, "n_heads": 4}},
    }[kind]
    run = train(tiny_config(100, **changes), tmp_path / "run", threads=1)
    arguments = ("--run", str(run.path), "--out", str(tmp_path / "out"))
    analyse(*arguments)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    last = attention_periodicity(Snapshot.of(run, 100))
    # 1e-6: other threads, other order of sums.
    np.testing.assert_allclose(
        [head["fraction_explained"] for head in summary["heads"]], last["fraction_explained"], rtol=1e-6
    )
    assert [head["frequency"] for head in summary["heads"]] == last["frequency"].tolist()
    first = (tmp_path / "out" / "attention.pdf").read_bytes()
    analyse(*arguments, "--draw-only")
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    assert (tmp_path / "out" / "attention.pdf").read_bytes() == first


def test_analysis_without_attention_says_so(tmp_path):
    train(tiny_config(20, model={"n_heads": 0}), tmp_path / "run", threads=1)
    analyse("--run", str(tmp_path / "run"), "--out", str(tmp_path / "out"))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["heads"] == []
    assert summary["does_not_apply"] == ["This network has no attention."]

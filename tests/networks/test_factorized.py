"""The factorized pass against the plain one: one network, two ways to evaluate it."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interp.networks import factorized
from interp.networks.answers import answer_logits, path_for
from interp.networks.config import parameter_shapes, transformer_config
from interp.networks.hooked import build_model
from tests.hand_built import addition, random_network

# float64: rounding is 1e-16 a term, sums have up to 200 terms (patterns, neurons, rows of a gradient), values and
# gradients are of order 1 to 100. A wrong gather or mask is off by order 1.
close = {"atol": 1e-10, "rtol": 1e-10}


def drawn_weights(cfg, seed):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (torch.randn(shape, generator=generator, dtype=torch.float64) * 0.5).requires_grad_()
        for name, shape in parameter_shapes(cfg).items()
    }


def plain_logits(cfg, tokens):
    model = build_model(cfg)
    return lambda weights: torch.func.functional_call(model, weights, (tokens,), strict=True)[:, -1]


@st.composite
def networks(draw):
    p, n_pos = draw(st.integers(3, 7)), draw(st.integers(2, 3))
    separate = draw(st.booleans())
    d_vocab = p * (1 + separate) + 1
    n_heads = draw(st.sampled_from([1, 2, 4]))
    cfg = transformer_config(
        p=p,
        n_ctx=n_pos,
        d_vocab=d_vocab,
        n_layers=1,
        d_model=8,
        n_heads=n_heads,
        d_mlp=draw(st.sampled_from([0, 12])),
        act_fn=draw(st.sampled_from(["relu", "gelu", "quadratic", "tanh"])),
        attention_dir=draw(st.sampled_from(["causal", "bidirectional"])),
        attention_rate=draw(st.sampled_from([1.0, 0.0, 0.4])),
        positions=draw(st.sampled_from(["learned", "sinusoidal", "none"])),
        normalization_type=draw(st.sampled_from([None, "LN", "LNPre"])),
        norm_placement=draw(st.sampled_from(["pre", "post"])),
        tied_unembed=draw(st.booleans()),
        attention_bias=draw(st.booleans()),
        mlp_bias=draw(st.booleans()),
        unembed_bias=draw(st.booleans()),
    )
    # Any rows at all: repeated, unordered, with the fixed last token of a task or without.
    n_rows = draw(st.integers(1, 40))
    seed = draw(st.integers(0, 10**6))
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(d_vocab, (n_rows, n_pos), generator=generator)
    if n_pos == 3 and draw(st.booleans()):
        tokens[:, 2] = d_vocab - 1
    return cfg, tokens, seed


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_equals_the_plain_forward_pass_forward_and_backward(case):
    cfg, tokens, seed = case
    weights = drawn_weights(cfg, seed)
    direction = torch.arange(len(tokens) * cfg.d_vocab_out).reshape(len(tokens), -1).double().sin()
    results = []
    for logits_of in (answer_logits(cfg, tokens), plain_logits(cfg, tokens)):
        logits = logits_of(weights)
        gradients = torch.autograd.grad((logits * direction).sum(), list(weights.values()), allow_unused=True)
        results.append((logits.detach(), gradients))
    (fast, fast_gradients), (plain, plain_gradients) = results
    torch.testing.assert_close(fast, plain, **close)
    for name, ours, theirs in zip(weights, fast_gradients, plain_gradients, strict=True):
        # A key bias is not seen through a softmax; positions beyond the input, tokens that no row has: no gradient.
        ours, theirs = (torch.zeros_like(weights[name]) if g is None else g for g in (ours, theirs))
        torch.testing.assert_close(ours, theirs, **close, msg=lambda m, n=name: f"gradient of {n}: {m}")


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_activations_equal_those_of_the_hooked_model(case):
    cfg, tokens, seed = case
    weights = {name: w.detach() for name, w in drawn_weights(cfg, seed).items()}
    ours = factorized.forward(cfg, weights, factorized.Rows.of(tokens))
    _, cache = build_model(cfg, weights).run_with_cache(tokens)
    torch.testing.assert_close(ours.pattern, cache["blocks.0.attn.hook_pattern"][:, :, -1], **close)
    for name in ("resid_mid", "resid_post"):
        torch.testing.assert_close(getattr(ours, name), cache[f"blocks.0.hook_{name}"][:, -1], **close)
    for name in ("pre", "post"):
        if cfg.d_mlp:
            torch.testing.assert_close(
                getattr(ours, name), cache[f"blocks.0.mlp.hook_{name}"][:, -1], **close
            )
        else:
            assert getattr(ours, name) is None


@pytest.mark.parametrize("equals_token", [True, False])
def test_only_distinct_rows_are_evaluated(equals_token):
    task = addition(13, equals_token=equals_token)
    rows = factorized.Rows.of(task.tokens)
    assert len(rows.tokens) == 2 * 13 + equals_token
    assert len(rows.of_query) == (1 if equals_token else 13)
    # The rows say what each example reads, position by position.
    assert torch.equal(rows.tokens[rows.of_example], task.tokens)
    assert torch.equal(rows.positions[rows.of_example], torch.arange(task.config.n_pos).expand(169, -1))
    assert torch.equal(rows.of_query[rows.query_of_example], rows.of_example[:, -1])
    for pos, groups in enumerate(rows.groups):
        assert torch.equal(groups.members.reshape(-1)[groups.place], torch.arange(169))
        group_of_example = groups.place // groups.members.shape[1]
        assert torch.equal(groups.rows[group_of_example], rows.of_example[:, pos])


def test_float32_logits_agree_to_float_rounding():
    snapshot = random_network(p=31, d_model=32, d_mlp=64)
    with torch.no_grad():
        fast = answer_logits(snapshot.config, snapshot.task.tokens)(snapshot.weights)
        plain = plain_logits(snapshot.config, snapshot.task.tokens)(snapshot.weights)
    # Logits of order 1, sums of at most 100 terms with rounding 6e-8 each.
    torch.testing.assert_close(fast, plain, atol=1e-5, rtol=0)


def test_which_pass_answers():
    sizes = {"p": 7, "n_ctx": 3, "d_vocab": 8, "d_model": 8, "d_mlp": 12, "act_fn": "relu"}
    one = transformer_config(n_layers=1, n_heads=2, **sizes)
    two = transformer_config(n_layers=2, n_heads=2, **sizes)
    mlp = transformer_config(n_layers=1, n_heads=0, **sizes)
    assert [path_for(cfg) for cfg in (one, two, mlp)] == ["factorized", "plain", "plain"]
    rows = factorized.Rows.of(torch.zeros(1, 3, dtype=torch.long))
    with pytest.raises(
        ValueError, match="needs a one-layer transformer on pairs; the network has 2 layers: keys of"
    ):
        factorized.forward(two, {}, rows)
    with pytest.raises(ValueError, match="the network has no attention"):
        factorized.forward(mlp, {}, rows)


@pytest.mark.parametrize(("n_layers", "n_heads"), [(2, 2), (1, 0)])
def test_plain_pass_is_that_of_the_hooked_model_and_differentiable(n_layers, n_heads):
    cfg = transformer_config(
        p=7, n_ctx=3, d_vocab=8, d_model=8, d_mlp=12, act_fn="relu", n_layers=n_layers, n_heads=n_heads
    )
    tokens = addition(7).tokens
    for seed in (0, 1):
        weights = drawn_weights(cfg, seed)
        logits = answer_logits(cfg, tokens)(weights)
        torch.testing.assert_close(logits, build_model(cfg, weights)(tokens)[:, -1], **close)
        logits.sum().backward()
        assert all(w.grad is not None for w in weights.values())
    with pytest.raises(KeyError, match="unembed.W_U"):
        answer_logits(cfg, tokens)({name: w for name, w in weights.items() if name != "unembed.W_U"})

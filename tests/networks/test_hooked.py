"""Hooked models against TransformerLens' own bridge, and against attention written out by hand."""

import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interp.networks.config import initial_weights, parameter_shapes, transformer_config
from interp.networks.hooked import build_model
from interp.networks.layers import sinusoidal_positions

SIZES = {
    "p": 7,
    "n_ctx": 3,
    "d_vocab": 8,
    "n_layers": 1,
    "d_model": 8,
    "n_heads": 2,
    "d_mlp": 12,
    "act_fn": "relu",
}
# float64 and at most a few hundred terms of order 1 in each sum.
close = {"atol": 1e-11, "rtol": 1e-11}


def config(**changes):
    return transformer_config(**SIZES | changes)


def network(cfg, seed=0):
    """A float64 model in which every parameter, biases and norms included, is drawn anew."""
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(shape, generator=generator, dtype=torch.float64) * 0.6
        for name, shape in parameter_shapes(cfg).items()
    }
    return build_model(cfg, weights), weights


def all_tokens(cfg):
    t = torch.arange(cfg.d_vocab)
    a, b = (x.reshape(-1) for x in torch.meshgrid(t, t, indexing="ij"))
    return torch.stack([a, b, (a * 3 + b) % cfg.d_vocab], 1)[:, : cfg.n_ctx]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_logits_equal_those_of_the_bridge(data):
    draw = data.draw
    n_heads = draw(st.sampled_from([1, 2, 4]))
    cfg = config(
        n_layers=draw(st.integers(1, 3)),
        n_heads=n_heads,
        act_fn=draw(st.sampled_from(["relu", "gelu"])),
        attention_dir=draw(st.sampled_from(["causal", "bidirectional"])),
        normalization_type=draw(st.sampled_from([None, "LN", "LNPre"])),
        attention_bias=draw(st.booleans()),
        mlp_bias=draw(st.booleans()),
        unembed_bias=draw(st.booleans()),
        tied_unembed=draw(st.booleans()),
        n_ctx=draw(st.integers(2, 3)),
    )
    model, _ = network(cfg, seed=draw(st.integers(0, 9)))
    bridge = model.to_bridge()
    tokens = all_tokens(cfg)[:, : draw(st.integers(1, cfg.n_ctx))]
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), bridge(tokens), **close)


@pytest.mark.parametrize("normalization_type", [None, "LN", "LNPre"])
@pytest.mark.parametrize("attention_dir", ["causal", "bidirectional"])
def test_activations_have_names_shapes_and_values_of_the_bridge(normalization_type, attention_dir):
    cfg = config(n_layers=2, normalization_type=normalization_type, attention_dir=attention_dir)
    model, _ = network(cfg)
    tokens = all_tokens(cfg)
    _, cache = model.run_with_cache(tokens)
    bridge = model.to_bridge()
    # On native bridges hook_attn_scores is the pattern itself; it is tried by hand below.
    # hook_normalized is after w and b here (as in HookedTransformer), before them on the bridge.
    names = {n: n.replace("hook_normalized", "hook_out") for n in cache if not n.endswith("hook_attn_scores")}
    _, theirs = bridge.run_with_cache(tokens, names_filter=list(names.values()))
    assert len(names) == 2 * 12 + 3 + 10 * bool(normalization_type)
    for name, bridge_name in names.items():
        torch.testing.assert_close(
            cache[name], theirs[bridge_name], **close, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_cache_shapes_are_those_of_transformer_lens():
    cfg = config(n_layers=2)
    n, tokens = 64, all_tokens(config())
    _, cache = network(cfg)[0].run_with_cache(tokens)
    resid, head = (n, 3, 8), (n, 3, 2, 4)
    want = {"hook_embed": resid, "hook_pos_embed": resid, "hook_unembed": (n, 3, 7)}
    for layer in range(2):
        block = f"blocks.{layer}"
        want |= {
            f"{block}.hook_{x}": resid
            for x in ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
        }
        want |= {f"{block}.attn.hook_{x}": head for x in "qkvz"}
        want |= {f"{block}.attn.hook_{x}": (n, 2, 3, 3) for x in ("attn_scores", "pattern")}
        want |= {f"{block}.mlp.hook_{x}": (n, 3, 12) for x in ("pre", "post")}
    assert {name: tuple(x.shape) for name, x in cache.items()} == want


def test_residual_stream_adds_up():
    model, _ = network(config(n_layers=2))
    logits, cache = model.run_with_cache(all_tokens(model.cfg))
    torch.testing.assert_close(
        cache["blocks.0.hook_resid_pre"], cache["hook_embed"] + cache["hook_pos_embed"], **close
    )
    for layer in range(2):
        block = f"blocks.{layer}.hook_"
        torch.testing.assert_close(
            cache[f"{block}resid_mid"], cache[f"{block}resid_pre"] + cache[f"{block}attn_out"], **close
        )
        torch.testing.assert_close(
            cache[f"{block}resid_post"], cache[f"{block}resid_mid"] + cache[f"{block}mlp_out"], **close
        )
    torch.testing.assert_close(logits, cache["blocks.1.hook_resid_post"] @ model.W_U, **close)


def attention_by_hand(cfg, weights, x, layer=0):
    """Output, pattern and scores of one sequence (pos, d_model), in loops over heads, queries and keys."""
    n, name = len(x), f"blocks.{layer}.attn"

    def project(kind, head):
        bias = weights[f"{name}.b_{kind}"][head] if cfg.attention_bias else 0
        return x @ weights[f"{name}.W_{kind}"][head] + bias

    out = torch.zeros_like(x) + (weights[f"{name}.b_O"] if cfg.attention_bias else 0)
    patterns = torch.zeros(cfg.n_heads, n, n, dtype=x.dtype)
    scores = torch.full_like(patterns, -torch.inf)
    for head in range(cfg.n_heads):
        q, k, v = (project(kind, head) for kind in "QKV")
        for i in range(n):
            seen = range(i + 1) if cfg.attention_dir == "causal" else range(n)
            score = {j: float(q[i] @ k[j]) / math.sqrt(cfg.d_head) for j in seen}
            total = sum(math.exp(s) for s in score.values())
            z = torch.zeros_like(v[0])
            for j in seen:
                weight = cfg.attention_rate * math.exp(score[j]) / total + (1 - cfg.attention_rate)
                patterns[head, i, j], scores[head, i, j] = weight, score[j]
                z = z + weight * v[j]
            out[i] = out[i] + z @ weights[f"{name}.W_O"][head]
    return out, patterns, scores


@pytest.mark.parametrize("attention_dir", ["causal", "bidirectional"])
@pytest.mark.parametrize("rate", [1.0, 0.4, 0.0])
@pytest.mark.parametrize("bias", [True, False])
def test_attention_by_hand(attention_dir, rate, bias):
    cfg = config(attention_dir=attention_dir, attention_rate=rate, attention_bias=bias)
    model, weights = network(cfg)
    tokens = all_tokens(cfg)[:5]
    _, cache = model.run_with_cache(tokens)
    for i in range(len(tokens)):
        out, pattern, scores = attention_by_hand(cfg, weights, cache["blocks.0.hook_resid_pre"][i])
        torch.testing.assert_close(cache["blocks.0.hook_attn_out"][i], out, **close)
        torch.testing.assert_close(cache["blocks.0.attn.hook_pattern"][i], pattern, **close)
        torch.testing.assert_close(cache["blocks.0.attn.hook_attn_scores"][i], scores, **close)


def test_no_position_sees_its_future_whatever_the_attention_rate():
    cfg = config(attention_rate=0.3, n_layers=2)
    model, _ = network(cfg)
    tokens = all_tokens(cfg)
    changed = tokens.clone()
    changed[:, 2] = (changed[:, 2] + 1) % cfg.d_vocab
    with torch.no_grad():
        difference = (model(tokens) - model(changed)).abs().amax((0, 2))
    assert (difference[:2] == 0).all()
    assert difference[2] > 1e-3


def standardized(x):
    mean = sum(x) / len(x)
    variance = sum((v - mean) ** 2 for v in x) / len(x)
    return torch.stack([(v - mean) / (variance + 1e-5) ** 0.5 for v in x])


@pytest.mark.parametrize("normalization_type", ["LN", "LNPre"])
@pytest.mark.parametrize("act_fn", ["quadratic", "tanh"])
def test_post_norm_network_by_hand(normalization_type, act_fn):
    # Vaswani et al. 2017: x = LN(x + attention(x)); x = LN(x + MLP(x)); no norm before the unembedding.
    cfg = config(
        normalization_type=normalization_type, norm_placement="post", positions="sinusoidal", act_fn=act_fn
    )
    model, weights = network(cfg)
    tokens = all_tokens(cfg)[3:6]

    def norm(name, x):
        rows = torch.stack([standardized(row) for row in x])
        return rows * weights[f"{name}.w"] + weights[f"{name}.b"] if normalization_type == "LN" else rows

    for row, logits in zip(tokens, model(tokens), strict=True):
        x = weights["embed.W_E"][row] + sinusoidal_positions(3, cfg.d_model).double()
        x = norm("blocks.0.ln1", x + attention_by_hand(cfg, weights, x)[0])
        pre = x @ weights["blocks.0.mlp.W_in"] + weights["blocks.0.mlp.b_in"]
        post = pre**2 if act_fn == "quadratic" else torch.tanh(pre)
        x = norm("blocks.0.ln2", x + post @ weights["blocks.0.mlp.W_out"] + weights["blocks.0.mlp.b_out"])
        torch.testing.assert_close(logits, x @ weights["unembed.W_U"], **close)


def test_attention_only_network_without_positions_by_hand():
    cfg = config(d_mlp=0, positions="none", attention_dir="bidirectional")
    model, weights = network(cfg)
    tokens = all_tokens(cfg)[:4]
    for row, logits in zip(tokens, model(tokens), strict=True):
        x = weights["embed.W_E"][row]
        x = x + attention_by_hand(cfg, weights, x)[0]
        torch.testing.assert_close(logits, x @ weights["unembed.W_U"], **close)


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_mlp_by_hand(one_hot, bias):
    cfg = config(n_heads=0, n_layers=2, one_hot_embed=one_hot, mlp_bias=bias, unembed_bias=bias)
    model, weights = network(cfg)
    tokens = all_tokens(cfg)
    logits, cache = model.run_with_cache(tokens)
    embed = torch.eye(8, dtype=torch.float64) if one_hot else weights["embed.W_E"]
    x = torch.cat([embed[tokens[:, pos]] for pos in range(3)], 1)
    for layer in range(2):
        x = x @ weights[f"blocks.{layer}.mlp.W_in"] + (weights[f"blocks.{layer}.mlp.b_in"] if bias else 0)
        torch.testing.assert_close(cache[f"blocks.{layer}.mlp.hook_pre"][:, 0], x, **close)
        x = x.clamp(min=0)
        torch.testing.assert_close(cache[f"blocks.{layer}.mlp.hook_post"][:, 0], x, **close)
    torch.testing.assert_close(
        logits[:, -1], x @ weights["unembed.W_U"] + (weights["unembed.b_U"] if bias else 0), **close
    )
    torch.testing.assert_close(model.W_E, embed)
    assert set(cache) == {
        "hook_embed",
        "hook_unembed",
        *(f"blocks.{layer}.mlp.hook_{x}" for layer in range(2) for x in ("pre", "post")),
    }


@pytest.mark.parametrize("placement", ["pre", "post"])
def test_every_hook_edits_the_output(placement):
    cfg = config(n_layers=2, normalization_type="LN", norm_placement=placement)
    model, _ = network(cfg)
    tokens = all_tokens(cfg)
    with torch.no_grad():
        plain = model(tokens)
        for name in model.hook_dict:

            def edit(x, hook, name=name):
                assert hook.name == name
                # Not a factor or a constant: LayerNorm and softmax would undo them.
                return x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)

            edited = model.run_with_hooks(tokens, fwd_hooks=[(name, edit)])
            assert (edited - plain).abs().amax() > 1e-6, name
        torch.testing.assert_close(model(tokens), plain)  # the hooks are gone


def test_zeroing_a_head_removes_exactly_its_part():
    cfg = config()
    model, weights = network(cfg)
    tokens = all_tokens(cfg)
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens)

        def ablate(z, hook):
            z[:, :, 1] = 0
            return z

        with model.hooks(fwd_hooks=[("blocks.0.attn.hook_z", ablate)]):
            _, ablated = model.run_with_cache(tokens)
    part = cache["blocks.0.attn.hook_z"][:, :, 1] @ weights["blocks.0.attn.W_O"][1]
    torch.testing.assert_close(
        cache["blocks.0.hook_attn_out"] - ablated["blocks.0.hook_attn_out"], part, **close
    )


def test_views_have_the_shapes_of_transformer_lens():
    cfg = config(n_layers=2)
    model, weights = network(cfg)
    bridge = model.to_bridge()
    for name in ("W_E", "W_pos", "W_U", "W_Q", "W_K", "W_V", "W_O", "W_in", "W_out", "b_in", "b_out"):
        torch.testing.assert_close(getattr(model, name), getattr(bridge, name))
    for name in ("b_Q", "b_K", "b_V", "b_O", "b_U"):  # this network has none of them
        view = getattr(model, name)
        assert view.shape == getattr(bridge, name).shape
        assert (view == 0).all()
    torch.testing.assert_close(model.W_Q[1], weights["blocks.1.attn.W_Q"])
    assert (build_model(config(positions="none")).W_pos == 0).all()
    sinusoidal = build_model(config(positions="sinusoidal"))
    torch.testing.assert_close(sinusoidal.W_pos, sinusoidal_positions(3, 8))
    tied, tied_weights = network(config(tied_unembed=True))
    torch.testing.assert_close(tied.W_U, tied_weights["embed.W_E"][:7].T)


def test_swapping_weights():
    cfg = config()
    model = build_model(cfg)
    parameters = {name: id(w) for name, w in model.named_parameters()}
    tokens = all_tokens(cfg)
    with torch.no_grad():
        assert (model(tokens) == 0).all()
        for seed in (1, 2):
            weights = initial_weights(cfg, seed)
            model.load_weights(weights)
            torch.testing.assert_close(model(tokens), build_model(cfg, weights)(tokens))
    assert {name: id(w) for name, w in model.named_parameters()} == parameters
    assert set(model.weights()) == set(parameter_shapes(cfg))
    weights["embed.W_E"].zero_()
    assert (model.W_E != 0).any()  # a copy, not a view


def test_a_model_has_the_precision_of_its_weights():
    cfg = config()
    double = {name: w.double() for name, w in initial_weights(cfg, 0).items()}
    model = build_model(cfg, double)
    assert model(all_tokens(cfg)).dtype == torch.float64
    assert model.to_bridge()(all_tokens(cfg)).dtype == torch.float64
    assert build_model(cfg, initial_weights(cfg, 0)).W_U.dtype == torch.float32


def test_one_row_of_tokens_gets_a_batch_axis():
    model, _ = network(config())
    torch.testing.assert_close(model(torch.tensor([1, 2, 7])), model(torch.tensor([[1, 2, 7]])))


@pytest.mark.parametrize("changes", [{}, {"n_heads": 0}, {"n_heads": 0, "one_hot_embed": True}], ids=str)
def test_tokens_outside_the_vocabulary_are_refused(changes):
    cfg = config(**changes)
    model, inside = build_model(cfg), all_tokens(cfg)
    model(inside)  # every token of the vocabulary
    for token in (-1, cfg.d_vocab):
        outside = inside.clone()
        outside[-1, 0] = token
        message = rf"needs tokens from 0 to {cfg.d_vocab - 1}, got {token}\. Was it built for another modulus"
        with pytest.raises(ValueError, match=message):
            model(outside)
    assert model(inside[:0]).shape[0] == 0


def test_errors(annotations_off):
    cfg = config()
    weights = initial_weights(cfg, 0)
    model = build_model(cfg, weights)
    with pytest.raises(ValueError, match=r"This set of weights does not fit its .*: unembed\.W_U is missing"):
        build_model(cfg, {name: w for name, w in weights.items() if name != "unembed.W_U"})
    with pytest.raises(ValueError, match=r"blocks.0.attn.b_Q is unknown to the model"):
        model.load_weights(weights | {"blocks.0.attn.b_Q": torch.zeros(2, 4)})
    torch.testing.assert_close(model.W_E, weights["embed.W_E"])  # a refused swap changes nothing
    with annotations_off():
        with pytest.raises(ValueError, match=r"at most 3 positions, got torch.int64 of shape \(2, 4\)"):
            model(torch.zeros(2, 4, dtype=torch.long))
        with pytest.raises(ValueError, match=r"integer tokens \(batch, pos\) .*got torch.float32"):
            model(torch.zeros(2, 3))
        with pytest.raises(ValueError, match="This MLP reads 3 tokens at once, got 2"):
            build_model(config(n_heads=0))(torch.zeros(2, 2, dtype=torch.long))
    obstacles = [
        ({"attention_rate": 0.5}, "attention_rate=0.5"),
        ({"act_fn": "tanh"}, "act_fn='tanh'"),
        ({"act_fn": "quadratic", "positions": "none"}, "act_fn='quadratic', positions='none'"),
        ({"normalization_type": "LN", "norm_placement": "post"}, "norm_placement='post'"),
        ({"d_mlp": 0}, "no MLP"),
    ]
    for changes, what in obstacles:
        with pytest.raises(
            ValueError, match=f"A TransformerBridge cannot express .*{what}.*Use the hooked model"
        ):
            build_model(config(**changes)).to_bridge()
    with pytest.raises(ValueError, match=r"cannot express an attention-free MLP. Use the hooked model"):
        build_model(config(n_heads=0)).to_bridge()
    with pytest.raises(AttributeError, match="W_Q"):
        build_model(config(n_heads=0)).W_Q

"""Configs of networks: which are refused, which parameters they have, how these are initialized."""

import math

import pytest
import torch

from interp.networks.config import check_weights, initial_weights, parameter_shapes, transformer_config
from interp.networks.layers import activation, sinusoidal_positions

SIZES = {
    "p": 13,
    "n_ctx": 3,
    "d_vocab": 14,
    "n_layers": 1,
    "d_model": 16,
    "n_heads": 4,
    "d_mlp": 24,
    "act_fn": "relu",
}


def config(**changes):
    return transformer_config(**SIZES | changes)


def test_mainline_shapes_are_those_of_transformer_lens():
    assert parameter_shapes(config()) == {
        "embed.W_E": (14, 16),
        "pos_embed.W_pos": (3, 16),
        "blocks.0.attn.W_Q": (4, 16, 4),
        "blocks.0.attn.W_K": (4, 16, 4),
        "blocks.0.attn.W_V": (4, 16, 4),
        "blocks.0.attn.W_O": (4, 4, 16),
        "blocks.0.mlp.W_in": (16, 24),
        "blocks.0.mlp.b_in": (24,),
        "blocks.0.mlp.W_out": (24, 16),
        "blocks.0.mlp.b_out": (16,),
        "unembed.W_U": (16, 13),
    }


def test_each_switch_adds_or_removes_its_parameters():
    plain = set(parameter_shapes(config()))
    block = "blocks.0"

    def added(**changes):
        return set(parameter_shapes(config(**changes))) ^ plain

    assert added(attention_bias=True) == {f"{block}.attn.b_{x}" for x in "QKVO"}
    assert added(mlp_bias=False) == {f"{block}.mlp.b_in", f"{block}.mlp.b_out"}
    assert added(unembed_bias=True) == {"unembed.b_U"}
    assert added(tied_unembed=True) == {"unembed.W_U"}
    assert added(positions="sinusoidal") == added(positions="none") == {"pos_embed.W_pos"}
    norms = {f"{block}.{ln}.{x}" for ln in ("ln1", "ln2") for x in "wb"}
    assert added(normalization_type="LN", norm_placement="post") == norms
    assert added(normalization_type="LN") == norms | {"ln_final.w", "ln_final.b"}
    assert added(normalization_type="LNPre") == set()
    assert added(d_mlp=0) == {name for name in plain if ".mlp." in name}
    assert len(parameter_shapes(config(n_layers=3))) == len(plain) + 2 * 8


def test_mlp_shapes():
    mlp = config(n_heads=0, n_layers=2)
    assert parameter_shapes(mlp) == {
        "embed.W_E": (14, 16),
        "blocks.0.mlp.W_in": (48, 24),
        "blocks.0.mlp.b_in": (24,),
        "blocks.1.mlp.W_in": (24, 24),
        "blocks.1.mlp.b_in": (24,),
        "unembed.W_U": (24, 13),
    }
    one_hot = parameter_shapes(config(n_heads=0, d_model=14, one_hot_embed=True))
    assert "embed.W_E" not in one_hot


@pytest.mark.parametrize("init", ["nanda", "pizza", "gpt2"])
def test_initialization_has_the_stated_spread(init):
    p, d_model, d_mlp = 113, 128, 512
    cfg = config(
        p=p, d_vocab=p + 1, d_model=d_model, d_mlp=d_mlp, init=init, normalization_type="LN", init_scale=2.0
    )
    weights = initial_weights(cfg, 0)
    base = 1 / math.sqrt(d_model)
    want = dict.fromkeys(weights, 0.8 * base if init == "gpt2" else base)
    if init != "gpt2":
        want["unembed.W_U"] = 1 / math.sqrt(p + 1)
    if init == "pizza":
        want["blocks.0.mlp.W_in"] = 1 / math.sqrt(d_mlp)
    for name, w in weights.items():
        leaf = name.rsplit(".", 1)[1]
        if leaf.startswith("b"):
            assert (w == 0).all()
        elif leaf == "w":
            assert (w == 1).all()
        else:
            # Five standard errors of a standard deviation estimated from that many draws.
            error = 5 * want[name] * 2 / math.sqrt(2 * w.numel())
            assert w.std().item() == pytest.approx(2 * want[name], abs=error), name


def test_initialization_depends_on_its_seed_alone():
    torch.manual_seed(1)
    first = initial_weights(config(), 0)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    again, other = initial_weights(config(), 0), initial_weights(config(), 1)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embed.W_E"], other["embed.W_E"])


@pytest.mark.parametrize("d_model", [6, 7])
def test_sinusoidal_positions_by_hand(d_model):
    table = sinusoidal_positions(4, d_model)
    for pos in range(4):
        for i in range(d_model):
            angle = pos / 10000 ** (2 * (i // 2) / d_model)
            want = math.sin(angle) if i % 2 == 0 else math.cos(angle)
            assert table[pos, i].item() == pytest.approx(want, abs=1e-7)  # float32 near 1


def test_activations_by_hand():
    for x in (-1.5, 0.0, 0.7):
        t = torch.tensor(x, dtype=torch.float64)
        assert activation("relu", t) == max(x, 0)
        assert activation("quadratic", t).item() == pytest.approx(x * x)
        assert activation("tanh", t).item() == pytest.approx(math.tanh(x))
        assert activation("gelu", t).item() == pytest.approx(x * (1 + math.erf(x / math.sqrt(2))) / 2)


def test_errors(annotations_off):
    cases = [
        ({"n_heads": 3}, r"d_model divisible by n_heads, got d_model=16 and n_heads=3.*\[1, 2, 4, 8, 16\]"),
        ({"n_heads": -4, "d_head": 4}, "n_heads of at least 0, got -4"),
        ({"n_layers": 0}, "n_layers of at least 1, got 0"),
        ({"d_mlp": -1}, "d_mlp of at least 0, got -1"),
        ({"d_head": 0}, "d_head of at least 1, got 0"),
        ({"n_heads": 0, "d_mlp": 0}, "attention-free MLP .* needs d_mlp > 0, .*got d_mlp=0"),
        ({"n_heads": 0, "positions": "learned"}, "needs .*positions='none'.*got .*positions='learned'"),
        ({"n_heads": 0, "normalization_type": "LN"}, "no normalization, got .*normalization_type='LN'"),
        ({"one_hot_embed": True}, "attention-free MLP with d_model equal to d_vocab, got n_heads=4"),
        (
            {"n_heads": 0, "one_hot_embed": True},
            "d_model equal to d_vocab, got n_heads=0, d_model=16, d_vocab=14",
        ),
        ({"n_heads": 0, "tied_unembed": True}, "A tied unembedding needs .*got d_model=16, width 24"),
        (
            {"tied_unembed": True, "d_vocab_out": 15},
            "at least as many tokens as logits, .*d_vocab=14, d_vocab_out=15",
        ),
        ({"act_fn": "swish"}, "act_fn to be one of 'relu', 'gelu', 'quadratic', 'tanh', got 'swish'"),
        ({"attention_dir": "casual"}, "attention_dir to be one of 'causal', 'bidirectional', got 'casual'"),
        ({"positions": "rotary"}, "positions to be one of .*got 'rotary'"),
        ({"normalization_type": "none"}, "normalization_type to be one of 'LN', 'LNPre', None, got 'none'"),
        ({"norm_placement": "both"}, "norm_placement to be one of 'pre', 'post', got 'both'"),
        ({"init": "xavier"}, "init to be one of 'nanda', 'pizza', 'gpt2', got 'xavier'"),
    ]
    for changes, message in cases:
        with annotations_off(), pytest.raises(ValueError, match=message):
            config(**changes)
    with pytest.raises(ValueError, match="one of relu, gelu, quadratic, tanh, got 'swish'"):
        activation("swish", torch.zeros(1))


def test_weights_of_another_network_are_refused():
    weights = initial_weights(config(), 0)
    check_weights(config(), weights, "These")
    fewer = {name: w for name, w in weights.items() if name != "embed.W_E"}
    with pytest.raises(
        ValueError, match=r"Checkpoint 7 does not fit its model: embed.W_E is missing\. The config"
    ):
        check_weights(config(), fewer, "Checkpoint 7")
    with pytest.raises(ValueError, match="extra is unknown to the model"):
        check_weights(config(), weights | {"extra": torch.zeros(1)}, "These")
    with pytest.raises(ValueError, match=r"unembed.W_U is \(13, 16\) instead of \(16, 13\)"):
        check_weights(config(), weights | {"unembed.W_U": weights["unembed.W_U"].T}, "These")
    with pytest.raises(ValueError, match=r"embed.W_E is missing; .* and 6 more"):
        check_weights(config(tied_unembed=True), {}, "These")

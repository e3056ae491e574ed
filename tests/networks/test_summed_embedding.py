"""An MLP on the sum of its operands' embeddings: torch's own layers as oracle, and all that reads its first layer."""

import json

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from interp.networks import plain
from interp.networks.config import initial_weights, parameter_shapes, transformer_config
from interp.networks.hooked import build_model
from interp.networks.network import DescribedNetwork
from interp.probes.landscape.local_complexity import mlp_input
from interp.runs.config import config_from_json, config_to_json
from interp.runs.run import open_run
from interp.snapshots.elements import Elements
from interp.snapshots.snapshot import Snapshot
from interp.tasks.groups import GroupConfig
from interp.training.train import train
from tests.tiny import tiny_config

P = 7
SIZES = {"p": P, "n_ctx": 2, "d_vocab": P, "n_layers": 2, "n_heads": 0, "d_mlp": 12, "act_fn": "relu"}


def described(one_hot_embed):
    d_model = P if one_hot_embed else 5
    return transformer_config(
        **SIZES, d_model=d_model, one_hot_embed=one_hot_embed, summed_embed=True, unembed_bias=True
    )


def weights_of(config):
    generator = torch.Generator().manual_seed(0)
    return {n: torch.randn(shape, generator=generator) for n, shape in parameter_shapes(config).items()}


def logits_of_torch(weights, tokens, one_hot_embed):
    x = (
        one_hot(tokens, P).float()
        if one_hot_embed
        else nn.Embedding.from_pretrained(weights["embed.W_E"])(tokens)
    )
    x = x[:, 0] + x[:, 1]
    for name in ("blocks.0.mlp", "blocks.1.mlp"):
        layer = nn.Linear(*weights[f"{name}.W_in"].shape)
        layer.weight.data, layer.bias.data = weights[f"{name}.W_in"].T, weights[f"{name}.b_in"]
        x = layer(x).relu()
    return nn.functional.linear(x, weights["unembed.W_U"].T, weights["unembed.b_U"])


@pytest.mark.parametrize("one_hot_embed", [False, True])
def test_logits_are_those_of_torch_by_every_pass(one_hot_embed):
    config = described(one_hot_embed)
    weights = weights_of(config)
    tokens = torch.cartesian_prod(torch.arange(P), torch.arange(P))
    expected = logits_of_torch(weights, tokens, one_hot_embed).detach()
    torch.testing.assert_close(plain.forward(config, weights, tokens)[:, 0], expected, atol=1e-5, rtol=1e-5)
    model = build_model(config, weights)
    logits, cache = model.run_with_cache(tokens)
    torch.testing.assert_close(logits[:, 0], expected, atol=1e-5, rtol=1e-5)
    assert cache["hook_embed"].shape == (P * P, 2, config.d_model)


def group_snapshot(**changes):
    task = GroupConfig(
        group="S3", train_fraction=0.5, equals_token=False, separate_vocabularies=True, corrupted_fraction=0.0,
        split="shuffle", split_seed=0,
    )  # fmt: skip
    config = transformer_config(
        p=6,
        n_ctx=2,
        d_vocab=12,
        n_layers=1,
        d_model=4,
        n_heads=0,
        d_mlp=9,
        act_fn="relu",
        summed_embed=True,
        **changes,
    )
    return Snapshot(0, initial_weights(config, 0), DescribedNetwork(config), task.task())


def test_what_a_neuron_reads_is_the_left_operand_plus_the_right_one():
    snapshot = group_snapshot()
    left, right = snapshot.once(Elements).preactivations
    pre = snapshot.activation("blocks.0.mlp.hook_pre").reshape(6, 6, -1).double()
    torch.testing.assert_close(left[:, None] + right[None], pre, atol=1e-6, rtol=1e-6)
    x, w_in, b_in = mlp_input(snapshot)
    torch.testing.assert_close((x @ w_in + b_in).reshape(6, 6, -1), pre, atol=1e-6, rtol=1e-6)


def test_run_json_says_it_only_where_it_is_so(tmp_path):
    shape = {"n_heads": 0, "d_mlp": 24, "summed_embed": True}
    summed = tiny_config(60, model=shape, task={"equals_token": False})
    run = train(summed, tmp_path / "run", threads=1)
    assert json.loads((run.path / "run.json").read_text())["config"]["model"]["summed_embed"] is True
    assert open_run(run.path).config.model.summed_embed
    assert run.history()["train_loss"].iloc[-1] < run.history()["train_loss"].iloc[0]
    usual = config_to_json(tiny_config())
    assert "summed_embed" not in usual["model"]
    assert config_from_json(usual, "here").model.summed_embed is False


def test_attention_reads_no_sum(annotations_off):
    with (
        annotations_off(),
        pytest.raises(ValueError, match="A summed embedding needs an attention-free MLP, got n_heads=2"),
    ):
        transformer_config(**SIZES | {"n_heads": 2}, d_model=4, summed_embed=True)

"""Networks that read features: torch's own layers as oracle by every pass, and what they refuse."""

import pytest
import torch
from torch import nn

from interp.networks import plain
from interp.networks.answers import answer_logits
from interp.networks.config import ModelConfig, initial_weights, n_parameters, parameter_shapes
from interp.networks.feature_mlps import features_mlp
from interp.networks.hooked import build_model
from interp.networks.network import DescribedNetwork
from interp.snapshots.snapshot import Snapshot
from interp.tasks.parity import ParityConfig

CONFIG = features_mlp(n_features=5, n_outputs=2, d_mlp=7, n_layers=2)


def weights_with_biases():
    generator = torch.Generator().manual_seed(1)
    return {n: torch.randn(shape, generator=generator) for n, shape in parameter_shapes(CONFIG).items()}


def logits_of_torch(weights, x):
    for name in ("blocks.0.mlp", "blocks.1.mlp"):
        x = nn.functional.linear(x, weights[f"{name}.W_in"].T, weights[f"{name}.b_in"]).relu()
    return nn.functional.linear(x, weights["unembed.W_U"].T, weights["unembed.b_U"])


def test_logits_are_those_of_torch_by_every_pass():
    weights, task = (
        weights_with_biases(),
        ParityConfig(n_bits=5, k=2, n_train=20, n_test=5, split_seed=0).task(),
    )
    expected = logits_of_torch(weights, task.inputs)
    found = {
        "plain": plain.forward(CONFIG, weights, task.inputs)[:, 0],
        "answers": answer_logits(CONFIG, task.questions)(weights),
        "hooked": build_model(CONFIG, weights)(task.inputs)[:, -1],
        "snapshot": Snapshot(0, weights, DescribedNetwork(CONFIG), task).logits,
    }
    for name, logits in found.items():
        # float32, sums of seven.
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5, msg=name)


def test_there_is_no_embedding():
    assert next(iter(parameter_shapes(CONFIG))) == "blocks.0.mlp.W_in"
    assert parameter_shapes(CONFIG)["blocks.0.mlp.W_in"] == (5, 7)
    matrices = sum(w.numel() for name, w in initial_weights(CONFIG, 0).items() if ".W_" in name)
    assert n_parameters(CONFIG) == matrices == 5 * 7 + 7 * 7 + 7 * 2
    with pytest.raises(AttributeError, match="W_E"):
        _ = build_model(CONFIG).W_E


def test_a_large_first_layer_starts_as_wide_as_its_inputs_ask():
    wide = features_mlp(n_features=400, n_outputs=2, d_mlp=300)
    std = initial_weights(wide, 0)["blocks.0.mlp.W_in"].std().item()
    # 120,000 draws: the sample's deviation is off by 0.2 %.
    assert std == pytest.approx(1 / 20, rel=0.01)


@pytest.mark.parametrize(
    "x", [torch.ones(2, 5, dtype=torch.long), torch.ones(2, 4), torch.ones(2, 5, 1)], ids=str
)
def test_other_inputs_are_refused(x, annotations_off):
    with annotations_off(), pytest.raises(ValueError, match="reads 5 features, floating-point numbers"):
        build_model(CONFIG, weights_with_biases())(x)


@pytest.mark.parametrize(
    "changes", [{"d_model": 2}, {"d_vocab": 3}, {"summed_embed": True}, {"one_hot_embed": True}]
)
def test_an_embedding_is_refused(changes):
    with pytest.raises(ValueError, match="reads features is an attention-free MLP"):
        ModelConfig(**vars(CONFIG) | changes)

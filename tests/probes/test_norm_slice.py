"""The slice along the norm: laws of homogeneous networks, a network worked out by hand, and nulls."""

import math

import numpy as np
import pytest
import torch

from interp.networks.config import initial_weights
from interp.networks.feature_mlps import features_mlp
from interp.networks.network import DescribedNetwork
from interp.probes.answers.losses import losses
from interp.probes.landscape.norm_slice import norm_slice
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.images import ImagesConfig
from interp.tasks.parity import ParityConfig
from tests import hand_built


def of_images(seed=0, *, mlp_bias=False, weights=None, corrupted_fraction=0.0):
    task = ImagesConfig(n_train=60, n_test=80, split_seed=0, corrupted_fraction=corrupted_fraction).task()
    config = features_mlp(n_features=64, n_outputs=10, d_mlp=12, mlp_bias=mlp_bias, unembed_bias=mlp_bias)
    weights = initial_weights(config, seed) if weights is None else weights(config)
    return Snapshot(0, weights, DescribedNetwork(config), task)


def one_bit(slope):
    """The sign of one bit, by one neuron a sign: logits +-slope apart."""
    task = ParityConfig(n_bits=2, k=1, n_train=2, n_test=2, split_seed=0).task()
    config = features_mlp(n_features=2, n_outputs=2, d_mlp=2, mlp_bias=False, unembed_bias=False)
    weights = {
        "blocks.0.mlp.W_in": torch.tensor([[1.0, -1.0], [0.0, 0.0]]),
        "unembed.W_U": slope * torch.eye(2),
    }
    return Snapshot(0, weights, DescribedNetwork(config), task)


def test_a_network_by_hand():
    table = norm_slice(one_bit(3.0), factors=(0.5, 1.0, 2.0))
    # Two matrices: c^2 times the difference of 3 between the right logit, 3 c^2, and the other, 0.
    expected = {c: math.log1p(math.exp(-3 * c * c)) for c in (0.5, 1.0, 2.0)}
    for row in table.to_dict("records"):
        assert row["loss"] == pytest.approx(expected[row["factor"]], rel=1e-6)
        assert row["squared_error"] == pytest.approx((3 * row["factor"] ** 2 - 1) ** 2, rel=1e-6)
        assert row["accuracy"] == 1
        # sqrt(1 + 1 + 9 + 9)
        assert row["norm"] == pytest.approx(row["factor"] * math.sqrt(20), rel=1e-6)


def test_the_network_as_it_is_has_the_losses_of_the_probe_of_losses():
    snapshot = of_images(mlp_bias=True)
    at_one = norm_slice(snapshot, factors=(1.0,)).set_index("split")
    whole = losses(snapshot).set_index("split")
    for split in ("train", "test"):
        # The same logits in float32, their loss in float64.
        assert at_one.loc[split, "loss"] == pytest.approx(whole.loc[split, "loss"], rel=1e-6)
        assert at_one.loc[split, "accuracy"] == whole.loc[split, "accuracy"]


def test_without_biases_no_answer_changes_and_with_them_some_do():
    assert norm_slice(of_images()).groupby("split")["accuracy"].nunique().eq(1).all()

    def biased(config):
        weights = initial_weights(config, 0)
        return weights | {"unembed.b_U": torch.linspace(0, 1, 10)}

    assert (
        norm_slice(of_images(mlp_bias=True, weights=biased))
        .groupby("split")["accuracy"]
        .nunique()
        .gt(1)
        .all()
    )


def test_the_slice_of_a_scaled_network_is_the_slice_scaled():
    small, large = one_bit(3.0), one_bit(3.0)
    large = Snapshot(0, {n: 2 * w for n, w in large.weights.items()}, large.network, large.task)
    one, other = norm_slice(small, factors=(1.0, 2.0)), norm_slice(large, factors=(0.5, 1.0))
    columns = ["norm", "loss", "squared_error", "accuracy"]
    np.testing.assert_allclose(one[columns], other[columns], rtol=1e-6)


def test_a_memorizer_is_a_u_of_cross_entropy_on_test_rows_alone():
    table = norm_slice(hand_built.memorizer(7), factors=(0.5, 1.0, 2.0)).pivot(
        index="factor", columns="split", values="loss"
    )
    # The surer it is the better on its rows, the worse on others.
    assert table["train"].is_monotonic_decreasing
    assert table.loc[2.0, "test"] > table.loc[0.5, "test"]


def test_untrained_networks_and_random_labels_are_at_chance_at_every_factor():
    for snapshot in (of_images(3), of_images(3, corrupted_fraction=1.0)):
        # 60 and 80 rows of ten classes: three standard errors are .12 and .10.
        assert (norm_slice(snapshot)["accuracy"] - 0.1).abs().max() < 0.2


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"needs factors above 0, got \[1.0, 0.0\]"):
        norm_slice(one_bit(1.0), factors=(1.0, 0.0))
    with pytest.raises(ValueError, match="needs factors above 0, got \\[\\]"):
        norm_slice(one_bit(1.0), factors=())
    with pytest.raises(NotApplicable, match="needs the task's inputs"):
        norm_slice(Snapshot(0, one_bit(1.0).weights, one_bit(1.0).network, None))

"""Rules on the weights after an update: norms, noise, what is frozen; and what is recorded."""

import math

import pytest
import torch

from interp.networks.config import initial_weights
from interp.training.rules import (
    AntitheticNoise,
    ForgetMoments,
    Freeze,
    HoldDirections,
    HoldNorm,
    Noise,
    Perpendicular,
    ReplayNorms,
    SlowGradients,
)
from interp.training.rules.base import Now
from interp.training.rules.noise import langevin_size
from interp.training.rules.recorded import mean_margin, norms_of, tensor_norm, update_norm, whole_norm
from tests.training.rules_loop import RECIPE, trained

ALL_PARTS = ("embedding", "attention", "mlp_in", "mlp_out", "unembedding")
# Rounding of float32 weights and gradients, relative.
FLOAT32 = 3e-7


@pytest.fixture(scope="module")
def other():
    """A branch whose norms, margins and updates are others."""
    return trained(HoldNorm(factor=1.4), lr=3e-3)


def test_margins_and_norms_by_hand():
    torch.manual_seed(0)
    logits, labels = torch.randn(9, 5), torch.arange(9) % 5
    by_hand = 0.0
    for row, label in zip(logits.double().tolist(), labels.tolist(), strict=True):
        by_hand += (row[label] - max(x for i, x in enumerate(row) if i != label)) / 9
    # 1e-14: float64 throughout.
    assert mean_margin(logits, labels).item() == pytest.approx(by_hand, abs=1e-14)
    # 1e-6: the shift rounds float32 logits.
    assert mean_margin(logits - 10, labels).item() == pytest.approx(by_hand, abs=1e-6)
    with pytest.raises(ValueError, match=r"at least two outputs, got 1\. It is the distance"):
        mean_margin(logits[:, :1], labels)
    weights = {"b": torch.randn(3, 4), "a": torch.randn(5)}
    assert tensor_norm(weights["b"]).dtype == torch.float64
    flat = torch.cat([w.double().flatten() for w in weights.values()])
    assert whole_norm(norms_of(weights)).item() == pytest.approx(flat.norm().item(), rel=1e-14)
    moved = {name: w + 0.5 for name, w in weights.items()}
    # 3e-7: the sum was rounded to float32.
    assert update_norm(weights, moved).item() == pytest.approx(0.5 * 17**0.5, rel=FLOAT32)


@pytest.mark.parametrize("each", ["tensor", "whole"])
def test_replayed_norms_are_the_path_times_the_factor(each, other):
    found = trained(ReplayNorms(of="other", factor=0.8, each=each), paths={"other": other})
    for step in range(1, 21):
        norms, wanted = norms_of(found.weights[step]), norms_of(other.weights[step])
        if each == "whole":
            norms, wanted = {"": whole_norm(norms)}, {"": whole_norm(wanted)}
        for name, norm in norms.items():
            assert norm.item() == pytest.approx(0.8 * wanted[name].item(), rel=FLOAT32)
        assert 0 <= found.records[step - 1]["norm_error"] < FLOAT32


def test_replayed_whole_norms_leave_the_ratios_of_tensors():
    start = initial_weights(RECIPE.model, 0)
    now = Now(step=0, since=0, path_after={f"control/norm/{name}": x for name, x in norms_of(start).items()})
    after = {name: w * (2 if "W_E" in name else 1) for name, w in start.items()}
    found = ReplayNorms(each="whole").updated({}, after, {}, now)
    factors = {
        (found[name] / after[name])[after[name] != 0].mean().item() for name in after if after[name].any()
    }
    assert max(factors) - min(factors) < FLOAT32 and max(factors) < 0.95


@pytest.mark.parametrize("each", ["tensor", "whole"])
def test_a_held_norm_is_that_of_the_branch_at_every_step(each):
    found = trained(HoldNorm(factor=1.2, rate=0.03, each=each))
    start = norms_of(found.weights[0])
    for step, weights in enumerate(found.weights[1:], start=1):
        norms, wanted = norms_of(weights), start
        if each == "whole":
            norms, wanted = {"": whole_norm(norms)}, {"": whole_norm(start)}
        for name, norm in norms.items():
            if not wanted[name]:
                # Biases begin at zero: they have no norm to be held at.
                assert norm > 0
                continue
            assert norm.item() == pytest.approx(
                1.2 * 0.970445533548508**step * wanted[name].item(), rel=FLOAT32
            )
    assert math.exp(-0.03) == pytest.approx(0.970445533548508)


def test_tensors_of_zeros_stay_without_nan():
    zero, now = {"b": torch.zeros(3)}, Now(step=0, since=0)
    rule = HoldNorm()
    for start, after in ((torch.ones(3), torch.zeros(3)), (torch.zeros(3), torch.ones(3))):
        assert torch.equal(rule.updated({}, {"b": after}, rule.start({"b": start}), now)["b"], after)
        assert now.records["norm_error"] == 0
    held = HoldDirections(parts=("b",), until=3)
    assert not held.updated({}, {"b": torch.ones(3)}, held.start(zero), now)["b"].any()
    assert now.records["turned"] == 1
    assert torch.equal(Perpendicular().gradients({"b": torch.ones(3)}, zero, {}, now)["b"], torch.ones(3))
    rule, memory = SlowGradients(), SlowGradients().start(zero)
    assert not rule.gradients(zero, zero, memory, now)["b"].any() and now.records["slow_ratio"] == 0


def test_a_clamp_lowers_norms_and_raises_none():
    rule = HoldNorm(only_above=True)
    start = {"high": torch.tensor([3.0, 4.0]), "low": torch.tensor([3.0, 4.0])}
    after = {"high": 2 * start["high"], "low": 0.7 * start["low"]}
    found = rule.updated({}, after, rule.start(start), Now(step=0, since=0))
    torch.testing.assert_close(found["high"], start["high"])
    assert torch.equal(found["low"], after["low"])


def test_noise_has_its_size_and_is_new_at_each_step():
    weights = {"a": torch.zeros(200, 50), "b": torch.zeros(200, 50)}
    draws = [Noise(size=0.3, seed=5).updated({}, weights, {}, Now(step=s, since=s)) for s in range(4)]
    flat = torch.stack([draw[name].flatten() for draw in draws for name in "ab"])
    # 10,000 draws a row: four standard errors of a standard deviation and of a mean.
    assert ((flat.std(1) / 0.3 - 1).abs() < 4 / math.sqrt(2 * 10_000)).all()
    assert (flat.mean(1).abs() < 4 * 0.3 / 100).all()
    # Neither steps nor weights repeat one another.
    assert (torch.corrcoef(flat) - torch.eye(8)).abs().max() < 0.05
    again = Noise(size=0.3, seed=5).updated({}, dict(reversed(weights.items())), {}, Now(step=9, since=2))
    assert torch.equal(again["a"], draws[2]["a"])
    assert langevin_size(1e-3, 0.02) == pytest.approx(math.sqrt(2 * 1e-3 * 0.02))


def test_antithetic_noise_sums_to_zero_over_two_steps():
    weights, rule = {"a": torch.zeros(30, 4)}, AntitheticNoise(size=0.3)
    draws = [rule.updated({}, weights, {}, now := Now(step=s, since=s))["a"] for s in range(4)]
    assert draws[0].any() and torch.equal(draws[0], -draws[1]) and torch.equal(draws[2], -draws[3])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(draws[0], Noise(size=0.3).updated({}, weights, {}, Now(step=7, since=0))["a"])
    assert now.records["noise_norm"].item() == pytest.approx(draws[3].norm().item(), rel=1e-5)


def test_frozen_weights_are_the_same_bits_until_they_are_released():
    found = trained(Freeze(parts=("attention", "embedding", "blocks.0.mlp.W_in"), until=8))
    for name in found.weights[0]:
        is_frozen = ".attn." in name or "embed.W_E" in name or "W_pos" in name or name.endswith("W_in")
        changed = [not torch.equal(found.weights[s][name], found.weights[s + 1][name]) for s in range(20)]
        assert changed == ([False] * 8 + [True] * 12 if is_frozen else [True] * 20), name


def test_parts_take_all_weights_of_a_network_once():
    names = tuple(initial_weights(RECIPE.model, 0))
    taken = [
        name
        for part in ALL_PARTS
        for name in ForgetMoments(parts=(part,), at=2).forgets(names, Now(step=9, since=2))
    ]
    assert sorted(taken) == sorted(names)
    assert ForgetMoments(parts=ALL_PARTS, at=2).forgets(names, Now(step=2, since=3)) == ()


def test_directions_are_held_and_released():
    found = trained(HoldDirections(parts=("mlp_out", "embed.W_E"), until=8), weight_decay=5.0)
    cosines = {}
    for name, start in found.weights[0].items():
        if start.any():
            by_step = [
                torch.cosine_similarity(start.double().flatten(), w[name].double().flatten(), 0)
                for w in found.weights
            ]
            cosines[name] = torch.stack(by_step)
    for name in ("blocks.0.mlp.W_out", "embed.W_E"):
        # float32 entries; a cosine is off by the square of their rounding.
        assert (1 - cosines[name][:9]).abs().max() < 1e-12 and cosines[name][9] < 1 - 1e-5
        assert found.weights[8][name].norm() < 0.95 * found.weights[0][name].norm()
    assert cosines["unembed.W_U"][1] < 1 - 1e-5
    by_hand = Now(step=0, since=0)
    rule = HoldDirections(parts=("w",), until=1)
    memory = rule.start({"w": torch.tensor([1.0, 0.0])})
    assert rule.updated({}, {"w": torch.tensor([3.0, 4.0])}, memory, by_hand)["w"].tolist() == [3, 0]
    assert by_hand.records["turned"].item() == pytest.approx(0.8)
    assert rule.updated({}, {"w": torch.tensor([-3.0, 4.0])}, memory, by_hand)["w"].tolist() == [0, 0]

"""Rules on gradients, on the size of updates, and subspaces that are cut out of them."""

import dataclasses
import math

import pytest
import torch

from interp.networks.config import initial_weights
from interp.tasks.modular import ModularConfig
from interp.training.rules import (
    HoldNorm,
    Perpendicular,
    RemoveSubspace,
    ReplayNorms,
    ReplayTurning,
    ScaleUpdates,
    SlowGradients,
)
from interp.training.rules.base import Now
from interp.training.rules.recorded import norms_of, tensor_norm, update_norm
from interp.training.rules.subspaces import without_frequencies
from tests.training.rules_loop import DATA, RECIPE, trained

# Rounding of float32 weights and gradients, relative.
FLOAT32 = 3e-7


@pytest.fixture(scope="module")
def other():
    """A branch whose norms, margins and updates are others."""
    return trained(HoldNorm(factor=1.4), lr=3e-3)


def test_the_perpendicular_gradient_by_hand():
    start = initial_weights(RECIPE.model, 0)
    live = {name: w.clone().requires_grad_() for name, w in start.items()}
    DATA.loss(DATA.train_logits(live), DATA.train.labels).backward()
    gradients = {name: w.grad for name, w in live.items()}
    now = Now(step=0, since=0)
    found = Perpendicular(rescaled=False).gradients(gradients, start, {}, now)
    scaled = Perpendicular().gradients(gradients, start, {}, now)
    for name in start:
        g, w = gradients[name].double().flatten().tolist(), start[name].double().flatten().tolist()
        gw, ww = sum(x * y for x, y in zip(g, w, strict=True)), sum(y * y for y in w)
        by_hand = [x - (gw / ww if ww else 0) * y for x, y in zip(g, w, strict=True)]
        size, former = (math.sqrt(sum(x * x for x in v)) for v in (by_hand, g))
        torch.testing.assert_close(found[name].flatten(), torch.tensor(by_hand), rtol=1e-5, atol=1e-7 * size)
        assert scaled[name].double().norm().item() == pytest.approx(former, rel=FLOAT32)
        for v in (found[name], scaled[name]):
            # Rounding of float32 entries.
            assert abs((v.double() * start[name].double()).sum()) <= FLOAT32 * former * math.sqrt(ww)
    assert now.records["radial"] > 1e-3 > FLOAT32 > now.records["radial_left"]


def test_the_whole_gradient_is_perpendicular_to_all_weights_as_one_vector():
    torch.manual_seed(0)
    weights, gradients = ({name: torch.randn(4, n) for name, n in (("a", 3), ("b", 5))} for _ in range(2))
    found = Perpendicular(each="whole").gradients(gradients, weights, {}, Now(step=0, since=0))
    g, w, v = (torch.cat([x[name].flatten() for name in "ab"]).double() for x in (gradients, weights, found))
    by_hand = g - (g @ w) / (w @ w) * w
    torch.testing.assert_close(v, by_hand * g.norm() / by_hand.norm(), rtol=1e-6, atol=1e-6)
    halved = Perpendicular(share=0.5, each="whole", rescaled=False)
    half = halved.gradients(gradients, weights, {}, Now(step=0, since=0))
    torch.testing.assert_close(
        half["a"].double(), ((gradients["a"] + (by_hand[:12]).view(4, 3)) / 2).double()
    )


def test_a_radial_gradient_becomes_zero_and_is_not_blown_up():
    weights = {"b": torch.tensor([0.3]), "W": torch.tensor([[0.1, 0.7], [0.2, -0.4]])}
    found = Perpendicular().gradients(
        {name: 3 * w for name, w in weights.items()}, weights, {}, Now(step=0, since=0)
    )
    assert not found["b"].any() and not found["W"].any()


def test_slow_gradients_against_a_plain_loop():
    torch.manual_seed(1)
    seen = torch.randn(6, 4, 3)
    weights, rule = {"W": torch.zeros(4, 3)}, SlowGradients(decay=0.9, amplitude=1.5)
    rules = [rule, *(dataclasses.replace(rule, how=how) for how in ("subtracted", "shuffled"))]
    memories, slow = [r.start(weights) for r in rules], None
    for step, g in enumerate(seen):
        slow = g if slow is None else 0.9 * slow + 0.1 * g
        now = Now(step=step, since=step)
        added, subtracted, shuffled = (
            r.gradients({"W": g}, weights, memory, now)["W"]
            for r, memory in zip(rules, memories, strict=True)
        )
        torch.testing.assert_close(added, g + 1.5 * slow)
        torch.testing.assert_close(subtracted, g - 1.5 * slow)
        moved = (shuffled - g) / 1.5
        assert moved.norm().item() == pytest.approx(slow.norm().item(), rel=1e-5)
        places = [next(i for i in range(4) if torch.allclose(row, slow[i], atol=1e-5)) for row in moved]
        assert sorted(places) == [0, 1, 2, 3] and all(i != j for i, j in enumerate(places))
        assert now.records["slow_ratio"].item() == pytest.approx(
            1.5 * (slow.norm() / g.norm()).item(), rel=1e-5
        )


def test_the_average_of_a_weight_that_is_frozen_at_first_begins_with_its_first_gradient():
    weights, rule = {"a": torch.zeros(2), "b": torch.zeros(2)}, SlowGradients(decay=0.9, amplitude=1.0)
    memory, one = rule.start(weights), torch.ones(2)
    rule.gradients({"a": one}, weights, memory, Now(step=0, since=0))
    found = rule.gradients({"a": one, "b": 4 * one}, weights, memory, Now(step=1, since=1))
    assert torch.equal(found["b"], 8 * one)


def test_updates_have_the_size_of_another_arms(other):
    found = trained(ScaleUpdates(of="other", factor=0.5), paths={"other": other})
    for step in range(20):
        size = update_norm(found.weights[step], found.weights[step + 1]).item()
        wanted = 0.5 * update_norm(other.weights[step], other.weights[step + 1]).item()
        # 1e-5: updates are a hundredth of the weights, which are rounded to float32.
        assert size == pytest.approx(wanted, rel=1e-5)
        assert found.records[step]["update_error"] < 1e-5


def test_a_scaled_update_of_half_goes_half_way_and_one_of_nothing_nowhere():
    before, after = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, -2.0])}
    now = Now(step=0, since=0, path={"control/update_norm": torch.tensor(5.0, dtype=torch.float64)})
    assert ScaleUpdates(factor=0.5).updated(before, after, {}, now)["w"].tolist() == [2, 0]
    assert torch.equal(ScaleUpdates(of="control").updated(before, before, {}, now)["w"], before["w"])
    limited = ScaleUpdates(factor=7.0, limit=2.0).updated(before, after, {}, now)["w"]
    assert limited.tolist() == [5, -6] and now.records["update_scale"] == 2


def _angle(before, after):
    """Between all weights as one vector, by the cosine, in float64."""
    a, b = (torch.cat([w[name].double().flatten() for name in before]) for w in (before, after))
    return math.acos((a @ b / (a.norm() * b.norm())).item())


def _turning(before, after):
    """How far tensors turn, by the cosine of each, in float64."""
    whole = [math.sqrt(sum(float(w.double().square().sum()) for w in x.values())) for x in (before, after)]
    total = 0.0
    for name, w in before.items():
        a, b = w.double().flatten(), after[name].double().flatten()
        r, t = a.norm().item(), b.norm().item()
        total += 2 * (r * t - (a @ b).item()) / (whole[0] * whole[1])
    return math.sqrt(total)


@pytest.mark.parametrize(("factor", "speed"), [(1.0, 0.02), (0.8, 2.0), (1.2, 1.0)])
def test_weights_turn_as_fast_as_another_arms_at_the_norms_that_are_asked_for(other, factor, speed):
    rule = ReplayTurning(of="other", factor=factor, speed=speed)
    found = trained(rule, paths={"other": other})
    for step in range(20):
        wanted = speed * _turning(other.weights[step], other.weights[step + 1])
        # 1e-5 of a turn of a hundredth: weights are rounded to float32.
        rounding = 1e-5 / speed
        assert _turning(found.weights[step], found.weights[step + 1]) == pytest.approx(wanted, rel=rounding)
        assert found.records[step]["turning_error"] < rounding
        if speed == 1:
            angles = [_angle(*x.weights[step : step + 2]) for x in (found, other)]
            assert angles[0] == pytest.approx(angles[1], rel=1e-5)
        for name, w in found.weights[step + 1].items():
            assert tensor_norm(w).item() == pytest.approx(
                factor * tensor_norm(other.weights[step + 1][name]).item(), rel=FLOAT32
            )


def test_a_scaled_update_turns_by_less_than_it_says_where_norms_are_brought_back(other):
    """Why the rule is not these two: what decays is along the weights, and is taken back."""
    rules = (ScaleUpdates(of="other"), ReplayNorms(of="other", factor=1.2))
    found = trained(*rules, paths={"other": other}, weight_decay=5.0)
    angles = [_angle(*found.weights[step : step + 2]) for step in range(1, 20)]
    wanted = [_angle(*other.weights[step : step + 2]) for step in range(1, 20)]
    assert sum(angles) < 0.9 * sum(wanted)
    held = trained(ReplayTurning(of="other", factor=1.2), paths={"other": other}, weight_decay=5.0)
    angles = [_angle(*held.weights[step : step + 2]) for step in range(1, 20)]
    # 1e-5: as above.
    assert sum(angles) == pytest.approx(sum(wanted), rel=1e-5)


def test_an_update_along_the_weights_turns_nothing_and_one_of_nothing_stays():
    before, zero = (
        {"w": torch.tensor([3.0, 4.0]), "b": torch.zeros(2)},
        torch.tensor(0.0, dtype=torch.float64),
    )
    path = {f"control/norm/{name}": x for name, x in norms_of(before).items()}
    path["control/update_norm"] = torch.tensor(1.0, dtype=torch.float64)
    now = Now(step=0, since=0, path=path, path_after=path)
    rule = ReplayTurning(limit=10.0)
    along = rule.updated(before, {"w": 0.9 * before["w"], "b": before["b"]}, {}, now)
    # Rounding of float32.
    torch.testing.assert_close(along["w"], before["w"], rtol=FLOAT32, atol=0)
    assert now.records["turning_error"].item() == pytest.approx(1) and torch.equal(along["b"], before["b"])
    assert torch.equal(rule.updated(before, before, {}, now)["w"], before["w"])
    none = Now(step=0, since=0, path=path | {"control/update_norm": zero}, path_after=path)
    aside = rule.updated(before, {"w": torch.tensor([4.0, 3.0]), "b": before["b"]}, {}, none)
    torch.testing.assert_close(aside["w"], before["w"], rtol=FLOAT32, atol=0)
    assert none.records["turning_error"] == 0 and none.records["update_scale"] == 0


@pytest.mark.parametrize("operation", ["add", "subtract", "multiply"])
@pytest.mark.parametrize("separate", [False, True])
def test_frequencies_are_removed_and_nothing_else(operation, separate):
    task = ModularConfig(
        operation=operation,
        p=11,
        train_fraction=0.5,
        equals_token=True,
        separate_vocabularies=separate,
        corrupted_fraction=0.0,
        split="shuffle",
        split_seed=0,
    ).task()
    s = task.structure
    rules = without_frequencies(task, (2, 5))
    assert len(rules) == 1 + separate
    torch.manual_seed(0)
    g = torch.randn(task.config.n_tokens, 3)
    found, now = {"embed.W_E": g}, Now(step=0, since=0)
    for rule in rules:
        rule.check({"embed.W_E": g}, RECIPE)
        found = rule.gradients(found, {}, {}, now)
    found, removed = found["embed.W_E"].double(), (g - found["embed.W_E"]).double()
    for tokens, names in zip(s.operand_tokens, (s.first, s.second), strict=True):
        named = names >= 0
        for k in range(s.order // 2 + 1):
            for wave in (torch.cos, torch.sin):
                w = wave(2 * torch.pi * k * names[named].double() / s.order)
                kept, gone = (w @ x[tokens[named]] for x in (found, removed))
                # 1e-5: float32 gradients.
                assert (kept if k in (2, 5) else gone).abs().max() < 1e-5
        assert not removed[tokens[~named]].any()
    assert not removed[-1].any()  # "="
    assert 0 < now.records["removed_share"] < 1


def test_the_update_leaves_the_subspace_where_it_was():
    rule = RemoveSubspace(weight="unembed.W_U", frequencies=(1, 3), order=11, axis=1, acts_on="update")
    found = trained(rule)
    t = torch.arange(11, dtype=torch.float64)
    for k in range(1, 6):
        w = torch.cos(2 * torch.pi * k * t / 11)
        parts = [(x["unembed.W_U"].double() @ w) for x in (found.weights[0], found.weights[-1])]
        # 20 updates, each rounded to float32.
        assert ((parts[0] - parts[1]).abs().max() < 1e-5) == (k in (1, 3))


def test_the_sham_removes_as_many_random_directions():
    rule = RemoveSubspace(weight="embed.W_E", frequencies=(1, 3), order=11, seed=4)
    eye = torch.eye(12)
    kept = rule.gradients({"embed.W_E": eye}, {}, {}, Now(step=0, since=0))["embed.W_E"].double()
    # A projection onto 12 - 4 directions, which leaves the constant and "=".
    torch.testing.assert_close(kept @ kept, kept, atol=1e-6, rtol=0)
    assert kept.trace().item() == pytest.approx(8, abs=1e-5)
    ones = torch.ones(12, dtype=torch.float64)
    torch.testing.assert_close(kept @ ones, ones, atol=1e-6, rtol=0)
    assert kept[-1].tolist() == [0.0] * 11 + [1.0]
    real = dataclasses.replace(rule, seed=None).gradients({"embed.W_E": eye}, {}, {}, Now(step=0, since=0))
    assert (real["embed.W_E"] - kept).abs().max() > 0.1


def test_a_task_without_a_cyclic_group_has_no_frequencies():
    task = dataclasses.replace(RECIPE.task, operation="x2+y2").task()
    with pytest.raises(ValueError, match=r"sums on a cyclic group, got .*\. Take a modular operation"):
        without_frequencies(task, (1,))

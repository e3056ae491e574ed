"""Rules: neutral ones are the identity to the last bit, and each does what it says, against its law written out."""

import dataclasses
import json
import math

import pytest
import torch
from torch.func import vmap

from interp.networks.config import initial_weights
from interp.tasks.modular import ModularConfig
from interp.training.rules import (
    KINDS,
    AntitheticNoise,
    ForgetMoments,
    Freeze,
    HoldDirections,
    HoldNorm,
    MatchMargin,
    Noise,
    Perpendicular,
    RandomPenalty,
    RemoveSubspace,
    ReplayNorms,
    ScaleLogits,
    ScaleUpdates,
    SlowGradients,
    SpectralEntropy,
    ZeroSum,
    rule_from_json,
    rule_to_json,
)
from interp.training.rules.base import Now, Rule
from interp.training.rules.noise import langevin_size
from interp.training.rules.penalties import spectral_entropy
from interp.training.rules.recorded import mean_margin, norms_of, tensor_norm, update_norm, whole_norm
from interp.training.rules.subspaces import without_frequencies
from tests.training.rules_loop import DATA, RECIPE, same, trained

ALL_PARTS = ("embedding", "attention", "mlp_in", "mlp_out", "unembedding")
# Rounding of float32 weights and gradients, relative.
FLOAT32 = 3e-7


@pytest.fixture(scope="module")
def control():
    return trained()


@pytest.fixture(scope="module")
def other():
    """A branch whose norms, margins and updates are others."""
    return trained(HoldNorm(factor=1.4), lr=3e-3)


NEUTRAL = [
    ReplayNorms(),
    ReplayNorms(each="whole"),
    HoldNorm(factor=1e3, only_above=True),
    HoldNorm(factor=1e3, only_above=True, each="whole"),
    ScaleLogits(factor=1.0),
    MatchMargin(),
    Perpendicular(share=0.0),
    Perpendicular(share=0.0, each="whole"),
    SlowGradients(amplitude=0.0),
    SlowGradients(amplitude=0.0, how="shuffled"),
    SlowGradients(amplitude=0.0, how="subtracted"),
    ScaleUpdates(),
    ScaleUpdates(of="control"),
    RemoveSubspace(weight="embed.W_E", frequencies=(), order=11),
    RemoveSubspace(weight="embed.W_E", frequencies=(), order=11, acts_on="update"),
    Noise(size=0.0),
    AntitheticNoise(size=0.0),
    Freeze(parts=(), until=10),
    Freeze(parts=ALL_PARTS, until=0),
    ForgetMoments(parts=(), at=3),
    HoldDirections(parts=(), until=10),
    HoldDirections(parts=ALL_PARTS, until=0),
    SpectralEntropy(strength=0.0),
    RandomPenalty(strength=0.0),
]

ACTIVE = [
    ReplayNorms(factor=1.1),
    ReplayNorms(factor=1.1, each="whole"),
    HoldNorm(factor=0.9, rate=0.01),
    HoldNorm(factor=0.9, each="whole", only_above=True),
    ScaleLogits(factor=2.0),
    MatchMargin(),
    Perpendicular(),
    Perpendicular(each="whole", rescaled=False),
    SlowGradients(),
    SlowGradients(how="shuffled"),
    SlowGradients(how="subtracted", amplitude=0.5),
    ScaleUpdates(factor=0.5),
    ScaleUpdates(of="control"),
    RemoveSubspace(weight="embed.W_E", frequencies=(1, 4), order=11),
    RemoveSubspace(weight="embed.W_E", frequencies=(1, 4), order=11, acts_on="update", seed=3),
    ZeroSum(),
    Noise(size=1e-3),
    AntitheticNoise(size=1e-3),
    Freeze(parts=("attention", "embed.W_E"), until=8),
    ForgetMoments(parts=("mlp_in",), at=5),
    HoldDirections(parts=("mlp_out", "embedding"), until=8),
    SpectralEntropy(strength=0.1),
    RandomPenalty(strength=0.1),
]


def test_every_kind_is_among_the_rules_that_are_tried():
    # The gradient of the logits sums to zero already in float64: no parameter makes it the identity to the last bit.
    assert {rule.kind for rule in NEUTRAL} == set(KINDS) - {"zero-sum"}
    assert {rule.kind for rule in ACTIVE} == set(KINDS)


@pytest.mark.parametrize("rule", NEUTRAL, ids=str)
def test_a_neutral_rule_is_the_identity_to_the_last_bit(rule, control):
    found = trained(rule, paths={"control": control})
    assert same(found.weights, control.weights)
    for name in ("norm_error", "margin_error", "update_error"):
        assert all(row.get(name, torch.tensor(0.0)) == 0 for row in found.records)


@pytest.mark.parametrize("rule", ACTIVE, ids=str)
def test_a_rule_that_does_something_changes_the_run(rule, control, other):
    found = trained(rule, paths={"control": other})
    assert torch.isfinite(torch.stack([w.sum() for w in found.weights[-1].values()])).all()
    # 1e-9: in float64 the zero-sum gradient differs by rounding alone.
    least = 0 if rule.kind == "zero-sum" else 1e-5
    assert max((found.weights[-1][name] - w).abs().max() for name, w in control.weights[-1].items()) >= least
    assert all(torch.isfinite(x).all() and x.ndim == 0 for row in found.records for x in row.values())


@pytest.mark.parametrize("rule", ACTIVE, ids=str)
def test_what_is_resumed_equals_what_was_never_stopped(rule, other):
    whole = trained(rule, n=20, paths={"control": other})
    half = trained(rule, n=7, paths={"control": other})
    # As a file gives them back: other objects, names in another order.
    half.memory = [
        {kind: {name: w[name].clone() for name in sorted(w)} for kind, w in memory.items()}
        for memory in half.memory
    ]
    half.weights[-1] = {name: half.weights[-1][name].clone() for name in sorted(half.weights[-1])}
    found = trained(rule, n=13, paths={"control": other}, after=half)
    assert same(found.weights, whole.weights)


@pytest.mark.parametrize("rule", ACTIVE, ids=str)
def test_a_rule_on_a_stack_of_members_equals_the_rule_on_each(rule, other):
    members = [initial_weights(RECIPE.model, seed) for seed in (0, 1)]
    stack = {name: torch.stack([m[name] for m in members]) for name in members[0]}
    path = {f"control/{name}": x for name, x in other.path[8].items()}

    def acts(weights):
        """All that a rule gives at a step, the gradients in the place of a loop's."""
        now = Now(step=8, since=8, path=path, path_after=path)
        memory = rule.start(weights)
        gradients = rule.gradients({k: (3 * w).sin() for k, w in weights.items()}, weights, memory, now)
        logits = rule.logits(DATA.train_logits(weights), DATA.train.labels, now)
        after = rule.updated(weights, {k: w * 0.9 + 0.01 * w.cos() for k, w in weights.items()}, memory, now)
        penalty = rule.penalty(weights, now)
        return gradients, logits, after, memory, dict(now.records), () if penalty is None else penalty

    # Same: all members have the noise that each would have alone.
    stacked = vmap(acts, randomness="same")(stack)
    for i, member in enumerate(members):
        alone, one = acts(member), torch.utils._pytree.tree_map(lambda x, i=i: x[i], stacked)
        # Sums in another order.
        torch.testing.assert_close(one, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rule", [*NEUTRAL, *ACTIVE], ids=str)
def test_json_gives_back_what_it_was_given(rule):
    value = json.loads(json.dumps(rule_to_json(rule)))
    assert rule_from_json(value) == rule
    assert value["kind"] == rule.kind
    assert hash(rule_from_json(value)) == hash(rule)


def test_json_that_is_no_rule_is_refused():
    assert rule_from_json({"kind": "zero-sum"}) == ZeroSum()
    cases = [
        ({"kind": "clamp"}, r"a kind, one of replay-norms, hold-norm, .*, got 'clamp'\."),
        ({"factor": 1}, r"a kind, one of .* got \{'factor': 1\}\."),
        ([], r"a kind, one of .* got \[\]\."),
        (
            {"kind": "noise", "size": 1, "temprature": 2},
            r"has the fields kind, size, seed, got 'temprature'\. Kinds",
        ),
        ({"kind": "noise"}, r"'noise' cannot be made: size: Field required"),
        ({"kind": "noise", "size": "1"}, r"'noise' cannot be made: size: Input should be a valid number"),
        (
            {"kind": "hold-norm", "factor": -1},
            r"cannot be made: .*HoldNorm needs a finite factor of at least 1e-12, got -1",
        ),
    ]
    for value, message in cases:
        with pytest.raises(ValueError, match=message):
            rule_from_json(value)
    with pytest.raises(ValueError, match=r"one of replay-norms, .*, got a Rule\."):
        rule_to_json(Rule())


def test_fields_out_of_their_bounds_are_refused(annotations_off):
    cases = [
        (lambda: ReplayNorms(each="row"), "each to be one of 'tensor', 'whole', got 'row'"),
        (lambda: HoldNorm(rate=2.0), "HoldNorm needs a finite rate from -1 to 1, got 2.0"),
        (lambda: ScaleLogits(factor=math.inf), "ScaleLogits needs a finite factor of at least 0, got inf"),
        (lambda: MatchMargin(limit=0.5), "MatchMargin needs a finite limit of at least 1, got 0.5"),
        (lambda: Perpendicular(share=1.5), "Perpendicular needs a finite share from 0 to 1, got 1.5"),
        (lambda: SlowGradients(decay=-0.1), "SlowGradients needs a finite decay from 0 to 1"),
        (lambda: SlowGradients(how="halved"), "how to be one of 'added'"),
        (lambda: ScaleUpdates(limit=0.0), "ScaleUpdates needs a finite limit of at least 1"),
        (lambda: Noise(size=-1.0), "Noise needs a finite size of at least 0, got -1.0"),
        (lambda: Noise(size=1.0, seed=2**70), "seed of at most 18 digits"),
        (
            lambda: AntitheticNoise(size=math.nan),
            "AntitheticNoise needs a finite size of at least 0, got nan",
        ),
        (lambda: Freeze(parts=(), until=-1), "Freeze needs a finite until of at least 0, got -1"),
        (lambda: ForgetMoments(parts=(), at=-1), "ForgetMoments needs a finite at of at least 0"),
        (lambda: HoldDirections(parts=(), until=-1), "HoldDirections needs a finite until of at least 0"),
        (lambda: SpectralEntropy(strength=-1.0), "SpectralEntropy needs a finite strength of at least 0"),
        (lambda: RandomPenalty(strength=-1.0), "RandomPenalty needs a finite strength of at least 0"),
        (
            lambda: RemoveSubspace(weight="embed.W_E", frequencies=(6,), order=11),
            r"run from 1 to 5, got \[6\]",
        ),
        (
            lambda: RemoveSubspace(weight="embed.W_E", frequencies=(1,), order=3, names=(0, 1, 1)),
            r"names that hold each of 0 to 2 once and -1 elsewhere, got \(0, 1, 1\)",
        ),
    ]
    for make, message in cases:
        with annotations_off(), pytest.raises(ValueError, match=message):
            make()


def test_names_that_mean_no_weight_and_axes_that_hold_no_tokens_are_refused():
    weights = initial_weights(RECIPE.model, 0)
    kinds = [
        Freeze(parts=("attn",), until=1),
        ForgetMoments(parts=("attn",), at=1),
        HoldDirections(parts=("attn",), until=1),
        SpectralEntropy(strength=1.0, parts=("attn",)),
        RandomPenalty(strength=1.0, parts=("attn",)),
        RemoveSubspace(weight="attn", frequencies=(1,), order=11),
    ]
    for rule in kinds:
        with pytest.raises(
            ValueError, match=r"got 'attn'\. Its weights are .*unembed\.W_U; parts are embedding,"
        ):
            rule.check(weights, RECIPE)
    for changes in ({"order": 13}, {"axis": 5}):
        rule = RemoveSubspace(**{"weight": "embed.W_E", "frequencies": (1,), "order": 11} | changes)
        with pytest.raises(ValueError, match=r"rows along axis \d of embed\.W_E, got shape \(12, 16\)"):
            rule.check(weights, RECIPE)


# What is recorded.


def test_margins_and_norms_by_hand():
    torch.manual_seed(0)
    logits, labels = torch.randn(9, 5), torch.arange(9) % 5
    by_hand = 0.0
    for row, label in zip(logits.double().tolist(), labels.tolist(), strict=True):
        by_hand += (row[label] - max(x for i, x in enumerate(row) if i != label)) / 9
    # 1e-14: float64 throughout.
    assert mean_margin(logits, labels).item() == pytest.approx(by_hand, abs=1e-14)
    with pytest.raises(ValueError, match=r"at least two outputs, got 1\. It is the distance"):
        mean_margin(logits[:, :1], labels)
    weights = {"b": torch.randn(3, 4), "a": torch.randn(5)}
    assert tensor_norm(weights["b"]).dtype == torch.float64
    flat = torch.cat([w.double().flatten() for w in weights.values()])
    assert whole_norm(norms_of(weights)).item() == pytest.approx(flat.norm().item(), rel=1e-14)
    moved = {name: w + 0.5 for name, w in weights.items()}
    # 3e-7: the sum was rounded to float32.
    assert update_norm(weights, moved).item() == pytest.approx(0.5 * 17**0.5, rel=FLOAT32)


# Norms.


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


# Logits.


def test_scaled_logits_and_their_gradient():
    logits = torch.randn(4, 3, requires_grad=True)
    found = ScaleLogits(factor=2.5).logits(logits, torch.arange(4) % 3, Now(step=0, since=0))
    assert torch.equal(found, 2.5 * logits)
    found.sum().backward()
    assert torch.equal(logits.grad, torch.full((4, 3), 2.5))


def test_the_margin_follows_the_path_of_a_run_with_another_norm(other):
    found = trained(MatchMargin(of="other"), HoldNorm(), paths={"other": other})
    for step, record in enumerate(found.records):
        wanted = other.path[step]["margin"].item()
        scaled = DATA.train_logits(found.weights[step]) * record["scale"].float()
        # The rounding of float32 logits.
        assert mean_margin(scaled, DATA.train.labels).item() == pytest.approx(wanted, rel=1e-5)
        assert record["margin_error"] < 1e-5
    # There was something to match.
    assert abs(found.path[-1]["margin"] / other.path[-1]["margin"] - 1) > 0.05


@pytest.mark.parametrize(
    ("own", "wanted", "factor"),
    [
        (2.0, 3.0, 1.5),
        (-1.0, 3.0, 10),
        (2.0, -3.0, 0.1),
        (2.0, 100.0, 10),
        (-1.0, -2.0, 1),
        (100.0, 2.0, 0.1),
    ],
)
def test_margins_that_no_factor_matches_take_it_to_its_limit(own, wanted, factor):
    logits, labels = torch.tensor([[own, 0.0]], requires_grad=True), torch.tensor([0])
    now = Now(step=0, since=0, path={"control/margin": torch.tensor(wanted, dtype=torch.float64)})
    scaled = MatchMargin(limit=10.0).logits(logits, labels, now)
    assert now.records["scale"].item() == pytest.approx(factor)
    assert now.records["margin_error"].item() == pytest.approx(abs(factor * own - wanted) / abs(wanted))
    scaled.sum().backward()
    # The factor is a number: its own dependence on the logits is not differentiated.
    assert logits.grad.tolist() == [[pytest.approx(factor)] * 2]


def test_zero_sum_leaves_the_logits_and_centres_their_gradient():
    torch.manual_seed(0)
    raw = torch.randn(6, 5) * 5
    raw[:, 0] += 30
    labels = torch.zeros(6, dtype=torch.long)
    for kind in ("plain", "zero-sum"):
        logits = raw.clone().requires_grad_()
        seen = logits if kind == "plain" else ZeroSum().logits(logits, labels, Now(step=0, since=0))
        assert torch.equal(seen, raw)
        torch.nn.functional.cross_entropy(seen, labels).backward()
        sums, largest = logits.grad.sum(-1).abs(), logits.grad.abs().amax(-1)
        if kind == "plain":
            plain = logits.grad
            # The label's probability rounds to 1: nothing answers for the others' entries.
            assert (plain[:, 0] == 0).all() and (sums >= largest).all()
        else:
            by_hand = plain.double() - plain.double().sum(-1, keepdim=True) / 5
            torch.testing.assert_close(logits.grad, by_hand.float())
            # Five entries, each rounded to float32.
            assert (sums <= 5 * 6e-8 * largest).all() and largest.all()


# Gradients.


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


# Subspaces.


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


# Noise.


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


# Freezing.


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


# Penalties.


def test_spectral_entropy_by_hand_and_its_slope():
    torch.manual_seed(0)
    u = torch.linalg.qr(torch.randn(5, 3, dtype=torch.float64)).Q
    v = torch.linalg.qr(torch.randn(4, 3, dtype=torch.float64)).Q
    share = [0.5, 0.3, 0.2]
    w = (u * torch.tensor(share, dtype=torch.float64) * 7) @ v.T
    # 1e-9: float64 singular values.
    assert spectral_entropy(w).item() == pytest.approx(-sum(x * math.log(x) for x in share), abs=1e-9)
    assert spectral_entropy(u[:, :1] @ v[:, :1].T).item() == pytest.approx(0, abs=1e-9)
    w = torch.randn(5, 4, dtype=torch.float64)
    assert spectral_entropy(3 * w).item() == pytest.approx(spectral_entropy(w).item(), abs=1e-12)
    assert torch.autograd.gradcheck(spectral_entropy, w.requires_grad_())
    rank_one, zero = (
        torch.outer(torch.randn(5), torch.randn(4)).requires_grad_(),
        torch.zeros(3, 2, requires_grad=True),
    )
    (spectral_entropy(rank_one) + spectral_entropy(zero)).backward()
    assert rank_one.grad.isfinite().all() and zero.grad.isfinite().all()


def test_the_entropy_penalty_lowers_the_entropy_of_what_it_names():
    control, found = trained(), trained(SpectralEntropy(strength=0.5, parts=("embedding",)))
    entropies = [spectral_entropy(x.weights[-1]["embed.W_E"]).item() for x in (control, found)]
    assert entropies[1] < entropies[0] - 0.01
    start = found.weights[0]
    names = ("embed.W_E", "pos_embed.W_pos")
    assert found.records[0]["spectral_entropy"].item() == pytest.approx(
        sum(spectral_entropy(start[name]).item() for name in names), rel=1e-5
    )


def test_the_random_penalty_has_the_gradient_norm_of_the_entropy_penalty_and_another_direction():
    def slopes(rule):
        live = {name: w.clone().requires_grad_() for name, w in initial_weights(RECIPE.model, 0).items()}
        now = Now(step=0, since=0)
        rule.penalty(live, now).backward()
        return {name: w.grad for name, w in live.items() if w.grad is not None}, now.records

    entropy, first = slopes(SpectralEntropy(strength=0.7))
    found, records = slopes(RandomPenalty(strength=0.7, seed=3))
    assert set(found) == set(entropy) == {name for name in initial_weights(RECIPE.model, 0) if "W_" in name}
    for name, g in found.items():
        assert g.norm().item() == pytest.approx(entropy[name].norm().item(), rel=1e-4)
        # Cosines of random directions are of the order 1 / sqrt(entries); 48 entries at least.
        assert abs(torch.cosine_similarity(g.flatten(), entropy[name].flatten(), 0)) < 0.5
    assert records["penalty_gradient"].item() == pytest.approx(whole_norm(norms_of(entropy)).item(), rel=1e-4)
    assert records["spectral_entropy"].item() == pytest.approx(first["spectral_entropy"].item(), rel=1e-5)
    again, _ = slopes(RandomPenalty(strength=0.7, seed=4))
    assert not torch.allclose(again["embed.W_E"], found["embed.W_E"])


def test_needs_name_the_columns_of_the_path():
    names = ("embed.W_E", "unembed.W_U")
    assert ReplayNorms(of="norm").needs(names) == ("norm/norm/embed.W_E", "norm/norm/unembed.W_U")
    assert MatchMargin().needs(names) == ("control/margin",)
    assert ScaleUpdates(of="slow").needs(names) == ("slow/update_norm",) and ScaleUpdates().needs(names) == ()
    assert all(
        rule.needs(names) == ()
        for rule in ACTIVE
        if not getattr(rule, "of", None) or isinstance(rule.of, tuple)
    )

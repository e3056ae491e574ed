"""Rules: neutral ones are the identity to the last bit, and each does what it says, against its law written out."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch.func import vmap

from interp.networks.config import initial_weights
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
    ReplayTurning,
    ScaleLogits,
    ScaleUpdates,
    SlowGradients,
    SpectralEntropy,
    ZeroSum,
    rule_from_json,
    rule_to_json,
)
from interp.training.rules.base import Now, Rule
from tests.thinned import thinned
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
    ReplayTurning(),
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
    ReplayTurning(factor=1.1, speed=0.5),
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


def test_the_page_has_a_row_for_each_rule_with_what_it_records(other):
    lines = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8").splitlines()
    begin = {kind: f"| `{rule.__name__}` (`{kind}`) |" for kind, rule in KINDS.items()}
    rows = {kind: [line for line in lines if line.startswith(begin[kind])] for kind in KINDS}
    assert all(len(row) == 1 for row in rows.values())
    for rule in ACTIVE:
        recorded = trained(rule, n=1, paths={"control": other}).records[0]
        assert all(f"`{name}`" in rows[rule.kind][0] for name in recorded), (rule.kind, list(recorded))
        assert all(f"{name}" in type(rule).__doc__ for name in recorded)


@pytest.mark.parametrize("rule", thinned(NEUTRAL, 4), ids=str)
def test_a_neutral_rule_is_the_identity_to_the_last_bit(rule, control):
    found = trained(rule, paths={"control": control})
    assert same(found.weights, control.weights)
    for name in ("norm_error", "margin_error", "update_error"):
        assert all(row.get(name, torch.tensor(0.0)) == 0 for row in found.records)
    # Turning is known of the path by the update, of the weights by each tensor: the same to the root of rounding.
    assert all(row.get("turning_error", torch.tensor(0.0)) < 1e-7 for row in found.records)


@pytest.mark.parametrize("rule", ACTIVE, ids=str)
def test_a_rule_that_does_something_changes_the_run(rule, control, other):
    found = trained(rule, paths={"control": other})
    assert torch.isfinite(torch.stack([w.sum() for w in found.weights[-1].values()])).all()
    # 1e-9: in float64 the zero-sum gradient differs by rounding alone.
    least = 0 if rule.kind == "zero-sum" else 1e-5
    assert max((found.weights[-1][name] - w).abs().max() for name, w in control.weights[-1].items()) >= least
    assert all(torch.isfinite(x).all() and x.ndim == 0 for row in found.records for x in row.values())


@pytest.mark.parametrize("rule", thinned(ACTIVE, 3), ids=str)
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
    for rule in (
        SpectralEntropy(strength=1.0, parts=("blocks.0.mlp.b_in",)),
        RandomPenalty(strength=1.0, parts=("blocks.0.mlp.b_in",)),
    ):
        with pytest.raises(
            ValueError, match=r"at least one matrix, got \('blocks\.0\.mlp\.b_in',\)\. Vectors"
        ):
            rule.check(weights, RECIPE)
    for changes in ({"order": 13}, {"axis": 5}):
        rule = RemoveSubspace(**{"weight": "embed.W_E", "frequencies": (1,), "order": 11} | changes)
        with pytest.raises(ValueError, match=r"rows along axis \d of embed\.W_E, got shape \(12, 16\)"):
            rule.check(weights, RECIPE)


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

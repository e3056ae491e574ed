"""Rules on the logits that the loss is taken of, and penalties."""

import math

import pytest
import torch

from interp.networks.config import initial_weights
from interp.training.rules import (
    HoldNorm,
    MatchMargin,
    RandomPenalty,
    ScaleLogits,
    SpectralEntropy,
    ZeroSum,
)
from interp.training.rules.base import Now
from interp.training.rules.penalties import spectral_entropy
from interp.training.rules.recorded import mean_margin, norms_of, whole_norm
from tests.training.rules_loop import DATA, RECIPE, trained


@pytest.fixture(scope="module")
def other():
    """A branch whose norms, margins and updates are others."""
    return trained(HoldNorm(factor=1.4), lr=3e-3)


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

"""The sampler against exact integrals of singular losses, whose learning coefficients are known in closed form.

What Langevin chains should return at a finite nbeta and localization is an integral, done here by quadrature; that the
integral tends to the learning coefficient as nbeta grows is checked beside it, with the error that is left.
"""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from interp.probes.landscape.learning_coefficient import learning_coefficient, sample_chains, split_r_hat
from interp.snapshots.snapshot import Snapshot
from tests import hand_built
from tests.thinned import of_several


def estimate(losses, start, **settings):
    """Learning coefficient and its standard error over independent chains."""
    chains = sample_chains(losses, torch.as_tensor(start, dtype=torch.float64), seed=0, **settings)
    by_chain = settings["nbeta"] * (chains.losses - chains.loss).mean(0)
    return by_chain.mean().item(), (by_chain.std() / len(by_chain) ** 0.5).item(), chains


def grid(nbeta, localization):
    """Points of (0, infinity), dense where the posterior of a singular loss is, and their weights."""
    u = np.linspace(0, np.arcsinh(12 * (nbeta / localization) ** 0.5), 1500)
    return np.sinh(u) / nbeta**0.5, np.cosh(u)


def exact_product(nbeta, g):
    """nbeta E[x^2 y^2] under exp(-nbeta x^2 y^2 - g (x^2 + y^2) / 2): y is normal given x, x by quadrature."""
    x = lambda u: np.sinh(u) / nbeta**0.5  # noqa: E731
    weight = lambda u: np.exp(-g * x(u) ** 2 / 2) / np.sqrt(2 * nbeta * x(u) ** 2 + g) * np.cosh(u)  # noqa: E731
    mean = lambda u: weight(u) * nbeta * x(u) ** 2 / (2 * nbeta * x(u) ** 2 + g)  # noqa: E731
    top = np.arcsinh(12 * (nbeta / g) ** 0.5)
    return quad(mean, 0, top, limit=500)[0] / quad(weight, 0, top, limit=500)[0]


def exact_deep_linear(nbeta, g):
    """nbeta E[|W2 W1|^2 / 2] for 2x2 matrices around zero: W2 is normal given W1, W1 by its two singular values."""
    x, dx = grid(nbeta, g)
    s, t = np.meshgrid(x, x)
    weight = np.abs(s**2 - t**2) * np.exp(-g * (s**2 + t**2) / 2) * np.outer(dx, dx)
    weight /= (nbeta * s**2 + g) * (nbeta * t**2 + g)
    mean = nbeta * s**2 / (nbeta * s**2 + g) + nbeta * t**2 / (nbeta * t**2 + g)
    return (weight * mean).sum() / weight.sum()


def deep_linear(target):
    def losses(points):
        w1, w2 = points[:, :4].reshape(-1, 2, 2), points[:, 4:].reshape(-1, 2, 2)
        return (w2 @ w1 - target).square().sum((1, 2)) / 2

    return losses


def test_regular_quadratic_is_half_its_dimension():
    h = torch.tensor([0.5, 1, 1, 1.5, 2, 2], dtype=torch.float64)
    nbeta, g, epsilon = 1000.0, 1.0, 1e-4
    found, error, _ = estimate(
        lambda x: (h * x.square()).sum(1) / 2,
        torch.zeros(6),
        nbeta=nbeta,
        step_size=epsilon,
        localization=g,
        n_chains=200,
        burn_in=300,
        n_draws=50,
        interval=20,
    )
    # Each coordinate is an autoregression with a stationary variance of 1 / (a (1 - epsilon a / 4)).
    a = nbeta * h + g
    expected = (nbeta * h / 2 / (a * (1 - epsilon * a / 4))).sum().item()
    assert error < 0.03
    assert found == pytest.approx(expected, abs=4 * error)
    assert expected == pytest.approx(3, rel=0.05)  # d/2; finite steps add 3 %


@pytest.mark.slow
def test_product_of_squares_tends_to_one_half_as_slowly_as_theory_says():
    nbeta, g = 100.0, 4.0
    found, error, _ = estimate(
        lambda x: (x[:, 0] * x[:, 1]).square(),
        torch.zeros(2),
        nbeta=nbeta,
        step_size=5e-4,
        localization=g,
        n_chains=256,
        burn_in=3000,
        n_draws=40,
        interval=100,
    )
    assert error < 0.01
    # 4 standard errors, and 3 % for the finite step (epsilon a / 4 with a = 2 nbeta x^2, x of 0.5 to 1).
    assert found == pytest.approx(exact_product(nbeta, g), abs=4 * error + 0.03 * found)
    # Multiplicity 2: 1/2 - 1 / log(nbeta) + ..., so 0.27 at nbeta 100 is right and still 0.05 short at 1e9.
    assert exact_product(nbeta, g) == pytest.approx(0.272, abs=0.001)
    for n in (1e6, 1e9, 1e12):
        assert 0 < 0.5 - exact_product(n, g) < 1.1 / np.log(n)


@pytest.mark.parametrize(("rank", "coefficient"), of_several([(1, 2.0), (0, 1.5)], 2))
def test_deep_linear_network_has_the_coefficient_of_reduced_rank_regression(rank, coefficient):
    """2x2 by 2x2, 8 parameters (a regular loss would have 4). Aoyagi and Watanabe 2005, case 1: 3/2 and 2."""
    target = torch.diag(torch.tensor([1.0, 0.0] if rank else [0.0, 0.0], dtype=torch.float64))
    nbeta, g = 200.0, 4.0
    found, error, _ = estimate(
        deep_linear(target),
        torch.cat([target.reshape(-1), target.reshape(-1)]),
        nbeta=nbeta,
        step_size=3e-4,
        localization=g,
        n_chains=200,
        burn_in=3000,
        n_draws=30,
        interval=80,
    )
    # At rank 1 three directions are regular (curvatures 2, 1, 1) and what is left is the product, L = a^2 b^2 / 2.
    exact = {0: exact_deep_linear, 1: lambda n, g: _regular(n, g, [2, 1, 1]) + exact_product(n / 2, g)}[rank]
    assert error < 0.02
    # 3 %: the finite step, epsilon a / 4 with a = 2 nbeta.
    assert found == pytest.approx(exact(nbeta, g), abs=4 * error + 0.03 * found)
    # What finite nbeta leaves: 0.3 here, and at rank 1 the slow logarithm of the product.
    assert exact(nbeta, g) == pytest.approx(coefficient, abs=0.33)
    assert exact(1e9, g) == pytest.approx(coefficient, abs=0.002 if rank == 0 else 1.1 / np.log(1e9))


def _regular(nbeta, g, curvatures):
    return sum(nbeta * h / (nbeta * h + g) / 2 for h in curvatures)


def test_acceptance_is_that_of_a_metropolis_test():
    """One update of each of many chains, its probability of acceptance from normal densities."""
    nbeta, g, epsilon, n = 8.0, 2.0, 0.4, 50
    potential = lambda x: nbeta * x.cosh().log().sum(1) + g / 2 * (x - 0.7).square().sum(1)  # noqa: E731

    def drift(x):
        return x - epsilon / 2 * (nbeta * x.tanh() + g * (x - 0.7))

    visited = []

    def losses(x):
        visited.append(x.detach().clone())
        return x.cosh().log().sum(1)

    chains = sample_chains(
        losses,
        torch.full((2,), 0.7, dtype=torch.float64),
        nbeta=nbeta,
        step_size=epsilon,
        localization=g,
        n_chains=n,
        burn_in=3,
        n_draws=4,
        interval=1,
        seed=1,
    )
    # Evaluations: here x 3 in the burn-in, then (here, there, draw) x 4.
    log_density = lambda to, of: -(to - drift(of)).square().sum(1) / (2 * epsilon)  # noqa: E731
    expected = torch.zeros(n, dtype=torch.float64)
    for draw in range(4):
        here, there = visited[3 + 3 * draw], visited[4 + 3 * draw]
        log_ratio = potential(here) - potential(there) + log_density(here, there) - log_density(there, here)
        expected += log_ratio.clamp(max=0).exp() / 4
    assert 0.05 < expected.mean() < 0.95
    torch.testing.assert_close(chains.acceptance, expected, rtol=1e-9, atol=1e-12)  # float64 throughout


def test_where_the_loss_is_flat_the_chains_fill_the_ball_that_localization_leaves():
    g, epsilon, d = 100.0, 2e-3, 400
    _, _, chains = estimate(
        lambda x: x.sum(1) * 0 + 1.5,
        torch.ones(d),
        nbeta=10.0,
        step_size=epsilon,
        localization=g,
        n_chains=8,
        burn_in=100,
        n_draws=20,
        interval=5,
    )
    assert chains.loss == 1.5 and (chains.losses == 1.5).all()
    # Stationary variance as in the quadratic; 2 %: 8 chains x 20 draws of a norm over 400 coordinates (0.04 each).
    assert chains.distance.mean() == pytest.approx((d / (g * (1 - epsilon * g / 4))) ** 0.5, rel=0.02)


def test_split_r_hat_is_one_for_agreeing_chains_and_sees_drift_and_disagreement():
    draws = torch.randn(400, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert split_r_hat(draws) == pytest.approx(1, abs=0.02)  # about 1 / draws expected
    assert split_r_hat(draws + torch.arange(4) * 2) > 1.5
    assert split_r_hat(draws + torch.linspace(0, 4, 400)[:, None].double()) > 1.3
    halves = np.concatenate([draws[:200].numpy(), draws[200:].numpy()], 1)
    within, between = halves.var(0, ddof=1).mean(), 200 * halves.mean(0).var(ddof=1)
    assert split_r_hat(draws) == pytest.approx((199 / 200 + between / within / 200) ** 0.5, rel=1e-12)
    assert np.isnan(split_r_hat(torch.ones(8, 2)))


QUICK = {"n_chains": 3, "burn_in": 40, "n_draws": 20, "interval": 2, "step_size": 1e-3, "localization": 100.0}


@pytest.mark.slow
def test_probe_states_its_settings_and_repeats_itself():
    snapshot = hand_built.memorizer(7)
    n = int(snapshot.is_train.sum())
    table = learning_coefficient(snapshot, **QUICK)
    assert table["chain"].tolist() == [0, 1, 2]
    assert (table["nbeta"] == n / np.log(n)).all() and (table["n"] == n).all()
    assert (table["batch_size"] == n).all()  # 512 is more than there are
    for name in ("burn_in", "n_draws", "interval", "step_size", "localization"):
        assert (table[name] == QUICK[name]).all()
    assert table["loss"][0] == pytest.approx(snapshot.losses[snapshot.is_train].mean().item(), rel=1e-6)
    np.testing.assert_allclose(
        (table["llc_first_half"] + table["llc_second_half"]) / 2, table["llc"], rtol=1e-6
    )  # float32 weights
    assert table.equals(learning_coefficient(snapshot, **QUICK))
    assert not table.equals(learning_coefficient(snapshot, **QUICK, seed=1))


@pytest.mark.slow
def test_batches_give_the_same_coefficient_within_their_noise():
    snapshot = hand_built.memorizer(7)
    full = learning_coefficient(snapshot, **QUICK)["llc"]
    batches = learning_coefficient(snapshot, **QUICK, batch_size=12)["llc"]
    assert (full > 0).all()
    # 4 standard deviations over chains of both together.
    assert abs(full.mean() - batches.mean()) < 4 * (full.std() ** 2 + batches.std() ** 2) ** 0.5


@pytest.mark.slow
def test_a_network_that_no_perturbation_reaches_has_a_small_coefficient():
    """Neurons far below their threshold and no unembedding: the logits move in second order of the noise only."""
    snapshot = hand_built.memorizer(7)
    dead = hand_built.random_network(7)
    weights = {**dead.weights, "blocks.0.mlp.b_in": torch.full((32,), -1e3)}
    weights["unembed.W_U"] = weights["unembed.W_U"] * 0
    silent = Snapshot(0, weights, dead.network, dead.task)
    settings = {**QUICK, "localization": 1000.0, "step_size": 1e-4, "burn_in": 100}
    low = learning_coefficient(silent, **settings)["llc"].mean()
    assert low < learning_coefficient(snapshot, **settings)["llc"].mean() / 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: hand_built.clock([1, 2], 7),
        lambda: hand_built.pizza([1], 7),
        lambda: hand_built.random_network(7),
        lambda: hand_built.random_network(7, n_layers=2),
    ],
    ids=["clock", "pizza", "random", "two layers"],
)
def test_probe_on_known_networks(make):
    table = learning_coefficient(make(), **{**QUICK, "step_size": 1e-4, "localization": 1000.0})
    assert np.isfinite(table.to_numpy(dtype=float)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"nbeta": -1.0}, r"nbeta and step_size > 0 and localization >= 0, got nbeta=-1.0"),
        ({"step_size": 0.0}, r"got nbeta=\d.*, step_size=0.0"),
        ({"n_draws": 3}, r"at least 1 chain, 4 draws, .* n_draws=3"),
        ({"batch_size": 0}, r"batch_size of at least 1, or None for all rows, got 0"),
        (
            {"step_size": 1e12},
            r"left the region of finite losses after \d+ updates: step_size=1000000000000.0",
        ),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        learning_coefficient(hand_built.memorizer(7), **{**QUICK, **settings})

"""Laws of the Fourier analysis, and dense matrices written out as a second opinion.

Tolerance 1e-10 throughout: float64, sums of at most a few thousand terms of order 1 to 10.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.mathematics import fourier

ORDERS = [2, 3, 4, 5, 8, 13, 16, 31]
close = {"atol": 1e-10, "rtol": 0}


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def wave(n, k, phase=0.0):
    return torch.cos(2 * torch.pi * k * torch.arange(n, dtype=torch.float64) / n + phase)


def dense_sum_projector(n, k):
    """u_k u_k^T + v_k v_k^T on tables flattened to n^2, with u_k, v_k the unit vectors of cos and sin of w_k(a+b)."""
    t = torch.arange(n, dtype=torch.float64)
    angle = (2 * torch.pi * k * (t[:, None] + t[None, :]) / n).reshape(-1)
    vectors = [angle.cos()] if 2 * k == n else [angle.cos(), angle.sin()]
    return sum(torch.outer(v, v) / v.dot(v) for v in vectors)


@pytest.mark.parametrize("n", ORDERS)
def test_basis_is_orthonormal(n):
    basis = fourier.fourier_basis(n)
    assert basis.shape == (n, n)
    torch.testing.assert_close(basis @ basis.T, torch.eye(n, dtype=torch.float64), **close)


@pytest.mark.parametrize("n", ORDERS)
def test_basis_rows_are_the_waves_in_the_stated_order(n):
    basis, frequency = fourier.fourier_basis(n), fourier.frequency_of_component(n)
    assert frequency.tolist() == sorted(frequency.tolist())
    for k in range(n // 2 + 1):
        rows = basis[frequency == k]
        assert len(rows) == (1 if k == 0 or 2 * k == n else 2)
        for row, phase in zip(rows, [0.0, -torch.pi / 2], strict=False):
            want = wave(n, k, phase)
            torch.testing.assert_close(row, want / want.norm(), **close)


@pytest.mark.parametrize("n", ORDERS)
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_transform_is_the_dense_product(n, dim):
    shape = [3, 4, 2]
    shape[dim] = n
    x = numbers(*shape)
    want = torch.tensordot(fourier.fourier_basis(n), x.movedim(dim, 0), 1).movedim(0, dim)
    torch.testing.assert_close(fourier.transform(x, dim), want, **close)


@pytest.mark.parametrize("n", ORDERS)
def test_transform_2d_is_the_dense_product(n):
    x, basis = numbers(n, n, 3), fourier.fourier_basis(n)
    want = torch.einsum("fa,gb,abr->fgr", basis, basis, x)
    torch.testing.assert_close(fourier.transform_2d(x), want, **close)


@pytest.mark.parametrize("n", ORDERS)
def test_parseval(n):
    x = numbers(n, 5)
    torch.testing.assert_close(fourier.transform(x).square().sum(0), x.square().sum(0), **close)
    torch.testing.assert_close(fourier.power(x).sum(0), x.square().sum(0), **close)
    torch.testing.assert_close(fourier.power(x.T, dim=1), fourier.power(x).T, **close)
    table = numbers(n, n)
    torch.testing.assert_close(fourier.transform_2d(table).square().sum(), table.square().sum(), **close)


@pytest.mark.parametrize("n", [3, 8, 13, 112, 113])
def test_every_planted_frequency_is_found_and_no_other(n):
    for k in range(n // 2 + 1):
        power = fourier.power(wave(n, k, phase=0.0 if 2 * k == n else 0.3))
        assert len(power) == n // 2 + 1
        assert power.argmax() == k
        assert power.sum() - power[k] < 1e-10


@given(n=st.integers(3, 20), shift=st.integers(0, 40), seed=st.integers(0, 9))
def test_power_does_not_see_a_shift(n, shift, seed):
    x = numbers(n, 2, seed=seed)
    torch.testing.assert_close(fourier.power(x.roll(shift, 0)), fourier.power(x), **close)


@given(p=st.sampled_from([3, 5, 7, 13, 17]), seed=st.integers(0, 9), data=st.data())
def test_relabelling_residues_permutes_frequencies(p, seed, data):
    factor = data.draw(st.integers(1, p - 1))
    x, t = numbers(p, seed=seed), torch.arange(p)
    # y[t] = x[factor * t]: frequency k of x becomes factor * k of y, up to sign.
    power, relabelled = fourier.power(x), fourier.power(x[factor * t % p])
    moved = [min(factor * k % p, -factor * k % p) for k in range(p // 2 + 1)]
    torch.testing.assert_close(relabelled[moved], power, **close)


@pytest.mark.parametrize("n", [4, 5, 9])
def test_mean_over_sum_is_the_mean_of_the_anti_diagonals(n):
    x = numbers(n, n, 2)
    for s in range(n):
        want = sum(x[a, (s - a) % n] for a in range(n)) / n
        torch.testing.assert_close(fourier.mean_over_sum(x)[s], want, **close)


@pytest.mark.parametrize("n", [4, 5, 8, 9])
def test_projection_on_sum_frequencies_is_the_dense_projector(n):
    x = numbers(n, n, 3)
    for ks in [[1], [n // 2], list(range(1, n // 2 + 1)), []]:
        dense = sum((dense_sum_projector(n, k) for k in ks), torch.zeros(n * n, n * n, dtype=torch.float64))
        want = (dense @ x.reshape(n * n, 3)).reshape(n, n, 3)
        torch.testing.assert_close(fourier.project_on_sum_frequencies(x, ks), want, **close)


@given(n=st.integers(3, 12), data=st.data())
def test_projections_are_idempotent_and_add_up(n, data):
    ks = data.draw(st.sets(st.integers(1, n // 2)))
    rest = set(range(1, n // 2 + 1)) - ks
    table, x = numbers(n, n, 2), numbers(n, 2)
    once = fourier.project_on_sum_frequencies(table, ks)
    torch.testing.assert_close(fourier.project_on_sum_frequencies(once, ks), once, **close)
    torch.testing.assert_close(
        fourier.project_on_sum_frequencies(once, rest), torch.zeros_like(once), **close
    )
    once = fourier.filter_frequencies(x, ks)
    torch.testing.assert_close(fourier.filter_frequencies(once, ks), once, **close)
    torch.testing.assert_close(once + fourier.filter_frequencies(x, rest | {0}), x, **close)


def test_naming_a_frequency_twice_changes_nothing():
    table = numbers(7, 7)
    torch.testing.assert_close(
        fourier.project_on_sum_frequencies(table, [2, 2]), fourier.project_on_sum_frequencies(table, [2])
    )


@pytest.mark.parametrize("n", [4, 5, 8, 11])
def test_clock_coefficients_are_products_with_dense_cubes(n):
    logits, t = numbers(n, n, n), torch.arange(n, dtype=torch.float64)
    s = t[:, None, None] + t[None, :, None] - t
    want = []
    for k in range(1, n // 2 + 1):
        cube = torch.cos(2 * torch.pi * k * s / n)
        want.append((logits * cube).sum() / cube.norm())
    torch.testing.assert_close(fourier.clock_coefficients(logits), torch.stack(want), **close)


def test_clock_coefficients_do_not_see_functions_of_the_pair_or_of_the_answer():
    n = 9
    clock = fourier.clock_coefficients(numbers(n, n, 1) + numbers(n, seed=1) + torch.zeros(n, n, n))
    torch.testing.assert_close(clock, torch.zeros_like(clock), **close)


@given(m=st.integers(1, 30), seed=st.integers(0, 20))
def test_gini_is_the_mean_absolute_difference(m, seed):
    x = numbers(m, seed=seed).abs() + 1e-3
    want = (x[:, None] - x[None, :]).abs().mean() / (2 * x.mean())
    assert fourier.gini(x) == pytest.approx(want.item(), abs=1e-12)
    assert fourier.gini(7 * x) == pytest.approx(fourier.gini(x), abs=1e-12)


def test_gini_extremes():
    assert fourier.gini(torch.full((20,), 3.0)) == pytest.approx(0, abs=1e-12)
    assert fourier.gini(torch.eye(20)[3]) == pytest.approx(19 / 20)


def test_errors(annotations_off):
    with pytest.raises(ValueError, match="a group of order at least 2, got 1"):
        fourier.fourier_basis(1)
    with pytest.raises(ValueError, match="a group of order at least 2, got 1"):
        fourier.transform(torch.zeros(1))
    # 0 is the constant: it is not a frequency of the sum, but can be filtered.
    with pytest.raises(
        ValueError, match=r"Frequencies on Z_13 run from 1 to 6, got \[0, 7\].*use the smaller"
    ):
        fourier.project_on_sum_frequencies(torch.zeros(13, 13), [0, 2, 7])
    with pytest.raises(ValueError, match=r"Frequencies on Z_13 run from 0 to 6, got \[-1\]"):
        fourier.filter_frequencies(torch.zeros(13), [0, -1])
    with pytest.raises(ValueError, match="needs non-negative numbers, at least one of them positive"):
        fourier.gini(torch.zeros(3))
    with pytest.raises(ValueError, match="needs non-negative numbers"):
        fourier.gini(torch.tensor([1.0, -1.0]))
    with annotations_off():
        with pytest.raises(ValueError, match=r"needs a table \(n, n, ...\), got shape \(3, 4\)"):
            fourier.transform_2d(torch.zeros(3, 4))
        with pytest.raises(ValueError, match=r"need a cube \(n, n, n\) of logits, got \(3, 3, 4\)"):
            fourier.clock_coefficients(torch.zeros(3, 3, 4))

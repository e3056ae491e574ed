"""Powers read off means along lines are those of the 2-D transform."""

import pytest
import torch

from interp.mathematics import fourier
from interp.mathematics.lines import LineMeans, antisymmetric_power, linear_power, quadratic_power

close = {"rtol": 1e-10, "atol": 1e-10}


def table(n):
    return torch.randn(n, n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) + 5


@pytest.mark.parametrize("n", [3, 4, 7, 12])
def test_means_are_those_of_a_loop_over_pairs(n):
    x, lines = table(n), LineMeans.of(table(n))
    for t in range(n):
        pairs = [(a, b) for a in range(n) for b in range(n)]
        for got, of in (
            (lines.first, lambda a, b: a),
            (lines.second, lambda a, b: b),
            (lines.sums, lambda a, b: (a + b) % n),
            (lines.differences, lambda a, b: (a - b) % n),
        ):
            want = torch.stack([x[a, b] for a, b in pairs if of(a, b) == t])
            assert len(want) == n
            torch.testing.assert_close(got[t], want.mean(0), **close)


@pytest.mark.parametrize("n", [3, 4, 7, 12])
def test_powers_are_those_of_the_cells_of_the_transform(n):
    lines, power = LineMeans.of(table(n)), fourier.transform_2d(table(n)).square()
    component = fourier.frequency_of_component(n)
    linear, quadratic = linear_power(lines), quadratic_power(lines)
    assert len(linear) == len(quadratic) == n // 2
    for k in range(1, n // 2 + 1):
        own = (component == k).nonzero().squeeze(1)
        torch.testing.assert_close(linear[k - 1], power[own, 0].sum(0) + power[0, own].sum(0), **close)
        torch.testing.assert_close(quadratic[k - 1], power[own][:, own].sum((0, 1)), **close)


@pytest.mark.parametrize("n", [5, 6])
def test_antisymmetric_power_is_that_of_a_difference_of_waves(n):
    t = torch.arange(n, dtype=torch.float64)
    for k in range(1, n // 2 + 1):
        wave = torch.cos(2 * torch.pi * k * t / n)
        both = torch.stack([wave[:, None] - wave[None, :], wave[:, None] + wave[None, :]], 2)
        power = antisymmetric_power(LineMeans.of(both))
        want = torch.zeros(n // 2, 2, dtype=torch.float64)
        want[k - 1, 0] = both[..., 0].square().sum()
        torch.testing.assert_close(power, want, **close)

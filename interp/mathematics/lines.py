"""A table over pairs (a, b) along its lines: what depends on a, on b, on a+b or on a-b alone, by frequency.

The products of {cos w_k a, sin w_k a} and {cos w_k b, sin w_k b} span the same four functions as the cosines and sines
of w_k(a+b) and of w_k(a-b). So the power of a table at one frequency in both operands is that of its means over the
pairs of one sum, and of one difference: 4 n^2 additions instead of a 2-D transform of n^3 products.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.mathematics import fourier
from interp.mathematics.relabelling import ROUNDED_UP


@dataclass(frozen=True, eq=False)
class LineMeans:
    """Means of a table x[a, b] along each kind of line.

    Attributes:
        first, second: over the pairs of one a, and of one b.
        sums, differences: over the pairs of one a + b, and of one a - b (mod n).
    """

    first: Float[Tensor, " n *rest"]
    second: Float[Tensor, " n *rest"]
    sums: Float[Tensor, " n *rest"]
    differences: Float[Tensor, " n *rest"]

    @classmethod
    def of(cls, x: Float[Tensor, "n n *rest"]) -> "LineMeans":
        n = x.shape[0]
        t = torch.arange(n, device=x.device)
        difference = ((t[:, None] - t) % n).reshape(-1)
        by_difference = x.new_zeros((n, *x.shape[2:])).index_add_(
            0, difference, x.reshape(n * n, *x.shape[2:])
        )
        return cls(x.mean(1), x.mean(0), fourier.mean_over_sum(x), by_difference / n)


def linear_power(lines: LineMeans) -> Float[Tensor, " frequency *rest"]:
    """Squared norm of a table in {cos w_k a, sin w_k a, cos w_k b, sin w_k b}, for k = 1 .. n//2."""
    return _power(lines.first) + _power(lines.second)


def quadratic_power(lines: LineMeans) -> Float[Tensor, " frequency *rest"]:
    """Squared norm of a table in the products of a wave of a and a wave of b of equal frequency k = 1 .. n//2.

    >>> x = torch.randn(5, 5, dtype=torch.float64)
    >>> power = fourier.transform_2d(x).square()
    >>> bool(torch.isclose(quadratic_power(LineMeans.of(x))[1], power[3:, 3:].sum()))
    True
    """
    of_sums, of_differences = _power(lines.sums), _power(lines.differences)
    if len(lines.sums) % 2 == 0:
        # At k = n/2 the waves of a+b and of a-b are one function.
        of_differences[-1] = 0
    return of_sums + of_differences


def antisymmetric_power(lines: LineMeans) -> Float[Tensor, " frequency *rest"]:
    """Squared norm in {cos w_k a - cos w_k b, sin w_k a - sin w_k b}, for k = 1 .. n//2."""
    return _power(lines.first - lines.second) / 2


def _power(means: Float[Tensor, " n *rest"]) -> Float[Tensor, " frequency *rest"]:
    """Squared norm over all pairs of the table that has these means along its lines and does not vary on them."""
    n = means.shape[0]
    # A dense product: for prime n it is faster than an FFT.
    squares = (fourier.fourier_basis(n, means.dtype).to(means.device) @ means.reshape(n, -1)).square()
    power = squares.new_zeros((fourier.n_frequencies(n) + 1, squares.shape[1]))
    power.index_add_(0, fourier.frequency_of_component(n).to(means.device), squares)
    return n * power[1:].reshape(-1, *means.shape[1:])


def one_frequency_power(lines: LineMeans) -> Float[Tensor, " frequency *rest"]:
    """Squared norm in the eight non-constant products of {1, cos w_k a, sin w_k a} and the same of b."""
    return linear_power(lines) + quadratic_power(lines)


def one_frequency_null(
    x: Float[Tensor, "n n column"], names: Int[Tensor, "draw n"]
) -> Float[Tensor, " column"]:
    """The most `one_frequency_power` of each column after the residues of both operands were given random names."""
    if not len(names):
        return x.new_full((x.shape[2],), torch.inf)
    renamed = (x[order[:, None], order] for order in names)
    powers = [one_frequency_power(LineMeans.of(table)).amax(0) for table in renamed]
    return ROUNDED_UP * torch.stack(powers).amax(0)

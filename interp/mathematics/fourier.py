"""Real Fourier analysis on Z_n: basis, power per frequency, 1-D and 2-D transforms, projections.

Conventions, fixed here once. Components are ordered as in Nanda et al. 2023: row 0 is the constant, rows
2k-1 and 2k are the cosine and the sine of frequency k = 1 .. (n-1)/2; for even n the last row is the lone cosine
of the Nyquist frequency n/2, whose sine is zero. All rows have norm 1, so every transform here is orthonormal and
Parseval holds as it stands. Frequencies k and n-k are the same frequency.

A function of the sum s = a+b mod n is constant along the anti-diagonals of an (a, b) table. The projections onto
cos(w_k(a+b)) and sin(w_k(a+b)) therefore average along anti-diagonals first and transform the n averages after:
O(n^2) instead of the O(n^4) of a dense projector. Operations other than addition are brought to this form by the
task's algebra (`interp.tasks`), which renames residues so that the answer becomes a sum.

References: Nanda et al. 2023, "Progress measures for grokking via mechanistic interpretability", section 4 and
published code (Fourier basis).
"""

from collections.abc import Iterable
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor


def n_frequencies(n: int) -> int:
    """Number of non-constant frequencies of Z_n, n // 2.

    >>> n_frequencies(113), n_frequencies(112)
    (56, 56)
    """
    if n < 2:
        raise ValueError(f"Fourier analysis needs a group of order at least 2, got {n}.")
    return n // 2


@lru_cache(maxsize=16)
def fourier_basis(n: int, dtype: torch.dtype = torch.float64) -> Float[Tensor, "component n"]:
    """Orthonormal real Fourier basis of Z_n as the rows of an (n, n) matrix, in the order of the module.

    Kept and shared between calls: not to be changed in place.

    Raises:
        ValueError: if n < 2.

    >>> B = fourier_basis(5); bool(torch.allclose(B @ B.T, torch.eye(5, dtype=B.dtype)))
    True
    """
    t = torch.arange(n, dtype=torch.float64)
    rows = [torch.full((n,), n**-0.5, dtype=torch.float64)]
    for k in range(1, n_frequencies(n) + 1):
        angle = 2 * torch.pi * ((k * t) % n) / n
        rows.append(angle.cos() / angle.cos().norm())
        if 2 * k != n:
            rows.append(angle.sin() / angle.sin().norm())
    return torch.stack(rows).to(dtype)


def cosines(n: int) -> Float[Tensor, "frequency n"]:
    """cos(w_k t) for k = 1 .. n//2, float64, of norm 1: every other row of `fourier_basis`."""
    return fourier_basis(n)[1::2]


def frequency_of_component(n: int) -> Int[Tensor, " component"]:
    """Frequency k of each row of `fourier_basis(n)`: 0, 1, 1, 2, 2, ...

    >>> frequency_of_component(6).tolist()
    [0, 1, 1, 2, 2, 3]
    """
    return (torch.arange(n) + 1) // 2


def transform(x: Tensor, dim: int = 0) -> Tensor:
    """Coefficients of x in `fourier_basis(n)` along `dim` (length n before and after), by FFT.

    Raises:
        ValueError: if the axis is shorter than 2.

    >>> x = torch.randn(7, 3, dtype=torch.float64)
    >>> bool(torch.allclose(transform(x), fourier_basis(7) @ x))
    True
    """
    n = x.shape[dim]
    n_k = n_frequencies(n)
    spectrum = torch.fft.rfft(x.movedim(dim, 0), dim=0, norm="ortho")
    out = torch.empty((n, *spectrum.shape[1:]), dtype=spectrum.real.dtype, device=x.device)
    out[0] = spectrum[0].real
    n_pairs = (n - 1) // 2
    # exp(-i w t) has a minus sign in front of the sine.
    out[1 : 2 * n_pairs : 2] = spectrum[1 : n_pairs + 1].real * 2**0.5
    out[2 : 2 * n_pairs + 1 : 2] = spectrum[1 : n_pairs + 1].imag * -(2**0.5)
    if n % 2 == 0:
        out[n - 1] = spectrum[n_k].real
    return out.movedim(0, dim)


def transform_2d(x: Float[Tensor, "n n *rest"]) -> Float[Tensor, "component component *rest"]:
    """Coefficients along the first two axes: F[f, g] = sum_{a,b} B[f, a] B[g, b] x[a, b].

    References: Nanda et al. 2023, section 4.1 (2-D DFT of the logits).
    """
    if x.ndim < 2 or x.shape[0] != x.shape[1]:
        raise ValueError(f"A 2-D transform needs a table (n, n, ...), got shape {tuple(x.shape)}.")
    return transform(transform(x, 0), 1)


def power(x: Tensor, dim: int = 0) -> Tensor:
    """Squared norm of x in each frequency 0 .. n//2 along `dim` (length n//2 + 1 after): cosine and sine together.

    The sum over frequencies is the sum of squares of x (Parseval). Index 0 is the constant.

    >>> t = torch.arange(9, dtype=torch.float64)
    >>> power(torch.cos(2 * torch.pi * 4 * t / 9)).argmax().item()
    4
    """
    squared = transform(x, dim).movedim(dim, 0).square()
    n = squared.shape[0]
    out = torch.zeros((n_frequencies(n) + 1, *squared.shape[1:]), dtype=squared.dtype, device=x.device)
    out.index_add_(0, frequency_of_component(n).to(x.device), squared)
    return out.movedim(0, dim)


def sum_table(n: int, device: torch.device | str = "cpu") -> Int[Tensor, "n n"]:
    """(a + b) mod n for every cell of an (a, b) table."""
    t = torch.arange(n, device=device)
    return (t[:, None] + t[None, :]) % n


def mean_over_sum(x: Float[Tensor, "n n *rest"]) -> Float[Tensor, " n *rest"]:
    """Mean of x over the n pairs with a + b = s, for each s.

    >>> mean_over_sum(sum_table(4).double()).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    n = x.shape[0]
    out = torch.zeros((n, *x.shape[2:]), dtype=x.dtype, device=x.device)
    return out.index_add_(0, sum_table(n, x.device).reshape(-1), x.reshape(n * n, *x.shape[2:])) / n


def project_on_sum_frequencies(
    x: Float[Tensor, "n n *rest"], frequencies: Iterable[int]
) -> Float[Tensor, "n n *rest"]:
    """Projection of x onto the span of cos(w_k(a+b)) and sin(w_k(a+b)) for the given frequencies k.

    This is sum_k Pi_k of Nanda et al.: restricted logits are the projection of the logits (any dependence on the
    trailing axes is kept), excluded logits are the logits minus it.

    Raises:
        ValueError: if a frequency lies outside 1 .. n//2.

    References: Nanda et al. 2023, section 5.1 and published code (restricted and excluded loss).
    """
    n = x.shape[0]
    part = filter_frequencies(mean_over_sum(x), check_frequencies(frequencies, n))
    return part[sum_table(n, x.device)]


def filter_frequencies(x: Float[Tensor, " n *rest"], frequencies: Iterable[int]) -> Float[Tensor, " n *rest"]:
    """Projection of x along its first axis onto the given frequencies (0 is the constant).

    Raises:
        ValueError: if a frequency lies outside 0 .. n//2.
    """
    n = x.shape[0]
    mask = torch.zeros(n_frequencies(n) + 1, dtype=x.dtype, device=x.device)
    mask[check_frequencies(frequencies, n, lowest=0)] = 1
    spectrum = torch.fft.rfft(x, dim=0) * mask.reshape(-1, *[1] * (x.ndim - 1))
    return torch.fft.irfft(spectrum, n=n, dim=0)


def check_frequencies(frequencies: Iterable[int], n: int, lowest: int = 1) -> list[int]:
    """The frequencies as a list of ints.

    Raises:
        ValueError: if one lies outside lowest .. n//2.
    """
    ks = [int(k) for k in frequencies]
    wrong = [k for k in ks if not lowest <= k <= n_frequencies(n)]
    if wrong:
        raise ValueError(
            f"Frequencies on Z_{n} run from {lowest} to {n_frequencies(n)}, got {wrong}. "
            f"k and {n}-k are the same frequency: use the smaller one."
        )
    return ks


def clock_coefficients(logits: Float[Tensor, "n n n"]) -> Float[Tensor, " frequency"]:
    """Coefficient of the unit-norm cube cos(w_k(a+b-c)) in logits[a, b, c], for k = 1 .. n//2.

    The cubes are orthogonal to each other and to every function of (a, b) alone or of c alone.

    >>> n = 7; t = torch.arange(n, dtype=torch.float64)
    >>> cube = torch.cos(2 * torch.pi * 3 * (t[:, None, None] + t[None, :, None] - t) / n)
    >>> clock_coefficients(cube / cube.norm()).abs().round(decimals=12).tolist()
    [0.0, 0.0, 1.0]

    References: Nanda et al. 2023, section 4.2; probes of Chughtai et al. 2023 use the same cubes.
    """
    n = logits.shape[0]
    if logits.shape != (n, n, n):
        raise ValueError(f"Clock coefficients need a cube (n, n, n) of logits, got {tuple(logits.shape)}.")
    return clock_coefficients_of_sums(mean_over_sum(logits))


def clock_coefficients_of_sums(by_sum: Float[Tensor, "n n"]) -> Float[Tensor, " frequency"]:
    """`clock_coefficients` of logits whose `mean_over_sum` is by_sum[s, c]."""
    n = by_sum.shape[0]
    t = torch.arange(n, device=by_sum.device)
    # by_shift[d] = sum over all pairs of the logit of a+b+d; cos is even in d.
    by_shift = n * by_sum[t[:, None], (t[:, None] + t[None, :]) % n].sum(0)
    cosine = torch.fft.rfft(by_shift).real[1:]
    norm = torch.full_like(cosine, n * (n / 2) ** 0.5)
    if n % 2 == 0:
        norm[-1] = n * n**0.5
    return cosine / norm


def gini(x: Float[Tensor, " m"]) -> float:
    """Gini coefficient of non-negative numbers: 0 if all are equal, (m-1)/m if one holds everything.

    Gini of norms and of powers differ: state which was taken. The project takes norms of Fourier components with the
    constant dropped.

    Raises:
        ValueError: if a number is negative or all are zero.

    >>> gini(torch.ones(10)), round(gini(torch.eye(10)[0]), 6)
    (0.0, 0.9)

    References: Nanda et al. 2023, section 5.1.
    """
    ordered = x.double().sort().values
    m = len(ordered)
    if m == 0 or ordered[0] < 0 or ordered[-1] == 0:
        raise ValueError("The Gini coefficient needs non-negative numbers, at least one of them positive.")
    weights = 2 * torch.arange(1, m + 1, dtype=torch.float64, device=x.device) - m - 1
    return float((weights * ordered).sum() / (m * ordered.sum()))

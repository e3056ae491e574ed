"""Clock and pizza as formulas: what their logits depend on, and how much of given logits they explain.

With d = x - y (difference of the operands) and e = x + y - z (distance of answer z from the right one), both formulas
are products of a function of d and a function of e:

    clock   cos(w e)
    pizza   |cos(w d/2)| (|cos(w e/2)| - |sin(w e/2)|)

The second is Q_pizza of Zhong et al. 2023, |cos(wz/2) s_x + sin(wz/2) s_y| - |-sin(wz/2) s_x + cos(wz/2) s_y| with
s_x = cos wx + cos wy and s_y = sin wx + sin wy, up to a factor 2. So logits are sorted here by (d, x, e) once, and
inner products with either formula cost n^2 after a sum over x. All of it works on some of the differences d alone.

References: Zhong et al. 2023, "The Clock and the Pizza", sections 2.2 and 3, appendix A
(formulas), 4.1 (measures).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.mathematics.fourier import check_frequencies

Formula = Literal["clock", "pizza"]

# Standard deviation over largest size below which numbers count as constant: float32 sums of many terms are not
# known better.
ROUNDING = 1e-5


def cells(n: int, differences: Int[Tensor, " difference"]) -> tuple[Tensor, Tensor]:
    """Indices (difference, first) into an (n, n) table over (x, y): the cells with x - y = d, by x.

    >>> x, y = cells(5, torch.tensor([1])); x.tolist(), y.tolist()
    ([[0, 1, 2, 3, 4]], [[4, 0, 1, 2, 3]])
    """
    x = torch.arange(n, device=differences.device).expand(len(differences), n)
    return x, (x - differences[:, None]) % n


def by_distance(
    logits: Float[Tensor, "difference first answer"],
    differences: Int[Tensor, " difference"],
    answers: Int[Tensor, " n"],
) -> Float[Tensor, "difference first n"]:
    """Logits by distance e from the right answer: out[d, x, e] is the logit of group element x + y - e.

    Args:
        logits: columns are residues.
        answers: the residue that each group element names.
    """
    n = len(answers)
    t = torch.arange(n, device=logits.device)
    column = answers[(t[:, None] - t) % n]  # of sum s and distance e
    sums = (2 * t - differences[:, None]) % n
    return logits.gather(-1, column.index_select(0, sums.flatten()).view(*sums.shape, n))


def is_constant(values: Tensor, scale: Tensor | float) -> bool:
    """Whether values vary by no more than the rounding of numbers of size `scale`."""
    return float(values.double().std(correction=0)) <= ROUNDING * float(scale)


def distance_irrelevance(values: Float[Tensor, "difference first"], scale: Tensor | float) -> float:
    """How little values depend on the difference of the operands: 0 if on it alone, near 1 if not at all.

    The mean over differences of the standard deviation over the pairs of one difference, divided by the standard
    deviation over all pairs. NaN if the values are constant (the right answer's logit in a perfect clock).

    Args:
        scale: size of the logits, to tell a constant from rounding.

    References: Zhong et al. 2023, section 4.1.2 (definition 4.2).

    >>> distance_irrelevance(torch.tensor([[1.0, 1.0], [2.0, 2.0]]), 1.0)
    0.0
    """
    if is_constant(values, scale):
        return float("nan")
    values = values.double()
    return float(values.std(1, correction=0).mean() / values.std(correction=0))


def coefficient_of_variation(values: Tensor) -> float:
    """Standard deviation over the size of the mean; NaN if both are zero."""
    values = values.double()
    return float(values.std(correction=0) / values.mean().abs())


def fraction_explained(
    logits: Float[Tensor, "difference first n"],
    differences: Int[Tensor, " difference"],
    frequencies: Sequence[int],
    formula: Formula,
) -> float:
    """Share of the logits' variance that the formula explains at these frequencies, each with its best factor.

    For one frequency this is the squared correlation. (The notebook of Zhong et al. standardises both sides and reports
    1 - Var(difference), which is 2 r - 1 for a correlation r: 0.80 where this says 0.81.) NaN if the logits are zero.

    Args:
        logits: by difference, first operand and distance from the answer (`by_distance`), centred over the last axis.

    Raises:
        ValueError: if a frequency lies outside 1 .. n//2.
    """
    n = logits.shape[-1]
    logits = logits.double()
    flat = logits.flatten()
    total = float(flat @ flat)
    if total == 0:
        return float("nan")
    of_difference, of_distance = _waves(formula, check_frequencies(frequencies, n), differences, n)
    inner = torch.einsum("kd,de,ke->k", of_difference, logits.sum(1), of_distance)
    gram = n * (of_difference @ of_difference.T) * (of_distance @ of_distance.T)
    return float(inner @ torch.linalg.pinv(gram, rtol=1e-9, hermitian=True) @ inner) / total


def _waves(
    formula: Formula, frequencies: list[int], differences: Tensor, n: int
) -> tuple[Float[Tensor, "k difference"], Float[Tensor, "k n"]]:
    """The two factors of each frequency's formula, the second centred."""
    k = torch.tensor(frequencies, dtype=torch.float64, device=differences.device)[:, None]
    half = torch.pi * k / n
    e = torch.arange(n, dtype=torch.float64, device=differences.device)
    if formula == "clock":
        of_difference = torch.ones(len(frequencies), len(differences), dtype=torch.float64, device=e.device)
        of_distance = torch.cos(2 * half * e)
    else:
        of_difference = torch.cos(half * differences).abs()
        of_distance = torch.cos(half * e).abs() - torch.sin(half * e).abs()
    return of_difference, of_distance - of_distance.mean(1, keepdim=True)

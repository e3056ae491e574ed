"""The null of everything that reads the order of a group's elements: the same numbers after random names.

Give the elements of a group random names. What a network knows about a pair and its answer stays what it is, but the
operation that the names suggest is now another: a table that was looked up row by row, right answers included, is as
good a table as before, while a circuit that computes with the operation has none to compute with. So a coefficient that
random names reach as well tells of right answers, or of chance, and not of an algebra. (A permutation test as
Mantel's: rows and columns are renamed together.)

References: Mantel 1967, "The detection of disease clustering and a generalized regression approach".
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.mathematics.fourier import cosines, sum_table

# Random names drawn: a number that none of them reaches is significant at 2.5 %.
N_DRAWS = 39
# Fewer elements have too few operations to choose from: 6 of 5 residues, so that one in 6 random tables is the best.
LEAST_ORDER = 7
# A table of right answers alone has the same coefficients under all names, as have rows that are all alike to each
# other, but for rounding: it must not decide.
ROUNDED_UP = 1 + 1e-9


def random_names(product: Int[Tensor, "n n"], n_draws: int = N_DRAWS, seed: int = 0) -> Int[Tensor, "draw n"]:
    """Random permutations of a group's elements under which its operation becomes another.

    Left out are those that keep it but for a shift, as x -> 3x + 1 on residues: under them the table is the same table.
    None come back for groups of less than LEAST_ORDER elements, about which no random names can tell anything.

    Args:
        product: product[x, y] is the index of x∘y.
    """
    n, generator = len(product), torch.Generator().manual_seed(seed)
    product = product.cpu()
    if n < LEAST_ORDER:
        return torch.empty((0, n), dtype=torch.int64)
    kept: list[Tensor] = []
    while len(kept) < n_draws:
        names = torch.randperm(n, generator=generator)
        if not _keeps_operation(names, product):
            kept.append(names)
    return torch.stack(kept)


def _keeps_operation(names: Int[Tensor, " n"], product: Int[Tensor, "n n"]) -> bool:
    """Whether the renaming is a shift after an automorphism, or after one that turns products around."""
    # g with names[e] ∘ g = names[x]: the renaming without its shift.
    identity = int((product.diagonal() == torch.arange(len(product))).nonzero()[0])
    unshifted = product[names[identity]].argsort()[names]
    renamed, products = unshifted[product], product[unshifted[:, None], unshifted]
    return torch.equal(renamed, products) or torch.equal(renamed, products.T)


def renamed_cells(product: Int[Tensor, "n n"], names: Int[Tensor, "draw n"]) -> Int[Tensor, "draw n n"]:
    """Where the cell (s, s∘d) of a flattened table lies under each of the names, rows s and columns d."""
    return (names[:, :, None] * len(product) + names[:, product]).to(torch.int32)


def cyclic_names(n: int, n_draws: int = N_DRAWS) -> tuple[Int[Tensor, "draw n"], Int[Tensor, "draw n n"]]:
    """`random_names` of the residues mod n, and their `renamed_cells`."""
    product = sum_table(n)
    names = random_names(product, n_draws)
    return names, renamed_cells(product, names)


def shift_sums(
    x: Float[Tensor, "*batch n n"], cells: Int[Tensor, "draw n n"]
) -> Float[Tensor, "*batch draw n"]:
    """Sum over s of x[s, s∘d] for each d, under each of the names that the cells were made with.

    >>> _, cells = cyclic_names(7, n_draws=2)
    >>> shift_sums(torch.eye(7), cells)[0]
    tensor([7., 0., 0., 0., 0., 0., 0.])
    """
    return x.flatten(-2).index_select(-1, cells.flatten()).view(*x.shape[:-2], *cells.shape).sum(-2)


def spectrum_null(
    gram: Float[Tensor, "*batch n n"], cells: Int[Tensor, "draw n n"]
) -> Float[Tensor, " *batch"]:
    """The largest share of a matrix's power in one frequency when the residues of its rows have random names.

    Args:
        gram: inner products of the matrix's rows, all that the power of its columns together depends on.
        cells: of `cyclic_names`; of no names: infinity.
    """
    n = gram.shape[-1]
    if not len(cells):
        return gram.new_full(gram.shape[:-2], torch.inf)
    waves = cosines(n).to(gram)
    power = shift_sums(gram, cells) @ (waves / waves[:, :1]).T
    # A cosine and a sine, of which n/2 has only one.
    power[..., : (n - 1) // 2] *= 2
    whole = n * gram.diagonal(dim1=-2, dim2=-1).sum(-1) - gram.sum((-2, -1))
    # Of a constant matrix nothing but rounding is left.
    is_constant = whole <= 1e-12 * n * gram.diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.where(is_constant, 0.0, ROUNDED_UP * power.amax((-2, -1)) / whole)


def standing_out(
    x: Float[Tensor, "n n"],
    product: Int[Tensor, "n n"],
    waves: Float[Tensor, "wave n"],
    cells: Int[Tensor, "draw n n"],
    *,
    floor: float = 0.0,
    together: bool = True,
) -> tuple[Float[Tensor, " wave"], Float[Tensor, " wave"]]:
    """Power of a table along each wave of s^-1∘c, and what the strongest wave has under random names.

    Step by step: waves that no random names reach are taken out of the table, and the others are judged by the rest,
    since one strong wave makes for right answers, and so for weaker coefficients under any names. What right answers
    alone put into a wave that is taken out stays, as much as the others show that there are.

    Args:
        x: rows s, columns c.
        waves: orthogonal functions of d = s^-1∘c.
        cells: of `renamed_cells`; of no names: then nothing can be told, and the null is infinite.
        floor: power below which a wave is not taken out.
        together: one null for all waves, the most of any; else each has its own, as waves that right answers do not
            make alike need.

    Returns:
        squared coefficient of each unit-norm wave, and its null.

    References: Romano, Wolf 2005, "Exact and approximate stepdown methods for multiple hypothesis testing".
    """
    n, t = len(x), torch.arange(len(x), device=x.device)
    unit = (waves / (waves.norm(dim=1, keepdim=True) * n**0.5)).to(x)
    coefficients = unit @ x.gather(1, product).sum(0)
    # Of the table that is 1 at right answers: it is the same under all names.
    of_answers = n * unit[:, (product.diagonal() == t).nonzero()[0, 0]]
    power, null = coefficients.square(), torch.full_like(coefficients, torch.inf)
    out = torch.zeros_like(coefficients, dtype=torch.bool)
    shift = torch.empty_like(product).scatter_(1, product, t.expand(n, n))
    while len(cells) and not out.all():
        answered = (coefficients[~out] @ of_answers[~out] / of_answers[~out].square().sum()).clamp(min=0)
        excess = coefficients - answered * of_answers
        rest = x - (excess[out] @ unit[out])[shift]
        renamed = (shift_sums(rest, cells) @ unit.T).square().amax(0)
        null[~out] = ROUNDED_UP * (renamed.max() if together else renamed[~out])
        found = ~out & (power > null) & (power > floor)
        if not found.any():
            break
        out |= found
    return power, null

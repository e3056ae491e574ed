"""Real irreducible representations of finite groups, and the functions on a group that they span.

Real and not complex: a network's weights are real, so a frequency of a cyclic group is one representation by
rotations of the plane, and not a pair of conjugate ones. The price is that the representations come in three
kinds, told apart by <chi, chi>, which is the dimension of the commutant (the real matrices that commute with
the representation):

    real            1    d^2 independent matrix elements        the representations of S5
    complex         2    d^2 / 2                                the rotations of a cyclic group, where d = 2
    quaternionic    4    d^2 / 4                                Q8 acting on the quaternions, where d = 4

Taken together the matrix elements of all of them span all functions on the group: what Fourier analysis is to
Z_p.

References: Serre 1977, "Linear representations of finite groups", sections 2.4 (regular representation) and
13.2 (real representations, Frobenius-Schur); Chughtai et al. 2023, "A toy model of universality: reverse
engineering how networks learn group operations".
"""

import hashlib
import itertools
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.mathematics.groups import Group, conjugacy_classes, named_group
from interp.mathematics.partitions import symmetric_characters

Kind = Literal["real", "complex", "quaternionic"]

_COMMUTANT: dict[Kind, int] = {"real": 1, "complex": 2, "quaternionic": 4}
# The mean of chi(g^2) for each <chi, chi>. No reducible representation has both.
_FROBENIUS_SCHUR = {1: 1, 2: 0, 4: -2}
_TOLERANCE = 1e-8
_N_ATTEMPTS = 5
_N_KEPT = 8


@dataclass(frozen=True, eq=False)
class Representation:
    """An irreducible representation by real orthogonal matrices.

    The basis is arbitrary and may differ between machines: compare characters or spans, never single entries.

    Attributes:
        matrices: matrices[a] @ matrices[b] = matrices[a∘b]. Kept and shared: not to be changed in place.
        kind: of the commutant.
    """

    name: str
    matrices: Float[Tensor, "n d d"] = field(repr=False)
    kind: Kind

    @property
    def dimension(self) -> int:
        """Size d of the matrices."""
        return self.matrices.shape[1]

    @cached_property
    def character(self) -> Float[Tensor, " n"]:
        """Trace of each matrix."""
        return torch.einsum("nii->n", self.matrices)

    @property
    def n_matrix_elements(self) -> int:
        """Number of independent matrix elements: d^2, d^2 / 2 or d^2 / 4."""
        return self.dimension**2 // _COMMUTANT[self.kind]


_kept: dict[bytes, tuple[Representation, ...]] = {}


def irreducible_representations(group: Group) -> tuple[Representation, ...]:
    """All real irreducible representations: the trivial one first, then by dimension.

    The regular representation is cut into eigenspaces of a random symmetric matrix that commutes with it.
    What comes back has been checked: each is a homomorphism into orthogonal matrices and irreducible, no two
    are equivalent, and none is missing. The result is kept by the content of the table. S5 takes a hundredth
    of a second, S6 a fifth, S7 (5040 elements, the largest) under a minute and 2 GB.

    Names are "trivial" and, by the group's table, whatever the group is called:

    - addition mod n: "k=1", "k=2", ... for rotations by 2 pi k / n, k < n / 2; "sign" for k = n / 2;
    - all permutations in lexicographic order: "sign", "standard" (number of fixed points - 1),
      "standard_sign", and the partition, as in "[3,2]", for all others;
    - any other: dimension and letter, as in "1a", "3a", "3b". Letters follow the characters, the larger
      first, in the order of the elements. They name nothing outside of this order of elements: for isomorphic
      groups, as C6 and C2xC3, they are no guide to what corresponds to what.

    Raises:
        ValueError: if the table cannot be decomposed, which that of a group can.

    >>> [r.name for r in irreducible_representations(named_group("S4"))]
    ['trivial', 'sign', '[2,2]', 'standard', 'standard_sign']
    >>> [(r.name, r.dimension, r.kind) for r in irreducible_representations(named_group("C4"))]
    [('trivial', 1, 'real'), ('sign', 1, 'real'), ('k=1', 2, 'complex')]
    >>> irreducible_representations(named_group("Q8"))[-1]
    Representation(name='4a', kind='quaternionic')

    References: Serre 1977, sections 2.4 and 13.2; Chughtai et al. 2023.
    """
    key = hashlib.blake2b(np.ascontiguousarray(group.table.numpy()).data).digest()
    if key not in _kept:
        t = torch.arange(group.order)
        kept = (_cyclic if torch.equal(group.table, (t[:, None] + t) % group.order) else _decomposed)(group)
        while len(_kept) >= _N_KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[key] = kept
    return _kept[key]


def matrix_element_basis(representation: Representation) -> Float[Tensor, "n m"]:
    """Orthonormal basis, as columns, of the span of the matrix elements as functions on the group.

    There are d^2 / 2 columns for the complex kind and d^2 / 4 for the quaternionic one: their d^2 matrix
    elements depend on each other, and taking all would count a frequency of a cyclic group twice. The bases
    of all irreducible representations together are an orthonormal basis of all functions on the group.

    >>> bases = [matrix_element_basis(r) for r in irreducible_representations(named_group("Q8"))]
    >>> [basis.shape[1] for basis in bases]
    [1, 1, 1, 1, 4]
    >>> whole = torch.cat(bases, 1)
    >>> bool(torch.allclose(whole.T @ whole, torch.eye(8, dtype=torch.float64)))
    True

    References: Serre 1977, section 2.2 (orthogonality of matrix elements).
    """
    n, d, m = len(representation.matrices), representation.dimension, representation.n_matrix_elements
    elements = representation.matrices.reshape(n, d * d) * (d / n) ** 0.5
    # The matrix elements of the real kind are orthogonal as they are.
    return elements if m == d * d else torch.linalg.svd(elements, full_matrices=False)[0][:, :m].contiguous()


def trace_table(group: Group, representation: Representation) -> Float[Tensor, "n n"]:
    """The character of s∘c^-1 at [s, c]; indexed by `group.table`, the cube tr rho(a∘b∘c^-1) at [a, b, c].

    The cube is what the logits of a network that composes through this representation look like: nowhere
    larger than at c = a∘b. Cubes of different representations are orthogonal. They are not centred: the
    trivial one is constant.

    >>> group = named_group("C5")
    >>> trace_table(group, irreducible_representations(group)[1])[group.table][1, 3].argmax().item()
    4

    References: Chughtai et al. 2023 (logits as characters).
    """
    return representation.character[group.table[:, group.inverse]]


def _cyclic(group: Group) -> tuple[Representation, ...]:
    n = group.order
    t = torch.arange(n)
    found = [Representation("trivial", torch.ones(n, 1, 1, dtype=torch.float64), "real")]
    if n % 2 == 0:
        found.append(Representation("sign", (1.0 - 2.0 * (t % 2).double())[:, None, None], "real"))
    for k in range(1, (n + 1) // 2):
        # Reduced mod n in integers: the sine of a large angle would lose digits.
        angle = 2 * torch.pi * (k * t % n).double() / n
        rows = [torch.stack([angle.cos(), -angle.sin()], 1), torch.stack([angle.sin(), angle.cos()], 1)]
        found.append(Representation(f"k={k}", torch.stack(rows, 1), "complex"))
    fault = _fault(group, [r.matrices for r in found], [1] if n > 1 else [])
    assert not fault, fault
    return tuple(found)


def _decomposed(group: Group) -> tuple[Representation, ...]:
    words = _Words(group)
    for seed in range(_N_ATTEMPTS):
        matrices = [words.matrices(space) for space in _irreducible_spaces(group, seed)]
        fault = _fault(group, matrices, words.generators)
        if not fault:
            return _named(group, matrices)
    raise ValueError(
        f"Representations need the table of a group, got {group.name}, which could not be decomposed: "
        f"{fault}. A table made by hand can be checked with `group_from_table`."
    )


def _irreducible_spaces(group: Group, seed: int) -> list[Tensor]:
    """One invariant space, as orthonormal columns, for each irreducible part of the regular one."""
    n, inverse = group.order, group.inverse
    c = torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    # At [x, y] it depends on x^-1∘y alone: such matrices are all that commute with translations from the
    # left, and almost every symmetric one has a different eigenvalue on each of the irreducible parts.
    values, vectors = torch.linalg.eigh((c + c[inverse])[group.table[inverse]])
    is_new = values.diff(prepend=values[:1]) > 1e-10 * values.abs().max()
    space = is_new.long().cumsum(0)
    # The projector onto a space depends on x^-1∘y alone too. Its mean over each class gives the character,
    # without any of the matrices.
    classes = conjugacy_classes(group)
    sizes = torch.bincount(classes).double()[:, None]
    projectors = torch.zeros(n, int(space[-1]) + 1, dtype=torch.float64)
    projectors.index_add_(1, space, vectors * vectors[group.identity])
    sums = torch.zeros(len(sizes), projectors.shape[1], dtype=torch.float64).index_add_(
        0, classes, projectors
    )
    # Characters are orthogonal, so equal ones have a product of at least 1 and others of 0.
    is_equal = n * (sums.T @ (sums / sizes)) > 0.5
    is_first = ~is_equal.tril(-1).any(1)
    return [vectors[:, space == i] for i in is_first.nonzero()[:, 0]]


class _Words:
    """How every element is a product of a few generators, in as few batches as possible.

    Attributes:
        generators: generate the group; not always as few as could be.
    """

    def __init__(self, group: Group):
        self.group, self.generators = group, list[int]()
        self.batches: list[tuple[np.ndarray, np.ndarray, int]] = []
        table = group.table.numpy()
        is_known = np.arange(group.order) == group.identity
        while not is_known.all():
            generator = int(is_known.argmin())
            self.generators.append(generator)
            is_known[generator] = True
            factors = [generator]
            # The last product found is often the longest word, so that what is known doubles.
            for factor in factors:
                known = is_known.nonzero()[0]
                products = table[known, factor]
                is_new = ~is_known[products]
                if is_new.any():
                    self.batches.append((products[is_new], known[is_new], factor))
                    is_known[products] = True
                    factors.append(int(products[is_new][-1]))

    def matrices(self, space: Tensor) -> Tensor:
        """The left regular representation restricted to an invariant space."""
        table, inverse = self.group.table, self.group.inverse
        out = torch.zeros(self.group.order, space.shape[1], space.shape[1], dtype=space.dtype)
        out[self.group.identity] = torch.eye(space.shape[1])
        for s in self.generators:
            rho = space.T @ space[table[inverse[s]]]
            # In one dimension there are no others than 1 and -1.
            out[s] = rho.round() if rho.numel() == 1 else rho
        for targets, sources, factor in self.batches:
            out[targets] = out[sources] @ out[factor]
        return out


def _fault(group: Group, matrices: list[Tensor], generators: list[int]) -> str:
    """What is wrong with the matrices of what should be all irreducible representations, or nothing."""
    n = group.order
    for rho in matrices:
        for s in generators:
            if not (rho[group.table[:, s]] - rho @ rho[s]).abs().max() < _TOLERANCE:
                return f"one of dimension {rho.shape[1]} is no homomorphism"
        if not (rho[generators].mT @ rho[generators] - torch.eye(rho.shape[1])).abs().sum() < _TOLERANCE:
            return f"one of dimension {rho.shape[1]} is not orthogonal"
    characters = torch.stack([torch.einsum("nii->n", rho) for rho in matrices])
    products = characters @ characters.T / n
    norms = products.diagonal().round()
    indicators = characters[:, group.table.diagonal()].mean(1)
    for norm, indicator in zip(norms.tolist(), indicators.tolist(), strict=True):
        if norm not in _FROBENIUS_SCHUR or abs(indicator - _FROBENIUS_SCHUR[int(norm)]) > _TOLERANCE:
            return f"one with <chi, chi> = {norm:g} and Frobenius-Schur sum {indicator:g} is not irreducible"
    if (products - norms.diag()).abs().max() > _TOLERANCE:
        return "two characters are not orthogonal"
    n_functions = sum(rho.shape[1] ** 2 / norm for rho, norm in zip(matrices, norms.tolist(), strict=True))
    return "" if n_functions == n else f"they span {n_functions:g} of {n} functions"


def _named(group: Group, matrices: list[Tensor]) -> tuple[Representation, ...]:
    characters = [torch.einsum("nii->n", rho) for rho in matrices]
    if (degree := _degree(group)) is not None:
        known = symmetric_characters(degree)
        in_order = sorted(known, key=lambda partition: (known[partition][0], [-part for part in partition]))
        distances = torch.stack(
            [torch.stack([(chi - known[p]).norm() for chi in characters]) for p in in_order]
        )
        order = distances.argmin(1).tolist()
        names = [_name_of_partition(partition) for partition in in_order]
    else:
        # Rounded: equal entries must not be ordered by their last digit. The trivial one has the largest.
        rounded = [(-chi).round(decimals=6).tolist() for chi in characters]
        order = sorted(range(len(matrices)), key=lambda i: (matrices[i].shape[1], rounded[i]))
        names = _letters([matrices[i].shape[1] for i in order])
    assert sorted(order) == list(range(len(matrices)))
    kind_of = {commutant: kind for kind, commutant in _COMMUTANT.items()}
    kinds = [kind_of[round(float(chi.square().mean()))] for chi in characters]
    return tuple(Representation(name, matrices[i], kinds[i]) for name, i in zip(names, order, strict=True))


def _letters(dimensions: list[int]) -> list[str]:
    names, count = ["trivial"], dict.fromkeys(dimensions, 0)
    for d in dimensions[1:]:
        count[d] += 1
        letters, rest = "", count[d]
        while rest:
            rest, digit = divmod(rest - 1, 26)
            letters = chr(ord("a") + digit) + letters
        names.append(f"{d}{letters}")
    return names


def _degree(group: Group) -> int | None:
    """The number of points if the group is that of all their permutations in lexicographic order."""
    degree = next(k for k in itertools.count(1) if math.factorial(k) >= group.order)
    if math.factorial(degree) != group.order:
        return None
    table = named_group(f"S{degree}").table
    # The transposed table composes from left to right; a character is the same for both.
    return degree if torch.equal(group.table, table) or torch.equal(group.table.T, table) else None


def _name_of_partition(partition: tuple[int, ...]) -> str:
    n = sum(partition)
    # For S3 "standard" and "standard_sign" are one; the first name wins.
    plain = {(2, *[1] * (n - 2)): "standard_sign", (n - 1, 1): "standard", (1,) * n: "sign", (n,): "trivial"}
    return plain.get(partition, f"[{','.join(map(str, partition))}]")

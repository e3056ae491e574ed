"""Real representations against character tables written by hand, projectors, and another library.

Tolerance 1e-10 throughout: float64, products of at most a few dozen orthogonal matrices.
"""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.mathematics import representations
from interp.mathematics.cayley_tables import group_from_table
from interp.mathematics.groups import Group, conjugacy_classes, named_group
from interp.mathematics.representations import (
    Representation,
    irreducible_representations,
    matrix_element_basis,
    trace_table,
)

close = {"atol": 1e-10, "rtol": 0}
COMMUTANT = {"real": 1, "complex": 2, "quaternionic": 4}
NAMES = [
    "C1",
    "C2",
    "C7",
    "C8",
    "C2xC3",
    "C3xC3",
    "D1",
    "D2",
    "D7",
    "D8",
    "S2",
    "S3",
    "S4",
    "S5",
    "A3",
    "A4",
    "A5",
]
NAMES += ["Q8", "Q12", "Q16", "Q8xC3", "Q8xS3", "A4xC2"]
FACTORS = ["C1", "C2", "C3", "C4", "C5", "D3", "D4", "S3", "A4", "Q8", "Q12"]

GOLDEN = (1 + 5**0.5) / 2


def wave(k, n, t):
    return 2 * math.cos(2 * math.pi * k * t / n)


CHARACTER_TABLES = {
    "S3": (
        ["012", "102", "120"],
        {"trivial": [1, 1, 1], "sign": [1, -1, 1], "standard": [2, 0, -1]},
    ),
    "S4": (
        ["0123", "1023", "1032", "1203", "1230"],
        {
            "trivial": [1, 1, 1, 1, 1],
            "sign": [1, -1, 1, 1, -1],
            "[2,2]": [2, 0, 2, -1, 0],
            "standard": [3, 1, -1, 0, -1],
            "standard_sign": [3, -1, -1, 0, 1],
        },
    ),
    "S5": (
        ["01234", "10234", "10324", "12034", "12043", "12304", "12340"],
        {
            "trivial": [1, 1, 1, 1, 1, 1, 1],
            "sign": [1, -1, 1, 1, -1, -1, 1],
            "standard": [4, 2, 0, 1, -1, 0, -1],
            "standard_sign": [4, -2, 0, 1, 1, 0, -1],
            "[3,2]": [5, 1, 1, -1, 1, -1, 0],
            "[2,2,1]": [5, -1, 1, -1, -1, 1, 0],
            "[3,1,1]": [6, 0, -2, 0, 0, 0, 1],
        },
    ),
    "A4": (
        ["0123", "1032", "1203", "2013"],
        # Two conjugate complex characters of dimension 1 make a real one of dimension 2.
        {"trivial": [1, 1, 1, 1], "2a": [2, 2, -1, -1], "3a": [3, -1, 0, 0]},
    ),
    "A5": (
        ["01234", "10324", "12034", "12340", "23401"],
        {
            "trivial": [1, 1, 1, 1, 1],
            "3a": [3, -1, 0, GOLDEN, 1 - GOLDEN],
            "3b": [3, -1, 0, 1 - GOLDEN, GOLDEN],
            "4a": [4, 0, 1, -1, -1],
            "5a": [5, 1, -1, 0, 0],
        },
    ),
    "Q8": (
        ["e", "a2", "a", "b", "ab"],
        {
            "trivial": [1, 1, 1, 1, 1],
            "1a": [1, 1, 1, -1, -1],
            "1b": [1, 1, -1, 1, -1],
            "1c": [1, 1, -1, -1, 1],
            # Twice the complex character of dimension 2.
            "4a": [4, -4, 0, 0, 0],
        },
    ),
    "D7": (
        ["e", "r", "r2", "r3", "s", "r4s"],
        {
            "trivial": [1, 1, 1, 1, 1, 1],
            "1a": [1, 1, 1, 1, -1, -1],
            "2a": [2, *(wave(1, 7, t) for t in (1, 2, 3)), 0, 0],
            "2b": [2, *(wave(2, 7, t) for t in (1, 2, 3)), 0, 0],
            "2c": [2, *(wave(3, 7, t) for t in (1, 2, 3)), 0, 0],
        },
    ),
}


@pytest.fixture
def nothing_kept(monkeypatch):
    monkeypatch.setattr(representations, "_kept", {})


def without_names(name):
    """The same group in another order, which no name is known for."""
    group = named_group(name)
    order = torch.randperm(group.order, generator=torch.Generator().manual_seed(1))
    return group_from_table(order.argsort()[group.table[order][:, order]], "shuffled"), order


@pytest.mark.parametrize("name", CHARACTER_TABLES)
def test_character_tables_in_the_literature(name):
    elements, table = CHARACTER_TABLES[name]
    group = named_group(name)
    columns = [group.elements.index(element) for element in elements]
    found = {r.name: r.character[columns] for r in irreducible_representations(group)}
    assert list(found) == list(table)
    for irrep, character in found.items():
        torch.testing.assert_close(character, torch.tensor(table[irrep], dtype=torch.float64), **close)


@pytest.mark.parametrize("name", NAMES)
def test_every_product_every_transpose_every_pair(name):
    group = named_group(name)
    found = irreducible_representations(group)
    assert found[0].name == "trivial" and (found[0].matrices == 1).all()
    assert [r.dimension for r in found] == sorted(r.dimension for r in found)
    assert len({r.name for r in found}) == len(found)
    assert all((r.matrices.abs() == 1).all() for r in found if r.dimension == 1)
    for r in found:
        assert r.matrices.dtype == torch.float64 and r.matrices.shape == (
            group.order,
            r.dimension,
            r.dimension,
        )
        torch.testing.assert_close(
            torch.einsum("aij,bjk->abik", r.matrices, r.matrices), r.matrices[group.table], **close
        )
        torch.testing.assert_close(r.matrices[group.inverse], r.matrices.mT, **close)
        torch.testing.assert_close(r.character, r.matrices.diagonal(dim1=1, dim2=2).sum(1), **close)
        # The commutant, counted as the null space of "commutes with every matrix".
        d = r.dimension
        eye = torch.eye(d, dtype=torch.float64)
        commutes = torch.cat([torch.kron(m, eye) - torch.kron(eye, m.T.contiguous()) for m in r.matrices])
        n_commuting = d * d - int(torch.linalg.matrix_rank(commutes.T @ commutes, atol=1e-8, rtol=0))
        assert n_commuting == COMMUTANT[r.kind]
    assert sum(r.n_matrix_elements for r in found) == group.order
    # As many real representations as there are classes of elements up to conjugation and inversion.
    classes = conjugacy_classes(group)
    assert len(found) == len(
        {frozenset([int(classes[x]), int(classes[group.inverse[x]])]) for x in range(group.order)}
    )


@pytest.mark.parametrize("name", NAMES)
def test_matrix_elements_are_an_orthonormal_basis_of_all_functions(name):
    group = named_group(name)
    n = group.order
    bases = []
    for r in irreducible_representations(group):
        basis = matrix_element_basis(r)
        assert basis.shape == (n, r.n_matrix_elements)
        # The projector onto the functions of one kind, from the character alone.
        projector = r.dimension / COMMUTANT[r.kind] / n * r.character[group.table[:, group.inverse]]
        torch.testing.assert_close(basis @ basis.T, projector, **close)
        entries = r.matrices.reshape(n, -1)
        torch.testing.assert_close(basis @ (basis.T @ entries), entries, **close)
        bases.append(basis)
    whole = torch.cat(bases, 1)
    torch.testing.assert_close(whole.T @ whole, torch.eye(n, dtype=torch.float64), **close)
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    powers = torch.stack([(basis.T @ x).square().sum(0) for basis in bases])
    torch.testing.assert_close(powers.sum(0), x.square().sum(0), **close)


def test_a_basis_in_which_neighbouring_rows_depend_on_each_other():
    # The first two rows of this one span the same functions: the first half of the entries is not enough.
    standard = irreducible_representations(named_group("S3"))[2].matrices
    rotation = irreducible_representations(named_group("C3"))[1].matrices
    matrices = torch.stack([torch.kron(a, b) for a in standard for b in rotation])
    basis = matrix_element_basis(Representation("mine", matrices, "complex"))
    assert basis.shape == (18, 8)
    torch.testing.assert_close(basis.T @ basis, torch.eye(8, dtype=torch.float64), **close)
    entries = matrices.reshape(18, 16)
    torch.testing.assert_close(basis @ (basis.T @ entries), entries, **close)


@settings(max_examples=30)
@given(st.lists(st.sampled_from(FACTORS), min_size=2, max_size=2), st.data())
def test_representations_of_products(names, data):
    group = named_group("x".join(names))
    found = irreducible_representations(group)
    assert sum(r.dimension**2 / COMMUTANT[r.kind] for r in found) == group.order
    r = data.draw(st.sampled_from(found))
    a, b = (data.draw(st.integers(0, group.order - 1)) for _ in range(2))
    torch.testing.assert_close(r.matrices[a] @ r.matrices[b], r.matrices[group.table[a, b]], **close)
    # The character of a product of real representations is the product of their characters.
    first, second = (irreducible_representations(named_group(name)) for name in names)
    for f in (f for f in first if f.kind == "real"):
        for s in second:
            want = torch.outer(f.character, s.character).reshape(-1)
            (same,) = [r for r in found if torch.allclose(r.character, want, **close)]
            assert same.kind == s.kind and same.dimension == f.dimension * s.dimension


@pytest.mark.parametrize("n", [1, 2, 3, 6, 12, 113])
def test_cyclic_representations_are_frequencies(n):
    found = irreducible_representations(named_group(f"C{n}"))
    names = [r.name for r in found]
    assert names == [
        "trivial", *(["sign"] if n % 2 == 0 else []), *(f"k={k}" for k in range(1, (n + 1) // 2))
    ]  # fmt: skip
    t = torch.arange(n, dtype=torch.float64)
    for r in found[names.index("k=1") if n > 2 else n :]:
        k = int(r.name[2:])
        assert r.kind == "complex" and r.dimension == 2
        torch.testing.assert_close(r.character, 2 * torch.cos(2 * torch.pi * k * t / n), **close)
        waves = torch.stack([torch.cos(2 * torch.pi * k * t / n), torch.sin(2 * torch.pi * k * t / n)], 1)
        waves, basis = waves * (2 / n) ** 0.5, matrix_element_basis(r)
        torch.testing.assert_close(basis @ basis.T, waves @ waves.T, **close)
    if n % 2 == 0:
        assert found[1].character.tolist() == [(-1) ** t for t in range(n)]


def test_names_follow_the_table_and_not_what_the_group_is_called(nothing_kept):
    table = named_group("S4").table
    assert [r.name for r in irreducible_representations(Group("mine", table, tuple(map(str, range(24)))))] == [
        "trivial", "sign", "[2,2]", "standard", "standard_sign"
    ]  # fmt: skip
    # Composed from left to right.
    group = group_from_table(table.T, "transposed")
    found = irreducible_representations(group)
    assert [r.name for r in found] == ["trivial", "sign", "[2,2]", "standard", "standard_sign"]
    r = found[3]
    fixed = [sum(name[i] == str(i) for i in range(4)) for name in named_group("S4").elements]
    assert r.character.round().tolist() == [x - 1 for x in fixed]
    torch.testing.assert_close(r.matrices[5] @ r.matrices[17], r.matrices[table[17, 5]], **close)
    shuffled, _ = without_names("S4")
    assert [r.name for r in irreducible_representations(shuffled)] == ["trivial", "1a", "2a", "3a", "3b"]
    assert [r.name for r in irreducible_representations(named_group("A3"))] == ["trivial", "k=1"]
    assert [r.name for r in irreducible_representations(named_group("C2xC3"))] == [
        "trivial",
        "1a",
        "2a",
        "2b",
    ]


def test_names_of_all_irreps_of_s6():
    group = named_group("S6")
    found = irreducible_representations(group)
    assert {r.name: r.dimension for r in found} == {
        "trivial": 1, "sign": 1, "standard": 5, "[3,3]": 5, "[2,2,2]": 5, "standard_sign": 5, "[4,2]": 9,
        "[2,2,1,1]": 9, "[4,1,1]": 10, "[3,1,1,1]": 10, "[3,2,1]": 16,
    }  # fmt: skip
    whole = torch.cat([matrix_element_basis(r) for r in found], 1)
    torch.testing.assert_close(whole.T @ whole, torch.eye(720, dtype=torch.float64), **close)
    # The four of dimension 5 are told apart by their value on a transposition.
    swap = group.elements.index("102345")
    values = {r.name: round(float(r.character[swap])) for r in found if r.dimension == 5}
    assert values == {"standard": 3, "[3,3]": 1, "[2,2,2]": -1, "standard_sign": -3}


def test_letters_go_on_after_z():
    names = [r.name for r in irreducible_representations(named_group("D60"))]
    assert names[:7] == ["trivial", "1a", "1b", "1c", "2a", "2b", "2c"]
    assert names[4 + 25 : 4 + 28] == ["2z", "2aa", "2ab"] and names[-1] == "2ac"


@pytest.mark.parametrize("name", ["S4", "A5", "Q12", "C12", "C3xC3"])
def test_order_of_the_elements_changes_nothing_but_names(name):
    shuffled, order = without_names(name)

    def as_rows(characters):
        return sorted(tuple(row) for row in torch.stack(characters).round(decimals=8).add(0).tolist())

    want = as_rows([r.character for r in irreducible_representations(named_group(name))])
    assert as_rows([r.character[order.argsort()] for r in irreducible_representations(shuffled)]) == want


def test_results_are_kept_by_the_content_of_the_table(nothing_kept):
    group = named_group("S4")
    found = irreducible_representations(group)
    again = Group("another", group.table.clone(), group.elements)
    assert irreducible_representations(again) is found
    for n in range(1, representations._N_KEPT + 1):
        irreducible_representations(named_group(f"C{n}"))
    assert len(representations._kept) == representations._N_KEPT
    renewed = irreducible_representations(group)
    assert renewed is not found
    for a, b in zip(found, renewed, strict=True):
        assert torch.equal(a.matrices, b.matrices) and (a.name, a.kind) == (b.name, b.kind)


@pytest.mark.parametrize("name", ["C5", "S3", "Q8"])
def test_trace_cubes_are_traces_and_orthogonal(name):
    group = named_group(name)
    cubes = []
    for r in irreducible_representations(group):
        cube = trace_table(group, r)[group.table]
        want = torch.einsum("aij,bjk,cik->abc", r.matrices, r.matrices, r.matrices)
        torch.testing.assert_close(cube, want, **close)
        n = torch.arange(group.order)
        assert (cube[n[:, None], n, group.table] >= cube.amax(2) - 1e-10).all()
        cubes.append(cube.flatten())
    products = torch.stack(cubes) @ torch.stack(cubes).T
    torch.testing.assert_close(products, products.diag().diag(), **close)


def replaced(monkeypatch, change):
    """Let the search for invariant spaces come back with something else."""
    real, seeds = representations._irreducible_spaces, []

    def spaces(group, seed):
        seeds.append(seed)
        return change(real(group, seed), seed)

    monkeypatch.setattr(representations, "_irreducible_spaces", spaces)
    return seeds


def noise(shape):
    return torch.linalg.qr(
        torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )[0]


WRONG = {
    "they span 23 of 24 functions": lambda spaces: spaces[:-1] if spaces[-1].shape[1] == 1 else [
        space for i, space in enumerate(spaces) if i != [s.shape[1] for s in spaces].index(1)
    ],
    "one of dimension 3 is no homomorphism": lambda spaces: [
        noise(space.shape) if space.shape[1] == 3 else space for space in spaces
    ],
    "<chi, chi> = 5 and Frobenius-Schur sum 5 is not irreducible": lambda spaces: [torch.cat(spaces, 1)],
    "two characters are not orthogonal": lambda spaces: [*spaces, spaces[0]],
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_wrong_representations_never_come_back(message, monkeypatch, nothing_kept):
    seeds = replaced(monkeypatch, lambda spaces, seed: WRONG[message](spaces))
    with pytest.raises(
        ValueError, match=f"got S4, which could not be decomposed.*: .*{message}. A table made"
    ):
        irreducible_representations(named_group("S4"))
    assert seeds == [0, 1, 2, 3, 4] and not representations._kept


def test_homomorphisms_must_be_orthogonal_too():
    group = named_group("S3")
    matrices = [r.matrices for r in irreducible_representations(group)]
    shear = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    skew = shear @ matrices[2] @ torch.linalg.inv(shear)
    assert representations._fault(group, matrices, [1, 3]) == ""
    wrong = [*matrices[:2], skew]
    assert representations._fault(group, wrong, [1, 3]) == "one of dimension 2 is not orthogonal"


def test_two_reducible_kinds_are_told_from_complex_and_quaternionic():
    # <chi, chi> = 2 and 4, as an irreducible one of complex and of quaternionic kind has.
    group = named_group("S3")
    trivial, sign, standard = (r.matrices for r in irreducible_representations(group))
    both = torch.zeros(6, 2, 2, dtype=torch.float64)
    both[:, 0, 0], both[:, 1, 1] = trivial[:, 0, 0], sign[:, 0, 0]
    twice = torch.zeros(6, 4, 4, dtype=torch.float64)
    twice[:, :2, :2] = twice[:, 2:, 2:] = standard
    for rho, norm in ((both, 2), (twice, 4)):
        assert f"<chi, chi> = {norm} and Frobenius-Schur sum 2" in representations._fault(
            group, [rho], [1, 3]
        )


def test_an_unlucky_draw_is_repeated(monkeypatch, nothing_kept):
    seeds = replaced(monkeypatch, lambda spaces, seed: spaces[:-1] if seed < 2 else spaces)
    assert len(irreducible_representations(named_group("S4"))) == 5
    assert seeds == [0, 1, 2]


def test_a_draw_is_decided_by_its_seed():
    group = named_group("S4")
    first, again, other = (
        torch.cat(representations._irreducible_spaces(group, seed), 1) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first.abs(), other.abs())


def test_a_table_made_by_hand_that_is_no_group_is_refused():
    loop = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]
    group = Group("mine", torch.tensor(loop), tuple("01234"))
    with pytest.raises(ValueError, match="needs? the table of a group, got mine.*`group_from_table`"):
        irreducible_representations(group)


@pytest.mark.parametrize(
    "name", ["C7", "C8", "D7", "S4", "S5", "A4", "A5", "Q8", "Q12", "Q16", "Q8xC3", "C3xC3"]
)
def test_characters_agree_with_spgrep(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("spgrep")
        from spgrep.rep.enumerate import enumerate_unitary_irreps_from_regular_representation

        group = named_group(name)
        n = group.order
        regular = np.zeros((n, n, n), dtype=complex)
        regular[np.arange(n)[:, None], group.table.numpy(), np.arange(n)] = 1
        irreps = enumerate_unitary_irreps_from_regular_representation(regular)
    characters = [np.einsum("gii->g", irrep) for irrep in irreps]
    want = []
    for i, character in enumerate(characters):
        indicator = round(character[group.table.diagonal()].mean().real)
        if indicator == 1:
            want.append(character.real)
        # Of two conjugate ones the first stands for both.
        elif indicator == -1 or not any(np.allclose(character.conj(), other) for other in characters[:i]):
            want.append(2 * character.real)
    found = torch.stack([r.character for r in irreducible_representations(group)]).numpy()
    assert len(want) == len(found)
    distances = np.abs(found[:, None] - np.stack(want)[None]).max(2)
    assert sorted(distances.argmin(1)) == list(range(len(want)))
    assert distances.min(1).max() < 1e-8

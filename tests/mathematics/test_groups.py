"""Groups against matrices, permutations and sets that are composed in another way."""

import cmath
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interp.mathematics import groups
from interp.mathematics.groups import named_group, subgroups

FACTORS = ["C1", "C2", "C3", "C7", "D1", "D2", "D4", "D5", "S1", "S3", "S4", "A2", "A4", "Q8", "Q12", "Q16"]
NAMES = [*FACTORS, "S2", "A1", "A3", "A5", "S5", "C113", "C2xC2xC2", "S3xC4", "Q8xD5"]


def permutations(group):
    return [tuple(int(digit) for digit in name) for name in group.elements]


def cycle_lengths(images):
    """By following every point until it comes back."""
    lengths = []
    for start in range(len(images)):
        x, length = images[start], 1
        while x != start:
            x, length = images[x], length + 1
        lengths.append(length)
    return sorted(lengths)


def closed_subsets(group):
    """All subgroups by trying every subset that has the identity."""
    table = group.table.tolist()
    rest = [x for x in range(group.order) if x != group.identity]
    found = set()
    for size in range(group.order):
        for chosen in itertools.combinations(rest, size):
            members = {group.identity, *chosen}
            if group.order % len(members) == 0 and all(
                table[a][b] in members for a in members for b in members
            ):
                found.add(frozenset(members))
    return found


def as_sets(masks):
    return [frozenset(mask.nonzero()[:, 0].tolist()) for mask in masks]


@pytest.mark.parametrize("name", NAMES)
def test_axioms(name):
    group = named_group(name)
    n, table = group.order, group.table
    every = torch.arange(n)
    assert table.shape == (n, n) and table.dtype == torch.int64
    assert len(set(group.elements)) == n
    assert torch.equal(table[group.identity], every) and torch.equal(table[:, group.identity], every)
    assert torch.equal(table[every, group.inverse], torch.full((n,), group.identity))
    assert torch.equal(table[group.inverse, every], torch.full((n,), group.identity))
    # (a∘b)∘c and a∘(b∘c) for all triples
    assert all(torch.equal(table[table[a]], table[a][table]) for a in range(n))


@given(st.lists(st.sampled_from(FACTORS), min_size=1, max_size=2), st.data())
def test_products_compose_factor_by_factor(names, data):
    group, factors = named_group("x".join(names)), [named_group(name) for name in names]
    assert group is named_group("x".join(names))
    assert group.order == math.prod(factor.order for factor in factors)
    assert group.is_abelian == all(factor.is_abelian for factor in factors)
    element = st.tuples(*(st.integers(0, factor.order - 1) for factor in factors))
    a, b = data.draw(element), data.draw(element)
    c = [int(factor.table[x, y]) for factor, x, y in zip(factors, a, b, strict=True)]

    def index(parts):
        out = 0
        for factor, part in zip(factors, parts, strict=True):
            out = out * factor.order + part
        return out

    assert group.table[index(a), index(b)] == index(c)
    shown = ",".join(factor.elements[x] for factor, x in zip(factors, c, strict=True))
    assert group.elements[index(c)] == (shown if len(names) == 1 else f"({shown})")


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_cyclic_is_addition(n):
    group = named_group(f"C{n}")
    assert group.table.tolist() == [[(a + b) % n for b in range(n)] for a in range(n)]
    assert group.elements == tuple(str(t) for t in range(n)) and group.is_abelian and group.identity == 0


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_permutations_are_composed_as_functions_and_ordered(degree):
    group = named_group(f"S{degree}")
    images = permutations(group)
    assert images == list(itertools.permutations(range(degree)))
    for a, b in itertools.product(range(0, group.order, 7), range(group.order)):
        assert images[group.table[a, b]] == tuple(images[a][images[b][x]] for x in range(degree))
    even = [
        p for p in images if sum(p[i] > p[j] for i, j in itertools.combinations(range(degree), 2)) % 2 == 0
    ]
    assert permutations(named_group(f"A{degree}")) == even


def test_the_convention_of_permutations_is_the_stated_one():
    group = named_group("S3")
    a, b = group.elements.index("102"), group.elements.index("021")
    # b exchanges 1 and 2 first: 1 -> 2, which a leaves.
    assert group.elements[group.table[a, b]] == "120"


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8])
def test_dihedral_is_rotations_and_reflections(n):
    group, angle = named_group(f"D{n}"), 2 * math.pi / n
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    # In three dimensions, where the group of a 1-gon and a 2-gon is faithful too.
    r, s = np.eye(3), np.diag([1.0, -1.0, -1.0])
    r[:2, :2] = rotation
    matrices = np.stack([np.linalg.matrix_power(r, i) @ flip for flip in (np.eye(3), s) for i in range(n)])
    products = matrices[:, None] @ matrices[None]
    assert np.abs(products - matrices[group.table.numpy()]).max() < 1e-12
    assert group.order == 2 * n and group.elements[0] == "e" and group.elements[n] == "s"
    assert group.is_abelian == (n < 3)


@pytest.mark.parametrize("order", [8, 12, 16, 20])
def test_quaternion_is_the_dicyclic_group(order):
    group, w = named_group(f"Q{order}"), cmath.exp(4j * math.pi / order)
    a, b = np.diag([w, w.conjugate()]), np.array([[0, -1], [1, 0]])
    powers = [np.linalg.matrix_power(a, i) for i in range(order // 2)]
    matrices = np.stack(powers + [power @ b for power in powers])
    products = matrices[:, None] @ matrices[None]
    assert np.abs(products - matrices[group.table.numpy()]).max() < 1e-12
    # A single involution tells it from the dihedral group of the same order.
    assert (group.table.diagonal() == group.identity).sum() == 2
    assert group.elements[1] == "a" and group.elements[order // 2 + 2] == "a2b"


@pytest.mark.parametrize("name", ["D8", "S4xC2", "C2xC2xC2", "Q12", "A5", "C6"])
def test_conjugacy_classes_are_orbits_of_conjugation(name):
    group = named_group(name)
    table, inverse = group.table.tolist(), group.inverse.tolist()
    label = groups.conjugacy_classes(group).tolist()
    for x in range(group.order):
        orbit = {table[table[g][x]][inverse[g]] for g in range(group.order)}
        assert orbit == {y for y in range(group.order) if label[y] == label[x]}
        assert label[x] <= max(label[:x], default=-1) + 1


def test_conjugate_permutations_have_equal_cycles():
    group = named_group("S5")
    label = groups.conjugacy_classes(group).tolist()
    cycles = [cycle_lengths(images) for images in permutations(group)]
    pairs = itertools.combinations(range(120), 2)
    assert all((label[a] == label[b]) == (cycles[a] == cycles[b]) for a, b in pairs)


@pytest.mark.parametrize(
    "name", ["C1", "C12", "C2xC2xC2", "C3xC3", "S3", "D4", "D5", "Q8", "Q12", "A4", "C2xC4"]
)
def test_subgroups_are_all_closed_subsets(name):
    group = named_group(name)
    found = as_sets(subgroups(group))
    assert len(set(found)) == len(found)
    assert set(found) == closed_subsets(group)
    assert found == sorted(found, key=lambda members: (len(members), sorted(members)))


@pytest.mark.parametrize(
    ("name", "count"),
    [("C113", 2), ("D4", 10), ("Q8", 6), ("S4", 30), ("A5", 59), ("S5", 156), ("A6", 501), ("S6", 1455)],
)
def test_number_of_subgroups_in_the_literature(name, count):
    masks = subgroups(named_group(name))
    assert masks.shape == (count, named_group(name).order) and masks.dtype == torch.bool
    assert len(masks.unique(dim=0)) == count
    assert masks[0].sum() == 1 and masks[-1].all()


@given(st.integers(1, 60))
def test_number_of_subgroups_of_cyclic_and_dihedral_groups(n):
    divisors = [d for d in range(1, n + 1) if n % d == 0]
    assert len(subgroups(named_group(f"C{n}"))) == len(divisors)
    assert len(subgroups(named_group(f"D{n}"))) == len(divisors) + sum(divisors)


def test_too_many_subgroups_are_refused():
    assert len(subgroups(named_group("C2xC2xC2xC2"), limit=67)) == 67
    for name in ("C2xC2xC2xC2", "S5"):
        with pytest.raises(ValueError, match=f"Group {name} has more than limit=66 .*Give a larger limit"):
            subgroups(named_group(name), limit=66)


@pytest.mark.parametrize("name", ["S4", "D6", "Q8xC2", "A4"])
def test_cosets_are_sets_of_products(name):
    group = named_group(name)
    table = group.table.tolist()
    for mask, members in zip(subgroups(group), as_sets(subgroups(group)), strict=True):
        left, right = groups.left_cosets(group, mask).tolist(), groups.right_cosets(group, mask).tolist()
        for g in range(group.order):
            assert {table[g][h] for h in members} == {x for x in range(group.order) if left[x] == left[g]}
            assert {table[h][g] for h in members} == {x for x in range(group.order) if right[x] == right[g]}
            assert left[g] <= max(left[:g], default=-1) + 1 and right[g] <= max(right[:g], default=-1) + 1
        is_normal = all(
            table[table[g][h]][group.inverse[g]] in members for g in range(group.order) for h in members
        )
        assert (left == right) == is_normal


def test_cosets_of_a_stabilizer_tell_where_a_point_goes_and_what_comes_there():
    group = named_group("S5")
    images = permutations(group)
    fixes = torch.tensor([p[2] == 2 for p in images])
    left, right = groups.left_cosets(group, fixes).tolist(), groups.right_cosets(group, fixes).tolist()
    for a, b in itertools.combinations(range(0, 120, 3), 2):
        assert (left[a] == left[b]) == (images[a][2] == images[b][2])
        assert (right[a] == right[b]) == (images[a].index(2) == images[b].index(2))


def test_cosets_of_what_is_no_subgroup_are_refused(annotations_off):
    group = named_group("S3")
    mask = torch.tensor([True, True, True, False, False, False])
    message = r"of a subgroup of S3, got 3 elements with 021∘102 = 201 outside\. `subgroups` lists"
    with pytest.raises(ValueError, match=message):
        groups.left_cosets(group, mask)
    with pytest.raises(ValueError, match="a subgroup of S3, got none"):
        groups.right_cosets(group, torch.zeros(6, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"each of the 6 elements of S3, got \(5,\) of torch.bool"):
        groups.left_cosets(group, mask[:5])
    with annotations_off(), pytest.raises(ValueError, match=r"got \(6,\) of torch.int64"):
        groups.left_cosets(group, mask.long())


@pytest.mark.parametrize(
    "name",
    ["", "x", "C", "C0", "C-1", "C07", "c7", "E8", "Q4", "Q10", "S3x", "S3 x C4", "S3*C4", "C٣", "C2" + "xC2" * 40],
)  # fmt: skip
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError) as error:
        named_group(name)
    message = str(error.value)
    assert f"such as S3xC4, got {name[:100]!r}." in message and "C113 (cyclic), D7" in message
    assert len(message) < 500


@pytest.mark.parametrize(
    "name", ["C5041", "D2521", "S8", "A8", "S99999999", "C71xC72", "A1xC5041", "Q5044", f"C{10**90}"]
)
def test_large_groups_are_refused_before_anything_is_built(name, monkeypatch):
    def build(number):
        raise AssertionError

    monkeypatch.setattr(groups, "_KINDS", dict.fromkeys("CDSAQ", build))
    with pytest.raises(ValueError, match=f"at most 5040 elements here, got {name} with more"):
        named_group(name)


@pytest.mark.parametrize("name", ["C5040", "D2520", "S7", "A7xC2", "Q5040", "A1xC5040", "A2xC5040"])
def test_the_largest_groups_are_not_refused(name, monkeypatch):
    class BuildingError(Exception):
        pass

    def build(number):
        raise BuildingError

    monkeypatch.setattr(groups, "_KINDS", dict.fromkeys("CDSAQ", build))
    with pytest.raises(BuildingError):
        named_group(name)


def test_both_signs_of_a_product_are_known():
    assert named_group("S3×C4").table.equal(named_group("S3xC4").table)

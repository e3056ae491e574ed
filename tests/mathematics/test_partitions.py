"""Characters of symmetric groups against tables written by hand and against sums over permutations."""

import itertools
import math

import pytest
import torch

from interp.mathematics.partitions import cycle_type, partitions, symmetric_character, symmetric_characters


@pytest.mark.parametrize(("n", "count"), [(0, 1), (1, 1), (2, 2), (5, 7), (6, 11), (7, 15), (10, 42)])
def test_number_of_partitions(n, count):
    found = partitions(n)
    assert len(set(found)) == len(found) == count
    assert all(sum(parts) == n and list(parts) == sorted(parts, reverse=True) for parts in found)
    assert found == sorted(found, reverse=True)


def test_cycle_types():
    assert cycle_type((0, 1, 2)) == (1, 1, 1)
    assert cycle_type((1, 2, 0, 4, 3, 5)) == (3, 2, 1)
    assert cycle_type((4, 0, 1, 2, 3)) == (5,)


# Columns: the cycle types 5, 41, 32, 311, 221, 2111, 11111.
S5 = {
    (5,): [1, 1, 1, 1, 1, 1, 1],
    (4, 1): [-1, 0, -1, 1, 0, 2, 4],
    (3, 2): [0, -1, 1, -1, 1, 1, 5],
    (3, 1, 1): [1, 0, 0, 0, -2, 0, 6],
    (2, 2, 1): [0, 1, -1, -1, 1, -1, 5],
    (2, 1, 1, 1): [-1, 0, 1, 1, 0, -2, 4],
    (1, 1, 1, 1, 1): [1, -1, -1, 1, 1, -1, 1],
}


def test_character_table_of_s5():
    table = {p: [symmetric_character(p, cycles) for cycles in partitions(5)] for p in partitions(5)}
    assert table == S5


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5, 6, 7])
def test_characters_are_orthonormal_functions_on_the_permutations(degree):
    characters = torch.stack([*symmetric_characters(degree).values()])
    products = characters @ characters.T / math.factorial(degree)
    torch.testing.assert_close(products, torch.eye(len(characters), dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.parametrize("degree", [2, 3, 4, 5, 6])
def test_three_characters_from_their_definitions(degree):
    characters = symmetric_characters(degree)
    every = list(itertools.permutations(range(degree)))
    fixed = [sum(x == image for x, image in enumerate(images)) for images in every]
    signs = [
        math.prod(images[j] - images[i] for i, j in itertools.combinations(range(degree), 2))
        for images in every
    ]
    assert characters[(degree,)].tolist() == [1] * len(every)
    assert characters[(degree - 1, 1)].tolist() == [n - 1 for n in fixed]
    assert characters[(1,) * degree].tolist() == [1 if sign > 0 else -1 for sign in signs]

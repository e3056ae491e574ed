"""The hand-built networks compute what they claim; every probe's tests rest on this."""

import pytest
import torch

from interp.snapshots.elements import Elements
from interp.snapshots.residues import Residues
from tests import hand_built


def cube(p, f):
    t = torch.arange(p, dtype=torch.float64)
    a, b, c = torch.meshgrid(t, t, t, indexing="ij")
    return f(a, b, c)


@pytest.mark.parametrize("frequencies", [[1], [6], [2, 5], [1, 2, 3, 4, 5, 6]])
def test_clock_logits_are_the_formula(frequencies):
    snapshot = hand_built.clock(frequencies)
    want = sum(
        cube(13, lambda a, b, c, k=k: torch.cos(2 * torch.pi * k * (a + b - c) / 13)) for k in frequencies
    )
    # 1e-5: float32 weights, sums of at most 6 terms of order 1.
    torch.testing.assert_close(snapshot.once(Residues).logit_cube, want, atol=1e-5, rtol=0)
    assert (snapshot.logits.argmax(1) == snapshot.labels).all()


def test_pizza_logits_are_the_formula():
    snapshot = hand_built.pizza([3], p=11)

    def formula(a, b, c):
        w = 2 * torch.pi * 3 / 11
        s_x, s_y = torch.cos(w * a) + torch.cos(w * b), torch.sin(w * a) + torch.sin(w * b)
        half_cos, half_sin = torch.cos(w * c / 2), torch.sin(w * c / 2)
        return (half_cos * s_x + half_sin * s_y).abs() - (-half_sin * s_x + half_cos * s_y).abs()

    torch.testing.assert_close(snapshot.once(Residues).logit_cube, cube(11, formula), atol=1e-5, rtol=0)


def test_memorizer_knows_train_rows_and_nothing_else():
    snapshot = hand_built.memorizer()
    is_train = snapshot.is_train
    assert (snapshot.logits[is_train].argmax(1) == snapshot.labels[is_train]).all()
    assert (snapshot.logits[is_train].amax(1) == 10).all()
    assert (snapshot.logits[~is_train] == 0).all()


@pytest.mark.parametrize(("group", "names"), [("S4", ["sign", "standard"]), ("Q8", ["4a"]), ("C5", ["k=2"])])
def test_character_logits_are_the_traces_of_products(group, names):
    snapshot = hand_built.characters(dict(zip(names, [1.0, 0.5], strict=False)), group)
    elements = snapshot.once(Elements)
    matrices = {r.name: r.matrices for r in elements.representations}
    want = sum(
        amplitude * torch.einsum("aij,bjk,cik->abc", *[matrices[name]] * 3)
        for name, amplitude in zip(names, [1.0, 0.5], strict=False)
    )
    # 1e-5: float32 weights, sums of at most 27 terms of order 1.
    torch.testing.assert_close(elements.logit_cube, want, atol=1e-5, rtol=0)
    n = elements.n
    best = want == want.amax(-1, keepdim=True)
    assert best[torch.arange(n)[:, None], torch.arange(n), elements.products].all()


def test_group_memorizer_knows_train_pairs_and_nothing_else():
    snapshot = hand_built.group_memorizer()
    is_train = snapshot.is_train
    assert (snapshot.logits[is_train].argmax(1) == snapshot.labels[is_train]).all()
    assert (snapshot.logits[is_train].amax(1) == 10).all()
    assert (snapshot.logits[~is_train] == 0).all()

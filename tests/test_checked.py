"""That annotations of the package are executed in tests, shapes and all."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch
from beartype import beartype
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from interp.mathematics.fourier import fourier_basis
from tests import checked

if TYPE_CHECKING:
    from nowhere import Unknown


decorated = checked._checked(typechecker=beartype)


@decorated
def plain(n: int, more: "Unknown | None" = None) -> list[int]:
    return [n] if n else "none"


@decorated
def shaped(a: Float[Tensor, "n m"], b: list[Float[Tensor, " m"]]) -> Float[Tensor, " n"]:
    return a @ b[0]


@decorated
@dataclass
class Pair:
    one: int


def test_calls_of_the_package_are_checked(annotations_off):
    with pytest.raises(TypeCheckError, match="fourier_basis"):
        fourier_basis("7")
    with annotations_off(), pytest.raises((TypeError, ValueError)) as raised:
        fourier_basis("7")
    assert not isinstance(raised.value, TypeCheckError)


def test_arguments_answers_and_fields_are_checked(annotations_off):
    assert plain(3, object()) == [3] and Pair(1).one == 1
    for call in (lambda: plain("3"), lambda: plain(0), lambda: Pair("1")):
        with pytest.raises(TypeCheckError, match=r"plain|__init__"):
            call()
        with annotations_off():
            call()


def test_shapes_are_checked_together():
    a, b = torch.ones(2, 3), torch.ones(3)
    assert shaped(a, [b]).tolist() == [3.0, 3.0]
    with pytest.raises(TypeCheckError):
        shaped(a, [torch.ones(2)])
    with pytest.raises(TypeCheckError):
        shaped(a, b)

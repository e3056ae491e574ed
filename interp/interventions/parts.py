"""Where functions on a task's group stand in the weights, and the part of them in some frequencies.

Rows are taken in the order of the algebra, in which the answer is a sum: what is a frequency of a product is one of the
discrete logarithms. A frequency is two waves, cosine and sine, whose span no renaming t -> -t changes, so that tokens
that serve as both operands have one spectrum.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.interventions.bench import Bench
from interp.mathematics.fourier import check_frequencies, fourier_basis, frequency_of_component
from interp.mathematics.groups import Group, named_group
from interp.mathematics.representations import irreducible_representations, matrix_element_basis
from interp.networks.config import Weights
from interp.networks.objective import precise
from interp.tasks.structure import Cyclic, FiniteGroup, carriers

Place = Literal["W_E", "W_L"]
PLACES: tuple[Place, ...] = ("W_E", "W_L")

TENSOR_OF: dict[Place, str] = {"W_E": "embed.W_E", "W_L": "unembed.W_U"}


@dataclass(frozen=True, eq=False)
class Axis:
    """An axis of a tensor along which the group's elements stand.

    Attributes:
        order: index of each element, in the order of the algebra.
    """

    tensor: str
    dim: int
    order: Int[Tensor, " n"]


def cyclic(bench: Bench) -> Cyclic:
    """The structure of a task whose answer is a sum.

    Raises:
        ValueError: if it is none.
    """
    task = bench.known_task
    if not isinstance(task.structure, Cyclic):
        raise ValueError(
            f"An intervention on frequencies needs a task whose answer is a sum under some renaming, got "
            f"{task.config.description}. Frequencies are those of a cyclic group. Name representations instead where "
            "the task composes elements of a group."
        )
    return task.structure


def check_places(places: tuple[str, ...]) -> None:
    """Nothing, if the group's elements stand in each of these places.

    Raises:
        ValueError: if one is unknown, or none is named.
    """
    if not places or not set(places) <= set(PLACES):
        raise ValueError(
            f"An intervention on frequencies needs where to be of {', '.join(PLACES)}, got {places!r}. Neurons and "
            "logits are activations: KeepFrequenciesOf and RemoveFrequenciesOf act there."
        )


def axes(bench: Bench, place: Place) -> list[Axis]:
    """The axes of a place: of W_E the rows of the operands' tokens, of W_L the columns of W_U that are answers.

    In none are tokens without a residue ("=") and residues that the algebra does not name (0 of a product).

    Raises:
        ValueError: if the network has no such tensor, or the task no group.
    """
    structure, config = bench.known_task.structure, bench.config
    if isinstance(structure, Cyclic):
        n = structure.order
        named = [carriers(names, n) for names in (structure.first, structure.second, structure.answer)]
    elif isinstance(structure, FiniteGroup):
        named = [torch.arange(structure.group.order)] * 3
    else:
        cyclic(bench)
    if place == "W_E" and config.one_hot_embed:
        raise ValueError(
            "An intervention on W_E needs a learned embedding, got a one-hot one. There is no such tensor: choose W_L."
        )
    if place == "W_L":
        if config.tied_unembed:
            raise ValueError(
                "An intervention on W_L needs an unembedding of its own, got one that is tied to W_E. Its columns are "
                "W_E's rows: choose W_E, which changes both."
            )
        return [Axis(TENSOR_OF["W_L"], 1, named[2])]
    tokens = [structure.operand_tokens[i][named[i]] for i in (0, 1)]  # type: ignore[union-attr]
    is_shared = bool(torch.isin(tokens[1], tokens[0]).any())
    return [Axis(TENSOR_OF["W_E"], 0, order) for order in (tokens[:1] if is_shared else tokens)]


def rows(weights: Weights, axis: Axis) -> Float[Tensor, "n rest"]:
    """What stands along an axis, in the order of the algebra, float64."""
    w = weights[axis.tensor]
    return w.movedim(axis.dim, 0)[axis.order.to(w.device)].to(precise(w.device))


def with_rows(
    weights: Weights,
    bench: Bench,
    places: tuple[Place, ...],
    change: Callable[[Axis, Float[Tensor, "n rest"]], Float[Tensor, "n rest"]],
) -> Weights:
    """The weights with what stands along each axis of the places changed; all other entries stay."""
    out = dict(weights)
    for axis in (axis for place in places for axis in axes(bench, place)):
        new = out[axis.tensor].clone()
        new.movedim(axis.dim, 0)[axis.order.to(new.device)] = change(axis, rows(out, axis)).to(new.dtype)
        out[axis.tensor] = new
    return out


def projected(x: Float[Tensor, "n rest"], basis: Float[Tensor, "n m"]) -> Float[Tensor, "n rest"]:
    """The part of x in the span of orthonormal columns."""
    basis = basis.to(x)
    return basis @ (basis.T @ x)


def kept_span(
    weights: Weights, bench: Bench, places: tuple[Place, ...], basis: Float[Tensor, "n m"], mean: float = 0.0
) -> Weights:
    """The weights with nothing but a span in these places, and a share of the mean."""
    return with_rows(
        weights, bench, places, lambda _, x: projected(x, basis) + mean * x.mean(0, keepdim=True)
    )


def scaled_span(
    weights: Weights, bench: Bench, places: tuple[Place, ...], basis: Float[Tensor, "n m"], factor: float
) -> Weights:
    """The weights with the part in a span times a factor; the same objects where the span is empty."""
    if not basis.shape[1]:
        return dict(weights)
    return with_rows(weights, bench, places, lambda _, x: x + (factor - 1) * projected(x, basis))


def grafted_span(
    weights: Weights, bench: Bench, places: tuple[Place, ...], basis: Float[Tensor, "n m"], donor: str
) -> Weights:
    """The weights with the part in a span as a donor has it.

    Raises:
        ValueError: if there is no such donor, or it has other shapes.
    """
    for place in places:
        axes(bench, place)
    given = bench.donor(donor, weights, tuple(TENSOR_OF[place] for place in places))
    if not basis.shape[1]:
        return dict(weights)
    return with_rows(
        weights, bench, places, lambda axis, x: x + projected(rows(given, axis).to(x) - x, basis)
    )


def frequency_span(bench: Bench, frequencies: Iterable[int]) -> Float[Tensor, "n m"]:
    """Orthonormal columns: the cosine and the sine of each frequency, in the order of the algebra.

    Raises:
        ValueError: if the task is not cyclic or has no such frequency.
    """
    n = cyclic(bench).order
    wanted = torch.tensor(sorted(set(check_frequencies(frequencies, n))), dtype=torch.long)
    return fourier_basis(n)[torch.isin(frequency_of_component(n), wanted)].T


def group_of(bench: Bench) -> Group:
    """The group whose product is the task's answer.

    Raises:
        ValueError: if it is none.
    """
    structure = bench.known_task.structure
    if isinstance(structure, FiniteGroup):
        return structure.group
    if isinstance(structure, Cyclic):
        return named_group(f"C{structure.order}")
    raise ValueError(
        f"An intervention on representations needs a task whose answer is a product in a group, got "
        f"{bench.known_task.config.description}. No group is known behind it: edit components, neurons or norms."
    )


def representation_span(bench: Bench, names: Iterable[str]) -> Float[Tensor, "n m"]:
    """Orthonormal columns: the matrix elements of each representation.

    Raises:
        ValueError: if the task has no group, or it no such representation.
    """
    group = group_of(bench)
    there = {r.name: r for r in irreducible_representations(group)}
    unknown = [name for name in names if name not in there]
    if unknown:
        raise ValueError(
            f"{group.name} needs names of its irreducible representations, got {', '.join(unknown)}. There are: "
            f"{', '.join(there)}."
        )
    bases = [matrix_element_basis(there[name]) for name in dict.fromkeys(names)]
    return torch.cat([torch.zeros(group.order, 0, dtype=torch.float64), *bases], 1)

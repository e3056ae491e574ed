"""Shams: edits that do the same work without the cause, each a value that follows from a seed.

| edit | sham |
|---|---|
| frequencies, representations, theirs in activations | as many others (`other_frequencies`, `other_representations`) |
| keep or remove neurons | as many random ones of equal summed norm (`other_neurons`) |
| ablate heads or neurons, patch units | as many other ones (`other_units`) |
| components, norms, compression | a random direction of equal norm, tensor by tensor (`random_direction`) |
| frequencies set back or ahead, in training | as many others, topped up (`interp.interventions.matching`) |
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.interventions.activation_frequencies import KeepFrequenciesOf, RemoveFrequenciesOf
from interp.interventions.any_edit import Composed
from interp.interventions.bench import Bench, Edit, edit_norms
from interp.interventions.directions import RandomDirection
from interp.interventions.frequencies import (
    GraftFrequencies,
    KeepFrequencies,
    RemoveFrequencies,
    ScaleFrequencies,
    frequency_norms,
)
from interp.interventions.heads import AblateHeads
from interp.interventions.neurons import AblateNeurons, KeepNeurons, RemoveNeurons, neuron_norms
from interp.interventions.parts import TENSOR_OF, Place, cyclic, group_of
from interp.interventions.representations import (
    GraftRepresentations,
    KeepRepresentations,
    RemoveRepresentations,
    ScaleRepresentations,
)
from interp.mathematics.fourier import check_frequencies, n_frequencies
from interp.mathematics.representations import irreducible_representations
from interp.networks.config import Weights

OfFrequencies = TypeVar(
    "OfFrequencies",
    KeepFrequencies,
    RemoveFrequencies,
    ScaleFrequencies,
    GraftFrequencies,
    KeepFrequenciesOf,
    RemoveFrequenciesOf,
)
OfRepresentations = TypeVar(
    "OfRepresentations",
    KeepRepresentations,
    RemoveRepresentations,
    ScaleRepresentations,
    GraftRepresentations,
)
OfNeurons = TypeVar("OfNeurons", KeepNeurons, RemoveNeurons)

# Swaps of one neuron for another that bring a random set nearer to its norm; it is near after two or three.
_MOST_SWAPS = 100


def other_frequencies(
    edit: OfFrequencies, bench: Bench, seed: int, spared: Iterable[int] = ()
) -> OfFrequencies:
    """The edit on as many random frequencies that it does not name.

    Args:
        spared: further ones that are not drawn, as key frequencies that the edit leaves out.

    Raises:
        ValueError: if fewer remain.
    """
    named = {*edit.frequencies, *spared}
    others = [k for k in range(1, n_frequencies(cyclic(bench).order) + 1) if k not in named]
    return replace(edit, frequencies=tuple(_drawn("frequencies", others, len(edit.frequencies), seed)))


def other_representations(edit: OfRepresentations, bench: Bench, seed: int) -> OfRepresentations:
    """The edit on as many random representations that it does not name, the trivial one left out.

    They may have other dimensions: compare norms of the edits (`edit_norms`).

    Raises:
        ValueError: if fewer remain.
    """
    named = {*edit.representations, "trivial"}
    others = [r.name for r in irreducible_representations(group_of(bench)) if r.name not in named]
    # What is said of the trivial one stays said: it is the bias, and no candidate.
    n = len([name for name in edit.representations if name != "trivial"])
    kept = tuple(name for name in edit.representations if name == "trivial")
    return replace(edit, representations=kept + tuple(_drawn("representations", others, n, seed)))


def random_direction(edit: Edit, weights: Weights, bench: Bench, seed: int) -> RandomDirection:
    """A random direction of the norm that the edit has in each tensor."""
    return RandomDirection(norms=tuple(edit_norms(edit, weights, bench).items()), seed=seed)


def other_neurons(
    edit: OfNeurons,
    weights: Weights,
    bench: Bench,
    seed: int,
    *,
    tolerance: float = 0.01,
    same_number: bool = True,
) -> OfNeurons:
    """The edit on random neurons of the same summed norm.

    Args:
        tolerance: by which share the sum may differ; `summed_norm` says what was reached.
        same_number: as many neurons as the edit names; otherwise as many as the norm takes, for sets whose norm no
            other set of their size has.

    Raises:
        ValueError: if the draw does not reach the norm within the tolerance.
    """
    norms = neuron_norms(weights, bench, edit.layer)
    n = len(edit.neurons) if same_number else None
    target = summed_norm(edit, weights, bench)
    return replace(edit, neurons=neurons_of_norm(norms, target, n, seed, tolerance, avoided=edit.neurons))


def summed_norm(edit: KeepNeurons | RemoveNeurons, weights: Weights, bench: Bench) -> float:
    """Sum of the norms of the neurons that an edit names."""
    return float(neuron_norms(weights, bench, edit.layer)[list(edit.neurons)].sum())


def neurons_of_norm(
    norms: Float[Tensor, " neuron"],
    target: float,
    n: int | None,
    seed: int,
    tolerance: float,
    avoided: Sequence[int] = (),
) -> tuple[int, ...]:
    """Random neurons whose norms sum to a target, in order of their index.

    Drawn without those to avoid where enough others are there; then single neurons are exchanged, each time the pair
    that brings the sum nearest, until it is within the tolerance. So the set is as random as the target allows.

    Args:
        n: how many; None for as many as it takes in random order.
        tolerance: as a share of the target.

    Raises:
        ValueError: if the sum is not reached.
    """
    values, everyone = norms.double().cpu().numpy(), np.arange(len(norms))
    rest = np.setdiff1d(everyone, np.asarray(avoided, dtype=np.int64))
    is_enough = len(rest) >= n if n is not None else values[rest].sum() >= target * (1 - tolerance)
    order = np.random.default_rng([seed, len(norms)]).permutation(rest if is_enough else everyone)
    size = n if n is not None else int(np.abs(np.cumsum(values[order]) - target).argmin()) + 1
    inside, outside = order[:size], order[size:]
    for _ in range(_MOST_SWAPS):
        missing = target - values[inside].sum()
        if abs(missing) <= tolerance * target or not len(inside) or not len(outside):
            break
        misses = np.abs(missing - (values[outside][None, :] - values[inside][:, None]))
        if misses.min() >= abs(missing):
            break
        i, j = np.unravel_index(misses.argmin(), misses.shape)
        inside[i], outside[j] = outside[j], inside[i]
    if abs(values[inside].sum() - target) > tolerance * target:
        raise ValueError(
            f"Random neurons need a summed norm of {target:.4g} within {tolerance:.1%}, got {values[inside].sum():.4g} "
            f"with {size} of them. No other set of this size comes nearer: let the number be free (same_number=False), "
            "or widen the tolerance."
        )
    return tuple(sorted(inside.tolist()))


def other_units(edit: AblateHeads | AblateNeurons, bench: Bench, seed: int) -> AblateHeads | AblateNeurons:
    """The ablation of as many random heads or neurons that it does not name.

    Raises:
        ValueError: if fewer remain.
    """
    if isinstance(edit, AblateHeads):
        others = [head for head in range(bench.config.n_heads) if head not in edit.heads]
        return replace(edit, heads=tuple(_drawn("heads", others, len(edit.heads), seed)))
    others = [neuron for neuron in range(bench.config.d_mlp) if neuron not in edit.neurons]
    return replace(edit, neurons=tuple(_drawn("neurons", others, len(edit.neurons), seed)))


def raised(weights: Weights, bench: Bench, frequency: int, leader: int, where: tuple[Place, ...]) -> Composed:
    """The edit that raises the amplitude of a frequency to that of another, in each place.

    Raises:
        ValueError: if there is no such frequency, or it has no amplitude that could be raised.
    """
    check_frequencies((frequency, leader), cyclic(bench).order)
    factors = {}
    for place in where:
        norms = frequency_norms(weights, bench, place)
        _check_amplitude(frequency, place, float(norms[frequency - 1]))
        factors[place] = float(norms[leader - 1] / norms[frequency - 1])
    return _raised_by_factors(frequency, factors)


def raised_by(
    weights: Weights, bench: Bench, frequency: int, norms: dict[str, float], where: tuple[Place, ...]
) -> Composed:
    """The sham of `raised`: another frequency, raised by an edit of these norms (`edit_norms` of the first).

    Raises:
        ValueError: if there is no such frequency, or it has no amplitude that could be raised.
    """
    check_frequencies((frequency,), cyclic(bench).order)
    factors = {}
    for place in where:
        own = float(frequency_norms(weights, bench, place)[frequency - 1])
        _check_amplitude(frequency, place, own)
        factors[place] = 1 + norms.get(TENSOR_OF[place], 0.0) / own
    return _raised_by_factors(frequency, factors)


def _raised_by_factors(frequency: int, factors: dict[Place, float]) -> Composed:
    return Composed(
        edits=tuple(
            ScaleFrequencies(frequencies=(frequency,), where=(place,), factor=factor)
            for place, factor in factors.items()
        )
    )


def _check_amplitude(frequency: int, place: Place, norm: float) -> None:
    if norm <= 0:
        raise ValueError(
            f"Raising frequency {frequency} needs some of it in {place}, got none. Nothing can be scaled up from zero: "
            "graft it from another checkpoint."
        )


def _drawn(what: str, others: Sequence, n: int, seed: int) -> list:
    """n of the others, drawn, in their order."""
    if len(others) < n:
        raise ValueError(
            f"This sham needs {n} {what} that the edit does not name, got {len(others)}. Name fewer of them."
        )
    chosen = np.random.default_rng([seed, len(others), n]).choice(len(others), n, replace=False)
    return [others[i] for i in sorted(chosen.tolist())]

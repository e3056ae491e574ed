"""Representations in weights: what `interp.interventions.frequencies` does, for tasks that compose elements of a group.

A representation is named as in `interp.mathematics.representations` ("standard", "[3,2]", "k=3"), and its part is the
span of its matrix elements as functions on the group. The trivial one is the mean. On residues, "k=3" is frequency 3.

What stays in every edit of this file: all other tensors, rows of tokens that are no element, outputs that are no
answer, and the other representations, as far as they are not named.

References: Chughtai et al. 2023, "A toy model of universality".
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from interp.interventions.bench import Bench
from interp.interventions.parts import (
    TENSOR_OF,
    Place,
    check_places,
    grafted_span,
    kept_span,
    representation_span,
    scaled_span,
)
from interp.networks.config import Weights


@dataclass(frozen=True, kw_only=True)
class _OfRepresentations:
    """Which representations an edit names, and where.

    Raises:
        ValueError: if a place is unknown; from `edit`, if the task has no group, it no such representation or the
            network no such tensor.
    """

    representations: tuple[str, ...]
    where: tuple[Place, ...]

    def __post_init__(self):
        check_places(self.where)

    @property
    def tensors(self) -> tuple[str, ...]:
        """The tensors that are changed."""
        return tuple(TENSOR_OF[place] for place in self.where)


@dataclass(frozen=True, kw_only=True)
class KeepRepresentations(_OfRepresentations):
    """Only these representations stay; name "trivial" for the mean to stay with them."""

    kind: Literal["keep-representations"] = "keep-representations"

    untouched: ClassVar[str] = "the named representations, tokens that are no element, other tensors"

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        basis = representation_span(bench, self.representations)
        return kept_span(weights, bench, self.where, basis)


@dataclass(frozen=True, kw_only=True)
class RemoveRepresentations(_OfRepresentations):
    """Everything but these representations stays."""

    kind: Literal["remove-representations"] = "remove-representations"

    untouched: ClassVar[str] = "the other representations, tokens that are no element, other tensors"

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        return scaled_span(weights, bench, self.where, representation_span(bench, self.representations), 0.0)


@dataclass(frozen=True, kw_only=True)
class ScaleRepresentations(_OfRepresentations):
    """The part in these representations times a factor."""

    factor: float
    kind: Literal["scale-representations"] = "scale-representations"

    untouched: ClassVar[str] = "the other representations, tokens that are no element, other tensors"

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        return scaled_span(
            weights, bench, self.where, representation_span(bench, self.representations), self.factor
        )


@dataclass(frozen=True, kw_only=True)
class GraftRepresentations(_OfRepresentations):
    """These representations as a donor has them.

    Raises:
        ValueError: if there is no such donor, or it has other shapes.
    """

    donor: str
    kind: Literal["graft-representations"] = "graft-representations"

    untouched: ClassVar[str] = "the other representations, tokens that are no element, other tensors"

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        return grafted_span(
            weights, bench, self.where, representation_span(bench, self.representations), self.donor
        )

"""Random directions: what an edit does to the size of weights, without what it does to their content."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from interp.interventions.bench import Bench, chosen_tensors, loss_of_test_rows
from interp.interventions.parts import PLACES, TENSOR_OF, axes, frequency_span, projected, rows
from interp.networks.config import Weights, parameter_shapes


@dataclass(frozen=True, kw_only=True)
class RandomDirection:
    """A random direction of given length added to each of some tensors.

    Attributes:
        norms: name of each tensor and the Frobenius norm of what is added.
        seed: of the Gaussian draw; the same on every device.
        tilt: angle in radians by which each tensor's direction leans from the draw towards the gradient of the test
            loss (negative: against it): cos(tilt) draw + sin(tilt) gradient, the gradient orthogonal to the draw. It
            makes an immediate change of the test loss at equal norm.
        spared: frequencies that stay in W_E's rows and W_U's columns; where some are named, tokens that are no residue
            and outputs that are no answer stay as well, and other tensors are refused.

    Raises:
        ValueError: if a norm is negative; from `edit`, if a tensor is unknown, or frequencies are spared where there
            are none, or a tilt is asked of a task without a split.
    """

    norms: tuple[tuple[str, float], ...]
    seed: int
    tilt: float = 0.0
    spared: tuple[int, ...] = ()
    kind: Literal["random-direction"] = "random-direction"

    untouched: ClassVar[str] = "the spared frequencies, the tensors that are not named"

    def __post_init__(self):
        wrong = [f"{name}: {norm}" for name, norm in self.norms if not (math.isfinite(norm) and norm >= 0)]
        if wrong:
            raise ValueError(f"A random direction needs finite norms of at least 0, got {', '.join(wrong)}.")

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        chosen_tensors(weights, tuple(name for name, _ in self.norms))
        out = dict(weights)
        units = self._units(weights, bench)
        for name, norm in self.norms:
            if norm:
                w = weights[name]
                out[name] = (w.double() + norm * units[name].to(w.device)).to(w.dtype)
        return out

    def _units(self, weights: Weights, bench: Bench) -> Weights:
        """The direction of each tensor, of norm 1."""
        names = [name for name, _ in self.norms]
        draws = {name: _unit(self._free(self._drawn(name, bench), name, bench)) for name in names}
        if not self.tilt:
            return draws
        gradients = _gradients(weights, names, bench)
        out = {}
        for name, draw in draws.items():
            slope = self._free(gradients[name], name, bench)
            slope = _unit(slope - (slope * draw).sum() * draw)
            out[name] = _unit(math.cos(self.tilt) * draw + math.sin(self.tilt) * slope)
        return out

    def _drawn(self, name: str, bench: Bench) -> Tensor:
        shapes = parameter_shapes(bench.config)
        generator = np.random.default_rng([self.seed, list(shapes).index(name)])
        return torch.from_numpy(generator.standard_normal(shapes[name]))

    def _free(self, x: Tensor, name: str, bench: Bench) -> Tensor:
        """The part of x that may be added: all of it where nothing is spared."""
        if not self.spared:
            return x
        basis = frequency_span(bench, self.spared)
        place = next((place for place in PLACES if TENSOR_OF[place] == name), None)
        if place is None:
            raise ValueError(
                f"Sparing frequencies needs tensors of {' and '.join(TENSOR_OF.values())}, got {name}. It has no "
                "axis of tokens or answers."
            )
        out = torch.zeros_like(x)
        for axis in axes(bench, place):
            part = rows({name: x}, axis)
            out.movedim(axis.dim, 0)[axis.order] = part - projected(part, basis)
        return out


def _gradients(weights: Weights, names: list[str], bench: Bench) -> Weights:
    leaves = {name: weights[name].detach().clone().requires_grad_() for name in names}
    with torch.enable_grad():
        value = loss_of_test_rows(bench)({**weights, **leaves})
        found = torch.autograd.grad(value, list(leaves.values()))
    return {name: g.double().cpu() for name, g in zip(names, found, strict=True)}


def _unit(x: Tensor) -> Tensor:
    """x of norm 1; zeros stay."""
    norm = torch.linalg.vector_norm(x)
    return x / norm if norm > 0 else x

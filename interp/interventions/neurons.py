"""Sets of neurons, cut out of the weights, and how to choose them.

A removed neuron has zeros for all that it reads and writes. In that state its gradient is zero for every activation
here, so that it stays removed through further training, as long as the optimizer's momentum of these entries is zero
as well and no noise is added. Leaving a neuron in place and changing what it says is `AblateNeurons`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.ground.choices import check_choices
from interp.interventions.ablation import How, ablation
from interp.interventions.bench import Bench, check_layer, check_units
from interp.networks.config import Weights
from interp.networks.plain import Tap


@dataclass(frozen=True, kw_only=True)
class RemoveNeurons:
    """These neurons of a layer read and write nothing any more.

    Raises:
        ValueError: from `edit`, if there is no such layer or neuron.
    """

    neurons: tuple[int, ...]
    layer: int = 0
    kind: Literal["remove-neurons"] = "remove-neurons"

    untouched: ClassVar[str] = (
        "the other neurons, other layers, attention, embedding, the bias after the neurons"
    )

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        _check(self, bench)
        if not self.neurons:
            return dict(weights)
        out = dict(weights)
        for name, dim in _axes_of_neurons(weights, bench, self.layer).items():
            index = torch.tensor(self.neurons, device=out[name].device)
            out[name] = out[name].index_fill(dim, index, 0.0)
        return out


@dataclass(frozen=True, kw_only=True)
class KeepNeurons:
    """Only these neurons of a layer read and write.

    Raises:
        ValueError: from `edit`, if there is no such layer or neuron.
    """

    neurons: tuple[int, ...]
    layer: int = 0
    kind: Literal["keep-neurons"] = "keep-neurons"

    untouched: ClassVar[str] = (
        "the named neurons, other layers, attention, embedding, the bias after the neurons"
    )

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        _check(self, bench)
        others = tuple(sorted(set(range(bench.config.d_mlp)) - set(self.neurons)))
        return RemoveNeurons(neurons=others, layer=self.layer).edit(weights, bench)


@dataclass(frozen=True, kw_only=True)
class AblateNeurons:
    """These neurons say 0, their mean over the examples, or what they say on another example.

    Attributes:
        how: "zero", "mean", or "resample" (drawn with `seed`, no example keeps its own).

    Raises:
        ValueError: if `how` is none of them; from `tap`, if there is no such layer or neuron; from the tap, if a single
            example is to be resampled.
    """

    neurons: tuple[int, ...]
    how: How
    layer: int = 0
    seed: int = 0
    kind: Literal["ablate-neurons"] = "ablate-neurons"

    untouched: ClassVar[str] = "weights, the other neurons, what the layers before compute"

    def __post_init__(self):
        check_choices(self)

    def hooks(self, bench: Bench) -> tuple[str, ...]:
        _check(self, bench)
        return (f"blocks.{self.layer}.mlp.hook_post",)

    def tap(self, bench: Bench) -> Tap:
        return ablation(self.hooks(bench)[0], -1, self.neurons, self.how, self.seed)


def neuron_norms(weights: Weights, bench: Bench, layer: int = 0) -> Float[Tensor, " neuron"]:
    """Norm of all that a neuron reads (bias included) and writes, float64.

    Raises:
        ValueError: if there is no such layer, or no neurons.
    """
    check_layer(bench, layer)
    check_units("neurons", (), bench.config.d_mlp)
    squares = [
        weights[name].double().square().movedim(dim, 0).reshape(bench.config.d_mlp, -1).sum(1)
        for name, dim in _axes_of_neurons(weights, bench, layer).items()
    ]
    return torch.stack(squares).sum(0).sqrt()


def largest(values: Float[Tensor, " neuron"] | Sequence[float], n: int) -> tuple[int, ...]:
    """The n neurons with the largest values (norms, shares of the key frequencies), in order of their index.

    Raises:
        ValueError: if there are fewer.

    >>> largest([0.1, 0.9, 0.5], 2)
    (1, 2)
    """
    v = torch.as_tensor(values)
    if not 0 <= n <= len(v):
        raise ValueError(f"Choosing neurons needs a number from 0 to {len(v)}, got {n}. There are no more.")
    return tuple(sorted(v.argsort(descending=True, stable=True)[:n].tolist()))


def _check(edit: RemoveNeurons | KeepNeurons | AblateNeurons, bench: Bench) -> None:
    check_layer(bench, edit.layer)
    check_units("neurons", edit.neurons, bench.config.d_mlp)


def _axes_of_neurons(weights: Weights, bench: Bench, layer: int) -> dict[str, int]:
    """The tensors that a layer's neurons read and write through, with the axis on which they stand."""
    mlp, config = f"blocks.{layer}.mlp", bench.config
    after = f"blocks.{layer + 1}.mlp.W_in" if layer + 1 < config.n_layers else "unembed.W_U"
    # A tied W_U is the embedding: to read nothing is enough for a neuron to say nothing.
    axes = {f"{mlp}.W_in": 1, f"{mlp}.b_in": 0, after if config.is_mlp else f"{mlp}.W_out": 0}
    return {name: dim for name, dim in axes.items() if name in weights}

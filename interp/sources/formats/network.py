"""From a foreign state dict to a `ModelConfig` and weights: what every format shares.

Every tensor is taken by name, with its shape checked, or the import fails: what is left over is named. Fields of the
config that tensors cannot show (the activation function, a mask that was not stored) come from the source's own config
or from the user; where both are silent the usual value is taken and recorded as assumed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from interp.networks.config import ModelConfig, Weights, check_weights
from interp.sources.files.reading import SourceError, as_weights


@dataclass(frozen=True, eq=False)
class Network:
    """A state dict understood.

    Attributes:
        assumed: fields of the config that nothing states, with the usual value that was taken.
        dropped: buffers of the state dict (masks, fixed positions) that hold no weights, each checked to hold what the
            config says.
        task: fields of the task's config that the network or what lies beside it show. "family" names another family
            of tasks than "modular".
    """

    config: ModelConfig
    weights: Weights
    assumed: dict[str, Any] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    task: dict[str, Any] = field(default_factory=dict)


class Tensors:
    """The tensors of a state dict, taken one by one by name."""

    def __init__(self, tensors: Mapping[str, Tensor], prefix: str, where: str):
        self.where, self.prefix = where, prefix
        self._left = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
        self._outside = [name for name in tensors if not name.startswith(prefix)]
        self.dropped: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, *shape: int | None) -> Tensor:
        """The tensor of that name, which must have this shape (None: any size).

        Raises:
            SourceError: if it is missing or of another shape.
        """
        if name not in self._left:
            raise SourceError(f"{self.where} lacks {self.prefix}{name}: the state dict is incomplete.")
        tensor = self._left.pop(name)
        if len(shape) != tensor.ndim or any(
            want not in (None, n) for want, n in zip(shape, tensor.shape, strict=True)
        ):
            want = ", ".join("any" if n is None else str(n) for n in shape)
            raise SourceError(
                f"{self.where} holds {self.prefix}{name} of shape {tuple(tensor.shape)}, where ({want}) fits its other "
                "tensors: it is damaged, or of another format."
            )
        return tensor

    def take_bias(self, name: str, *shape: int) -> Tensor | None:
        """A bias, or None where there is none."""
        return self.take(name, *shape) if name in self else None

    def drop(self, name: str) -> Tensor | None:
        """A buffer, noted as dropped; None where there is none."""
        if name in self:
            self.dropped.append(self.prefix + name)
        return self._left.pop(name, None)

    def n_layers(self, pattern: str) -> int:
        """How many layers have a tensor of this name ({} stands for the number), counted from 0."""
        n = 0
        while pattern.format(n) in self:
            n += 1
        return n

    def finish(self) -> None:
        """Nothing, if every tensor was taken or dropped.

        Raises:
            SourceError: if some are left.
        """
        left = [self.prefix + name for name in self._left] + self._outside
        if left:
            more = f" and {len(left) - 4} more" if len(left) > 4 else ""
            raise SourceError(
                f"{self.where} holds tensors that its format does not know: {', '.join(left[:4])}{more}. Leaving them "
                "out would make another network. If you know what they are, write an adapter (docs/import.md)."
            )


def prefix_before(tensors: Mapping[str, Tensor], anchor: str) -> str | None:
    """What stands before this name in the state dict ("", "module.", "model.", ...), or None where it is not there."""
    for name in tensors:
        if name == anchor or name.endswith("." + anchor):
            return name[: -len(anchor)]
    return None


def network(
    tensors: Tensors,
    weights: Mapping[str, Tensor | None],
    shown: Mapping[str, Any],
    stated: Mapping[str, Any],
    usual: Mapping[str, Any],
    task: Mapping[str, Any] | None = None,
) -> Network:
    """The network of these weights.

    Args:
        weights: by TransformerLens names; None for biases that are not there.
        shown: fields of the config that the tensors show.
        stated: fields that the source's config or the user state.
        usual: values for the rest.

    Raises:
        SourceError: if tensors are left over, or a stated field contradicts what the tensors show.
    """
    tensors.finish()
    for name, value in shown.items():
        if name in stated and stated[name] != value:
            raise SourceError(
                f"{tensors.where} shows {name}={value!r} by its tensors, but {stated[name]!r} was stated. Leave {name} "
                "out of model=, or check that it is the right file."
            )
    assumed = {name: value for name, value in usual.items() if name not in stated and name not in shown}
    fields = (
        {"init": "nanda", "init_scale": 1.0, "one_hot_embed": False} | assumed | dict(stated) | dict(shown)
    )
    try:
        config = ModelConfig(**fields)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise SourceError(f"{tensors.where} is no network of this package: {error}") from error
    owned = as_weights(fill_biases(config, {name: w for name, w in weights.items() if w is not None}))
    check_weights(config, owned, tensors.where)
    return Network(config, owned, assumed, tensors.dropped, dict(task or {}))


def fill_biases(config: ModelConfig, weights: Mapping[str, Tensor]) -> Weights:
    """The weights in the order of the config's parameters, biases that only some layers have filled with zeros."""
    from interp.networks.config import parameter_shapes

    like = next(iter(weights.values()))
    filled = dict(weights)
    for name, shape in parameter_shapes(config).items():
        if name not in filled and name.rsplit(".", 1)[1].startswith("b_"):
            filled[name] = torch.zeros(shape, dtype=like.dtype)
    ordered = [name for name in parameter_shapes(config) if name in filled]
    return {name: filled[name] for name in [*ordered, *(n for n in filled if n not in ordered)]}


def direction(mask: Tensor | None, where: str) -> str | None:
    """What a stored attention mask says, or None where there is none.

    Raises:
        SourceError: if it is neither causal nor full.
    """
    if mask is None:
        return None
    square = mask.reshape(mask.shape[-2:]).bool() if mask.ndim >= 2 else mask
    if mask.ndim >= 2 and torch.equal(square, torch.ones_like(square).tril()):
        return "causal"
    if mask.ndim >= 2 and bool(square.all()):
        return "bidirectional"
    raise SourceError(
        f"{where} holds an attention mask that is neither causal nor full: no format here has one."
    )

"""What a hooked network is made of beside hooks, in the shape in which TransformerLens' tools look for it."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from interp.networks.config import ModelConfig
from interp.networks.layers import EPSILON


@dataclass(frozen=True, kw_only=True)
class LensConfig(ModelConfig):
    """A `ModelConfig` with what TransformerLens' tools ask of a model's config beyond the fields of their names.

    Attributes:
        device: where the model's weights are.
    """

    device: torch.device

    # Grouped-query attention, which no network here has.
    n_key_value_heads = None

    @property
    def attn_only(self) -> bool:
        return self.d_mlp == 0


class Output(NamedTuple):
    """What `return_type="both"` gives."""

    logits: Tensor
    loss: Tensor


class Norm(nn.Module):
    """A LayerNorm's weights and hooks, and the norm itself for tools that call `model.ln_final(x)`."""

    def forward(self, x: Tensor) -> Tensor:
        w, b = (self._parameters.get(name) for name in "wb")
        return nn.functional.layer_norm(x, x.shape[-1:], w, b, EPSILON)


class Block(nn.Module):
    """The weights and hooks of one block."""

    # What the logit lens of TransformerLens asks of a block.
    hook_out_is_single_residual_stream = True


def part(name: str) -> nn.Module:
    """The module of this name inside a network, still empty."""
    if name == "blocks":
        return nn.ModuleList()
    if name in ("ln1", "ln2", "ln_final"):
        return Norm()
    return Block() if name.isdigit() else nn.Module()

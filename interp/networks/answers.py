"""Which forward pass answers: the factorized one where it applies, the plain one of the hooked model elsewhere."""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.networks import factorized
from interp.networks.config import ModelConfig, Weights

Path = Literal["factorized", "plain"]


def path_for(config: ModelConfig) -> Path:
    """The pass that `answer_logits` takes for this network; recorded in every run."""
    return "plain" if factorized.obstacle(config) else "factorized"


def answer_logits(
    config: ModelConfig, tokens: Int[Tensor, "example pos"]
) -> Callable[[Weights], Float[Tensor, "example d_vocab_out"]]:
    """A function from weights to the logits at the answered position of these inputs, differentiable.

    What depends on the inputs alone is prepared here, once.
    """
    if path_for(config) == "factorized":
        rows = factorized.Rows.of(tokens)
        return lambda weights: factorized.forward(config, weights, rows).logits

    model = _hooked_model(config, tokens.device)
    return lambda weights: torch.func.functional_call(model, weights, (tokens,), strict=True)[:, -1]


@lru_cache(maxsize=4)
def _hooked_model(config: ModelConfig, device: torch.device) -> torch.nn.Module:
    # Kept, because every mini-batch comes here; it holds no weights of its own.
    from interp.networks.hooked import build_model  # transformer_lens takes seconds to load

    return build_model(config).to(device)

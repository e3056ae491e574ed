"""Which forward pass answers: the factorized one where it applies, the plain one elsewhere."""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from interp.networks import factorized, plain
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
    return lambda weights: plain.forward(config, weights, tokens)[:, -1]

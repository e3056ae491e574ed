"""Which forward pass answers: the factorized one where it applies, the plain one elsewhere."""

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from interp.networks import factorized, plain
from interp.networks.config import ModelConfig, Weights
from interp.tasks.task import Questions

Path = Literal["factorized", "plain"]


def path_for(config: ModelConfig, questions: Questions | None = None) -> Path:
    """The pass that `answer_logits` takes for this network; recorded in every run.

    Args:
        questions: what it is asked; None for one question an example, at its last position.
    """
    asked_elsewhere = questions is not None and not questions.is_last
    return "plain" if factorized.obstacle(config) or asked_elsewhere else "factorized"


def answer_logits(
    config: ModelConfig, asked: Questions | Int[Tensor, "example pos"] | Float[Tensor, "example pos"]
) -> Callable[[Weights], Float[Tensor, "question d_vocab_out"]]:
    """A function from weights to the logits of these questions, differentiable.

    What depends on the inputs alone is prepared here, once.

    Args:
        asked: questions, or inputs whose last position is the question.
    """
    questions = asked if isinstance(asked, Questions) else None
    inputs = asked.inputs if isinstance(asked, Questions) else asked
    if path_for(config, questions) == "factorized":
        rows = factorized.Rows.of(inputs)
        return lambda weights: factorized.forward(config, weights, rows).logits
    if questions is None or questions.is_last:
        return lambda weights: plain.forward(config, weights, inputs)[:, -1]
    example, position = questions.example, questions.position
    if config.is_mlp:
        # It reads a whole row and answers once, whatever the row is asked.
        return lambda weights: plain.forward(config, weights, inputs)[example, 0]
    return lambda weights: plain.forward(config, weights, inputs)[example, position]

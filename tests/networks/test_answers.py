"""Logits at questions, whichever they are: not every example is asked, and some are asked twice."""

import pytest
import torch

from interp.networks import plain
from interp.networks.answers import answer_logits
from interp.networks.config import initial_weights
from interp.tasks.task import Questions
from tests.tiny import tiny_config

ROWS, POSITIONS = torch.tensor([7, 0, 0, 3]), torch.tensor([2, 1, 2, 0])


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("n_heads", [0, 2])
def test_questions_at_any_row_and_position(n_heads, n_layers):
    config = tiny_config(model={"n_heads": n_heads, "n_layers": n_layers})
    inputs, weights = config.task.task().inputs, initial_weights(config.model, 0)
    asked = Questions(inputs, ROWS, POSITIONS, torch.zeros(4, dtype=torch.long))
    logits = plain.forward(config.model, weights, inputs)
    # An MLP answers once a row.
    expected = logits[ROWS, POSITIONS if n_heads else 0]
    assert torch.equal(answer_logits(config.model, asked)(weights), expected)

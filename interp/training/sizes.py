"""What a run would take, compared with what the machine has before any of it is taken."""

from math import prod

import torch

from interp.ground.memory import check_memory
from interp.networks.config import n_parameters, parameter_shapes
from interp.runs.config import Recipe


def saved_bytes(recipe: Recipe) -> int:
    """What all checkpoints of a run take on the disk, and one state more, from which it is resumed or made longer."""
    per_parameter = 2 if recipe.optimizer.name != "sgd" else int(recipe.optimizer.momentum > 0)
    n_saved, n_states = len(recipe.schedule.steps), len(recipe.schedule.optimizer_steps)
    return weights_bytes(recipe) * (n_saved + 1 + per_parameter * (n_states + 1))


def weights_bytes(recipe: Recipe) -> int:
    """What the weights of one checkpoint take, biases and all."""
    return 4 * sum(prod(shape) for shape in parameter_shapes(recipe.model).values())


def check_sizes(recipe: Recipe, device: str) -> None:
    """Refuse a recipe whose weights, optimizer and logits of all examples cannot be in memory.

    A lower bound: what is refused could not have been trained, what is not may still turn out to be too large.

    Raises:
        ValueError: with the sizes that decide it.
    """
    task, model = recipe.task, recipe.model
    # A family says this before its table is made, or not at all.
    n_examples = getattr(task, "n_examples", 0)
    logits = n_examples * model.d_vocab_out
    rows = n_examples * model.n_ctx
    # Weights, their gradients and two moments; integers of the table.
    needed = 4 * (4 * n_parameters(model) + logits) + 8 * rows
    what = (
        f"Training on {task.description} ({n_examples:,} examples, {model.d_vocab_out:,} logits each) with a network "
        f"of {n_parameters(model):,} weights"
    )
    if device.startswith("cuda"):
        check_memory(needed, what, torch.cuda.mem_get_info(device)[1])
    else:
        check_memory(needed, what)

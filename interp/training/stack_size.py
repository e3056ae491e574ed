"""How many runs to train as one: from memory, and from a few timed steps on this machine."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from interp.ground.memory import machine_memory
from interp.networks.config import initial_weights, n_parameters
from interp.runs.checkpoint import Checkpoint
from interp.runs.config import Recipe
from interp.runs.record import RunRecord
from interp.runs.run import Run
from interp.training.data import Data
from interp.training.optimizer import Optimizer
from interp.training.session import deterministic
from interp.training.stack import Stack

SIZES = {"cpu": (1, 2, 4, 8, 16), "cuda": (1, 8, 32, 64, 128, 256)}
# A larger stack has to be worth the wait for its slowest member.
WORTH = 0.97
# Of the memory that there is, what stacks may take.
SHARE = 0.5


@dataclass(frozen=True)
class StackSize:
    """Runs a stack, and what training them takes.

    Attributes:
        size: 0 where runs one at a time, in a loop of their own, are faster than any stack.
        seconds: of one step of one run, with its share of an evaluation, on one thread of a processor.
        alone: the same of a run in a loop of its own.
    """

    size: int
    seconds: float
    alone: float


def stack_size(
    recipes: Sequence[Recipe], device: str = "cpu", *, n_at_once: int = 1, size: int | None = None
) -> StackSize:
    """The size of stack at which runs of one architecture are trained fastest here.

    Sizes are tried from 1 up until two in a row gain less than 3 % or one does not fit in memory, a few steps each.

    Args:
        recipes: of the runs that are to be trained; no larger stack is tried than there are.
        n_at_once: stacks that are trained side by side, each with its share of the memory.
        size: timed alone, if it is chosen already.
    """
    with deterministic(device, 1):
        alone = _alone(recipes[0], device)
        best = StackSize(0, alone, alone)
        if size is not None:
            chosen = min(size, len(recipes))
            return StackSize(chosen, _stacked(recipes[:chosen], device), alone)
        most, n_worse = len(recipes), 0
        for n in sorted({min(n, most) for n in SIZES["cuda" if device.startswith("cuda") else "cpu"]}):
            if n > 1 and n * n_at_once * bytes_of_member(recipes[0]) > SHARE * _memory(device):
                break
            seconds = _stacked(recipes[:n], device)
            if (n == 1 and seconds < best.seconds) or seconds < WORTH * best.seconds:
                best, n_worse = StackSize(n, seconds, alone), 0
            elif (n_worse := n_worse + 1) == 2:
                # One could be a busy moment of the machine.
                break
        return best


def bytes_of_member(recipe: Recipe) -> int:
    """What one member takes in memory while it is trained, roughly: weights with their moments, activations."""
    model, n_examples = recipe.model, getattr(recipe.task, "n_examples", 0)
    per_example = 3 * max(model.d_mlp, model.d_model) + 6 * model.d_model + 8 * model.d_vocab_out
    return 4 * (6 * n_parameters(model) + n_examples * per_example * model.n_layers)


def _memory(device: str) -> int:
    return torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else machine_memory()


def _alone(recipe: Recipe, device: str) -> float:
    weights = initial_weights(recipe.model, recipe.seed)
    live = {name: w.to(device).requires_grad_() for name, w in weights.items()}
    data, optimizer = Data(recipe.task.task(), recipe, device), Optimizer(recipe.optimizer, live, None)

    def step(number: int) -> None:
        logits_of, labels = data.batch(number)
        data.loss(logits_of(live), labels).backward()
        optimizer.step(number)

    return _least(step, device) + _least(lambda _: data.evaluate(live), device) / recipe.evaluation_interval


def _stacked(recipes: Sequence[Recipe], device: str) -> float:
    starts = []
    for i, recipe in enumerate(recipes):
        # In memory alone: nothing of it is saved.
        run = Run(Path(f"timed-{i}"), RunRecord(status="running", unit="step"), recipe.config())
        run.task = recipe.task.task()
        starts.append((run, Checkpoint(recipe.first_step, initial_weights(recipe.model, recipe.seed), {})))
    stack = Stack.of(starts, device)
    now = [member.acting.now(member.step) for member in stack.members]

    def step(_: int) -> None:
        stack.gradients(now, scores=False)
        stack.update(now)

    seconds = _least(step, device)
    evaluation = _least(lambda _: stack.scores(), device) / recipes[0].evaluation_interval
    return (seconds + evaluation) / len(recipes)


def _least(work: Callable[[int], object], device: str, n: int = 4) -> float:
    """Seconds of the quickest of a few, after one that prepares: it is disturbed least."""
    taken = []
    for number in range(n + 1):
        started = time.perf_counter()
        work(number)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return min(taken[1:])

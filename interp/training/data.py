"""The task's questions on a device, and the functions that turn weights into their logits and scores."""

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import hardshrink

from interp.networks import objective
from interp.networks.answers import answer_logits
from interp.networks.config import Weights
from interp.runs.config import Recipe
from interp.tasks.task import DrawsFresh, Questions, Task


class Data:
    """The train and the test questions of a task."""

    def __init__(self, task: Task, recipe: Recipe, device: str):
        self.dtype, self.kind = getattr(torch, recipe.optimizer.loss_dtype), recipe.optimizer.loss
        self.model = recipe.model
        self.batch_size, self.batch_seed = recipe.optimizer.batch_size, recipe.optimizer.batch_seed
        self._fresh = task.config if recipe.optimizer.fresh else None
        self.train, self.test = (task.of_split(split).to(device) for split in ("train", "test"))
        self._is_judged = {split: task.is_judged(split) for split in ("train", "test")}
        self._epoch, self._order = -1, torch.empty(0)

    @cached_property
    def train_logits(self) -> Callable[[Weights], Tensor]:
        """From weights to the logits of all train questions."""
        return answer_logits(self.model, self.train)

    @cached_property
    def test_logits(self) -> Callable[[Weights], Tensor]:
        """From weights to the logits of all test questions."""
        return answer_logits(self.model, self.test)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What training minimises."""
        return objective.loss(logits, labels, self.dtype, self.kind)

    def batch(self, step: int) -> tuple[Callable[[Weights], Tensor], Tensor]:
        """Logits function and labels of the examples of this step; its gradients are without subnormal numbers."""
        part = self.part(step)
        if part is self.train:
            return _for_training(self.train_logits), self.train.labels
        return _for_training(answer_logits(self.model, part)), part.labels

    def part(self, step: int) -> Questions:
        """The train questions of this step, which are all of them unless there are mini-batches or fresh rows."""
        if isinstance(self._fresh, DrawsFresh) and self.batch_size is not None:
            drawn = self._fresh.drawn(self.batch_size, [self.batch_seed, step])
            return drawn.to(self.train.labels.device)
        n = len(self.train.inputs)
        if self.batch_size is None or self.batch_size >= n:
            return self.train
        per_epoch = math.ceil(n / self.batch_size)
        epoch, i = divmod(step, per_epoch)
        if epoch != self._epoch:
            order = np.random.default_rng([self.batch_seed, epoch]).permutation(n)
            self._epoch, self._order = epoch, torch.from_numpy(order).to(self.train.labels.device)
        return self.train.of(self._order[i * self.batch_size : (i + 1) * self.batch_size])

    @torch.no_grad()
    def evaluate(self, weights: Weights, full_batch_logits: Tensor | None = None) -> dict[str, float]:
        """Loss (float64) and accuracy on train and test; logits of all train questions are not computed twice."""
        train_logits = self.train_logits(weights) if full_batch_logits is None else full_batch_logits
        return self.scores("train", train_logits) | self.scores("test", self.test_logits(weights))

    @property
    def is_judged_by_all(self) -> bool:
        """Whether no question is left out of the accuracy by which a run is judged."""
        return self._is_judged["test"] is None

    def scores(self, split: str, logits: Tensor) -> dict[str, float]:
        """What is recorded of the logits of all train or all test questions."""
        questions: Questions = getattr(self, split)
        is_judged = self._is_judged[split]
        if is_judged is not None:
            is_judged = is_judged.to(logits.device)
        found = objective.scores(logits, questions.labels, is_judged)
        return {f"{split}_{name}": x for name, x in found.items()}


def without_subnormal(gradient: Tensor) -> Tensor:
    """A gradient of logits with subnormal numbers taken for zero, which changes no bit of what they add up to.

    Once a network is sure of its train rows, many of them lie below 1.2e-38, and arithmetic with such a number takes a
    processor a hundred times as long: three times the whole backward pass (docs/log.md). To flush them in the
    processor (torch.set_flush_denormal) reaches one thread alone.
    """
    return hardshrink(gradient, torch.finfo(gradient.dtype).tiny)


def _for_training(logits_of: Callable[[Weights], Tensor]) -> Callable[[Weights], Tensor]:
    def logits(weights: Weights) -> Tensor:
        found = logits_of(weights)
        if found.requires_grad:
            found.register_hook(without_subnormal)
        return found

    return logits

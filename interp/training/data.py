"""The task's rows on a device, and the functions that turn weights into loss and accuracy."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from interp.networks.answers import answer_logits
from interp.networks.config import Weights
from interp.runs.config import Recipe
from interp.tasks.modular import Task


class Data:
    """The task on a device, with the functions that turn weights into loss and accuracy."""

    def __init__(self, task: Task, recipe: Recipe, device: str):
        is_train = task.split
        self.dtype = getattr(torch, recipe.optimizer.loss_dtype)
        self.model = recipe.model
        self.batch_size, self.batch_seed = recipe.optimizer.batch_size, recipe.optimizer.batch_seed
        self.train_tokens, self.train_labels = (
            task.tokens[is_train].to(device),
            task.labels[is_train].to(device),
        )
        self.train_logits = answer_logits(recipe.model, self.train_tokens)
        self.test_labels = task.labels[~is_train].to(device)
        self.test_logits = answer_logits(recipe.model, task.tokens[~is_train].to(device))
        self._epoch, self._order = -1, torch.empty(0)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(logits.to(self.dtype), labels)

    def batch(self, step: int) -> tuple[Callable[[Weights], Tensor], Tensor]:
        """Logits function and labels of the rows of this step."""
        n = len(self.train_labels)
        if self.batch_size is None or self.batch_size >= n:
            return self.train_logits, self.train_labels
        per_epoch = math.ceil(n / self.batch_size)
        epoch, i = divmod(step, per_epoch)
        if epoch != self._epoch:
            order = np.random.default_rng([self.batch_seed, epoch]).permutation(n)
            self._epoch, self._order = epoch, torch.from_numpy(order).to(self.train_labels.device)
        rows = self._order[i * self.batch_size : (i + 1) * self.batch_size]
        return answer_logits(self.model, self.train_tokens[rows]), self.train_labels[rows]

    @torch.no_grad()
    def evaluate(self, weights: Weights, full_batch_logits: Tensor | None = None) -> dict[str, float]:
        """Loss (float64) and accuracy on train and test rows; logits of all train rows are not computed twice."""
        train_logits = self.train_logits(weights) if full_batch_logits is None else full_batch_logits
        out = {}
        for split, logits, labels in (
            ("train", train_logits, self.train_labels),
            ("test", self.test_logits(weights), self.test_labels),
        ):
            loss_dtype = torch.float64 if logits.device.type != "mps" else torch.float32
            out[f"{split}_loss"] = torch.nn.functional.cross_entropy(logits.to(loss_dtype), labels).item()
            out[f"{split}_accuracy"] = (logits.argmax(-1) == labels).double().mean().item()
        return out

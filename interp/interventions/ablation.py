"""Units of an activation replaced: by zero, by their mean over the examples, by what they are on another example."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from interp.networks.plain import Tap

How = Literal["zero", "mean", "resample"]


def ablation(hook: str, axis: int, units: tuple[int, ...], how: How, seed: int) -> Tap:
    """A tap that ablates units of one activation.

    "mean" and "resample" are over the examples of the same pass: show them all, or a fair sample.

    Args:
        axis: of the activation, on which the units stand.
        seed: of the resampling.
    """

    def tap(name: str, x: Tensor) -> Tensor:
        if name != hook or not units:
            return x
        index = torch.tensor(units, device=x.device)
        return x.index_copy(axis, index, _replacement(x, how, seed).index_select(axis, index))

    return tap


def _replacement(x: Tensor, how: How, seed: int) -> Tensor:
    if how == "zero":
        return torch.zeros_like(x)
    if how == "mean":
        return x.mean(0, keepdim=True).expand_as(x)
    return x[_other_examples(len(x), seed).to(x.device)]


def _other_examples(n: int, seed: int) -> Tensor:
    """For each example another one, each used once.

    Raises:
        ValueError: if there is only one.
    """
    if n < 2:
        raise ValueError(f"Resampling needs at least 2 examples, got {n}. There is no other to take from.")
    # A circle through all of them in random order: nobody follows themselves.
    circle = np.random.default_rng([seed, n]).permutation(n)
    out = np.empty(n, dtype=np.int64)
    out[circle] = np.roll(circle, 1)
    return torch.from_numpy(out)

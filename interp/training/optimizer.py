"""torch's optimizer with its state by parameter name."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from interp.networks.config import Weights
from interp.runs.config import OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int) -> float:
    """That of this update, which grows during the warm-up."""
    warmup = config.warmup_steps
    return config.lr * (min(step / warmup, 1.0) if warmup else 1.0)


def below_eps(config: OptimizerConfig, state: Mapping[str, Any]) -> tuple[int, int]:
    """How many entries have a root mean squared gradient below Adam's eps, and of how many it is known.

    Args:
        state: torch's, of one parameter.
    """
    if "exp_avg_sq" not in state or not float(state["step"]):
        return 0, 0
    correction = 1 - config.betas[1] ** float(state["step"])
    limit = torch.tensor(config.eps, dtype=torch.float64).square() * correction
    # Not of the moment in float32, where a square of 1e-25 is zero.
    return int((state["exp_avg_sq"].cpu().double() < limit).sum()), state["exp_avg_sq"].numel()


class Optimizer:
    """torch's optimizer on a dict of weights, its state by parameter name."""

    def __init__(self, config: OptimizerConfig, weights: Weights, state: Weights | None):
        self.config, self.weights = config, weights
        parameters = list(weights.values())
        if config.name == "sgd":
            self.torch: torch.optim.Optimizer = torch.optim.SGD(
                parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
            )
        else:
            kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
            self.torch = kind(
                parameters,
                lr=config.lr,
                betas=config.betas,
                eps=config.eps,
                weight_decay=config.weight_decay,
                fused=parameters[0].device.type in ("cpu", "cuda"),
            )
        for key, tensor in (state or {}).items():
            kind_of_state, name = key.split("/", 1)
            # Adam's step count lives on the CPU or the device depending on `fused`; it is where the weights are here.
            self.torch.state[weights[name]][kind_of_state] = tensor.to(weights[name].device)

    def step(self, step: int) -> None:
        for group in self.torch.param_groups:
            group["lr"] = learning_rate(self.config, step)
        self.torch.step()
        self.torch.zero_grad(set_to_none=True)

    def forget(self, names: Iterable[str]) -> None:
        """Set the moments of these weights back to zero, and the count of steps that corrects their bias."""
        for name in names:
            for value in self.torch.state[self.weights[name]].values():
                if isinstance(value, Tensor):
                    value.zero_()

    def share_below_eps(self) -> float:
        """Share of the entries whose root mean squared gradient is below Adam's eps, which then decides their update.

        Nan where there is no such moment: before the first step, and of SGD.
        """
        counted = [below_eps(self.config, self.torch.state[weight]) for weight in self.weights.values()]
        n = sum(n for _, n in counted)
        return sum(below for below, _ in counted) / n if n else float("nan")

    def state(self) -> Weights:
        return {
            f"{key}/{name}": value.clone()
            for name, weight in self.weights.items()
            for key, value in self.torch.state[weight].items()
            if isinstance(value, Tensor)
        }

"""torch's optimizer with its state by parameter name."""

from collections.abc import Iterable

import torch
from torch import Tensor

from interp.networks.config import Weights
from interp.runs.config import OptimizerConfig


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
        warmup = self.config.warmup_steps
        for group in self.torch.param_groups:
            group["lr"] = self.config.lr * (min(step / warmup, 1.0) if warmup else 1.0)
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
        below = n = 0
        for weight in self.weights.values():
            state = self.torch.state[weight]
            if "exp_avg_sq" not in state or not float(state["step"]):
                continue
            correction = 1 - self.config.betas[1] ** float(state["step"])
            limit = torch.tensor(self.config.eps, dtype=torch.float64).square() * correction
            # Not of the moment in float32, where a square of 1e-25 is zero.
            below += int((state["exp_avg_sq"].cpu().double() < limit).sum())
            n += weight.numel()
        return below / n if n else float("nan")

    def state(self) -> Weights:
        return {
            f"{key}/{name}": value.clone()
            for name, weight in self.weights.items()
            for key, value in self.torch.state[weight].items()
            if isinstance(value, Tensor)
        }

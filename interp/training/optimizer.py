"""torch's optimizer with its state by parameter name."""

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

    def state(self) -> Weights:
        return {
            f"{key}/{name}": value.clone()
            for name, weight in self.weights.items()
            for key, value in self.torch.state[weight].items()
            if isinstance(value, Tensor)
        }

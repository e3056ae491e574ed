"""torch's optimizers on a stack: every member has settings and moments of its own.

The weights of a member lie side by side in one row, so that an update of it is one call on one tensor. Members whose
settings are equal at a step share the call. The arithmetic is that of `interp.training.optimizer`: the same kernels.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from interp.networks.config import Weights
from interp.runs.config import OptimizerConfig
from interp.training.optimizer import below_eps, learning_rate

ADAM, SGD = ("step", "exp_avg", "exp_avg_sq"), ("momentum_buffer",)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each weight lies in a member's row.

    Attributes:
        shapes: of each weight of one member, in their order.
        spans: first and last-but-one place of each.
    """

    shapes: dict[str, torch.Size]
    spans: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, weights: Weights) -> "Layout":
        spans, start = {}, 0
        for name, w in weights.items():
            spans[name] = (start, start + w.numel())
            start += w.numel()
        return cls({name: w.shape for name, w in weights.items()}, spans)

    @property
    def size(self) -> int:
        """Numbers in a row."""
        return sum(prod(shape) for shape in self.shapes.values())

    def stacked(self, rows: Float[Tensor, "member place"]) -> Weights:
        """The weights of all members, as views of their rows."""
        return {
            name: rows[:, start:stop].unflatten(1, self.shapes[name])
            for name, (start, stop) in self.spans.items()
        }

    def of_row(self, row: Float[Tensor, " place"]) -> Weights:
        """The weights of one member, as views of its row."""
        return {name: row[start:stop].view(self.shapes[name]) for name, (start, stop) in self.spans.items()}

    def row(self, weights: Weights) -> Float[Tensor, " place"]:
        """The row of a member with these weights."""
        return torch.cat([weights[name].reshape(-1) for name in self.spans])


@dataclass(eq=False)
class _Part:
    """What is updated in one go: all weights of a member, or one, where rules may leave some out.

    Attributes:
        state: tensors by the name that torch has for them; empty before the first update.
    """

    names: tuple[str, ...]
    start: int
    stop: int
    state: dict[str, Tensor] = field(default_factory=dict)


class StackedOptimizer:
    """One optimizer for a stack of weights.

    Attributes:
        configs: of each member.
    """

    def __init__(
        self,
        configs: Sequence[OptimizerConfig],
        layout: Layout,
        rows: Float[Tensor, "member place"],
        gradients: Float[Tensor, "member place"],
        states: Sequence[Weights],
        apart: Sequence[bool],
    ):
        """
        Args:
            rows, gradients: read and written in place.
            states: of each member, as `state` gives it; empty for one that begins.
            apart: whether weights of a member are updated one by one, so that some can be left out.
        """
        self.configs, self._layout = tuple(configs), layout
        self._rows, self._gradients = rows, gradients
        self._parts = [
            _parts(layout, state, config, row, by_weight)
            for state, config, row, by_weight in zip(states, configs, rows, apart, strict=True)
        ]
        self._shared: tuple[object, list[tuple[OptimizerConfig, float, list[list]]]] = (None, [])

    def step(self, steps: Sequence[int], left_out: Sequence[Collection[str]] = ()) -> None:
        """Update all members.

        Args:
            steps: of each member, for its warm-up.
            left_out: weights of each member that are not updated.
        """
        rates = tuple(learning_rate(config, step) for config, step in zip(self.configs, steps, strict=True))
        if any(left_out):
            calls = self._calls(rates, left_out)
        else:
            if self._shared[0] != rates:
                # Lists of views of fixed places, worth keeping from step to step.
                self._shared = (rates, self._calls(rates, [()] * len(rates)))
            calls = self._shared[1]
        for config, rate, lists in calls:
            _update(config, rate, lists)

    def _calls(
        self, rates: Sequence[float], left_out: Sequence[Collection[str]]
    ) -> list[tuple[OptimizerConfig, float, list[list]]]:
        calls: dict[tuple, tuple[OptimizerConfig, float, list[list]]] = {}
        for i, (config, rate) in enumerate(zip(self.configs, rates, strict=True)):
            key = (config.name, rate, config.weight_decay, config.betas, config.eps, config.momentum)
            _, _, (weights, gradients, states) = calls.setdefault(key, (config, rate, [[], [], []]))
            for part in self._parts[i]:
                if part.names[0] in left_out[i]:
                    continue
                span = slice(part.start, part.stop)
                weights.append(self._rows[i, span])
                gradients.append(self._gradients[i, span])
                states.append(part.state)
        return [call for call in calls.values() if call[2][0]]

    def forget(self, i: int, names: Iterable[str]) -> None:
        """As `interp.training.optimizer.Optimizer.forget`, of one member."""
        wanted = set(names)
        for part in self._parts[i]:
            if wanted & set(part.names):
                for value in part.state.values():
                    value.zero_()

    def share_below_eps(self, i: int) -> float:
        """As `Optimizer.share_below_eps`, of one member."""
        counted = [below_eps(self.configs[i], part.state) for part in self._parts[i]]
        n = sum(n for _, n in counted)
        return sum(below for below, _ in counted) / n if n else float("nan")

    def state(self, i: int) -> Weights:
        """The state of one member by parameter name, as `Optimizer.state` gives it."""
        found = {}
        for part in self._parts[i]:
            for name in part.names:
                start, stop = self._layout.spans[name]
                for key, value in part.state.items():
                    if value.ndim:
                        value = value[start - part.start : stop - part.start].view(self._layout.shapes[name])
                    found[f"{key}/{name}"] = value.clone()
        return found


def _parts(
    layout: Layout, state: Weights, config: OptimizerConfig, row: Tensor, by_weight: bool
) -> list[_Part]:
    kinds = SGD if config.name == "sgd" else ADAM
    spans = layout.spans
    # Weights that were left out before have counts of their own, or no state at all.
    known = {
        (*(f"{kind}/{name}" in state for kind in kinds), float(state.get(f"step/{name}", 0)))
        for name in spans
    }
    if by_weight or len(known) > 1:
        parts = [_Part((name,), start, stop) for name, (start, stop) in spans.items()]
    else:
        parts = [_Part(tuple(spans), 0, layout.size)]
    for part in parts:
        for kind in kinds:
            values = [state[f"{kind}/{name}"] for name in part.names if f"{kind}/{name}" in state]
            if not values:
                continue
            if kind == "step":
                part.state[kind] = values[0].to(row.device, copy=True)
            else:
                part.state[kind] = torch.cat([value.reshape(-1) for value in values]).to(row)
    return parts


def _update(config: OptimizerConfig, rate: float, lists: list[list]) -> None:
    weights, gradients, states = lists
    if config.name == "sgd":
        buffers = [state.get("momentum_buffer") for state in states]
        sgd(
            weights, gradients, buffers, weight_decay=config.weight_decay, momentum=config.momentum, lr=rate,
            dampening=0, nesterov=False, maximize=False,
        )  # fmt: skip
        for state, buffer in zip(states, buffers, strict=True):
            if buffer is not None:
                state["momentum_buffer"] = buffer
        return
    for state, weight in zip(states, weights, strict=True):
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
    adam(
        weights, gradients, [state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states], [],
        [state["step"] for state in states], fused=weights[0].device.type in ("cpu", "cuda"), amsgrad=False,
        beta1=config.betas[0], beta2=config.betas[1], lr=rate, weight_decay=config.weight_decay, eps=config.eps,
        maximize=False, decoupled_weight_decay=config.name == "adamw",
    )  # fmt: skip

"""A checkpoint brought to life: weights, network, task and run of one step, each activation computed once.

Probes take a `Snapshot` and nothing else, so that however many look at a step, its forward pass over all inputs
happens once. All activations are those at the task's questions, in the task's order. Views in the language of a task's
algebra are made of a snapshot by `once`: `snapshot.once(Residues)`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.networks import objective
from interp.networks.config import ModelConfig, Weights, check_weights
from interp.networks.network import BuiltNetwork, DescribedNetwork, MeasuredNetwork, Network
from interp.runs.run import Run
from interp.tasks.task import Task

Made = TypeVar("Made")

# What depends on a task alone, for the snapshots of its other steps.
_of_tasks: "WeakKeyDictionary[Task, dict[tuple, Any]]" = WeakKeyDictionary()


class NotApplicable(ValueError):
    """A probe asked for something that this network or task does not have; the message says what."""


@dataclass(eq=False)
class Activations:
    """The activations of one snapshot, each computed when it is first asked for."""

    network: Network
    weights: Weights
    task: Task
    kept: dict[str, Tensor]

    def __call__(self, hook: str) -> Tensor:
        if hook not in self.kept:
            self.kept |= self.network.activations(self.weights, self.task.questions, hook)
        return self.kept[hook]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Weights of one step with their network and task.

    Attributes:
        network: what gives activations: a `DescribedNetwork`, or one that grokscope does not describe.
        task: None where the run has none that is known: then only weights can be probed.
        run: the run that the step belongs to, for probes that compare steps; None for a network made by hand.
    """

    step: int
    weights: Weights
    network: Network
    task: Task | None
    run: Run | None = None

    def __repr__(self) -> str:
        of = "" if self.run is None else f" of run {self.run.name!r}"
        n = sum(w.numel() for w in self.weights.values())
        return f"Snapshot(step {self.step}{of}: {n} parameters, {self.task or 'no task'})"

    def __post_init__(self):
        if self.network.config is not None:
            check_weights(self.network.config, self.weights, f"The snapshot of step {self.step}")

    @classmethod
    def of(cls, run: Run, step: int, device: str = "cpu") -> "Snapshot":
        """The snapshot of a saved step.

        Raises:
            RunError: if the step was not saved or its file is damaged.
        """
        weights = {name: w.to(device) for name, w in run.step_weights(step).items()}
        if run.config.model is not None:
            network: Network = DescribedNetwork(run.config.model)
        else:
            is_built = run.huggingface is not None
            network = BuiltNetwork(partial(run.bridge, step)) if is_built else MeasuredNetwork({})
        return cls(step, weights, network, run.task if run.config.task else None, run)

    @property
    def device(self) -> torch.device:
        return next(iter(self.weights.values())).device

    @property
    def double(self) -> torch.dtype:
        """float64, or float32 on devices without it (mps)."""
        return objective.precise(self.device)

    def once(self, make: "Callable[[Snapshot], Made]") -> Made:
        """What a function makes of this snapshot (a probe's table, a view), computed once. Not to be changed."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    def of_task(self, make: Callable[..., Made], *args: Any) -> Made:
        """What make(task, device, *args) gives, computed once for all snapshots of the task. Not to be changed.

        Args:
            make: must not hold on to the task in what it gives, which would keep it alive.
            args: hashable.
        """
        kept = _of_tasks.setdefault(self.known_task, {})
        key = (make, self.device, args)
        if key not in kept:
            kept[key] = make(self.known_task, self.device, *args)
        return kept[key]

    @cached_property
    def _made(self) -> dict[Callable, Any]:
        return {}

    @property
    def config(self) -> ModelConfig:
        """What the network is.

        Raises:
            NotApplicable: if grokscope does not describe it.
        """
        if self.network.config is None:
            raise NotApplicable(
                f"{self._name} has no model config: this probe needs a network that grokscope describes."
            )
        return self.network.config

    @property
    def known_task(self) -> Task:
        """The task.

        Raises:
            NotApplicable: if there is none.
        """
        if self.task is not None:
            return self.task
        if self.network.config is None:
            raise NotApplicable(
                f"{self._name} has no model config and no task that grokscope knows, so that probes of its answers do "
                "not apply. Probes of weights do, and those of attention on repeated tokens."
            )
        raise NotApplicable(
            "This probe needs the task's inputs, and the run has no task that grokscope knows. State it where its "
            "source is opened or imported (--task, task= in Python), if you know it; probes of weights work without."
        )

    @cached_property
    def model(self) -> Any:
        """The hooked model with these weights.

        Raises:
            NotApplicable: if none can be built.
        """
        model = self.network.model(self.weights)
        if model is None:
            raise NotApplicable(f"{self._name} has no model that can be built from its weights alone.")
        return model

    @property
    def _name(self) -> str:
        return f"Run {self.run.name!r}" if self.run else "This module"

    @cached_property
    def activation(self) -> Activations:
        """`activation(hook)`: the activation of a TransformerLens hook at every question, computed once.

        (question, head, key) for attention scores and patterns, (question, ...) for everything else; "hook_unembed"
        are the logits.

        Raises:
            NotApplicable: if the run has no known task.
            ValueError: (when called) if the network has no such hook.
        """
        return Activations(self.network, self.weights, self.known_task, {})

    @property
    def logits(self) -> Float[Tensor, "question output"]:
        """Logits of all outputs of the network."""
        return self.activation("hook_unembed")

    @cached_property
    def pattern(self) -> Float[Tensor, "question layer head pos"]:
        """Attention of the questions to every position.

        Raises:
            NotApplicable: if the network has no attention.
        """
        if not self.network.patterns:
            self._check_described()
            raise NotApplicable("This network has no attention.")
        return torch.stack([self.activation(hook) for hook in self.network.patterns], 1)

    @property
    def neurons(self) -> Float[Tensor, "question neuron"]:
        """Activations (after the nonlinearity) of the last MLP layer.

        Raises:
            NotApplicable: if the network has no MLP.
        """
        if not self.network.neurons:
            self._check_described()
            raise NotApplicable("This network has no MLP neurons.")
        return self.activation(self.network.neurons[-1])

    def _check_described(self) -> None:
        """Refuse, where nothing says what the network has: it may have attention, and neurons."""
        if self.network.config is None and self.task is None:
            _ = self.known_task

    @cached_property
    def labels(self) -> Int[Tensor, " question"]:
        """What the trainer was shown."""
        return self.known_task.labels.to(self.device)

    @cached_property
    def answers(self) -> Int[Tensor, " question"]:
        """The output with the largest logit; of equal ones the first."""
        return self.logits.argmax(-1)

    @cached_property
    def is_train(self) -> Bool[Tensor, " question"]:
        """Questions of train examples.

        Raises:
            UnknownSplit: if an imported run has lost its split.
        """
        return self.known_task.split[self.known_task.example].to(self.device)

    @cached_property
    def log_probabilities(self) -> Float[Tensor, "question output"]:
        """log-softmax of the logits in float64 (float32 cannot tell losses below 1e-7 apart)."""
        return self.logits.to(self.double).log_softmax(-1)

    @cached_property
    def losses(self) -> Float[Tensor, " question"]:
        """Cross-entropy of each question against its label, in float64 nats."""
        return -self.log_probabilities.gather(1, self.labels[:, None]).squeeze(1)

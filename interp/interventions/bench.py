"""What an edit may look at besides the weights: the network, its task, and other checkpoints of the same run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from interp.networks.answers import answer_logits
from interp.networks.config import ModelConfig, Weights
from interp.networks.objective import loss, precise
from interp.networks.plain import Tap
from interp.tasks.task import Task


@dataclass(frozen=True, eq=False)
class Bench:
    """Where an intervention is made.

    Attributes:
        task: None where it is not known; edits that need its structure then refuse.
        donors: weights of other checkpoints of the same run by name ("memorization", "ahead", ...). Of another run
            they would say nothing: its neurons and directions have other places.
    """

    config: ModelConfig
    task: Task | None = None
    donors: Mapping[str, Weights] = field(default_factory=dict)

    @property
    def known_task(self) -> Task:
        """The task.

        Raises:
            ValueError: if it is not known.
        """
        if self.task is None:
            raise ValueError(
                "This intervention needs the task of the run, got none. It acts on tokens, answers or losses, which "
                "only a task gives a meaning: state the task where the run is opened."
            )
        return self.task

    def donor(self, name: str, like: Weights, tensors: tuple[str, ...]) -> Weights:
        """The weights of a donor, whose named tensors have the shapes of these.

        Raises:
            ValueError: if there is no such donor, or it is another network's.
        """
        if name not in self.donors:
            there = ", ".join(map(repr, self.donors)) or "none"
            raise ValueError(
                f"This intervention needs a donor {name!r}, got {there}. Give the weights of that checkpoint under "
                "this name in the bench's donors."
            )
        donor = self.donors[name]
        for tensor in tensors:
            found = tuple(donor[tensor].shape) if tensor in donor else "nothing"
            if found != tuple(like[tensor].shape):
                raise ValueError(
                    f"Donor {name!r} needs {tensor} of shape {tuple(like[tensor].shape)}, got {found}. It is of "
                    "another network: take a checkpoint of the same run."
                )
        return donor


@runtime_checkable
class Edit(Protocol):
    """A change of weights as a value: a frozen dataclass of numbers, words and tuples."""

    untouched: ClassVar[str]

    @property
    def kind(self) -> str: ...

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        """The changed weights, a new dict; tensors that are left as they are, are the same objects."""


@runtime_checkable
class ActivationEdit(Protocol):
    """A change of activations as a value: `plain.forward(config, weights, inputs, edit.tap(bench))`."""

    untouched: ClassVar[str]

    @property
    def kind(self) -> str: ...

    def hooks(self, bench: Bench) -> tuple[str, ...]:
        """The names of the activations that it changes."""

    def tap(self, bench: Bench) -> Tap:
        """What puts the changed activation in the place of each."""


def chosen_tensors(weights: Weights, tensors: tuple[str, ...]) -> tuple[str, ...]:
    """These tensors, or all where none is named.

    Raises:
        ValueError: if the network has no tensor of that name.
    """
    unknown = [name for name in tensors if name not in weights]
    if unknown:
        raise ValueError(
            f"This intervention needs tensors of the network, got {', '.join(unknown)}. There are: "
            f"{', '.join(weights)}."
        )
    return tensors or tuple(weights)


def check_layer(bench: Bench, layer: int) -> None:
    """Nothing, if the network has this layer.

    Raises:
        ValueError: if it has not.
    """
    if not 0 <= layer < bench.config.n_layers:
        raise ValueError(
            f"This intervention needs a layer from 0 to {bench.config.n_layers - 1}, got {layer}. Layers are counted "
            "from 0."
        )


def check_units(what: str, units: tuple[int, ...], n: int) -> None:
    """Nothing, if units 0 .. n-1 include all of these.

    Args:
        what: the plural of what they are, as the error says it: "heads".

    Raises:
        ValueError: if one is outside, or there are no units at all.
    """
    if n == 0:
        raise ValueError(
            f"This intervention needs a network with {what}, got one without. There are none to change."
        )
    wrong = [unit for unit in units if not 0 <= unit < n]
    if wrong:
        raise ValueError(
            f"This intervention needs {what} from 0 to {n - 1}, got {wrong}. They are counted from 0."
        )


def loss_of_test_rows(bench: Bench) -> Callable[[Weights], Float[Tensor, ""]]:
    """Mean cross-entropy of the test rows as a function of the weights, nats, differentiable.

    Raises:
        ValueError: if the task or its split is not known.
    """
    questions = bench.known_task.of_split("test")

    def of(weights: Weights) -> Float[Tensor, ""]:
        device = next(iter(weights.values())).device
        asked = questions.to(device)
        return loss(answer_logits(bench.config, asked)(weights), asked.labels, precise(device))

    return of


def edit_norms(edit: Edit, weights: Weights, bench: Bench) -> dict[str, float]:
    """Frobenius norm of what the edit adds to each tensor, of those that it changes."""
    edited = edit.edit(weights, bench)
    deltas = {
        name: edited[name].double() - w.double() for name, w in weights.items() if edited[name] is not w
    }
    return {name: float(torch.linalg.vector_norm(delta)) for name, delta in deltas.items()}

"""A task as data: inputs, the questions that count, their answers, the split. Nothing here knows a family of tasks.

A question is a position of an example whose answer counts. Modular addition asks once an example, at its last
position; digits several times, a language at every position. A family is a frozen config with a `family` field
(`interp.tasks.families` gathers them) that makes its `Task`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.ground import html_card
from interp.ground.judged import PREDICTABLE
from interp.tasks.splits import Split
from interp.tasks.structure import Structure

# Metadata of config fields that run.json leaves out while they have their default: runs made before the field are
# then written as they were.
OMITTED = {"omitted": True}


class UnknownSplit(ValueError):
    """The split was asked of a task that has lost it: what needs it does not apply."""


@runtime_checkable
class TaskConfig(Protocol):
    """What every family's config has: a frozen dataclass whose `family` says which one it is."""

    @property
    def family(self) -> str: ...

    @property
    def split(self) -> Split: ...

    @property
    def n_pos(self) -> int: ...

    @property
    def n_tokens(self) -> int: ...

    @property
    def n_answers(self) -> int: ...

    @property
    def description(self) -> str:
        """The task in a few words, as `interp info` shows it: "a + b mod 113"."""

    def task(self, is_train: Tensor | None = None) -> "Task":
        """The data. `is_train` is the recorded split, with `split="explicit"` only."""

    @classmethod
    def example(cls) -> "TaskConfig":
        """A task of the family, from which settings vary."""


@runtime_checkable
class DrawsFresh(Protocol):
    """A config whose family draws new rows without end, as training with `optimizer.fresh` asks."""

    def drawn(self, n: int, seed: Sequence[int]) -> "Questions":
        """The questions of n new rows; the same for the same seed (of `numpy.random.default_rng`)."""


@dataclass(frozen=True, eq=False)
class Questions:
    """Inputs, where in them an answer counts, and the answer that the trainer is shown there.

    Attributes:
        inputs: rows of tokens, or of features.
        example, position: the row and the position of each question.
        labels: the answer, an index among the network's outputs.
    """

    inputs: Int[Tensor, "example pos"] | Float[Tensor, "example feature"]
    example: Int[Tensor, " question"]
    position: Int[Tensor, " question"]
    labels: Int[Tensor, " question"]

    @cached_property
    def is_last(self) -> bool:
        """Whether every example is asked once, in order, at its last position."""
        in_order = torch.arange(len(self.inputs), device=self.example.device)
        return torch.equal(self.example, in_order) and bool((self.position == self.inputs.shape[1] - 1).all())

    def of(self, examples: Int[Tensor, " part"]) -> "Questions":
        """The questions of these examples, which become the rows 0, 1, ... in the order given."""
        place = torch.full((len(self.inputs),), -1, device=self.example.device)
        place[examples] = torch.arange(len(examples), device=place.device)
        asked = (place[self.example] >= 0).nonzero().squeeze(1)
        asked = asked[place[self.example[asked]].argsort(stable=True)]
        return Questions(
            self.inputs[examples], place[self.example[asked]], self.position[asked], self.labels[asked]
        )

    def only(self, i: int) -> "Questions":
        """One question with its example."""
        row = self.example[i : i + 1]
        one = slice(i, i + 1)
        return Questions(self.inputs[row], torch.zeros_like(row), self.position[one], self.labels[one])

    def to(self, device: torch.device | str) -> "Questions":
        return Questions(*(x.to(device) for x in (self.inputs, self.example, self.position, self.labels)))


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """Inputs and answers of a task, all examples, train and test.

    Attributes:
        inputs: tokens, or features where the family has them.
        example, position: the row and the position of each question.
        labels: what the trainer is shown, corrupted ones included.
        true_labels: what the task says.
        is_corrupted: questions of train examples whose label was replaced.
        is_train: the split, or None where an imported run has lost it.
        parts: questions told apart by name (with a carry, in language A, ...); none for most families. A part called
            "predictable" is what a run is judged by, arms that end early and the events of trials included: the answers
            to all other questions cannot be foreseen.
        structure: the algebra behind the answers, for probes that speak its language; None where there is none.
    """

    config: TaskConfig
    inputs: Int[Tensor, "example pos"] | Float[Tensor, "example feature"]
    example: Int[Tensor, " question"]
    position: Int[Tensor, " question"]
    labels: Int[Tensor, " question"]
    true_labels: Int[Tensor, " question"]
    is_corrupted: Bool[Tensor, " question"]
    is_train: Bool[Tensor, " example"] | None
    parts: Mapping[str, Bool[Tensor, " question"]] = field(default_factory=dict)
    structure: Structure | None

    def __repr__(self) -> str:
        train = "split unknown" if self.is_train is None else f"{int(self.is_train.sum())} in train"
        return f"Task({self.config.description}: {self.n_examples} examples, {len(self.labels)} questions, {train})"

    def _repr_html_(self) -> str:
        return html_card.shown_anyway(f"Task {self.config.description}", self._card)

    def _card(self) -> list[str]:
        about: dict[str, object] = {"examples": self.n_examples, "questions": len(self.labels)}
        if self.is_train is None:
            about["train, test"] = "split unknown"
        else:
            n = int(self.is_train.sum())
            about["train, test"] = f"{n}, {self.n_examples - n}"
        if n_corrupted := int(self.is_corrupted.sum()):
            about["corrupted labels"] = n_corrupted
        about["structure"] = "none known" if self.structure is None else type(self.structure).__name__
        if self.parts:
            about["parts"] = ", ".join(self.parts)
        first = [
            (self.inputs[row].tolist(), int(position), int(label))
            for row, position, label in zip(self.example[:3], self.position[:3], self.labels[:3], strict=True)
        ]
        return [html_card.lines(about), html_card.grid(("first inputs", "asked at position", "label"), first)]

    @property
    def tokens(self) -> Int[Tensor, "example pos"]:
        """The inputs, where they are tokens.

        Raises:
            ValueError: if they are features.
        """
        if self.inputs.is_floating_point():
            raise ValueError(
                f"The inputs of {self.config.description} are features, not tokens: use task.inputs."
            )
        return self.inputs

    @property
    def n_examples(self) -> int:
        return len(self.inputs)

    @property
    def n_train(self) -> int:
        return int(self.split.sum())

    @property
    def split(self) -> Bool[Tensor, " example"]:
        """`is_train`, where it is known.

        Raises:
            UnknownSplit: if an imported run has lost its split.
        """
        if self.is_train is None:
            raise UnknownSplit(
                "This needs the train/test split, which the run does not have. If you know it, state it where its "
                "source is opened or imported: --train-fraction, --split and --split-seed, or train_indices= in Python."
            )
        return self.is_train

    @cached_property
    def questions(self) -> Questions:
        """All questions, the same object each time."""
        return Questions(self.inputs, self.example, self.position, self.labels)

    def of_split(self, split: str) -> Questions:
        """The questions of the "train" or the "test" examples.

        Raises:
            UnknownSplit: if the split is not known.
        """
        return self.questions.of(self._examples_of(split))

    def is_judged(self, split: str) -> Bool[Tensor, " question"] | None:
        """Which of `of_split(split)` are in the part by which a run is judged; None where it is judged by all.

        Raises:
            UnknownSplit: if the split is not known.
        """
        if PREDICTABLE not in self.parts:
            return None
        marked = replace(self.questions, labels=self.parts[PREDICTABLE].long())
        return marked.of(self._examples_of(split)).labels.bool()

    def _examples_of(self, split: str) -> Int[Tensor, " part"]:
        is_wanted = self.split if split == "train" else ~self.split
        return is_wanted.nonzero().squeeze(1)


def one_question_each(
    config: TaskConfig,
    inputs: Int[Tensor, "example pos"] | Float[Tensor, "example feature"],
    true_labels: Int[Tensor, " example"],
    is_train: Bool[Tensor, " example"] | None,
    structure: Structure | None,
) -> Task:
    """A task that asks once an example, at its last position, with the labels as they are."""
    n = len(inputs)
    return Task(
        config=config,
        inputs=inputs,
        example=torch.arange(n),
        position=torch.full((n,), inputs.shape[1] - 1),
        labels=true_labels,
        true_labels=true_labels,
        is_corrupted=torch.zeros(n, dtype=torch.bool),
        is_train=is_train,
        structure=structure,
    )


def relabelled(task: Task, labels: Int[Tensor, " question"]) -> Task:
    """The task with other labels shown to the trainer; those that differ from the true ones are corrupted."""
    return replace(task, labels=labels, is_corrupted=labels != task.true_labels)

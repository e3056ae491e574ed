"""A snapshot of a task in several languages: their embeddings, and all that can be asked in them.

The rows of a task are those that are train and the facts that are test. Here every question is asked that has an
answer: all facts, all translations and all sentences between the first language and each other one, in one forward
pass.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.mathematics.relabelling import cyclic_names
from interp.networks.config import Weights
from interp.networks.layers import neuron_unembedding, unembedding
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.structure import Languages
from interp.tasks.task import Questions, Task


@dataclass(frozen=True, eq=False)
class Block:
    """Questions of one kind.

    Attributes:
        kind: "fact", "translation" or "sentence".
        asked, answered: number of the language of the question and of its answer.
        rows: where they are among all.
    """

    kind: str
    asked: int
    answered: int
    rows: slice


@dataclass(frozen=True, eq=False)
class Asked:
    """Everything that can be asked.

    Attributes:
        questions: with the right answers as labels. Facts of a language are its pairs in lexicographic order.
        by_dictionary: the answers that the first language's arithmetic and the dictionary give; others than the right
            ones where a language has an operation of its own, or the dictionary is shuffled.
        is_train: questions that are train; None where the split is unknown.
    """

    questions: Questions
    by_dictionary: Int[Tensor, " question"]
    is_train: Bool[Tensor, " question"] | None
    blocks: tuple[Block, ...]


class Vocabularies:
    """Views of one snapshot, each computed once: `snapshot.once(Vocabularies)`.

    Attributes:
        names: of the languages.
        p: numbers of each.
        structure: tokens, tables and dictionaries.

    Raises:
        NotApplicable: if the task is not one in several languages, or grokscope does not describe the network.
    """

    def __init__(self, snapshot: Snapshot):
        task = snapshot.known_task
        if not isinstance(task.structure, Languages):
            raise NotApplicable(
                f"This task ({task.config.description}) is not one in several languages, so that nothing can cross "
                "over."
            )
        self.structure, self.names = task.structure, task.structure.names
        self.p = task.structure.number_tokens.shape[1]
        self.config = snapshot.config
        self.asked = snapshot.of_task(everything_asked)
        # Not the snapshot itself, which keeps this view: neither would be freed before the next step is measured.
        self._network, self._weights = snapshot.network, snapshot.weights
        self._device, self._double = snapshot.device, snapshot.double

    @cached_property
    def logits(self) -> Float[Tensor, "question output"]:
        """Of everything that is asked, float64."""
        return self.activation("hook_unembed").to(self._double)

    def logits_with(self, edited: Weights) -> Float[Tensor, "question output"]:
        """The same with these weights in place of the network's own."""
        weights = {**self._weights, **edited}
        found = self._network.activations(weights, self.asked.questions, "hook_unembed")
        return found["hook_unembed"].to(self._double)

    def activation(self, hook: str) -> Tensor:
        """At everything that is asked."""
        return self._network.activations(self._weights, self.asked.questions, hook)[hook]

    @property
    def is_sum(self) -> bool:
        """Whether the logits are a sum over what heads and neurons write: of a transformer without normalization."""
        return not (self.config.is_mlp or self.config.normalization_type)

    def check_is_sum(self) -> None:
        """Refuse a network of which it is not known what it says without a head or a neuron.

        Raises:
            NotApplicable: if its logits are no sum.
        """
        if not self.is_sum:
            raise NotApplicable(
                "The loss without a neuron is known here for transformers without normalization."
            )

    def last_neurons(self) -> tuple[Float[Tensor, "question neuron"], Float[Tensor, "neuron output"]]:
        """The last MLP layer's neurons at everything that is asked, and what each adds to logits that are a sum."""
        neurons = self.activation(self._network.neurons[-1]).to(self.logits)
        return neurons, neuron_unembedding(self.config, self._weights, neurons.dtype)

    def facts(self, language: int) -> slice:
        """Where the facts of a language are among everything that is asked."""
        return next(b.rows for b in self.asked.blocks if b.kind == "fact" and b.asked == language)

    def number_logits(self, language: int) -> Float[Tensor, "pair p"]:
        """Logits of a language's own numbers at its facts."""
        return self.logits[self.facts(language)][:, self.structure.answers[language].to(self._device)]

    def embedding(self, language: int) -> Float[Tensor, "p width"]:
        """W_E of a language's numbers, float64.

        Raises:
            NotApplicable: if the embedding is one-hot.
        """
        if "embed.W_E" not in self._weights:
            raise NotApplicable("This network's embedding is one-hot: there is no W_E to analyse.")
        tokens = self.structure.number_tokens[language].to(self._device)
        return self._weights["embed.W_E"][tokens].to(self._double)

    def unembedding(self, language: int) -> Float[Tensor, "p width"]:
        """W_U of a language's numbers, a row a number, float64."""
        answers = self.structure.answers[language].to(self._device)
        return unembedding(self.config, self._weights)[:, answers].T.to(self._double)

    def numberings(self, language: int) -> dict[str, Int[Tensor, " p"]]:
        """Orders in which the numbers of a language are read: its own, and the dictionary's where that is another."""
        own = torch.arange(self.p, device=self._device)
        words = self.structure.dictionaries[language].to(self._device)
        return {"own": own} if torch.equal(own, words) else {"own": own, "dictionary": words}

    @property
    def order(self) -> int:
        """The modulus of the frequencies.

        Raises:
            NotApplicable: if the first language's answers are no sums or differences.
        """
        if self.structure.order is None:
            raise NotApplicable(
                "The answers of the first language are no sums or differences, so that its numbers have no frequencies."
            )
        return self.structure.order


def everything_asked(task: Task, device: torch.device) -> Asked:
    """All facts, and the translations and sentences between the first language and each other one."""
    # What makes the view has refused every other task.
    assert isinstance(task.structure, Languages)
    blocks, rows, labels, by_dictionary = [], [], [], []
    n = 0
    for kind, asked, answered, inputs, right, carried in _kinds(task.structure):
        blocks.append(Block(kind, asked, answered, slice(n, n + len(inputs))))
        n += len(inputs)
        rows.append(inputs)
        labels.append(right)
        by_dictionary.append(carried)
    inputs = torch.cat(rows)
    is_train = None if task.is_train is None else _among(inputs, task.tokens[task.split]).to(device)
    questions = Questions(inputs, torch.arange(n), torch.full((n,), 2), torch.cat(labels))
    return Asked(questions.to(device), torch.cat(by_dictionary).to(device), is_train, tuple(blocks))


def _kinds(s: Languages) -> Iterator[tuple[str, int, int, Tensor, Tensor, Tensor]]:
    """Kind, languages, rows, right answers, and answers by the dictionary."""
    p = s.number_tokens.shape[1]
    numbers = torch.arange(p)
    pairs = torch.cartesian_prod(numbers, numbers)

    def row(asked: int, answered: int, first: Tensor, second: Tensor | None) -> Tensor:
        words = s.number_tokens[asked]
        between = torch.full_like(first, s.translating_token) if second is None else words[second]
        return torch.stack([words[first], between, s.equals_tokens[answered].expand(len(first))], 1)

    inverse = s.dictionaries.argsort(1)
    of_first = s.tables[0]
    for language in range(len(s.names)):
        taught, words = inverse[language][pairs], s.dictionaries[language]
        carried = s.answers[language][words[of_first[taught[:, 0], taught[:, 1]]]]
        right = s.answers[language][s.tables[language].flatten()]
        yield "fact", language, language, row(language, language, pairs[:, 0], pairs[:, 1]), right, carried
        if language == 0:
            continue
        for asked, answered, shown, meant in (
            (0, language, numbers, words),
            (language, 0, words, numbers),
        ):
            right = s.answers[answered][meant]
            yield "translation", asked, answered, row(asked, answered, shown, None), right, right
        right = s.answers[language][words[of_first.flatten()]]
        yield "sentence", 0, language, row(0, language, pairs[:, 0], pairs[:, 1]), right, right
        right = s.answers[0][of_first[taught[:, 0], taught[:, 1]]]
        yield "sentence", language, 0, row(language, 0, pairs[:, 0], pairs[:, 1]), right, right


def _among(rows: Int[Tensor, "row pos"], others: Int[Tensor, "other pos"]) -> Bool[Tensor, " row"]:
    """Which rows are among the others."""
    base = int(torch.cat([rows, others]).max()) + 1
    place = base ** torch.arange(rows.shape[1] - 1, -1, -1)
    return torch.isin(rows @ place, others @ place)


def number_names(task: Task, device: torch.device) -> tuple[Int[Tensor, "draw p"], Int[Tensor, "draw p p"]]:
    """Random names of the numbers, under which their arithmetic is another; once a task."""
    assert isinstance(task.structure, Languages)
    names, cells = cyclic_names(task.structure.number_tokens.shape[1])
    return names.to(device), cells.to(device)

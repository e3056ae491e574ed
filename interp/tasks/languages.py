"""The same arithmetic in several vocabularies: does what is learned in one language cross over to another?

Language A teaches: its facts are train. Of every further language (B, C, ...) a share of the facts is train, none at
all included; the facts of it that are never seen are test. Between A and each further language numbers are translated
both ways, and, if asked, whole questions: a question in one language whose answer is due in the other.

Rows have three tokens, and the last says in which language the answer is due:

    a_A  b_A  =_A    a fact of A
    a_B  b_B  =_B    a fact of B
    n_A  to   =_B    the number n of A in B (and back: n_B to =_A)
    a_A  b_A  =_B    a sentence: a question in A, its answer in B (and back: a_B b_B =_A)

"=" belongs to a language, since with one "=" for all a sentence would have two right answers; the translating token is
shared, and no token stands for the operation, which the languages do not spell. A crossing to B is possible without any
of B's facts: B's embedding is shown by translations into A, B's outputs and "=_B" by translations into B, questions of
two numbers by A.

Controls: no translation (n_translations=0); a shuffled dictionary, which can be learned as well but carries no
arithmetic over; an unrelated operation in the other languages; labels drawn at random, which can be translated but not
computed.

References: Power et al. 2022 for the facts. The family is this package's own.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from interp.ground.choices import check_choices, check_seed
from interp.ground.plain_text import shown
from interp.tasks.modular import LARGEST_MODULUS, OPERATIONS
from interp.tasks.splits import Split, corrupted_labels, drawn_split
from interp.tasks.structure import Languages
from interp.tasks.task import OMITTED, Task, one_question_each, relabelled

Dictionary = Literal["true", "shuffled"]
Sentences = Literal["from A", "to A", "both"]

MOST_LANGUAGES = 26
# A table of rows a token: more is a slip of the hand.
LARGEST_TOKEN = 10**6


@dataclass(frozen=True, kw_only=True)
class LanguagesConfig:
    """Arithmetic mod p in n_languages vocabularies of p numbers each.

    Attributes:
        p: numbers of a language, 0 .. p-1.
        operation: of A, a key of `OPERATIONS` that is defined for all pairs; "random" draws a number for each pair by
            the split_seed, the same in all languages.
        other_operation: of the other languages, the control of an unrelated one; None: the same.
        n_languages: A, B, ...
        first_fraction: share of the facts of A that are train, in (0, 1]; with 1 none of them is test.
        fact_fraction: share of the facts of each further language that are train, in [0, 1).
        n_translations: numbers whose translations between A and each further language are train, 0 .. p.
        sentence_fraction: share of the pairs whose sentences are train, in [0, 1].
        sentences: which: questions in A answered in the other language ("from A"), questions in the other language
            answered in A ("to A"), or both.
        dictionary: "true", or "shuffled": each further language calls the numbers of A by a random permutation of its
            own, in translations and in sentences. Its facts stay what they are.
        vocabularies: token of each number in each language, if they are not to be numbered language by language. The
            remaining tokens take the lowest that are free.
        corrupted_fraction: share of the train rows whose label is replaced by another output, in [0, 1].
        split, split_seed: "shuffle" draws all of it by the seed; "explicit" and "unknown" are for imported runs.
    """

    p: int
    n_languages: int
    fact_fraction: float
    n_translations: int
    split_seed: int
    operation: str = "add"
    other_operation: str | None = None
    first_fraction: float = 1.0
    sentence_fraction: float = 0.0
    sentences: Sentences = "from A"
    dictionary: Dictionary = "true"
    corrupted_fraction: float = 0.0
    split: Split = "shuffle"
    vocabularies: tuple[tuple[int, ...], ...] | None = field(default=None, metadata=OMITTED, repr=False)
    family: Literal["languages"] = "languages"

    def __post_init__(self):
        check_choices(self)
        check_seed("split_seed", self.split_seed)
        if not 2 <= self.p <= LARGEST_MODULUS:
            raise ValueError(f"Languages need p from 2 to {LARGEST_MODULUS:,} numbers, got {shown(self.p)}.")
        if not 2 <= self.n_languages <= MOST_LANGUAGES:
            raise ValueError(
                f"Languages need n_languages from 2 to {MOST_LANGUAGES}, got {shown(self.n_languages)}. With one there "
                "is nothing to cross over to: use --task modular."
            )
        for name in ("operation", "other_operation"):
            _check_operation(name, getattr(self, name))
        if not 0 <= self.n_translations <= self.p:
            raise ValueError(
                f"Languages need n_translations from 0 to p={self.p}, got {shown(self.n_translations)}. It counts the "
                "numbers that are translated."
            )
        if not 0 < self.first_fraction <= 1:
            raise ValueError(f"Languages need first_fraction in (0, 1], got {self.first_fraction}.")
        if not _share(self.first_fraction, self.p**2):
            raise ValueError(
                f"Languages need a fact of A in train, and first_fraction={self.first_fraction} of {self.p**2} leaves "
                "none."
            )
        if not 0 <= self.fact_fraction < 1:
            raise ValueError(
                f"Languages need fact_fraction in [0, 1), got {self.fact_fraction}. With all facts in train none is "
                "left to test what crosses over."
            )
        for name in ("sentence_fraction", "corrupted_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Languages need {name} in [0, 1], got {getattr(self, name)}.")
        if self.split not in ("shuffle", "explicit", "unknown"):
            raise ValueError(
                f"Languages need split 'shuffle', got {self.split!r}. What is train say fact_fraction, n_translations "
                "and sentence_fraction."
            )
        if self.vocabularies is not None:
            _check_vocabularies(self.vocabularies, self.n_languages, self.p)

    @property
    def names(self) -> tuple[str, ...]:
        """A, B, ..."""
        return tuple(chr(ord("A") + i) for i in range(self.n_languages))

    @property
    def number_tokens(self) -> Int[Tensor, "language p"]:
        """Token of each number in each language."""
        if self.vocabularies is not None:
            return torch.tensor(self.vocabularies)
        return torch.arange(self.n_languages * self.p).reshape(self.n_languages, self.p)

    @property
    def constant_tokens(self) -> dict[str, int]:
        """Token of "=A", "=B", ... and of "to": the lowest that no number has."""
        names = [*(f"={name}" for name in self.names), "to"]
        taken = set(self.number_tokens.flatten().tolist())
        free = (token for token in range(len(taken) + len(names)) if token not in taken)
        return dict(zip(names, free, strict=False))

    @property
    def n_tokens(self) -> int:
        return max(int(self.number_tokens.max()), *self.constant_tokens.values()) + 1

    @property
    def n_pos(self) -> int:
        return 3

    @property
    def n_answers(self) -> int:
        """An output for each number of each language: number n of language l is output l*p + n, whatever its token."""
        return self.n_languages * self.p

    @property
    def n_examples(self) -> int:
        per_further = 2 * self.n_translations + self._n_sentences * (1 + (self.sentences == "both"))
        return self.n_languages * self.p**2 + (self.n_languages - 1) * per_further

    @property
    def train_fraction(self) -> float | None:
        """Share of all rows that are train; None where another split than the drawn one says which."""
        if self.split != "shuffle":
            return None
        n = self.p**2
        further = (self.n_languages - 1) * (n - _share(self.fact_fraction, n))
        n_test = n - _share(self.first_fraction, n) + further
        return 1 - n_test / self.n_examples

    @property
    def description(self) -> str:
        other = "" if self.other_operation is None else f" ({self.other_operation} in the others)"
        by = "no translation" if not self.n_translations else f"{self.n_translations} numbers translated"
        shuffled = (
            " by a shuffled dictionary" if self.dictionary == "shuffled" and self.n_translations else ""
        )
        said = f", {self.sentence_fraction:.0%} of the sentences" if self._n_sentences else ""
        return (
            f"{self.operation} mod {self.p} in {self.n_languages} languages{other}, {by}{shuffled}{said}, "
            f"{self.fact_fraction:.0%} of the further facts"
        )

    @classmethod
    def example(cls) -> "LanguagesConfig":
        """Addition mod 23 in A; of B no fact, but all numbers and half of the sentences, both ways."""
        return cls(
            p=23, n_languages=2, fact_fraction=0.0, n_translations=23, sentence_fraction=0.5, sentences="both",
            split_seed=0,
        )  # fmt: skip

    @property
    def _n_sentences(self) -> int:
        return _share(self.sentence_fraction, self.p**2)

    def dictionaries(self) -> Int[Tensor, "language p"]:
        """Which number of a language its dictionary has for each number of A."""
        names = torch.arange(self.p).repeat(self.n_languages, 1)
        if self.dictionary == "shuffled":
            for language in range(1, self.n_languages):
                names[language] = torch.tensor(self._drawn("dictionary", language, self.p, self.p))
        return names

    def _drawn(self, what: str, language: int, n: int, of: int) -> list[int]:
        """The first n of a random order of range(of): a larger n has a smaller one in it."""
        order = list(range(of))
        # Of a text: equal everywhere, unlike hashes of tuples.
        random.Random(f"{self.split_seed} {what} {language}").shuffle(order)
        return order[:n]

    def task(self, is_train: Tensor | None = None) -> Task:
        """The data: facts language by language, then translations and sentences of each further language.

        Facts are all there, test ones too; translations and sentences are those that are train.

        Raises:
            ValueError: if an explicit split is missing, has another length, or is given where it is not explicit.

        >>> config = LanguagesConfig(p=3, n_languages=2, fact_fraction=0.0, n_translations=1, split_seed=0)
        >>> task = config.task()
        >>> task.inputs[-2:].tolist(), task.labels[-2:].tolist(), task.n_train
        ([[1, 8, 7], [4, 8, 6]], [4, 1], 11)
        """
        blocks = list(self._blocks())
        rows, answers = torch.cat([block[1] for block in blocks]), torch.cat([block[2] for block in blocks])
        drawn = torch.cat([block[3] for block in blocks])
        if self.split == "shuffle" and is_train is None:
            is_train = drawn
        else:
            is_train = drawn_split(self.split, None, self.split_seed, rows[:, :2], is_train)
        structure = Languages(
            names=self.names,
            order=self.p if OPERATIONS[self.operation].algebra in ("sum", "difference") else None,
            number_tokens=self.number_tokens,
            answers=torch.arange(self.n_answers).reshape(self.n_languages, self.p),
            equals_tokens=torch.tensor([self.constant_tokens[f"={name}"] for name in self.names]),
            translating_token=self.constant_tokens["to"],
            tables=torch.stack([self._table(language) for language in range(self.n_languages)]),
            dictionaries=self.dictionaries(),
        )
        task = one_question_each(self, rows, answers, is_train, structure)
        shown_labels = corrupted_labels(
            task.labels, is_train, self.corrupted_fraction, self.n_answers, self.split_seed
        )
        return relabelled(_with_parts(task, blocks), shown_labels)

    def _blocks(self) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
        """Name, rows, answers and which are train, of each kind of row."""
        pairs = torch.cartesian_prod(torch.arange(self.p), torch.arange(self.p))
        n = len(pairs)
        for language, name in enumerate(self.names):
            is_seen = torch.zeros(n, dtype=torch.bool)
            share = self.fact_fraction if language else self.first_fraction
            is_seen[self._drawn("facts", language, _share(share, n), n)] = True
            answers = language * self.p + self._table(language).flatten()
            yield name, self._questions(pairs, language, language), answers, is_seen
        dictionaries = self.dictionaries()
        for language, name in list(enumerate(self.names))[1:]:
            numbers = torch.tensor(self._drawn("translations", language, self.n_translations, self.p)).long()
            words = dictionaries[language]
            for source, target, shown_numbers, answered in (
                (0, language, numbers, words[numbers]),
                (language, 0, words[numbers], numbers),
            ):
                rows, answers = self._rows(source, target, shown_numbers, None), target * self.p + answered
                yield f"translation A-{name}", rows, answers, torch.ones_like(numbers).bool()
            taken = torch.tensor(self._drawn("sentences", language, self._n_sentences, n)).long()
            for direction in ("from A", "to A"):
                if not len(taken) or self.sentences not in (direction, "both"):
                    continue
                source, target = (0, language) if direction == "from A" else (language, 0)
                asked = pairs[taken] if source == 0 else words[pairs[taken]]
                answered = self._table(0)[pairs[taken, 0], pairs[taken, 1]]
                answered = words[answered] if target else answered
                rows = self._questions(asked, source, target)
                said = f"sentences {self.names[source]}-{self.names[target]}"
                yield said, rows, target * self.p + answered, torch.ones(len(taken)).bool()

    def _table(self, language: int) -> Int[Tensor, "p p"]:
        """Answers of a language's own operation, numbers of that language."""
        a, b = torch.meshgrid(torch.arange(self.p), torch.arange(self.p), indexing="ij")
        name = (language and self.other_operation) or self.operation
        if name == "random":
            of = "the others" if language and self.other_operation else "all"
            drawn = random.Random(f"{self.split_seed} labels of {of}").choices(range(self.p), k=self.p**2)
            return torch.tensor(drawn).reshape(self.p, self.p)
        return OPERATIONS[name].label(a, b, self.p) % self.p

    def _questions(self, pairs: Int[Tensor, "row 2"], source: int, target: int) -> Int[Tensor, "row 3"]:
        return self._rows(source, target, pairs[:, 0], pairs[:, 1])

    def _rows(self, source: int, target: int, first: Tensor, second: Tensor | None) -> Int[Tensor, "row 3"]:
        words, constants = self.number_tokens[source], self.constant_tokens
        between = torch.full_like(first, constants["to"]) if second is None else words[second]
        ends = torch.full_like(first, constants[f"={self.names[target]}"])
        return torch.stack([words[first], between, ends], 1)


def _share(fraction: float, n: int) -> int:
    # As other families: int(fraction * rows) rows are taken.
    return int(fraction * n)


def _check_operation(name: str, operation: str | None) -> None:
    possible = [key for key, o in OPERATIONS.items() if not o.excludes_zero_divisor and not o.needs_prime]
    if operation is None and name == "other_operation":
        return
    if operation not in possible:
        raise ValueError(
            f"Languages need {name} to be one of {', '.join(possible)}, got {operation!r:.60}. What is asked in one "
            "language must have an answer in another."
        )


def _check_vocabularies(vocabularies: tuple[tuple[int, ...], ...], n_languages: int, p: int) -> None:
    sizes = [len(words) for words in vocabularies]
    if sizes != [p] * n_languages:
        raise ValueError(
            f"Languages need {n_languages} vocabularies of p={p} tokens, got {len(sizes)} of {shown(sizes)}."
        )
    owner: dict[int, tuple[int, int]] = {}
    for language, words in enumerate(vocabularies):
        for number, token in enumerate(words):
            if not 0 <= token < LARGEST_TOKEN:
                raise ValueError(f"A token is a number from 0 to {LARGEST_TOKEN - 1:,}, got {shown(token)}.")
            if token in owner:
                there, other = (chr(ord("A") + i) for i in (owner[token][0], language))
                raise ValueError(
                    f"Vocabularies need a token of its own for each number, got token {token} for {owner[token][1]} of "
                    f"language {there} and for {number} of language {other}. A shared token is a word that needs no "
                    "translation: give one of them another token."
                )
            owner[token] = (language, number)


def _with_parts(task: Task, blocks: list[tuple[str, Tensor, Tensor, Tensor]]) -> Task:
    """The task with its questions told apart by kind of row; translations there and back are one part."""
    kinds = [name for name, rows, *_ in blocks for _ in range(len(rows))]
    parts = {name: torch.tensor([kind == name for kind in kinds]) for name, rows, *_ in blocks if len(rows)}
    return replace(task, parts=parts)

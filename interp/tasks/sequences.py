"""Sequences of random tokens in which some can be foreseen: repeated subsequences, skip trigrams, a copied prefix.

A question at every position that has a next token; its label is that token. Most cannot be foreseen by anybody, and the
loss there has a floor, the logarithm of how many tokens may follow: a loss of the whole row that looks high may be as
low as it can be. So read it by part: "predictable", whose floor is 0, and "unpredictable", where no network has a mean
loss below ln(vocabulary) (after the cue of a skip trigram, which does not occur again, ln(vocabulary - n_trigrams)). A
network that has to find out where copies stand pays for it on both parts: its bets on copies cost where there is none.

References: Olsson et al. 2022, "In-context learning and induction heads" (repeated random tokens); Elhage et al. 2021,
"A mathematical framework for transformer circuits" (skip trigrams, A ... B -> C); Nanda et al. 2023, appendix on other
tasks (both as tasks whose solution comes suddenly).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from interp.ground.choices import check_choices
from interp.ground.memory import check_memory
from interp.ground.plain_text import shown
from interp.tasks.drawn_rows import MOST_ROWS, check_drawn_rows, is_train_of
from interp.tasks.splits import Split, corrupted_labels
from interp.tasks.task import Questions, Task

# Of a token, beside the numbers of copies: it is uniform whatever stands before it; nobody is asked for it; a copy
# begins with it.
UNPREDICTABLE, UNASKED, START = 0, -1, -2
# Rounds of drawing as many rows as are wanted, after which new ones are too rare to wait for.
MOST_ROUNDS = 100


@dataclass(frozen=True, kw_only=True)
class SequencesConfig:
    """Rows of random tokens with something in them that can be foreseen.

    "repeats": a random subsequence stands n_copies times, without overlap, at places that are uniform among all, in a
    row of tokens that are otherwise uniform. Predictable are the tokens of every copy but the first, without the first
    token of each, which is a part of its own ("start"): it is an earlier token again, but where a copy begins is not
    known. Where one ends is known by counting only. All other tokens are uniform whatever stands before them.

    "copying": a random prefix, a separator, the prefix again. Predictable are the tokens of the copy; the separator is
    not asked for. The distance is always the same, so that to attend by position is enough.

    "skip-trigrams": A ... B -> C for n_trigrams cues A, one B, and an answer C for each cue. Tokens are uniform; after
    the first cue none occurs again, and from then on B is followed by the answer of that cue, which is predictable.
    Tokens 0 .. n_trigrams-1 are the cues, n_trigrams is B, the next n_trigrams are the answers, in the order of their
    cues; B and the answers occur at random too.

    Attributes:
        vocabulary: tokens that are drawn; "copying" has one more, the separator, the last.
        length: tokens in a row; odd for "copying".
        repeated_length, n_copies: of "repeats" only: tokens in the subsequence, and how often it stands in a row.
        n_trigrams: of "skip-trigrams" only.
        n_train, n_test: different rows that are drawn, with `optimizer.fresh` for evaluation only.
        corrupted_fraction: share of the questions of train rows whose label is another token, in [0, 1].
        split, split_seed: as of `interp.tasks.drawn_rows`.
    """

    kind: Literal["repeats", "copying", "skip-trigrams"]
    vocabulary: int
    length: int
    repeated_length: int
    n_copies: int
    n_trigrams: int
    n_train: int
    n_test: int
    split_seed: int
    corrupted_fraction: float = 0.0
    split: Split = "drawn"
    family: Literal["sequences"] = "sequences"

    def __post_init__(self):
        check_choices(self)
        if self.kind == "repeats":
            self._check_repeats()
        elif self.kind == "copying" and (self.length < 3 or self.length % 2 == 0):
            raise ValueError(
                "A copied prefix, with a separator between, needs an odd length of at least 3, got "
                f"length={shown(self.length)}."
            )
        elif self.kind == "skip-trigrams":
            self._check_trigrams()
        if self.vocabulary < 2:
            raise ValueError(f"Random tokens need a vocabulary of at least 2, got {shown(self.vocabulary)}.")
        # Rows are drawn by their tokens and not by number: there may be more of them than numbers.
        n_prefixes = self.vocabulary ** min(self.length // 2, 64)
        n_possible = min(n_prefixes, MOST_ROWS) if self.kind == "copying" else MOST_ROWS
        check_drawn_rows(self, n_possible, self.description)
        # Inputs, and what is foreseen where, of 8 bytes each.
        check_memory(16 * self.n_examples * self.length, f"A task of {self.n_examples:,} {self.description}")

    def _check_repeats(self) -> None:
        if self.repeated_length < 2 or self.n_copies < 2:
            raise ValueError(
                "A repeated subsequence needs repeated_length and n_copies of at least 2, got "
                f"repeated_length={shown(self.repeated_length)} and n_copies={shown(self.n_copies)}. The first token "
                "of a copy and the first copy cannot be foreseen."
            )
        if (needed := self.repeated_length * self.n_copies) > self.length:
            raise ValueError(
                f"{shown(self.n_copies)} copies of {shown(self.repeated_length)} tokens need a length of at least "
                f"{shown(needed)}, got length={shown(self.length)}. Use fewer or shorter copies."
            )

    def _check_trigrams(self) -> None:
        if self.n_trigrams < 1 or self.length < 3:
            raise ValueError(
                "Skip trigrams need n_trigrams of at least 1 and a length of at least 3, got "
                f"n_trigrams={shown(self.n_trigrams)} and length={shown(self.length)}."
            )
        if (needed := 2 * self.n_trigrams + 1) > self.vocabulary:
            raise ValueError(
                f"{shown(self.n_trigrams)} skip trigrams need a vocabulary of at least {shown(needed)}, their cues, "
                f"their answers and B, got vocabulary={shown(self.vocabulary)}."
            )

    @property
    def n_examples(self) -> int:
        return self.n_train + self.n_test

    @property
    def n_pos(self) -> int:
        return self.length

    @property
    def shows_answers(self) -> bool:
        """Each label is the next token of the row."""
        return True

    @property
    def n_tokens(self) -> int:
        return self.vocabulary + (self.kind == "copying")

    @property
    def n_answers(self) -> int:
        return self.n_tokens

    @property
    def description(self) -> str:
        of = f"rows of {shown(self.length)} of {shown(self.vocabulary)} tokens"
        if self.kind == "repeats":
            return f"{self.repeated_length} tokens {self.n_copies} times in {of}"
        if self.kind == "copying":
            return f"a copied prefix in {of}"
        return f"{self.n_trigrams} skip trigrams in {of}"

    @classmethod
    def example(cls) -> "SequencesConfig":
        """Ten tokens three times in rows of 40: Nanda et al. 2023 have 16 tokens three times in rows of 85."""
        return cls(
            kind="repeats", vocabulary=32, length=40, repeated_length=10, n_copies=3, n_trigrams=8, n_train=128,
            n_test=128, split_seed=0,
        )  # fmt: skip

    def task(self, is_train: Tensor | None = None) -> Task:
        """The data.

        Parts are "predictable" and "unpredictable"; of "repeats" also "start", and "copy 2", "copy 3", ..., which
        make up what is predictable.

        Raises:
            ValueError: as `is_train_of`, or if there are too few different rows.

        >>> task = SequencesConfig(kind="copying", vocabulary=4, length=7, repeated_length=0, n_copies=0, n_trigrams=0,
        ...                        n_train=1, n_test=1, split_seed=0).task()
        >>> task.inputs[0].tolist()
        [2, 3, 3, 4, 2, 3, 3]
        >>> task.labels[task.example == 0].tolist()
        [3, 3, 2, 3, 3]
        """
        is_train = is_train_of(self, is_train)
        tokens, role = self._different_rows()
        questions = _questions(tokens, role)
        asked = role[questions.example, questions.position + 1]
        parts = {"predictable": asked > UNPREDICTABLE, "unpredictable": asked == UNPREDICTABLE}
        if self.kind == "repeats":
            parts["start"] = asked == START
            parts |= {f"copy {k}": asked == k for k in range(2, self.n_copies + 1)}
        of_train = None if is_train is None else is_train[questions.example]
        labels = corrupted_labels(
            questions.labels, of_train, self.corrupted_fraction, self.vocabulary, self.split_seed
        )
        return Task(
            config=self,
            inputs=tokens,
            example=questions.example,
            position=questions.position,
            labels=labels,
            true_labels=questions.labels,
            is_corrupted=labels != questions.labels,
            is_train=is_train,
            parts=parts,
            structure=None,
        )

    def drawn(self, n: int, seed: Sequence[int]) -> Questions:
        """The questions of n new rows, independent."""
        return _questions(*self._rows(n, np.random.default_rng(seed)))

    def _different_rows(self) -> tuple[Int[Tensor, "example pos"], Int[Tensor, "example pos"]]:
        rng, tokens, role = np.random.default_rng([self.split_seed % 2**63, 1]), [], []
        seen: set[bytes] = set()
        for _ in range(MOST_ROUNDS):
            for row, of_row in zip(*(x.numpy() for x in self._rows(self.n_examples, rng)), strict=True):
                if row.tobytes() not in seen and len(seen) < self.n_examples:
                    seen.add(row.tobytes())
                    tokens.append(row)
                    role.append(of_row)
            if len(seen) == self.n_examples:
                return torch.from_numpy(np.stack(tokens)), torch.from_numpy(np.stack(role))
        raise ValueError(
            f"A task needs different rows, and of {self.description} {len(seen):,} were found for "
            f"n_train={self.n_train:,} and n_test={self.n_test:,}. Use fewer."
        )

    def _rows(
        self, n: int, rng: np.random.Generator
    ) -> tuple[Int[Tensor, "example pos"], Int[Tensor, "example pos"]]:
        """Tokens, and for each which copy it is foreseen from (2, 3, ...; 1 where there is one way), or why not."""
        made = {"repeats": self._repeats, "copying": self._copies, "skip-trigrams": self._trigrams}
        tokens, role = made[self.kind](n, rng)
        return torch.from_numpy(tokens), torch.from_numpy(role)

    def _repeats(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        m, n_copies = self.repeated_length, self.n_copies
        tokens = rng.integers(0, self.vocabulary, (n, self.length))
        role = np.full((n, self.length), UNPREDICTABLE)
        subsequence = rng.integers(0, self.vocabulary, (n, m))
        # Copies and single tokens in a line: which of them are copies is uniform, and so are the places.
        n_items = self.length - n_copies * (m - 1)
        items = np.sort(rng.random((n, n_items)).argsort(1)[:, :n_copies], 1)
        starts = items + np.arange(n_copies) * (m - 1)
        rows = np.arange(n)[:, None]
        for copy in range(n_copies):
            at = starts[:, copy, None] + np.arange(m)
            tokens[rows, at] = subsequence
            if copy:
                role[rows, at[:, 1:]] = copy + 1
                role[rows, at[:, :1]] = START
        return tokens, role

    def _copies(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        half = self.length // 2
        prefix = rng.integers(0, self.vocabulary, (n, half))
        tokens = np.concatenate([prefix, np.full((n, 1), self.vocabulary), prefix], 1)
        role = np.array([UNPREDICTABLE] * half + [UNASKED] + [1] * half)
        return tokens, np.tile(role, (n, 1))

    def _trigrams(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        k = self.n_trigrams
        anything = rng.integers(0, self.vocabulary, (n, self.length))
        no_cue = rng.integers(k, self.vocabulary, (n, self.length))
        tokens = np.empty_like(anything)
        role = np.full((n, self.length), UNPREDICTABLE)
        cue, is_asked = np.full(n, -1), np.zeros(n, dtype=bool)
        for i in range(self.length):
            drawn = np.where(cue < 0, anything[:, i], no_cue[:, i])
            tokens[:, i] = np.where(is_asked, cue + k + 1, drawn)
            role[is_asked, i] = 1
            cue = np.where((cue < 0) & (tokens[:, i] < k), tokens[:, i], cue)
            is_asked = (cue >= 0) & (tokens[:, i] == k)
        return tokens, role


def _questions(tokens: Int[Tensor, "example pos"], role: Int[Tensor, "example pos"]) -> Questions:
    example, position = (role[:, 1:] != UNASKED).nonzero(as_tuple=True)
    return Questions(tokens, example, position, tokens[example, position + 1])

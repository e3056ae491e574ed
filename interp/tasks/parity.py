"""Sparse parity: are there evenly or oddly many -1 among k of n signs?

Which k bits count is what a network must find: each alone, and any k - 1 of them together, say nothing. They are the
first k: a network whose first layer is drawn alike for all bits does not see the difference.

References: Barak et al. 2022, "Hidden progress in deep learning: SGD learns parities near the computational limit",
section 2; Merrill, Tsilivis and Shukla 2023, "A tale of two circuits: grokking as competition of sparse and dense
subnetworks", section 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.tasks.drawn_rows import MOST_NUMBERED, check_drawn_rows, is_train_of, row_numbers
from interp.tasks.splits import Split, corrupted_labels
from interp.tasks.structure import Bits
from interp.tasks.task import OMITTED, Questions, Task, one_question_each, relabelled

MOST_BITS = MOST_NUMBERED.bit_length() - 1


@dataclass(frozen=True, kw_only=True)
class ParityConfig:
    """(n, k)-parity: rows of n signs, features +1 or -1, and the answer 1 if oddly many of the first k are -1.

    Attributes:
        n_bits, k: signs in a row, and how many of them count.
        n_train, n_test: different rows that are drawn, with `optimizer.fresh` for evaluation only.
        corrupted_fraction: share of the train rows whose label is the other one, in [0, 1].
        split, split_seed: as of `interp.tasks.drawn_rows`.
        nested: whether a smaller n_train with the same seed has the same test rows, and train rows that are a part of
            those of a larger one; as of `interp.tasks.drawn_rows`. Which labels are wrong is drawn anew for each.
    """

    n_bits: int
    k: int
    n_train: int
    n_test: int
    split_seed: int
    corrupted_fraction: float = 0.0
    split: Split = "drawn"
    nested: bool = field(default=False, metadata=OMITTED)
    family: Literal["parity"] = "parity"

    def __post_init__(self):
        if not 1 <= self.k <= self.n_bits:
            raise ValueError(
                f"A parity is one of k of n_bits signs, with 1 <= k <= n_bits, got k={self.k} and n_bits={self.n_bits}."
            )
        # Before the number of rows, which of many bits has as many digits as they say.
        if self.n_bits > MOST_BITS:
            raise ValueError(
                f"Rows of a parity are drawn by number, which needs n_bits of at most {MOST_BITS}, got {self.n_bits}. "
                "Use fewer."
            )
        check_drawn_rows(self, 2**self.n_bits, f"{self.n_bits} signs")

    @property
    def n_examples(self) -> int:
        return self.n_train + self.n_test

    @property
    def n_pos(self) -> int:
        return self.n_bits

    @property
    def n_tokens(self) -> int:
        """Features have no vocabulary."""
        return 1

    @property
    def n_answers(self) -> int:
        return 2

    @property
    def description(self) -> str:
        return f"parity of {self.k} of {self.n_bits} bits"

    @classmethod
    def example(cls) -> "ParityConfig":
        """(40, 3)-parity of 1000 train rows, as Merrill et al. 2023."""
        return cls(n_bits=40, k=3, n_train=1000, n_test=100, split_seed=0)

    def task(self, is_train: Tensor | None = None) -> Task:
        """The data.

        Raises:
            ValueError: as `is_train_of`.

        >>> task = ParityConfig(n_bits=5, k=2, n_train=3, n_test=1, split_seed=0).task()
        >>> task.inputs[0].tolist(), task.labels.tolist()
        ([1.0, 1.0, 1.0, -1.0, -1.0], [0, 1, 1, 0])
        """
        is_train = is_train_of(self, is_train, nested=self.nested)
        numbers = row_numbers(self, 2**self.n_bits, nested=self.nested)
        bits = torch.tensor([[number >> i & 1 for i in range(self.n_bits)] for number in numbers])
        signs = 1.0 - 2.0 * bits
        task = one_question_each(self, signs, self._answers(signs), is_train, Bits(tuple(range(self.k))))
        return relabelled(
            task, corrupted_labels(task.labels, is_train, self.corrupted_fraction, 2, self.split_seed)
        )

    def drawn(self, n: int, seed: Sequence[int]) -> Questions:
        """The questions of n new rows, uniform and independent."""
        bits = np.random.default_rng(seed).integers(0, 2, (n, self.n_bits), dtype=np.int8)
        signs = 1.0 - 2.0 * torch.from_numpy(bits).float()
        rows = torch.arange(n)
        return Questions(signs, rows, torch.full((n,), self.n_bits - 1), self._answers(signs))

    def _answers(self, signs: Float[Tensor, "example bit"]) -> Tensor:
        return (signs[:, : self.k].prod(1) < 0).long()

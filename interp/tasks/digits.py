"""Sums and differences of numbers of several digits, digit by digit: several questions a row.

A row is `a_{n-1} .. a_0 + b_{n-1} .. b_0 = s_n .. s_1`, operands most significant digit first, and the question about a
digit of the answer stands at the token before it: the answer's digits are inputs too, all but the last.

A difference is written as a sum is, with one digit more than its operands: the highest is the borrow, 1 where a < b,
and the others are those of a - b modulo base^n. So no pair is left out, and each digit depends on those below it alone;
with a sign and the absolute value all digits would depend on which operand is the larger.

References: Nanda et al. 2023, "Progress measures for grokking via mechanistic interpretability", appendix (5-digit
addition); Quirke and Barez 2024, "Understanding addition in transformers" (sums of base - 1 hand a carry on).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interp.tasks.drawn_rows import check_drawn_rows, is_train_of, row_numbers
from interp.tasks.splits import Split, corrupted_labels
from interp.tasks.structure import Digits
from interp.tasks.task import Questions, Task

# Numbers of rows are drawn from a range, whose length is a machine's integer.
MOST_PAIRS = 2**62


@dataclass(frozen=True, kw_only=True)
class DigitsConfig:
    """a + b or a - b of numbers of n digits in some base.

    Tokens are the digits, the operator, "=" and, with padding, the pad.

    Attributes:
        n_digits, base: of the operands; the answer has n_digits + 1 digits, leading zeros written out.
        operation: "add" or "subtract".
        answer_order: "most" (significant digit first) or "least". With the least significant first each carry can be
            told from the digits just answered; otherwise it has to be looked for through all lower ones.
        padding: operands are written without leading zeros and padded on the left, so that a digit stands where it
            stands otherwise; zero is one 0.
        n_train, n_test: different pairs that are drawn, with `optimizer.fresh` for evaluation only.
        corrupted_fraction: share of the train questions whose label is another digit, in [0, 1]. The answer's digits
            among the inputs remain right.
        split, split_seed: as of `interp.tasks.drawn_rows`.
    """

    n_digits: int
    base: int
    operation: Literal["add", "subtract"]
    answer_order: Literal["most", "least"]
    padding: bool
    n_train: int
    n_test: int
    split_seed: int
    corrupted_fraction: float = 0.0
    split: Split = "drawn"
    family: Literal["digits"] = "digits"

    def __post_init__(self):
        if self.n_digits < 1:
            raise ValueError(f"Numbers need n_digits of at least 1, got {self.n_digits}.")
        if self.base < 2:
            raise ValueError(f"Digits need a base of at least 2, got {self.base}.")
        most = next(n for n in range(64) if self.base ** (2 * n + 2) > MOST_PAIRS)
        if self.n_digits > most:
            fewer = f"at most {most} digits, or " if most else ""
            raise ValueError(
                f"Pairs of numbers need to be at most 2^62, got n_digits={self.n_digits} in base {self.base}. "
                f"They are drawn by number. Use {fewer}a smaller base."
            )
        check_drawn_rows(
            self, self.n_numbers**2, f"pairs of {self.n_digits}-digit numbers in base {self.base}"
        )

    @property
    def n_numbers(self) -> int:
        return self.base**self.n_digits

    @property
    def n_examples(self) -> int:
        return self.n_train + self.n_test

    @property
    def n_answer_digits(self) -> int:
        return self.n_digits + 1

    @property
    def n_pos(self) -> int:
        return 2 * self.n_digits + 2 + self.n_answer_digits - 1

    @property
    def shows_answers(self) -> bool:
        """The digits of the answer are inputs too."""
        return True

    @property
    def n_tokens(self) -> int:
        return self.base + 2 + self.padding

    @property
    def n_answers(self) -> int:
        return self.base

    @property
    def description(self) -> str:
        sign = "+" if self.operation == "add" else "-"
        digits = "1 digit" if self.n_digits == 1 else f"{self.n_digits} digits"
        order = f"{self.answer_order} significant first"
        return f"a {sign} b of {digits} in base {self.base}, {order}{', padded' if self.padding else ''}"

    @classmethod
    def example(cls) -> "DigitsConfig":
        """Sums of three-digit numbers, least significant digit first, from which settings vary."""
        return cls(
            n_digits=3, base=10, operation="add", answer_order="least", padding=False, n_train=340, n_test=1000,
            split_seed=0,
        )  # fmt: skip

    def task(self, is_train: Tensor | None = None) -> Task:
        """The data.

        Parts: "digit 0" (the lowest) and so on, and, of the carry (borrow) into the digit that is asked: "carry", made
        by the pair of digits just below, "carry through k", made below k pairs that hand it on (their sum is base - 1,
        or they are equal in a difference), "no carry" and "no carry through k", where those k pairs have none to hand
        on. Each question is in one part of either kind.

        Raises:
            ValueError: as `is_train_of`.

        >>> task = DigitsConfig(n_digits=2, base=10, operation="add", answer_order="most", padding=False, n_train=1,
        ...     n_test=1, split_seed=0).task()
        >>> task.inputs[0].tolist(), task.position[:3].tolist(), task.labels[:3].tolist()
        ([6, 3, 10, 1, 1, 11, 0, 7], [5, 6, 7], [0, 7, 4])
        """
        is_train = is_train_of(self, is_train)
        pairs = torch.tensor(
            [divmod(number, self.n_numbers) for number in row_numbers(self, self.n_numbers**2)]
        )
        questions, structure = self.asked(pairs)
        true = questions.labels
        asked_in_train = None if is_train is None else is_train[questions.example]
        shown = corrupted_labels(true, asked_in_train, self.corrupted_fraction, self.base, self.split_seed)
        return Task(
            config=self, inputs=questions.inputs, example=questions.example, position=questions.position, labels=shown,
            true_labels=true, is_corrupted=shown != true, is_train=is_train, parts=parts_of(structure),
            structure=structure,
        )  # fmt: skip

    def drawn(self, n: int, seed: Sequence[int]) -> Questions:
        """The questions of n new rows, uniform and independent."""
        return self.asked(torch.from_numpy(np.random.default_rng(seed).integers(0, self.n_numbers, (n, 2))))[
            0
        ]

    def asked(self, pairs: Int[Tensor, "example 2"]) -> tuple[Questions, Digits]:
        """The questions of rows on these operands, by row and then by position, and what is known of them."""
        n, m = self.n_digits, self.n_answer_digits
        sign = 1 if self.operation == "add" else -1
        operands = digits_of(pairs, n, self.base)
        # As the answer of a pair of numbers, so that of a difference has the borrow at the top.
        whole = (pairs[:, 0] + sign * pairs[:, 1]) % (self.base * self.n_numbers)
        answer = digits_of(whole, m, self.base)
        if sign < 0:
            answer[:, n] = pairs[:, 0] < pairs[:, 1]
        places = list(range(m)) if self.answer_order == "least" else list(range(m))[::-1]
        inputs = self._rows(operands, answer[:, places])
        rows = len(pairs)
        questions = Questions(
            inputs,
            torch.arange(rows).repeat_interleave(m),
            torch.arange(2 * n + 1, 2 * n + 1 + m).repeat(rows),
            answer[:, places].flatten(),
        )
        carry, chain = carries(operands, self.base, self.operation)
        column = torch.arange(n - 1, -1, -1)
        structure = Digits(
            base=self.base,
            operands=operands,
            answer=answer,
            carry=carry,
            chain=chain,
            place=torch.tensor(places).repeat(rows),
            operand_positions=torch.stack([column, column + n + 1]),
        )
        return questions, structure

    def _rows(self, operands: Int[Tensor, "example 2 place"], answer: Int[Tensor, "example pos"]) -> Tensor:
        written = operands
        if self.padding:
            higher = operands.flip(-1).cumsum(-1).flip(-1)
            is_leading = higher == 0
            # Zero is one 0.
            is_leading[..., 0] = False
            written = torch.where(is_leading, self.base + 2, operands)
        a, b = written.flip(-1).unbind(1)
        one = torch.ones(len(a), 1, dtype=torch.long)
        return torch.cat([a, one * self.base, b, one * (self.base + 1), answer[:, :-1]], 1)


def digits_of(numbers: Int[Tensor, "*row"], n_digits: int, base: int) -> Int[Tensor, "*row place"]:
    """The digits of numbers, lowest first.

    >>> digits_of(torch.tensor(305), 4, 10).tolist()
    [5, 0, 3, 0]
    """
    return torch.stack([numbers // base**place % base for place in range(n_digits)], -1)


def carries(
    operands: Int[Tensor, "example 2 n_digits"], base: int, operation: str
) -> tuple[Int[Tensor, "example n_places"], Int[Tensor, "example n_places"]]:
    """The carry (or borrow) into each digit of the answer, and how many pairs just below hand on what comes.

    >>> carry, chain = carries(torch.tensor([[[5, 4, 1], [5, 5, 2]]]), 10, "add")        # 145 + 255
    >>> carry.tolist(), chain.tolist()
    ([[0, 1, 1, 0]], [[0, 0, 1, 0]])
    """
    a, b = operands.unbind(1)
    if operation == "add":
        makes, hands_on = a + b >= base, a + b == base - 1
    else:
        makes, hands_on = a < b, a == b
    carry, chain = [torch.zeros_like(a[:, 0])], [torch.zeros_like(a[:, 0])]
    for place in range(a.shape[1]):
        carry.append(torch.where(hands_on[:, place], carry[-1], makes[:, place].long()))
        chain.append(torch.where(hands_on[:, place], chain[-1] + 1, 0))
    return torch.stack(carry, 1), torch.stack(chain, 1)


def parts_of(digits: Digits) -> dict[str, Bool[Tensor, " question"]]:
    """The parts of `DigitsConfig.task`, those without a question left out."""
    parts = {f"digit {place}": digits.place == place for place in range(digits.answer.shape[1])}
    return {name: rows for name, rows in (parts | carry_kinds(digits)).items() if rows.any()}


def carry_kinds(digits: Digits) -> dict[str, Bool[Tensor, " question"]]:
    """Which questions have each kind of carry into their digit: first those without one, shortest chains first."""
    carry, chain = digits.carry_in, digits.chain_length
    return {
        f"{name} through {k}" if k else name: (carry == has_carry) & (chain == k)
        for has_carry, name in ((0, "no carry"), (1, "carry"))
        for k in range(digits.answer.shape[1])
    }

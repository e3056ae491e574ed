"""What the algebra behind a task's answers is: the language in which probes read embeddings, neurons and logits."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from interp.mathematics.groups import Group


@dataclass(frozen=True, eq=False)
class Cyclic:
    """Names in which the answer is a sum on Z_order: first[a] + second[b] = answer[c] (mod order).

    A residue without a name (0 in a multiplicative group) has -1 and takes no part in Fourier probes.

    Attributes:
        pairs: the operands (a, b) of each example.
        operand_tokens: token of residue t as first and as second operand.
    """

    order: int
    pairs: Int[Tensor, "example 2"]
    operand_tokens: Int[Tensor, "2 p"]
    first: Int[Tensor, " p"]
    second: Int[Tensor, " p"]
    answer: Int[Tensor, " p"]


@dataclass(frozen=True, eq=False)
class FiniteGroup:
    """The answer is the product of the operands, elements of a finite group by their index.

    Attributes:
        pairs: the operands (a, b) of each example.
        operand_tokens: token of each element as first and as second operand.
    """

    group: Group
    pairs: Int[Tensor, "example 2"]
    operand_tokens: Int[Tensor, "2 n"]


@dataclass(frozen=True, eq=False)
class Bits:
    """The answer is a function of few of the features, each +1 or -1.

    Attributes:
        relevant: which features count.
    """

    relevant: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Digits:
    """The answer is a number written in digits, found from two operands digit by digit with carries (or borrows).

    Places count from the lowest digit, 0.

    Attributes:
        operands, answer: digits by place.
        carry: what comes into each place of the answer, 0 or 1; none into place 0.
        chain: how many pairs of digits just below each place hand on what comes to them.
        place: of the answer's digit that each question asks for.
        operand_positions: where in the row the digit of each operand and place stands.
    """

    base: int
    operands: Int[Tensor, "example 2 n_digits"]
    answer: Int[Tensor, "example n_places"]
    carry: Int[Tensor, "example n_places"]
    chain: Int[Tensor, "example n_places"]
    place: Int[Tensor, " question"]
    operand_positions: Int[Tensor, "2 n_digits"]

    @property
    def carry_in(self) -> Int[Tensor, " question"]:
        """The carry into the digit that each question asks for."""
        return self._of_questions(self.carry)

    @property
    def chain_length(self) -> Int[Tensor, " question"]:
        """How many pairs hand it on."""
        return self._of_questions(self.chain)

    def _of_questions(self, by_place: Int[Tensor, "example n_places"]) -> Int[Tensor, " question"]:
        # Each row asks for every place once.
        n_places = by_place.shape[1]
        return by_place.gather(1, self.place.view(-1, n_places)).flatten()


@dataclass(frozen=True, eq=False)
class Languages:
    """The same numbers under the tokens of several languages, of which the first teaches.

    A question is a row of three tokens: two numbers, or a number and the translating token, and the "=" of the language
    in which the answer is due.

    Attributes:
        names: of the languages.
        order: p where the first language's answers are sums or differences mod p, so that numbers have frequencies.
        number_tokens, answers: input token and output of each number in each language.
        equals_tokens: "=" of each language.
        tables: answers of each language's own operation.
        dictionaries: which number of a language its dictionary has for each number of the first.
    """

    names: tuple[str, ...]
    order: int | None
    number_tokens: Int[Tensor, "language p"]
    answers: Int[Tensor, "language p"]
    equals_tokens: Int[Tensor, " language"]
    translating_token: int
    tables: Int[Tensor, "language p p"]
    dictionaries: Int[Tensor, "language p"]


Structure = Cyclic | FiniteGroup | Bits | Digits | Languages


def carriers(names: Int[Tensor, " p"], order: int) -> Int[Tensor, " n"]:
    """The residue that carries each name 0 .. order-1 of a cyclic structure; -1 where none does."""
    residues = torch.full((order,), -1)
    named = names >= 0
    residues[names[named]] = named.nonzero().squeeze(1)
    return residues

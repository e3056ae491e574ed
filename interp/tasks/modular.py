"""Binary operations on Z_p: every one of Power et al. 2022 and Nanda et al. 2023, and random labels as a control.

A task is data. Its rows are all pairs (a, b) on which the operation is defined, in lexicographic order (row a*p + b
where every pair is defined). Which rows are train is decided by the split seed alone, never by the seed of the
initialization.

The algebra is what makes one set of Fourier probes serve several operations: it renames residues so that the answer
becomes a sum. Subtraction is addition of -b; multiplication of non-zero residues modulo a prime is addition of
discrete logarithms on Z_{p-1}. Without the renaming the spectrum of a perfect multiplication network looks dense.

References: Power et al. 2022, "Grokking: generalization beyond overfitting on small algorithmic datasets", appendix
A.1; Nanda et al. 2023, section 3; Furuta et al. 2024 for the dense spectra seen without discrete logarithms.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from interp.ground.choices import check_choices, check_seed
from interp.ground.plain_text import shown
from interp.mathematics.residues import discrete_logarithms, is_prime
from interp.tasks.recognition import NO_SPLIT, UNSPLIT, Sizes, check_can_be_made_again
from interp.tasks.splits import Split, check_split, corrupted_labels, drawn_split
from interp.tasks.structure import Cyclic
from interp.tasks.task import OMITTED, Task, one_question_each, relabelled


@dataclass(frozen=True)
class Operation:
    """A binary operation: formula, label of (a, b), where it is defined, whether p must be prime."""

    formula: str
    label: Callable[[Tensor, Tensor, int], Tensor]
    needs_prime: bool = False
    excludes_zero_divisor: bool = False
    algebra: Literal["sum", "difference", "product", "quotient"] | None = None


LARGEST_MODULUS = 10_000


def _inverse(b: Tensor, p: int) -> Tensor:
    table = torch.tensor([0] + [pow(t, -1, p) for t in range(1, p)])
    return table[b]


OPERATIONS: dict[str, Operation] = {
    "add": Operation("a + b", lambda a, b, p: a + b, algebra="sum"),
    "subtract": Operation("a - b", lambda a, b, p: a - b, algebra="difference"),
    "multiply": Operation("a * b", lambda a, b, p: a * b, algebra="product"),
    "divide": Operation(
        "a / b, b != 0",
        lambda a, b, p: a * _inverse(b, p),
        needs_prime=True,
        excludes_zero_divisor=True,
        algebra="quotient",
    ),
    "divide-or-subtract": Operation(
        "a / b if b is odd, otherwise a - b",
        lambda a, b, p: torch.where(b % 2 == 1, a * _inverse(b, p), a - b),
        needs_prime=True,
    ),
    "x2+y2": Operation("a^2 + b^2", lambda a, b, p: a**2 + b**2),
    "x2+xy+y2": Operation("a^2 + ab + b^2", lambda a, b, p: a**2 + a * b + b**2),
    "x2+xy+y2+x": Operation("a^2 + ab + b^2 + a", lambda a, b, p: a**2 + a * b + b**2 + a),
    "x3+xy": Operation("a^3 + ab", lambda a, b, p: a**3 + a * b),
    "x3+xy2+y": Operation("a^3 + ab^2 + b", lambda a, b, p: a**3 + a * b**2 + b),
    "random": Operation("a label drawn for each pair", lambda a, b, p: torch.zeros_like(a)),
}


@dataclass(frozen=True, kw_only=True)
class ModularConfig:
    """What decides a modular task, down to the last label.

    Attributes:
        operation: a key of `OPERATIONS`.
        p: the modulus, from 2 to `LARGEST_MODULUS`.
        train_fraction: share of the rows that are train, in (0, 1); int(fraction * rows) rows are taken. None where an
            imported run has lost its split and the fraction with it.
        equals_token: whether a third token "=" follows the pair.
        separate_vocabularies: whether the second operand has tokens p .. 2p-1 of its own.
        corrupted_fraction: share of the train rows whose label is replaced by a uniformly drawn other one, in [0, 1].
        split: how train is drawn (`interp.tasks.splits.drawn_split`); "explicit" and "unknown" are for imported runs,
            whose split was recorded or is lost.
        split_seed: seed of the split (and of random and corrupted labels).
        template: for imported runs whose rows are neither "ab" nor "ab=", one character a position: a and b are the
            operands, every other character a constant token. "^a*b=" is an end-of-text token, a, the operator, b, "=".
            Residue t is token t (p + t as b with separate vocabularies); constant tokens follow in order of their
            first appearance.
        n_unused_tokens: tokens of an imported network's vocabulary, after all others, that no row has.
    """

    operation: str
    p: int
    train_fraction: float | None
    equals_token: bool
    separate_vocabularies: bool
    corrupted_fraction: float
    split: Split
    split_seed: int
    family: Literal["modular"] = "modular"
    template: str | None = field(default=None, metadata=OMITTED)
    n_unused_tokens: int = field(default=0, metadata=OMITTED)

    def __post_init__(self):
        if self.operation not in OPERATIONS:
            raise ValueError(
                f"A modular task needs one of the operations {', '.join(OPERATIONS)}, got {self.operation!r}."
            )
        check_choices(self)
        if self.p < 2:
            raise ValueError(f"A modular task needs a modulus p of at least 2, got {self.p}.")
        if self.p > LARGEST_MODULUS:
            raise ValueError(
                f"A modular task needs a modulus p of at most {LARGEST_MODULUS:,} here, got {shown(self.p)}. Its table "
                "has the square of that many rows. Use a smaller p."
            )
        check_seed("split_seed", self.split_seed)
        if OPERATIONS[self.operation].needs_prime and not is_prime(self.p):
            raise ValueError(
                f"Operation {self.operation!r} needs a prime p, got {self.p}, where not every non-zero residue has "
                f"an inverse. Use p={next(q for q in range(self.p, 2 * self.p + 1) if is_prime(q))}, or an "
                "operation without division."
            )
        check_split(self.split, self.train_fraction)
        row = self.row
        if row.count("a") != 1 or row.count("b") != 1 or self.equals_token != ("=" in row):
            raise ValueError(
                "A row's template needs one a, one b, and '=' exactly where equals_token says so, got "
                f"{row!r} with equals_token={self.equals_token}. Use for instance '^a*b=' with equals_token=True."
            )
        if self.n_unused_tokens < 0:
            raise ValueError(f"A vocabulary needs n_unused_tokens of at least 0, got {self.n_unused_tokens}.")
        if not 0 <= self.corrupted_fraction <= 1:
            raise ValueError(f"A task needs corrupted_fraction in [0, 1], got {self.corrupted_fraction}.")

    @property
    def row(self) -> str:
        """The template of a row, one character a position."""
        return self.template or ("ab=" if self.equals_token else "ab")

    @property
    def constant_tokens(self) -> dict[str, int]:
        """Token of each constant character of the template."""
        first = self.p * (2 if self.separate_vocabularies else 1)
        return {name: first + i for i, name in enumerate(dict.fromkeys(c for c in self.row if c not in "ab"))}

    @property
    def n_tokens(self) -> int:
        """Size of the input vocabulary."""
        residues = self.p * (2 if self.separate_vocabularies else 1)
        return residues + len(self.constant_tokens) + self.n_unused_tokens

    @property
    def n_pos(self) -> int:
        """Number of tokens in a row."""
        return len(self.row)

    @property
    def n_answers(self) -> int:
        return self.p

    @property
    def n_examples(self) -> int:
        """Number of rows."""
        return self.p * (self.p - OPERATIONS[self.operation].excludes_zero_divisor)

    @property
    def description(self) -> str:
        return f"{self.operation} mod {self.p}"

    @classmethod
    def example(cls) -> "ModularConfig":
        """The task of Nanda et al. 2023, from which settings vary."""
        return cls(
            operation="add", p=113, train_fraction=0.3, equals_token=True, separate_vocabularies=False,
            corrupted_fraction=0.0, split="shuffle", split_seed=0,
        )  # fmt: skip

    @classmethod
    def fitted(cls, sizes: Sizes, known: Mapping[str, Any]) -> dict[str, Any]:
        """What is known of a task that a network of these sizes learned, with what the sizes say of the rest.

        Two positions are (a, b), three are (a, b, =). Residues come first in the vocabulary.

        Raises:
            ValueError: if the sizes and what is known cannot both hold, or another program drew the labels.
        """
        check_can_be_made_again(known, is_drawn=known.get("operation") == "random")
        out = dict(known)
        if "template" in out:
            out.setdefault("equals_token", "=" in out["template"])
        else:
            if sizes.n_pos not in (2, 3) and "equals_token" not in out:
                raise ValueError(
                    f"The network reads {sizes.n_pos} tokens at once; rows (a, b) have 2, rows (a, b, =) have 3."
                )
            out.setdefault("equals_token", sizes.n_pos == 3)
        residues = sizes.n_tokens - int(out["equals_token"])
        doubled = residues == 2 * sizes.n_outputs
        out.setdefault("p", sizes.n_outputs if doubled else residues)
        out.setdefault("separate_vocabularies", doubled and residues == 2 * out["p"])
        out.setdefault("n_unused_tokens", 0)
        names = ("p", "equals_token", "separate_vocabularies", "template", "n_unused_tokens")
        shape = cls(**UNSPLIT | {"operation": "add"} | {k: out[k] for k in names if k in out})
        unused = sizes.n_tokens - shape.n_tokens
        if shape.n_pos != sizes.n_pos or unused < 0 or sizes.n_outputs < shape.p:
            raise ValueError(
                f"A task mod {shape.p} with rows {shape.row!r} needs {shape.n_pos} positions, at least "
                f"{shape.n_tokens} tokens and {shape.p} logits; the network has {sizes.n_pos}, {sizes.n_tokens} and "
                f"{sizes.n_outputs}. State the --p and the rows (--equals-token, --separate-vocabularies) that it was "
                "trained with."
            )
        out["n_unused_tokens"] += unused
        return out

    @classmethod
    def candidates(cls, fields: Mapping[str, Any]) -> "dict[str, ModularConfig]":
        """Every operation that these fields leave open, without a split; labels drawn at random are none."""
        # A stated operation is taken at its word, and refused by the config where it cannot be.
        open_ones = [
            n for n, o in OPERATIONS.items() if n != "random" and (not o.needs_prime or is_prime(fields["p"]))
        ]
        possible = [fields["operation"]] if "operation" in fields else open_ones
        return {name: cls(**{**UNSPLIT, **fields, **NO_SPLIT, "operation": name}) for name in possible}

    def pairs(self) -> Int[Tensor, "example 2"]:
        """The operands (a, b) on which the operation is defined, in lexicographic order."""
        a, b = (
            t.reshape(-1) for t in torch.meshgrid(torch.arange(self.p), torch.arange(self.p), indexing="ij")
        )
        pairs = torch.stack([a, b], 1)
        return pairs[b != 0] if OPERATIONS[self.operation].excludes_zero_divisor else pairs

    def task(self, is_train: Tensor | None = None) -> Task:
        """The data.

        Args:
            is_train: the recorded split, one boolean an example, for `split == "explicit"` only.

        Raises:
            ValueError: if an explicit split is missing, has another length, or is given where it is not explicit; if
                a train fraction leaves train or test empty.

        >>> task = ModularConfig(operation="add", p=5, train_fraction=0.4, equals_token=True,
        ...     separate_vocabularies=False, corrupted_fraction=0.0, split="shuffle", split_seed=0).task()
        >>> task.inputs[7].tolist(), task.labels[7].item(), task.n_train
        ([1, 2, 5], 3, 10)
        """
        pairs = self.pairs()
        is_train = drawn_split(self.split, self.train_fraction, self.split_seed, pairs, is_train)
        task = one_question_each(self, self._rows(pairs), self._answers(pairs), is_train, self._cyclic(pairs))
        shown = corrupted_labels(task.labels, is_train, self.corrupted_fraction, self.p, self.split_seed)
        return relabelled(task, shown)

    def _rows(self, pairs: Int[Tensor, "example 2"]) -> Int[Tensor, "example pos"]:
        operands = dict(zip("ab", (pairs + self._offsets()).unbind(1), strict=True))
        constants = self.constant_tokens
        columns = [
            operands[c] if c in operands else torch.full_like(pairs[:, 0], constants[c]) for c in self.row
        ]
        return torch.stack(columns, 1)

    def _offsets(self) -> Int[Tensor, " 2"]:
        return torch.tensor([0, self.p if self.separate_vocabularies else 0])

    def _answers(self, pairs: Int[Tensor, "example 2"]) -> Int[Tensor, " example"]:
        if self.operation == "random":
            drawn = np.random.default_rng([self.split_seed, 1]).integers(self.p, size=len(pairs))
            return torch.from_numpy(drawn)
        return OPERATIONS[self.operation].label(pairs[:, 0], pairs[:, 1], self.p) % self.p

    def _cyclic(self, pairs: Int[Tensor, "example 2"]) -> Cyclic | None:
        names = _names(OPERATIONS[self.operation], self.p)
        if names is None:
            return None
        order, first, second = names
        tokens = torch.arange(self.p) + self._offsets()[:, None]
        return Cyclic(order, pairs, tokens, first, second, answer=first)


def _names(operation: Operation, p: int) -> tuple[int, Int[Tensor, " p"], Int[Tensor, " p"]] | None:
    """Order of the group, names of first operands (and of answers) and of second ones; None where there are none."""
    if operation.algebra is None:
        return None
    residues = torch.arange(p)
    if operation.algebra in ("sum", "difference"):
        return p, residues, residues if operation.algebra == "sum" else (-residues) % p
    if not is_prime(p) or p == 2:
        return None
    logarithm = torch.tensor(discrete_logarithms(p))
    second = logarithm if operation.algebra == "product" else (-logarithm) % (p - 1)
    return p - 1, logarithm, torch.where(logarithm < 0, -1, second)

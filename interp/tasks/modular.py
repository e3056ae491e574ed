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

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interp.ground.choices import check_choices

Split = Literal["shuffle", "unordered", "torch", "explicit", "unknown"]


@dataclass(frozen=True)
class Operation:
    """A binary operation: formula, label of (a, b), where it is defined, whether p must be prime."""

    formula: str
    label: Callable[[Tensor, Tensor, int], Tensor]
    needs_prime: bool = False
    excludes_zero_divisor: bool = False
    algebra: Literal["sum", "difference", "product", "quotient"] | None = None


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
        p: the modulus, 2 or larger.
        train_fraction: share of the rows that are train, in (0, 1); int(fraction * rows) rows are taken. None where an
            imported run has lost its split and the fraction with it.
        equals_token: whether a third token "=" follows the pair.
        separate_vocabularies: whether the second operand has tokens p .. 2p-1 of its own.
        corrupted_fraction: share of the train rows whose label is replaced by a uniformly drawn other one, in [0, 1].
        split: "shuffle" shuffles ordered pairs with Python's `random` as Nanda et al. do; "unordered" does so with
            unordered pairs, so that (b, a) is never in train while (a, b) is in test; "torch" is
            `torch.randperm` after `torch.manual_seed`, as in TransformerLens' demo; "explicit" and "unknown" are for
            imported runs, whose split was recorded or is lost.
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
    template: str | None = None
    n_unused_tokens: int = 0

    def __post_init__(self):
        if self.operation not in OPERATIONS:
            raise ValueError(
                f"A modular task needs one of the operations {', '.join(OPERATIONS)}, got {self.operation!r}."
            )
        check_choices(self)
        if self.p < 2:
            raise ValueError(f"A modular task needs a modulus p of at least 2, got {self.p}.")
        if OPERATIONS[self.operation].needs_prime and not is_prime(self.p):
            raise ValueError(
                f"Operation {self.operation!r} needs a prime p, got {self.p}, where not every non-zero residue has "
                f"an inverse. Use p={next(q for q in range(self.p, 2 * self.p + 1) if is_prime(q))}, or an "
                "operation without division."
            )
        if self.train_fraction is None:
            if self.split != "unknown":
                raise ValueError(
                    f"Split {self.split!r} needs a train fraction; only split 'unknown' can do without."
                )
        elif not 0 < self.train_fraction < 1:
            raise ValueError(
                f"A task needs a train fraction strictly between 0 and 1, got {self.train_fraction}. "
                "Grokking is seen between about 0.25 and 0.5."
            )
        row = self.row
        if row.count("a") != 1 or row.count("b") != 1 or self.equals_token != ("=" in row):
            raise ValueError(
                "A row's template needs one a, one b, and '=' exactly where equals_token says so, got "
                f"{row!r} with equals_token={self.equals_token}. Use for instance '^a*b=' with equals_token=True."
            )
        if self.n_unused_tokens < 0:
            raise ValueError(f"A vocabulary needs n_unused_tokens of at least 0, got {self.n_unused_tokens}.")
        if not 0 <= self.corrupted_fraction <= 1:
            raise ValueError(f"A task needs a corrupted fraction in [0, 1], got {self.corrupted_fraction}.")

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


@dataclass(frozen=True)
class Algebra:
    """Names in which the answer is a sum on Z_order: first[a] + second[b] = answer[c] (mod order).

    A residue without a name (0 in a multiplicative group) has -1 and takes no part in Fourier probes.
    """

    order: int
    first: Int[Tensor, " p"]
    second: Int[Tensor, " p"]
    answer: Int[Tensor, " p"]


@dataclass(frozen=True, eq=False)
class Task:
    """Inputs and answers of a task, all rows, train and test.

    Attributes:
        tokens: input tokens; the answer is read at the last position.
        labels: what the trainer is shown, corrupted ones included.
        true_labels: what the operation says.
        is_train: the split, or None where an imported run has lost it.
        is_corrupted: train rows whose label was replaced.
        pairs: the operands (a, b) of each row.
        operand_tokens: token of residue t as first and as second operand.
        algebra: names under which the answer is a sum, or None where there are none.
    """

    config: ModularConfig
    tokens: Int[Tensor, "example pos"]
    labels: Int[Tensor, " example"]
    true_labels: Int[Tensor, " example"]
    is_train: Bool[Tensor, " example"] | None
    is_corrupted: Bool[Tensor, " example"]
    pairs: Int[Tensor, "example 2"]
    operand_tokens: Int[Tensor, "2 p"]
    algebra: Algebra | None

    @property
    def p(self) -> int:
        return self.config.p

    @property
    def n_examples(self) -> int:
        return len(self.labels)

    @property
    def n_train(self) -> int:
        return int(self.split.sum())

    @property
    def split(self) -> Bool[Tensor, " example"]:
        """`is_train`, where it is known.

        Raises:
            ValueError: if an imported run has lost its split.
        """
        if self.is_train is None:
            raise ValueError(
                "This needs the train/test split, which the run does not have. Import the run again with "
                "--train-fraction, --split and --split-seed (or train_indices=) if you know how it was made."
            )
        return self.is_train


def modular_task(config: ModularConfig, is_train: Bool[Tensor, " example"] | None = None) -> Task:
    """The task that a config describes.

    Args:
        is_train: the recorded split, for `config.split == "explicit"` only.

    Raises:
        ValueError: if an explicit split is missing, has another length, or is given where it is not explicit; if a
            train fraction leaves train or test empty.

    >>> task = modular_task(ModularConfig(operation="add", p=5, train_fraction=0.4, equals_token=True,
    ...     separate_vocabularies=False, corrupted_fraction=0.0, split="shuffle", split_seed=0))
    >>> task.tokens[7].tolist(), task.labels[7].item(), task.n_train
    ([1, 2, 5], 3, 10)
    """
    p, operation = config.p, OPERATIONS[config.operation]
    a, b = (t.reshape(-1) for t in torch.meshgrid(torch.arange(p), torch.arange(p), indexing="ij"))
    if operation.excludes_zero_divisor:
        a, b = a[b != 0], b[b != 0]
    if config.operation == "random":
        true_labels = torch.from_numpy(np.random.default_rng([config.split_seed, 1]).integers(p, size=len(a)))
    else:
        true_labels = operation.label(a, b, p) % p

    is_train = _split(config, a, b, is_train)
    labels, is_corrupted = _corrupt(config, true_labels, is_train)

    offset = p if config.separate_vocabularies else 0
    operands, constants = {"a": a, "b": b + offset}, config.constant_tokens
    columns = [operands[c] if c in operands else torch.full_like(a, constants[c]) for c in config.row]
    residues = torch.arange(p)
    return Task(
        config=config,
        tokens=torch.stack(columns, 1),
        labels=labels,
        true_labels=true_labels,
        is_train=is_train,
        is_corrupted=is_corrupted,
        pairs=torch.stack([a, b], 1),
        operand_tokens=torch.stack([residues, residues + offset]),
        algebra=_algebra(operation, p),
    )


def _split(config: ModularConfig, a: Tensor, b: Tensor, recorded: Tensor | None) -> Tensor | None:
    n = len(a)
    if config.split == "explicit":
        if recorded is None or recorded.shape != (n,) or recorded.dtype != torch.bool:
            raise ValueError(
                f"An explicit split needs one boolean for each of the {n} rows, got "
                f"{'nothing' if recorded is None else f'{tuple(recorded.shape)} of {recorded.dtype}'}."
            )
        return recorded
    if recorded is not None:
        raise ValueError(f"A recorded split goes with split='explicit' only, got split={config.split!r}.")
    if config.split == "unknown":
        return None
    assert config.train_fraction is not None
    n_train = int(config.train_fraction * n)
    if not 0 < n_train < n:
        raise ValueError(
            f"Train fraction {config.train_fraction} of {n} rows leaves "
            f"{'train' if n_train == 0 else 'test'} empty. Use a larger p or another fraction."
        )
    is_train = torch.zeros(n, dtype=torch.bool)
    if config.split in ("shuffle", "torch"):
        is_train[split_order(config.split, config.split_seed, n)[:n_train]] = True
        return is_train
    rng = random.Random(config.split_seed)
    # "unordered": whole unordered pairs are taken until the share is reached.
    groups: dict[tuple[int, int], list[int]] = {}
    for i, pair in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        groups.setdefault((min(pair), max(pair)), []).append(i)
    keys = list(groups)
    rng.shuffle(keys)
    taken = 0
    for key in keys:
        if taken + len(groups[key]) > n_train:
            continue
        is_train[groups[key]] = True
        taken += len(groups[key])
    return is_train


def split_order(split: Literal["shuffle", "torch"], seed: int, n: int) -> Int[Tensor, " n"]:
    """The order of n rows of which the first are train."""
    if split == "torch":
        return torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    rows = list(range(n))
    random.Random(seed).shuffle(rows)
    return torch.tensor(rows)


def _corrupt(config: ModularConfig, labels: Tensor, is_train: Tensor | None) -> tuple[Tensor, Tensor]:
    is_corrupted = torch.zeros(len(labels), dtype=torch.bool)
    if config.corrupted_fraction == 0:
        return labels, is_corrupted
    if is_train is None:
        raise ValueError("Corrupted labels need a known split: they are train rows.")
    rng = np.random.default_rng([config.split_seed, 2])
    train_rows = is_train.nonzero().squeeze(1).numpy()
    rows = np.sort(
        rng.choice(train_rows, size=int(config.corrupted_fraction * len(train_rows)), replace=False)
    )
    shift = rng.integers(1, config.p, size=len(rows))  # never 0: a corrupted label is always wrong
    corrupted = labels.clone()
    corrupted[rows] = (labels[rows] + torch.from_numpy(shift)) % config.p
    is_corrupted[rows] = True
    return corrupted, is_corrupted


def _algebra(operation: Operation, p: int) -> Algebra | None:
    if operation.algebra is None:
        return None
    residues = torch.arange(p)
    if operation.algebra in ("sum", "difference"):
        second = residues if operation.algebra == "sum" else (-residues) % p
        return Algebra(p, residues, second, residues)
    if not is_prime(p) or p == 2:
        return None
    logarithm = torch.tensor(discrete_logarithms(p))
    second = logarithm if operation.algebra == "product" else (-logarithm) % (p - 1)
    second = torch.where(logarithm < 0, -1, second)
    return Algebra(p - 1, logarithm, second, logarithm)


@lru_cache
def discrete_logarithms(p: int) -> tuple[int, ...]:
    """Logarithm of each residue to the base of the smallest primitive root of the prime p; -1 for the residue 0.

    >>> discrete_logarithms(7)  # powers of 3: 1, 3, 2, 6, 4, 5
    (-1, 0, 2, 1, 4, 5, 3)
    """
    if not is_prime(p):
        raise ValueError(f"Discrete logarithms need a prime p, got {p}.")
    for root in range(1, p):
        powers = [pow(root, e, p) for e in range(p - 1)]
        if len(set(powers)) == p - 1:
            break
    logarithm = [-1] * p
    for exponent, value in enumerate(powers):
        logarithm[value] = exponent
    return tuple(logarithm)


def is_prime(p: int) -> bool:
    """Whether p is prime, by trial division.

    >>> [p for p in range(20) if is_prime(p)]
    [2, 3, 5, 7, 11, 13, 17, 19]
    """
    return p > 1 and all(p % d for d in range(2, math.isqrt(p) + 1))

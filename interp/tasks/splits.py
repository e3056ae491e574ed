"""Which examples are train, and which of their labels are wrong: decided by the split's own seed alone."""

import random
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

Split = Literal["shuffle", "unordered", "torch", "drawn", "explicit", "unknown"]


def check_split(split: Split, fraction: float | None) -> None:
    """Refuse a fraction that cannot be, or none where one is needed.

    Raises:
        ValueError: if the fraction is not strictly between 0 and 1, or is missing without split "unknown", or the split
            is that of drawn rows.
    """
    if split == "drawn":
        raise ValueError(
            "Split 'drawn' is that of families whose rows are drawn; here all rows are in one table. Use 'shuffle'."
        )
    if fraction is None:
        if split != "unknown":
            raise ValueError(f"Split {split!r} needs a train fraction; only split 'unknown' can do without.")
    elif not 0 < fraction < 1:
        raise ValueError(
            f"A task needs train_fraction strictly between 0 and 1, got {fraction}. "
            "Grokking is seen between about 0.25 and 0.5."
        )


def drawn_split(
    split: Split,
    fraction: float | None,
    seed: int,
    pairs: Int[Tensor, "example 2"],
    recorded: Tensor | None = None,
) -> Bool[Tensor, " example"] | None:
    """The train examples of a task on pairs of operands; int(fraction * examples) of them.

    Args:
        split: "shuffle" shuffles ordered pairs with Python's `random` as Nanda et al. do; "unordered" does so with
            unordered pairs, so that (b, a) is never in train while (a, b) is in test; "torch" is `torch.randperm`
            after `torch.manual_seed`, as in TransformerLens' demo; "explicit" takes `recorded`,
            one boolean an example; "unknown" gives None.

    Raises:
        ValueError: if an explicit split is missing, has another length, or is given where it is not explicit; if the
            fraction leaves train or test empty.
    """
    n = len(pairs)
    if (found := recorded_split(split, n, recorded)) is not None:
        return found
    if split == "unknown":
        return None
    assert fraction is not None
    n_train = int(fraction * n)
    if not 0 < n_train < n:
        raise ValueError(
            f"Train fraction {fraction} of {n} rows leaves {'train' if n_train == 0 else 'test'} empty. Use a larger "
            "p or group, or another fraction."
        )
    is_train = torch.zeros(n, dtype=torch.bool)
    # What check_split refuses, and what was recorded.
    assert split != "drawn"
    assert split != "explicit"
    if split == "unordered":
        is_train[_whole_unordered_pairs(pairs, n_train, seed)] = True
    else:
        is_train[split_order(split, seed, n)[:n_train]] = True
    return is_train


def recorded_split(split: Split, n: int, recorded: Tensor | None) -> Bool[Tensor, " example"] | None:
    """The recorded train examples of an explicit split of n rows; None of any other split.

    Raises:
        ValueError: if an explicit split is missing or has another length, or one is given where it is not explicit.
    """
    if split == "explicit":
        if recorded is None or recorded.shape != (n,) or recorded.dtype != torch.bool:
            raise ValueError(
                f"An explicit split needs one boolean for each of the {n} rows, got "
                f"{'nothing' if recorded is None else f'{tuple(recorded.shape)} of {recorded.dtype}'}."
            )
        return recorded
    if recorded is not None:
        raise ValueError(f"A recorded split goes with split='explicit' only, got split={split!r}.")
    return None


def split_order(split: Literal["shuffle", "torch"], seed: int, n: int) -> Int[Tensor, " n"]:
    """The order of n rows of which the first are train."""
    if split == "torch":
        return torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    rows = list(range(n))
    random.Random(seed).shuffle(rows)
    return torch.tensor(rows)


def _whole_unordered_pairs(pairs: Int[Tensor, "example 2"], n_train: int, seed: int) -> Int[Tensor, " train"]:
    groups: dict[tuple[int, int], list[int]] = {}
    for i, pair in enumerate(pairs.tolist()):
        groups.setdefault((min(pair), max(pair)), []).append(i)
    keys = list(groups)
    random.Random(seed).shuffle(keys)
    taken: list[int] = []
    for key in keys:
        if len(taken) + len(groups[key]) <= n_train:
            taken += groups[key]
    return torch.tensor(taken)


def corrupted_labels(
    labels: Int[Tensor, " example"],
    is_train: Bool[Tensor, " example"] | None,
    fraction: float,
    n_answers: int,
    seed: int,
) -> Int[Tensor, " example"]:
    """The labels with a share of the train ones replaced by a uniformly drawn other one.

    Raises:
        ValueError: if the split is not known.
    """
    if fraction == 0:
        return labels
    if is_train is None:
        raise ValueError("Corrupted labels need a known split: they are train rows.")
    rng = np.random.default_rng([seed, 2])
    train_rows = is_train.nonzero().squeeze(1).numpy()
    rows = np.sort(rng.choice(train_rows, size=int(fraction * len(train_rows)), replace=False))
    # Never 0: a corrupted label is always wrong.
    shift = rng.integers(1, n_answers, size=len(rows))
    corrupted = labels.clone()
    corrupted[rows] = (labels[rows] + torch.from_numpy(shift)) % n_answers
    return corrupted


def described_split(config: Any) -> str:
    """Which share of a task's examples is train and how it was drawn, in a few words."""
    corrupted = config.corrupted_fraction
    if hasattr(config, "n_train"):
        share = f"{config.n_train} of {config.n_train + config.n_test} rows"
    else:
        fraction = config.train_fraction
        share = "unknown share of" if fraction is None else f"{fraction:.0%}"
    seed = "" if config.split in ("explicit", "unknown") else f", seed {config.split_seed}"
    how = f"split {config.split!r}{seed}" if seed else f"split {config.split}"
    how += ", nested" if getattr(config, "nested", False) else ""
    labels = f", {corrupted:.0%} of train labels corrupted" if corrupted else ""
    return f"{share} train ({how}){labels}"

"""How well a network answers each digit, and with which carry."""

from collections.abc import Iterator

import pandas as pd
import torch
from jaxtyping import Bool
from torch import Tensor

from interp.probes.answers.losses import splits
from interp.snapshots.places import Places
from interp.snapshots.snapshot import Snapshot

VERSION = 1

ALL = "all"


def digit_losses(snapshot: Snapshot) -> pd.DataFrame:
    """Loss and accuracy by split, by the digit that is asked and by the carry into it, in float64.

    The carries into a digit are told apart by where they come from: a network that has the sum of two digits and no
    carry is right without one and never with one; one that looks only at the pair just below fails where that pair
    hands on what comes from further down, whether or not anything comes. Long chains are rare: `n` says how many
    questions an accuracy is of.

    Columns:
        split: "train", "test", "corrupted" (where there are any), "all", as of `losses`.
        digit: the place of the answer's digit, "0" for the lowest, or "all".
        carry: "none" (digit and all below it alone), "made" (by the pair just below), "through 1", "through 2", ...
            (made below that many pairs that hand it on), "none through 1", ... (these pairs hand on, and nothing
            comes), or "all". Borrows, in a difference.
        n: questions; combinations without any are absent.
        loss: mean cross-entropy against the shown labels, nats; ln base is chance, ln 2 for the highest digit.
        accuracy: share of questions whose largest logit is the shown label.

    Raises:
        NotApplicable: if the answers are not written in digits.

    References: Nanda et al. 2023, appendix (loss of each digit in 5-digit addition); Quirke and Barez 2024,
    "Understanding addition in transformers" (sums of 9).
    """
    places = snapshot.once(Places)
    structure = places.structure
    losses, is_right = snapshot.losses, (snapshot.answers == snapshot.labels).to(snapshot.double)
    carry = structure.carry_in.to(snapshot.device)
    chain = structure.chain_length.to(snapshot.device)
    every = torch.ones_like(carry, dtype=torch.bool)
    digits = {ALL: every, **{str(i): places.place == i for i in range(places.n_places)}}
    kinds = {ALL: every, **dict(_kinds(carry, chain, places.n_places))}
    rows = []
    for split, in_split in splits(snapshot).items():
        for digit, asks in digits.items():
            for kind, comes in kinds.items():
                chosen = in_split & asks & comes
                if not (n := int(chosen.sum())):
                    continue
                loss, accuracy = losses[chosen].mean().item(), is_right[chosen].mean().item()
                rows.append(
                    {
                        "split": split,
                        "digit": digit,
                        "carry": kind,
                        "n": n,
                        "loss": loss,
                        "accuracy": accuracy,
                    }
                )
    return pd.DataFrame(rows)


def _kinds(carry: Tensor, chain: Tensor, n_places: int) -> Iterator[tuple[str, Bool[Tensor, " question"]]]:
    for k in range(n_places):
        yield f"none through {k}" if k else "none", (carry == 0) & (chain == k)
    for k in range(n_places):
        yield f"through {k}" if k else "made", (carry == 1) & (chain == k)

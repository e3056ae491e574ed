"""How well a network answers each digit, and with which carry."""

import pandas as pd
import torch

from interp.probes.answers.losses import splits
from interp.snapshots.places import Places
from interp.snapshots.snapshot import Snapshot
from interp.tasks.digits import carry_kinds

VERSION = 2

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
        carry: as the task's parts, "carry" (made by the pair just below), "carry through 1", ... (made below that many
            pairs that hand it on), "no carry", "no carry through 1", ... (these pairs hand on, and nothing comes), or
            "all". Borrows, in a difference.
        n: questions; combinations without any are absent.
        loss: mean cross-entropy against the shown labels, nats; ln base is chance, ln 2 for the highest digit.
        accuracy: share of questions whose largest logit is the shown label.

    Raises:
        NotApplicable: if the answers are not written in digits.

    References: Nanda et al. 2023, appendix (loss of each digit in 5-digit addition); Quirke and Barez 2024,
    "Understanding addition in transformers" (sums of 9).
    """
    places = snapshot.once(Places)
    losses, is_right = snapshot.losses, (snapshot.answers == snapshot.labels).to(snapshot.double)
    every = torch.ones_like(is_right, dtype=torch.bool)
    digits = {ALL: every, **{str(i): places.place == i for i in range(places.n_places)}}
    kinds = {ALL: every} | {
        name: rows.to(snapshot.device) for name, rows in carry_kinds(places.structure).items()
    }
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

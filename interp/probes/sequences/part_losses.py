"""How well a network answers each part of its questions."""

import pandas as pd
from jaxtyping import Bool
from torch import Tensor

from interp.probes.answers.losses import splits
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def part_losses(snapshot: Snapshot) -> pd.DataFrame:
    """Loss and accuracy by split and part of the questions, in float64.

    The mean over all questions hides what a network has learned where most of them cannot be foreseen. Parts may
    overlap, as "copy 2" and "predictable" do.

    Columns:
        split: as of `losses`.
        part: of `task.parts`; "all" for all questions.
        n: questions.
        loss: mean cross-entropy against the shown labels, nats.
        accuracy: share of questions whose largest logit is the shown label.

    Raises:
        NotApplicable: if the run has no known task.
    """
    right = (snapshot.answers == snapshot.labels).to(snapshot.double)
    rows = []
    for split, of_split in splits(snapshot).items():
        for part, of_part in parts(snapshot).items():
            asked = of_split & of_part
            if asked.any():
                rows.append(
                    {
                        "split": split,
                        "part": part,
                        "n": int(asked.sum()),
                        "loss": snapshot.losses[asked].mean().item(),
                        "accuracy": right[asked].mean().item(),
                    }
                )
    return pd.DataFrame(rows)


def parts(snapshot: Snapshot) -> dict[str, Bool[Tensor, " question"]]:
    """The questions of "all", and of each part of the task.

    Raises:
        NotApplicable: if the run has no known task.
    """
    everything = splits(snapshot)["all"]
    return {"all": everything} | {
        name: asked.to(everything.device) for name, asked in snapshot.known_task.parts.items()
    }

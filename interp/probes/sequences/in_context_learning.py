"""How much better a network foresees late tokens of a row than early ones."""

import pandas as pd

from interp.probes.sequences.position_losses import position_losses
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1

# Of the paper's contexts of 512 tokens: index 50 and 500.
EARLY, LATE = 50 / 512, 500 / 512


def in_context_learning(
    snapshot: Snapshot, *, early: int | None = None, late: int | None = None
) -> pd.DataFrame:
    """The in-context learning score: loss at a late position minus loss at an early one; negative is learning.

    It says that what stands in the row is used, not how. One position of a few rows is noisy: `n` says of how many.

    Args:
        early, late: positions of questions; the asked ones that are nearest to the same shares of the row as the
            paper's 50 and 500 of 512 by default.

    Columns:
        split: as of `losses`.
        early, late: the positions.
        n: questions at the early one.
        early_loss, late_loss: mean losses there, nats.
        score: late_loss - early_loss.

    Raises:
        NotApplicable: if the run has no known task, or one that asks at a single position.
        ValueError: if nothing is asked at a position, or early is not before late.

    References: Olsson et al. 2022, "In-context learning and induction heads" (in-context learning score).
    """
    asked = sorted(snapshot.known_task.position.unique().tolist())
    if len(asked) < 2:
        raise NotApplicable(
            "Learning in context needs questions at several positions of a row, this task has one."
        )
    n_pos = snapshot.known_task.inputs.shape[1]
    first = min(asked[:-1], key=lambda i: abs(i - EARLY * n_pos)) if early is None else early
    last = min(asked[1:], key=lambda i: abs(i - LATE * n_pos)) if late is None else late
    if strange := [i for i in (first, last) if i not in asked]:
        raise ValueError(
            f"Learning in context needs positions that are asked, got {strange[0]}. They are {asked[0]} to {asked[-1]}."
        )
    if first >= last:
        raise ValueError(f"Learning in context needs early before late, got {first} and {last}.")
    table = snapshot.once(position_losses).set_index(["split", "position"])
    rows = []
    for split in dict.fromkeys(table.index.get_level_values("split")):
        if (split, first) in table.index and (split, last) in table.index:
            losses = {when: table.loc[(split, i), "loss"] for when, i in (("early", first), ("late", last))}
            rows.append(
                {
                    "split": split,
                    "early": first,
                    "late": last,
                    "n": int(table.loc[(split, first), "n"]),
                    "early_loss": losses["early"],
                    "late_loss": losses["late"],
                    "score": losses["late"] - losses["early"],
                }
            )
    return pd.DataFrame(rows)

"""How well a network answers at each position of a row."""

import pandas as pd
import torch

from interp.probes.answers.losses import splits
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def position_losses(snapshot: Snapshot) -> pd.DataFrame:
    """Loss and accuracy by split and position of the question, in float64.

    A loss that falls along the row is learning in context, or a row whose later tokens are easier for whoever knows the
    task: the same curve of the best predictor says which.

    Columns:
        split: as of `losses`.
        position: of the question in its row.
        n: questions.
        loss, accuracy: as of `part_losses`.

    Raises:
        NotApplicable: if the run has no known task.

    References: Olsson et al. 2022, "In-context learning and induction heads" (loss by token index).
    """
    position = snapshot.known_task.position.to(snapshot.device)
    right = (snapshot.answers == snapshot.labels).to(snapshot.double)
    tables = []
    for split, asked in splits(snapshot).items():
        where, place, n = position[asked].unique(return_inverse=True, return_counts=True)
        sums = {
            name: torch.zeros(len(where), dtype=snapshot.double, device=place.device).index_add_(
                0, place, x[asked]
            )
            for name, x in (("loss", snapshot.losses), ("accuracy", right))
        }
        means = {name: (x / n).cpu().numpy() for name, x in sums.items()}
        tables.append(
            pd.DataFrame({"split": split, "position": where.cpu().numpy(), "n": n.cpu().numpy(), **means})
        )
    return pd.concat(tables, ignore_index=True)

"""What the network gives the right answer, pair by pair."""

import pandas as pd
import torch

from interp.mathematics import fourier
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def answer_map(snapshot: Snapshot, *, answer: int | None = None) -> pd.DataFrame:
    """Logit and probability of the right answer at each pair, or those of one answer.

    Logits are centred over the answers of each pair, which the softmax does not see. A network that has memorised
    is high at its train pairs alone; one that computes by circles shows stripes and no train pairs.

    Args:
        answer: one residue, in algebra order; None for the right answer of each pair.

    Columns:
        first, second: the pair, in algebra order, whose sum is the answer.
        logit: nats.
        probability: softmax over the residues.

    Raises:
        NotApplicable: if the task has no algebra.
        ValueError: if the answer is no residue.
    """
    cube = snapshot.once(Residues).centred_cube
    n = len(cube)
    if answer is not None and not 0 <= answer < n:
        raise ValueError(
            f"answer_map needs an answer from 0 to {n - 1}, got {answer}. Those are the residues."
        )
    index = (
        fourier.sum_table(n, cube.device) if answer is None else torch.full((n, n), answer).to(cube.device)
    )
    logit = cube.gather(2, index[..., None])[..., 0]
    first, second = (
        x.reshape(-1).numpy() for x in torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    )
    values = {"logit": logit, "probability": (logit - cube.logsumexp(-1)).exp()}
    flat = {name: value.reshape(-1).cpu().numpy() for name, value in values.items()}
    return pd.DataFrame({"first": first, "second": second, **flat})

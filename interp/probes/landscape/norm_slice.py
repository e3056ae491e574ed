"""How well the network answers along the line through its weights: the cheap slice of Omnigrok's LU picture."""

from collections.abc import Sequence

import pandas as pd
import torch

from interp.networks import objective
from interp.networks.answers import answer_logits
from interp.probes.landscape.loss import questions_of
from interp.snapshots.snapshot import Snapshot

VERSION = 1

# An eighth to eight times, four to an octave.
FACTORS = tuple(2 ** (i / 4) for i in range(-12, 13))


def norm_slice(snapshot: Snapshot, *, factors: Sequence[float] = FACTORS) -> pd.DataFrame:
    """Train and test loss of c times the weights, biases included, for a grid of factors c.

    Omnigrok's picture is another one: there the train loss is minimised at each norm (an L), and the test loss of
    those minima is a U. Here the direction stays, so that a loss of c differs from that at c = 1 by the scale of the
    function alone; an accuracy that stays says that direction, not norm, is what generalises. A network of m matrices
    without biases has c^m times its logits, and no factor above 0 changes an answer; with biases it does, a little.
    The U of cross-entropy is that of confidence: wrong answers cost more, the surer they are.

    Args:
        factors: c, above 0.

    Columns:
        factor: c.
        norm: of c times all weights (l2).
        split: "train" (labels as the trainer shows them) or "test".
        loss: mean cross-entropy, nats.
        squared_error: mean over rows of the squared distance to the one-hot label, summed over outputs.
        accuracy: share of rows whose largest logit is the label's.

    Raises:
        NotApplicable: if the run has no task, or a split without rows.
        ValueError: if a factor is not above 0.

    References: Liu, Michaud and Tegmark 2023, "Omnigrok: grokking beyond algorithmic data", section 2 (the LU
    mechanism, of reduced losses).
    """
    if not factors or not all(factor > 0 for factor in factors):
        raise ValueError(
            f"norm_slice needs factors above 0, got {list(factors)}. At 0 there is no network left."
        )
    norm = torch.stack([w.double().square().sum() for w in snapshot.weights.values()]).sum().sqrt().item()
    rows = []
    for split in ("train", "test"):
        questions = questions_of(snapshot, split)
        logits_of = answer_logits(snapshot.config, questions)
        for factor in factors:
            with torch.no_grad():
                logits = logits_of({name: factor * w for name, w in snapshot.weights.items()})
            scores = objective.scores(logits, questions.labels)
            squared = objective.loss(logits, questions.labels, snapshot.double, "squared-error").item()
            rows.append(
                {
                    "factor": factor,
                    "norm": factor * norm,
                    "split": split,
                    "loss": scores["loss"],
                    "squared_error": squared,
                    "accuracy": scores["accuracy"],
                }
            )
    return pd.DataFrame(rows)

"""How well a network answers, and how sure it is, on each part of the data."""

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.ground.judged import PREDICTABLE
from interp.snapshots.snapshot import Snapshot

VERSION = 3

N_BINS = 15  # of the calibration error, as in Guo et al. 2017


def losses(snapshot: Snapshot) -> pd.DataFrame:
    """Loss, accuracy, margin, scale and calibration by split, in float64, over all questions and all outputs.

    Rows whose label was corrupted are a split of their own, so `train` here leaves them out; the train loss of a run's
    history counts them. Without a known split there is only `all`. Accuracy hides progress that the loss and the
    margin show: a test loss that falls from 25 to 15 leaves the accuracy near chance.

    Columns:
        split: "train", "test", "corrupted" (where there are any), "all" (every row).
        n: rows.
        loss: mean cross-entropy against the shown labels, nats; ln p is chance.
        accuracy: share of rows whose largest logit is the shown label.
        margin_mean, margin_min: logit of the shown label minus the largest other logit.
        logit_scale: root mean square of the logits after centring each row over the answers.
        confidence: mean probability of the answer that is given.
        calibration_error: mean over rows of |accuracy - confidence| within 15 equal bins of confidence; a memorizing
            network is sure of its wrong test answers and has a large one.
        true_accuracy: accuracy against what the operation says; differs from `accuracy` on corrupted rows only.
        predictable_accuracy: accuracy on the part "predictable", by which a run is judged; only of tasks with one.

    Raises:
        NotApplicable: if the run has no known task.

    References: Guo et al. 2017, "On calibration of modern neural networks", section 2 (expected calibration error).
    """
    task = snapshot.known_task
    logits, labels = snapshot.logits, snapshot.labels
    answers = snapshot.answers
    correct = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    by_row = {
        "loss": snapshot.losses,
        "accuracy": answers == labels,
        "margin": correct.squeeze(1) - others,
        "power": (logits - logits.mean(1, keepdim=True)).square().mean(1),
        "confidence": snapshot.log_probabilities.gather(1, answers[:, None]).squeeze(1).exp(),
        "true_accuracy": answers == task.true_labels.to(labels.device),
    }
    by_row = {name: x.to(snapshot.double) for name, x in by_row.items()}
    found = pd.DataFrame(
        [{"split": split, **_summary(by_row, rows)} for split, rows in splits(snapshot).items()]
    )
    if PREDICTABLE in task.parts:
        is_judged = task.parts[PREDICTABLE].to(snapshot.device)
        found[f"{PREDICTABLE}_accuracy"] = [
            by_row["accuracy"][rows & is_judged].mean().item() for rows in splits(snapshot).values()
        ]
    return found


def splits(snapshot: Snapshot) -> dict[str, Bool[Tensor, " question"]]:
    """Which rows belong to train (correct labels only), test, corrupted and all; no empty ones.

    Raises:
        NotApplicable: if the run has no known task.
    """
    task = snapshot.known_task
    everything = torch.ones(len(task.labels), dtype=torch.bool, device=snapshot.device)
    if task.is_train is None:
        return {"all": everything}
    corrupted = task.is_corrupted.to(snapshot.device)
    found = {
        "train": snapshot.is_train & ~corrupted,
        "test": ~snapshot.is_train,
        "corrupted": corrupted,
        "all": everything,
    }
    return {name: rows for name, rows in found.items() if rows.any()}


def _summary(by_row: dict[str, Tensor], rows: Bool[Tensor, " example"]) -> dict[str, int | float]:
    part = {name: x[rows] for name, x in by_row.items()}
    return {
        "n": int(rows.sum()),
        "loss": part["loss"].mean().item(),
        "accuracy": part["accuracy"].mean().item(),
        "margin_mean": part["margin"].mean().item(),
        "margin_min": part["margin"].min().item(),
        "logit_scale": part["power"].mean().sqrt().item(),
        "confidence": part["confidence"].mean().item(),
        "calibration_error": _calibration_error(part["confidence"], part["accuracy"]),
        "true_accuracy": part["true_accuracy"].mean().item(),
    }


def _calibration_error(confidence: Float[Tensor, " row"], is_right: Float[Tensor, " row"]) -> float:
    bins = (confidence * N_BINS).long().clamp(0, N_BINS - 1)  # certainty belongs to the last bin
    excess = torch.zeros(N_BINS, dtype=confidence.dtype, device=confidence.device)
    return (excess.index_add_(0, bins, is_right - confidence).abs().sum() / len(bins)).item()

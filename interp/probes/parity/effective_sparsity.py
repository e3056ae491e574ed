"""How few neurons answer as the whole network does."""

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.snapshots.neuron_sums import NeuronSums
from interp.snapshots.snapshot import Snapshot

VERSION = 1

# Of the adaptation to larger networks, where a single row would decide.
SHARE = 0.99


def effective_sparsity(snapshot: Snapshot) -> pd.DataFrame:
    """The least k whose k neurons of largest norm answer as all neurons do, by four rules, and how far that goes.

    Exact, since the logits are a sum over the neurons (`interp.snapshots.neuron_sums`): every k from 0 up is tried. It
    is an upper bound of what the network needs, as another set of as few neurons may do as well, and its units are
    neurons of this width. It speaks of answers, not of right ones: an untrained network that says the same everywhere
    needs few. By the rules "every row" and "accuracy" a single row decides, so that k jumps between checkpoints while
    a network is still memorizing.

    Columns:
        rule: "every row" (all train rows are answered alike, as the paper says), "accuracy" (the share of right train
            rows is the same, as the released code does: right rows may be others), "99 %" (that share of the train rows
            is answered alike), "99 %, bisected" (found by halving, which takes the share for one that grows with k).
        n_neurons: k, from 0.
        n_width: neurons in all.
        mean_norm, others_norm: mean norm of these neurons and of all others; NaN of none.
        faithfulness_train, faithfulness_test: share of rows that they answer as the whole network does.
        accuracy_train, accuracy_test: of these neurons alone, against the labels shown.
    Without a known split all rows are train rows, and there are no test columns.

    Raises:
        NotApplicable: as `NeuronSums`, or if the run has no known task.

    References: Merrill et al. 2023, "A tale of two circuits", sections 2.1 and 3.2 (effective sparsity,
    faithfulness); its released code (parity-nn) for the rule "accuracy".
    """
    sums, labels = snapshot.once(NeuronSums), snapshot.labels
    by_size = sums.answers_by_size
    agrees = (by_size == by_size[:, -1:]).to(snapshot.double)
    is_right = (by_size == labels[:, None]).to(snapshot.double)
    parts = rows_by_split(snapshot)
    on_train = parts["train"]
    agreement, accuracy = agrees[on_train].mean(0), is_right[on_train].mean(0)
    sizes = {
        "every row": _first(agreement == 1),
        "accuracy": _first(accuracy == accuracy[-1]),
        "99 %": _first(agreement >= SHARE),
        "99 %, bisected": bisected(agreement, SHARE),
    }
    norms = sums.norms[sums.order]
    rows = []
    for rule, k in sizes.items():
        row: dict[str, str | int | float] = {
            "rule": rule,
            "n_neurons": k,
            "n_width": sums.n_neurons,
            "mean_norm": norms[:k].mean().item(),
            "others_norm": norms[k:].mean().item(),
        }
        for name, by_row in (("faithfulness", agrees), ("accuracy", is_right)):
            row |= {f"{name}_{split}": by_row[part, k].mean().item() for split, part in parts.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def rows_by_split(snapshot: Snapshot) -> dict[str, Int[Tensor, " row"]]:
    """The questions of train and of test; all of them as train where the split is not known."""
    if snapshot.known_task.is_train is None:
        return {"train": torch.arange(len(snapshot.labels), device=snapshot.device)}
    is_train = snapshot.is_train
    return {"train": is_train.nonzero().squeeze(1), "test": (~is_train).nonzero().squeeze(1)}


def bisected(agreement: Float[Tensor, " size"], share: float) -> int:
    """The least size with this agreement as halving finds it: right where agreement grows with the size.

    >>> bisected(torch.tensor([0.5, 0.995, 0.6, 0.7, 0.8, 1.0]), 0.99)
    5
    """
    low, high = 0, len(agreement) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if agreement[middle] >= share else (middle + 1, high)
    return low


def _first(holds: Tensor) -> int:
    return int(holds.nonzero()[0])

"""A set of neurons that is followed through training, against all others and against random sets of its size."""

from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Bool
from torch import Tensor

from interp.probes.parity.effective_sparsity import effective_sparsity, rows_by_split
from interp.snapshots.neuron_sums import NeuronSums
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1
# Without neurons that are given, those of the last checkpoint.
DEPENDS_ON_RUN = True

N_RANDOM = 20


def subnetworks(snapshot: Snapshot, *, neurons: Sequence[int] | None = None, seed: int = 0) -> pd.DataFrame:
    """Norm, faithfulness and accuracy of a fixed set of neurons, of all others, and of random sets of as many.

    The paper's account of grokking: the set that decides at the end grows in norm from slightly before test accuracy
    rises, while all others shrink; these answer as the whole does until then, and less and less afterwards, and are no
    exact memorizer. Chosen by its end, the set is large there by construction: that it grew says nothing, when does.

    Args:
        neurons: of the last MLP layer; those that answer every train row at the run's last checkpoint
            (`effective_sparsity`) by default.
        seed: of the random sets, the same at each step.

    Columns:
        subnetwork: "chosen", "others", "random" (mean over 20 sets).
        n_neurons: in it.
        mean_norm: mean over its neurons of the norm by which they are ranked (`NeuronSums`).
        faithfulness_train, faithfulness_test: share of rows that it answers as the whole network does, all other
            neurons at zero. Two answers agree half of the time by chance.
        accuracy_train, accuracy_test: against the labels shown.

    Raises:
        NotApplicable: as `NeuronSums`, or without `neurons` if the snapshot does not belong to a run.
        ValueError: if a neuron is none of the layer's, or is named twice.

    References: Merrill et al. 2023, "A tale of two circuits", section 3.2 (norms and faithfulness of the subnetworks).
    """
    sums, parts, labels = snapshot.once(NeuronSums), rows_by_split(snapshot), snapshot.labels
    chosen = _mask(sums, _of_last_checkpoint(snapshot) if neurons is None else neurons)
    n = int(chosen.sum())
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randperm(sums.n_neurons, generator=generator)[:n] for _ in range(N_RANDOM)]
    sets = {"chosen": [chosen], "others": [~chosen], "random": [_mask(sums, x.tolist()) for x in drawn]}
    rows = []
    for name, masks in sets.items():
        answers = torch.stack([sums.answers_of(mask) for mask in masks])
        row: dict[str, str | int | float] = {
            "subnetwork": name,
            "n_neurons": int(masks[0].sum()),
            "mean_norm": torch.stack([sums.norms[mask].mean() for mask in masks]).mean().item(),
        }
        for split, part in parts.items():
            row[f"faithfulness_{split}"] = _share(answers[:, part] == sums.answers[part])
            row[f"accuracy_{split}"] = _share(answers[:, part] == labels[part])
        rows.append(row)
    return pd.DataFrame(rows)


def _share(holds: Tensor) -> float:
    return holds.double().mean().item()


def _mask(sums: NeuronSums, neurons: Sequence[int]) -> Bool[Tensor, " neuron"]:
    """Refuse what names no set of the layer's neurons."""
    strange = [i for i in neurons if not 0 <= i < sums.n_neurons]
    if strange or len(set(neurons)) < len(neurons):
        why = f"got {strange[0]}" if strange else "one is named twice"
        raise ValueError(
            f"subnetworks needs different neurons 0 to {sums.n_neurons - 1}, {why}. They are numbered along the last "
            "MLP layer."
        )
    mask = torch.zeros(sums.n_neurons, dtype=torch.bool, device=sums.onto.device)
    mask[list(neurons)] = True
    return mask


def _of_last_checkpoint(snapshot: Snapshot) -> list[int]:
    run = snapshot.run
    if run is None:
        raise NotApplicable(
            "Without neurons that are named, subnetworks needs a run, whose last checkpoint says which; this snapshot "
            "was made by hand. Give neurons=."
        )
    is_last = snapshot.step == run.steps[-1]
    return deciding(snapshot if is_last else Snapshot.of(run, run.steps[-1], str(snapshot.device)))


def deciding(snapshot: Snapshot) -> list[int]:
    """The fewest neurons of largest norm that answer every train row as all do, the largest first."""
    k = int(effective_sparsity(snapshot).set_index("rule").loc["every row", "n_neurons"])
    return snapshot.once(NeuronSums).order[:k].tolist()

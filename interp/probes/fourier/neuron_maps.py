"""Activations of single neurons over all pairs."""

from collections.abc import Sequence

import pandas as pd
import torch

from interp.probes.fourier.neuron_frequencies import neuron_frequencies
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def neuron_maps(snapshot: Snapshot, *, neurons: Sequence[int] | None = None, n_best: int = 2) -> pd.DataFrame:
    """Activation of neurons of the last MLP layer at each pair.

    The neurons that one frequency explains best are the most beautiful ones, not the typical ones: how many there are
    says `neuron_frequencies`.

    Args:
        neurons: which; None for those that a single frequency explains best, one of each frequency, the best first.
        n_best: how many where neurons is None.

    Columns:
        neuron, first, second: one row each; the pair in algebra order.
        activation: after the nonlinearity.
        frequency, fraction_explained: of the neuron, as in `neuron_frequencies`.

    Raises:
        NotApplicable: if the task has no algebra or the network no MLP.
        ValueError: if there is no such neuron.

    References: Nanda et al. 2023 (activations over the inputs).
    """
    table = snapshot.once(Residues).neuron_table
    n, n_neurons = len(table), table.shape[-1]
    known = snapshot.once(neuron_frequencies)
    if neurons is None:
        best = known.sort_values("fraction_explained", ascending=False, kind="stable")
        neurons = best.drop_duplicates("frequency").index[:n_best].tolist()
    if odd := [i for i in neurons if not 0 <= i < n_neurons]:
        raise ValueError(
            f"neuron_maps needs neurons from 0 to {n_neurons - 1}, got {odd[0]}. Those are there."
        )
    first, second = (
        x.reshape(-1).numpy() for x in torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    )
    parts = []
    for i in neurons:
        of = known.iloc[i][["frequency", "fraction_explained"]].to_dict()
        of["frequency"] = int(of["frequency"])
        flat = table[..., i].double().reshape(-1).cpu().numpy()
        parts.append(pd.DataFrame({"neuron": i, "first": first, "second": second, "activation": flat, **of}))
    return pd.concat(parts, ignore_index=True)

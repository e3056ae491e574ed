"""Which share of the neurons' activations is small."""

from collections.abc import Sequence

import pandas as pd
from jaxtyping import Bool
from torch import Tensor

from interp.probes.answers.losses import splits
from interp.snapshots.snapshot import Snapshot

VERSION = 1

# In units of the activation, and of the layer's root mean square.
THRESHOLDS = (0.01, 0.1)


def activation_sparsity(snapshot: Snapshot, *, thresholds: Sequence[float] = THRESHOLDS) -> pd.DataFrame:
    """Share of the MLP activations below a threshold, mean over rows and neurons, of each layer.

    A fixed threshold counts more of the same network when its activations shrink, as under weight decay: `of_scale`
    measures them in the layer's own root mean square, and is the same for c times the weights of a network of ReLUs
    without biases. Neurons that are off everywhere count on every row (`neuron_activity` has their share).

    Args:
        thresholds: tau, above 0.

    Columns:
        layer: from 0.
        split: "train" (right labels), "test", "corrupted" (where there are any), "all".
        threshold: tau.
        sparsity: share of activations below tau, as the paper counts: of tanh or GELU all negative ones with it.
        near_zero: share whose absolute value is below tau; of ReLU the same.
        of_scale: share whose absolute value is below tau times the root mean square of the layer's activations over
            all rows; NaN of a layer that is 0 throughout.

    Raises:
        NotApplicable: if the network has no MLP or the task is not known.
        ValueError: if there is no threshold, or one that is not above 0.

    References: Golechha 2024, "Progress measures for grokking on real-world tasks" (activation sparsity).
    """
    if not thresholds or not all(tau > 0 for tau in thresholds):
        raise ValueError(
            f"activation_sparsity needs thresholds above 0, got {list(thresholds)}. Below 0 is no ReLU."
        )
    # Refuses where there are none.
    _ = snapshot.neurons
    found = []
    for layer, hook in enumerate(snapshot.network.neurons):
        neurons = snapshot.activation(hook)
        size = neurons.abs()
        scale = size.to(snapshot.double).square().mean().sqrt().item()
        for split, rows in splits(snapshot).items():
            own, own_size = neurons[rows], size[rows]
            for tau in thresholds:
                found.append(
                    {
                        "layer": layer,
                        "split": split,
                        "threshold": tau,
                        "sparsity": _share(own < tau),
                        "near_zero": _share(own_size < tau),
                        "of_scale": _share(own_size < tau * scale) if scale else float("nan"),
                    }
                )
    return pd.DataFrame(found)


def _share(is_small: Bool[Tensor, "row neuron"]) -> float:
    return is_small.count_nonzero().item() / is_small.numel()

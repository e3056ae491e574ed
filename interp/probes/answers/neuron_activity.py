"""How many neurons of the last MLP layer work, and how evenly."""

import pandas as pd
import torch

from interp.snapshots.snapshot import Snapshot

VERSION = 1

PART = 128  # questions at a time


def neuron_activity(snapshot: Snapshot) -> pd.DataFrame:
    """Dead and active neurons at the answered position over all inputs, train and test, in one row.

    A neuron is active on an input if its activation is positive. This is meant for ReLU; a GELU or tanh neuron that is
    always negative counts as dead although it works, and a quadratic one is active nearly everywhere.

    Columns:
        n_neurons: in the layer.
        dead_fraction: share of neurons that are active on no input.
        active_fraction: share of neurons active on an input, mean over inputs.
        participation_ratio: (sum m)^2 / sum m^2 with m the variance of each neuron over inputs: about the number of
            neurons that carry the layer's variance, from 1 to n_neurons. NaN if none varies. What the neuron's output
            weights make of it is not counted.

    Raises:
        NotApplicable: if the network has no MLP or the task is not known.

    References: Merrill et al. 2023, "A tale of two circuits" (active neurons collapse at the transition).
    """
    neurons = snapshot.neurons
    mean, n = neurons.mean(0), len(neurons)
    active, mass = torch.zeros_like(mean), torch.zeros_like(mean)
    # In parts that stay in the processor's cache. sign and clamp: counting through a boolean mask takes several times
    # as long.
    for part in neurons.split(PART):
        active += part.sign().clamp_(min=0).sum(0)
        mass += (part - mean).square_().sum(0)
    active, mass = active.to(snapshot.double) / n, mass.to(snapshot.double) / n
    return pd.DataFrame(
        {
            "n_neurons": [neurons.shape[1]],
            "dead_fraction": [(active == 0).to(active).mean().item()],
            "active_fraction": [active.mean().item()],
            "participation_ratio": [(mass.sum().square() / mass.square().sum()).item()],
        }
    )

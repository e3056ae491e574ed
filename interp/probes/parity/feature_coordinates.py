"""How much of the first layer lies on the features that count, and how far it has moved."""

import pandas as pd
import torch

from interp.snapshots.feature_neurons import FeatureNeurons
from interp.snapshots.snapshot import Snapshot

VERSION = 1
# Movement is from the first checkpoint.
DEPENDS_ON_RUN = True

# More of a neuron's power on the relevant features than this: it reads them.
READS = 0.5


def feature_coordinates(snapshot: Snapshot) -> pd.DataFrame:
    """Power of the first layer's weights on the relevant features against the others, in one row.

    Progress that neither loss nor test accuracy shows: weights on the relevant features grow before those do. A large
    share says that the features are found, not that their parity is computed: a network that has learned a
    majority of the right bits has it too. Relevant features are those of the task, not those that a network could have
    found.

    Columns:
        n_neurons, n_features, n_relevant: of the layer and the task.
        share: of the power (squared weights, no biases) that lies on the relevant features; `null` by chance.
        null: n_relevant / n_features, what weights that know nothing have.
        relevant_power, irrelevant_power: mean square of a weight on a relevant and on another feature (NaN of none).
        n_readers: neurons with more than half of their power on the relevant features.
        readers_share: of the layer's power that those neurons hold.
        movement: largest change of a single weight since the run's first checkpoint, in absolute value; the paper's
            measure of hidden progress. NaN for a snapshot without a run.
        relevant_movement, irrelevant_movement: the same over the weights of relevant and of other features.

    Raises:
        NotApplicable: if the network reads no features, or the task does not say which count.

    References: Barak et al. 2022, "Hidden progress in deep learning", figure 3 and appendix C (the movement in the
    largest norm).
    """
    view = snapshot.once(FeatureNeurons)
    square = view.incoming.square()
    is_relevant = view.is_relevant
    by_neuron = square[is_relevant].sum(0) / square.sum(0)
    reads = by_neuron > READS
    moved = _moved(snapshot, view)
    row = {
        "n_neurons": square.shape[1],
        "n_features": view.n_features,
        "n_relevant": int(is_relevant.sum()),
        "share": (square[is_relevant].sum() / square.sum()).item(),
        "null": is_relevant.double().mean().item(),
        "relevant_power": square[is_relevant].mean().item(),
        "irrelevant_power": square[~is_relevant].mean().item(),
        "n_readers": int(reads.sum()),
        "readers_share": (square[:, reads].sum() / square.sum()).item(),
        "movement": _largest(moved),
        "relevant_movement": _largest(moved[is_relevant]),
        "irrelevant_movement": _largest(moved[~is_relevant]),
    }
    return pd.DataFrame([row])


def _moved(snapshot: Snapshot, view: FeatureNeurons) -> torch.Tensor:
    run = snapshot.run
    if run is None:
        return torch.full_like(view.incoming, torch.nan)
    first = run.step_weights(run.steps[0])["blocks.0.mlp.W_in"].to(view.incoming)
    return (view.incoming - first).abs()


def _largest(x: torch.Tensor) -> float:
    return x.amax().item() if x.numel() else float("nan")

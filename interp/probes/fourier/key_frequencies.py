"""Which frequencies a network uses, by three selections that need not agree."""

import numpy as np
import pandas as pd

from interp.ground.thresholds import NEURON_FRACTION, stands_out
from interp.probes.fourier.embedding_spectrum import embedding_spectrum
from interp.probes.fourier.logit_spectrum import logit_spectrum
from interp.probes.fourier.neuron_frequencies import neuron_frequencies
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 2

NEURON_SHARE = 0.02  # of all neurons
EMBEDDING_OUTLIER = 4.0  # times the median power


def key_frequencies(snapshot: Snapshot) -> pd.DataFrame:
    """The key frequencies of a checkpoint by each selection, largest first.

    `logits` is the selection that holds at every stage of training and the one to fix a key set by; `neurons` finds
    few before cleanup; `embedding` also finds the doubles of key frequencies. All three look at this checkpoint only: a
    key set for a whole run is chosen once (`interp.probes.fourier.progress_measures`) and then kept.

    Columns:
        selection: "logits" (explains more than 0.5 % of the logits), "neurons" (at least 2 % of the neurons are 85 %
            explained by it) or "embedding" (power above 4 times the median of all frequencies), and each more than its
            null, what random names of the residues give.
        frequency: k.
        value: fraction of the logits, share of the neurons, or fraction of the embedding's power.

    Raises:
        NotApplicable: if the task has no algebra.

    References: Nanda et al. 2023, section 4.1 (embedding), 4.3 and notebook (neurons; their appendix C.2 uses W_L);
        Chughtai et al. 2023, section 5.1 (by logits).
    """
    spectrum = snapshot.once(logit_spectrum)
    logits = spectrum["fraction_explained"].to_numpy()
    found = {"logits": np.where(stands_out(logits, spectrum["null"].to_numpy()), logits, 0)}
    try:
        neurons = snapshot.once(neuron_frequencies)
        is_pure = neurons["fraction_explained"] >= np.maximum(NEURON_FRACTION, neurons["null"])
        pure = neurons["frequency"].to_numpy()[is_pure]
        share = np.bincount(pure, minlength=len(logits) + 1)[1:] / len(neurons)
        found["neurons"] = np.where(share >= NEURON_SHARE, share, 0)
    except NotApplicable:
        pass  # no MLP: the other selections stand
    try:
        embedding = snapshot.once(embedding_spectrum)
        power = embedding["power"].to_numpy()
        is_outlier = (power > EMBEDDING_OUTLIER * np.median(power)) & (
            embedding["fraction"] > embedding["null"]
        ).to_numpy()
        found["embedding"] = np.where(is_outlier, embedding["fraction"].to_numpy(), 0)
    except NotApplicable:
        pass  # one-hot embedding
    chosen = {name: (-value).argsort(kind="stable")[: (value > 0).sum()] for name, value in found.items()}
    return pd.DataFrame(
        {
            "selection": pd.Series([name for name, k in chosen.items() for _ in k], dtype="str"),
            "frequency": 1 + np.concatenate(list(chosen.values())),
            "value": np.concatenate([found[name][k] for name, k in chosen.items()]),
        }
    )

"""Which frequencies a network uses, by three selections that need not agree."""

import pandas as pd

from interp.ground.thresholds import LOGIT_FRACTION, NEURON_FRACTION
from interp.probes.fourier.embedding_spectrum import embedding_spectrum
from interp.probes.fourier.logit_spectrum import logit_spectrum
from interp.probes.fourier.neuron_frequencies import neuron_frequencies
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1

NEURON_SHARE = 0.02  # of all neurons
EMBEDDING_OUTLIER = 4.0  # times the median power


def key_frequencies(snapshot: Snapshot) -> pd.DataFrame:
    """The key frequencies of a checkpoint by each selection, largest first.

    `logits` is the selection that holds at every stage of training and the one to fix a key set by; `neurons` finds
    few before cleanup; `embedding` also finds the doubles of key frequencies. All three look at this checkpoint only: a
    key set for a whole run is chosen once (`interp.probes.fourier.progress_measures`) and then kept.

    Columns:
        selection: "logits" (explains more than 0.5 % of the logits), "neurons" (at least 2 % of the neurons are 85 %
            explained by it) or "embedding" (power above 4 times the median of all frequencies).
        frequency: k.
        value: fraction of the logits, share of the neurons, or fraction of the embedding's power.

    Raises:
        NotApplicable: if the task has no algebra.

    References: Nanda et al. 2023, section 4 (by neurons and embedding); Chughtai et al. 2023 (by logits).
    """
    logits = snapshot.once(logit_spectrum)
    parts = [
        _selection("logits", logits, "fraction_explained", logits["fraction_explained"] > LOGIT_FRACTION)
    ]
    try:
        neurons = snapshot.once(neuron_frequencies)
        pure = neurons[neurons["fraction_explained"] >= NEURON_FRACTION]
        share = (pure["frequency"].value_counts() / len(neurons)).rename("value").reset_index()
        parts.append(_selection("neurons", share, "value", share["value"] >= NEURON_SHARE))
    except NotApplicable:
        pass  # no MLP: the other selections stand
    try:
        embedding = snapshot.once(embedding_spectrum)
        outlier = embedding["power"] > EMBEDDING_OUTLIER * embedding["power"].median()
        parts.append(_selection("embedding", embedding, "fraction", outlier))
    except NotApplicable:
        pass  # one-hot embedding
    return pd.concat(parts, ignore_index=True)


def _selection(name: str, table: pd.DataFrame, value: str, chosen: pd.Series) -> pd.DataFrame:
    found = table[chosen].sort_values(value, ascending=False)
    return pd.DataFrame(
        {"selection": name, "frequency": found["frequency"].astype(int), "value": found[value].astype(float)}
    )

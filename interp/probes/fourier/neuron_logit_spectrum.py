"""How much of the neuron-to-logit map each frequency holds."""

import pandas as pd

from interp.probes.fourier.embedding_spectrum import spectrum_table
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot

VERSION = 2


def neuron_logit_spectrum(snapshot: Snapshot) -> pd.DataFrame:
    """Power of W_L = W_U W_out by frequency of the answer.

    Sharper than the embedding's spectrum: after cleanup W_L has rank two a key frequency.

    Columns:
        frequency: 1 .. n//2 (the constant is left out).
        power: squared norm of the cosine and sine components, summed over neurons.
        fraction: share of the power of all non-constant frequencies.
        null: as in `embedding_spectrum`, with random names of the answers.

    Raises:
        NotApplicable: if the task has no algebra or the network no MLP.

    References: Nanda et al. 2023, section 4.2, figure 3.
    """
    return spectrum_table(snapshot.once(Residues).neuron_logit_map.to(snapshot.double), snapshot)

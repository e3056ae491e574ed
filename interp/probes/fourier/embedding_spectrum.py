"""How much of the embedding each frequency holds."""

import pandas as pd

from interp.mathematics import fourier
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def embedding_spectrum(snapshot: Snapshot) -> pd.DataFrame:
    """Power of W_E by frequency, the rows of the operand tokens in the order of the task's algebra.

    A network that uses few frequencies has few large fractions; a lookup table or an untrained network spreads them
    evenly. Frequencies of no use to the logits also show (doubles of the key ones, mainly).

    Columns:
        frequency: 1 .. n//2 (the constant is left out).
        power: squared norm of the cosine and sine components, summed over d_model.
        fraction: share of the power of all non-constant frequencies.

    Raises:
        NotApplicable: if the task has no algebra or the embedding is one-hot.

    References: Nanda et al. 2023, section 4.1.
    """
    return spectrum_table(fourier.power(snapshot.once(Residues).embedding.to(snapshot.double)))


def spectrum_table(power) -> pd.DataFrame:
    """The table of a spectrum (frequency 0 .. n//2, columns): summed over columns, the constant dropped."""
    total = power[1:].sum(1).cpu().numpy()
    share = total / total.sum() if total.sum() > 0 else total * 0
    return pd.DataFrame({"frequency": range(1, len(total) + 1), "power": total, "fraction": share})

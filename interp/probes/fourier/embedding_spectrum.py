"""How much of the embedding each frequency holds."""

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from interp.mathematics import fourier
from interp.mathematics.relabelling import spectrum_null
from interp.snapshots.residues import Residues, names_of_residues
from interp.snapshots.snapshot import Snapshot

VERSION = 2


def embedding_spectrum(snapshot: Snapshot) -> pd.DataFrame:
    """Power of W_E by frequency, the rows of the operand tokens in the order of the task's algebra.

    A network that uses few frequencies has few large fractions; a lookup table or an untrained network spreads them
    evenly. Frequencies of no use to the logits also show (doubles of the key ones, mainly).

    Columns:
        frequency: 1 .. n//2 (the constant is left out).
        power: squared norm of the cosine and sine components, summed over d_model.
        fraction: share of the power of all non-constant frequencies.
        null: the largest share of any frequency after the residues were given random names, the most of 39 draws
            (2.5 % level).

    Raises:
        NotApplicable: if the task has no algebra or the embedding is one-hot.

    References: Nanda et al. 2023, section 4.1, figure 3.
    """
    return spectrum_table(snapshot.once(Residues).embedding.to(snapshot.double), snapshot)


def spectrum_table(matrix: Float[Tensor, "n column"], snapshot: Snapshot) -> pd.DataFrame:
    """The spectrum of a matrix with a row a residue, summed over columns, without the constant."""
    total = fourier.power(matrix)[1:].sum(1).cpu().numpy()
    share = total / total.sum() if total.sum() > 0 else total * 0
    null = spectrum_null(matrix @ matrix.T, snapshot.of_task(names_of_residues)).item()
    return pd.DataFrame(
        {"frequency": range(1, len(total) + 1), "power": total, "fraction": share, "null": null}
    )

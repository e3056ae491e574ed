"""How few frequencies a matrix uses: Gini, inverse participation ratio, FFD and FCR."""

import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor

from interp.mathematics import fourier
from interp.snapshots.residues import Residues, orders_of_residues
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 2

FFD_THRESHOLD = 0.5  # eta of Furuta et al.
N_SPARSITY_DRAWS = 9


def fourier_sparsity(snapshot: Snapshot) -> pd.DataFrame:
    """Sparsity of W_E and W_L in the Fourier basis, a row a matrix.

    Untrained networks have a Gini of 0.03 to 0.06, not 0: random norms are not equal. It keeps rising through cleanup,
    long after test accuracy is 1.

    Columns:
        matrix: "W_E" or "W_L"; one that the network does not have is left out.
        gini: Gini coefficient of the norms (not powers) of the n-1 non-constant Fourier components, in [0, 1).
        gini_null: the largest after the residues were given random names, of 9 draws; what differs from it is order.
        inverse_participation_ratio: mean over columns (d_model, or neurons) of sum(power_k^2) / sum(power_k)^2 with
            cosine and sine of a frequency taken together: 1 for a column of one frequency, 2/n for an even spread.
        ffd: Fourier frequency density, share of components with norm above half of the largest (small: sparse).
        fcr: Fourier coefficient ratio, mean over frequencies of the smaller over the larger of the cosine's and the
            sine's norm (1: both alike).

    Raises:
        NotApplicable: if the task has no algebra, or there is neither matrix.

    References: Nanda et al. 2023, section 5.1 (Gini); Doshi et al. 2023 (IPR; their complex DFT gives 1/2 to a pure
    real frequency, the convention here gives 1); Furuta et al. 2024, section 4 (FFD, FCR; summed over all residues).
    """
    residues, rows = snapshot.once(Residues), []
    for name in ("W_E", "W_L"):
        try:
            matrix = residues.embedding if name == "W_E" else residues.neuron_logit_map
        except NotApplicable as reason:
            missing = reason
            continue
        matrix = matrix.to(snapshot.double)
        null = _gini_null(matrix, snapshot.of_task(orders_of_residues))
        rows.append({"matrix": name, **_sparsity(matrix), "gini_null": null})
    if not rows:
        raise missing
    return pd.DataFrame(rows)


def _gini_null(matrix: Float[Tensor, "n column"], names: Int[Tensor, "draw n"]) -> float:
    # Their Gini coefficients lie so close together that a few are enough.
    norms = [fourier.transform(matrix[order])[1:].norm(dim=1) for order in names[:N_SPARSITY_DRAWS]]
    ginis = [fourier.gini(x) for x in norms if x.max() > 0]
    return max(ginis, default=float("nan"))


def _sparsity(matrix: Float[Tensor, "n column"]) -> dict[str, float]:
    norms = fourier.transform(matrix)[1:].norm(dim=1)
    power = fourier.power(matrix)[1:]
    total = power.sum(0)
    ratio = (power.square().sum(0) / total.square())[total > 0]
    n_pairs = (matrix.shape[0] - 1) // 2
    cosine, sine = norms[0 : 2 * n_pairs : 2], norms[1 : 2 * n_pairs : 2]
    dense = (cosine > FFD_THRESHOLD * cosine.max()).sum() + (sine > FFD_THRESHOLD * sine.max()).sum()
    larger = cosine.maximum(sine)
    fcr = (cosine.minimum(sine) / larger)[larger > 0]
    return {
        "gini": fourier.gini(norms) if norms.max() > 0 else float("nan"),
        "inverse_participation_ratio": ratio.mean().item(),
        "ffd": (dense / (2 * n_pairs)).item(),
        "fcr": fcr.mean().item(),
    }

"""How many directions of the residual stream a language model uses on a text."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.probes.language.text_pass import OnText, checked_windows
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def residual_dimensions(
    snapshot: Snapshot, *, windows: Int[np.ndarray, "window pos"] | None = None
) -> pd.DataFrame:
    """Participation ratio of the covariance of the residual stream, before each layer and after the last.

    From 1, all variance along one direction, to d_model, the same variance along each. A few directions of very large
    variance, which trained models have, pull it to 1 or 2 while thousands of small ones may be in use: `largest_share`
    tells. The first token of each window is left out, where such activations are largest.

    Args:
        windows: as `text_losses`; positions should be many times d_model, else the rank of the sample is what is seen.

    Columns:
        layer: 0 is before the first layer, n_layers after the last.
        dimension: squared sum of the eigenvalues of the covariance over the sum of their squares. NaN where nothing
            varies.
        largest_share: share of the largest eigenvalue in their sum.
        root_mean_square: of the stream's length, sqrt(mean |x|^2).
        d_model: the most that the dimension can be.

    Raises:
        NotApplicable, ValueError: as `text_losses`.

    References: Litwin-Kumar et al. 2017, "Optimal degrees of synaptic connectivity" (dimension); Gao et al. 2017, "A
        theory of multineuronal dimensionality, dynamics and measurement" (participation ratio).
    """
    found = snapshot.once(OnText.of(checked_windows(snapshot, windows)))
    rows = []
    for layer, (covariance, square) in enumerate(zip(found.covariances, found.squares, strict=True)):
        dimension, largest = participation_ratio(covariance)
        rows.append(
            {
                "layer": layer,
                "dimension": dimension,
                "largest_share": largest,
                "root_mean_square": square**0.5,
                "d_model": len(covariance),
            }
        )
    return pd.DataFrame(rows)


def participation_ratio(covariance: Float[Tensor, "d d"]) -> tuple[float, float]:
    """(sum of eigenvalues)^2 over the sum of their squares, and the share of the largest; NaN of zeros."""
    values = torch.linalg.eigvalsh(covariance.double()).clamp(min=0.0)
    total = values.sum()
    if total <= 0:
        return float("nan"), float("nan")
    return (total.square() / values.square().sum()).item(), (values[-1] / total).item()

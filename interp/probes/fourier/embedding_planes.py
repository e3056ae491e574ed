"""Where the residues lie in the plane of one frequency."""

from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.mathematics import fourier
from interp.probes.fourier.embedding_spectrum import embedding_spectrum
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def embedding_planes(
    snapshot: Snapshot, *, frequencies: Sequence[int] | None = None, n_largest: int = 3
) -> pd.DataFrame:
    """Rows of W_E, projected onto the plane in which one frequency lies.

    The plane is that of the two vectors sum_a cos(w_k a) E_a and sum_a sin(w_k a) E_a, so that it is fitted to the
    circle that it shows: where d_model is large beside n, rows without any structure look like a noisy circle too.
    Read it beside `fraction`. It is turned so that residue 0 tends to lie at the right and k a mod n runs
    counterclockwise; directions of different checkpoints are not otherwise the same.

    Args:
        frequencies: which; None for those with the most power in this checkpoint's embedding, the largest first.
            To follow a run give one set for all steps.
        n_largest: how many where frequencies is None.

    Columns:
        frequency: k.
        residue: a, in algebra order.
        cosine, sine: coordinates in orthonormal axes, in units of W_E, the mean row taken away.
        fraction: share of the embedding's power at k, as in `embedding_spectrum`.

    Raises:
        NotApplicable: if the task has no algebra or the embedding is one-hot.
        ValueError: if a frequency lies outside 1 .. n//2.

    References: Zhong et al. 2023 (embeddings on circles); Nanda et al. 2023, section 4.1.
    """
    embedding = snapshot.once(Residues).embedding.to(snapshot.double)
    share = snapshot.once(embedding_spectrum)["fraction"].to_numpy()
    n = len(embedding)
    if frequencies is None:
        frequencies = (1 + (-share).argsort(kind="stable")[:n_largest]).tolist()
    parts = []
    for k in fourier.check_frequencies(frequencies, n):
        at = in_plane(embedding, k).cpu().numpy()
        place = {"cosine": at[:, 0], "sine": at[:, 1], "fraction": share[k - 1]}
        parts.append(pd.DataFrame({"frequency": k, "residue": range(n), **place}))
    return pd.concat(parts, ignore_index=True)


def in_plane(embedding: Float[Tensor, "*draw n d_model"], k: int) -> Float[Tensor, "*draw n 2"]:
    """Rows, the mean row taken away, by their coordinates along `plane_axes`."""
    return (embedding - embedding.mean(-2, keepdim=True)) @ plane_axes(embedding, k).mT


def plane_axes(embedding: Float[Tensor, "*draw n d_model"], k: int) -> Float[Tensor, "*draw 2 d_model"]:
    """Orthonormal axes as near as can be to the vectors sum_a cos(w_k a) E_a and sum_a sin(w_k a) E_a."""
    centred = embedding - embedding.mean(-2, keepdim=True)
    n = embedding.shape[-2]
    angle = 2 * torch.pi * k * torch.arange(n, device=embedding.device, dtype=embedding.dtype) / n
    vectors = torch.stack([angle.cos(), angle.sin()]) @ centred
    # The nearest orthonormal pair (polar factor) favours neither vector, as Gram-Schmidt would.
    u, _, v = torch.linalg.svd(vectors, full_matrices=False)
    return u @ v

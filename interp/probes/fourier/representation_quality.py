"""Is the embedding structured as the answers are? Liu et al.'s index, for residues on a circle."""

from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.mathematics import fourier
from interp.probes.fourier.embedding_planes import in_plane
from interp.probes.fourier.embedding_spectrum import embedding_spectrum
from interp.snapshots.residues import Residues, orders_of_residues
from interp.snapshots.snapshot import Snapshot

VERSION = 1
COLUMNS = ["frequency", "parallelograms", "parallel_chords", "null"]
N_DRAWS = 9


def representation_quality(
    snapshot: Snapshot,
    *,
    frequencies: Sequence[int] | None = None,
    n_largest: int = 3,
    delta: float = 0.2,
    angle: float = 0.2,
) -> pd.DataFrame:
    """Share of the pairs of pairs with one answer, i + j = m + n, whose embeddings agree, in the plane of a frequency.

    Liu et al. count parallelograms, E_i + E_j = E_m + E_n: their residues lie on a line, and sums are of integers. On
    a circle such sums agree in direction only, and a perfect circle has few parallelograms. There the chords E_i - E_j
    and E_m - E_n are parallel: that is the index to read here, and not the one of the paper. The plane is fitted to
    its frequency (`embedding_planes`), so that rows without structure have more of them than chance: see the null.

    Args:
        frequencies: whose planes; None for those with the most power in this checkpoint's embedding.
        n_largest: how many where frequencies is None.
        delta: how far a parallelogram may fail to close, in units of the rows' rms distance from their mean.
        angle: radians by which chords may differ; by chance 2 angle / pi of them do.

    Columns:
        frequency: k.
        parallelograms: share of closed ones, as the paper's index.
        parallel_chords: share of parallel chords; 1 for a circle.
        null: the most parallel chords in any of nine draws after the residues were given random names.

    Raises:
        NotApplicable: if the task has no algebra or the embedding is one-hot.
        ValueError: if a frequency lies outside 1 .. n//2, or delta or angle is not positive.

    References: Liu et al. 2022 (representation quality index); the circle is not in their definition.
    """
    if delta <= 0 or angle <= 0:
        raise ValueError(
            f"representation_quality needs positive delta and angle, got {delta} and {angle}. Nothing agrees exactly."
        )
    embedding = snapshot.once(Residues).embedding.to(snapshot.double)
    if frequencies is None:
        share = snapshot.once(embedding_spectrum)["fraction"].to_numpy()
        frequencies = (1 + (-share).argsort(kind="stable")[:n_largest]).tolist()
    orders = snapshot.of_task(orders_of_residues)[:N_DRAWS]
    rows = []
    for k in fourier.check_frequencies(frequencies, len(embedding)):
        at = in_plane(embedding, k)
        drawn = [_agreeing(in_plane(embedding[order], k), delta, angle)[1] for order in orders]
        rows.append((k, *_agreeing(at, delta, angle), max(drawn)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _agreeing(at: Float[Tensor, "n 2"], delta: float, angle: float) -> tuple[float, float]:
    """Shares of closed parallelograms and of parallel chords among all unordered pairs of pairs with one sum."""
    n = len(at)
    at = at / at.square().sum(1).mean().sqrt().clamp_min(torch.finfo(at.dtype).tiny)
    i = torch.arange(n, device=at.device)
    other = (i[:, None] - i) % n  # [sum, i]
    is_pair = i < other
    is_asked = is_pair[:, :, None] & is_pair[:, None, :] & (i[:, None] < i)
    total = at[i] + at[other]
    gap = torch.cdist(total, total)
    chord = at[i] - at[other]
    # The cross product over the product of lengths is the sine of the angle between lines, whichever way they run.
    cross = chord[:, :, None, 0] * chord[:, None, :, 1] - chord[:, :, None, 1] * chord[:, None, :, 0]
    length = chord.norm(dim=-1)
    scale = length[:, :, None] * length[:, None, :]
    is_parallel = (cross.abs() <= torch.sin(torch.tensor(angle)) * scale) & (scale > 0)
    closed = (gap <= delta)[is_asked].double().mean().item()
    return closed, is_parallel[is_asked].double().mean().item()

"""Is the embedding structured as the answers are? After Liu et al.'s index; that for a circle is this toolkit's."""

import math
from collections.abc import Sequence

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
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

    Liu et al. count closed parallelograms, E_i + E_j = E_m + E_n with i + j = m + n as integers: all of them where
    residues lie evenly on a line. On a circle such sums agree in direction only, and few close; what agrees there is
    that the chords E_i - E_j and E_m - E_n are parallel. That index is this toolkit's. It is 1 too for rows on one line
    in any order, and the null with it. The plane is fitted to its frequency (`embedding_planes`), so that rows without
    structure have more of them than chance: see the null.

    Args:
        frequencies: whose planes; None for those with the most power in this checkpoint's embedding.
        n_largest: how many where frequencies is None.
        delta: how far a parallelogram may fail to close, in units of the rows' rms distance from their mean.
        angle: radians by which chords may differ, below pi / 2; by chance 2 angle / pi of them do.

    Columns:
        frequency: k.
        parallelograms: share of closed ones: the paper's index but for sums modulo n, one plane, pairs of two different
            residues, and delta (the released code: mean squared gap below 0.01 at unit variance, which is delta = 0.1
            here).
        parallel_chords: share of parallel chords; 1 for a circle.
        null: the most parallel chords in any of nine draws after the residues were given random names; infinite for
            n < 7.

    Raises:
        NotApplicable: if the task has no algebra or the embedding is one-hot.
        ValueError: if a frequency lies outside 1 .. n//2, delta is not positive, or angle not between 0 and pi / 2.

    References: Liu et al. 2022, section 3.1 and appendix E; parallel chords are not theirs.
    """
    if delta <= 0 or not 0 < angle < math.pi / 2:
        raise ValueError(
            f"representation_quality needs a positive delta and an angle between 0 and pi / 2, got {delta} and "
            f"{angle}. Nothing agrees exactly, and no two lines lie farther apart."
        )
    embedding = snapshot.once(Residues).embedding.to(snapshot.double)
    if frequencies is None:
        share = snapshot.once(embedding_spectrum)["fraction"].to_numpy()
        frequencies = (1 + (-share).argsort(kind="stable")[:n_largest]).tolist()
    orders = snapshot.of_task(orders_of_residues)[:N_DRAWS]
    named = torch.cat([embedding[None], embedding[orders]])
    pairs = pairs_by_sum(len(embedding), embedding.device)
    rows = []
    for k in fourier.check_frequencies(frequencies, len(embedding)):
        at = in_plane(named, k)
        parallel = parallel_chords(at, pairs, angle).tolist()
        null = max(parallel[1:], default=math.inf)
        rows.append((k, closed_parallelograms(at[0], pairs, delta), parallel[0], null))
    return pd.DataFrame(rows, columns=COLUMNS)


Pairs = tuple[Int[Tensor, "sum pair"], Int[Tensor, "sum pair"], Bool[Tensor, "sum pair"]]


def pairs_by_sum(n: int, device: torch.device) -> Pairs:
    """The pairs i < j of each sum modulo n, as i and as j, and which there are: of an even n some have one less."""
    i = torch.arange(n, device=device)
    other = (i[:, None] - i) % n
    is_pair = i < other
    first = is_pair.int().argsort(dim=1, descending=True, stable=True)[:, : n // 2]
    return first, other.gather(1, first), is_pair.gather(1, first)


def parallel_chords(at: Float[Tensor, "*draw n 2"], pairs: Pairs, angle: float) -> Float[Tensor, "*draw"]:
    """Share of parallel chords among all pairs of pairs with one sum; a chord without length is parallel to none."""
    first, second, is_there = pairs
    chord = at[..., first, :] - at[..., second, :]
    is_line = is_there & (chord.square().sum(-1) > 0)
    direction = torch.atan2(chord[..., 1], chord[..., 0]) % torch.pi
    # Sorted, the directions within the angle of one follow it.
    direction = torch.where(is_line, direction, torch.inf).sort(-1).values
    place = torch.arange(1, direction.shape[-1] + 1, device=at.device)
    following = torch.searchsorted(direction, direction + angle, right=True) - place
    # After pi they begin again.
    around = torch.searchsorted(direction, direction + (angle - torch.pi), right=True)
    n_found = torch.where(direction.isfinite(), following + around, 0).sum((-2, -1))
    return n_found.to(at.dtype) / _n_pairs_of_pairs(is_there)


def closed_parallelograms(at: Float[Tensor, "n 2"], pairs: Pairs, delta: float) -> float:
    """Share of the pairs of pairs with one sum whose rows add up to points within delta rms distances of each other."""
    first, second, is_there = pairs
    at = at / at.square().sum(1).mean().sqrt().clamp_min(torch.finfo(at.dtype).tiny)
    x, y = torch.where(is_there[..., None], at[first] + at[second], torch.nan).unbind(-1)
    n_found = torch.zeros((), dtype=torch.int64, device=at.device)
    # One pair of each sum beside all after it: all at once would be n^3 / 4 distances.
    for i in range(x.shape[1] - 1):
        gap = torch.hypot(x[:, i + 1 :] - x[:, i : i + 1], y[:, i + 1 :] - y[:, i : i + 1])
        n_found += (gap <= delta).sum()
    return (n_found.to(at.dtype) / _n_pairs_of_pairs(is_there)).item()


def _n_pairs_of_pairs(is_there: Bool[Tensor, "sum pair"]) -> Int[Tensor, ""]:
    n_pairs = is_there.sum(1)
    return (n_pairs * (n_pairs - 1) // 2).sum()

"""In how few bits the weights can be written down so that the training rows are still answered as well."""

import bz2
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from interp.networks.config import Weights
from interp.probes.landscape.loss import mean_loss, questions_of
from interp.snapshots.snapshot import Snapshot

VERSION = 1

# Share of each matrix's singular values (their sum) that is kept; 1 leaves matrices whole.
SHARES = (1.0, 0.97, 0.93, 0.87, 0.8, 0.7, 0.6, 0.45, 0.3)
# Width of a quantisation bin in units of the root mean square weight, from one that rounds nearly everything to zero.
BINS = tuple(2.0 ** (e / 2) for e in range(8, -17, -1))


def compressibility(
    snapshot: Snapshot, *, absolute: Sequence[float] = (0.001, 0.01, 0.1), relative: Sequence[float] = (1.0,)
) -> pd.DataFrame:
    """Size of the weights after the best found lossy compression whose train loss stays within a tolerance.

    Each matrix is cut to a low rank where that saves numbers, everything is rounded to multiples of one bin width, and
    the integers go through bzip2; over a grid of rank shares and bin widths the smallest file is taken. It is an
    upper bound on the description length, and a coarse one. One-sided: a compressed network may be better, so that an
    untrained network, no better than nothing, costs next to nothing. With an absolute tolerance far above the loss only
    the answers must survive, with a relative one their confidence must as well.

    Args:
        absolute: nats that the mean train loss may rise.
        relative: shares of itself by which it may rise (1 lets it double).

    Columns:
        criterion: "absolute" or "relative".
        tolerance: as given.
        bits: of the smallest file, with a header of bin width and ranks; NaN where no cell of the grid is good enough.
        bits_per_parameter: bits / number of parameters (32 uncompressed).
        bin: width, in units of the root mean square weight.
        share: of the singular values kept in matrices that were cut; 1 is no cut.
        loss: train loss of the compressed network, nats; within the tolerance.

    Raises:
        NotApplicable: if the run has no task.
        ValueError: if a tolerance is negative.

    References: DeMoss et al. 2024, "The complexity dynamics of grokking", section 3 (their tolerance is two-sided and
    their search Bayesian).
    """
    wanted = [("absolute", t) for t in absolute] + [("relative", t) for t in relative]
    if any(t < 0 for _, t in wanted):
        raise ValueError(f"Compressibility needs tolerances >= 0, got {[t for _, t in wanted if t < 0]}.")
    weights = {name: w.float().cpu() for name, w in snapshot.weights.items()}
    loss_of = mean_loss(snapshot.config, questions_of(snapshot, "train"))

    def loss(candidate: Weights) -> float:
        with torch.no_grad():
            return loss_of({name: w.to(snapshot.device) for name, w in candidate.items()}).item()

    base = loss(weights)
    allowed = [t if criterion == "absolute" else t * base for criterion, t in wanted]
    cells = _cells(weights, loss, [base + excess for excess in allowed])
    n = sum(w.numel() for w in weights.values())
    rows = []
    for (criterion, tolerance), excess in zip(wanted, allowed, strict=True):
        fits = [cell for cell in cells if cell["loss"] <= base + excess]
        best = (
            min(fits, key=lambda cell: cell["bits"])
            if fits
            else dict.fromkeys(("bits", "bin", "share", "loss"), np.nan)
        )
        rows.append(
            {
                "criterion": criterion,
                "tolerance": float(tolerance),
                "bits": best["bits"],
                "bits_per_parameter": best["bits"] / n,
                "bin": best["bin"],
                "share": best["share"],
                "loss": best["loss"],
            }
        )
    return pd.DataFrame(rows)


def _cells(weights: Weights, loss, limits: list[float]) -> list[dict[str, float]]:
    """For each share and each limit, the widest bin whose loss is within it: bits, bin, share, loss.

    Fewer numbers and wider bins make smaller files, nearly always; only these cells are worth the time of bzip2.
    """
    scale = torch.cat([w.reshape(-1) for w in weights.values()]).double().square().mean().sqrt().item()
    cells = []
    for share in SHARES:
        parts = cut(weights, share)
        open_limits = sorted(limits, reverse=True)
        for width in BINS:
            integers = quantise(parts, width * scale)
            found = loss(restore(integers, width * scale, weights))
            if open_limits and found <= open_limits[0]:
                open_limits = [limit for limit in open_limits if found > limit]
                size = 8.0 * len(pack(integers, width * scale))
                cells.append({"bits": size, "bin": width, "share": share, "loss": found})
            if not open_limits:
                break
    return cells


def cut(weights: Weights, share: float) -> dict[str, list[Tensor]]:
    """Each weight as the list of tensors to store: itself, or the two factors of its low-rank approximation.

    Kept are the fewest singular values whose sum reaches `share` of the total, and only if the factors are smaller than
    the matrix. Attention weights (head, in, out) are cut head by head, all heads to one rank.
    """
    parts = {}
    for name, w in weights.items():
        parts[name] = [w]
        if share == 1 or w.ndim < 2:
            continue
        u, s, vh = torch.linalg.svd(w.double(), full_matrices=False)
        total = s.sum(-1, keepdim=True).clamp_min(torch.finfo(s.dtype).tiny)
        rank = int(((s.cumsum(-1) / total) < share).sum(-1).max()) + 1
        if rank * (w.shape[-2] + w.shape[-1]) < w.shape[-2] * w.shape[-1]:
            root = s[..., :rank].sqrt()
            parts[name] = [
                (u[..., :rank] * root[..., None, :]).float(),
                (root[..., :, None] * vh[..., :rank, :]).float(),
            ]
    return parts


def quantise(parts: dict[str, list[Tensor]], width: float) -> dict[str, list[Tensor]]:
    """Every number as the nearest multiple of `width`, in int32 (0 where all weights are 0)."""
    return {
        name: [(x.double() / width).round().int() if width else torch.zeros_like(x).int() for x in tensors]
        for name, tensors in parts.items()
    }


def restore(integers: dict[str, list[Tensor]], width: float, like: Weights) -> Weights:
    """Float32 weights from their stored integers."""
    weights = {}
    for name, tensors in integers.items():
        factors = [(x.double() * width).float() for x in tensors]
        w = factors[0] if len(factors) == 1 else factors[0] @ factors[1]
        weights[name] = w.view(like[name].shape)
    return weights


def pack(integers: dict[str, list[Tensor]], width: float) -> bytes:
    """The compressed file: bin width, one rank a weight (0: whole), and all integers through bzip2."""
    ranks = [0 if len(tensors) == 1 else tensors[0].shape[-1] for tensors in integers.values()]
    flat = (
        torch.cat([x.reshape(-1) for tensors in integers.values() for x in tensors]).numpy().astype(np.int64)
    )
    folded = np.where(flat < 0, -2 * flat - 1, 2 * flat).astype(
        "<u4"
    )  # small numbers of either sign stay small
    planes = (
        folded.view(np.uint8).reshape(-1, 4).T
    )  # bytes of one significance together: high ones are mostly 0
    return np.float64(width).tobytes() + np.array(ranks, "<u2").tobytes() + bz2.compress(planes.tobytes(), 9)


def unpack(data: bytes, like: Weights) -> Weights:
    """The weights in a compressed file, given their names and shapes: what `pack` stored, multiplied out."""
    width = float(np.frombuffer(data[:8], np.float64)[0])
    ranks = np.frombuffer(data[8 : 8 + 2 * len(like)], "<u2").tolist()
    planes = np.frombuffer(bz2.decompress(data[8 + 2 * len(like) :]), np.uint8).reshape(4, -1)
    folded = np.ascontiguousarray(planes.T).view("<u4").reshape(-1).astype(np.int64)
    flat = torch.from_numpy(np.where(folded % 2, -(folded + 1) // 2, folded // 2).astype(np.int32))
    integers: dict[str, list[Tensor]] = {}
    for (name, w), rank in zip(like.items(), ranks, strict=True):
        shapes = [(*w.shape[:-1], rank), (*w.shape[:-2], rank, w.shape[-1])] if rank else [tuple(w.shape)]
        integers[name] = []
        for shape in shapes:
            size = int(np.prod(shape))
            integers[name].append(flat[:size].view(shape))
            flat = flat[size:]
    return restore(integers, width, like)

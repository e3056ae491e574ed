"""What a checkpoint of a cyclic task looks like in the names of its algebra: circles, neurons, logits by distance."""

import numpy as np
import torch

from interp.probes.fourier.embedding_planes import plane_axes
from interp.probes.fourier.neuron_frequencies import shares_of_neurons
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot
from interp.views.cells import Cells


def circles(snapshot: Snapshot, frequencies: list[int], final: torch.Tensor) -> np.ndarray:
    """Where each residue lies in the plane of a frequency's cosine and sine, (2, frequency, n, 2).

    The plane is that which the embedding's Fourier components of the frequency span, first of this checkpoint, then of
    the final one; its axes are the orthonormal ones nearest to the two. In the plane of its own step even random
    embeddings make something of a circle: each component was made of these very residues.

    Args:
        final: of `planes_of` the last checkpoint's embedding.
    """
    embedding = snapshot.once(Residues).embedding.double()
    planes = (planes_of(embedding, frequencies), final)
    centred = embedding - embedding.mean(0)
    return torch.stack([torch.einsum("nd,fcd->fnc", centred, axes) for axes in planes]).cpu().numpy()


def planes_of(embedding: torch.Tensor, frequencies: list[int]) -> torch.Tensor:
    """The plane of each frequency, (frequency, 2, d_model), as `embedding_planes` has it."""
    return torch.stack([plane_axes(embedding.double(), k) for k in frequencies])


def neuron_shares(snapshot: Snapshot) -> np.ndarray:
    """The share of each neuron's variance over pairs in each frequency; 0 for a dead neuron.

    (neuron, frequency), frequencies 1 .. (n-1)//2: those which have a plane.
    """
    residues = snapshot.once(Residues)
    shares, _ = shares_of_neurons(residues)
    return shares[: (residues.n - 1) // 2].clamp(0, 1).T.double().cpu().numpy()


def distances(snapshot: Snapshot, cells: Cells) -> np.ndarray:
    """Mean and standard deviation over pairs of the centred logit by its distance from the right answer, (2, n).

    Args:
        cells: which pairs.
    """
    residues = snapshot.once(Residues)
    logits = residues.logits[cells.questions.flatten()].double()[:, residues.answer_order.to(snapshot.device)]
    logits = logits - logits.mean(1, keepdim=True)
    at = torch.arange(residues.n, device=logits.device)[:: cells.every][: cells.side]
    sums = (at[:, None] + at).flatten() % residues.n
    shift = torch.arange(residues.n, device=logits.device)
    by_distance = logits.gather(1, (sums[:, None] + shift) % residues.n)
    return torch.stack([by_distance.mean(0), by_distance.std(0, correction=0)]).cpu().numpy()


def plane(snapshot: Snapshot, cells: Cells) -> np.ndarray:
    """The centred logits of the pairs (a, 0) by answer, (side, n), relative to the largest: rows a, columns answers."""
    residues = snapshot.once(Residues)
    logits = residues.logits[cells.questions[:, 0]].double()[:, residues.answer_order.to(snapshot.device)]
    logits = logits - logits.mean(1, keepdim=True)
    return (logits / logits.abs().max().clamp_min(1e-12)).cpu().numpy()

"""What a checkpoint of a cyclic task looks like in the names of its algebra: circles, neurons, logits by distance."""

import numpy as np
import torch

from interp.mathematics.fourier import transform
from interp.mathematics.lines import one_frequency_power
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot
from interp.views.cells import Cells


def circles(snapshot: Snapshot, frequencies: list[int], final: torch.Tensor) -> np.ndarray:
    """Where each residue lies in the plane of a frequency's cosine and sine, (2, frequency, n, 2).

    The plane is that which the embedding's Fourier components of the frequency span, first of this checkpoint, then of
    the final one; its axes are the orthonormal ones nearest to the two. In the plane of its own step even random
    embeddings make something of a circle: each component was made of these very residues.

    Args:
        final: `Residues.embedding` of the last checkpoint.
    """
    embedding = snapshot.once(Residues).embedding.double()
    planes = [_axes(whole.double(), frequencies) for whole in (embedding, final)]
    centred = embedding - embedding.mean(0)
    return torch.stack([torch.einsum("nd,fcd->fnc", centred, axes) for axes in planes]).cpu().numpy()


def _axes(embedding: torch.Tensor, frequencies: list[int]) -> torch.Tensor:
    """(frequency, 2, d_model): orthonormal, nearest to the directions of cosine and sine."""
    components = transform(embedding)
    k = torch.tensor(frequencies, device=embedding.device, dtype=torch.long)
    pairs = torch.stack([components[2 * k - 1], components[2 * k]], 1)
    # The nearest orthonormal pair is G^(-1/2) pairs with the 2 x 2 Gram matrix G, whose root has a closed form.
    gram = pairs @ pairs.mT
    eye = torch.eye(2, dtype=gram.dtype, device=gram.device)
    gram = gram + 1e-12 * gram.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-300)[:, None, None] * eye
    det = (gram[:, 0, 0] * gram[:, 1, 1] - gram[:, 0, 1] * gram[:, 1, 0]).clamp_min(1e-300).sqrt()
    trace = gram.diagonal(dim1=1, dim2=2).sum(1)
    root = (gram + det[:, None, None] * eye) / (trace + 2 * det).sqrt()[:, None, None]
    return torch.linalg.inv(root) @ pairs


def neuron_shares(snapshot: Snapshot) -> np.ndarray:
    """The share of each neuron's variance over pairs in each frequency, (neuron, frequency); 0 for a dead neuron."""
    residues = snapshot.once(Residues)
    lines = residues.neuron_lines
    power = one_frequency_power(lines)[: (residues.n - 1) // 2]
    constant = (residues.n * lines.first.mean(0)).square()
    # Some rows at a time: the squares of the whole table would be as large as the table.
    whole = torch.stack([rows.square().sum((0, 1)) for rows in residues.neuron_table.split(32)]).sum(0)
    total = whole - constant
    is_dead = total <= 1e-6 * whole
    return torch.where(is_dead, 0.0, power / total).clamp(0, 1).T.double().cpu().numpy()


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

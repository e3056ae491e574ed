"""Which frequency each neuron computes with, and how much of the neuron that explains."""

import pandas as pd
import torch

from interp.mathematics import fourier
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def neuron_frequencies(snapshot: Snapshot) -> pd.DataFrame:
    """The dominant frequency of every neuron of the last MLP layer, over all pairs.

    A neuron belongs to frequency k as far as its activation over (a, b) is a combination of the eight non-constant
    products of {1, cos w_k a, sin w_k a} and {1, cos w_k b, sin w_k b}. Purity is a late measure: a complete circuit
    can have a third of its neurons above 0.85, so report the distribution.

    Columns:
        neuron: 0 .. d_mlp-1.
        frequency: the k that explains most; 0 for a neuron that is constant (dead).
        fraction_explained: share of the neuron's variance over all pairs that this k explains, in [0, 1].

    Raises:
        NotApplicable: if the task has no algebra or the network no MLP.

    References: Nanda et al. 2023, section 4.3 and appendix (neurons approximated by degree-2 polynomials).
    """
    table = snapshot.once(Residues).neuron_table
    n, _, n_neurons = table.shape
    # float32 and dense products: for prime n an FFT of length n is no faster, and shares need no more digits.
    basis = fourier.fourier_basis(n, table.dtype).to(table.device)
    along_a = (basis @ table.reshape(n, -1)).view(n, n, n_neurons)

    # Power of each frequency: rows of frequency k (in a) against the constant, cosine and sine of k (in b), and the
    # constant row against cosine and sine.
    n_pairs = (n - 1) // 2
    power = torch.zeros((n // 2 + 1, n_neurons), dtype=table.dtype, device=table.device)
    k = fourier.frequency_of_component(n).to(table.device)
    power.index_add_(0, k, (basis @ along_a[0]).square())
    constant = power[0].clone()
    pairs = along_a[1 : 2 * n_pairs + 1].view(n_pairs, 2, n, n_neurons)
    waves = basis[1 : 2 * n_pairs + 1].view(n_pairs, 2, n)
    rows = torch.cat([basis[:1].expand(n_pairs, 1, n), waves], 1).unsqueeze(1)
    power[1 : n_pairs + 1] += torch.matmul(rows, pairs).square().sum((1, 2))
    if n % 2 == 0:
        power[-1] += (basis[[0, -1]] @ along_a[-1]).square().sum(0)

    # Row by row: a square of the whole table would be as large as the table.
    whole = torch.stack([row.square().sum(0) for row in table]).sum(0)
    total = whole - constant
    best, frequency = power[1:].max(0)
    # Below a millionth of its mean square a neuron's variance is rounding of the difference above.
    is_dead = total <= 1e-6 * whole
    fraction = torch.where(is_dead, 0.0, best / total)
    return pd.DataFrame(
        {
            "neuron": range(n_neurons),
            "frequency": torch.where(is_dead, 0, frequency + 1).cpu().numpy(),
            "fraction_explained": fraction.clamp(max=1.0).double().cpu().numpy(),
        }
    )

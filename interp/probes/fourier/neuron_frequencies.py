"""Which frequency each neuron computes with, and how much of the neuron that explains."""

import math

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.mathematics.lines import one_frequency_null, one_frequency_power
from interp.snapshots.residues import Residues, orders_of_residues
from interp.snapshots.snapshot import Snapshot

VERSION = 4

# Neurons and draws of the null: together as many as the neurons of the bundled run.
N_NULL_NEURONS, N_NULL_DRAWS = 64, 4


def neuron_frequencies(snapshot: Snapshot) -> pd.DataFrame:
    """The dominant frequency of every neuron of the last MLP layer, over all pairs.

    A neuron belongs to frequency k as far as its activation over (a, b) is a combination of the eight non-constant
    products of {1, cos w_k a, sin w_k a} and {1, cos w_k b, sin w_k b}. Purity is a late measure: a complete circuit
    can have a third of its neurons above 0.85, so report the distribution.

    Columns:
        neuron: 0 .. d_mlp-1.
        frequency: the k that explains most; 0 for a neuron that is constant (dead).
        fraction_explained: share of the neuron's variance over all pairs that this k explains, in [0, 1].
        null: the largest such share of any of at most 64 evenly spaced neurons after the residues of both operands were
            given random names, of 4 draws; infinite for n < 7.

    Raises:
        NotApplicable: if the task has no algebra or the network no MLP.

    References: Nanda et al. 2023, section 4.3 (neurons approximated by degree-2 polynomials).
    """
    residues = snapshot.once(Residues)
    table = residues.neuron_table
    shares, total = shares_of_neurons(residues)
    fraction, frequency = shares.max(0)
    is_dead = total == 0
    some = (~is_dead).nonzero().squeeze(1)
    some = some[:: max(math.ceil(len(some) / N_NULL_NEURONS), 1)]
    names = snapshot.of_task(orders_of_residues)[:N_NULL_DRAWS]
    null = (one_frequency_null(table[..., some], names) / total[some]).max().item() if len(some) else 0.0
    return pd.DataFrame(
        {
            "neuron": range(table.shape[2]),
            "frequency": torch.where(is_dead, 0, frequency + 1).cpu().numpy(),
            "fraction_explained": fraction.clamp(max=1.0).double().cpu().numpy(),
            "null": null,
        }
    )


def shares_of_neurons(
    residues: Residues,
) -> tuple[Float[Tensor, "frequency neuron"], Float[Tensor, " neuron"]]:
    """How much of each neuron's variance over pairs each frequency 1 .. n//2 explains, and n^2 times that variance.

    Both are 0 for a neuron that is constant (dead).
    """
    table, lines = residues.neuron_table, residues.neuron_lines
    constant = (residues.n * lines.first.mean(0)).square()
    # Row by row: a square of the whole table would be as large as the table.
    whole = torch.stack([row.square().sum(0) for row in table]).sum(0)
    total = whole - constant
    # Below a millionth of its mean square a neuron's variance is rounding of the difference above.
    is_dead = total <= 1e-6 * whole
    shares = torch.where(is_dead, 0.0, one_frequency_power(lines) / total)
    return shares, torch.where(is_dead, 0.0, total)

"""Do neurons read and write each frequency in phase, and are their phases spread around the circle?"""

import pandas as pd
import torch

from interp.ground.thresholds import stands_out
from interp.probes.fourier.logit_spectrum import logit_spectrum
from interp.probes.fourier.neuron_frequencies import neuron_frequencies
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot

VERSION = 2


def frequency_phases(snapshot: Snapshot) -> pd.DataFrame:
    """Phases of each key frequency of this checkpoint (those that stand out of its logits).

    Over all pairs, a neuron of frequency k holds A cos(w_k(a+b) + theta) and writes C cos(w_k c + psi) to the logits.
    What it adds to the right answer is A C cos(theta - psi) / 2: in a finished circuit all neurons of a frequency
    have theta = psi, while the phases themselves cover the circle evenly.

    Columns:
        frequency: k.
        logit_phase: radians; the logits hold cos(w_k(a+b-c) + phase), 0 for a right answer.
        n_neurons: neurons whose dominant frequency is k.
        alignment: mean of cos(theta - psi) over those neurons, weighted by A C, in [-1, 1]; NaN without neurons.
        concentration: |mean of exp(i theta)| over those neurons, weighted by A: 0 for phases spread evenly, 1 for one.

    Raises:
        NotApplicable: if the task has no algebra or the network no MLP.

    References: He et al. 2026, "On the mechanism and dynamics of modular addition" (phase alignment 2 phi - psi of an
    MLP that reads phi twice; here theta is read off the activations, so that attention may come before); Gromov 2023
    (phi_u + phi_v = phi_w).
    """
    dominant = torch.tensor(snapshot.once(neuron_frequencies)["frequency"].to_numpy(), device=snapshot.device)
    logits = snapshot.once(logit_spectrum)
    is_key = stands_out(logits["fraction_explained"], logits["null"]).to_numpy()
    phase = logits["phase"].to_numpy()
    n = snapshot.once(Residues).n
    t = torch.arange(n, device=snapshot.device)
    by_sum = snapshot.once(Residues).neuron_lines.sums
    rows = []
    for k in (1 + is_key.nonzero()[0]).tolist():
        own = (dominant == k).nonzero().squeeze(1)
        wave = torch.exp(-2j * torch.pi * k * t / n).to(torch.complex64)
        read = wave @ by_sum[:, own].to(torch.complex64)  # A exp(i theta), up to a factor
        written = wave @ snapshot.once(Residues).neuron_logit_map[:, own].to(torch.complex64)  # C exp(i psi)
        weight = (read * written.conj()).abs().sum()
        rows.append(
            {
                "frequency": k,
                "logit_phase": phase[k - 1],
                "n_neurons": len(own),
                "alignment": ((read * written.conj()).real.sum() / weight).item(),
                "concentration": (read.sum().abs() / read.abs().sum()).item(),
            }
        )
    return pd.DataFrame(rows, columns=["frequency", "logit_phase", "n_neurons", "alignment", "concentration"])

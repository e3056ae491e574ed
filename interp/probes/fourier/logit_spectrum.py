"""How much of the logits each clock term cos(w_k(a+b-c)) explains, and with which phase."""

import pandas as pd
import torch

from interp.ground.thresholds import LOGIT_FRACTION
from interp.mathematics import fourier
from interp.mathematics.relabelling import standing_out
from interp.snapshots.residues import Residues, names_of_residues
from interp.snapshots.snapshot import Snapshot

VERSION = 2


def logit_spectrum(snapshot: Snapshot) -> pd.DataFrame:
    """Coefficient, share of variance and phase of cos(w_k(a+b-c)) in the logits of all pairs, by frequency.

    The logits are centred for each input over the answers c: what the softmax cannot see does not count. A high sum
    says that the answer is computed from a+b-c in few frequencies; it does not say how: a pizza network with its
    accompanying frequencies reaches 0.99 as well (see `algorithm_by_frequency`).

    Any network that answers some pairs right holds a little of every frequency, all of them alike if it looks its
    answers up: the fewer residues, the more. So each share comes with its null.

    Columns:
        frequency: 1 .. n//2.
        coefficient: inner product of the logits with the unit-norm cube; logit units times n^1.5 / sqrt(2).
        fraction_explained: squared coefficient over the squared norm of the centred logits (FVE).
        null: what the strongest frequency has after the residues were given random names, the most of 39 draws
            (2.5 % level), once the frequencies that stand out were taken away; infinite for n < 7, where no draw tells.
        phase: radians in (-pi, pi]; the term as fitted is cos(w_k(a+b-c) + phase). 0 means that the term is largest
            at the right answer.

    Raises:
        NotApplicable: if the task has no algebra.

    References: Nanda et al. 2023, section 4.2; centring as in Chughtai et al. 2023, appendix E.5.
    """
    residues = snapshot.once(Residues)
    n, by_sum = residues.n, residues.logit_lines.sums
    power = residues.logit_power.clamp_min(torch.finfo(by_sum.dtype).tiny)
    coefficient = fourier.clock_coefficients_of_sums(by_sum)
    sums = fourier.sum_table(n, by_sum.device)
    # Each sum is that of n pairs.
    _, null = standing_out(
        by_sum,
        sums,
        fourier.cosines(n).to(by_sum),
        snapshot.of_task(names_of_residues),
        floor=LOGIT_FRACTION * power.item() / n,
    )

    t = torch.arange(n, device=by_sum.device)
    shifted = torch.fft.rfft(by_sum[t[:, None], sums].sum(0))[1:]
    # As a function of d = c - (a+b) the term is cos(w_k d - phase): its DFT has the angle -phase.
    return pd.DataFrame(
        {
            "frequency": range(1, len(coefficient) + 1),
            "coefficient": coefficient.cpu().numpy(),
            "fraction_explained": (coefficient.square() / power).cpu().numpy(),
            "null": (n * null / power).cpu().numpy(),
            "phase": (-shifted.angle()).cpu().numpy(),
        }
    )

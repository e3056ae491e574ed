"""The 2-D Fourier spectrum of the logits over (a, b), frequency by frequency."""

import pandas as pd
import torch

from interp.mathematics import fourier
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def logit_components(snapshot: Snapshot) -> pd.DataFrame:
    """Share of the logits' power over (a, b) at each pair of frequencies.

    A clock lights the diagonal, at its key frequencies only. `logit_cells` sums this table by kind.

    Columns:
        frequency_first, frequency_second: 0 .. n//2, of the first and second operand.
        fraction: share of the squared norm without the constant cell (0, 0), summed over cosines, sines and answers.
            The logits are centred for each input over the answers.

    Raises:
        NotApplicable: if the task has no algebra.

    References: Nanda et al. 2023, section 4.1, figure 4 (2-D DFT of the logits).
    """
    centred = snapshot.once(Residues).centred_cube
    n = centred.shape[0]
    # Dense products: for prime n they are faster than an FFT.
    basis = fourier.fourier_basis(n, centred.dtype).to(centred.device)
    power = torch.matmul(basis, (basis @ centred.view(n, -1)).view(n, n, n)).square().sum(-1)
    power[0, 0] = 0
    k = fourier.frequency_of_component(n).to(power.device)
    n_k = n // 2 + 1
    cells = torch.zeros((n_k, n_k), dtype=power.dtype, device=power.device)
    cells.index_put_((k[:, None].expand(n, n), k[None, :].expand(n, n)), power, accumulate=True)
    share = (cells / cells.sum().clamp_min(torch.finfo(cells.dtype).tiny)).cpu().numpy()
    first, second = (
        x.reshape(-1).numpy() for x in torch.meshgrid(torch.arange(n_k), torch.arange(n_k), indexing="ij")
    )
    return pd.DataFrame({"frequency_first": first, "frequency_second": second, "fraction": share.reshape(-1)})

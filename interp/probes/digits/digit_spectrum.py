"""How much of the digits' embedding each frequency modulo the base holds."""

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from interp.mathematics import fourier
from interp.mathematics.relabelling import cyclic_names, spectrum_null
from interp.snapshots.places import Places
from interp.snapshots.snapshot import Snapshot
from interp.tasks.task import Task

VERSION = 1


def digit_spectrum(snapshot: Snapshot) -> pd.DataFrame:
    """Power of W_E of the digits by frequency modulo the base, as `embedding_spectrum` has it of residues.

    A sum's digit is a sum modulo the base, so that a network may add on circles here too. But a carry needs the size of
    digits, which is no function of period base: a straight line 0, 1, .., base - 1 has most of its power in frequency
    1, and so has every embedding in which neighbours are alike. Of ten digits there are five frequencies: no number
    here is as sharp as among the residues of a prime.

    Columns:
        frequency: 1 .. base//2 (the constant is left out).
        power: squared norm of the cosine and sine components, summed over d_model.
        fraction: share of the power of all non-constant frequencies; that of base/2 has one component, others two.
        null: the largest share of any frequency after the digits were given random names, the most of 39 draws
            (2.5 % level); infinity for bases below 7, which have too few names.

    Raises:
        NotApplicable: if the answers are not written in digits, or the network has no embedding.

    References: Nanda et al. 2023, section 4.1 (residues); Levy and Geva 2024, "Language models encode numbers using
    digit representations in base 10".
    """
    matrix = snapshot.once(Places).digit_embedding().to(snapshot.double)
    power = fourier.power(matrix)[1:].sum(1)
    share = power / power.sum() if power.sum() > 0 else power * 0
    null = spectrum_null(matrix @ matrix.T, snapshot.of_task(_names_of_digits))
    return pd.DataFrame(
        {
            "frequency": range(1, len(power) + 1),
            "power": power.cpu().numpy(),
            "fraction": share.cpu().numpy(),
            "null": null.item(),
        }
    )


def _names_of_digits(task: Task, device: torch.device) -> Int[Tensor, "draw n n"]:
    return cyclic_names(task.structure.base)[1].to(device)  # type: ignore[union-attr]

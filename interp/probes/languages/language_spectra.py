"""Which frequencies each language's embedding and unembedding hold."""

import pandas as pd
import torch

from interp.mathematics import fourier
from interp.mathematics.relabelling import spectrum_null
from interp.snapshots.snapshot import Snapshot
from interp.snapshots.vocabularies import Vocabularies, number_names

VERSION = 2


def language_spectra(snapshot: Snapshot) -> pd.DataFrame:
    """Power by frequency of W_E and W_U, the rows of each language's numbers.

    A language that has taken on the frequencies of another shows the same peaks. That peaks agree says nothing about
    directions: two embeddings with the same frequencies can lie in different planes (`language_alignment`).

    Within one plane a language's waves can be turned against the first one's. By half a turn they are their negatives:
    a product of two operands does not notice it, so that a circuit which multiplies serves both languages as they are,
    and fails on a question with a word of each.

    Columns:
        part: "embedding" or "unembedding".
        language: whose numbers.
        numbering: "own", or "dictionary": by the numbers of the first language that the dictionary gives them, where
            that is another order.
        frequency: 1 .. p//2.
        power: squared norm of the cosine and sine components, summed over d_model.
        fraction: share of the power of all non-constant frequencies.
        turn_cosine, turn_sine: of the angle by which the language's waves are turned against the first language's,
            summed over directions: 1 and 0 where they are the same, -1 and 0 by half a turn, both near 0 where they
            lie in other directions, or go backwards in the same ones (sd 1/sqrt(2 d_model) each for random ones); NaN
            where there is no wave.
        null: the largest share of any frequency under random names of the numbers, the most of 39 draws (2.5 % level).

    Raises:
        NotApplicable: if the task is not one in several languages, the first language's answers are no sums or
            differences, or the embedding is one-hot.

    References: Nanda et al. 2023, section 4.1, for the spectrum.
    """
    view = snapshot.once(Vocabularies)
    p = view.order
    _, cells = snapshot.of_task(number_names)
    tables = []
    for part, numbers in (("embedding", view.embedding), ("unembedding", view.unembedding)):
        first = torch.fft.rfft(numbers(0), dim=0)[1:]
        for language, name in enumerate(view.names):
            matrix = numbers(language)
            for numbering, order in view.numberings(language).items():
                ordered = matrix[order]
                power = fourier.power(ordered)[1:].sum(1)
                total = power.sum()
                waves = torch.fft.rfft(ordered, dim=0)[1:]
                # The transform turns against the wave: a positive angle is one that comes later.
                turn = (waves.conj() * first).sum(1) / (waves.norm(dim=1) * first.norm(dim=1))
                tables.append(
                    pd.DataFrame(
                        {
                            "part": part,
                            "language": name,
                            "numbering": numbering,
                            "frequency": range(1, p // 2 + 1),
                            "power": power.cpu().numpy(),
                            "fraction": (power / total if total > 0 else power * 0).cpu().numpy(),
                            "turn_cosine": turn.real.cpu().numpy(),
                            "turn_sine": turn.imag.cpu().numpy(),
                            "null": spectrum_null(ordered @ ordered.T, cells).item(),
                        }
                    )
                )
    return pd.concat(tables, ignore_index=True)

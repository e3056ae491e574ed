"""Which frequencies each language's embedding and unembedding hold."""

import pandas as pd

from interp.mathematics import fourier
from interp.mathematics.relabelling import spectrum_null
from interp.snapshots.snapshot import Snapshot
from interp.snapshots.vocabularies import Vocabularies, number_names

VERSION = 1


def language_spectra(snapshot: Snapshot) -> pd.DataFrame:
    """Power by frequency of W_E and W_U, the rows of each language's numbers.

    A language that has taken on the frequencies of another shows the same peaks. That peaks agree says nothing about
    directions: two embeddings with the same frequencies can lie in different planes (`language_alignment`).

    Columns:
        part: "embedding" or "unembedding".
        language: whose numbers.
        numbering: "own", or "dictionary": by the numbers of the first language that the dictionary gives them, where
            that is another order.
        frequency: 1 .. p//2.
        power: squared norm of the cosine and sine components, summed over d_model.
        fraction: share of the power of all non-constant frequencies.
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
        for language, name in enumerate(view.names):
            matrix = numbers(language)
            for numbering, order in view.numberings(language).items():
                ordered = matrix[order]
                power = fourier.power(ordered)[1:].sum(1)
                total = power.sum()
                tables.append(
                    pd.DataFrame(
                        {
                            "part": part,
                            "language": name,
                            "numbering": numbering,
                            "frequency": range(1, p // 2 + 1),
                            "power": power.cpu().numpy(),
                            "fraction": (power / total if total > 0 else power * 0).cpu().numpy(),
                            "null": spectrum_null(ordered @ ordered.T, cells).item(),
                        }
                    )
                )
    return pd.concat(tables, ignore_index=True)

"""How far two languages' embeddings are the same thing."""

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.mathematics import fourier
from interp.snapshots.snapshot import Snapshot
from interp.snapshots.vocabularies import Vocabularies

VERSION = 1

# A similarity that none of them reaches is significant at 1 %.
N_DRAWS = 99


def language_alignment(snapshot: Snapshot, *, n_draws: int = N_DRAWS, seed: int = 0) -> pd.DataFrame:
    """Similarity of each further language's embedding and unembedding to the first one's, with permutation controls.

    Measures from the strictest to the loosest; rows are centred over the numbers. The cosine asks for the same
    directions, number by number; planes ask that each frequency lies in the same plane, however turned in it;
    Procrustes and CKA ask for the same shape in whatever directions, the overlap of spectra for the same frequencies
    alone. With few numbers and a wide residual stream Procrustes and CKA of two random matrices are large: read them
    beside their null only.

    Args:
        n_draws: random names of the further language's numbers.
        seed: of the names.

    Columns:
        part: "embedding" or "unembedding".
        language: the further one.
        numbering: "own" or "dictionary", as of `language_spectra`.
        measure: "cosine" (inner product of the two matrices over their norms), "planes" (share of the further
            language's power that lies, frequency by frequency, in the span of the first one's cosine and sine),
            "procrustes" (the cosine after the best rotation: the nuclear norm of X^T Y over |X||Y|; 1 minus half the
            squared distance), "cka" (linear, |X^T Y|^2 over |X^T X||Y^T Y|), "spectrum_overlap" (sum over frequencies
            of the smaller of both shares). Planes and spectra are absent where numbers have no frequencies.
        value: 0 .. 1 (cosine: -1 .. 1).
        null: the most of the draws.
        null_mean: their mean.

    Raises:
        NotApplicable: if the task is not one in several languages, or the embedding is one-hot.

    References: Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem"; Kornblith et al. 2019,
    "Similarity of neural network representations revisited", section 3 (linear CKA); Williams et al. 2021, "Generalized
    shape metrics on neural representations", section 2.
    """
    view = snapshot.once(Vocabularies)
    generator = torch.Generator().manual_seed(seed)
    draws = torch.stack([torch.randperm(view.p, generator=generator) for _ in range(n_draws)]).to(
        snapshot.device
    )
    rows = []
    for part, numbers in (("embedding", view.embedding), ("unembedding", view.unembedding)):
        first = _centred(numbers(0))
        for language, name in list(enumerate(view.names))[1:]:
            other = _centred(numbers(language))
            for numbering, order in view.numberings(language).items():
                # Row 0 is the numbering itself, the others are its random names.
                y = other[order][torch.cat([torch.arange(view.p, device=draws.device)[None], draws])]
                found = similarities(first, y)
                if view.structure.order is None:
                    del found["spectrum_overlap"], found["planes"]
                for measure, values in found.items():
                    rows.append(
                        {
                            "part": part,
                            "language": name,
                            "numbering": numbering,
                            "measure": measure,
                            "value": values[0].item(),
                            "null": values[1:].max().item(),
                            "null_mean": values[1:].mean().item(),
                        }
                    )
    return pd.DataFrame(rows)


def similarities(
    x: Float[Tensor, "p width"], y: Float[Tensor, "draw p width"]
) -> dict[str, Float[Tensor, " draw"]]:
    """The measures of two centred matrices, for each draw; 0 where one of them is 0."""
    tiny = torch.finfo(x.dtype).tiny
    both = (x.norm() * y.norm(dim=(1, 2))).clamp_min(tiny)
    gram_x, gram_y = x @ x.T, y @ y.mT
    share_x, share_y = _shares(x[None]), _shares(y)
    return {
        "cosine": (x * y).sum((1, 2)) / both,
        "planes": _in_planes(x, y),
        "procrustes": torch.linalg.svdvals(_reduced(x) @ _reduced(y).mT).sum(1) / both,
        "cka": (gram_x * gram_y).sum((1, 2)) / (gram_x.norm() * gram_y.norm(dim=(1, 2))).clamp_min(tiny),
        "spectrum_overlap": torch.minimum(share_x, share_y).sum(1),
    }


def _reduced(x: Float[Tensor, "*draw p width"]) -> Float[Tensor, "*draw small p"]:
    """R of the QR of x^T: R_x R_y^T has the singular values of x^T y, and is no larger than the numbers are many."""
    return torch.linalg.qr(x.mT, mode="r").R


def _in_planes(x: Float[Tensor, "p width"], y: Float[Tensor, "draw p width"]) -> Float[Tensor, " draw"]:
    """Share of the power of y in the spans of x's waves, each frequency in its own."""
    waves, others = fourier.transform(x), fourier.transform(y, 1)
    frequencies = fourier.frequency_of_component(len(x))
    inside = y.new_zeros(len(y))
    for k in range(1, len(x) // 2 + 1):
        rows = (frequencies == k).nonzero().squeeze(1)
        _, values, basis = torch.linalg.svd(waves[rows], full_matrices=False)
        # What is float32's rounding of no wave at all has no plane.
        basis = basis[values > 1e-5 * x.norm()]
        inside += (others[:, rows] @ basis.T).square().sum((1, 2))
    return inside / y.square().sum((1, 2)).clamp_min(torch.finfo(y.dtype).tiny)


def _shares(matrices: Float[Tensor, "draw p width"]) -> Float[Tensor, "draw frequency"]:
    power = fourier.power(matrices, 1)[:, 1:].sum(2)
    return power / power.sum(1, keepdim=True).clamp_min(torch.finfo(power.dtype).tiny)


def _centred(x: Float[Tensor, "p width"]) -> Float[Tensor, "p width"]:
    return x - x.mean(0)

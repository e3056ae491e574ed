"""How much of the logits the character of each representation explains."""

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.ground.thresholds import LOGIT_FRACTION
from interp.mathematics.relabelling import standing_out
from interp.mathematics.representations import trace_table
from interp.snapshots.elements import Elements, names_of_elements
from interp.snapshots.snapshot import Snapshot

VERSION = 3


def character_similarity(snapshot: Snapshot) -> pd.DataFrame:
    """Cosine between the logits of all pairs and tr rho(a b c^-1), for each representation but the trivial one.

    The logits are centred for each input over the answers c: what the softmax cannot see does not count. The cubes are
    orthogonal, so the squares add up to what a circuit of group composition by representations explains, at most 1. A
    low sum does not mean another circuit: a network that answers perfectly can stay at 0.63.

    On a cyclic group the representation "k=3" is the clock term of frequency 3, and the square is the
    `fraction_explained` of `logit_spectrum`.

    Columns:
        representation, dimension: name, and size of its matrices.
        coefficient: inner product of the logits with the unit-norm cube.
        similarity: cosine; negative where the logits are smallest at the right answer.
        fraction_explained: its square.
        null: the largest that this square gets after the elements were given random names, of 39 draws (2.5 % level),
            without the representations that stand out; infinite for groups of less than 7 elements. A network that
            looks its answers up holds some of every representation, in proportion to its squared dimension: so each
            has a null of its own, but in a commutative group, where it is the most of any, as in `logit_spectrum`.

    Raises:
        NotApplicable: if the answers are no product in a group.

    References: Chughtai et al. 2023, section 5.1 (logit similarity).
    """
    elements = snapshot.once(Elements)
    centred = elements.logit_cube - elements.logit_cube.mean(-1, keepdim=True)
    coefficients = character_coefficients(elements, centred)
    norm = centred.norm().clamp_min(torch.finfo(centred.dtype).tiny)
    cosines, null = (coefficients / norm).tolist(), _null(snapshot, elements, centred)
    nulls = (null / norm.square()).tolist()
    rows = zip(elements.representations[1:], coefficients.tolist(), cosines, nulls, strict=True)
    return pd.DataFrame(
        [
            {
                "representation": representation.name,
                "dimension": representation.dimension,
                "coefficient": coefficient,
                "similarity": cosine,
                "fraction_explained": cosine**2,
                "null": null,
            }
            for representation, coefficient, cosine, null in rows
        ]
    )


def _null(
    snapshot: Snapshot, elements: Elements, centred: Float[Tensor, "n n n"]
) -> Float[Tensor, " representation"]:
    identity = int(
        (elements.products.diagonal() == torch.arange(elements.n, device=centred.device)).nonzero()[0]
    )
    # tr rho(s c^-1) as a function of s^-1 c, to which c^-1 s is conjugate.
    waves = torch.stack([unit_traces(elements, i)[identity] for i in range(1, len(elements.representations))])
    floor = LOGIT_FRACTION * centred.square().sum().item() / elements.n
    by_product, cells = elements.mean_over_product(centred), snapshot.of_task(names_of_elements)
    is_commutative = torch.equal(elements.products, elements.products.T)
    _, null = standing_out(by_product, elements.products, waves, cells, floor=floor, together=is_commutative)
    return null * elements.n


def character_coefficients(
    elements: Elements, cube: Float[Tensor, "n n n"]
) -> Float[Tensor, " representation"]:
    """Inner product of cube[a, b, c] with the unit-norm tr rho(a b c^-1), for all representations but the trivial one.

    The traces depend on a∘b and c alone, so the cube is summed over pairs of one product first: n^2 numbers a
    representation instead of n^3.
    """
    by_product = elements.mean_over_product(cube) * elements.n
    tables = [unit_traces(elements, i) for i in range(1, len(elements.representations))]
    return torch.stack([(by_product * table).sum() for table in tables])


def unit_traces(elements: Elements, i: int) -> Float[Tensor, "n n"]:
    """tr rho(s c^-1) at [s, c], scaled so that the cube over all (a, b, c) with s = a∘b has norm 1."""
    traces = trace_table(elements.group, elements.representations[i]).to(elements.products.device)
    traces = traces.to(elements.logits.dtype)
    # Each s is the product of n pairs.
    return traces / (traces.norm() * elements.n**0.5)

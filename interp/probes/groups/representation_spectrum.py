"""How much of embeddings, unembedding and neurons each representation holds."""

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from interp.snapshots.elements import Elements
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1

EMBEDDINGS = ("left_embedding", "right_embedding", "unembedding")


def representation_spectrum(snapshot: Snapshot) -> pd.DataFrame:
    """Squared norm of embeddings, unembedding and neurons along the matrix elements of each representation.

    A function on the group has a part along each representation, and the parts are orthogonal: what Fourier analysis
    is to residues. A network that composes through few representations has few large shares; an untrained one has
    shares like the number of matrix elements (d^2 of n), so that representations of large dimension look large.

    The neurons are functions of both operands. Their parts along rho(a), rho(b) and rho(ab) are orthogonal too, but
    do not add up to the whole: products of matrix elements of a and of b are left. The share of rho(ab), through which
    the network answers, is small even in a perfect one (0.1), since a ReLU keeps large parts of rho(a) and rho(b).

    Columns:
        part: "left_embedding", "right_embedding" (the total embedding of an attention-free MLP, W_E of a
            transformer), "unembedding" (neurons to logits), "hidden_left", "hidden_right", "hidden_product" (neurons
            of the last MLP layer, centred over all pairs, along rho(a), rho(b), rho(ab)). Parts that the network does
            not have are absent.
        representation, dimension: name, and size of its matrices.
        n_functions: number of its independent matrix elements, m of n: the share that a random matrix has is near m/n.
        power: squared norm, summed over columns or neurons.
        share: of the squared norm of the whole, the trivial representation (a shift of all elements) included.
        fraction: of all representations but the trivial one (0 for that); on a cyclic group the fraction of
            `embedding_spectrum`. Of the neurons the same as `share`.

    Raises:
        NotApplicable: if the answers are no product in a group, or the network has none of the parts.

    References: Chughtai et al. 2023, sections 5.2 and 5.3, appendix E.5 and published code.
    """
    elements = snapshot.once(Elements)
    tables, reasons = [], []
    for part in EMBEDDINGS:
        try:
            x = getattr(elements, part)
        except NotApplicable as reason:
            reasons.append(reason)
            continue
        tables.append(_shares(elements, part, x, weight=1, total=x.square().sum()))
    try:
        hidden = elements.neurons - elements.neurons.mean((0, 1))
    except NotApplicable as reason:
        reasons.append(reason)
    else:
        tables += _hidden_shares(elements, hidden)
    if not tables:
        raise reasons[0]
    return pd.concat(tables, ignore_index=True)


def _hidden_shares(elements: Elements, hidden: Float[Tensor, "n n neuron"]) -> list[pd.DataFrame]:
    # A function of one of a, b, ab sees only the mean over all else, which n pairs share.
    means = {
        "hidden_left": hidden.mean(1),
        "hidden_right": hidden.mean(0),
        "hidden_product": elements.mean_over_product(hidden),
    }
    total = hidden.square().sum()
    return [_shares(elements, part, x, weight=elements.n, total=total) for part, x in means.items()]


def _shares(
    elements: Elements, part: str, x: Float[Tensor, "n d"], weight: int, total: Float[Tensor, ""]
) -> pd.DataFrame:
    power = [weight * (basis.T @ x).square().sum().item() for basis in elements.bases]
    varying = total.item() - power[0]
    return pd.DataFrame(
        {
            "part": part,
            "representation": [r.name for r in elements.representations],
            "dimension": [r.dimension for r in elements.representations],
            "n_functions": [r.n_matrix_elements for r in elements.representations],
            "power": power,
            "share": [p / total.item() if total > 0 else 0.0 for p in power],
            "fraction": [0.0, *(p / varying if varying > 0 else 0.0 for p in power[1:])],
        }
    )

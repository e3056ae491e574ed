"""How much of what earlier heads write later heads read as query, key or value."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1

# The most of 19 is exceeded by chance in 5 % of cases.
N_NULL_DRAWS = 19


def head_composition(snapshot: Snapshot, *, seed: int = 0) -> pd.DataFrame:
    """Q-, K- and V-composition of every head with every one of an earlier layer, from the weights alone.

    A score is the share of sizes that survives the product: |AB| / (|A| |B|), Frobenius norms, of what the earlier head
    writes (W_V W_O) and what the later one does with it. Matrices of rank d_head whose directions have nothing to do
    with one another score 1/sqrt(d_model) on average of squares; the null turns the residual stream between the two at
    random, which leaves each matrix and its singular values as they are.

    It says what could pass. Whether anything does depends on patterns, and layer norms, biases and MLPs between are
    ignored. The score is a mean over all directions: a head that passes one thing that matters among many that do not
    has a low one.

    Columns:
        layer, head: of the later head.
        earlier_layer, earlier_head.
        kind: "Q": W_VO W_QK, "K": W_QK W_VO^T, "V": W_VO W_VO, with W_QK = W_Q W_K^T of the later head.
        score: in [0, 1]; NaN where a head writes or reads nothing.
        null: the most of 19 random rotations between the two.
        expected: 1/sqrt(d_model), the root of the mean square over all rotations, exactly.

    Raises:
        NotApplicable: if the network has fewer than two layers of attention, or no config.

    References: Elhage et al. 2021, "A mathematical framework for transformer circuits" (composition scores).
    """
    config = snapshot.config
    if not config.n_heads or config.n_layers < 2:
        raise NotApplicable("Heads compose across layers: this needs a network with two layers of attention.")
    d = config.d_model
    turns = _rotations(d, N_NULL_DRAWS, seed).to(snapshot.device, snapshot.double)
    writes, scores = zip(*(_circuits(snapshot, layer) for layer in range(config.n_layers)), strict=True)
    tables = []
    for layer in range(1, config.n_layers):
        readers = {"Q": scores[layer], "K": scores[layer].mT, "V": writes[layer]}
        for earlier in range(layer):
            for kind, read in readers.items():
                found = _shares(writes[earlier], read)
                turned = torch.stack([_shares(writes[earlier] @ turn, read) for turn in turns]).amax(0)
                by, of = np.meshgrid(range(config.n_heads), range(config.n_heads), indexing="ij")
                tables.append(
                    pd.DataFrame(
                        {
                            "layer": layer,
                            "head": of.ravel(),
                            "earlier_layer": earlier,
                            "earlier_head": by.ravel(),
                            "kind": kind,
                            "score": found.cpu().numpy().ravel(),
                            "null": turned.cpu().numpy().ravel(),
                            "expected": d**-0.5,
                        }
                    )
                )
    return pd.concat(tables, ignore_index=True)


def _circuits(
    snapshot: Snapshot, layer: int
) -> tuple[Float[Tensor, "head d_model d_model"], Float[Tensor, "head d_model d_model"]]:
    """W_V W_O and W_Q W_K^T of each head, for rows on their left."""
    W_Q, W_K, W_V, W_O = (
        snapshot.weights[f"blocks.{layer}.attn.W_{name}"].to(snapshot.double) for name in "QKVO"
    )
    return W_V @ W_O, W_Q @ W_K.mT


def _shares(
    written: Float[Tensor, "earlier d_model d_model"], read: Float[Tensor, "head d_model d_model"]
) -> Float[Tensor, "earlier head"]:
    product = torch.linalg.matrix_norm(written[:, None] @ read)
    sizes = torch.linalg.matrix_norm(written)[:, None] * torch.linalg.matrix_norm(read)
    return torch.where(sizes > 0, product / sizes, torch.nan)


def _rotations(d: int, n: int, seed: int) -> Float[Tensor, "draw d_model d_model"]:
    """Orthogonal matrices, uniform among all."""
    normal = np.random.default_rng([seed, d]).standard_normal((n, d, d))
    q, r = np.linalg.qr(normal)
    # The signs make it uniform: QR as it is prefers some.
    return torch.from_numpy(q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None])

"""What each head reads from the embedding: its QK and OV circuits by frequency, from the weights alone."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.mathematics import fourier
from interp.mathematics.relabelling import spectrum_null
from interp.networks.config import Weights
from interp.networks.layers import layer_norm, sinusoidal_positions, unembedding
from interp.snapshots.residues import Residues, names_of_residues
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 2

N_NULL_DRAWS = 9


def attention_circuits(snapshot: Snapshot) -> pd.DataFrame:
    """Power by frequency of the first layer's QK and OV circuits, for each head and operand.

    In the first layer the score of a token and what a head would add for it are exact look-ups by token: no inputs are
    needed and nothing is approximated. The circuits say what a head could do; whether it does depends on the pattern,
    and a head that attends by one frequency and moves others is common. Deeper layers read sums over positions and
    have no such look-up.

    Columns:
        layer: 0.
        head, position: position 0 is the first operand, 1 the second.
        circuit: "qk": the score q.K(token) / sqrt(d_head) from the answered position; power averaged over the queries
            that occur (one where the query is "="; the operand's own where it is the query). "ov_neurons", "ov_logits":
            what the value of the token adds, through W_O, to the input of each neuron (W_in) or directly to the
            logits (W_U); power summed over neurons or answers. A normalization after attention is left out of both.
        frequency: 1 .. n//2. The constant is left out: a softmax does not see that of the scores.
        power: squared norm of the cosine and sine components over the operand's tokens.
        fraction: share of the power of all non-constant frequencies; NaN where there is none.
        null: the largest share of any frequency after the tokens' residues were given random names, the most of 9 draws
            (10 % level).

    Raises:
        NotApplicable: if the task has no algebra or the network no attention.

    References: Elhage et al. 2021, "A mathematical framework for transformer circuits" (QK and OV circuits); Nanda et
        al. 2023, appendix (scores in the Fourier basis).
    """
    if snapshot.config.is_mlp:
        raise NotApplicable("This network has no attention.")
    weights = {name: w.cpu().double() for name, w in snapshot.weights.items()}
    grams = list(_grams(snapshot, weights))
    # (operand and circuit, head, frequency)
    power = torch.stack([_power(x) for _, _, x in grams])
    names = snapshot.of_task(names_of_residues)[:N_NULL_DRAWS].cpu()
    null = torch.stack([spectrum_null(x, names) for _, _, x in grams])
    n_heads, n_k = power.shape[1:]
    total = power.sum(-1, keepdim=True)
    of_each = n_heads * n_k
    return pd.DataFrame(
        {
            "layer": 0,
            "head": np.tile(np.repeat(np.arange(n_heads), n_k), len(grams)),
            "position": np.repeat([position for position, _, _ in grams], of_each),
            "circuit": np.repeat([circuit for _, circuit, _ in grams], of_each),
            "frequency": np.tile(np.arange(1, n_k + 1), len(grams) * n_heads),
            "power": power.flatten().numpy(),
            "fraction": torch.where(total > 0, power / total, torch.nan).flatten().numpy(),
            "null": null[..., None].expand_as(power).flatten().numpy(),
        }
    )


def _grams(snapshot: Snapshot, weights: Weights) -> Iterator[tuple[int, str, Float[Tensor, "head n n"]]]:
    """Position, name and inner products over an operand's tokens of each circuit of both operands."""
    readouts = {
        "ov_logits": unembedding(snapshot.config, weights)[:, snapshot.once(Residues).answer_order.cpu()]
    }
    if snapshot.config.d_mlp:
        readouts["ov_neurons"] = weights["blocks.0.mlp.W_in"]
    through = {name: weights["blocks.0.attn.W_O"] @ readout for name, readout in readouts.items()}
    inner = {name: x @ x.transpose(1, 2) for name, x in through.items()}
    for position in (0, 1):
        scores = operand_scores(snapshot, weights, position)
        yield position, "qk", torch.einsum("tqh,uqh->htu", scores, scores)
        x = _first_input(snapshot, weights, operand_tokens(snapshot, position), position)
        # The bias of the values has no frequency.
        values = torch.einsum("tm,hme->hte", x, weights["blocks.0.attn.W_V"])
        for circuit, product in inner.items():
            yield position, circuit, values @ product @ values.transpose(1, 2)


def _power(gram: Float[Tensor, "head n n"]) -> Float[Tensor, "head frequency"]:
    """Power of each frequency of the tokens, without the constant: the diagonal of the transformed products."""
    n = gram.shape[-1]
    transformed = fourier.transform(fourier.transform(gram, 1), 2).diagonal(dim1=1, dim2=2)
    power = gram.new_zeros((len(gram), n // 2 + 1))
    # Rounding of products may leave less than nothing.
    return power.index_add_(1, fourier.frequency_of_component(n), transformed)[:, 1:].clamp_min(0)


def operand_tokens(snapshot: Snapshot, position: int) -> Int[Tensor, " n"]:
    """The tokens of the first or second operand, in the order of the task's structure."""
    structure = snapshot.once(Residues).structure
    names = (structure.first, structure.second)[position]
    # A residue without a name has -1 and is sorted in front.
    return structure.operand_tokens[position][names.argsort()[-structure.order :]]


def operand_scores(snapshot: Snapshot, weights: Weights, position: int) -> Float[Tensor, "n query head"]:
    """Score from the answered position to an operand, by the operand's token and by query, over sqrt(queries).

    Divided so that squares summed over queries are means.
    """
    config, last = snapshot.config, snapshot.config.n_ctx - 1
    tokens = operand_tokens(snapshot, position)
    keys = _heads("K", _first_input(snapshot, weights, tokens, position), weights)
    if last == position:  # the operand is its own query
        queries = _heads("Q", _first_input(snapshot, weights, tokens, last), weights)
        return torch.einsum("the,the->th", queries, keys)[:, None] / config.d_head**0.5
    distinct = snapshot.known_task.tokens[:, -1].unique()
    queries = _heads("Q", _first_input(snapshot, weights, distinct, last), weights)
    return torch.einsum("qhe,the->tqh", queries, keys) / (config.d_head * len(distinct)) ** 0.5


def _first_input(snapshot: Snapshot, weights: Weights, tokens: Tensor, position: int) -> Tensor:
    """What the first layer's heads read for these tokens at a position, exactly as the network computes it."""
    config = snapshot.config
    x = weights["embed.W_E"][tokens.cpu()]
    if config.positions == "learned":
        x = x + weights["pos_embed.W_pos"][position]
    elif config.positions == "sinusoidal":
        x = x + sinusoidal_positions(config.n_ctx, config.d_model)[position]
    if config.normalization_type and config.norm_placement == "pre":
        x = layer_norm(x, weights, "blocks.0.ln1", config)
    return x


def _heads(name: str, x: Tensor, weights: Weights) -> Tensor:
    bias = weights.get(f"blocks.0.attn.b_{name}")
    out = torch.einsum("tm,hme->the", x, weights[f"blocks.0.attn.W_{name}"])
    return out if bias is None else out + bias

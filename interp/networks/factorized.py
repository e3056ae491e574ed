"""The same logits without repeated work: a one-layer network evaluated once per distinct (token, position) row.

The inputs of a modular task are pairs, so the p^2 rows of the full table hold only 2p + 1 distinct (token, position)
combinations. In a one-layer network everything before the softmax depends on one such combination: keys, scores and
value-outputs (values through W_O) are computed once for each. Only the answered position matters after that, so there
is one query a distinct last token (one altogether where the last token is "="), one row of attention and one MLP
evaluation per example. The result differs from the plain forward pass by float rounding only, forward and backward.

Mixing the value-outputs by the pattern is a batch of thin matrix products: the examples that read the same row at a
position form a group, and each group multiplies its patterns (example, head) with that row's (head, d_model).

`Rows` is the preparation for a set of inputs (which rows exist, which example reads which); `forward` takes weights.
For networks to which the factorization does not apply `obstacle` says why, and `interp.networks.answers` and
`interp.networks.network` take `interp.networks.plain` instead.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.networks.config import ModelConfig, Weights
from interp.networks.layers import activation, layer_norm, sinusoidal_positions, unembedding


def obstacle(config: ModelConfig) -> str | None:
    """Why the factorization does not apply to this network, or None where it does."""
    if config.is_mlp:
        return "the network has no attention"
    if config.n_layers != 1:
        return f"the network has {config.n_layers} layers: keys of the second depend on the whole input"
    return None


@dataclass(frozen=True, eq=False)
class Groups:
    """The examples that share a row at one position, padded to the largest group.

    Attributes:
        rows: the row of each group.
        members: example in each place of each group; padding repeats example 0 and is never read back.
        place: flat place (group * size + slot) of each example.
    """

    rows: Int[Tensor, " group"]
    members: Int[Tensor, "group slot"]
    place: Int[Tensor, " example"]

    @classmethod
    def of(cls, row_of_example: Int[Tensor, " example"]) -> "Groups":
        rows, group, counts = row_of_example.unique(return_inverse=True, return_counts=True)
        order = group.argsort(stable=True)
        first = counts.cumsum(0) - counts
        size = int(counts.max())
        slot = torch.empty_like(group)
        slot[order] = torch.arange(len(group), device=group.device) - first[group[order]]
        place = group * size + slot
        members = torch.zeros(len(rows) * size, dtype=torch.long, device=group.device)
        members[place] = torch.arange(len(group), device=group.device)
        return cls(rows, members.view(len(rows), size), place)


@dataclass(frozen=True, eq=False)
class Rows:
    """The distinct (token, position) rows of a set of inputs.

    Attributes:
        tokens, positions: what each distinct row is.
        of_example: the row that each example has at each position.
        of_query: for each distinct last row, its index among rows.
        query_of_example: index into `of_query` for each example.
        groups: for each position, the examples by the row that they have there.
    """

    tokens: Int[Tensor, " row"]
    positions: Int[Tensor, " row"]
    of_example: Int[Tensor, "example pos"]
    of_query: Int[Tensor, " query"]
    query_of_example: Int[Tensor, " example"]
    groups: tuple[Groups, ...]

    @classmethod
    def of(cls, tokens: Int[Tensor, "example pos"]) -> "Rows":
        """The rows of these inputs, on the inputs' device."""
        n_pos = tokens.shape[1]
        keys = tokens * n_pos + torch.arange(n_pos, device=tokens.device)
        distinct, inverse = keys.unique(return_inverse=True)
        of_query, query_of_example = inverse[:, -1].unique(return_inverse=True)
        groups = tuple(Groups.of(inverse[:, pos].contiguous()) for pos in range(n_pos))
        return cls(distinct // n_pos, distinct % n_pos, inverse, of_query, query_of_example, groups)


@dataclass(frozen=True, eq=False)
class Activations:
    """What the factorized pass computes at the answered position, under TransformerLens' meanings.

    Attributes:
        pattern: attention of the answered position (after mixing with the constant).
        resid_mid, pre, post, resid_post: the residual stream and the neurons there; pre and post are None without
            MLP.
        logits: logits there.
    """

    pattern: Float[Tensor, "example head pos"]
    resid_mid: Float[Tensor, "example d_model"]
    pre: Float[Tensor, "example neuron"] | None
    post: Float[Tensor, "example neuron"] | None
    resid_post: Float[Tensor, "example d_model"]
    logits: Float[Tensor, "example d_vocab_out"]


def forward(config: ModelConfig, weights: Weights, rows: Rows) -> Activations:
    """Activations and logits at the answered (last) position of every example.

    Raises:
        ValueError: if the factorization does not apply to the config.
    """
    if why := obstacle(config):
        raise ValueError(f"The factorized pass needs a one-layer transformer on pairs; {why}.")
    c = config
    pre_norm = bool(c.normalization_type) and c.norm_placement == "pre"
    post_norm = bool(c.normalization_type) and c.norm_placement == "post"

    resid_pre = weights["embed.W_E"].index_select(0, rows.tokens)
    if c.positions == "learned":
        resid_pre = resid_pre + weights["pos_embed.W_pos"].index_select(0, rows.positions)
    elif c.positions == "sinusoidal":
        resid_pre = resid_pre + sinusoidal_positions(c.n_ctx, c.d_model).to(resid_pre)[rows.positions]
    x = layer_norm(resid_pre, weights, "blocks.0.ln1", c) if pre_norm else resid_pre

    pattern, attn_out = _attention(c, weights, rows, x)
    query_rows = rows.of_query
    if len(query_rows) == 1:
        resid_mid = attn_out + resid_pre[query_rows]
    else:
        resid_mid = attn_out + resid_pre.index_select(0, query_rows).index_select(0, rows.query_of_example)
    if post_norm:
        resid_mid = layer_norm(resid_mid, weights, "blocks.0.ln1", c)

    pre = post = None
    resid_post = resid_mid
    if c.d_mlp:
        mlp_in = layer_norm(resid_mid, weights, "blocks.0.ln2", c) if pre_norm else resid_mid
        pre = _linear(mlp_in, weights["blocks.0.mlp.W_in"], weights.get("blocks.0.mlp.b_in"))
        post = activation(c.act_fn, pre)
        resid_post = resid_mid + _linear(
            post, weights["blocks.0.mlp.W_out"], weights.get("blocks.0.mlp.b_out")
        )
        if post_norm:
            resid_post = layer_norm(resid_post, weights, "blocks.0.ln2", c)
    final = layer_norm(resid_post, weights, "ln_final", c) if pre_norm else resid_post
    logits = _linear(final, unembedding(c, weights), weights.get("unembed.b_U"))
    return Activations(pattern, resid_mid, pre, post, resid_post, logits)


def _linear(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
    return x @ w if b is None else torch.addmm(b, x, w)


def _attention(c: ModelConfig, weights: Weights, rows: Rows, x: Tensor) -> tuple[Tensor, Tensor]:
    def head_rows(name: str, source: Tensor) -> Tensor:
        out = torch.einsum("rm,hme->rhe", source, weights[f"blocks.0.attn.W_{name}"])
        bias = weights.get(f"blocks.0.attn.b_{name}")
        return out if bias is None else out + bias

    queries = head_rows("Q", x.index_select(0, rows.of_query))
    keys, values = head_rows("K", x), head_rows("V", x)
    n_example, n_pos = rows.of_example.shape

    # (query, row, head) scores, then one gather per example and position.
    table = torch.einsum("qhe,rhe->qrh", queries, keys) / c.d_head**0.5
    cell = rows.of_example + (rows.query_of_example * len(x))[:, None]
    scores = table.reshape(-1, c.n_heads).index_select(0, cell.reshape(-1)).view(n_example, n_pos, c.n_heads)
    pattern = scores.softmax(1)
    if c.attention_rate != 1:
        pattern = c.attention_rate * pattern + (1 - c.attention_rate)

    # (row, head, d_model): what a head adds to the stream where it attends to that row alone.
    outputs = torch.einsum("rhe,hem->rhm", values, weights["blocks.0.attn.W_O"])
    attn_out = weights.get("blocks.0.attn.b_O", outputs.new_zeros(c.d_model))
    for pos, groups in enumerate(rows.groups):
        weight = pattern[:, pos].index_select(0, groups.members.reshape(-1)).view(*groups.members.shape, -1)
        mixed = torch.bmm(weight, outputs.index_select(0, groups.rows))
        attn_out = attn_out + mixed.reshape(-1, c.d_model).index_select(0, groups.place)
    return pattern.transpose(1, 2), attn_out

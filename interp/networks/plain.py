"""The forward pass as a function: weights and inputs to logits, at every position, for every network of a config.

Nothing here holds state, so that the pass can be mapped over a stack of weights (`torch.func.vmap`), differentiated
(`jvp`, `jacrev`) and tapped: `tap(name, x)` sees each activation under the name of its TransformerLens hook, in the
order of `hook_names`, and what it returns goes on in its place. Hooked modules pass their hook points, snapshots a
collector, interventions an edit.

    >>> kept = {}
    >>> def keep(name, x):
    ...     kept[name] = x
    ...     return x
    >>> forward(config, weights, tokens, keep)                              # doctest: +SKIP
    >>> torch.func.vmap(lambda w: forward(config, w, tokens))(stack)        # doctest: +SKIP
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.networks.config import ModelConfig, Weights
from interp.networks.layers import (
    activation,
    joined,
    layer_norm,
    norm_scale,
    sinusoidal_positions,
    unembedding,
)

Tap = Callable[[str, Tensor], Tensor]


def untapped(name: str, x: Tensor) -> Tensor:
    """The activation as it is."""
    return x


def hook_names(config: ModelConfig) -> list[str]:
    """The name of every activation that `forward` shows to its tap, in the order of the pass."""
    c = config
    if c.is_mlp:
        layers = [f"blocks.{layer}.mlp.{x}" for layer in range(c.n_layers) for x in ("hook_pre", "hook_post")]
        return ["hook_embed", *layers, "hook_unembed"]
    norms = {when: bool(c.normalization_type) and c.norm_placement == when for when in ("pre", "post")}
    names = ["hook_embed"] + ["hook_pos_embed"] * (c.positions != "none")
    for layer in range(c.n_layers):
        block = f"blocks.{layer}"
        norm = [f"{block}.ln1.hook_scale", f"{block}.ln1.hook_normalized"]
        names += [f"{block}.hook_resid_pre"] + norm * norms["pre"]
        names += [f"{block}.attn.hook_{x}" for x in ("q", "k", "v", "attn_scores", "pattern", "z")]
        names += [f"{block}.hook_attn_out"] + norm * norms["post"] + [f"{block}.hook_resid_mid"]
        if c.d_mlp:
            norm = [f"{block}.ln2.hook_scale", f"{block}.ln2.hook_normalized"]
            names += norm * norms["pre"] + [f"{block}.mlp.hook_pre", f"{block}.mlp.hook_post"]
            names += [f"{block}.hook_mlp_out"] + norm * norms["post"]
        names.append(f"{block}.hook_resid_post")
    return [*names, *["ln_final.hook_scale", "ln_final.hook_normalized"] * norms["pre"], "hook_unembed"]


def forward(
    config: ModelConfig,
    weights: Weights,
    inputs: Int[Tensor, "batch pos"] | Float[Tensor, "batch pos"],
    tap: Tap = untapped,
) -> Float[Tensor, "batch answered d_vocab_out"]:
    """Logits at every position; an attention-free MLP answers once, at a single position.

    Inputs are taken as they are: tokens outside the vocabulary are an error of torch's (`interp.networks.hooked` says
    which token it was).

    Args:
        weights: exactly the parameters of the config (`check_weights`), of any dtype.
        inputs: tokens; numbers, one a position, of a network that reads features.
        tap: sees every activation and gives what goes on in its place, of the same shape.
    """
    if config.is_mlp:
        x = joined(config, tap("hook_embed", _embedded(config, weights, inputs)))[:, None]
        for layer in range(config.n_layers):
            x = _neurons(config, weights, f"blocks.{layer}.mlp", x, tap)
    else:
        x = residual_stream(config, weights, inputs, config.n_layers, tap)
        x = _norm(config, weights, "ln_final", x, tap, when="pre")
    logits = x @ unembedding(config, weights)
    if config.unembed_bias:
        logits = logits + weights["unembed.b_U"]
    return tap("hook_unembed", logits)


def positions(config: ModelConfig, weights: Weights, n_pos: int) -> Float[Tensor, "pos d_model"]:
    """What is added to the embeddings of the first positions, learned or fixed."""
    if config.positions == "learned":
        return weights["pos_embed.W_pos"][:n_pos]
    return sinusoidal_positions(config.n_ctx, config.d_model).to(weights["embed.W_E"])[:n_pos]


def _embedded(c: ModelConfig, weights: Weights, inputs: Tensor) -> Tensor:
    if c.reads_features:
        return inputs[..., None].to(weights["unembed.W_U"])
    if not c.one_hot_embed:
        return weights["embed.W_E"][inputs]
    return torch.nn.functional.one_hot(inputs, c.d_vocab).to(weights["unembed.W_U"])


def residual_stream(
    config: ModelConfig,
    weights: Weights,
    inputs: Int[Tensor, "batch pos"],
    n_blocks: int,
    tap: Tap = untapped,
) -> Float[Tensor, "batch pos d_model"]:
    """The residual stream of a transformer after its first blocks, without the norm before the unembedding."""
    x = tap("hook_embed", _embedded(config, weights, inputs))
    if config.positions != "none":
        shifts = positions(config, weights, inputs.shape[1]).expand(len(inputs), -1, -1)
        x = x + tap("hook_pos_embed", shifts)
    for layer in range(n_blocks):
        x = _block(config, weights, f"blocks.{layer}", x, tap)
    return x


def _norm(c: ModelConfig, weights: Weights, name: str, x: Tensor, tap: Tap, when: str) -> Tensor:
    if not c.normalization_type or c.norm_placement != when:
        return x
    if tap is untapped:
        return layer_norm(x, weights, name, c)
    # In pieces, so that an edit of the scale reaches what is divided by it.
    x = (x - x.mean(-1, keepdim=True)) / tap(f"{name}.hook_scale", norm_scale(x))
    x = x * weights.get(f"{name}.w", 1) + weights.get(f"{name}.b", 0)
    return tap(f"{name}.hook_normalized", x)


def _block(c: ModelConfig, weights: Weights, block: str, x: Tensor, tap: Tap) -> Tensor:
    x = tap(f"{block}.hook_resid_pre", x)
    read = _norm(c, weights, f"{block}.ln1", x, tap, when="pre")
    x = x + tap(f"{block}.hook_attn_out", _attention(c, weights, f"{block}.attn", read, tap))
    x = _norm(c, weights, f"{block}.ln1", x, tap, when="post")
    x = tap(f"{block}.hook_resid_mid", x)
    if c.d_mlp:
        read = _norm(c, weights, f"{block}.ln2", x, tap, when="pre")
        neurons = _neurons(c, weights, f"{block}.mlp", read, tap)
        written = neurons @ weights[f"{block}.mlp.W_out"] + weights.get(f"{block}.mlp.b_out", 0)
        x = x + tap(f"{block}.hook_mlp_out", written)
        x = _norm(c, weights, f"{block}.ln2", x, tap, when="post")
    return tap(f"{block}.hook_resid_post", x)


def _neurons(c: ModelConfig, weights: Weights, mlp: str, x: Tensor, tap: Tap) -> Tensor:
    pre = tap(f"{mlp}.hook_pre", x @ weights[f"{mlp}.W_in"] + weights.get(f"{mlp}.b_in", 0))
    return tap(f"{mlp}.hook_post", activation(c.act_fn, pre))


def _attention(c: ModelConfig, weights: Weights, attn: str, x: Tensor, tap: Tap) -> Tensor:
    q, k, v = (
        tap(
            f"{attn}.hook_{name.lower()}",
            torch.einsum("bpm,hme->bphe", x, weights[f"{attn}.W_{name}"])
            + weights.get(f"{attn}.b_{name}", 0),
        )
        for name in "QKV"
    )
    scores = torch.einsum("bqhe,bkhe->bhqk", q, k) / c.d_head**0.5
    future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
    is_causal = c.attention_dir == "causal"
    if is_causal:
        scores = scores.masked_fill(future, -torch.inf)
    pattern = tap(f"{attn}.hook_attn_scores", scores).softmax(-1)
    if c.attention_rate != 1:
        pattern = c.attention_rate * pattern + (1 - c.attention_rate)
        if is_causal:
            pattern = pattern.masked_fill(future, 0)
    pattern = tap(f"{attn}.hook_pattern", pattern)
    z = tap(f"{attn}.hook_z", torch.einsum("bhqk,bkhe->bqhe", pattern, v))
    return torch.einsum("bqhe,hem->bqm", z, weights[f"{attn}.W_O"]) + weights.get(f"{attn}.b_O", 0)

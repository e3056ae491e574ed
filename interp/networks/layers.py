"""The pieces that every forward pass is made of."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from interp.networks.config import ModelConfig, Weights

EPSILON = 1e-5


def activation(name: str, x: Tensor) -> Tensor:
    """The activation function of that name, applied to x."""
    if name == "relu":
        return torch.relu(x)
    if name == "gelu":
        return torch.nn.functional.gelu(x)
    if name == "quadratic":
        return x.square()
    if name == "tanh":
        return torch.tanh(x)
    raise ValueError(f"An activation is one of relu, gelu, quadratic, tanh, got {name!r}.")


def sinusoidal_positions(n_ctx: int, d_model: int) -> Tensor:
    """Fixed positions (n_ctx, d_model): sines in the even columns, cosines in the odd ones.

    References: Vaswani et al. 2017, section 3.5.
    """
    position = torch.arange(n_ctx, dtype=torch.float64)[:, None]
    column = torch.arange(d_model)
    angle = position / 10000 ** ((column - column % 2).double() / d_model)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


def layer_norm(x: Tensor, weights: Weights, prefix: str, config: ModelConfig) -> Tensor:
    """LayerNorm with epsilon 1e-5, with `prefix.w` and `prefix.b` or (LNPre) without."""
    return torch.nn.functional.layer_norm(
        x, (config.d_model,), weights.get(f"{prefix}.w"), weights.get(f"{prefix}.b"), EPSILON
    )


def norm_scale(x: Tensor) -> Tensor:
    """What LayerNorm divides by, `(..., 1)`."""
    return (x.var(-1, correction=0, keepdim=True) + EPSILON).sqrt()


def joined(config: ModelConfig, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch width"]:
    """What the first hidden layer of an attention-free MLP reads of the embeddings: all side by side, or their sum."""
    return x.sum(1) if config.summed_embed else x.flatten(1)


def unembedding(config: ModelConfig, weights: Weights) -> Tensor:
    """W_U (width, d_vocab_out), also where it is tied to the embedding."""
    if config.tied_unembed:
        return weights["embed.W_E"][: config.d_vocab_out].T
    return weights["unembed.W_U"]


def neuron_unembedding(
    config: ModelConfig, weights: Weights, dtype: torch.dtype
) -> Float[Tensor, "neuron output"]:
    """What one unit of each neuron of the last MLP layer adds to each logit, in this dtype.

    W_U of an attention-free MLP, W_out W_U of a transformer; beside normalization there is no such thing.
    """
    w_u = unembedding(config, weights).to(dtype)
    if config.is_mlp:
        return w_u
    return weights[f"blocks.{config.n_layers - 1}.mlp.W_out"].to(dtype) @ w_u


def with_embedding(
    config: ModelConfig, weights: Weights, W_E: Float[Tensor, "token d_model"]
) -> tuple[ModelConfig, Weights]:
    """The network with another embedding and its old unembedding, also where the two were tied."""
    untied = replace(config, tied_unembed=False, one_hot_embed=False, d_vocab=len(W_E))
    return untied, {**weights, "embed.W_E": W_E, "unembed.W_U": unembedding(config, weights)}


def as_matrix(name: str, w: Tensor) -> Float[Tensor, "row column"]:
    """A weight as one linear map; of more than two axes, all but the last are rows, except for W_Q, W_K and W_V."""
    if w.ndim == 3 and name.rsplit(".", 1)[-1] in ("W_Q", "W_K", "W_V"):
        w = w.transpose(0, 1).flatten(1)
    return w.reshape(-1, w.shape[-1]) if w.ndim > 2 else w

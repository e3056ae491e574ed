"""State dicts whose matrices stand on the left of what they act on: the progress-measures repository and its heirs.

Key names are those of HookedTransformer; what tells them apart is W_O, which is 2-D here (d_model, head * d_head). The
embedding is (d_model, token), W_Q, W_K and W_V are (head, d_head, d_model), W_in (neuron, d_model), W_out (d_model,
neuron), W_U (d_model, token) with a column for "=" that no answer has. Biases only in the MLP, no LayerNorm, a causal
mask as a buffer. One layer or several.

References: Nanda et al. 2023, the released code (progress-measures-paper, transformers.py).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from interp.sources.formats.format import Format, Found
from interp.sources.formats.network import Network, Tensors, direction, network, prefix_before
from interp.sources.formats.trainer_options import stated_by

USUAL = {"act_fn": "relu", "attention_dir": "causal"}


def is_left_facing(found: Found) -> bool:
    prefix = prefix_before(found.tensors, "embed.W_E")
    w_o = found.tensors.get(f"{prefix}blocks.0.attn.W_O")
    return prefix is not None and w_o is not None and w_o.ndim == 2


def from_left_facing(found: Found, stated: Mapping[str, Any], *, mask_counts: bool = True) -> Network:
    """The network of a left-facing state dict.

    Args:
        mask_counts: whether the stored mask is applied by the code that trained the network.

    Raises:
        SourceError: if tensors are missing, unknown or of another shape.
    """
    t = Tensors(found.tensors, prefix_before(found.tensors, "embed.W_E") or "", found.where)
    w_e = t.take("embed.W_E", None, None)
    d_model, d_vocab = w_e.shape
    w_pos = t.take("pos_embed.W_pos", None, d_model)
    weights: dict[str, Tensor | None] = {"embed.W_E": w_e.T, "pos_embed.W_pos": w_pos}
    n_layers = t.n_layers("blocks.{}.attn.W_O")
    n_heads = d_head = d_mlp = None
    masks = set()
    for layer in range(n_layers):
        attn, mlp = f"blocks.{layer}.attn", f"blocks.{layer}.mlp"
        for name in "QKV":
            w = t.take(f"{attn}.W_{name}", n_heads, d_head, d_model)
            n_heads, d_head = w.shape[:2]
            weights[f"{attn}.W_{name}"] = w.transpose(1, 2)
        w_o = t.take(f"{attn}.W_O", d_model, n_heads * d_head)  # type: ignore[operator]
        weights[f"{attn}.W_O"] = w_o.T.reshape(n_heads, d_head, d_model)  # type: ignore[arg-type]
        masks.add(direction(t.drop(f"{attn}.mask"), found.where))
        w_in = t.take(f"{mlp}.W_in", d_mlp, d_model)
        d_mlp = len(w_in)
        weights[f"{mlp}.W_in"] = w_in.T
        weights[f"{mlp}.b_in"] = t.take(f"{mlp}.b_in", d_mlp)
        weights[f"{mlp}.W_out"] = t.take(f"{mlp}.W_out", d_model, d_mlp).T
        weights[f"{mlp}.b_out"] = t.take(f"{mlp}.b_out", d_model)
    w_u = weights["unembed.W_U"] = t.take("unembed.W_U", d_model, None)
    shown = {
        "n_layers": n_layers, "d_model": d_model, "n_heads": n_heads, "d_head": d_head, "d_mlp": d_mlp,
        "n_ctx": len(w_pos), "d_vocab": d_vocab, "d_vocab_out": w_u.shape[1], "positions": "learned",
        "normalization_type": None, "norm_placement": "pre", "tied_unembed": False, "attention_bias": False,
        "mlp_bias": True, "unembed_bias": False, "attention_rate": stated.get("attention_rate", 1.0),
    }  # fmt: skip
    if mask_counts and masks - {None}:
        shown["attention_dir"] = (masks - {None}).pop()
    return network(t, weights, shown, stated, USUAL)


def _with_options(found: Found, stated: Mapping[str, Any]) -> Network:
    return from_left_facing(found, stated_by(found.options, found.where) | dict(stated))


LEFT_FACING = Format(
    name="progress-measures",
    recognized_by="embed.W_E and a 2-D blocks.0.attn.W_O: Nanda et al. 2023 and heirs, one or more layers",
    recognizes=is_left_facing,
    network=_with_options,
    logs_every_epoch=True,
)

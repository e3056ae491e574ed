"""HookedTransformer of TransformerLens 1.x to 3.x; names and orientations are those of this package already."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from interp.sources.formats.format import Format, Found
from interp.sources.formats.network import Network, Tensors, direction, network, prefix_before
from interp.sources.formats.trainer_options import stated_by

USUAL = {"act_fn": "relu", "attention_dir": "causal"}


def is_hooked_transformer(found: Found) -> bool:
    prefix = prefix_before(found.tensors, "embed.W_E")
    w_o = found.tensors.get(f"{prefix}blocks.0.attn.W_O")
    return prefix is not None and w_o is not None and w_o.ndim == 3


def from_hooked_transformer(found: Found, stated: Mapping[str, Any]) -> Network:
    """The network of a HookedTransformer state dict.

    Raises:
        SourceError: if tensors are missing, unknown or of another shape.
    """
    stated = stated_by(found.options, found.where) | dict(stated)
    t = Tensors(found.tensors, prefix_before(found.tensors, "embed.W_E") or "", found.where)
    weights: dict[str, Tensor | None] = {"embed.W_E": t.take("embed.W_E", None, None)}
    d_vocab, d_model = weights["embed.W_E"].shape  # type: ignore[union-attr]
    shown: dict[str, Any] = {
        "d_vocab": d_vocab,
        "d_model": d_model,
        "positions": "none",
        "attention_rate": 1.0,
    }
    if "pos_embed.W_pos" in t:
        w_pos = weights["pos_embed.W_pos"] = t.take("pos_embed.W_pos", None, d_model)
        shown |= {"positions": "learned", "n_ctx": len(w_pos)}
    n_layers = t.n_layers("blocks.{}.attn.W_O")
    n_heads, d_head = found.tensors[f"{t.prefix}blocks.0.attn.W_O"].shape[:2]
    has_norm = "ln_final.w" in t or "blocks.0.ln1.w" in t
    d_mlp, masks = 0, set()
    for layer in range(n_layers):
        block = f"blocks.{layer}"
        for name in "QKV":
            weights[f"{block}.attn.W_{name}"] = t.take(f"{block}.attn.W_{name}", n_heads, d_model, d_head)
            weights[f"{block}.attn.b_{name}"] = t.take_bias(f"{block}.attn.b_{name}", n_heads, d_head)
        weights[f"{block}.attn.W_O"] = t.take(f"{block}.attn.W_O", n_heads, d_head, d_model)
        weights[f"{block}.attn.b_O"] = t.take_bias(f"{block}.attn.b_O", d_model)
        masks.add(direction(t.drop(f"{block}.attn.mask"), found.where))
        t.drop(f"{block}.attn.IGNORE")
        if f"{block}.mlp.W_in" in t:
            w_in = weights[f"{block}.mlp.W_in"] = t.take(f"{block}.mlp.W_in", d_model, d_mlp or None)
            d_mlp = w_in.shape[1]
            weights[f"{block}.mlp.W_out"] = t.take(f"{block}.mlp.W_out", d_mlp, d_model)
            weights[f"{block}.mlp.b_in"] = t.take_bias(f"{block}.mlp.b_in", d_mlp)
            weights[f"{block}.mlp.b_out"] = t.take_bias(f"{block}.mlp.b_out", d_model)
        for norm in [f"{block}.ln1", f"{block}.ln2"] if has_norm else []:
            if norm.endswith("1") or d_mlp:
                weights |= {f"{norm}.{part}": t.take(f"{norm}.{part}", d_model) for part in "wb"}
    if has_norm and "ln_final.w" in t:
        weights |= {f"ln_final.{part}": t.take(f"ln_final.{part}", d_model) for part in "wb"}
    if "unembed.W_U" in t:
        w_u = weights["unembed.W_U"] = t.take("unembed.W_U", d_model, None)
        shown |= {"tied_unembed": False, "d_vocab_out": w_u.shape[1]}
    else:
        shown |= {"tied_unembed": True}
        shown |= {} if "d_vocab_out" in stated else {"d_vocab_out": d_vocab}
    d_vocab_out = shown["d_vocab_out"] if "d_vocab_out" in shown else stated["d_vocab_out"]
    weights["unembed.b_U"] = t.take_bias("unembed.b_U", d_vocab_out)
    shown |= {"n_layers": n_layers, "n_heads": n_heads, "d_head": d_head, "d_mlp": d_mlp}
    shown["norm_placement"] = "post" if has_norm and "ln_final.w" not in weights else "pre"
    if has_norm:
        shown["normalization_type"] = "LN"
    if masks - {None}:
        shown["attention_dir"] = (masks - {None}).pop()
    return network(
        t, weights, shown | _biases(weights), stated, USUAL | {"normalization_type": None, "n_ctx": 3}
    )


def _biases(weights: Mapping[str, Tensor | None]) -> dict[str, bool]:
    there = {name.rsplit(".", 1)[1] for name, w in weights.items() if w is not None}
    return {
        "attention_bias": bool(there & {"b_Q", "b_K", "b_V", "b_O"}),
        "mlp_bias": bool(there & {"b_in", "b_out"}),
        "unembed_bias": "b_U" in there,
    }


HOOKED_TRANSFORMER = Format(
    name="hooked-transformer",
    recognized_by="embed.W_E and a 3-D blocks.0.attn.W_O: TransformerLens 1.x to 3.x, and grokscope",
    recognizes=is_hooked_transformer,
    network=from_hooked_transformer,
)

"""State dicts of TransformerLens: HookedTransformer (1.x to 3.x), TransformerBridge and its native model (4.x).

No import of transformer_lens: the names and orientations are those of this package already (HookedTransformer), or
those of torch's Linear layers (bridge, native), where the rows of q, k, v and the columns of o count heads first.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from interp.sources.files.reading import SourceError
from interp.sources.formats.network import Network, Tensors, direction, network, prefix_before

USUAL = {"act_fn": "relu", "attention_dir": "causal"}

_NATIVE_NAMES = (
    (r"^tok_embed\.", "embed."),
    (r"^pos\.", "pos_embed."),
    (r"^layers\.", "blocks."),
    (r"\.fc_in\.", ".in."),
    (r"\.fc_out\.", ".out."),
    (r"^ln_out\.", "ln_final."),
    (r"^head\.", "unembed."),
)


def is_hooked_transformer(tensors: Mapping[str, Tensor]) -> bool:
    prefix = prefix_before(tensors, "embed.W_E")
    w_o = tensors.get(f"{prefix}blocks.0.attn.W_O")
    return prefix is not None and w_o is not None and w_o.ndim == 3


def is_bridge(tensors: Mapping[str, Tensor]) -> bool:
    prefix = prefix_before(tensors, "embed.weight")
    return prefix is not None and f"{prefix}blocks.0.attn.q.weight" in tensors


def is_native(tensors: Mapping[str, Tensor]) -> bool:
    names = [name.replace("_original_component.", "") for name in tensors]
    return any(name.endswith("tok_embed.weight") for name in names) and any(
        name.endswith("layers.0.attn.q.weight") for name in names
    )


def from_hooked_transformer(tensors: Mapping[str, Tensor], stated: Mapping[str, Any], where: str) -> Network:
    """The network of a HookedTransformer state dict.

    Raises:
        SourceError: if tensors are missing, unknown or of another shape.
    """
    t = Tensors(tensors, prefix_before(tensors, "embed.W_E") or "", where)
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
    n_heads, d_head = tensors[f"{t.prefix}blocks.0.attn.W_O"].shape[:2]
    has_norm = "ln_final.w" in t or "blocks.0.ln1.w" in t
    d_mlp, masks = 0, set()
    for layer in range(n_layers):
        block = f"blocks.{layer}"
        for name in "QKV":
            weights[f"{block}.attn.W_{name}"] = t.take(f"{block}.attn.W_{name}", n_heads, d_model, d_head)
            weights[f"{block}.attn.b_{name}"] = t.take_bias(f"{block}.attn.b_{name}", n_heads, d_head)
        weights[f"{block}.attn.W_O"] = t.take(f"{block}.attn.W_O", n_heads, d_head, d_model)
        weights[f"{block}.attn.b_O"] = t.take_bias(f"{block}.attn.b_O", d_model)
        masks.add(direction(t.drop(f"{block}.attn.mask"), where))
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


def from_bridge(tensors: Mapping[str, Tensor], stated: Mapping[str, Any], where: str) -> Network:
    """The network of a TransformerBridge state dict: its tensors do not show the number of heads, which must be stated.

    Raises:
        SourceError: if n_heads is not stated; if tensors are missing, unknown or of another shape.
    """
    t = Tensors(tensors, prefix_before(tensors, "embed.weight") or "", where)
    return from_hooked_transformer(_as_hooked(t, stated), stated, where)


def _as_hooked(t: Tensors, stated: Mapping[str, Any]) -> dict[str, Tensor]:
    out = {"embed.W_E": t.take("embed.weight", None, None)}
    if "pos_embed.weight" in t:
        out["pos_embed.W_pos"] = t.take("pos_embed.weight", None, None)
    d_model = out["embed.W_E"].shape[1]
    norms = ["ln_final"]
    for layer in range(t.n_layers("blocks.{}.attn.q.weight")):
        block = f"blocks.{layer}"
        attn, mlp = f"{block}.attn", f"{block}.mlp"
        width = 0
        for name in "qkv":
            w = t.take(f"{attn}.{name}.weight", width or None, d_model)
            width, h = len(w), _n_heads(len(w), stated, t.where)
            out[f"{attn}.W_{name.upper()}"] = w.reshape(h, -1, d_model).transpose(1, 2)
            if f"{attn}.{name}.bias" in t:
                out[f"{attn}.b_{name.upper()}"] = t.take(f"{attn}.{name}.bias", width).reshape(h, -1)
        out[f"{attn}.W_O"] = t.take(f"{attn}.o.weight", d_model, width).T.reshape(h, -1, d_model)
        if f"{attn}.o.bias" in t:
            out[f"{attn}.b_O"] = t.take(f"{attn}.o.bias", d_model)
        for side in ("in", "out"):
            if f"{mlp}.{side}.weight" in t:
                out[f"{mlp}.W_{side}"] = t.take(f"{mlp}.{side}.weight", None, None).T
            if f"{mlp}.{side}.bias" in t:
                out[f"{mlp}.b_{side}"] = t.take(f"{mlp}.{side}.bias", None)
        norms += [f"{block}.ln1", f"{block}.ln2"]
    for norm in norms:
        for new, old in (("w", "weight"), ("b", "bias")):
            if f"{norm}.{old}" in t:
                out[f"{norm}.{new}"] = t.take(f"{norm}.{old}", d_model)
    out["unembed.W_U"] = t.take("unembed.weight", None, d_model).T
    if "unembed.bias" in t:
        out["unembed.b_U"] = t.take("unembed.bias", None)
    t.finish()
    return out


def _n_heads(width: int, stated: Mapping[str, Any], where: str) -> int:
    n_heads = stated.get("n_heads")
    if not isinstance(n_heads, int) or n_heads < 1 or width % n_heads:
        raise SourceError(
            f"{where} does not show its number of heads: its queries are {width} wide for all heads together. State "
            f"it with model={{'n_heads': 4}} or --heads 4 (a divisor of {width})."
        )
    return n_heads


def from_native(tensors: Mapping[str, Tensor], stated: Mapping[str, Any], where: str) -> Network:
    """The network of a NativeModel state dict, or of the same with "_original_component." in its names.

    Raises:
        SourceError: if two names of one tensor hold different values, and as `from_bridge`.
    """
    renamed: dict[str, Tensor] = {}
    names = {name: name.replace("_original_component.", "") for name in tensors}
    prefix = next(n[: -len("tok_embed.weight")] for n in names.values() if n.endswith("tok_embed.weight"))
    for name, tensor in tensors.items():
        new = names[name].removeprefix(prefix)
        for pattern, replacement in _NATIVE_NAMES:
            new = re.sub(pattern, replacement, new)
        if new in renamed and not torch.equal(renamed[new], tensor):
            raise SourceError(f"{where} holds two different tensors under the names of {new}: it is damaged.")
        renamed[new] = tensor
    return from_bridge(renamed, stated, where)


def stated_by_config(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Fields of a ModelConfig that a HookedTransformerConfig (its attributes) states.

    Raises:
        SourceError: if it states something that no network of this package can do.
    """
    refused = {
        "positional_embedding_type": (None, "standard"),
        "parallel_attn_mlp": (None, False),
        "use_attn_scale": (None, True),
        "normalization_type": (None, "LN", "LNPre"),
        "act_fn": (None, "relu", "gelu"),
        "gated_mlp": (None, False),
        "n_key_value_heads": (None, config.get("n_heads")),
        "output_logits_soft_cap": (None, -1.0, 0.0),
        "attn_scores_soft_cap": (None, -1.0, 0.0),
        "scale_attn_by_inverse_layer_idx": (None, False),
        "use_local_attn": (None, False),
    }
    # -1 stands for the root of d_head; stored configs have either. A window without local attention does nothing.
    d_head = config.get("d_head")
    root = (
        math.sqrt(d_head)
        if isinstance(d_head, int) and not isinstance(d_head, bool) and 0 < d_head < 10**6
        else -1.0
    )
    if config.get("normalization_type") is not None:
        refused["eps"] = (None, 1e-5)
    refused["attn_scale"] = (None, -1.0, root)
    for name, known in refused.items():
        if config.get(name) not in known:
            raise SourceError(
                f"{where} states {name}={config[name]!r}, which no network of this package has. Probes of weights need "
                "an adapter (docs/import.md)."
            )
    names = ("act_fn", "attention_dir", "n_heads", "normalization_type")
    stated = {name: config[name] for name in names if name in config}
    if stated.get("act_fn", "") is None:
        del stated["act_fn"]  # attention-only networks state none
    return stated

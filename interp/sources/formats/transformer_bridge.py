"""TransformerBridge of TransformerLens 4.x.

Its matrices are those of torch's Linear layers, where the rows of q, k, v and the columns of o count heads first.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from interp.sources.files.reading import SourceError
from interp.sources.formats.format import Format, Found
from interp.sources.formats.hooked_transformer import from_hooked_transformer
from interp.sources.formats.network import Network, Tensors, prefix_before
from interp.sources.formats.trainer_options import stated_by


def is_bridge(found: Found) -> bool:
    prefix = prefix_before(found.tensors, "embed.weight")
    return prefix is not None and f"{prefix}blocks.0.attn.q.weight" in found.tensors


def from_bridge(found: Found, stated: Mapping[str, Any]) -> Network:
    """The network of a TransformerBridge state dict: its tensors do not show the number of heads, which must be stated.

    Raises:
        SourceError: if n_heads is not stated; if tensors are missing, unknown or of another shape.
    """
    stated = stated_by(found.options, found.where) | dict(stated)
    t = Tensors(found.tensors, prefix_before(found.tensors, "embed.weight") or "", found.where)
    return from_hooked_transformer(replace(found, tensors=_as_hooked(t, stated)), stated)


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


TRANSFORMER_BRIDGE = Format(
    name="bridge",
    recognized_by="embed.weight and blocks.0.attn.q.weight: TransformerLens 4.x; the number of heads must be stated",
    recognizes=is_bridge,
    network=from_bridge,
)

"""NativeModel of TransformerLens 4.x: a bridge's tensors under other names."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from interp.sources.files.reading import SourceError
from interp.sources.formats.format import Format, Found
from interp.sources.formats.network import Network
from interp.sources.formats.transformer_bridge import from_bridge

_NATIVE_NAMES = (
    (r"^tok_embed\.", "embed."),
    (r"^pos\.", "pos_embed."),
    (r"^layers\.", "blocks."),
    (r"\.fc_in\.", ".in."),
    (r"\.fc_out\.", ".out."),
    (r"^ln_out\.", "ln_final."),
    (r"^head\.", "unembed."),
)


def is_native(found: Found) -> bool:
    names = [name.replace("_original_component.", "") for name in found.tensors]
    return any(name.endswith("tok_embed.weight") for name in names) and any(
        name.endswith("layers.0.attn.q.weight") for name in names
    )


def from_native(found: Found, stated: Mapping[str, Any]) -> Network:
    """The network of a NativeModel state dict, or of the same with "_original_component." in its names.

    Raises:
        SourceError: if two names of one tensor hold different values, and as `from_bridge`.
    """
    renamed: dict[str, Tensor] = {}
    names = {name: name.replace("_original_component.", "") for name in found.tensors}
    prefix = next(n[: -len("tok_embed.weight")] for n in names.values() if n.endswith("tok_embed.weight"))
    for name, tensor in found.tensors.items():
        new = names[name].removeprefix(prefix)
        for pattern, replacement in _NATIVE_NAMES:
            new = re.sub(pattern, replacement, new)
        if new in renamed and not torch.equal(renamed[new], tensor):
            raise SourceError(
                f"{found.where} holds two different tensors under the names of {new}: it is damaged."
            )
        renamed[new] = tensor
    return from_bridge(replace(found, tensors=renamed), stated)


NATIVE_MODEL = Format(
    name="native",
    recognized_by="tok_embed.weight and layers.0.attn.q.weight: NativeModel of TransformerLens 4.x; heads likewise",
    recognizes=is_native,
    network=from_native,
)

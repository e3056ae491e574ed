"""Transformers around torch's own attention: nn.TransformerEncoder, its layer, or nn.MultiheadAttention in a block.

    layers.0.self_attn.in_proj_weight, linear1, linear2, norm1, norm2        torch's encoder layer
    attn.in_proj_weight, attn.out_proj.weight beside two linear layers       a block of the user's own
    an embedding, perhaps positions, an output layer                         by shape where their names do not say

in_proj holds queries, keys and values one below the other, each with its heads one below the other, so that the number
of heads shows nowhere. What the tensors leave open is taken as torch's defaults have it, and said: the norms stand
after each sum (before each part where there is a last norm too), nothing is masked, and both parts add to the stream.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from interp.networks.layers import sinusoidal_positions
from interp.sources.adapter_draft import drafted, listed
from interp.sources.files import steps
from interp.sources.files.reading import SourceError
from interp.sources.formats.format import Format, Found
from interp.sources.formats.network import Network
from interp.sources.formats.transformer_bridge import from_bridge

_IN = "in_proj_weight"
_EMBEDDING = re.compile(r"(?<!un)emb|tok|wte", re.IGNORECASE)
_POSITIONS = re.compile(r"pos|(^|\.)pe($|\.)", re.IGNORECASE)
_LAST_NORM = re.compile(r"(^|\.)norm\.|final|ln_f|norm_f|ln_out", re.IGNORECASE)


def is_torch_transformer(found: Found) -> bool:
    return any(name.endswith(_IN) for name in found.tensors)


@dataclass(eq=False)
class _Parts:
    """The tensors that are not taken yet, and those that are, by the names of a TransformerBridge."""

    found: Found
    width: int
    left: dict[str, Tensor]
    taken: dict[str, Tensor]
    dropped: list[str]
    is_sinusoidal: bool = False

    def refuse(self, what: str) -> SourceError:
        """What no network of this package has or what is not clear, with everything that is there."""
        return SourceError(
            f"{self.found.where} {what}",
            f"{listed(self.found.tensors)}\nIf you know what they are, an adapter says it; one to start from:\n\n"
            f"{drafted(self.found.tensors, self.found.where)}",
        )

    def matrices(self, prefix: str = "") -> list[str]:
        """Names of the matrices under a prefix that are left."""
        return [n for n, t in self.left.items() if n.startswith(prefix) and t.ndim == 2]

    def norms(self, prefix: str = "") -> list[str]:
        """Names of the scales of norms under a prefix that are left, without their last part."""
        names = [
            n for n, t in self.left.items() if n.startswith(prefix) and n.endswith(".weight") and t.ndim == 1
        ]
        return sorted(
            (n.removesuffix("weight") for n in names if self.left[n].numel() == self.width), key=steps.natural
        )

    def take(self, name: str, new: str, *shape: int) -> Tensor:
        tensor = self.left.pop(name)
        if shape and tuple(tensor.shape) != shape:
            raise self.refuse(
                f"holds {name!r} of shape {tuple(tensor.shape)}, where {shape} fits its other tensors:"
            )
        self.taken[new] = tensor
        return tensor

    def take_layer(self, name: str, new: str) -> None:
        """A linear layer with its bias, where it has one."""
        weight = self.take(name, f"{new}.weight")
        bias = name.removesuffix("weight") + "bias"
        if bias != name and bias in self.left:
            self.take(bias, f"{new}.bias", len(weight))

    def take_norm(self, stem: str, new: str) -> None:
        scale = self.take(f"{stem}weight", f"{new}.weight")
        if f"{stem}bias" in self.left:
            self.take(f"{stem}bias", f"{new}.bias", len(scale))
        else:
            self.taken[f"{new}.bias"] = torch.zeros_like(scale)


def from_torch_transformer(found: Found, stated: Mapping[str, Any]) -> Network:
    """The network of such a state dict; the number of heads must be stated.

    Raises:
        SourceError: if n_heads is not stated, or a part is none that a network of this package has, or is not clear.
    """
    attentions = sorted((n.removesuffix(_IN) for n in found.tensors if n.endswith(_IN)), key=steps.natural)
    blocks = [_block_of(name, found.tensors) for name in attentions]
    width = found.tensors[attentions[0] + _IN].shape[-1]
    parts = _Parts(found, width, dict(found.tensors), {}, [])
    if len(set(blocks)) < len(blocks):
        raise parts.refuse("holds several attentions in one block, which no network of this package has:")
    for i, attention in enumerate(attentions):
        _take_attention(parts, attention, f"blocks.{i}.attn")
    is_alone = blocks == [""]
    if not is_alone:
        for i, block in enumerate(blocks):
            _take_block(parts, block, f"blocks.{i}", parts.matrices(block))
    is_causal = _take_mask(parts)
    _take_positions(parts)
    _take_ends(parts, is_alone)
    if is_alone:
        _take_block(parts, "", "blocks.0", parts.matrices())
    _take_last_norm(parts)
    if parts.left:
        names = ", ".join(f"{n!r:.80}" for n in list(parts.left)[:6])
        raise parts.refuse(f"holds {names} beside its attention, which no network of this package has there:")
    return _described(
        parts,
        stated,
        is_causal=is_causal,
        is_torchs_own=all(f"{b}linear1.weight" in found.tensors for b in blocks),
    )


def _block_of(attention: str, tensors: Mapping[str, Tensor]) -> str:
    """What comes before the names of the block that an attention is in; "" where that is before all names."""
    before = ".".join(attention.rstrip(".").split(".")[:-1])
    block = f"{before}." if before else ""
    return "" if all(name.startswith(block) for name in tensors) else block


def _take_attention(parts: _Parts, theirs: str, ours: str) -> None:
    width = parts.width
    rows = parts.take(theirs + _IN, "in_proj", 3 * width, width)
    del parts.taken["in_proj"]
    parts.taken |= {f"{ours}.{x}.weight": w for x, w in zip("qkv", rows.chunk(3), strict=True)}
    if f"{theirs}in_proj_bias" in parts.left:
        bias = parts.take(f"{theirs}in_proj_bias", "in_proj", 3 * width)
        del parts.taken["in_proj"]
        parts.taken |= {f"{ours}.{x}.bias": b for x, b in zip("qkv", bias.chunk(3), strict=True)}
    if f"{theirs}out_proj.weight" not in parts.left:
        raise parts.refuse(f"lacks '{theirs}out_proj.weight', which torch's attention has:")
    parts.take_layer(f"{theirs}out_proj.weight", f"{ours}.o")


def _take_block(parts: _Parts, theirs: str, ours: str, matrices: list[str]) -> None:
    """The norms and the MLP of a block, its attention being taken."""
    if matrices:
        pair = _mlp_pair({name: parts.left[name] for name in matrices}, parts.width)
        if pair is None:
            raise parts.refuse(
                f"holds no MLP of two layers in block {theirs!r}, but {', '.join(map(repr, matrices))}:"
            )
        for name, side in zip(pair, ("in", "out"), strict=True):
            parts.take_layer(name, f"{ours}.mlp.{side}")
    norms = [n for n in parts.norms(theirs) if theirs or not _LAST_NORM.search(n)]
    if len(norms) not in (0, 1 + bool(matrices)):
        raise parts.refuse(
            f"holds {len(norms)} norms in block {theirs!r}, where no network of this package has as many:"
        )
    if len(norms) == 2 and re.sub(r"\d+", "#", norms[0]) != re.sub(r"\d+", "#", norms[1]):
        raise parts.refuse(f"does not say which of the norms {norms[0]!r} and {norms[1]!r} comes first:")
    for name, new in zip(norms, ("ln1", "ln2"), strict=False):
        parts.take_norm(name, f"{ours}.{new}")


def _mlp_pair(matrices: Mapping[str, Tensor], width: int) -> tuple[str, str] | None:
    """The two layers (m, width) and (width, m) among these, or None where there are others."""
    if len(matrices) != 2:
        return None
    one, other = sorted(matrices, key=steps.natural)
    for a, b in ((one, other), (other, one)):
        if matrices[a].shape[1] == width and matrices[b].shape == matrices[a].shape[::-1]:
            return a, b
    return None


def _take_mask(parts: _Parts) -> bool:
    """Whether a causal mask is stored."""
    masks = [name for name in parts.left if "mask" in name.rsplit(".", 1)[-1]]
    for name in masks:
        mask = parts.left.pop(name).squeeze()
        # torch marks what is hidden, with True or -inf; others mark what is seen.
        marked = mask.bool()
        ones = torch.ones_like(marked)
        is_square = mask.ndim == 2 and mask.shape[0] == mask.shape[1]
        if not is_square or not (torch.equal(marked, ones.triu(1)) or torch.equal(marked, ones.tril())):
            raise parts.refuse(f"holds a mask {name!r} that is not causal:")
    parts.dropped += masks
    return bool(masks)


def _take_positions(parts: _Parts) -> None:
    width = parts.width
    called = [
        n for n, t in parts.left.items() if _POSITIONS.search(n) and t.ndim > 1 and t.shape[-1] == width
    ]
    if len(called) > 1:
        raise parts.refuse(f"holds several tensors that may be positions ({', '.join(map(repr, called))}):")
    for name in called:
        rows = parts.left.pop(name).squeeze()
        if rows.ndim != 2:
            raise parts.refuse(f"holds positions {name!r} that are no matrix:")
        parts.is_sinusoidal = torch.allclose(rows.float(), sinusoidal_positions(len(rows), width), atol=1e-4)
        if parts.is_sinusoidal:
            parts.dropped.append(name)
        else:
            parts.taken["pos_embed.weight"] = rows


def _take_ends(parts: _Parts, is_alone: bool) -> None:
    """The embedding and the output layer; where the block has no name of its own, its MLP is among what is left."""
    width = parts.width
    matrices = {n: parts.left[n] for n in parts.matrices() if parts.left[n].shape[1] == width}
    called = [name for name in matrices if _EMBEDDING.search(name) and not _has_bias(parts, name)]
    mlp = _inner(parts) if is_alone else ()
    rest = [name for name in matrices if name not in (*called, *mlp)]
    if not called and len(rest) == 2:
        called = _by_shape(parts, rest)
        rest = [name for name in rest if name not in called]
    if len(called) != 1 or len(rest) != 1:
        raise parts.refuse(
            "does not show by names and shapes which tensors are its embedding and its output layer:"
        )
    parts.take(called[0], "embed.weight")
    parts.take_layer(rest[0], "unembed")


def _inner(parts: _Parts) -> tuple[str, ...]:
    """The MLP of a block without a name: a matrix that leads back to the stream, and the one that is as wide."""
    width = parts.width
    back = [
        n for n in parts.matrices() if parts.left[n].shape[0] == width and parts.left[n].shape[1] != width
    ]
    into = [n for n in parts.matrices() for b in back if parts.left[n].shape == parts.left[b].shape[::-1]]
    return (*into, *back) if len(back) == len(into) == 1 else ()


def _by_shape(parts: _Parts, names: list[str]) -> list[str]:
    """Of two matrices the embedding: the one without a bias where the other has one, or the one with more rows."""
    biased = [name for name in names if _has_bias(parts, name)]
    if len(biased) == 1:
        return [name for name in names if name not in biased]
    sizes = [len(parts.left[name]) for name in names]
    return [] if biased or sizes[0] == sizes[1] else [names[sizes.index(max(sizes))]]


def _has_bias(parts: _Parts, name: str) -> bool:
    return name.endswith("weight") and name.removesuffix("weight") + "bias" in parts.left


def _take_last_norm(parts: _Parts) -> None:
    norms = parts.norms()
    if len(norms) == 1 and "blocks.0.ln1.weight" in parts.taken:
        parts.take_norm(norms[0], "ln_final")


def _described(parts: _Parts, stated: Mapping[str, Any], *, is_causal: bool, is_torchs_own: bool) -> Network:
    """The network, with what the tensors leave open noted as assumed."""
    taken = parts.taken
    assumed: dict[str, Any] = {}
    if "blocks.0.ln1.weight" in taken:
        placement = assumed["norm_placement"] = "pre" if "ln_final.weight" in taken else "post"
        if stated.get("norm_placement", placement) != placement:
            there = "has" if placement == "pre" else "lacks"
            raise parts.refuse(
                f"{there} a norm before its output layer, and norm_placement={stated['norm_placement']!r} was stated: "
                "no network of this package is so."
            )
    shown: dict[str, Any] = {"attention_dir": "causal"} if is_causal else {}
    usual: dict[str, Any] = {} if is_causal else {"attention_dir": "bidirectional"}
    if "pos_embed.weight" not in taken:
        asks = parts.found.stated_task.get(
            "equals_token", len(taken["embed.weight"]) > len(taken["unembed.weight"])
        )
        usual["n_ctx"] = 3 if asks else 2
    usual = {name: value for name, value in usual.items() if name not in stated}
    network = from_bridge(replace(parts.found, tensors=taken), usual | shown | dict(stated))
    assumed = network.assumed | usual | assumed
    config = network.config
    if parts.is_sinusoidal:
        config = replace(config, positions="sinusoidal")
    if not is_torchs_own:
        assumed["residual_stream"] = True
    return replace(network, config=config, assumed=assumed, dropped=parts.dropped)


TORCH_TRANSFORMER = Format(
    name="torch-transformer",
    recognized_by="in_proj_weight of torch's attention: nn.TransformerEncoder, nn.MultiheadAttention; say --heads",
    recognizes=is_torch_transformer,
    network=from_torch_transformer,
)

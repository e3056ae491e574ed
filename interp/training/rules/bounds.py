"""What the fields of rules mean: their bounds, the weights that they name, the draws of a seed."""

import math
import re
from typing import Any
from zlib import crc32

import torch

from interp.ground.choices import check_choices, check_seed
from interp.ground.plain_text import shown

# The parts of a network: what the names of their weights begin with.
PARTS = {
    "embedding": r"(pos_)?embed\.",
    "attention": r"blocks\.\d+\.attn\.",
    "mlp_in": r"blocks\.\d+\.mlp\.[Wb]_in",
    "mlp_out": r"blocks\.\d+\.mlp\.[Wb]_out",
    "norms": r"blocks\.\d+\.ln\d\.|ln_final\.",
    "unembedding": r"unembed\.",
}


def check_fields(rule: Any, **bounds: tuple[float | int, float | int]) -> None:
    """Nothing, if words are among their choices and numbers within their bounds, both included.

    Raises:
        ValueError: with the field, its bounds and its value.
    """
    check_choices(rule)
    for name, (low, high) in bounds.items():
        value = getattr(rule, name)
        if not (low <= value <= high and math.isfinite(value)):
            bound = f"of at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
            raise ValueError(f"{type(rule).__name__} needs a finite {name} {bound}, got {shown(value)}.")
    if getattr(rule, "seed", None) is not None:
        check_seed("seed", rule.seed)


def chosen(parts: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of weights that are meant: each word is a part of the network or a weight.

    >>> chosen(("embedding", "unembed.W_U"), ("embed.W_E", "pos_embed.W_pos", "unembed.W_U", "unembed.b_U"))
    ('embed.W_E', 'pos_embed.W_pos', 'unembed.W_U')
    """
    return tuple(name for name in names if any(_means(word, name) for word in parts))


def check_chosen(rule: Any, parts: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Refuse a word that means no weight of the network.

    Raises:
        ValueError: with the weights there are.
    """
    for word in parts:
        if not any(_means(word, name) for name in names):
            raise ValueError(
                f"{type(rule).__name__} needs weights or parts of this network, got {shown(word)}. Its weights are "
                f"{', '.join(names)}; parts are {', '.join(PARTS)}."
            )


def of_weight(seed: int, name: str) -> torch.Generator:
    """A generator for one weight: the order in which a file gives the weights back does not change what is drawn."""
    return torch.Generator().manual_seed((seed * 0x9E3779B97F4A7C15 + crc32(name.encode())) % 2**63)


def _means(word: str, name: str) -> bool:
    return word == name or (word in PARTS and re.match(PARTS[word], name) is not None)

"""A config.json of Hugging Face, as far as it says what a network is: nothing in it loads code or takes memory."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from interp.ground.plain_json import json_value
from interp.ground.plain_text import shown
from interp.networks.config import Weights

# What transformers hands to a loader of code, of kernels from the hub, of quantizers, of other repositories or of
# devices. None of it says what the network computes; a network with these weights in full precision needs none.
_LOADED = re.compile(
    r".*implementation(_internal|_autoset)?|.*kernel.*config|use_kernels?|.*quantization.*|compression_config|"
    r"(auto|device)_map|(fusion|distributed)_config|custom_pipelines|.*name_or_path|tokenizer_name|"
    r"transformers_weights|use_pretrained_backbone|.*adapter_(config|file)"
)

_LAYERS = re.compile(r"(num|n)_(.*_)?layers?")
_PARTS = re.compile(r"(num|n)_(.*_)?(experts|heads|codebooks|groups|blocks)")
# Fixed tables, as masks and angles, may be larger than all weights of a small network.
_MOST_IN_TABLES = 2**28


def network_fields(file: Path) -> dict[str, Any]:
    """The fields of a config.json without those that load something, at any depth.

    Raises:
        ValueError: if it is no JSON object.
    """
    try:
        fields = json_value(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not readable JSON ({error}).") from error
    if not isinstance(fields, dict):
        raise ValueError(f"{file} holds no object, and a config is one.")
    return _without_loaded(fields)


def _without_loaded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_loaded(v) for k, v in value.items() if not _LOADED.fullmatch(k.lower())}
    return [_without_loaded(part) for part in value] if isinstance(value, list) else value


def check_counts(fields: dict[str, Any], weights: Weights, where: str) -> None:
    """Refuse more layers than there are tensors, or more heads or experts than any of them has rows.

    Raises:
        ValueError: with the field.
    """
    rows = max((max(w.shape, default=1) for w in weights.values()), default=0)
    for name, value in _numbers(fields):
        most = len(weights) if _LAYERS.fullmatch(name) else rows if _PARTS.fullmatch(name) else value
        if value > most:
            raise ValueError(
                f"{where} does not fit its config.json, which says {name}={shown(value)}: the checkpoint has "
                f"{len(weights)} tensors of at most {rows} rows. They are of different networks."
            )


def check_built(kind: Any, config: Any, weights: Weights, where: str) -> None:
    """Refuse a config whose network is of another size than the weights, built without its numbers.

    Raises:
        ValueError: with both sizes.
    """
    with torch.device("meta"):
        network = kind(config)
    n_built = sum(w.numel() for w in network.parameters())
    n_there = sum(w.numel() for w in weights.values())
    n_tables = sum(x.numel() for x in network.buffers())
    if n_built > 2 * n_there or n_tables > n_there + _MOST_IN_TABLES:
        raise ValueError(
            f"{where} does not fit its config.json: that describes a network of {n_built:,} numbers (and {n_tables:,} "
            f"in tables), and the checkpoint has {n_there:,}. A size that config.json leaves out is a large default."
        )


def _numbers(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _numbers(part, key)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, value

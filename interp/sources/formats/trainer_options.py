"""What the options that a trainer stored say of the network, where its tensors do not show it."""

import math
from collections.abc import Mapping
from typing import Any

from interp.sources.files.reading import SourceError


def stated_by(options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Fields of the `ModelConfig` that a stored config states, under the names that trainers use."""
    if "positional_embedding_type" in options:
        return stated_by_config(options, where)
    stated: dict[str, Any] = {}
    act = next((options[key] for key in ("act_fn", "act_type", "activation") if key in options), None)
    if isinstance(act, str) and act.lower() in ("relu", "gelu", "tanh"):
        stated["act_fn"] = act.lower()
    n_heads = next((options[key] for key in ("n_heads", "num_heads") if key in options), None)
    if isinstance(n_heads, int):
        stated["n_heads"] = n_heads
    return stated


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

"""Which format a state dict is of, by the names and shapes of its tensors."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from interp.sources.files.reading import SourceError
from interp.sources.formats import left_facing, openai_grok, pizza, transformer_lens
from interp.sources.formats.network import Network

RECOGNIZED_BY = {
    "hooked-transformer": "embed.W_E and a 3-D blocks.0.attn.W_O: TransformerLens 1.x to 3.x, and grokscope",
    "bridge": "embed.weight and blocks.0.attn.q.weight: TransformerLens 4.x; the number of heads must be stated",
    "native": "tok_embed.weight and layers.0.attn.q.weight: NativeModel of TransformerLens 4.x; heads likewise",
    "progress-measures": "embed.W_E and a 2-D blocks.0.attn.W_O: Nanda et al. 2023 and heirs, one or more layers",
    "pizza": "the same beside a config_*.json with attn_coeff and C: Zhong et al. 2023",
    "huggingface": "config.json with a model_type: folders checkpoint-<step>, the hub's cache, or hf://org/name@step0",
    "openai-grok": "decoder.blocks.0.self_attn.attn_heads.0.Wq.weight: Power et al. 2022",
}
WRAPPED_IN = {
    "one state dict": "a file of torch.save or safetensors whose tensors have names with dots",
    "a training loop's dict": "model_state_dict, state_dict (Lightning), model, ... with step, epoch, losses beside it",
    "a series in one file": "checkpoints with checkpoint_epochs (the TransformerLens grokking demo); a dict of step to "
    "state dict; a list of (step, state dict)",
    "a folder": "any of these files; folders checkpoint-<step> with model.safetensors, pytorch_model.bin or shards",
}


def network_of(
    tensors: Mapping[str, Tensor],
    format: str,
    stated: Mapping[str, Any],
    options: Mapping[str, Any],
    pizza_config: Mapping[str, Any] | None,
    where: str,
) -> tuple[str, Network]:
    """The name of the format and the network.

    Args:
        format: a key of `RECOGNIZED_BY`, or "auto".
        stated: fields of the `ModelConfig` that the user states.
        options: what the trainer stored of its own.
        pizza_config: the JSON beside it, where there is one.

    Raises:
        SourceError: if no format fits, or the tensors are not what the format says.
    """
    name = recognized(tensors, format, pizza_config, where)
    if name == "huggingface":
        raise SourceError(
            f"{where} lies beside no config.json with a model_type, which format 'huggingface' needs."
        )
    if name == "pizza":
        if pizza_config is None:
            raise SourceError(f"{where} has no config_*.json beside it, which format 'pizza' needs.")
        return name, pizza.from_pizza(tensors, pizza_config, stated, where)
    if name == "openai-grok":
        return name, openai_grok.from_openai_grok(tensors, options, stated, where)
    known = _stated_by(options, where) | dict(stated)
    if name == "progress-measures":
        return name, left_facing.from_left_facing(tensors, known, where)
    convert = {
        "hooked-transformer": transformer_lens.from_hooked_transformer,
        "bridge": transformer_lens.from_bridge,
        "native": transformer_lens.from_native,
    }[name]
    return name, convert(tensors, known, where)


def recognized(
    tensors: Mapping[str, Tensor], format: str, pizza_config: Mapping[str, Any] | None, where: str
) -> str:
    """The name of the format; arguments as `network_of`.

    Raises:
        SourceError: if it is of none that is known.
    """
    if format != "auto":
        return format
    if pizza_config is not None:
        return "pizza"
    if left_facing.is_left_facing(tensors):
        return "progress-measures"
    if transformer_lens.is_hooked_transformer(tensors):
        return "hooked-transformer"
    if transformer_lens.is_native(tensors):
        return "native"
    if transformer_lens.is_bridge(tensors):
        return "bridge"
    if openai_grok.is_openai_grok(tensors):
        return "openai-grok"
    shown = ", ".join(f"{n} {tuple(t.shape)}" for n, t in list(tensors.items())[:4])
    raise SourceError(
        f"{where} holds tensors of no known format ({shown}, ...). `interp import --list` says what is known; "
        "anything else comes in with an adapter of ten lines (docs/import.md)."
    )


def _stated_by(options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Fields of the `ModelConfig` that a stored config states, under the names that trainers use."""
    if "positional_embedding_type" in options:
        return transformer_lens.stated_by_config(options, where)
    stated: dict[str, Any] = {}
    act = next((options[key] for key in ("act_fn", "act_type", "activation") if key in options), None)
    if isinstance(act, str) and act.lower() in ("relu", "gelu", "tanh"):
        stated["act_fn"] = act.lower()
    n_heads = next((options[key] for key in ("n_heads", "num_heads") if key in options), None)
    if isinstance(n_heads, int):
        stated["n_heads"] = n_heads
    return stated

"""`TransformerBridge`s: of a network described here, and of Hugging Face weights.

The folder of the latter holds config.json (and tokenizer files, where the architecture needs them); nothing in it is
run: what names code, kernels of the hub or other repositories (auto_map, attn_implementation, quantization_config, ...)
is ignored, and only architectures that transformers itself knows are built.
"""

from pathlib import Path
from typing import Any

import torch

from interp.ground.plain_text import sentence, shown
from interp.networks.config import ModelConfig, Weights
from interp.networks.huggingface_config import check_built, check_counts, network_fields
from interp.networks.layers import unembedding


def bridge(folder: Path, weights: Weights, where: str) -> Any:
    """A `TransformerBridge` with these weights, in float32 and in evaluation mode.

    Made anew for every call, which takes a tenth of a second for small models: nothing is kept, and two models never
    share weights.

    Args:
        weights: under the names of Hugging Face, all of them: transformers itself would draw missing ones at random.
        where: what the weights are of, for errors.

    Raises:
        ValueError: if the architecture is not a known causal language model, or the weights are not exactly its own.
    """
    import transformers  # with transformer_lens seconds to load
    from transformer_lens import TransformerBridge

    fields = network_fields(folder / "config.json")
    model_type = fields.pop("model_type", None)
    if not isinstance(model_type, str) or model_type not in transformers.CONFIG_MAPPING:
        raise ValueError(
            f"{folder / 'config.json'} names the architecture {shown(model_type)}, which transformers "
            f"{transformers.__version__} does not know. Probes of weights work without a model."
        )
    check_counts(fields, weights, where)
    config = _config(transformers.CONFIG_MAPPING[model_type], fields, folder / "config.json")
    if type(config) not in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ValueError(
            f"{folder / 'config.json'} describes {model_type!r}, which is no causal language model. Probes of weights "
            "work without a model."
        )
    kind = transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    check_built(kind, config, weights, where)
    logging = transformers.utils.logging
    had_bar, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what does not fit is said below, once
    try:
        model, loaded = kind.from_pretrained(
            None,
            config=config,
            state_dict=dict(weights),
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
        problems = [f"{name} is missing" for name in sorted(loaded["missing_keys"])]
        problems += [f"{name} is unknown to the model" for name in sorted(loaded["unexpected_keys"])]
        problems += [f"{entry[0]} has another shape" for entry in loaded["mismatched_keys"]]
        if problems:
            more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
            raise ValueError(f"{where} does not fit its config.json: {'; '.join(problems[:4])}{more}.")
        return TransformerBridge.boot_transformers(str(folder), hf_model=model.eval(), device="cpu")
    finally:
        logging.set_verbosity(verbosity)
        if had_bar:
            logging.enable_progress_bar()


def _config(kind: Any, fields: dict[str, Any], file: Path) -> Any:
    try:
        return kind(**fields)
    except Exception as error:  # a wrong field fails in as many ways as there are architectures
        raise ValueError(f"{file} is no config of {kind.__name__}: {sentence(str(error))}") from error


def as_bridge(c: ModelConfig, weights: Weights) -> Any:
    """A `TransformerBridge` with the same logits, in evaluation mode.

    Biases that the network does not have are zero there.

    Raises:
        ValueError: if the bridge cannot express the network.
    """
    from transformer_lens import TransformerBridge, TransformerBridgeConfig

    obstacles = {
        f"attention_rate={c.attention_rate}": c.attention_rate != 1,
        f"act_fn={c.act_fn!r}": c.act_fn not in ("relu", "gelu"),
        "norm_placement='post'": bool(c.normalization_type) and c.norm_placement == "post",
        f"positions={c.positions!r}": c.positions != "learned",
        "no MLP (d_mlp=0)": c.d_mlp == 0,
    }
    found = [what for what, is_there in obstacles.items() if is_there]
    if found:
        raise ValueError(
            f"A TransformerBridge cannot express {', '.join(found)}. Use the hooked model itself: it has the same "
            "hook names."
        )
    w_u = unembedding(c, weights)
    bridge = TransformerBridge.boot_native(
        TransformerBridgeConfig(
            n_layers=c.n_layers,
            d_model=c.d_model,
            n_heads=c.n_heads,
            d_head=c.d_head,
            d_mlp=c.d_mlp,
            act_fn=c.act_fn,
            normalization_type=c.normalization_type,
            attention_dir=c.attention_dir,
            n_ctx=c.n_ctx,
            d_vocab=c.d_vocab,
            d_vocab_out=c.d_vocab_out,
            init_weights=False,
        ),
        device=w_u.device,
        dtype=w_u.dtype,
    )
    state = _bridge_state(c, weights)
    bridge.load_state_dict(state, strict=True)
    return bridge.eval()


def _bridge_state(c: ModelConfig, weights: Weights) -> Weights:
    state = {"embed.weight": weights["embed.W_E"], "pos_embed.weight": weights["pos_embed.W_pos"]}
    zeros = weights["embed.W_E"].new_zeros
    for layer in range(c.n_layers):
        attn, mlp = f"blocks.{layer}.attn", f"blocks.{layer}.mlp"
        for name in "QKV":
            w = weights[f"{attn}.W_{name}"]
            state[f"{attn}.{name.lower()}.weight"] = w.transpose(1, 2).reshape(-1, c.d_model)
            bias = weights.get(f"{attn}.b_{name}", zeros(c.n_heads, c.d_head))
            state[f"{attn}.{name.lower()}.bias"] = bias.reshape(-1)
        state[f"{attn}.o.weight"] = weights[f"{attn}.W_O"].reshape(-1, c.d_model).T
        state[f"{attn}.o.bias"] = weights.get(f"{attn}.b_O", zeros(c.d_model))
        for side, width in (("in", c.d_mlp), ("out", c.d_model)):
            state[f"{mlp}.{side}.weight"] = weights[f"{mlp}.W_{side}"].T
            state[f"{mlp}.{side}.bias"] = weights.get(f"{mlp}.b_{side}", zeros(width))
    for norm in [f"blocks.{layer}.ln{i}" for layer in range(c.n_layers) for i in (1, 2)] + ["ln_final"]:
        if f"{norm}.w" in weights:
            state |= {f"{norm}.weight": weights[f"{norm}.w"], f"{norm}.bias": weights[f"{norm}.b"]}
    state["unembed.weight"] = unembedding(c, weights).T
    state["unembed.bias"] = weights.get("unembed.b_U", zeros(c.d_vocab_out))
    return {name: w.contiguous() for name, w in state.items()}

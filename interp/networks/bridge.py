"""Hugging Face weights as a hooked model: a `TransformerBridge` made of a config and a state dict, no network needed.

The folder holds config.json (and tokenizer files, where the architecture needs them); nothing in it is run: an
"auto_map" to code of its own is ignored, and only architectures that transformers itself knows are built.
"""

import json
from pathlib import Path
from typing import Any

import torch

from interp.networks.config import Weights


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

    fields = json.loads((folder / "config.json").read_text("utf-8"))
    fields.pop("auto_map", None)
    model_type = fields.pop("model_type", None)
    if model_type not in transformers.CONFIG_MAPPING:
        raise ValueError(
            f"{folder / 'config.json'} names the architecture {model_type!r}, which transformers "
            f"{transformers.__version__} does not know. Probes of weights work without a model."
        )
    config = transformers.AutoConfig.for_model(model_type, **fields)
    if type(config) not in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ValueError(
            f"{folder / 'config.json'} describes {model_type!r}, which is no causal language model. Probes of weights "
            "work without a model."
        )
    kind = transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
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

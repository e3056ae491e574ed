"""Attention-free MLPs that read numbers in place of tokens: pixels, signs, random features."""

from interp.networks.config import ModelConfig, transformer_config


def features_mlp(
    *, n_features: int, n_outputs: int, d_mlp: int, n_layers: int = 1, act_fn: str = "relu", **changes
) -> ModelConfig:
    """An attention-free MLP on features: n_layers hidden layers of d_mlp, biases in them and in the unembedding.

    Raises:
        ValueError: as `ModelConfig` does.
    """
    fields = {"reads_features": True, "unembed_bias": True} | changes
    return transformer_config(
        p=n_outputs, n_ctx=n_features, d_vocab=1, n_layers=n_layers, d_model=1, n_heads=0, d_mlp=d_mlp, act_fn=act_fn,
        **fields,
    )  # fmt: skip

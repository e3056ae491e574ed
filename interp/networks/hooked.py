"""Networks as hooked modules: TransformerLens weight names, orientations and hook names.

`build_model(config, weights)` gives a `HookedRootModule`: `run_with_cache`, `run_with_hooks`, `add_hook`, `W_E`,
`W_Q` and the rest work as on the former HookedTransformer. Hooks of one layer, in the order of the forward pass:

    hook_embed, hook_pos_embed, blocks.0.hook_resid_pre, [blocks.0.ln1.hook_normalized,] blocks.0.attn.hook_q, hook_k,
    hook_v, hook_attn_scores (before the softmax, -inf where masked), hook_pattern, hook_z, blocks.0.hook_attn_out,
    hook_resid_mid, [blocks.0.ln2.hook_normalized,] blocks.0.mlp.hook_pre, hook_post, blocks.0.hook_mlp_out,
    hook_resid_post, [ln_final.hook_normalized,] hook_unembed

`hook_normalized` comes after the norm's weights and biases, as in HookedTransformer; a TransformerBridge has it before
them and calls this one `ln1.hook_out`.

An attention-free MLP has `hook_embed`, `blocks.N.mlp.hook_pre`, `blocks.N.mlp.hook_post` and `hook_unembed`; its
logits have a position axis of length 1, so that `logits[:, -1]` reads the answer of either family.

This module and `interp.networks.bridge` are the only ones that import transformer_lens.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformer_lens import HookedRootModule, TransformerBridge
from transformer_lens.hook_points import HookPoint

from interp.networks import plain
from interp.networks.bridge import as_bridge
from interp.networks.config import ModelConfig, Weights, check_weights, parameter_shapes
from interp.networks.layers import sinusoidal_positions, unembedding


class HookedNetwork(HookedRootModule):
    """What the two families share: parameters under TransformerLens names, weight swapping, views.

    Attributes:
        cfg: the `ModelConfig`; field names are those of TransformerLens where it has them.
    """

    def __init__(self, config: ModelConfig, weights: Weights | None):
        super().__init__()
        self.cfg = config
        for name, shape in parameter_shapes(config).items():
            *path, leaf = name.split(".")
            self._submodule(path).register_parameter(leaf, nn.Parameter(torch.zeros(shape)))
        for name in plain.hook_names(config):
            *path, leaf = name.split(".")
            self._submodule(path).add_module(leaf, HookPoint())
        self.setup()
        if weights is not None:
            check_weights(config, weights, "This set of weights")
            super().to(next(iter(weights.values())).dtype)
            self.load_weights(weights)

    def _submodule(self, path: list[str]) -> nn.Module:
        module: nn.Module = self
        for name in path:
            if name not in module._modules:
                module.add_module(name, nn.Module())
            module = module._modules[name]  # type: ignore[assignment]
        return module

    @torch.no_grad()
    def load_weights(self, weights: Weights) -> None:
        """Swap all weights in place: the module, its hooks, its device and dtype stay. Strict.

        Raises:
            ValueError: if the weights are not exactly the parameters of the config.
        """
        check_weights(self.cfg, weights, "This set of weights")
        for name, parameter in self.named_parameters():
            parameter.copy_(weights[name])

    def weights(self) -> Weights:
        """The parameters by name, sharing memory with the module."""
        return dict(self.named_parameters(remove_duplicate=False))

    def _hook(self, name: str, x: Tensor) -> Tensor:
        return self.hook_dict[name](x)

    @property
    def W_E(self) -> Tensor:
        if self.cfg.one_hot_embed:
            return torch.eye(self.cfg.d_vocab, device=self.W_U.device, dtype=self.W_U.dtype)
        return self.weights()["embed.W_E"]

    @property
    def W_U(self) -> Tensor:
        return unembedding(self.cfg, self.weights())

    @property
    def b_U(self) -> Tensor:
        """Zeros where the model has no such bias, as every bias view here."""
        bias = self.weights().get("unembed.b_U")
        return self.W_U.new_zeros(self.cfg.d_vocab_out) if bias is None else bias

    def _stacked(self, name: str, shape: tuple[int, ...] | None = None) -> Tensor:
        weights = self.weights()
        layers = [weights.get(f"blocks.{layer}.{name}") for layer in range(self.cfg.n_layers)]
        if layers[0] is None:
            if shape is None:
                raise AttributeError(f"This model has no {name}.")
            return self.W_U.new_zeros(self.cfg.n_layers, *shape)
        return torch.stack(layers)  # type: ignore[arg-type]

    @property
    def W_in(self) -> Tensor:
        return self._stacked("mlp.W_in")

    @property
    def b_in(self) -> Tensor:
        return self._stacked("mlp.b_in", (self.cfg.d_mlp,))

    def _check_tokens(self, tokens: Tensor) -> Tensor:
        if tokens.ndim == 1:
            tokens = tokens[None]
        if tokens.is_floating_point() or tokens.ndim != 2 or tokens.shape[1] > self.cfg.n_ctx:
            raise ValueError(
                f"The model needs integer tokens (batch, pos) with at most {self.cfg.n_ctx} positions, got "
                f"{tokens.dtype} of shape {tuple(tokens.shape)}."
            )
        if tokens.numel():
            low, high = (int(bound) for bound in tokens.aminmax())
            if low < 0 or high >= self.cfg.d_vocab:  # -1 would silently be the last token
                raise ValueError(
                    f"The model needs tokens from 0 to {self.cfg.d_vocab - 1}, got {low if low < 0 else high}. Was it "
                    "built for another modulus or vocabulary?"
                )
        return tokens


class HookedTransformer(HookedNetwork):
    """A small transformer with the hooks of TransformerLens (see the module's docstring)."""

    @property
    def W_pos(self) -> Tensor:
        """Zeros where the model has no positions, the fixed table where they are sinusoidal."""
        c = self.cfg
        if c.positions == "learned":
            return self.weights()["pos_embed.W_pos"]
        if c.positions == "sinusoidal":
            return sinusoidal_positions(c.n_ctx, c.d_model).to(self.W_E)
        return self.W_E.new_zeros(c.n_ctx, c.d_model)

    W_Q = property(lambda self: self._stacked("attn.W_Q"))
    W_K = property(lambda self: self._stacked("attn.W_K"))
    W_V = property(lambda self: self._stacked("attn.W_V"))
    W_O = property(lambda self: self._stacked("attn.W_O"))
    b_Q = property(lambda self: self._stacked("attn.b_Q", (self.cfg.n_heads, self.cfg.d_head)))
    b_K = property(lambda self: self._stacked("attn.b_K", (self.cfg.n_heads, self.cfg.d_head)))
    b_V = property(lambda self: self._stacked("attn.b_V", (self.cfg.n_heads, self.cfg.d_head)))
    b_O = property(lambda self: self._stacked("attn.b_O", (self.cfg.d_model,)))
    W_out = property(lambda self: self._stacked("mlp.W_out"))
    b_out = property(lambda self: self._stacked("mlp.b_out", (self.cfg.d_model,)))

    def forward(self, tokens: Int[Tensor, "*batch pos"]) -> Float[Tensor, "rows pos d_vocab_out"]:
        """Logits at every position; a single row of tokens gets a batch axis, as in TransformerLens.

        Raises:
            ValueError: if the tokens are not integers (batch, pos) within context and vocabulary.
        """
        return plain.forward(self.cfg, self.weights(), self._check_tokens(tokens), self._hook)

    def to_bridge(self) -> TransformerBridge:
        """A `TransformerBridge` with the same logits, for tools written for TransformerLens 4.

        Biases that the model does not have are zero there. Do not call `enable_compatibility_mode()` on it before
        probing weights: it centres W_U even without LayerNorm.

        Raises:
            ValueError: if the bridge cannot express the network: a constant added to the pattern, quadratic or tanh
                activation, normalization after the sum, missing or sinusoidal positions.
        """
        return as_bridge(self.cfg, {name: w.detach() for name, w in self.weights().items()})


class HookedMLP(HookedNetwork):
    """An attention-free MLP on the embeddings of all positions side by side."""

    def forward(self, tokens: Int[Tensor, "*batch pos"]) -> Float[Tensor, "rows 1 d_vocab_out"]:
        """Logits of the answer.

        Raises:
            ValueError: if the tokens are not integers (batch, n_ctx) within the vocabulary.
        """
        tokens = self._check_tokens(tokens)
        if tokens.shape[1] != self.cfg.n_ctx:
            raise ValueError(f"This MLP reads {self.cfg.n_ctx} tokens at once, got {tokens.shape[1]}.")
        return plain.forward(self.cfg, self.weights(), tokens, self._hook)

    def to_bridge(self) -> Any:
        raise ValueError(
            "A TransformerBridge cannot express an attention-free MLP. Use the hooked model itself."
        )


def build_model(config: ModelConfig, weights: Weights | None = None) -> HookedNetwork:
    """A hooked module with these weights (zeros without).

    Raises:
        ValueError: if the weights are not exactly the parameters of the config.
    """
    return (HookedMLP if config.is_mlp else HookedTransformer)(config, weights)

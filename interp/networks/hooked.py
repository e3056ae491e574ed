"""Networks as hooked modules: TransformerLens weight names, orientations and hook names.

`build_model(config, weights)` gives a `HookedRootModule` in evaluation mode: `run_with_cache` (an `ActivationCache`),
`run_with_hooks`, `add_hook`, `W_E`, `W_Q`, `OV` and the rest work as on the former HookedTransformer, and the patching
of TransformerLens takes it. What works and what is not there: docs/transformer_lens.md. Hooks of one layer, in the
order of the forward pass:

    hook_embed, hook_pos_embed, blocks.0.hook_resid_pre, [blocks.0.ln1.hook_scale, hook_normalized,]
    blocks.0.attn.hook_q, hook_k, hook_v, hook_attn_scores (before the softmax, -inf where masked), hook_pattern,
    hook_z, blocks.0.hook_attn_out, hook_resid_mid, [blocks.0.ln2.hook_scale, hook_normalized,] blocks.0.mlp.hook_pre,
    hook_post, blocks.0.hook_mlp_out, hook_resid_post, [ln_final.hook_scale, hook_normalized,] hook_unembed

`hook_normalized` comes after the norm's weights and biases, as in HookedTransformer; a TransformerBridge has it before
them and calls this one `ln1.hook_out`.

An attention-free MLP has `hook_embed`, `blocks.N.mlp.hook_pre`, `blocks.N.mlp.hook_post` and `hook_unembed`; its
logits have a position axis of length 1, so that `logits[:, -1]` reads the answer of either family.

This module and `interp.networks.bridge` are the only ones that import transformer_lens.
"""

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformer_lens import ActivationCache, FactoredMatrix, HookedRootModule, TransformerBridge
from transformer_lens.hook_points import HookPoint
from transformer_lens.utilities import lm_cross_entropy_loss

from interp.networks import plain
from interp.networks.bridge import as_bridge
from interp.networks.config import ModelConfig, Weights, check_weights, parameter_shapes
from interp.networks.hooked_parts import LensConfig, Output, part
from interp.networks.layers import sinusoidal_positions, unembedding

ReturnType = Literal["logits", "loss", "both"] | None


class HookedNetwork(HookedRootModule):
    """What the two families share: parameters under TransformerLens names, weight swapping, views.

    Attributes:
        config: what the network is.
    """

    def __init__(self, config: ModelConfig, weights: Weights | None):
        super().__init__()
        self.config = config
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
        # Nothing here differs in training; TransformerLens' tools refuse models that are in it.
        self.eval()

    @property
    def cfg(self) -> LensConfig:
        """The config under the name and with the fields that TransformerLens' tools look for."""
        return LensConfig(**vars(self.config) | {"device": next(self.parameters()).device})

    def _submodule(self, path: list[str]) -> nn.Module:
        module: nn.Module = self
        for name in path:
            if name not in module._modules:
                module.add_module(name, part(name))
            module = module._modules[name]  # type: ignore[assignment]
        return module

    @torch.no_grad()
    def load_weights(self, weights: Weights) -> None:
        """Swap all weights in place: the module, its hooks, its device and dtype stay. Strict.

        Raises:
            ValueError: if the weights are not exactly the parameters of the config.
        """
        check_weights(self.config, weights, "This set of weights")
        for name, parameter in self.named_parameters():
            parameter.copy_(weights[name])

    def weights(self) -> Weights:
        """The parameters by name, sharing memory with the module."""
        return dict(self.named_parameters(remove_duplicate=False))

    def _hook(self, name: str, x: Tensor) -> Tensor:
        return self.hook_dict[name](x)

    @property
    def W_E(self) -> Tensor:
        if self.config.reads_features:
            raise AttributeError("This model has no W_E: it reads features.")
        if self.config.one_hot_embed:
            return torch.eye(self.config.d_vocab, device=self.W_U.device, dtype=self.W_U.dtype)
        return self.weights()["embed.W_E"]

    @property
    def W_U(self) -> Tensor:
        return unembedding(self.config, self.weights())

    @property
    def b_U(self) -> Tensor:
        """Zeros where the model has no such bias, as every bias view here."""
        bias = self.weights().get("unembed.b_U")
        return self.W_U.new_zeros(self.config.d_vocab_out) if bias is None else bias

    def _stacked(self, name: str, shape: tuple[int, ...] | None = None) -> Tensor:
        weights = self.weights()
        layers = [weights.get(f"blocks.{layer}.{name}") for layer in range(self.config.n_layers)]
        if layers[0] is None:
            if shape is None:
                raise AttributeError(f"This model has no {name}.")
            return self.W_U.new_zeros(self.config.n_layers, *shape)
        return torch.stack(layers)  # type: ignore[arg-type]

    def run_with_cache(self, *arguments: Any, return_cache_object: bool = True, **options: Any) -> Any:
        """The output and an `ActivationCache`: `cache["pattern", 0]`, `cache.decompose_resid()`, ...

        The cache holds on to the model; `cache.cache_dict` is the plain dict.

        Args:
            return_cache_object: False gives the plain dict.
            arguments, options: as `forward` and TransformerLens' `HookedRootModule.run_with_cache` take them.
        """
        out, kept = super().run_with_cache(*arguments, **options)
        if not return_cache_object:
            return out, kept
        return out, ActivationCache(kept, self, has_batch_dim=not options.get("remove_batch_dim", False))

    def forward(
        self,
        tokens: Int[Tensor, "*batch pos"] | Float[Tensor, "*batch pos"],
        return_type: ReturnType = "logits",
        *,
        loss_per_token: bool = False,
        stop_at_layer: int | None = None,
    ) -> Any:
        """Logits at every position; a single row of tokens gets a batch axis, as in TransformerLens.

        Args:
            tokens: features, floating-point numbers, of a network that reads them.
            return_type: "logits"; "loss", that of the next token (`loss_fn`); "both", as an `Output`; or None.
            loss_per_token: the loss of each token instead of their mean.
            stop_at_layer: the residual stream that goes into this layer instead (of a transformer); may be negative,
                and n_layers is what goes into the last norm.

        Raises:
            ValueError: if the inputs are not what the network reads, within its context and vocabulary, or there is no
                loss of the next token, or no such layer.
        """
        if return_type not in ("logits", "loss", "both", None):
            raise ValueError(
                f"The model needs return_type to be 'logits', 'loss', 'both' or None, got {return_type!r}."
            )
        tokens = self._check_tokens(tokens)
        if stop_at_layer is not None:
            return self._residual(tokens, stop_at_layer)
        logits = plain.forward(self.config, self.weights(), tokens, self._hook)
        if return_type in ("logits", None):
            return logits if return_type else None
        loss = self.loss_fn(logits, tokens, per_token=loss_per_token)
        return loss if return_type == "loss" else Output(logits, loss)

    def _residual(self, tokens: Tensor, stop_at_layer: int) -> Tensor:
        n_layers = self.config.n_layers
        if self.config.is_mlp or not -n_layers <= stop_at_layer <= n_layers:
            there = (
                "an attention-free MLP has no residual stream"
                if self.config.is_mlp
                else f"there are {n_layers}"
            )
            raise ValueError(
                f"The model needs a layer to stop at, got stop_at_layer={stop_at_layer}: {there}."
            )
        n_blocks = stop_at_layer + n_layers * (stop_at_layer < 0)
        return plain.residual_stream(self.config, self.weights(), tokens, n_blocks, self._hook)

    def loss_fn(
        self,
        logits: Float[Tensor, "batch pos d_vocab_out"],
        tokens: Int[Tensor, "batch n_ctx"],
        attention_mask: Tensor | None = None,
        per_token: bool = False,
    ) -> Tensor:
        """TransformerLens' loss: cross-entropy of the next token, the mean over rows and positions.

        It is not what grokking runs are trained on, the loss of the answer at the last position: that one is
        `torch.nn.functional.cross_entropy(model(tokens)[:, -1], labels)`, and in float64 the probe `losses`.

        Raises:
            ValueError: if the network has no loss of the next token: a token that is shown is none of its logits.
        """
        if self.config.is_mlp or (tokens.numel() and int(tokens[:, 1:].max()) >= logits.shape[-1]):
            raise ValueError(
                f"The loss of the next token needs a logit for every token, and this network answers with "
                f"{logits.shape[-1]} logits for {self.config.d_vocab} tokens"
                f"{' at one position' if self.config.is_mlp else ''}. The loss of its answers is "
                "torch.nn.functional.cross_entropy(model(tokens)[:, -1], labels)."
            )
        return lm_cross_entropy_loss(logits, tokens, attention_mask, per_token)

    def tokens_to_residual_directions(self, tokens: int | Tensor) -> Tensor:
        """The unembedding vectors of these answers, `(*tokens, d_model)`: what `cache.logit_attrs` projects onto."""
        return self.W_U.T[tokens]

    @property
    def W_in(self) -> Tensor:
        return self._stacked("mlp.W_in")

    @property
    def b_in(self) -> Tensor:
        return self._stacked("mlp.b_in", (self.config.d_mlp,))

    def _check_tokens(self, tokens: Tensor) -> Tensor:
        if tokens.ndim == 1:
            tokens = tokens[None]
        if tokens.is_floating_point() or tokens.ndim != 2 or tokens.shape[1] > self.config.n_ctx:
            raise ValueError(
                f"The model needs integer tokens (batch, pos) with at most {self.config.n_ctx} positions, got "
                f"{tokens.dtype} of shape {tuple(tokens.shape)}."
            )
        if tokens.numel():
            low, high = (int(bound) for bound in tokens.aminmax())
            if low < 0 or high >= self.config.d_vocab:  # -1 would silently be the last token
                raise ValueError(
                    f"The model needs tokens from 0 to {self.config.d_vocab - 1}, got {low if low < 0 else high}. Was "
                    "it built for another modulus or vocabulary?"
                )
        return tokens


class HookedTransformer(HookedNetwork):
    """A small transformer with the hooks of TransformerLens (see the module's docstring)."""

    @property
    def W_pos(self) -> Tensor:
        """Zeros where the model has no positions, the fixed table where they are sinusoidal."""
        c = self.config
        if c.positions == "learned":
            return self.weights()["pos_embed.W_pos"]
        if c.positions == "sinusoidal":
            return sinusoidal_positions(c.n_ctx, c.d_model).to(self.W_E)
        return self.W_E.new_zeros(c.n_ctx, c.d_model)

    W_Q = property(lambda self: self._stacked("attn.W_Q"))
    W_K = property(lambda self: self._stacked("attn.W_K"))
    W_V = property(lambda self: self._stacked("attn.W_V"))
    W_O = property(lambda self: self._stacked("attn.W_O"))
    b_Q = property(lambda self: self._stacked("attn.b_Q", (self.config.n_heads, self.config.d_head)))
    b_K = property(lambda self: self._stacked("attn.b_K", (self.config.n_heads, self.config.d_head)))
    b_V = property(lambda self: self._stacked("attn.b_V", (self.config.n_heads, self.config.d_head)))
    b_O = property(lambda self: self._stacked("attn.b_O", (self.config.d_model,)))
    W_out = property(lambda self: self._stacked("mlp.W_out"))
    b_out = property(lambda self: self._stacked("mlp.b_out", (self.config.d_model,)))

    @property
    def OV(self) -> FactoredMatrix:
        """W_V W_O of every head, (layer, head, d_model, d_model)."""
        return FactoredMatrix(self.W_V, self.W_O)

    @property
    def QK(self) -> FactoredMatrix:
        """W_Q W_K^T of every head, (layer, head, d_model, d_model)."""
        return FactoredMatrix(self.W_Q, self.W_K.transpose(-2, -1))

    def accumulated_bias(
        self, layer: int, mlp_input: bool = False, include_mlp_biases: bool = True
    ) -> Float[Tensor, " d_model"]:
        """The sum of the output biases of the blocks before this layer: what `cache` adds to heads and neurons.

        Args:
            mlp_input: with the attention's bias of this layer too.
            include_mlp_biases: False leaves out those of the MLPs.
        """
        n_attention = layer + mlp_input
        bias = self.b_O[:n_attention].sum(0)
        return bias + self.b_out[:layer].sum(0) if include_mlp_biases and self.config.d_mlp else bias

    def to_bridge(self) -> TransformerBridge:
        """A `TransformerBridge` with the same logits, in evaluation mode, for tools written for TransformerLens 4.

        Biases that the model does not have are zero there. Do not call `enable_compatibility_mode()` on it before
        probing weights: it centres W_U even without LayerNorm.

        Raises:
            ValueError: if the bridge cannot express the network: a constant added to the pattern, quadratic or tanh
                activation, normalization after the sum, missing or sinusoidal positions.
        """
        return as_bridge(self.config, {name: w.detach() for name, w in self.weights().items()})


class HookedMLP(HookedNetwork):
    """An attention-free MLP on the embeddings of all positions side by side."""

    def _check_tokens(self, tokens: Tensor) -> Tensor:
        if self.config.reads_features:
            return self._check_features(tokens)
        tokens = super()._check_tokens(tokens)
        if tokens.shape[1] != self.config.n_ctx:
            raise ValueError(f"This MLP reads {self.config.n_ctx} tokens at once, got {tokens.shape[1]}.")
        return tokens

    def _check_features(self, features: Tensor) -> Tensor:
        features = features[None] if features.ndim == 1 else features
        if not features.is_floating_point() or features.ndim != 2 or features.shape[1] != self.config.n_ctx:
            raise ValueError(
                f"This MLP reads {self.config.n_ctx} features, floating-point numbers (batch, feature), got "
                f"{features.dtype} of shape {tuple(features.shape)}."
            )
        return features

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

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
from transformer_lens import HookedRootModule, TransformerBridge, TransformerBridgeConfig
from transformer_lens.hook_points import HookPoint

from interp.networks.config import ModelConfig, Weights, check_weights, parameter_shapes
from interp.networks.layers import activation, layer_norm, sinusoidal_positions, unembedding


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
        for name in self._hook_names():
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

    def _hook_names(self) -> list[str]:
        raise NotImplementedError

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

    def _logits(self, x: Tensor) -> Tensor:
        logits = x @ self.W_U
        if self.cfg.unembed_bias:
            logits = logits + self.b_U
        return self._hook("hook_unembed", logits)

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

    def _hook_names(self) -> list[str]:
        c = self.cfg
        names = ["hook_embed", "hook_unembed"]
        if c.positions != "none":
            names.append("hook_pos_embed")
        for layer in range(c.n_layers):
            block = f"blocks.{layer}"
            names += [f"{block}.attn.hook_{x}" for x in ("q", "k", "v", "attn_scores", "pattern", "z")]
            names += [f"{block}.hook_{x}" for x in ("resid_pre", "attn_out", "resid_mid", "resid_post")]
            names += [f"{block}.ln1.hook_normalized"] * bool(c.normalization_type)
            if c.d_mlp:
                names += [f"{block}.mlp.hook_pre", f"{block}.mlp.hook_post", f"{block}.hook_mlp_out"]
                names += [f"{block}.ln2.hook_normalized"] * bool(c.normalization_type)
        if c.normalization_type and c.norm_placement == "pre":
            names.append("ln_final.hook_normalized")
        return names

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
        tokens = self._check_tokens(tokens)
        c, weights = self.cfg, self.weights()
        x = self._hook("hook_embed", weights["embed.W_E"][tokens])
        if c.positions != "none":
            position = self.W_pos[: tokens.shape[1]].expand(len(tokens), -1, -1)
            x = x + self._hook("hook_pos_embed", position)
        for layer in range(c.n_layers):
            x = self._block(f"blocks.{layer}", x, weights)
        if c.normalization_type and c.norm_placement == "pre":
            x = self._norm("ln_final", x, weights)
        return self._logits(x)

    def _norm(self, prefix: str, x: Tensor, weights: Weights) -> Tensor:
        return self._hook(f"{prefix}.hook_normalized", layer_norm(x, weights, prefix, self.cfg))

    def _block(self, block: str, x: Tensor, weights: Weights) -> Tensor:
        c = self.cfg
        pre, post = (bool(c.normalization_type) and c.norm_placement == when for when in ("pre", "post"))
        x = self._hook(f"{block}.hook_resid_pre", x)
        attn_in = self._norm(f"{block}.ln1", x, weights) if pre else x
        x = x + self._hook(f"{block}.hook_attn_out", self._attention(f"{block}.attn", attn_in, weights))
        x = self._norm(f"{block}.ln1", x, weights) if post else x
        x = self._hook(f"{block}.hook_resid_mid", x)
        if c.d_mlp:
            mlp_in = self._norm(f"{block}.ln2", x, weights) if pre else x
            x = x + self._hook(f"{block}.hook_mlp_out", self._mlp(f"{block}.mlp", mlp_in, weights))
            x = self._norm(f"{block}.ln2", x, weights) if post else x
        return self._hook(f"{block}.hook_resid_post", x)

    def _attention(self, name: str, x: Tensor, weights: Weights) -> Tensor:
        c = self.cfg
        q, k, v = (
            self._hook(
                f"{name}.hook_{w.lower()}",
                torch.einsum("bpm,hme->bphe", x, weights[f"{name}.W_{w}"]) + weights.get(f"{name}.b_{w}", 0),
            )
            for w in "QKV"
        )
        scores = torch.einsum("bqhe,bkhe->bhqk", q, k) / c.d_head**0.5
        if c.attention_dir == "causal":
            n = x.shape[1]
            future = torch.ones(n, n, dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(future, -torch.inf)
        pattern = self._hook(f"{name}.hook_attn_scores", scores).softmax(-1)
        if c.attention_rate != 1:
            pattern = c.attention_rate * pattern + (1 - c.attention_rate)
            if c.attention_dir == "causal":
                pattern = pattern.masked_fill(future, 0)
        pattern = self._hook(f"{name}.hook_pattern", pattern)
        z = self._hook(f"{name}.hook_z", torch.einsum("bhqk,bkhe->bqhe", pattern, v))
        return torch.einsum("bqhe,hem->bqm", z, weights[f"{name}.W_O"]) + weights.get(f"{name}.b_O", 0)

    def _mlp(self, name: str, x: Tensor, weights: Weights) -> Tensor:
        pre = self._hook(f"{name}.hook_pre", x @ weights[f"{name}.W_in"] + weights.get(f"{name}.b_in", 0))
        post = self._hook(f"{name}.hook_post", activation(self.cfg.act_fn, pre))
        return post @ weights[f"{name}.W_out"] + weights.get(f"{name}.b_out", 0)

    def to_bridge(self) -> TransformerBridge:
        """A `TransformerBridge` with the same logits, for tools written for TransformerLens 4.

        Biases that the model does not have are zero there. Do not call `enable_compatibility_mode()` on it before
        probing weights: it centres W_U even without LayerNorm.

        Raises:
            ValueError: if the bridge cannot express the network: a constant added to the pattern, quadratic or tanh
                activation, normalization after the sum, missing or sinusoidal positions.
        """
        c = self.cfg
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
            device=self.W_U.device,
            dtype=self.W_U.dtype,
        )
        state = _bridge_state(c, {name: w.detach() for name, w in self.weights().items()})
        bridge.load_state_dict(state, strict=True)
        return bridge


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


class HookedMLP(HookedNetwork):
    """An attention-free MLP on the embeddings of all positions side by side."""

    def _hook_names(self) -> list[str]:
        names = ["hook_embed", "hook_unembed"]
        for layer in range(self.cfg.n_layers):
            names += [f"blocks.{layer}.mlp.hook_pre", f"blocks.{layer}.mlp.hook_post"]
        return names

    def forward(self, tokens: Int[Tensor, "*batch pos"]) -> Float[Tensor, "rows 1 d_vocab_out"]:
        """Logits of the answer.

        Raises:
            ValueError: if the tokens are not integers (batch, n_ctx) within the vocabulary.
        """
        tokens = self._check_tokens(tokens)
        if tokens.shape[1] != self.cfg.n_ctx:
            raise ValueError(f"This MLP reads {self.cfg.n_ctx} tokens at once, got {tokens.shape[1]}.")
        weights = self.weights()
        x = self._hook("hook_embed", self.W_E[tokens]).flatten(1)[:, None]
        for layer in range(self.cfg.n_layers):
            name = f"blocks.{layer}.mlp"
            pre = x @ weights[f"{name}.W_in"] + weights.get(f"{name}.b_in", 0)
            x = activation(self.cfg.act_fn, self._hook(f"{name}.hook_pre", pre))
            x = self._hook(f"{name}.hook_post", x)
        return self._logits(x)

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

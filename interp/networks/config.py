"""What a network is, before it is a module: its config, its parameters' names and shapes, its initialization.

Names and orientations are those of TransformerLens (`blocks.0.attn.W_Q` is (head, d_model, d_head)). This module
needs torch only, so that a run can be trained, read and verified without the seconds that loading transformer_lens
takes; `interp.networks.hooked` makes hooked modules of what is described here.

Two families. With `n_heads > 0` a transformer: embedding, positions, blocks of attention and MLP on a residual stream,
unembedding. With `n_heads == 0` an attention-free MLP: the embeddings of all positions side by side, or their sum,
`n_layers` hidden layers, unembedding, no residual stream. An MLP may read features, numbers in place of tokens.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from interp.ground.choices import check_choices
from interp.ground.memory import check_memory
from interp.ground.plain_text import shown
from interp.tasks.task import OMITTED

Weights = dict[str, Tensor]

# No network is larger, and numbers beyond them come from damaged or hostile files and slips of the hand.
LARGEST_DEPTH = 10_000
LARGEST_SIZE = 10**9


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that decides a network's function and its initialization.

    Attributes:
        n_layers: blocks of a transformer, hidden layers of an MLP.
        d_model: width of the residual stream (of one token's embedding for an MLP).
        n_heads: attention heads; 0 makes an attention-free MLP.
        d_head: width of a head (0 without attention).
        d_mlp: neurons of an MLP layer; 0 makes an attention-only transformer.
        n_ctx: tokens in a row.
        d_vocab, d_vocab_out: input tokens, logits.
        act_fn: "relu", "gelu" (exact, by the error function), "quadratic" (x^2) or "tanh".
        attention_dir: "causal" or "bidirectional".
        attention_rate: alpha of Zhong et al. 2023: the pattern is alpha * softmax + (1 - alpha) * 1. The constant
            is 1 for every position, not 1/n_ctx. 1.0 is ordinary attention. Theirs has no causal mask (use
            "bidirectional" for their networks); with "causal" the constant is 0 where the mask is, so that no
            position sees its future. In a one-layer network read at the last position the two agree.
        positions: "learned", "sinusoidal" (fixed) or "none".
        normalization_type: None, "LN" (with weights and biases) or "LNPre" (without).
        norm_placement: "pre" (before attention and MLP, and before the unembedding) or "post" (after each sum, as in
            Vaswani et al. 2017, none before the unembedding). Ignored without normalization.
        tied_unembed: W_U is the transpose of the first d_vocab_out rows of W_E.
        attention_bias, mlp_bias, unembed_bias: which biases exist.
        one_hot_embed: an MLP's embedding is the identity and has no parameter.
        init: "nanda" (N(0, 1/d_model), W_U N(0, 1/d_vocab)), "pizza" (W_in N(0, 1/d_mlp) instead) or "gpt2"
            (N(0, 0.64/d_model), as the legacy HookedTransformer). Biases start at zero.
        init_scale: factor on every initial matrix.
        summed_embed: an MLP reads the sum of the embeddings of all positions, not all of them side by side.
        reads_features: an MLP reads n_ctx numbers as they are, one at each position, without an embedding (d_model and
            d_vocab are 1): W_in of the first layer is (feature, neuron).
    """

    n_layers: int
    d_model: int
    n_heads: int
    d_head: int
    d_mlp: int
    n_ctx: int
    d_vocab: int
    d_vocab_out: int
    act_fn: Literal["relu", "gelu", "quadratic", "tanh"]
    attention_dir: Literal["causal", "bidirectional"]
    attention_rate: float
    positions: Literal["learned", "sinusoidal", "none"]
    normalization_type: Literal["LN", "LNPre"] | None
    norm_placement: Literal["pre", "post"]
    tied_unembed: bool
    attention_bias: bool
    mlp_bias: bool
    unembed_bias: bool
    one_hot_embed: bool
    init: Literal["nanda", "pizza", "gpt2"]
    init_scale: float
    summed_embed: bool = field(default=False, metadata=OMITTED)
    reads_features: bool = field(default=False, metadata=OMITTED)

    def __post_init__(self):
        check_choices(self)
        sizes = {
            "n_layers": 1,
            "d_model": 1,
            "n_ctx": 1,
            "d_vocab": 1,
            "d_vocab_out": 1,
            "n_heads": 0,
            "d_mlp": 0,
        }
        for name, least in sizes.items():
            most = LARGEST_DEPTH if name == "n_layers" else LARGEST_SIZE
            if not least <= getattr(self, name) <= most:
                bound = f"least {least}" if getattr(self, name) < least else f"most {most:,}"
                raise ValueError(f"A model needs {name} of at {bound}, got {shown(getattr(self, name))}.")
        for name in ("attention_rate", "init_scale"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"A model needs a finite {name}, got {getattr(self, name)}.")
        if self.n_heads and not 1 <= self.d_head <= LARGEST_SIZE:
            bound = "least 1" if self.d_head < 1 else f"most {LARGEST_SIZE:,}"
            raise ValueError(f"Attention needs d_head of at {bound}, got {shown(self.d_head)}.")
        if self.is_mlp and (self.d_mlp < 1 or self.normalization_type or self.positions != "none"):
            raise ValueError(
                "An attention-free MLP (n_heads=0) needs d_mlp > 0, positions='none' and no normalization, got "
                f"d_mlp={self.d_mlp}, positions={self.positions!r}, normalization_type={self.normalization_type!r}."
            )
        if self.one_hot_embed and not (self.is_mlp and self.d_model == self.d_vocab):
            raise ValueError(
                "A one-hot embedding needs an attention-free MLP with d_model equal to d_vocab, got "
                f"n_heads={self.n_heads}, d_model={self.d_model}, d_vocab={self.d_vocab}."
            )
        if self.summed_embed and not self.is_mlp:
            raise ValueError(
                f"A summed embedding needs an attention-free MLP, got n_heads={self.n_heads}: attention reads every "
                "position."
            )
        self._check_features()
        width = self.d_mlp if self.is_mlp else self.d_model
        if self.tied_unembed and (
            self.one_hot_embed or width != self.d_model or self.d_vocab_out > self.d_vocab
        ):
            raise ValueError(
                "A tied unembedding needs a learned embedding as wide as what is unembedded and at least as many "
                f"tokens as logits, got d_model={self.d_model}, width {width}, d_vocab={self.d_vocab}, "
                f"d_vocab_out={self.d_vocab_out}."
            )
        names = ("n_layers", "d_model", "n_heads", "d_head", "d_mlp", "n_ctx", "d_vocab", "d_vocab_out")
        stated = ", ".join(f"{name}={getattr(self, name)}" for name in names)
        check_memory(4 * n_parameters(self), f"A model with {stated}")

    def _check_features(self) -> None:
        embeds = self.one_hot_embed or self.summed_embed or self.tied_unembed
        if self.reads_features and not (self.is_mlp and self.d_model == self.d_vocab == 1 and not embeds):
            raise ValueError(
                "A network that reads features is an attention-free MLP (n_heads=0) without an embedding: d_model=1, "
                f"d_vocab=1, not one-hot, summed or tied; got n_heads={self.n_heads}, d_model={self.d_model}, "
                f"d_vocab={self.d_vocab}, one_hot_embed={self.one_hot_embed}, summed_embed={self.summed_embed}, "
                f"tied_unembed={self.tied_unembed}."
            )

    @property
    def is_mlp(self) -> bool:
        return self.n_heads == 0

    @property
    def has_embedding(self) -> bool:
        """Whether there is a W_E that is learned."""
        return not (self.one_hot_embed or self.reads_features)


def transformer_config(
    *,
    p: int,
    n_ctx: int,
    d_vocab: int,
    n_layers: int,
    d_model: int,
    n_heads: int,
    d_mlp: int,
    act_fn: str,
    **changes,
) -> ModelConfig:
    """The transformer of Nanda et al. 2023 at the given sizes; any other field by name.

    Causal, learned positions, no LayerNorm, biases in the MLP only, untied, p logits, "nanda" initialization.
    With n_heads=0 the attention-free MLP of the same widths.

    Raises:
        ValueError: if d_model is not divisible by n_heads, and as `ModelConfig` does.
    """
    fields = {
        "d_head": head_width(d_model, n_heads),
        "d_vocab_out": p,
        "attention_dir": "causal",
        "attention_rate": 1.0,
        "positions": "learned" if n_heads else "none",
        "normalization_type": None,
        "norm_placement": "pre",
        "tied_unembed": False,
        "attention_bias": False,
        "mlp_bias": True,
        "unembed_bias": False,
        "one_hot_embed": False,
        "init": "nanda",
        "init_scale": 1.0,
    } | changes
    return ModelConfig(
        n_ctx=n_ctx,
        d_vocab=d_vocab,
        n_layers=n_layers,
        d_model=d_model,
        n_heads=n_heads,
        d_mlp=d_mlp,
        act_fn=act_fn,  # type: ignore[arg-type]
        **fields,  # type: ignore[arg-type]
    )


def head_width(d_model: int, n_heads: int) -> int:
    """d_head of heads that share d_model evenly; 0 without heads.

    Imported networks may have heads of any width (Zhong et al. 2023 round down), so that `ModelConfig` does not ask.

    Raises:
        ValueError: if d_model is not divisible by n_heads.
    """
    if n_heads > 0 and d_model % n_heads:
        divisors = [h for h in range(1, min(d_model, 1000) + 1) if d_model % h == 0]
        raise ValueError(
            f"A model needs d_model divisible by n_heads, got d_model={d_model} and n_heads={n_heads}. "
            f"Use a number of heads in {divisors}."
        )
    return d_model // n_heads if n_heads > 0 else 0


def n_parameters(config: ModelConfig) -> int:
    """How many numbers the matrices of a network hold, without going through its layers one by one."""
    c = config
    if c.is_mlp:
        width, layers = c.d_mlp, c.n_ctx * c.d_model * c.d_mlp + (c.n_layers - 1) * c.d_mlp**2
    else:
        width, layers = c.d_model, c.n_layers * c.d_model * (4 * c.n_heads * c.d_head + 2 * c.d_mlp)
    embeddings = c.d_vocab * c.d_model if c.has_embedding else 0
    positions = c.n_ctx * c.d_model if c.positions == "learned" else 0
    return layers + embeddings + positions + (0 if c.tied_unembed else width * c.d_vocab_out)


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter, in the order in which they are initialized and stored."""
    c = config
    shapes: dict[str, tuple[int, ...]] = {}
    if c.has_embedding:
        shapes["embed.W_E"] = (c.d_vocab, c.d_model)
    if c.is_mlp:
        width = c.d_model if c.summed_embed else c.n_ctx * c.d_model
        for layer in range(c.n_layers):
            shapes[f"blocks.{layer}.mlp.W_in"] = (width, c.d_mlp)
            if c.mlp_bias:
                shapes[f"blocks.{layer}.mlp.b_in"] = (c.d_mlp,)
            width = c.d_mlp
    else:
        if c.positions == "learned":
            shapes["pos_embed.W_pos"] = (c.n_ctx, c.d_model)
        for layer in range(c.n_layers):
            shapes |= _block_shapes(c, f"blocks.{layer}")
        if c.normalization_type == "LN" and c.norm_placement == "pre":
            shapes |= {"ln_final.w": (c.d_model,), "ln_final.b": (c.d_model,)}
        width = c.d_model
    if not c.tied_unembed:
        shapes["unembed.W_U"] = (width, c.d_vocab_out)
    if c.unembed_bias:
        shapes["unembed.b_U"] = (c.d_vocab_out,)
    return shapes


def _block_shapes(c: ModelConfig, block: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    norm = {"w": (c.d_model,), "b": (c.d_model,)} if c.normalization_type == "LN" else {}
    shapes |= {f"{block}.ln1.{k}": s for k, s in norm.items()}
    for name in "QKV":
        shapes[f"{block}.attn.W_{name}"] = (c.n_heads, c.d_model, c.d_head)
        if c.attention_bias:
            shapes[f"{block}.attn.b_{name}"] = (c.n_heads, c.d_head)
    shapes[f"{block}.attn.W_O"] = (c.n_heads, c.d_head, c.d_model)
    if c.attention_bias:
        shapes[f"{block}.attn.b_O"] = (c.d_model,)
    if c.d_mlp:
        shapes |= {f"{block}.ln2.{k}": s for k, s in norm.items()}
        shapes[f"{block}.mlp.W_in"] = (c.d_model, c.d_mlp)
        if c.mlp_bias:
            shapes[f"{block}.mlp.b_in"] = (c.d_mlp,)
        shapes[f"{block}.mlp.W_out"] = (c.d_mlp, c.d_model)
        if c.mlp_bias:
            shapes[f"{block}.mlp.b_out"] = (c.d_model,)
    return shapes


def initial_weights(config: ModelConfig, seed: int) -> Weights:
    """Freshly drawn float32 weights: the same on every device, since they are always drawn on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    weights: Weights = {}
    for name, shape in parameter_shapes(config).items():
        kind = name.rsplit(".", 1)[1]
        if kind == "w":
            weights[name] = torch.ones(shape)
        elif kind.startswith("b"):
            weights[name] = torch.zeros(shape)
        else:
            std = _initial_std(config, kind, shape) * config.init_scale
            weights[name] = torch.randn(shape, generator=generator) * std
    return weights


def _initial_std(c: ModelConfig, kind: str, shape: tuple[int, ...]) -> float:
    if c.is_mlp:
        return 1 / math.sqrt(c.d_model if kind == "W_E" else shape[0])
    if c.init == "gpt2":
        return 0.8 / math.sqrt(c.d_model)
    if kind == "W_U":
        return 1 / math.sqrt(c.d_vocab)
    if kind == "W_in" and c.init == "pizza":
        return 1 / math.sqrt(c.d_mlp)
    return 1 / math.sqrt(c.d_model)


def check_weights(config: ModelConfig, weights: Weights, where: str) -> None:
    """Nothing, if the weights are exactly the parameters that the config describes.

    Args:
        where: whose weights they are, as the beginning of the error: "Checkpoint 7 of run 'mainline'".

    Raises:
        ValueError: if a parameter is missing, unknown or of another shape; the first few are named.
    """
    shapes = parameter_shapes(config)
    problems = [f"{name} is missing" for name in shapes if name not in weights]
    problems += [f"{name} is unknown to the model" for name in weights if name not in shapes]
    problems += [
        f"{name} is {tuple(weights[name].shape)} instead of {shape}"
        for name, shape in shapes.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise ValueError(
            f"{where} does not fit its model: {'; '.join(problems[:4])}{more}. "
            "The config and the weights come from different networks: check which run they belong to."
        )

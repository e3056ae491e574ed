"""Checkpoints of openai/grok: Power et al.'s decoder, saved by PyTorch Lightning.

LayerNorm after each sum, fixed sinusoidal positions, no biases but those of LayerNorm, one matrix a head. A row is
"<|eos|> a o b =" with 97 numbers among operators, "=" and the permutations of five. Tokens are renamed here, in W_E
and in W_U alike: the numbers come first (residue t is token t), then <|eos|>, the operator and "=", then the rest in
their order. Renaming changes no function and no norm.

What the repository calls a loss is the mean over the answer and the <|eos|> that follows it, and an answer counts as
right where both are: its recorded values are not those of the answer alone.

References: Power et al. 2022; the released code (openai/grok, transformer.py, data.py).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interp.networks.layers import sinusoidal_positions
from interp.sources.files.reading import SourceError
from interp.sources.formats.format import Format, Found, Pairs
from interp.sources.formats.network import Network, Tensors, direction, network, prefix_before

MODULUS = 97
TEMPLATE = "^aob="

# In the order of the repository's vocabulary: its list of operators, sorted as texts.
_OPERATORS = sorted([
    "+", "-", "*", "/", "**2+", "**3+", "x**2+y**2_mod_97", "x**2+y**2+x*y_mod_97", "x**2+y**2+x*y+x_mod_97",
    "x**3+x*y_mod_97", "x**3+x*y**2+y_mod_97", "(x._value//y)if(y._value%2==1)else(x-y)_mod_97", "s5", "s5conj",
    "s5aba", "+*", "+-", "sort", "reverse", "copy",
])  # fmt: skip
_OPERATIONS = {
    "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "x**2+y**2_mod_97": "x2+y2",
    "x**2+y**2+x*y_mod_97": "x2+xy+y2", "x**2+y**2+x*y+x_mod_97": "x2+xy+y2+x", "x**3+x*y_mod_97": "x3+xy",
    "x**3+x*y**2+y_mod_97": "x3+xy2+y", "(x._value//y)if(y._value%2==1)else(x-y)_mod_97": "divide-or-subtract",
}  # fmt: skip
_FIRST_NUMBER = 2 + len(_OPERATORS)
_VOCABULARY = _FIRST_NUMBER + MODULUS + 120
_ANCHOR = "decoder.blocks.0.self_attn.attn_heads.0.Wq.weight"


def is_openai_grok(found: Found) -> bool:
    return prefix_before(found.tensors, _ANCHOR) is not None


def _operator_of(operation: str | None) -> str | None:
    """The repository's name of an operation of this package, or None."""
    return next((name for name, ours in _OPERATIONS.items() if ours == operation), None)


def from_openai_grok(found: Found, stated: Mapping[str, Any]) -> Network:
    """The network of a state dict with its trainer's options (possibly none; a stated operation stands for theirs).

    Raises:
        SourceError: if the stored positions are not the sinusoids of the code, if tensors are missing, unknown or of
            another shape.
    """
    where, options = found.where, dict(found.options)
    if operator := _operator_of(found.stated_task.get("operation")):
        options = {"math_operator": operator} | options
    t = Tensors(found.tensors, prefix_before(found.tensors, _ANCHOR) or "", where)
    w_e = t.take("embedding.weight", None, None)
    d_vocab, d_model = w_e.shape
    positions = t.drop("position_encoding")
    if positions is not None:
        expected = sinusoidal_positions(len(positions), d_model)
        # The code computes them in float64 and stores float32; ours likewise, up to the last place.
        if positions.shape != expected.shape or not torch.allclose(positions.float(), expected, atol=1e-6):
            raise SourceError(
                f"{where} holds positions that are not the sinusoids of openai/grok: another format."
            )
    mask = direction(t.drop("self_attn_mask"), where)
    operator = options.get("math_operator")
    order, task = _renaming(d_vocab, operator)

    weights: dict[str, Tensor | None] = {"embed.W_E": w_e[order]}
    n_layers = t.n_layers("decoder.blocks.{}.self_attn.Wo.weight")
    n_heads = t.n_layers("decoder.blocks.0.self_attn.attn_heads.{}.Wq.weight")
    d_head = d_mlp = None
    for layer in range(n_layers):
        theirs, ours = f"decoder.blocks.{layer}", f"blocks.{layer}"
        for name in "QKV":
            heads = []
            for head in range(n_heads):
                w = t.take(f"{theirs}.self_attn.attn_heads.{head}.W{name.lower()}.weight", d_head, d_model)
                d_head = len(w)
                heads.append(w.T)
            weights[f"{ours}.attn.W_{name}"] = torch.stack(heads)
        w_o = t.take(f"{theirs}.self_attn.Wo.weight", d_model, n_heads * (d_head or 0))
        weights[f"{ours}.attn.W_O"] = w_o.T.reshape(n_heads, -1, d_model)
        w_in = t.take(f"{theirs}.ffn.ffn.0.weight", d_mlp, d_model)
        d_mlp = len(w_in)
        weights[f"{ours}.mlp.W_in"] = w_in.T
        weights[f"{ours}.mlp.W_out"] = t.take(f"{theirs}.ffn.ffn.2.weight", d_model, d_mlp).T
        for norm, name in (("ln1", "self_attn_norm"), ("ln2", "ffn_norm")):
            weights[f"{ours}.{norm}.w"] = t.take(f"{theirs}.{name}.weight", d_model)
            weights[f"{ours}.{norm}.b"] = t.take(f"{theirs}.{name}.bias", d_model)
    weights["unembed.W_U"] = t.take("linear.weight", d_vocab, d_model)[order].T
    shown = {
        "n_layers": n_layers, "d_model": d_model, "n_heads": n_heads, "d_head": d_head, "d_mlp": d_mlp,
        "n_ctx": len(TEMPLATE), "d_vocab": d_vocab, "d_vocab_out": d_vocab, "positions": "sinusoidal",
        "normalization_type": "LN", "norm_placement": "post", "tied_unembed": False, "attention_bias": False,
        "mlp_bias": False, "unembed_bias": False, "attention_rate": 1.0,
    }  # fmt: skip
    shown |= {"attention_dir": mask} if mask else {}
    by_options = {"act_fn": options["non_linearity"]} if "non_linearity" in options else {}
    usual = {"act_fn": "relu", "attention_dir": "causal"}
    return network(t, weights, shown, by_options | dict(stated), usual, task)


def _renaming(d_vocab: int, operator: Any) -> tuple[list[int], dict[str, Any]]:
    """Their token for each of ours, and what that says of the task (nothing where the vocabulary is another)."""
    if d_vocab != _VOCABULARY or operator not in _OPERATORS:
        return list(range(d_vocab)), {}
    numbers = list(range(_FIRST_NUMBER, _FIRST_NUMBER + MODULUS))
    constants = [0, 2 + _OPERATORS.index(operator), 1]
    taken = {*numbers, *constants}
    task: dict[str, Any] = {
        "p": MODULUS,
        "template": TEMPLATE,
        "equals_token": True,
        "separate_vocabularies": False,
        "n_unused_tokens": d_vocab - len(taken),
    }
    if operator in _OPERATIONS:
        task["operation"] = _OPERATIONS[operator]
    return [*numbers, *constants, *(token for token in range(d_vocab) if token not in taken)], task


def train_pairs(options: Mapping[str, Any]) -> tuple[Pairs, str] | None:
    """The operands (a, b) of the train rows: equations in the code's order, shuffled by numpy's generator of seed 0."""
    operator, percent = options.get("math_operator"), options.get("train_data_pct")
    if operator not in _OPERATIONS or not isinstance(percent, int | float) or not 0 < percent < 100:
        return None
    numbers = range(MODULUS)
    if operator == "/":  # their loop runs over the quotient and the divisor
        pairs = [(b * c % MODULUS, b) for c in numbers for b in numbers if b]
    else:
        pairs = [(a, b) for a in numbers for b in numbers]
    np.random.RandomState(seed=0).shuffle(pairs)
    return pairs[: round(len(pairs) * (percent / 100.0))], "the generator of openai/grok, seed 0"


OPENAI_GROK = Format(
    name="openai-grok",
    recognized_by="decoder.blocks.0.self_attn.attn_heads.0.Wq.weight: Power et al. 2022",
    recognizes=is_openai_grok,
    network=from_openai_grok,
    train_pairs=train_pairs,
    losses_are="means over the answer and the <|eos|> that follows it",
)

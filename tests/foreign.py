"""Files as other projects write them, and their forward passes, written from the descriptions of the formats.

Writers take weights in this package's names and orientations, so that a trained network can be written in any format;
the forward passes work on the foreign state dicts, each in its own way (left-facing einsums, heads in a loop, LayerNorm
after the sum), and share no code with the package.
"""

import json
import math
import sys
import types
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


def random_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    """Random tensors of these shapes; scales of LayerNorm around 1."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        x = torch.randn(shape, generator=generator) / math.sqrt(shape[-1])
        state[name] = 1 + 0.1 * x if name.endswith((".w", "norm.weight")) else x
    return state


# Left-facing: progress-measures and pizza ------------------------------------------------------------------------


def left_facing_shapes(d_vocab, n_ctx, d_model, n_heads, d_head, d_mlp, n_layers):
    shapes = {"embed.W_E": (d_model, d_vocab), "pos_embed.W_pos": (n_ctx, d_model)}
    for i in range(n_layers):
        shapes |= {f"blocks.{i}.attn.W_{x}": (n_heads, d_head, d_model) for x in "KQV"}
        shapes |= {
            f"blocks.{i}.attn.W_O": (d_model, n_heads * d_head),
            f"blocks.{i}.mlp.W_in": (d_mlp, d_model),
            f"blocks.{i}.mlp.b_in": (d_mlp,),
            f"blocks.{i}.mlp.W_out": (d_model, d_mlp),
            f"blocks.{i}.mlp.b_out": (d_model,),
        }
    return shapes | {"unembed.W_U": (d_model, d_vocab)}


def with_masks(state: State) -> State:
    n_ctx = len(state["pos_embed.W_pos"])
    layers = sum(name.endswith("attn.W_O") for name in state)
    return state | {f"blocks.{i}.attn.mask": torch.ones(n_ctx, n_ctx).tril() for i in range(layers)}


def as_left_facing(weights: State) -> State:
    """A network of this package (one layer, no norm) in left-facing matrices, with a column for "="."""
    out = {"embed.W_E": weights["embed.W_E"].T, "pos_embed.W_pos": weights["pos_embed.W_pos"]}
    attn, mlp = "blocks.0.attn", "blocks.0.mlp"
    out |= {f"{attn}.W_{x}": weights[f"{attn}.W_{x}"].transpose(1, 2) for x in "KQV"}
    out[f"{attn}.W_O"] = weights[f"{attn}.W_O"].flatten(0, 1).T
    out |= {f"{mlp}.W_in": weights[f"{mlp}.W_in"].T, f"{mlp}.W_out": weights[f"{mlp}.W_out"].T}
    out |= {f"{mlp}.{b}": weights[f"{mlp}.{b}"] for b in ("b_in", "b_out")}
    w_u = weights["unembed.W_U"]
    out["unembed.W_U"] = torch.cat([w_u, torch.full((len(w_u), 1), -0.5)], 1)
    return with_masks({name: w.contiguous() for name, w in out.items()})


def left_facing_logits(
    state: State, tokens: Tensor, *, causal: bool = True, rate: float = 1.0, act=torch.relu
) -> Tensor:
    n = tokens.shape[1]
    x = torch.einsum("dbp->bpd", state["embed.W_E"][:, tokens]) + state["pos_embed.W_pos"][:n]
    for i in range(sum(name.endswith("attn.W_O") for name in state)):
        attn, mlp = f"blocks.{i}.attn", f"blocks.{i}.mlp"
        k, q, v = (torch.einsum("ihd,bpd->biph", state[f"{attn}.W_{w}"], x) for w in "KQV")
        scores = torch.einsum("biph,biqh->biqp", k, q) / math.sqrt(k.shape[-1])
        if causal:
            scores = scores.tril() - 1e10 * (1 - torch.ones(n, n).tril())
        pattern = rate * scores.softmax(-1) + (1 - rate)
        z = torch.einsum("biph,biqp->biqh", v, pattern)
        x = x + torch.einsum("df,bqf->bqd", state[f"{attn}.W_O"], z.permute(0, 2, 1, 3).flatten(2))
        hidden = act(torch.einsum("md,bpd->bpm", state[f"{mlp}.W_in"], x) + state[f"{mlp}.b_in"])
        x = x + torch.einsum("dm,bpm->bpd", state[f"{mlp}.W_out"], hidden) + state[f"{mlp}.b_out"]
    return (x @ state["unembed.W_U"])[:, -1]


def write_progress_measures(
    folder: Path, states: dict[int, State], train_pairs, p: int, losses: list[float]
) -> None:
    """init.pth, <epoch>.pth, final.pth; also a file of curves only, as that folder has."""
    folder.mkdir()
    epochs = sorted(states)
    test_pairs = [(a, b) for a in range(p) for b in range(p) if (a, b) not in set(train_pairs)]
    rows = {
        "train_data": [(a, b, p) for a, b in train_pairs],
        "test_data": [(a, b, p) for a, b in test_pairs],
    }
    torch.save({"model": states[epochs[0]], **rows}, folder / "init.pth")
    for epoch in epochs[:-1]:
        own = {"train_loss": losses[epoch], "test_loss": 2 * losses[epoch], "epoch": epoch}
        torch.save({"model": states[epoch], **own}, folder / f"{epoch}.pth")
    write_final(folder, states[epochs[-1]], epochs[-1], losses)
    torch.save({"losses": [0.1, 0.2], "d_models": [32, 64]}, folder / "curves.pth")


def write_final(folder: Path, state: State, epoch: int, losses: list[float]) -> None:
    optimizer = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.001}]}
    content = {"model": state, "train_loss": losses[-1], "test_loss": 2 * losses[-1], "train_losses": losses}
    content |= {
        "test_losses": [2 * x for x in losses],
        "epoch": epoch,
        "optimizer": optimizer,
        "scheduler": {"_step": 1},
    }
    torch.save(content, folder / "final.pth")


def write_pizza(folder: Path, state: State, name: str, **changes) -> Path:
    folder.mkdir(exist_ok=True)
    config = {
        "name": "modadd_7", "funcs": "lambda x: (x[0]+x[1])%7", "C": 7, "n_heads": 4, "d_model": 18, "n_layers": 2,
        "attention_dir": "casual", "act_fn": "ReLU", "epoch": 20000, "frac": 0.8, "attn_coeff": 0.3, "runid": name,
        "diff_vocab": 0, "eqn_sign": 0, "func": None,
    } | changes  # fmt: skip
    (folder / f"config_{name}.json").write_text(json.dumps(config), "utf-8")
    torch.save(state, folder / f"model_{name}.pt")
    return folder / f"model_{name}.pt"


# HookedTransformer -----------------------------------------------------------------------------------------------


def hooked_shapes(d_vocab, n_ctx, d_model, n_heads, d_head, d_mlp, n_layers, d_out, *, norm=False):
    shapes = {"embed.W_E": (d_vocab, d_model), "pos_embed.W_pos": (n_ctx, d_model)}
    for i in range(n_layers):
        block = f"blocks.{i}"
        for x in "QKV":
            shapes |= {
                f"{block}.attn.W_{x}": (n_heads, d_model, d_head),
                f"{block}.attn.b_{x}": (n_heads, d_head),
            }
        shapes |= {f"{block}.attn.W_O": (n_heads, d_head, d_model), f"{block}.attn.b_O": (d_model,)}
        shapes |= {f"{block}.mlp.W_in": (d_model, d_mlp), f"{block}.mlp.b_in": (d_mlp,)}
        shapes |= {f"{block}.mlp.W_out": (d_mlp, d_model), f"{block}.mlp.b_out": (d_model,)}
        shapes |= {f"{block}.{n}.{x}": (d_model,) for n in ("ln1", "ln2") for x in "wb"} if norm else {}
    shapes |= {f"ln_final.{x}": (d_model,) for x in "wb"} if norm else {}
    return shapes | {"unembed.W_U": (d_model, d_out), "unembed.b_U": (d_out,)}


def with_buffers(state: State) -> State:
    """With the masks that HookedTransformer keeps in its state dict."""
    n_ctx, layers = len(state["pos_embed.W_pos"]), sum(name.endswith("attn.W_O") for name in state)
    masks = {f"blocks.{i}.attn.mask": torch.ones(n_ctx, n_ctx).tril().bool() for i in range(layers)}
    return state | masks | {f"blocks.{i}.attn.IGNORE": torch.tensor(-1e5) for i in range(layers)}


def hooked_logits(state: State, tokens: Tensor, act=torch.relu) -> Tensor:
    """Head by head, position by position of the query."""
    norm = "ln_final.w" in state
    d_model = state["embed.W_E"].shape[1]

    def ln(x, name):
        return F.layer_norm(x, (d_model,), state[f"{name}.w"], state[f"{name}.b"]) if norm else x

    x = state["embed.W_E"][tokens] + state["pos_embed.W_pos"][: tokens.shape[1]]
    for i in range(sum(name.endswith("attn.W_O") for name in state)):
        a, m = f"blocks.{i}.attn", f"blocks.{i}.mlp"
        y, out = ln(x, f"blocks.{i}.ln1"), torch.zeros_like(x) + state[f"{a}.b_O"]
        for h in range(len(state[f"{a}.W_Q"])):
            q, k, v = (y @ state[f"{a}.W_{w}"][h] + state[f"{a}.b_{w}"][h] for w in "QKV")
            for pos in range(tokens.shape[1]):
                seen = k[:, : pos + 1]
                pattern = ((seen @ q[:, pos, :, None]).squeeze(-1) / math.sqrt(q.shape[-1])).softmax(-1)
                out[:, pos] += (pattern[:, :, None] * v[:, : pos + 1]).sum(1) @ state[f"{a}.W_O"][h]
        x = x + out
        hidden = act(ln(x, f"blocks.{i}.ln2") @ state[f"{m}.W_in"] + state[f"{m}.b_in"])
        x = x + hidden @ state[f"{m}.W_out"] + state[f"{m}.b_out"]
    return (ln(x, "ln_final") @ state["unembed.W_U"] + state["unembed.b_U"])[:, -1]


@contextmanager
def lost_class(module: str, name: str):
    """A class that can be pickled under this module's name, and is gone afterwards."""
    lost = type(name, (), {"__module__": module})
    fake = types.ModuleType(module)
    setattr(fake, name, lost)
    former = sys.modules.get(module)
    sys.modules[module] = fake
    try:
        yield lost
    finally:
        sys.modules.pop(module)
        if former is not None:
            sys.modules[module] = former


def write_demo(
    path: Path, states: dict[int, State], train_indices: Tensor, p: int, losses: list[float], **config
) -> None:
    """The file of TransformerLens' grokking demo, its config a pickled class of that time."""
    module = "transformer_lens.HookedTransformerConfig"
    with lost_class(module, "HookedTransformerConfig") as lost:
        stored = lost()
        stored.__dict__ |= {
            "n_layers": 1, "act_fn": "relu", "normalization_type": None, "attention_dir": "causal", "d_vocab": p + 1,
            "positional_embedding_type": "standard", "dtype": torch.float32, "device": "cuda", "seed": 999,
        } | config  # fmt: skip
        test_indices = torch.tensor([i for i in range(p * p) if i not in set(train_indices.tolist())])
        content = {
            "model": list(states.values())[-1], "config": stored, "checkpoints": list(states.values()),
            "checkpoint_epochs": list(states), "train_losses": losses, "test_losses": [3 * x for x in losses],
            "train_indices": train_indices, "test_indices": test_indices,
        }  # fmt: skip
        torch.save(content, path)


# openai/grok -----------------------------------------------------------------------------------------------------

GROK_OPERATORS = [
    "+", "-", "*", "/", "**2+", "**3+", "x**2+y**2_mod_97", "x**2+y**2+x*y_mod_97", "x**2+y**2+x*y+x_mod_97",
    "x**3+x*y_mod_97", "x**3+x*y**2+y_mod_97", "(x._value//y)if(y._value%2==1)else(x-y)_mod_97", "s5", "s5conj",
    "s5aba", "+*", "+-", "sort", "reverse", "copy",
]  # fmt: skip
GROK_VOCABULARY = [
    "<|eos|>",
    "=",
    *sorted(GROK_OPERATORS),
    *map(str, range(97)),
    *(f"s{i}" for i in range(120)),
]


def grok_shapes(d_model=8, n_heads=2, n_layers=2):
    v, e = len(GROK_VOCABULARY), d_model // n_heads
    shapes = {"embedding.weight": (v, d_model), "linear.weight": (v, d_model)}
    for i in range(n_layers):
        block = f"decoder.blocks.{i}"
        for head in range(n_heads):
            shapes |= {f"{block}.self_attn.attn_heads.{head}.W{x}.weight": (e, d_model) for x in "qkv"}
        shapes[f"{block}.self_attn.Wo.weight"] = (d_model, d_model)
        shapes |= {
            f"{block}.ffn.ffn.0.weight": (4 * d_model, d_model),
            f"{block}.ffn.ffn.2.weight": (d_model, 4 * d_model),
        }
        shapes |= {
            f"{block}.{n}.{x}": (d_model,) for n in ("self_attn_norm", "ffn_norm") for x in ("weight", "bias")
        }
    return shapes


def grok_positions(n_ctx: int, d_model: int) -> Tensor:
    rows = [
        [
            math.sin(pos / 10000 ** (i / d_model))
            if i % 2 == 0
            else math.cos(pos / 10000 ** ((i - 1) / d_model))
            for i in range(d_model)
        ]
        for pos in range(n_ctx)
    ]
    return torch.tensor(rows)


def grok_logits(state: State, texts: list[str]) -> Tensor:
    """Logits over the repository's vocabulary at the last token of each text."""
    tokens = torch.tensor([[GROK_VOCABULARY.index(word) for word in text.split()] for text in texts])
    n, d = tokens.shape[1], state["embedding.weight"].shape[1]
    x = state["embedding.weight"][tokens] + grok_positions(n, d)
    for i in range(sum(name.endswith("self_attn.Wo.weight") for name in state)):
        block = f"decoder.blocks.{i}"
        heads = []
        for h in range(sum(name.startswith(f"{block}.self_attn.attn_heads.") for name in state) // 3):
            q, k, v = (F.linear(x, state[f"{block}.self_attn.attn_heads.{h}.W{w}.weight"]) for w in "qkv")
            scores = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).masked_fill(
                torch.ones(n, n).tril() == 0, -torch.inf
            )
            heads.append(scores.softmax(-1) @ v)
        out = F.linear(torch.cat(heads, -1), state[f"{block}.self_attn.Wo.weight"])
        x = F.layer_norm(
            x + out, (d,), state[f"{block}.self_attn_norm.weight"], state[f"{block}.self_attn_norm.bias"]
        )
        hidden = F.linear(
            F.linear(x, state[f"{block}.ffn.ffn.0.weight"]).relu(), state[f"{block}.ffn.ffn.2.weight"]
        )
        x = F.layer_norm(x + hidden, (d,), state[f"{block}.ffn_norm.weight"], state[f"{block}.ffn_norm.bias"])
    return F.linear(x, state["linear.weight"])[:, -1]


def write_lightning(
    path: Path, state: State, step: int, epoch: int, hyper_parameters, prefix: str = "transformer."
) -> None:
    content = {
        "epoch": epoch, "global_step": step, "pytorch-lightning_version": "2.6.6", "loops": {"fit_loop": {"n": 1}},
        "callbacks": {}, "optimizer_states": [{"state": {}, "param_groups": []}], "lr_schedulers": [],
        "state_dict": {prefix + name: w for name, w in state.items()}, "hyper_parameters": hyper_parameters,
    }  # fmt: skip
    torch.save(content, path)

"""Networks on sequences whose answer is known by construction.

`induction`  a previous-token head in the first layer, and a head in the second that looks for whoever has its token as
             previous one and says what stands there: logits are `scale` times the mean of the tokens so found
`bigram`     logits are a table by the last token; its heads write nothing
"""

import torch

from interp.networks.config import Weights, parameter_shapes, transformer_config
from interp.networks.network import DescribedNetwork
from interp.snapshots.snapshot import Snapshot
from interp.tasks.sequences import SequencesConfig
from interp.tasks.task import Task

# Scores of what is looked for are so much above those of all else that the softmax is one-hot in float32.
SHARP = 60.0


def repeats(**changes) -> Task:
    """A small task; any field by name."""
    fields = {
        "kind": "repeats", "vocabulary": 8, "length": 16, "repeated_length": 5, "n_copies": 2, "n_trigrams": 2,
        "n_train": 40, "n_test": 20, "split_seed": 0,
    }  # fmt: skip
    return SequencesConfig(**fields | changes).task()


def induction(scale: float = 20.0, **task_changes) -> Snapshot:
    """A previous-token head L0H1 and an induction head L1H0; the other two heads write nothing."""
    task, config, weights = _attention_only(**task_changes)
    n, length = config.d_vocab, config.n_ctx
    token, place, previous, out = (
        range(n),
        range(n, n + length),
        range(n + length, 2 * n + length),
        range(2 * n + length, 3 * n + length),
    )
    root = config.d_head**0.5
    weights["embed.W_E"][:, :n] = torch.eye(n)
    weights["pos_embed.W_pos"][:, place[0] : place[-1] + 1] = torch.eye(length)
    first, second = "blocks.0.attn", "blocks.1.attn"
    for i in range(length):
        weights[f"{first}.W_Q"][1, place[i], i] = SHARP * root
        # Place 0 has none before it and sees itself alone.
        if i:
            weights[f"{first}.W_K"][1, place[i - 1], i] = 1.0
    for t in range(n):
        weights[f"{first}.W_V"][1, token[t], t] = 1.0
        weights[f"{first}.W_O"][1, t, previous[t]] = 1.0
        weights[f"{second}.W_Q"][0, token[t], t] = SHARP * root
        weights[f"{second}.W_K"][0, previous[t], t] = 1.0
        weights[f"{second}.W_V"][0, token[t], t] = 1.0
        weights[f"{second}.W_O"][0, t, out[t]] = scale
        weights["unembed.W_U"][out[t], t] = 1.0
    return Snapshot(0, weights, DescribedNetwork(config), task)


def bigram(seed: int = 0, **task_changes) -> Snapshot:
    """Logits N(0, 1) by the last token alone."""
    task, config, weights = _attention_only(**task_changes)
    n = config.d_vocab
    weights["embed.W_E"][:, :n] = torch.eye(n)
    generator = torch.Generator().manual_seed(seed)
    weights["unembed.W_U"][:n] = torch.randn(n, n, generator=generator)
    return Snapshot(0, weights, DescribedNetwork(config), task)


def _attention_only(**task_changes) -> tuple[Task, object, Weights]:
    task = repeats(**task_changes)
    n, length = task.config.n_tokens, task.config.length
    config = transformer_config(
        p=n, n_ctx=length, d_vocab=n, n_layers=2, d_model=3 * n + length, n_heads=2, d_mlp=0, act_fn="relu",
        d_head=max(n, length),
    )  # fmt: skip
    return task, config, {name: torch.zeros(shape) for name, shape in parameter_shapes(config).items()}

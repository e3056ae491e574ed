"""Networks that add digit by digit as weights: one that carries, one that does not.

Least significant digit first, so that the carry can be told from the token at the question: with digits a and b just
below and s answered there, a + b - s is base or base - 1 with a carry, and 0 or -1 without. Heads 0 and 1 of the first
layer fetch the pair of the asked place, heads 2 and 3 the pair below; the MLP of the first layer writes the carry, that
of the second finds the digit of the sum. Differences alike, with borrows.
"""

import torch

from interp.networks.config import initial_weights, parameter_shapes, transformer_config
from interp.networks.network import DescribedNetwork
from interp.snapshots.snapshot import Snapshot
from interp.tasks.digits import DigitsConfig
from interp.tasks.task import Task

GAIN = 20.0


def sums(**changes) -> Task:
    """A small task, least significant digit first; any field by name."""
    fields = {
        "n_digits": 3, "base": 7, "operation": "add", "answer_order": "least", "padding": False, "n_train": 120,
        "n_test": 180, "split_seed": 0,
    } | changes  # fmt: skip
    return DigitsConfig(**fields).task()


def adder(*, carries: bool = True, **task_changes) -> Snapshot:
    """A network whose answer is right, or right but for carries: logit 20 at the digit and 0 elsewhere."""
    task = sums(**task_changes)
    c = task.config
    assert c.answer_order == "least"
    n, base, sign = c.n_digits, c.base, 1 if c.operation == "add" else -1
    value, flags, own, below, carry = 0, 1, 1 + c.n_pos, 2 + c.n_pos, 3 + c.n_pos
    out = 4 + c.n_pos
    # What the pair of digits and a carry can come to; the highest digit of a difference has a value of its own.
    top = 3 * base
    answers = {v: v % base for v in range(-base, 2 * base)}
    if sign < 0:
        answers |= {top: 0, top - 1: 1}
    config = transformer_config(
        p=base, n_ctx=c.n_pos, d_vocab=c.n_tokens, n_layers=2, d_model=(out + base + 3) // 4 * 4, n_heads=4,
        d_head=c.n_pos, d_mlp=3 * len(answers), act_fn="relu",
    )  # fmt: skip
    w = {name: torch.zeros(shape) for name, shape in parameter_shapes(config).items()}
    w["embed.W_E"][:base, value] = torch.arange(base).float()
    w["pos_embed.W_pos"][:, flags : flags + c.n_pos] = torch.eye(c.n_pos)
    for place in range(n + 1):
        question = 2 * n + 1 + place
        # The operator has no value: where there is no digit a head looks at it.
        digits = [(n - 1 - i, 2 * n - i) if 0 <= i < n else (n, n) for i in (place, place - 1)]
        for head, at in enumerate([*digits[0], *digits[1]]):
            # 1600 / sqrt(d_head) at one position and 0 elsewhere: the softmax is one-hot in float32.
            w["blocks.0.attn.W_Q"][head, flags + question, at] = 40.0
    for head, (target, times) in enumerate(((own, 1), (own, sign), (below, sign), (below, 1))):
        w["blocks.0.attn.W_K"][head, flags : flags + c.n_pos] = 40.0 * torch.eye(c.n_pos)
        w["blocks.0.attn.W_V"][head, value, 0] = 1.0
        w["blocks.0.attn.W_O"][head, 0, target] = times
    if sign < 0:
        w["pos_embed.W_pos"][3 * n + 1, own] = top
    # min(max(x, 0), 1) of x = a + b - s, or s - a + b.
    w["blocks.0.mlp.W_in"][below, :2] = 1.0
    w["blocks.0.mlp.W_in"][value, :2] = -sign
    w["blocks.0.mlp.b_in"][1] = -1.0
    w["blocks.0.mlp.W_out"][:2, carry] = torch.tensor([1.0, -1.0]) * carries
    for i, (v, answer) in enumerate(answers.items()):
        # 1 at v and 0 at every other whole number.
        for j, (shift, height) in enumerate(((1, 1.0), (0, -2.0), (-1, 1.0))):
            w["blocks.1.mlp.W_in"][own, 3 * i + j] = 1.0
            w["blocks.1.mlp.W_in"][carry, 3 * i + j] = sign
            w["blocks.1.mlp.b_in"][3 * i + j] = shift - v
            w["blocks.1.mlp.W_out"][3 * i + j, out + answer] = height
    w["unembed.W_U"][out : out + base] = GAIN * torch.eye(base)
    return Snapshot(0, w, DescribedNetwork(config), task)


def random_adder(
    seed: int = 0, *, n_layers: int = 1, d_model: int = 32, n_heads: int = 4, **task_changes
) -> Snapshot:
    """A freshly initialized network."""
    task = sums(**task_changes)
    config = transformer_config(
        p=task.config.n_answers, n_ctx=task.config.n_pos, d_vocab=task.config.n_tokens, n_layers=n_layers,
        d_model=d_model, n_heads=n_heads, d_mlp=48, act_fn="relu",
    )  # fmt: skip
    return Snapshot(0, initial_weights(config, seed), DescribedNetwork(config), task)

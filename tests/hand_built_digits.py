"""Networks that add digit by digit as weights: some that carry, one that does not.

Heads 0 and 1 of the first layer fetch the pair of the asked place; the MLP of the first layer writes the carry, that of
the second finds the digit of the sum. Least significant digit first, the carry can be told from the token at the
question: with digits a and b just below and s answered there, a + b - s is base or base - 1 with a carry, and 0 or -1
without; heads 2 and 3 fetch that pair. Most significant digit first, they look at all lower digits of either operand,
at each with base times the attention of the next lower one: that is the number which those digits write, and there is a
carry if both numbers together do not fit. Differences alike, with borrows.
"""

import math

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


def adder(*, carries: bool = True, looks_through: bool = True, **task_changes) -> Snapshot:
    """A network whose answer is right, or right but for carries: logit 20 at the digit and 0 elsewhere.

    Args:
        carries: False: it adds each pair alone.
        looks_through: of the most significant digit first; False: it looks at the pair just below alone, and misses the
            carries that this one hands on.
    """
    task = sums(**task_changes)
    c = task.config
    n, base, sign = c.n_digits, c.base, 1 if c.operation == "add" else -1
    is_least_first = c.answer_order == "least"
    value, flags, own, below, carry = 0, 1, 1 + c.n_pos, 2 + c.n_pos, 3 + c.n_pos
    out = 4 + c.n_pos
    # What the pair of digits and a carry can come to; the highest digit of a difference has a value of its own.
    top = 3 * base
    answers = {v: v % base for v in range(-base, 2 * base)}
    if sign < 0:
        answers |= {top: 0, top - 1: 1}
    config = transformer_config(
        p=base, n_ctx=c.n_pos, d_vocab=c.n_tokens, n_layers=2, d_model=(out + base + 3) // 4 * 4, n_heads=4,
        d_head=c.n_pos, d_mlp=max(3 * len(answers), 2 * n), act_fn="relu",
    )  # fmt: skip
    w = {name: torch.zeros(shape) for name, shape in parameter_shapes(config).items()}
    w["embed.W_E"][:base, value] = torch.arange(base).float()
    w["pos_embed.W_pos"][:, flags : flags + c.n_pos] = torch.eye(c.n_pos)
    for place in range(n + 1):
        question = 2 * n + 1 + (place if is_least_first else n - place)
        seen = range(0 if looks_through and not is_least_first else max(place - 1, 0), place)
        for head, (operand, places) in enumerate(((0, [place]), (1, [place]), (0, seen), (1, seen))):
            # Positions of the digits, highest first. The operator has no value: without a digit a head looks at it.
            at = {operand * (n + 1) + n - 1 - i: i for i in places if i < n} or {n: 0}
            for position, i in at.items():
                # 1600 / sqrt(d_head) or more there and 0 elsewhere: that is no attention in float32.
                weight = 40.0 + math.log(base) * (i - min(at.values())) * math.sqrt(c.n_pos) / 40
                w["blocks.0.attn.W_Q"][head, flags + question, position] = weight
        if is_least_first or not place:
            continue
        # What the heads say times the sum of their weights is a number of so many digits, and fits below base^digits.
        total, first = sum(base**i for i in range(len(seen))), 2 * (place - 1)
        # 1 from the first number on that does not fit, 0 below, at this question alone: numbers are whole and below
        # 2 base^digits, and what is rounded off is far below a half.
        least, off = (base ** len(seen) if sign > 0 else 1) - 0.5, 16.0 * base ** len(seen)
        w["blocks.0.mlp.W_in"][below, first : first + 2] = 4.0 * total
        w["blocks.0.mlp.W_in"][flags + question, first : first + 2] = off
        w["blocks.0.mlp.b_in"][first : first + 2] = 0.5 - 4 * least - off - torch.tensor([0.0, 1.0])
        w["blocks.0.mlp.W_out"][first : first + 2, carry] = torch.tensor([1.0, -1.0]) * carries
    for head, (target, times) in enumerate(((own, 1), (own, sign), (below, sign), (below, 1))):
        w["blocks.0.attn.W_K"][head, flags : flags + c.n_pos] = 40.0 * torch.eye(c.n_pos)
        w["blocks.0.attn.W_V"][head, value, 0] = 1.0
        w["blocks.0.attn.W_O"][head, 0, target] = times
    if sign < 0:
        w["pos_embed.W_pos"][3 * n + 1 if is_least_first else 2 * n + 1, own] = top
    if is_least_first:
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

"""Networks whose answer is known by construction, as weights of the project's own models.

`clock`       logits are exactly sum_k amplitude_k cos(w_k(a+b-c)), by quadratic neurons that multiply
`pizza`       logits are exactly the sum of Q_pizza of Zhong et al. 2023 (|cos(w(a-b)/2)| times nearly cos(w(a+b-c))),
              by ReLUs on the sum of two embeddings, with a constant attention pattern
`memorizer`   answers its train rows, and only those, from a table: one neuron a pair
`random_network`  a fresh initialization
`characters`  logits are exactly sum_rho amplitude_rho tr rho(a b c^-1), by quadratic neurons that multiply matrices
`group_memorizer`  the memorizer of a task of composition

Each returns a `Snapshot`. Those of addition but the random one are one-layer transformers on (a, b, =), so that weight,
attention, neuron and logit probes apply alike; those of groups are attention-free MLPs.
"""

import itertools

import torch

from interp.mathematics.groups import named_group
from interp.mathematics.representations import irreducible_representations
from interp.networks.config import ModelConfig, Weights, initial_weights, parameter_shapes, transformer_config
from interp.networks.network import DescribedNetwork
from interp.snapshots.snapshot import Snapshot
from interp.tasks.groups import GroupConfig
from interp.tasks.modular import ModularConfig
from interp.tasks.task import Task


def addition(p: int = 13, *, operation: str = "add", train_fraction: float = 0.4, **changes) -> Task:
    """A small task; any field by name."""
    fields = {
        "equals_token": True,
        "separate_vocabularies": False,
        "corrupted_fraction": 0.0,
        "split": "shuffle",
        "split_seed": 0,
    } | changes
    return ModularConfig(operation=operation, p=p, train_fraction=train_fraction, **fields).task()


def config_for(task: Task, *, d_model: int, n_heads: int, d_mlp: int, **changes) -> ModelConfig:
    fields = {"n_layers": 1, "act_fn": "relu"} | changes
    return transformer_config(
        p=task.config.p,
        n_ctx=task.config.n_pos,
        d_vocab=task.config.n_tokens,
        d_model=d_model,
        n_heads=n_heads,
        d_mlp=d_mlp,
        **fields,
    )


def _zeros(config: ModelConfig) -> Weights:
    return {name: torch.zeros(shape) for name, shape in parameter_shapes(config).items()}


def _attend_to_operands(weights: Weights, flags: range, source: range, targets: list[range]) -> None:
    """Head h attends to position h alone (exactly, in float32) and copies `source` dimensions to targets[h]."""
    for pos, flag in enumerate(flags):
        weights["pos_embed.W_pos"][pos, flag] = 1.0
    for head, target in enumerate(targets):
        # The score is 40 * 40 / sqrt(d_head) at position `head`, 0 elsewhere: the softmax is one-hot in float32.
        weights["blocks.0.attn.W_Q"][head, flags[-1], 0] = 40.0
        weights["blocks.0.attn.W_K"][head, flags[head], 0] = 40.0
        for i, (s, t) in enumerate(zip(source, target, strict=True)):
            weights["blocks.0.attn.W_V"][head, s, i] = 1.0
            weights["blocks.0.attn.W_O"][head, i, t] = 1.0


def clock(
    frequencies: list[int], p: int = 13, amplitudes: list[float] | None = None, **task_changes
) -> Snapshot:
    """A network with logits sum_k amplitude_k cos(w_k(a+b-c)) to float rounding."""
    task = addition(p, **task_changes)
    n_k = len(frequencies)
    amplitudes = amplitudes or [1.0] * n_k
    embed, first, second, out = (range(i * 2 * n_k, (i + 1) * 2 * n_k) for i in range(4))
    flags = range(8 * n_k, 8 * n_k + 3)
    d_model = 8 * n_k + 4 + (8 * n_k + 4) % 2
    config = config_for(task, d_model=d_model, n_heads=2, d_mlp=8 * n_k, act_fn="quadratic")
    weights = _zeros(config)
    _attend_to_operands(weights, flags, embed, [first, second])
    t = torch.arange(p, dtype=torch.float64)
    for i, (k, amplitude) in enumerate(zip(frequencies, amplitudes, strict=True)):
        wave = torch.stack([torch.cos(2 * torch.pi * k * t / p), torch.sin(2 * torch.pi * k * t / p)])
        cos, sin = 2 * i, 2 * i + 1
        weights["embed.W_E"][:p, cos : sin + 1] = wave.T.float()
        weights["unembed.W_U"][out[cos] : out[sin] + 1] = (amplitude * wave).float()
        # xy = ((x+y)^2 - (x-y)^2) / 4; cos(A+B) = cc - ss, sin(A+B) = sc + cs.
        products = [(cos, cos, cos, 1), (sin, sin, cos, -1), (sin, cos, sin, 1), (cos, sin, sin, 1)]
        for j, (x, y, target, sign) in enumerate(products):
            for half, s in enumerate((1.0, -1.0)):
                neuron = 8 * i + 2 * j + half
                weights["blocks.0.mlp.W_in"][first[x], neuron] = 1.0
                weights["blocks.0.mlp.W_in"][second[y], neuron] = s
                weights["blocks.0.mlp.W_out"][neuron, out[target]] = sign * s / 4
    return Snapshot(0, weights, DescribedNetwork(config), task)


def pizza(frequencies: list[int], p: int = 13, **task_changes) -> Snapshot:
    """A network with logits sum_k |cos(w_k c/2) s_x + sin(w_k c/2) s_y| - |-sin(w_k c/2) s_x + cos(w_k c/2) s_y|.

    s_x = cos w_k a + cos w_k b, s_y = sin w_k a + sin w_k b. References: Zhong et al. 2023, section 3.
    """
    task = addition(p, **task_changes)
    n_k = len(frequencies)
    embed, mixed, out = range(2 * n_k), range(2 * n_k, 4 * n_k), range(4 * n_k, 4 * n_k + p)
    width = 4 * n_k + p
    config = config_for(task, d_model=width, n_heads=1, d_mlp=4 * p * n_k, act_fn="relu", attention_rate=0.0)
    weights = _zeros(config)
    t = torch.arange(p, dtype=torch.float64)
    for i in range(2 * n_k):
        weights["blocks.0.attn.W_V"][0, embed[i], i] = 1.0
        weights["blocks.0.attn.W_O"][0, i, mixed[i]] = 1.0
    for i, k in enumerate(frequencies):
        w = 2 * torch.pi * k / p
        weights["embed.W_E"][:p, 2 * i] = torch.cos(w * t).float()
        weights["embed.W_E"][:p, 2 * i + 1] = torch.sin(w * t).float()
        half_cos, half_sin = torch.cos(w * t / 2).float(), torch.sin(w * t / 2).float()
        for j, (x, y, sign) in enumerate([(half_cos, half_sin, 1.0), (-half_sin, half_cos, -1.0)]):
            for half, s in enumerate((1.0, -1.0)):
                neurons = slice((4 * i + 2 * j + half) * p, (4 * i + 2 * j + half + 1) * p)
                weights["blocks.0.mlp.W_in"][mixed[2 * i], neurons] = s * x
                weights["blocks.0.mlp.W_in"][mixed[2 * i + 1], neurons] = s * y
                weights["blocks.0.mlp.W_out"][neurons, out[0] : out[-1] + 1] = sign * torch.eye(p)
    weights["unembed.W_U"][out[0] : out[-1] + 1] = torch.eye(p)
    return Snapshot(0, weights, DescribedNetwork(config), task)


def memorizer(p: int = 13, scale: float = 10.0, **task_changes) -> Snapshot:
    """A network with logit `scale` at the label of each train row and 0 everywhere else, test rows included."""
    task = addition(p, **task_changes)
    rows = task.split.nonzero().squeeze(1)
    embed, first, second, out = (range(i * p, (i + 1) * p) for i in range(4))
    flags = range(4 * p, 4 * p + 3)
    d_model = 4 * p + 4
    config = config_for(task, d_model=d_model, n_heads=2, d_mlp=len(rows), act_fn="relu")
    weights = _zeros(config)
    weights["embed.W_E"][:p, :p] = torch.eye(p)
    _attend_to_operands(weights, flags, embed, [first, second])
    for neuron, row in enumerate(rows.tolist()):
        a, b = task.config.pairs()[row].tolist()
        weights["blocks.0.mlp.W_in"][first[a], neuron] = 1.0
        weights["blocks.0.mlp.W_in"][second[b], neuron] = 1.0
        weights["blocks.0.mlp.b_in"][neuron] = -1.0
        weights["blocks.0.mlp.W_out"][neuron, out[int(task.labels[row])]] = scale
    weights["unembed.W_U"][out[0] : out[-1] + 1] = torch.eye(p)
    return Snapshot(0, weights, DescribedNetwork(config), task)


def random_network(p: int = 13, seed: int = 0, *, d_model: int = 16, d_mlp: int = 32, **changes) -> Snapshot:
    """A freshly initialized network."""
    task = addition(p)
    config = config_for(task, d_model=d_model, n_heads=4, d_mlp=d_mlp, **changes)
    return Snapshot(0, initial_weights(config, seed), DescribedNetwork(config), task)


def composition(group: str = "S4", *, train_fraction: float = 0.4, **changes) -> Task:
    """A small task of composition, each operand with tokens of its own; any field by name."""
    fields = {
        "equals_token": False,
        "separate_vocabularies": True,
        "corrupted_fraction": 0.0,
        "split": "shuffle",
        "split_seed": 0,
    } | changes
    return GroupConfig(group=group, train_fraction=train_fraction, **fields).task()


def group_mlp(task: Task, *, d_model: int, d_mlp: int, **changes) -> ModelConfig:
    """The attention-free MLP of Chughtai et al. 2023 at other sizes."""
    fields = {"n_layers": 1, "act_fn": "relu", "mlp_bias": False} | changes
    return transformer_config(
        p=task.config.n_answers,
        n_ctx=task.config.n_pos,
        d_vocab=task.config.n_tokens,
        d_model=d_model,
        n_heads=0,
        d_mlp=d_mlp,
        **fields,
    )


def characters(amplitudes: dict[str, float], group: str = "S4", **task_changes) -> Snapshot:
    """An attention-free MLP with logits sum_rho amplitude_rho tr rho(a b c^-1) to float rounding.

    Both embeddings hold the matrices; quadratic neurons multiply their entries, xy = ((x+y)^2 - (x-y)^2) / 4.
    """
    task = composition(group, **task_changes)
    n = task.config.n_answers
    named = {r.name: r for r in irreducible_representations(named_group(group))}
    chosen = [(named[name], amplitude) for name, amplitude in amplitudes.items()]
    width = sum(r.dimension**2 for r, _ in chosen)
    config = group_mlp(
        task, d_model=width, d_mlp=2 * sum(r.dimension**3 for r, _ in chosen), act_fn="quadratic"
    )
    weights = _zeros(config)
    first, neuron = 0, 0
    for r, amplitude in chosen:
        d, entries = r.dimension, r.matrices.reshape(n, -1).float()
        weights["embed.W_E"][:n, first : first + d * d] = entries
        weights["embed.W_E"][n : 2 * n, first : first + d * d] = entries
        for i, j, k in itertools.product(range(d), repeat=3):
            for sign in (1.0, -1.0):
                weights["blocks.0.mlp.W_in"][first + d * i + j, neuron] = 1.0
                weights["blocks.0.mlp.W_in"][width + first + d * j + k, neuron] = sign
                # tr rho(ab) rho(c)^T, and rho(c)^T = rho(c^-1).
                weights["unembed.W_U"][neuron] = sign * amplitude / 4 * entries[:, d * i + k]
                neuron += 1
        first += d * d
    return Snapshot(0, weights, DescribedNetwork(config), task)


def group_memorizer(group: str = "S4", scale: float = 10.0, **task_changes) -> Snapshot:
    """A network with logit `scale` at the product of each train pair and 0 elsewhere: one ReLU a pair."""
    task = composition(group, **task_changes)
    n, rows = task.config.n_answers, task.split.nonzero().squeeze(1)
    config = group_mlp(task, d_model=n, d_mlp=len(rows), mlp_bias=True)
    weights = _zeros(config)
    weights["embed.W_E"][: 2 * n] = torch.eye(n).repeat(2, 1)
    for neuron, row in enumerate(rows.tolist()):
        a, b = task.config.pairs()[row].tolist()
        weights["blocks.0.mlp.W_in"][[a, n + b], neuron] = 1.0
        weights["blocks.0.mlp.b_in"][neuron] = -1.0
        weights["unembed.W_U"][neuron, int(task.labels[row])] = scale
    return Snapshot(0, weights, DescribedNetwork(config), task)

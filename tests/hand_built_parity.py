"""Networks of features that compute a parity, as weights: `counter` and `truth_table`, and one that looks rows up.

`counter`      k ReLUs of the number of -1 among the relevant signs, whose sum bends up and down between 0 and 1
`truth_table`  2^(k-1) ReLUs, one for each pattern of the relevant signs whose answer is 1: the disjunctive normal form
`lookup`       one ReLU a train row with answer 1, which fires on it alone

Each stands among neurons that do nothing (incoming weights that are small, outgoing ones of zero).
"""

import itertools

import torch

from interp.networks.config import parameter_shapes
from interp.networks.feature_mlps import features_mlp
from interp.networks.network import DescribedNetwork
from interp.snapshots.snapshot import Snapshot
from interp.tasks.parity import ParityConfig
from interp.tasks.task import Task


def parity_task(n_bits: int = 10, k: int = 3, n_train: int = 60, n_test: int = 100, **changes) -> Task:
    return ParityConfig(
        n_bits=n_bits, k=k, n_train=n_train, n_test=n_test, **{"split_seed": 0} | changes
    ).task()


def snapshot_of(task: Task, incoming, bias, outgoing, *, n_idle: int, step: int = 0, run=None) -> Snapshot:
    """These neurons (neuron, feature), a bias and an output weight each, shuffled among idle ones."""
    n = len(incoming) + n_idle
    config = features_mlp(n_features=task.config.n_pos, n_outputs=2, d_mlp=n)
    weights = {name: torch.zeros(shape) for name, shape in parameter_shapes(config).items()}
    generator = torch.Generator().manual_seed(0)
    place = torch.randperm(n, generator=generator)[: len(incoming)]
    w_in = 0.01 * torch.rand(n, task.config.n_pos, generator=generator)
    w_in[place] = torch.as_tensor(incoming, dtype=torch.float32)
    weights["blocks.0.mlp.W_in"] = w_in.T.contiguous()
    weights["blocks.0.mlp.b_in"][place] = torch.as_tensor(bias, dtype=torch.float32)
    weights["unembed.W_U"][place, 1] = torch.as_tensor(outgoing, dtype=torch.float32)
    # Between 0 and 1, where the sum of the neurons is one or the other.
    weights["unembed.b_U"][0] = 0.5
    return Snapshot(step, weights, DescribedNetwork(config), task, run)


def counter(task: Task | None = None, *, n_idle: int = 20, step: int = 0, run=None) -> Snapshot:
    """k neurons relu(c - j), j = 0 .. k-1, of the count c of -1: c - 2 (c-1) + 2 (c-2) - ... is c mod 2."""
    task = task or parity_task()
    n, k = task.config.n_bits, task.config.k
    # c = (k - sum of signs) / 2.
    incoming = torch.zeros(k, n)
    incoming[:, :k] = -0.5
    outgoing = [1.0, *[-2.0 if j % 2 else 2.0 for j in range(1, k)]]
    bias = [k / 2 - j for j in range(k)]
    return snapshot_of(task, incoming, bias, outgoing, n_idle=n_idle, step=step, run=run)


def truth_table(task: Task | None = None, *, n_idle: int = 20, step: int = 0, run=None) -> Snapshot:
    """Neurons that are 1 on their own pattern of the relevant signs and 0 on all others."""
    task = task or parity_task()
    n, k = task.config.n_bits, task.config.k
    patterns = torch.tensor([p for p in itertools.product((1.0, -1.0), repeat=k) if p.count(-1.0) % 2])
    incoming = torch.zeros(len(patterns), n)
    incoming[:, :k] = patterns
    # Its own pattern gives k, the nearest others k - 2.
    bias, outgoing = [1.0 - k] * len(patterns), [1.0] * len(patterns)
    return snapshot_of(task, incoming, bias, outgoing, n_idle=n_idle, step=step, run=run)


def lookup(task: Task | None = None, *, n_idle: int = 20, step: int = 0, run=None) -> Snapshot:
    """Says 1 on the train rows whose answer that is, and 0 everywhere else."""
    task = task or parity_task()
    rows = task.inputs[task.split & (task.labels == 1)]
    bias, outgoing = [1.0 - task.config.n_bits] * len(rows), [1.0] * len(rows)
    return snapshot_of(task, rows, bias, outgoing, n_idle=n_idle, step=step, run=run)

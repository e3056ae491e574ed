"""Benches that the tests of interventions share: small networks of every kind, with another checkpoint as a donor."""

import torch

from interp.interventions.bench import Bench
from interp.networks.config import Weights, initial_weights
from tests import hand_built


def of(snapshot, **donors: Weights) -> tuple[Weights, Bench]:
    """Weights of a hand-built network and the bench for it."""
    return snapshot.weights, Bench(snapshot.config, snapshot.known_task, donors)


def transformer(seed: int = 0, **changes) -> tuple[Weights, Bench]:
    """A random transformer on a + b mod 13 with a donor "ahead"; any field of its config by name."""
    weights, bench = of(hand_built.random_network(seed=seed, **changes))
    return noisy(weights, 1), Bench(
        bench.config, bench.task, {"ahead": noisy(initial_weights(bench.config, 9), 2)}
    )


def mlp(**task_changes) -> tuple[Weights, Bench]:
    """A random attention-free MLP on a + b mod 13, operands with tokens of their own."""
    task = hand_built.addition(**{"equals_token": False, "separate_vocabularies": True} | task_changes)
    config = hand_built.group_mlp(task, d_model=8, d_mlp=16, mlp_bias=True)
    return noisy(initial_weights(config, 0), 1), Bench(
        config, task, {"ahead": noisy(initial_weights(config, 9), 2)}
    )


def noisy(weights: Weights, seed: int) -> Weights:
    """The weights with biases that are not zero."""
    generator = torch.Generator().manual_seed(seed)
    return {name: w + 0.1 * torch.randn(w.shape, generator=generator) for name, w in weights.items()}


def changed(before: Weights, after: Weights) -> set[str]:
    """Names of the tensors that are other objects now; the dicts must name the same tensors."""
    assert list(before) == list(after)
    return {name for name in before if after[name] is not before[name]}


def same(before: Weights, after: Weights, atol: float = 0.0) -> None:
    """Nothing, if all tensors agree."""
    assert list(before) == list(after)
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=atol, rtol=0, msg=name)

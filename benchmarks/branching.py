"""What branching costs: a recorded step against a plain one, each rule against a recorded step, two arms on two cores.

    python benchmarks/branching.py [--p 113] [--threads 1]

Ratios within this process, the median over rounds that take turns, so that a slow moment of the machine meets all
alike. A battery trains each arm on one thread; a single branch takes all of them, which shortens the step and hardly
its rules.
Two arms on two cores: steps a second of two processes of one thread each, over twice those of one such process alone.
"""

import argparse
import statistics
import time
from multiprocessing import get_context

import torch

from interp.networks.config import initial_weights
from interp.runs.config import Recipe
from interp.runs.presets import mainline, variation
from interp.training.acting import Acting
from interp.training.data import Data
from interp.training.optimizer import Optimizer
from interp.training.paths import Paths
from interp.training.rules import (
    AntitheticNoise,
    Freeze,
    HoldNorm,
    MatchMargin,
    Perpendicular,
    ReplayNorms,
    ReplayTurning,
    ScaleUpdates,
    SlowGradients,
    SpectralEntropy,
    ZeroSum,
)
from interp.training.rules.base import Rule

RULES: dict[str, tuple[Rule, ...]] = {
    "replay of norms": (ReplayNorms(),),
    "matched margin": (MatchMargin(),),
    "replay and margin": (ReplayNorms(), MatchMargin()),
    "held norm": (HoldNorm(factor=1.0),),
    "perpendicular gradient": (Perpendicular(),),
    "slow gradients": (SlowGradients(),),
    "scaled updates": (ScaleUpdates(factor=1.0),),
    "replay of turning": (ReplayTurning(),),
    "zero-sum": (ZeroSum(),),
    "frozen embedding": (Freeze(parts=("embedding",), until=10**9),),
    "noise": (AntitheticNoise(size=1e-6),),
    "spectral entropy": (SpectralEntropy(strength=1e-9),),
}
ROUNDS, STEPS = 7, 4


def recipe_of(p: int) -> Recipe:
    recipe = mainline()
    return recipe if p == 113 else variation(recipe, task={"p": p, "train_fraction": 0.4})


class Stretch:
    """A run in memory that takes steps."""

    def __init__(self, recipe: Recipe, rules: tuple[Rule, ...], *, records: bool):
        self.weights = {k: w.requires_grad_() for k, w in initial_weights(recipe.model, recipe.seed).items()}
        self.data = Data(recipe.task.task(), recipe, "cpu")
        self.optimizer = Optimizer(recipe.optimizer, self.weights, None)
        paths = {
            f"control/norm/{k}": torch.full((10**4,), float(w.detach().norm()))
            for k, w in self.weights.items()
        }
        paths |= {"control/margin": torch.ones(10**4), "control/update_norm": torch.full((10**4,), 0.03)}
        self.acting = Acting(rules, self.weights, 0, paths=Paths(paths) if rules else None, records=records)
        self.step = 0

    def take(self, n: int) -> float:
        """Seconds of a step."""
        started = time.perf_counter()
        for _ in range(n):
            at = self.acting.now(self.step)
            logits_of, labels = self.data.batch(self.step)
            loss = self.data.loss(self.acting.logits(logits_of(self.weights), labels, at), labels)
            self.acting.objective(loss, self.weights, at).backward()
            self.acting.norms(self.weights)
            self.acting.update(self.optimizer, self.weights, at)
            self.step += 1
        return (time.perf_counter() - started) / n


def of_one_thread(p: int, seconds: float, barrier, rates) -> None:
    """Steps a second of one process with one thread, from when all are ready."""
    torch.set_num_threads(1)
    stretch = Stretch(recipe_of(p), (), records=True)
    stretch.take(2)
    barrier.wait()
    started, n = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        stretch.take(1)
        n += 1
    rates.put(n / (time.perf_counter() - started))


def rates_of(p: int, n: int, seconds: float = 15.0) -> float:
    """Steps a second of so many processes together."""
    context = get_context("spawn")
    barrier, rates = context.Barrier(n), context.SimpleQueue()
    processes = [context.Process(target=of_one_thread, args=(p, seconds, barrier, rates)) for _ in range(n)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return sum(rates.get() for _ in range(n))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--p", type=int, default=113)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    p = asked.p
    torch.set_num_threads(asked.threads)
    recipe = recipe_of(p)
    stretches = {"plain": Stretch(recipe, (), records=False), "recorded": Stretch(recipe, (), records=True)}
    stretches |= {name: Stretch(recipe, rules, records=True) for name, rules in RULES.items()}
    times: dict[str, list[float]] = {name: [] for name in stretches}
    for i in range(ROUNDS + 1):
        for name, stretch in stretches.items():
            took = stretch.take(STEPS)
            # The first round also prepares.
            if i:
                times[name].append(took)

    def ratio(name: str, over: str) -> float:
        return statistics.median(a / b for a, b in zip(times[name], times[over], strict=True))

    print(
        f"p = {p}, {torch.get_num_threads()} threads, plain step {1e3 * statistics.median(times['plain']):.1f} ms"
    )
    print(f"recorded over plain: {ratio('recorded', 'plain'):.3f}")
    for name in RULES:
        print(f"{name} over recorded: {ratio(name, 'recorded'):.3f}")
    alone, both = rates_of(p, 1), rates_of(p, 2)
    print(
        f"two arms on two cores: {both / (2 * alone):.2f} of twice one ({both:.1f} and {alone:.1f} steps/s)"
    )


if __name__ == "__main__":
    main()

"""Runs trained as one stack against one run at a time, and both against what else could train them.

Runs times steps per second of stacks of growing size; the best of them in one process a core, as a sweep trains them; a
stack of one against the matrix products that no way of computing the network can leave out; sixteen small runs through
TransformerLens' bridge, one after another; and, where their packages are installed, plain torch, torch.compile and JAX.

    python benchmarks/stacked.py [--shapes 23,59,113] [--members 1,2,4,8,16,64] [--device cpu] [--json FILE]

On a GPU, unattended and in one command of under ten minutes:

    python benchmarks/stacked.py --device cuda --shapes 113 --members 1,8,64,256 --json gpu.json
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from contenders import CONTENDERS, bridge_step
from timing import Row, report

from interp.networks.config import initial_weights
from interp.runs.config import Recipe
from interp.runs.presets import mainline, variation
from interp.runs.record import RunRecord
from interp.runs.run import Checkpoint, Run
from interp.training.data import Data
from interp.training.optimizer import Optimizer
from interp.training.session import deterministic
from interp.training.stack import Stack

# Modulus: train fraction, width, neurons.
SHAPES = {23: (0.4, 64, 256), 59: (0.4, 128, 512), 113: (0.3, 128, 512), 11: (0.5, 16, 32)}


def recipe_of(p: int) -> Recipe:
    fraction, d_model, d_mlp = SHAPES[p]
    return variation(
        mainline(100), task={"p": p, "train_fraction": fraction}, model={"d_model": d_model, "d_mlp": d_mlp}
    )


def alone(recipe: Recipe, device: str) -> Callable[[], object]:
    """One step of a run in a loop of its own."""
    live = {k: w.to(device).requires_grad_() for k, w in initial_weights(recipe.model, recipe.seed).items()}
    data, optimizer = Data(recipe.task.task(), recipe, device), Optimizer(recipe.optimizer, live, None)

    def step() -> float:
        logits_of, labels = data.batch(10)
        loss = data.loss(logits_of(live), labels)
        loss.backward()
        optimizer.step(10)
        return loss.item()

    return step


def stacked(recipe: Recipe, n: int, device: str) -> Callable[[], object]:
    """One step of n runs of other seeds and splits as one stack."""
    starts = []
    for seed in range(n):
        own = replace(recipe, seed=seed, task=replace(recipe.task, split_seed=seed))
        run = Run(Path(f"run-{seed}"), RunRecord(status="running", unit="step"), own.config())
        run.task = own.task.task()
        starts.append((run, Checkpoint(0, initial_weights(own.model, seed), {})))
    stack = Stack.of(starts, device)
    now = [member.acting.now(10) for member in stack.members]

    def step() -> float:
        losses, _ = stack.gradients(now, scores=False)
        stack.update(now)
        return losses[0]

    return step


def products(recipe: Recipe, device: str) -> Callable[[], object]:
    """The matrix products of MLP and unembedding of one run alone, forward and backward."""
    c, n = recipe.model, int(recipe.task.task().n_train)
    shapes = [(n, c.d_model), (c.d_model, c.d_mlp), (c.d_mlp, c.d_model), (c.d_model, c.d_vocab_out)]
    factors = [torch.randn(shape, device=device, requires_grad=True) for shape in shapes]
    direction = torch.randn(n, c.d_vocab_out, device=device)

    def step() -> None:
        x, w_in, w_out, w_u = factors
        torch.autograd.grad(x @ w_in @ w_out @ w_u, factors, direction)

    return step


def flops(recipe: Recipe) -> float:
    """Floating point operations of those products, of one run and step."""
    c, n = recipe.model, int(recipe.task.task().n_train)
    return 6.0 * n * (2 * c.d_model * c.d_mlp + c.d_model * c.d_vocab_out)


def seconds(step: Callable[[], object], device: str, at_least: float) -> float:
    """Median of as many steps as fit in this time, five at least."""
    taken: list[float] = []
    step()
    while len(taken) < 5 or sum(taken) < at_least:
        started = time.perf_counter()
        step()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def in_turns(
    steps: dict[str, Callable[[], object]], device: str, at_least: float, turns: int = 3
) -> dict[str, float]:
    """Seconds of each, medians of turns, so that a busy moment of the machine hits all of them."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(turns):
        for name, step in steps.items():
            found[name].append(seconds(step, device, at_least / turns))
    return {name: statistics.median(taken) for name, taken in found.items()}


def _in_process(p: int, n: int, n_seconds: float) -> float:
    with deterministic("cpu", 1):
        step = stacked(recipe_of(p), n, "cpu")
        step()
        n_steps, started = 0, time.perf_counter()
        while time.perf_counter() - started < n_seconds:
            step()
            n_steps += 1
        return n * n_steps / (time.perf_counter() - started)


def at_once(p: int, n: int, n_seconds: float) -> float:
    """Runs times steps per second of one process a core, each with a stack of n on one thread."""
    from joblib import Parallel, delayed

    n_cores = os.cpu_count() or 1
    with Parallel(n_jobs=n_cores) as pool:
        pool(delayed(_in_process)(p, 1, 0.1) for _ in range(n_cores))
        return sum(pool(delayed(_in_process)(p, n, n_seconds) for _ in range(n_cores)))


def of_shape(p: int, members: Sequence[int], device: str, at_least: float, others: bool) -> list[Row]:
    recipe, rows = recipe_of(p), []
    threads = (1,) if device != "cpu" else (1, os.cpu_count() or 1)
    one: dict[int, float] = {}
    for n_threads in threads:
        with deterministic(device, n_threads):
            steps = {"alone": alone(recipe, device), "products": products(recipe, device)}
            if n_threads == 1:
                steps |= {str(n): stacked(recipe, n, device) for n in members}
            taken = in_turns(steps, device, at_least)
        one[n_threads] = taken["alone"]
        rows.append((f"p={p}, one run, {n_threads} threads", taken["alone"] * 1e3, "ms", ""))
        rows.append(
            (
                f"p={p}, one run / its products, {n_threads} threads",
                taken["alone"] / taken["products"],
                "x",
                "",
            )
        )
        if n_threads == 1:
            per_run = {n: taken[str(n)] / n for n in members}
            for n in members:
                rows.append(
                    (f"p={p}, stack of {n}: runs x steps / alone, 1 thread", one[1] / per_run[n], "x", "")
                )
                if device != "cpu":
                    rate = flops(recipe) / per_run[n] / 1e12
                    rows.append((f"p={p}, stack of {n}: rate of its products", rate, "Tflop/s", ""))
            if 1 in members:
                rows.append(
                    (
                        f"p={p}, stack of one / its products",
                        per_run[1] / taken["products"],
                        "x",
                        "at most 1.3",
                    )
                )
    if device == "cpu":
        best = min(per_run, key=lambda n: per_run[n])
        rate = at_once(p, best, max(at_least, 3.0))
        wanted = "at least 4" if p == 23 else ""
        rows.append(
            (
                f"p={p}, a stack of {best} on each core / the best single run",
                rate * min(one.values()),
                "x",
                wanted,
            )
        )
        if others:
            rows += against_others(p, recipe, one, 1 / rate, at_least)
    return rows


def against_others(
    p: int, recipe: Recipe, one: dict[int, float], at_once: float, at_least: float
) -> list[Row]:
    """What else trains one run, or several: against our single run on as many threads, and all cores against all.

    Args:
        one: seconds of a step of our single run, by threads.
        at_once: of a run's step where a stack is trained on each core.
    """
    rows: list[Row] = []
    for name, make in CONTENDERS.items():
        taken: dict[int, float] = {}
        for n_threads in one:
            with deterministic("cpu", n_threads):
                step = make(recipe)
                if step is None:
                    break
                taken[n_threads] = seconds(step, "cpu", at_least) / getattr(step, "n_runs", 1)
        if not taken:
            rows.append((f"p={p}, {name}: not installed", float("nan"), "x", ""))
            continue
        if getattr(step, "n_runs", 1) == 1:
            for n_threads, theirs in taken.items():
                what = f"p={p}, {name} / our single run, {n_threads} threads"
                rows.append((what, theirs / one[n_threads], "x", "at least 2"))
        what = f"p={p}, {name} on all cores / our stacks on all cores"
        rows.append((what, min(taken.values()) / at_once, "x", "at least 2"))
    return rows


def against_the_bridge(p: int, size: int, at_least: float) -> list[Row]:
    """Small runs through the bridge one after another, and as a sweep trains them in stacks of this size."""
    recipe = recipe_of(p)
    taken = []
    for n_threads in (1, os.cpu_count() or 1):
        with deterministic("cpu", n_threads):
            taken.append(seconds(bridge_step(recipe), "cpu", at_least))
    rate = at_once(p, size, max(at_least, 3.0))
    what = f"p={p}, runs through the bridge one by one / in stacks of {size} on each core"
    return [(what, min(taken) * rate, "x", "at least 10")]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--shapes", default="23,59,113", help="moduli, of " + ", ".join(map(str, SHAPES)))
    parser.add_argument("--members", default="1,2,4,8,16,64", help="sizes of stacks")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument(
        "--no-others", action="store_true", help="leave out bridge, plain torch, torch.compile, JAX"
    )
    parser.add_argument("--tiny", action="store_true", help="small inputs, only to see that it runs")
    parser.add_argument("--json", type=Path, help="write the table there too")
    options = parser.parse_args()
    options.threads, options.repeats = 1, 3
    shapes = [11] if options.tiny else [int(p) for p in options.shapes.split(",")]
    members = [1, 2] if options.tiny else [int(n) for n in options.members.split(",")]
    at_least = 0.05 if options.tiny else options.seconds
    rows: list[Row] = []
    for p in shapes:
        rows += of_shape(p, members, options.device, at_least, not (options.no_others or options.tiny))
        if p <= 23 and not options.no_others and options.device == "cpu":
            rows += against_the_bridge(p, max(n for n in members if n <= 16), at_least)
    report(rows, options)
    if options.device != "cpu":
        print(json.dumps({"device": torch.cuda.get_device_name(options.device), "host": platform.node()}))


if __name__ == "__main__":
    main()

"""What measuring costs, as ratios in one process.

    step      the standard probes on one checkpoint / the factorized forward pass over all pairs
    run       the standard probes on every checkpoint, in seconds; the same call again
    notebook  the same numbers the way the published notebooks get them / with the probes
    memory    peak memory over all checkpoints / over a tenth of them, each in a process of its own
    processes the standard probes on every checkpoint in one process / in --jobs, with their start and without

Example: python benchmarks/measure.py checkpoints/mainline --parts step,notebook --threads 2

Nothing else should run meanwhile. Calls that are compared take turns, and the medians are given.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from interp.measurement.measure import measure
from interp.measurement.standard import STANDARD
from interp.networks import factorized
from interp.probes import named
from interp.probes.fourier.progress_measures import progress_measures
from interp.runs.run import Run, open_run
from interp.snapshots.snapshot import NotApplicable, Snapshot

PARTS = ("step", "run", "notebook", "memory", "processes")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a run of a one-layer transformer with ReLU on pairs")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts, joined by commas")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--jobs", type=int, default=2, help="processes of part processes")
    parser.add_argument("--peak-of-steps", help=argparse.SUPPRESS)  # the child of part memory
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = open_run(options.run)
    if options.peak_of_steps:
        measure(run, standard(run), options.peak_of_steps, cache=False, progress=False)
        print(peak_memory())
        return
    results: dict[str, object] = {"run": run.name, "threads": options.threads, "torch": torch.__version__}
    # Times of a machine that does something else meanwhile compare with nothing.
    results["load_before"] = os.getloadavg()[0]
    for part in options.parts.split(","):
        results[part] = {
            "step": lambda: step_part(run, options.repeats),
            "run": lambda: run_part(run),
            "notebook": lambda: notebook_part(run, options.repeats),
            "memory": lambda: memory_part(run, options.threads),
            "processes": lambda: processes_part(run, options.jobs, options.threads),
        }[part]()
    print(json.dumps(results, indent=2))


def key_set(run: Run) -> list[int]:
    """The key frequencies of the last checkpoint, those of largest coefficient where it has none."""
    table = named("logit_spectrum")(Snapshot.of(run, run.steps[-1]))
    found = table[table["fraction_explained"] > 0.005]
    chosen = found if len(found) else table.nlargest(5, "coefficient")
    return sorted(int(k) for k in chosen["frequency"])


def standard(run: Run) -> dict[str, Callable[[Snapshot], pd.DataFrame]]:
    """The standard probes, progress measures with the run's key set."""
    probes = {name: named(name) for name in STANDARD}
    return {**probes, "progress_measures": partial(progress_measures, frequencies=key_set(run))}


def seconds(*calls: Callable[[], object], repeats: int) -> list[float]:
    """Median seconds of each; they take turns, so that a slow moment of the machine meets all. The first is free."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats + 1):
        for call, found in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            found.append(time.perf_counter() - start)
    return [statistics.median(found[1:]) for found in times]


def step_part(run: Run, repeats: int) -> dict[str, object]:
    step, probes = run.steps[-1], standard(run)
    rows = factorized.Rows.of(run.task.tokens)
    config, weights = run.config.model, run.step_weights(step)
    assert config is not None
    each: dict[str, list[float]] = {name: [] for name in ["snapshot", *probes]}

    @torch.no_grad()
    def forward() -> None:
        factorized.forward(config, weights, rows)

    def all_probes() -> None:
        start = time.perf_counter()
        snapshot = Snapshot.of(run, step)
        _ = snapshot.logits  # the pass that all share is not any one's
        each["snapshot"].append(time.perf_counter() - start)
        for name, probe in probes.items():
            start = time.perf_counter()
            with suppress(NotApplicable):
                snapshot.once(probe)  # as measure does: probes that build on others do not repeat them
            each[name].append(time.perf_counter() - start)

    forward_seconds, probes_seconds = seconds(forward, all_probes, repeats=repeats)
    in_passes = {name: statistics.median(found[1:]) / forward_seconds for name, found in each.items()}
    return {
        "forward_seconds": forward_seconds,
        "probes_seconds": probes_seconds,
        "multiple": probes_seconds / forward_seconds,
        "multiples": dict(sorted(in_passes.items(), key=lambda item: -item[1])),
    }


def run_part(run: Run) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / run.name
        shutil.copytree(run.path, copy, ignore=shutil.ignore_patterns("measures", "packed", "lock"))
        times = []
        for _ in range(2):
            opened = open_run(copy)
            start = time.perf_counter()
            measure(opened, standard(opened), progress=False)
            times.append(time.perf_counter() - start)
        size = sum(f.stat().st_size for f in (copy / "measures").iterdir())
    return {
        "checkpoints": len(run.steps),
        "first_seconds": times[0],
        "second_seconds": times[1],
        "bytes": size,
    }


def processes_part(run: Run, jobs: int, threads: int) -> dict[str, float]:
    """One process with one thread, and with all; several, whose start the first call pays and the second does not."""
    probes = standard(run)

    def timed(n_jobs: int, n_threads: int) -> float:
        torch.set_num_threads(n_threads)
        start = time.perf_counter()
        measure(run, probes, n_jobs=n_jobs, cache=False, progress=False)
        return time.perf_counter() - start

    timed(1, threads)
    one_thread, one = timed(1, 1), timed(1, threads)
    first, again = timed(jobs, threads), timed(jobs, threads)
    return {
        "checkpoints": len(run.steps),
        "jobs": jobs,
        "one_process_one_thread_seconds": one_thread,
        "one_process_seconds": one,
        "several_seconds": first,
        "several_started_seconds": again,
        "one_thread/several": one_thread / first,
        "one_thread/several_started": one_thread / again,
        "all_threads/several_started": one / again,
    }


def peak_memory() -> int:
    """Kilobytes. On Linux not ru_maxrss, which a child inherits from the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def memory_part(run: Run, threads: int) -> dict[str, float]:
    few = run.steps[::10]
    peaks = {}
    for name, steps in (("few", ",".join(map(str, few))), ("all", "all")):
        command = [
            sys.executable,
            __file__,
            str(run.path),
            "--threads",
            str(threads),
            "--peak-of-steps",
            steps,
        ]
        peaks[name] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {
        "checkpoints_few": len(few),
        "checkpoints_all": len(run.steps),
        "peak_few": peaks["few"],
        "peak_all": peaks["all"],
        "ratio": peaks["all"] / peaks["few"],
    }


def notebook_part(run: Run, repeats: int) -> dict[str, float]:
    """Both ways to the same numbers; they must agree before their times are compared."""
    step, keys = run.steps[-1], key_set(run)
    bridge = run.model(step).to_bridge()  # made once: a notebook would load each step's weights into it
    theirs, ours = notebook(run, bridge, keys), probes(run, step, keys)
    for name in ours:
        # The notebook's transforms are float32 and its sums go in another order.
        scale = np.abs(ours[name]).max()
        np.testing.assert_allclose(theirs[name], ours[name], rtol=2e-3, atol=2e-5 * scale, err_msg=name)
    slow, fast = seconds(
        lambda: notebook(run, bridge, keys), lambda: probes(run, step, keys), repeats=max(repeats // 2, 1)
    )
    return {"notebook_seconds": slow, "probes_seconds": fast, "times_faster": slow / fast}


def probes(run: Run, step: int, keys: list[int]) -> dict[str, np.ndarray]:
    """The numbers of `notebook` from the probes."""
    snapshot = Snapshot.of(run, step)
    neurons = named("neuron_frequencies")(snapshot)
    measures = progress_measures(snapshot, frequencies=keys, n_random=0)
    of_key_set = measures[measures["selection"] == "key"].set_index(["measure", "split"])["loss"]
    return {
        "embedding_power": named("embedding_spectrum")(snapshot)["power"].to_numpy(),
        "neuron_fraction": neurons["fraction_explained"].to_numpy(),
        "coefficient": named("logit_spectrum")(snapshot)["coefficient"].to_numpy(),
        "excluded_each": measures[measures["selection"] == "single"]["loss"].to_numpy(),
        "excluded": np.array([of_key_set["excluded_loss", "train"]]),
        "restricted": np.array([of_key_set["restricted_loss", "all"]]),
    }


@torch.no_grad()
def notebook(run: Run, bridge: Any, keys: list[int]) -> dict[str, np.ndarray]:
    """The same numbers as the published notebooks compute them.

    `run_with_cache` on all pairs with every activation kept, dense p x p Fourier matrices, loops over neurons and
    frequencies. After the released code of Nanda et al. 2023 (addition, residues in their own order).
    """
    p, tokens, labels = run.config.task.p, run.task.tokens, run.task.labels
    logits, cache = bridge.run_with_cache(tokens)
    logits = logits[:, -1, :p].double()

    basis = [torch.ones(p) / p**0.5]
    for k in range(1, p // 2 + 1):
        for wave in (torch.cos, torch.sin):
            w = wave(2 * torch.pi * k * torch.arange(p) / p)
            basis.append(w / w.norm())
    fourier = torch.stack(basis)

    w_e = bridge.W_E[:p]
    embedding_power = (fourier @ w_e).pow(2).sum(1)[1:].view(-1, 2).sum(1)

    neurons = cache["blocks.0.mlp.hook_post"][:, -1].view(p, p, -1)
    neurons = neurons - neurons.mean((0, 1), keepdim=True)
    # The 2-D transform by dense matrices, as einsums over all neurons.
    spectrum = torch.einsum("xyn,fx,Fy->fFn", neurons, fourier, fourier)
    fraction = []
    for neuron in range(neurons.shape[-1]):
        square = spectrum[:, :, neuron]
        total, best = square.pow(2).sum(), torch.tensor(0.0)
        for k in range(1, p // 2 + 1):
            cells = [0, 2 * k - 1, 2 * k]
            explained = square[cells][:, cells].pow(2).sum()
            best = torch.maximum(best, explained / total)
        fraction.append(best.item())

    a, b = tokens[:, 0].double(), tokens[:, 1].double()
    c = torch.arange(p).double()
    is_train = run.task.split

    def loss(x: torch.Tensor, rows: torch.Tensor) -> float:
        return torch.nn.functional.cross_entropy(x[rows], labels[rows]).item()

    def component(k: int) -> torch.Tensor:
        """The part of the logits along cos w_k(a+b) and sin w_k(a+b), any dependence on c."""
        part = torch.zeros_like(logits)
        for wave in (torch.cos, torch.sin):
            direction = wave(2 * torch.pi * k * (a + b) / p)
            direction = direction / direction.norm()
            part += direction[:, None] * (direction @ logits)
        return part

    coefficient, excluded_each = [], []
    kept = torch.zeros_like(logits)
    centred = logits - logits.mean(1, keepdim=True)
    for k in range(1, p // 2 + 1):
        cube = torch.cos(2 * torch.pi * k * (a[:, None] + b[:, None] - c) / p)
        coefficient.append((centred * cube / cube.norm()).sum().item())
        part = component(k)
        excluded_each.append(loss(logits - part, is_train))
        if k in keys:
            kept += part
    restricted = kept + (logits - kept).mean(0)
    return {
        "embedding_power": embedding_power.numpy(),
        "neuron_fraction": np.array(fraction),
        "coefficient": np.array(coefficient),
        "excluded_each": np.array(excluded_each),
        "excluded": np.array([loss(logits - kept, is_train)]),
        "restricted": np.array([loss(restricted, torch.ones_like(is_train))]),
    }


if __name__ == "__main__":
    main()

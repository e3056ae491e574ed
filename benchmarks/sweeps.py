"""The same sweep by the workers of this machine (joblib), by submitit's local executor and by Dask's local workers.

What each adds is its start (processes that import torch) and its bookkeeping; training is the same code, in turns.

    python benchmarks/sweeps.py [--runs 32] [--steps 4000] [--turns 1] [--json FILE]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from interp.runs.config import Recipe
from interp.runs.presets import mainline, variation
from interp.runs.schedule import fitted_schedule
from interp.sweeps.cluster import Dask, Slurm
from interp.sweeps.sweep import sweep
from interp.sweeps.workers import Where


def joblib(folder: Path, train: Callable[[Path, Where | None], None]) -> None:
    # New processes, as every sweep from the command line has them.
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)
    train(folder, None)


def submitit(folder: Path, train: Callable[[Path, Where | None], None]) -> None:
    train(folder, Slurm(cluster="local", minutes=600))


def dask(folder: Path, train: Callable[[Path, Where | None], None]) -> None:
    from distributed import LocalCluster

    n = os.cpu_count() or 1
    with LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None) as workers:
        train(folder, Dask(workers.scheduler_address))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="small inputs, only to see that it runs")
    parser.add_argument("--json", type=Path, help="write the seconds there")
    options = parser.parse_args()
    if options.tiny:
        options.runs, options.steps = 4, 40
    recipe: Recipe = variation(
        mainline(options.steps), task={"p": 23, "train_fraction": 0.4}, model={"d_model": 64, "d_mlp": 256}
    )
    recipe = replace(recipe, schedule=fitted_schedule(options.steps))
    n = os.cpu_count() or 1
    stack = max(min(16, options.runs // n), 1)

    def train(folder: Path, where: Where | None) -> None:
        done = sweep(
            folder, recipe, seeds=options.runs, keep="tables", n_processes=n, stack=stack, where=where
        )
        assert (done.runs["status"] == "complete").all()

    taken: dict[str, list[float]] = {}
    for _ in range(options.turns):
        for way in (joblib, submitit, dask):
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                way(Path(folder) / "sweep", train)
                taken.setdefault(way.__name__, []).append(time.perf_counter() - started)
    found = {name: statistics.median(seconds) for name, seconds in taken.items()}
    for name, seconds in found.items():
        print(f"{name:10} {seconds:8.1f} s   {seconds / found['joblib']:.2f} of joblib's")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

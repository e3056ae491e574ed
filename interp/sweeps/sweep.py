"""Many runs from one recipe: planned, trained on the cores of this machine, and read back as tables.

>>> from interp.runs.presets import mainline, variation                                      # doctest: +SKIP
>>> base = variation(mainline(5000), task={"p": 23}, model={"d_model": 64, "d_mlp": 256})    # doctest: +SKIP
>>> done = sweep("sweeps/decay", base, {"optimizer.weight_decay": [0.3, 1.0]}, seeds=8)      # doctest: +SKIP
>>> done.runs[["optimizer.weight_decay", "seed", "grokking_step"]]                           # doctest: +SKIP
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import filelock

from interp.ground.cores import n_cores
from interp.networks.devices import check_device
from interp.runs.config import Recipe
from interp.runs.locks import run_lock
from interp.runs.schedule import Schedule
from interp.runs.tensor_files import RunError
from interp.sweeps.grid import MANY, Over, Planned, n_runs, planned_runs
from interp.sweeps.kept import Keep, check_keep, is_thinned
from interp.sweeps.measured_files import measured_name
from interp.sweeps.opened import Sweep, open_sweep
from interp.sweeps.places import Place, place_of
from interp.sweeps.plan_file import FILE, RUNS, read_plan, under_known_names, write_plan
from interp.sweeps.table import FILE as TABLE
from interp.sweeps.table import read_runs, rows_of, runs_table, write_runs
from interp.sweeps.units import Unit, units
from interp.sweeps.workers import Where, locally
from interp.sweeps.working import PROGRESS, Work
from interp.training.sizes import check_sizes, saved_bytes, weights_bytes

SECONDS_BETWEEN_TABLES = 60.0


@dataclass(frozen=True)
class Estimate:
    """What is left of a sweep to be trained, before it starts.

    Attributes:
        n_runs: of the sweep; n_left of them are not done.
        seconds: of training and saving, by the clock, from a few timed steps, with all cores at work and nothing else
            running; probes come on top.
        bytes: of disk when it is done; `bytes_at_once` more meanwhile.
        stacks: sizes of the stacks, largest first.
    """

    n_runs: int
    n_left: int
    seconds: float
    bytes: int
    bytes_at_once: int
    stacks: tuple[int, ...]


def sweep(
    path: str | os.PathLike,
    base: Recipe,
    over: Over = {},  # noqa: B006
    *,
    seeds: int | Sequence[int] | None = None,
    keep: Keep = "all",
    probes: Sequence[str] = (),
    refit: bool = True,
    n_processes: int | None = None,
    stack: int | None = None,
    device: str = "cpu",
    threads: int | None = None,
    confirmed: bool = False,
    typed: Mapping[str, str] | None = None,
    on_estimate: Callable[["Estimate"], object] | None = None,
    where: Where | None = None,
    scratch: str | os.PathLike | None = None,
) -> Sweep:
    """Train every run of a grid or list, and gather them in one table.

    Called again it goes on: runs that are done are skipped, those that were begun are resumed. Runs that fail do not
    stop the others; the table says why. Ctrl-C saves all that are at work.

    Args:
        path: the sweep's folder: runs in `runs/`, the table `runs.parquet`, what was measured in `measured/`; or the
            URL of a store for the same, "s3://bucket/decay", for workers that share no disk.
        base: from which the runs differ.
        over: values by the path of a field, every combination of which is a run; or a list of the fields of each run.
        seeds: replicates: how many (seeds 0, 1, ...), or which. A replicate has this seed for its initialization, its
            split and its mini-batches.
        keep: of each run: "all" checkpoints; those around its "transitions"; or the history and the "tables" that
            were measured, with the last checkpoint alone.
        probes: names of probes to be measured along each run, before it is thinned.
        refit: whether checkpoints are fitted to each run's length; otherwise they are those of the base.
        n_processes: workers, one a core by default.
        stack: runs that one worker trains as one tensor program; by default as many as are quickest here.
        device: "cpu" or "cuda"; on a GPU there is one worker.
        threads: of each worker; by default its share of those that `train` would take.
        confirmed: needed for more than a thousand runs.
        typed: how the user wrote a field, for errors.
        on_estimate: told, before the first run starts, what it will take.
        where: the workers; by default those of this machine. `interp.sweeps.cluster` has others, for which
            `n_processes` is how many units may be worked on at a time.
        scratch: of a URL, the folder where a machine works on its runs; by default one in the user's cache.

    Raises:
        ValueError: if the grid is empty or makes no sense, holds more than a thousand runs unconfirmed, or the folder
            holds another sweep; if a URL cannot be opened.
        RunError: if another sweep works in the folder, or a store does not answer.
        KeyboardInterrupt: when it was stopped; all is saved.
    """
    plan = _planned(base, over, seeds, keep, probes, refit, device, confirmed, typed)
    place = place_of(path, scratch)
    n, share = _workers(n_processes, device)
    if threads is not None and threads < 1:
        raise ValueError(f"A worker of a sweep needs at least 1 thread, got {threads}.")
    if threads is None:
        # Another machine's: what it has to itself is said there.
        threads = share if where is None else int(getattr(where, "cpus", 1))
    with place.named(), _alone_in(place.folder), place.alone() as check:
        plan = write_plan(place.tables, base, plan, keep, probes)
        place.share(FILE)
        place.lift_stop()
        shutil.rmtree(place.folder / PROGRESS, ignore_errors=True)
        rows = _known_rows(place.tables, place.there(), plan, keep, probes)
        left = [run for run in plan if run.name not in rows]
        work = Work(place.folder, keep, tuple(probes), device, threads, place.store)
        found = _shared_out(left, device, n, stack, where)
        if on_estimate is not None:
            on_estimate(_estimate(plan, left, found, keep, n))
        where = where or partial(locally, n_processes=n)
        failures: dict[str, str] = {}
        written = time.monotonic()
        try:
            for done in where(found, work):
                check()
                failures |= {one.name: one.why for one in done if one.ended == "failed"}
                rows |= {one.name: dict(one.row) for one in done if one.row is not None}
                if time.monotonic() - written > SECONDS_BETWEEN_TABLES:
                    write_runs(place.tables, runs_table(rows.values()))
                    # A store that does not answer now has it the next time.
                    with suppress(RunError):
                        place.share(TABLE)
                    written = time.monotonic()
        finally:
            _write_rows(place, [run.name for run in plan], rows, failures)
    return open_sweep(path, scratch)


def _write_rows(
    place: Place, names: Sequence[str], rows: Mapping[str, dict[str, Any]], failures: Mapping[str, str]
) -> None:
    """Write the table: the rows that are known, and of the other runs what they say themselves."""
    unknown = [name for name in names if name not in rows]
    others = {row["run"]: row for row in rows_of(place.begun(unknown), unknown, failures)}
    known = {**rows, **others}
    write_runs(place.tables, runs_table([known[name] for name in names if name in known]))
    place.share(TABLE)


def estimate(
    path: str | os.PathLike,
    base: Recipe,
    over: Over = {},  # noqa: B006
    *,
    seeds: int | Sequence[int] | None = None,
    keep: Keep = "all",
    probes: Sequence[str] = (),
    refit: bool = True,
    n_processes: int | None = None,
    stack: int | None = None,
    device: str = "cpu",
    typed: Mapping[str, str] | None = None,
    where: Where | None = None,
    scratch: str | os.PathLike | None = None,
) -> Estimate:
    """What a sweep would take, from a few timed steps of each architecture; nothing is written.

    Args, Raises:
        as `sweep`.
    """
    plan = _planned(base, over, seeds, keep, probes, refit, device, True, typed)
    place = place_of(path, scratch)
    with place.named(), place.only_read() as tables:
        if (tables / FILE).exists():
            plan = under_known_names(tables, read_plan(tables), base, plan)
        done = _known_rows(tables, place.there(), plan, keep, probes) if tables.exists() else {}
    left = [run for run in plan if run.name not in done]
    n, _ = _workers(n_processes, device)
    return _estimate(plan, left, _shared_out(left, device, n, stack, where), keep, n)


def _shared_out(
    left: Sequence[Planned], device: str, n: int, stack: int | None, where: Where | None
) -> list[Unit]:
    """The units; on a cluster each has the memory of a machine to itself."""
    return units(left, device=device, n_at_once=n, n_here=n if where is None else 1, size=stack)


def _estimate(
    plan: Sequence[Planned], left: Sequence[Planned], found: Sequence[Unit], keep: Keep, n_workers: int
) -> Estimate:
    longest = max((unit.seconds for unit in found), default=0.0)
    whole = sum(unit.seconds for unit in found)
    sizes = tuple(sorted({len(unit.runs) if unit.is_stack else 1 for unit in found}, reverse=True))
    at_work = sorted((sum(_bytes(run.recipe, "all") for run in unit.runs) for unit in found), reverse=True)
    at_end = sum(_bytes(run.recipe, keep) for run in plan)
    at_once = 0 if keep == "all" else sum(at_work[:n_workers])
    return Estimate(len(plan), len(left), max(whole / n_workers, longest), at_end, at_once, sizes)


def _planned(
    base: Recipe,
    over: Over,
    seeds: int | Sequence[int] | None,
    keep: str,
    probes: Sequence[str],
    refit: bool,
    device: str,
    confirmed: bool,
    typed: Mapping[str, str] | None,
) -> list[Planned]:
    """The runs, if all of it makes sense."""
    check_keep(keep)
    check_device(device)
    if isinstance(seeds, int) and seeds < 1:
        raise ValueError(f"A sweep needs at least 1 seed, got {seeds}.")
    replicates = list(range(seeds)) if isinstance(seeds, int) else list(seeds or ())
    if (n := n_runs(over, replicates)) > MANY and not confirmed:
        raise ValueError(
            f"A sweep of {n:,} runs needs to be meant: look at --dry-run (estimate in Python), then say --yes "
            "(confirmed=True)."
        )
    plan = planned_runs(base, over, replicates, refit=refit, typed=typed)
    if keep == "tables" and not probes:
        # Nothing will look at the others.
        plan = [replace(run, recipe=_saved_at_its_end(run.recipe)) for run in plan]
    for recipe in {run.recipe.model: run.recipe for run in plan}.values():
        check_sizes(recipe, device)
    return plan


def _saved_at_its_end(recipe: Recipe) -> Recipe:
    return replace(recipe, schedule=Schedule(steps=(recipe.n_steps,), optimizer_steps=()))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """The sweep's folder for oneself."""
    folder.mkdir(parents=True, exist_ok=True)
    is_new = not any(folder.iterdir())
    try:
        with run_lock(folder):
            yield
    except filelock.Timeout:
        raise RunError(
            f"Another sweep is working in {folder}. Wait for it, stop it, or name another folder."
        ) from None
    finally:
        # What was refused leaves nothing behind.
        if is_new and [file.name for file in folder.iterdir()] in ([], ["lock"]):
            shutil.rmtree(folder, ignore_errors=True)


def _known_rows(
    tables: Path, there: Callable[[str], bool], plan: Sequence[Planned], keep: Keep, probes: Sequence[str]
) -> dict[str, dict]:
    """Rows of the runs that are done, by name: diverged, or complete, measured and thinned.

    Args:
        there: whether the sweep has a file, by its path in it.
    """
    table = read_runs(tables)
    if table is None:
        return {}
    names = {run.name for run in plan}
    found = {}
    for row in table.to_dict("records"):
        run = f"{RUNS}/{row['run']}"
        if row["run"] not in names or not there(f"{run}/run.json"):
            continue
        is_measured = all(there(measured_name(probe, row["run"])) for probe in probes)
        is_done = row["status"] == "complete" and is_measured and is_thinned(run, keep, there)
        if is_done or row["status"] == "diverged":
            found[row["run"]] = row
    return found


def _workers(n_processes: int | None, device: str) -> tuple[int, int]:
    """How many workers, and the threads of each."""
    import torch

    if n_processes is not None and n_processes < 1:
        raise ValueError(f"A sweep needs at least 1 worker, got {n_processes}.")
    # One process fills a GPU: its stack is made as large as is quickest.
    n = n_processes or (1 if device.startswith("cuda") else n_cores())
    # Not the machine's cores: OMP_NUM_THREADS and the cores that a process is pinned to are heard, as in `train`.
    return n, max(torch.get_num_threads() // n, 1)


def _bytes(recipe: Recipe, keep: Keep) -> int:
    """What a run takes on the disk: checkpoints, its history and its data."""
    n_kept = {"transitions": 6, "tables": 1}
    checkpoints = saved_bytes(recipe) if keep == "all" else n_kept[keep] * weights_bytes(recipe)
    n_rows = getattr(recipe.task, "n_examples", 0)
    return checkpoints + 12 * recipe.n_steps + 8 * n_rows * recipe.task.n_pos

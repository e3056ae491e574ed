"""`interp sweep`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from interp.commands.battery import duration, seconds_of
from interp.commands.train import OPTIONS, assembled
from interp.commands.wording import errors_as_typed
from interp.ground.plain_text import number_of, say

if TYPE_CHECKING:
    from interp.sweeps.opened import Sweep
    from interp.sweeps.sweep import Estimate
    from interp.sweeps.workers import Where

GRID, KEEPING, WORKERS = "Runs", "What is kept", "Where it runs"
# Units that a cluster is given at a time where nobody says how many.
ON_CLUSTER = 64


def sweep(
    folder: Annotated[
        str,
        Argument(
            help="Folder of the sweep: new, empty, or one to go on with; or the URL of one on a store, "
            "s3://bucket/decay."
        ),
    ],
    over: Annotated[
        list[str] | None,
        Option(
            metavar="FIELD=VALUES",
            help="A field of run.json's config and its values, 0.1,0.3,1 or START:STOP:STEP (both ends) or a JSON "
            "list; repeatable, every combination is a run.",
            rich_help_panel=GRID,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        Option(
            help="Replicates of each: seeds 0, 1, ... of initialization, split and mini-batches together.",
            min=1,
            rich_help_panel=GRID,
        ),
    ] = None,
    list_file: Annotated[
        Path | None,
        Option(
            "--list",
            metavar="FILE.csv",
            help="In place of --over: a CSV with a column a field and a row a run.",
            rich_help_panel=GRID,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        Option(
            help="Every value that is not set, a recipe that `interp train --help` lists. [default: mainline]",
            rich_help_panel=GRID,
        ),
    ] = None,
    task: Annotated[
        str | None,
        Option(
            help="Family of tasks, as `interp train --help` lists them. [default: the preset's]",
            rich_help_panel=GRID,
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        Option(
            "--set",
            metavar="FIELD=VALUE",
            help="A field that is the same in all runs, as task.p=23; repeatable.",
            rich_help_panel=GRID,
        ),
    ] = None,
    steps: Annotated[int | None, Option(help="Optimizer steps of each run.", rich_help_panel=GRID)] = None,
    save: Annotated[
        list[str] | None,
        Option(
            help="Steps to save of each run, forms as of interp train. [default: as many as bracket a switch within "
            "5 % of its step]",
            rich_help_panel=KEEPING,
        ),
    ] = None,
    save_optimizer: Annotated[
        list[str] | None,
        Option(help="Steps to save with optimizer state, same forms.", rich_help_panel=KEEPING),
    ] = None,
    keep: Annotated[
        Literal["all", "transitions", "tables"],
        Option(
            help="Of each run that is done: all checkpoints; the first, the last and those around memorization and "
            "grokking; or the tables alone, with the last checkpoint.",
            rich_help_panel=KEEPING,
        ),
    ] = "all",
    probes: Annotated[
        str | None,
        Option(
            help="Measure along each run, before checkpoints are deleted: standard, or names of interp measure --list "
            "joined by commas.",
            rich_help_panel=KEEPING,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        Option(
            help="Workers at a time. [default: one a core; 64 on a cluster]", min=1, rich_help_panel=WORKERS
        ),
    ] = None,
    threads: Annotated[
        int | None,
        Option(
            help="CPU threads of each worker. On 1 small networks are quickest where others work too. "
            "[default: its share of torch's]",
            min=1,
            max=1024,
            rich_help_panel=WORKERS,
        ),
    ] = None,
    stack: Annotated[
        int | None,
        Option(
            help="Runs that a worker trains as one tensor program. [default: as many as a few timed steps show to be "
            "quickest here]",
            min=1,
            max=4096,
            rich_help_panel=WORKERS,
        ),
    ] = None,
    device: Annotated[str, Option(help="cpu or cuda; recorded.", rich_help_panel=WORKERS)] = "cpu",
    slurm: Annotated[
        bool,
        Option(
            "--slurm",
            help="Train in tasks of a Slurm job array, submitted from here; the folder is on a shared file system.",
            rich_help_panel=WORKERS,
        ),
    ] = False,
    partition: Annotated[str | None, Option(help="Of --slurm.", rich_help_panel=WORKERS)] = None,
    account: Annotated[str | None, Option(help="Of --slurm.", rich_help_panel=WORKERS)] = None,
    time: Annotated[
        str,
        Option(
            help="Of --slurm: limit of a task, as 4h or 90m; what is cut off goes on in another task.",
            rich_help_panel=WORKERS,
        ),
    ] = "4h",
    dask: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            help="Train on the workers of a Dask cluster, tcp://host:8786; each with one thread.",
            rich_help_panel=WORKERS,
        ),
    ] = None,
    scratch: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Of a sweep at a URL: where each machine works on its runs. [default: in the user's cache]",
            rich_help_panel=WORKERS,
        ),
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Say how many runs, how long and how much disk, and stop.")
    ] = False,
    yes: Annotated[bool, Option("--yes", help="Train more than 1,000 runs.")] = False,
) -> None:
    """Train many runs, and gather them in one table: FOLDER/runs.parquet, one row a run.

    Stopped with Ctrl-C or killed, the same command goes on where it was: runs that are done are skipped, those that
    were begun are resumed. With more values or seeds it adds their runs.

    Examples: interp sweep sweeps/decay --set task.p=23 --over optimizer.weight_decay=0.1,0.3,1 --seeds 8 --steps 5000

    interp sweep sweeps/boundary --set task.p=23 --over task.train_fraction=0.3:0.6:0.05 --seeds 8 --keep tables

    interp sweep /shared/decay --over optimizer.weight_decay=0.1,0.3,1 --seeds 64 --slurm --partition cpu --time 8h

    interp sweep s3://bucket/decay --over optimizer.weight_decay=0.1,0.3,1 --seeds 64 --dask tcp://host:8786
    """
    from interp.sweeps.grid import listed_runs, values_of
    from interp.sweeps.sweep import estimate
    from interp.sweeps.sweep import sweep as train_sweep

    if over and list_file is not None:
        raise ValueError("--over and --list: a sweep is a grid or a list, take one of them.")
    grid = dict(values_of(text) for text in over or [])
    if len(grid) < len(over or []):
        raise ValueError("--over: each field can be given once; join its values by commas.")
    typed = {field: f"--over {field}" for field in grid}
    set_paths = [text.partition("=")[0] for text in set or []]
    with errors_as_typed(OPTIONS | {path.rpartition(".")[-1]: f"--set {path}" for path in set_paths if path}):
        base = assembled(
            preset=preset, family=task, settings={}, typed={}, set_texts=set or [], betas=(None, None),
            cayley_table=None, steps=steps, save=save or [], save_optimizer=save_optimizer or [],
        )  # fmt: skip
    asked: dict[str, Any] = {
        "over": grid if list_file is None else listed_runs(list_file),
        "seeds": seeds,
        "keep": keep,
        "probes": _probes(probes),
        "refit": not (save or save_optimizer),
        "n_processes": jobs or (ON_CLUSTER if slurm or dask else None),
        "stack": stack,
        "device": device,
        "typed": typed,
        "scratch": scratch,
        "where": _where(slurm=slurm, partition=partition, account=account, time=time, dask=dask, jobs=jobs),
    }
    if dry_run:
        for line in told(estimate(folder, base, **asked)):
            say(line)
        return
    done = train_sweep(folder, base, **asked, threads=threads, confirmed=yes, on_estimate=_say_estimate)
    _say_outcome(done)


def _where(
    *,
    slurm: bool,
    partition: str | None,
    account: str | None,
    time: str,
    dask: str | None,
    jobs: int | None,
) -> "Where | None":
    """The workers that the options name, None for this machine."""
    from interp.sweeps.cluster import Dask, Slurm

    if slurm and dask is not None:
        raise ValueError("--slurm and --dask: a sweep has one kind of workers, take one of them.")
    if not slurm and (partition, account) != (None, None):
        raise ValueError("--partition and --account are of --slurm: add it, or leave them out.")
    if dask is not None:
        return Dask(dask)
    if not slurm:
        return None
    minutes = max(round(seconds_of(time, "--time") / 60), 1)
    return Slurm(minutes=minutes, partition=partition, account=account, at_once=jobs or ON_CLUSTER)


def _probes(text: str | None) -> tuple[str, ...]:
    """The names of probes.

    Raises:
        ValueError: if one is not known.
    """
    from interp import probes
    from interp.measurement.standard import STANDARD

    if text is None:
        return ()
    names = STANDARD if text == "standard" else tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in names if name not in probes.available()]:
        raise ValueError(f"--probes: there is no probe {unknown[0]!r}. interp measure --list has them.")
    return names


def _say_estimate(estimated: "Estimate") -> None:
    for line in told(estimated):
        say(line, flush=True)


def told(estimated: "Estimate") -> list[str]:
    """What a sweep will take, in words."""
    n_done = estimated.n_runs - estimated.n_left
    first = number_of(estimated.n_runs, "run") + (f", {n_done} of them done" if n_done else "")
    if not estimated.n_left:
        return [first + "."]
    sizes = " and ".join(str(size) for size in estimated.stacks[:3])
    stacks = f" in stacks of {sizes}" if estimated.stacks[0] > 1 else ", one at a time on each worker"
    disk = f"{_size(estimated.bytes)} of disk"
    if estimated.bytes_at_once:
        disk += f", {_size(estimated.bytes_at_once)} more while it runs"
    return [f"{first}{stacks}: about {duration(estimated.seconds)} with nothing else running, {disk}."]


def _size(n_bytes: int) -> str:
    """Bytes, as one reads them.

    >>> _size(13_200_000_000), _size(35_400)
    ('13.2 GB', '0.0354 MB')
    """
    return f"{n_bytes / 1e9:.3g} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.3g} MB"


def _say_outcome(done: "Sweep") -> None:
    table, is_folder = done.runs, done.place == str(done.path)
    counts = table["status"].value_counts()
    say(
        f"{done.place}: {', '.join(f'{n} {status}' for status, n in counts.items())} of {len(done.names)} runs"
    )
    for row in table[~table["status"].isin(["complete"])].to_dict("records"):
        say(f"{row['run']}: {row['status']}. {row['why']}".rstrip())
    if "grokking_step" in table:
        n = int(table["grokking_step"].notna().sum())
        file = done.path / "runs.parquet" if is_folder else f"{done.place}/runs.parquet"
        say(f"Test accuracy rose for good in {n} of {len(table)}. Table: {file}")
    runs = (
        f"interp info {done.path / 'runs'}" if is_folder else f"interp.open_sweep({done.place!r}) in Python"
    )
    say(f"Next: {runs}")

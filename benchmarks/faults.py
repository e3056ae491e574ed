"""Faults done to runs and commands, and how many of them end as docs/reliability.md promises.

Everything is made on the spot in a temporary folder. Linux; every trial is a process of its own, forked.

kills       kill -9 of trainers at random moments; what is resumed equals the uninterrupted run bit for bit
operations  kill -9 at every single file operation of train, resume, measure, import, verify --repair, packing
files       one fault in every kind of file of a run: the same numbers, or refused or named, never others in silence
hostile     files that try to run code, to exhaust, to mislead or to write elsewhere
json        every field of run.json and index.json altered
arguments   every option of every command with every odd value
races       two processes that want one directory
stacks      kill -9 of stacks at random moments and at every file operation, other company, a full disk
sweeps      kill -9 of sweeps, Ctrl-C, a full disk, two in one folder; the same command again
workers     kill -9 of workers of a sweep, of its command, of all of it; a file system that shows files late
cluster     kill -9 of array tasks (submitit's local executor), of workers and of schedulers of Dask

python benchmarks/faults.py [--parts kills,files] [--scale SCALE] [--seed N] [--only NAME]

Exits with 1 if a trial failed.
"""

import os

# Threads do not survive a fork; set before torch and numpy are loaded, which start them.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
os.environ.setdefault("MPLBACKEND", "agg")
# KiB. Arrow's allocator reserves addresses for a GiB at once and uses none of them: all that some trials may have.
os.environ.setdefault("MIMALLOC_ARENA_RESERVE", "65536")

import argparse
import json
import shlex
import sys
import tempfile
import time
import warnings
from functools import partial
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.fault_parts.material import STATED, made, training  # noqa: E402
from benchmarks.fault_parts.processes import command, load_what_is_used  # noqa: E402
from benchmarks.fault_parts.trials import Row, Trial, failures, sampled, table, tried  # noqa: E402

# At most so many trials of a kind, by scale; `full` has all of them.
N_OF_KIND = {
    "sample": (1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1),
    "small": (4, 6, 5, 4, 40, 20, 2, 4, 4, 2, 2),
    "large": (40, 40, 40, 30, 25, 60, 5, 60, 40, 25, 15),
}
PARTS = (
    "kills", "operations", "files", "hostile", "json", "arguments", "races", "stacks", "sweeps", "workers", "cluster",
)  # fmt: skip
SCALES = {scale: dict(zip(PARTS, most, strict=True)) for scale, most in N_OF_KIND.items()}
SCALES["full"] = dict.fromkeys(PARTS)
LOADED = (
    "interp.commands.cli", "interp.training.train", "interp.measurement.measure", "interp.sources.importing",
    "interp.checks.of_run", "interp.checks.of_source", "interp.checks.repair", "pyarrow.parquet",
    "interp.training.stacked", "interp.sweeps.sweep",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="parts, joined by commas (default: all)")
    parser.add_argument("--scale", choices=SCALES, default="small", help="how many of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument("--only", metavar="NAME", help="only the trials whose names begin so, all of them")
    parser.add_argument("--jobs", type=int, default=2, help="trials at a time")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/reliability.md")
    parser.add_argument("--json", type=Path, help="write rows and every failure there too")
    options = parser.parse_args(arguments)
    parts = options.parts.split(",")
    if options.only:
        parts = [options.only.partition("/")[0]]
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"--parts needs some of {', '.join(PARTS)}, got {unknown[0]!r}.")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as directory:
        rows = rows_of(parts, options, Path(directory))
    repeat = f"python benchmarks/faults.py --seed {options.seed}"
    print(table(rows, markdown=options.markdown))
    print(f"\n{sum(row.killed for row in rows.values()):,} processes were killed.")
    print(f"`{repeat} --scale {options.scale}`, {time.monotonic() - start:.0f} s with {options.jobs} jobs.")
    if text := failures(rows, repeat):
        print("\n" + text)
    if options.json:
        record = {
            kind: {"tried": row.tried, "killed": row.killed, "failed": row.failed}
            for kind, row in rows.items()
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    return 1 if any(row.failed for row in rows.values()) or not rows else 0


def rows_of(parts: list[str], options: argparse.Namespace, directory: Path) -> dict[str, Row]:
    """Every trial of these parts, done."""
    os.environ |= {"XDG_CACHE_HOME": str(directory / "cache"), "HOME": str(directory / "cache")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in LOADED:
            import_module(name)
        load_what_is_used(partial(_warm_up, directory / "warm", parts))
    # Often enough that kills fall between the states that resume continues from.
    import_module("interp.training.member").SECONDS_BETWEEN_STATES = 0.02
    material = made(directory / "material")
    rows: dict[str, Row] = {}
    for part in parts:
        trials = import_module(f"benchmarks.fault_parts.{part}").trials(material)
        most = None if options.only else SCALES[options.scale][part]
        chosen = [t for t in sampled(trials, most, options.seed) if t.name.startswith(options.only or "")]
        (directory / part).mkdir()
        rows |= tried(chosen, directory / part, options.seed, options.jobs, _tell)
    return rows


def _warm_up(path: Path, parts: list[str]) -> None:
    command(*training(path, 4))()
    command("resume", path, "--steps", 6)()
    command("measure", path, "--out", path / "tables")()
    command("import", path / "steps" / "0000000000.safetensors", path / "imported", *STATED)()
    command("verify", path)()
    command("info", path)()
    if {"sweeps", "workers", "cluster"} & set(parts):
        import_module("benchmarks.fault_parts.sweeps").warm_up(path.parent / "warm-sweep")


def _tell(trial: Trial, problem: str) -> None:
    if sys.stderr.isatty() or problem:
        mark = "failed" if problem else "."
        print(f"{mark} {shlex.quote(trial.name)} {problem}".rstrip(), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

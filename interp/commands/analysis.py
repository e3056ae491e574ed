"""The frame of every script in analyses/: arguments, output folder, tables, figure, summary.

A script asks one question and has three functions: `compute(run, device) -> tables`, `draw(tables) -> Figure` and
`summarize(tables) -> dict`. This module does the rest the same way for all:

    figures/<run>/<name>/<table>.csv     the tables
    figures/<run>/<name>/<name>.pdf, .png
    figures/<run>/<name>/summary.json    the answer in numbers, with run, config, versions and command

`--draw-only` redraws figure and summary from the tables, without torch and without the checkpoints.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from interp.figures.style import save_figure
from interp.ground.plain_warnings import plain_warnings
from interp.ground.provenance import versions
from interp.ground.whole_files import write_bytes, write_json

ROOT = Path(__file__).parents[2]
BUNDLED_RUN = ROOT / "checkpoints" / "mainline"

Tables = dict[str, pd.DataFrame]


def main(
    name: str,
    description: str | None,
    compute: Callable[[Any, str], Tables],
    draw: Callable[[Tables], Figure],
    summarize: Callable[[Tables], dict[str, Any]],
    arguments: list[str] | None = None,
) -> None:
    """Run an analysis from the command line; errors end with one line on stderr and exit code 1."""
    options = _parser(name, description).parse_args(arguments)
    plain_warnings(name)
    run_path = Path(options.run)
    if not options.run.startswith("hf:"):  # a repository of the hub
        run_path = Path(os.path.abspath(run_path.expanduser()))
    out = Path(options.out) if options.out else Path("figures") / run_path.name / name
    try:
        if not options.out:
            check_same_run(out, run_path)
        if options.draw_only:
            tables, about = read_tables(out, name)
        else:
            tables, about = _compute(run_path, compute, options.device, name)
            write_tables(out, tables, about)
        save_figure(draw(tables), out / name)
        write_json(out / "summary.json", clean({**about, **summarize(tables)}))
    except (ValueError, OSError) as error:
        sys.exit(f"{name}: {error}")
    print(f"{out / name}.pdf, .png, summary.json and {len(tables)} tables")


def _parser(name: str, description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python analyses/{name}.py",
        description=description,
        epilog=f"example: python analyses/{name}.py --run checkpoints/mainline --out figures/mainline/{name}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--run",
        default=str(BUNDLED_RUN),
        help="a run, or a file or folder of anyone's checkpoints (default: the bundled run)",
    )
    parser.add_argument("--out", help=f"output folder (default: figures/<run>/{name}/)")
    parser.add_argument(
        "--draw-only", action="store_true", help="redraw from the tables in the output folder; needs no torch"
    )
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda", "mps"],
        default="auto",
        help="where probes compute; auto is cuda where there is one, otherwise cpu",
    )
    return parser


def _compute(
    path: Path, compute: Callable[[Any, str], Tables], device: str, name: str
) -> tuple[Tables, dict]:
    import torch  # not with --draw-only

    from interp.networks.devices import check_device
    from interp.runs.config import config_to_json
    from interp.sources.opening import open_run

    run = open_run(path)
    if not run.steps:
        raise ValueError(f"Run {run.name!r} has no checkpoints to analyse yet.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device)
    tables = compute(run, device)
    about = {
        "analysis": name,
        "run": run.name,
        "path": str(path),
        "step": run.steps[-1],
        "p": getattr(run.config.task, "p", None),
        "unit": run.unit,
        "status": run.record.status,
        "config": config_to_json(run.config),
        "device": device,
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "command": " ".join(["python", *sys.argv]),
    }
    return tables, about


def check_same_run(out: Path, run_path: Path) -> None:
    """Nothing, if the folder holds no results yet, or those of the run at this path.

    Raises:
        ValueError: if it holds those of another run that has the same name.
    """
    about = out / "about.json"
    path = json.loads(about.read_text("utf-8")).get("path") if about.exists() else None
    if path not in (None, str(run_path)):
        raise ValueError(
            f"{out} holds the results of another run of this name, {path}. Use --out with a new folder."
        )


def write_tables(out: Path, tables: Tables, about: dict[str, Any]) -> None:
    """Write each table as CSV, and about.json (run, config, versions) that `--draw-only` reads back."""
    for key, table in tables.items():
        write_bytes(out / f"{key}.csv", table.to_csv(index=False, lineterminator="\n").encode())
    write_json(out / "about.json", clean({**about, "tables": list(tables)}))


def read_tables(out: Path, name: str) -> tuple[Tables, dict[str, Any]]:
    """The tables that `write_tables` wrote.

    Raises:
        ValueError: if the folder holds none.
    """
    if not (out / "about.json").exists():
        raise ValueError(
            f"{out} holds no tables of this analysis to draw. Run `python analyses/{name}.py` without --draw-only "
            "first."
        )
    about = json.loads((out / "about.json").read_text("utf-8"))
    tables = {}
    for key in about.pop("tables"):
        if not (out / f"{key}.csv").exists():
            raise ValueError(f"{out / key}.csv is missing. Run the analysis again without --draw-only.")
        tables[key] = pd.read_csv(out / f"{key}.csv", **_EXACT)
    return tables, about


# Reading what was written bit for bit is an option of older pandas, and what 3.1 does unasked.
_EXACT: dict[str, Any] = (
    {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
)


def clean(value: Any) -> Any:
    """A value as JSON holds it: numpy scalars become Python's, NaN and infinities null."""
    if isinstance(value, dict):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(v) for v in value]
    if hasattr(value, "tolist"):
        return clean(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""Runs side by side, whoever trained them: a sweep, the tables of one, or a folder of runs.

What compares runs asks for their rows, histories and the fields in which they differ, and not for where they lie.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from interp.ground.whole_files import write_bytes
from interp.runs.folders import runs_below
from interp.runs.run import Run, open_run
from interp.runs.table_files import read_table, table_bytes
from interp.sweeps.opened import NotMeasured, Sweep, open_sweep
from interp.sweeps.plan_file import FILE, MEASURED, read_plan
from interp.sweeps.store import is_url
from interp.sweeps.table import FILE as RUNS_TABLE
from interp.sweeps.table import rows_of, runs_table
from interp.tables.wording import value_text

# Another draw of the same recipe.
SEEDS = ("seed", "task.split_seed", "optimizer.batch_seed")
# They follow from the task, or say how long and how closely a run was watched.
FOLLOW = ("model.d_vocab", "model.d_vocab_out", "model.n_ctx", "n_steps", "evaluation_interval")
HISTORIES = "histories.parquet"
# Runs of a folder that are measured when they are asked about.
FEW = 16


@dataclass(frozen=True, eq=False)
class Gathered:
    """Runs side by side.

    Attributes:
        name: of the folder.
        fields: of the config, in which the runs differ apart from their seeds.
        runs: one row a run, as `interp.sweeps.table.row_of`.
        histories: all evaluations: column run, then those of `Run.history`.
        measured: the name of a probe -> its table over all runs, column run first.
    """

    name: str
    fields: tuple[str, ...]
    runs: pd.DataFrame
    histories: Callable[[], pd.DataFrame]
    measured: Callable[[str], pd.DataFrame]


def gathered(path: str | os.PathLike, others: Sequence[str | os.PathLike] = ()) -> Gathered:
    """The runs of a folder: of a sweep (or its URL), of its published tables, or with runs one or two folders below.

    One run is taken too.

    Args:
        others: further ones, side by side with the first.

    Raises:
        ValueError: if there are no runs.
        RunError: if a table or a run is damaged.
    """
    if others:
        return _side_by_side([gathered(one) for one in (path, *others)])
    if is_url(path):
        return _of_sweep(open_sweep(path))
    folder = Path(path).expanduser().resolve()
    if (folder / HISTORIES).exists():
        return _published(folder)
    if (folder / FILE).exists():
        return _of_sweep(open_sweep(folder))
    return _of_runs(folder)


def publish(
    sweep: Sweep,
    folder: str | os.PathLike,
    *,
    n_points: int = 200,
    rows: Mapping[str, str] = MappingProxyType({}),
) -> Path:
    """The tables of a sweep in a folder of their own, small enough to be sent with a paper; `gathered` reads them.

    Histories are thinned to at most `n_points` evaluations a run, evenly in the logarithm of the step, with those on
    either side of each transition and the last; numbers have 32 bits. Rows and brackets are those of the whole
    histories.

    Args:
        rows: by probe, which rows of its table, as a query: {"weight_norms": "matrix == 'total'"}; all where none is.

    Returns:
        The folder: sweep.json, runs.parquet, histories.parquet, measured/PROBE.parquet.
    """
    dest = Path(folder).expanduser().resolve()
    table = sweep.runs
    steps = table.set_index("run").filter(regex="_(before|step)$")
    parts = [
        _thinned(part, steps.loc[run].dropna().astype(int).tolist(), n_points).assign(run=run)
        for run, part in _evaluated(sweep.histories()).groupby("run", sort=False)
    ]
    write_bytes(dest / FILE, (sweep.path / FILE).read_bytes())
    write_bytes(dest / RUNS_TABLE, table_bytes(table))
    for probe in sweep.probes():
        measured = sweep.measured(probe).drop(columns=sweep.fields)
        measured = measured.query(rows[probe]) if probe in rows else measured
        write_bytes(dest / MEASURED / f"{probe}.parquet", table_bytes(_narrow(measured)))
    # Last: by it the folder is known for what it is.
    write_bytes(dest / HISTORIES, table_bytes(_narrow(pd.concat(parts, ignore_index=True))))
    return dest


def _of_sweep(sweep: Sweep) -> Gathered:
    fields = tuple(field for field in sweep.fields if field not in SEEDS)
    settings, runs = read_plan(sweep.path).settings, sweep.runs.copy()
    for field in sweep.fields:
        # Of a run that cannot be read its row says nothing else.
        known = runs["run"].map({name: own[field] for name, own in settings.items() if field in own})
        known = known.map(lambda x: str(x) if isinstance(x, list) else x)
        runs[field] = runs[field].where(runs[field].notna(), known) if field in runs else known

    def histories() -> pd.DataFrame:
        is_readable = runs["status"] != "unreadable"
        if is_readable.all():
            return _evaluated(sweep.histories().drop(columns=sweep.fields))
        # One that is damaged takes nothing from the others.
        parts = [sweep.run(name).history().assign(run=name) for name in runs.loc[is_readable, "run"]]
        return _evaluated(pd.concat(parts, ignore_index=True))

    def measured(probe: str) -> pd.DataFrame:
        return sweep.measured(probe).drop(columns=sweep.fields)

    return Gathered(sweep.name, fields, _told(runs, fields), histories, measured)


def _told(runs: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """The rows; where a field is missing in some it is text in all, "none" there."""
    lacking = [name for name in fields if runs[name].isna().any()]
    return runs.assign(**{name: runs[name].map(value_text).astype(object) for name in lacking})


def _published(folder: Path) -> Gathered:
    runs, _ = read_table(folder / RUNS_TABLE)
    swept = {field for own in read_plan(folder).settings.values() for field in own}
    fields = tuple(name for name in runs if name in swept and name not in SEEDS)

    def measured(probe: str) -> pd.DataFrame:
        file = folder / MEASURED / f"{probe}.parquet"
        if not file.exists():
            there = ", ".join(sorted(path.stem for path in folder.glob(f"{MEASURED}/*.parquet")))
            raise NotMeasured(f"{folder} has no table of {probe!r}. It has {there or 'none'}.")
        return read_table(file)[0]

    return Gathered(
        folder.name, fields, _told(runs, fields), lambda: read_table(folder / HISTORIES)[0], measured
    )


def _of_runs(folder: Path) -> Gathered:
    """A folder of runs, or one run."""
    if (folder / "run.json").exists():
        paths = {folder.name: folder}
    else:
        paths = {path.relative_to(folder).as_posix(): path for path in runs_below(folder)}
    if not paths:
        raise ValueError(
            f"{folder} holds no runs to compare: neither a sweep ({FILE}), nor its tables ({HISTORIES}), nor runs "
            "one or two folders below. Name one that does."
        )
    table = runs_table(
        {**row, "run": name} for name, path in paths.items() for row in rows_of(path.parent, [path.name], {})
    )
    readable = table.loc[table["status"] != "unreadable", "run"]
    runs = {name: open_run(paths[name]) for name in readable}

    def histories() -> pd.DataFrame:
        return _evaluated(pd.concat([run.history().assign(run=name) for name, run in runs.items()]))

    fields = differing(table[table["status"] != "unreadable"])
    return Gathered(folder.name, fields, _told(table, fields), histories, partial(_measured, runs))


def _measured(runs: dict[str, Run], probe: str) -> pd.DataFrame:
    """What the probe measures of them, now: of a handful; of many it is asked for first."""
    from interp.measurement.measure import measure

    if len(runs) > FEW:
        raise NotMeasured(
            f"{probe} is measured here of at most {FEW} runs, got {len(runs)}. Train them as a sweep with --probes "
            f"{probe}."
        )
    tables = [measure(run, [probe])[probe].assign(run=name) for name, run in runs.items()]
    return pd.concat(tables, ignore_index=True)


def _side_by_side(parts: Sequence[Gathered]) -> Gathered:
    """Several as one; names that come twice have their folder's before them."""
    all_names = [run for part in parts for run in part.runs["run"]]
    doubled = {name for name in all_names if all_names.count(name) > 1}

    def named(part: Gathered, table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(run=[f"{part.name}/{run}" if run in doubled else run for run in table["run"]])

    def together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
        return pd.concat([named(p, t) for p, t in zip(parts, tables, strict=True)], ignore_index=True)

    runs = together([part.runs for part in parts])
    if runs["run"].duplicated().any():
        twice = runs.loc[runs["run"].duplicated(), "run"].iloc[0]
        raise ValueError(f"Two runs are called {twice}: runs side by side need names of their own.")
    return Gathered(
        "+".join(part.name for part in parts),
        differing(runs),
        runs,
        lambda: together([part.histories() for part in parts]),
        lambda probe: together([part.measured(probe) for part in parts]),
    )


def differing(runs: pd.DataFrame) -> tuple[str, ...]:
    """The fields of the config in which runs differ, apart from seeds and from what follows from others.

    The width of heads follows where all runs have heads that share d_model evenly, as they are made to fit it.
    """
    config = [name for name in runs if "." in name or name == "n_steps"]
    apart = (*SEEDS, *FOLLOW, *(("model.d_head",) if _is_shared_evenly(runs) else ()))
    return tuple(
        name for name in config if name not in apart and runs[name].map(repr).nunique(dropna=False) > 1
    )


def _is_shared_evenly(runs: pd.DataFrame) -> bool:
    if not {"model.d_model", "model.n_heads", "model.d_head"} <= set(runs):
        return False
    # Without heads it is 0.
    shared = runs["model.d_model"].where(runs["model.n_heads"] != 0, 0)
    return bool((runs["model.n_heads"] * runs["model.d_head"] == shared).all())


def _evaluated(histories: pd.DataFrame) -> pd.DataFrame:
    """The steps that were evaluated on all rows; at others the train loss alone is known."""
    first = ["run", *(name for name in histories if name != "run")]
    return histories.dropna(subset=["test_accuracy"])[first].reset_index(drop=True)


def _thinned(rows: pd.DataFrame, kept: Sequence[int], n_points: int) -> pd.DataFrame:
    """At most so many rows evenly in log(step + 1), and those nearest below and above the steps that are kept."""
    import numpy as np

    steps = rows["step"].to_numpy()
    wanted = np.unique(np.geomspace(1, steps[-1] + 1, n_points)) - 1
    at = set(np.searchsorted(steps, wanted).clip(max=len(steps) - 1)) | {0, len(steps) - 1}
    for step in kept:
        at |= {int(np.searchsorted(steps, step).clip(max=len(steps) - 1))}
    return rows.iloc[sorted(at)]


def _narrow(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers of 64 bits as 32: seven digits are more than a figure or a forecast needs."""
    first = ["run", *(name for name in table if name != "run")]
    kinds = dict.fromkeys(table.select_dtypes("float64"), "float32")
    kinds |= dict.fromkeys(table.select_dtypes("int64"), "int32")
    return table[first].astype({**kinds, "run": "category"})

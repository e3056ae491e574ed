"""The folder of a sweep read back: tables over all of its runs, and the runs themselves."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import pandas as pd

from interp.runs.run import Run, open_run
from interp.runs.table_files import read_table
from interp.sweeps.plan_file import RUNS, read_plan
from interp.sweeps.table import read_runs, rows_of, runs_table
from interp.sweeps.working import MEASURED, measured_file


class Sweep:
    """The folder of a sweep, read back.

    Attributes:
        path: of the folder.
        fields: the config fields in which its runs differ, by their paths.
        names: of its runs, trained or not.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path).expanduser().resolve()
        plan = read_plan(self.path)
        self.names = list(plan.settings)
        self.fields = list(dict.fromkeys(field for own in plan.settings.values() for field in own))

    def __repr__(self) -> str:
        return f"Sweep({self.path.name!r}, {len(self.names)} runs over {', '.join(self.fields) or 'nothing'})"

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run, as `interp.sweeps.table.row_of` makes it; runs that were not begun have none.

        Raises:
            RunError: if runs.parquet is damaged.
        """
        table = read_runs(self.path)
        return runs_table(rows_of(self.path / RUNS, self.names, {})) if table is None else table

    def run(self, name: str) -> Run:
        """One of its runs.

        Raises:
            RunError: if there is no such run, or it was not begun.
        """
        return open_run(self.path / RUNS / name)

    def histories(self) -> pd.DataFrame:
        """The histories of all runs in one table: column run, the swept fields, then those of `Run.history`."""
        return self._together({name: self.run(name).history() for name in self._begun()})

    def measured(self, probe: str) -> pd.DataFrame:
        """What a probe measured of all runs, in one table; the swept fields stand beside the run's name.

        Raises:
            ValueError: if the sweep did not measure it.
        """
        files = {name: measured_file(self.path, probe, name) for name in self.names}
        tables = {name: read_table(file)[0] for name, file in files.items() if file.exists()}
        if not tables:
            there = sorted(path.name for path in self.path.glob(f"{MEASURED}/*"))
            raise ValueError(
                f"Sweep {self.path.name!r} has no table of {probe!r}. It measured {', '.join(there) or 'nothing'}: "
                "what to measure is said when it is made, by --probes (probes= in Python)."
            )
        return self._together(tables)

    def _begun(self) -> list[str]:
        return [name for name in self.names if (self.path / RUNS / name / "run.json").exists()]

    def _together(self, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        settings = read_plan(self.path).settings
        parts = []
        for name, table in tables.items():
            first = {
                "run": name,
                **{f: str(x) if isinstance(x, list) else x for f, x in settings[name].items()},
            }
            rest = table.drop(columns=[c for c in first if c in table])
            parts.append(
                pd.DataFrame({k: [x] * len(rest) for k, x in first.items()}, index=rest.index).join(rest)
            )
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["run", *self.fields])


def open_sweep(path: str | os.PathLike) -> Sweep:
    """The sweep in a folder.

    Raises:
        ValueError: if there is none.
        RunError: if its sweep.json is damaged.
    """
    return Sweep(path)

"""The folder of a sweep read back: tables over all of its runs, and the runs themselves."""

import json
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import pandas as pd

from interp.ground.whole_files import write_bytes, write_json
from interp.runs.locks import folder_lock
from interp.runs.run import Run, open_run
from interp.runs.table_files import read_table
from interp.sweeps.measured_files import measured_file
from interp.sweeps.plan_file import FILE, MEASURED, RUNS, read_plan
from interp.sweeps.store import Store, store_at
from interp.sweeps.table import FILE as TABLE
from interp.sweeps.table import read_runs, rows_of, runs_table


class NotMeasured(ValueError):
    """What was asked for was not measured along the runs."""


class Sweep:
    """The folder of a sweep, read back.

    Attributes:
        path: of the folder.
        place: the same as text; of a sweep on a store its URL.
        fields: the config fields in which its runs differ, by their paths.
        names: of its runs, trained or not.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path).expanduser().resolve()
        self.place = str(self.path)
        plan = read_plan(self.path)
        self.names = list(plan.settings)
        self.fields = list(dict.fromkeys(field for own in plan.settings.values() for field in own))

    def __repr__(self) -> str:
        return f"Sweep({self.name!r}, {len(self.names)} runs over {', '.join(self.fields) or 'nothing'})"

    @property
    def name(self) -> str:
        """The last part of where it is."""
        return self.path.name

    @property
    def runs(self) -> pd.DataFrame:
        """One row a run, as `interp.sweeps.table.row_of` makes it; runs that were not begun have none.

        Raises:
            RunError: if runs.parquet is damaged.
        """
        return self._runs

    @cached_property
    def _runs(self) -> pd.DataFrame:
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
            NotMeasured: if the sweep did not measure it.
        """
        files = {name: measured_file(self.path, probe, name) for name in self.names}
        tables = {name: read_table(file)[0] for name, file in files.items() if file.exists()}
        if not tables:
            raise NotMeasured(
                f"Sweep {self.name!r} has no table of {probe!r}. It measured {', '.join(self.probes()) or 'nothing'}: "
                "what to measure is said when it is made, by --probes (probes= in Python)."
            )
        return self._together(tables)

    def probes(self) -> list[str]:
        """The names of the probes that were measured."""
        return sorted(path.name for path in self.path.glob(f"{MEASURED}/*"))

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


class StoredSweep(Sweep):
    """A sweep on a store. What is asked for is fetched into this machine's scratch folder, and again if it changed."""

    def __init__(self, store: Store):
        self._store = store
        self._read_plan()

    def _read_plan(self) -> None:
        """What runs it has now: a command may have added some."""
        folder = self._store.folder / "read"
        self._fetch_file(folder, FILE)
        with self._store.named(folder):
            super().__init__(folder)
        self.place = self._store.url

    @property
    def name(self) -> str:
        return self._store.name

    @property
    def runs(self) -> pd.DataFrame:
        """As `Sweep.runs`, as the store has it now."""
        self._read_plan()
        self._fetch_file(self.path, TABLE)
        with self._store.named(self.path):
            if (table := read_runs(self.path)) is not None:
                return table
        self._fetch(f"{RUNS}/", _is_of_history)
        return runs_table(rows_of(self.path / RUNS, self.names, {}))

    def run(self, name: str) -> Run:
        """As `Sweep.run`: the whole run as the store has it now."""
        self._fetch(f"{RUNS}/{name}/", lambda file: True)
        with self._store.named(self.path):
            return super().run(name)

    def histories(self) -> pd.DataFrame:
        """As `Sweep.histories`; weights are not fetched for it."""
        self._read_plan()
        self._fetch(f"{RUNS}/", _is_of_history)
        with self._store.named(self.path):
            runs = {name: super(StoredSweep, self).run(name) for name in self._begun()}
            return self._together({name: run.history() for name, run in runs.items()})

    def measured(self, probe: str) -> pd.DataFrame:
        """As `Sweep.measured`, as the store has it now."""
        self._read_plan()
        self._fetch(f"{MEASURED}/", lambda file: file.startswith(f"{MEASURED}/{probe}/"))
        with self._store.named(self.path):
            return super().measured(probe)

    def probes(self) -> list[str]:
        """As `Sweep.probes`."""
        return sorted({name.split("/")[1] for name in self._store.listing(f"{MEASURED}/")})

    def _fetch_file(self, folder: Path, name: str) -> None:
        data = self._store.get(name)
        with folder_lock(folder):
            if data is None:
                (folder / name).unlink(missing_ok=True)
            else:
                write_bytes(folder / name, data)

    def _fetch(self, below: str, is_wanted: Callable[[str], bool]) -> None:
        """Have what lies in a folder of the store here as it is there.

        Raises:
            RunError: if the store does not answer.
        """
        stamps = self.path / "stamps.json"
        with folder_lock(self.path):
            there = self._store.listing(below)
            known = json.loads(stamps.read_bytes()) if stamps.exists() else {}
            for name in [name for name in known if name.startswith(below) and name not in there]:
                (self.path / name).unlink(missing_ok=True)
                del known[name]
            wanted = [name for name in there if is_wanted(name) and Path(name).name not in ("lock", "owner")]
            # A run that is in training: the index is not to name what came after the files were listed.
            wanted.sort(key=lambda name: Path(name).name not in ("index.json", "run.json"))
            changed = [n for n in wanted if known.get(n) != there[n] or not (self.path / n).exists()]
            try:
                for name, data in self._store.get_all(changed):
                    write_bytes(self.path / name, data)
                    known[name] = there[name]
            finally:
                if changed or not stamps.exists():
                    write_json(stamps, known)


def _is_of_history(file: str) -> bool:
    return Path(file).name in ("run.json", "index.json", "history.parquet")


def open_sweep(path: str | os.PathLike, scratch: str | os.PathLike | None = None) -> Sweep:
    """The sweep in a folder, or at the URL of a store.

    Args:
        scratch: of a URL, the folder that what is asked for is fetched into; by default one in the user's cache.

    Raises:
        ValueError: if there is none; if the URL cannot be opened.
        RunError: if its sweep.json is damaged, or the store does not answer.
    """
    store = store_at(path, scratch)
    return Sweep(path) if store is None else StoredSweep(store)

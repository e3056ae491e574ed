"""What was measured before, on disk: one parquet file a probe in the run's directory `measures/`.

A file belongs to one probe with its parameters, its module's VERSION, the version of this package, the device, and the
run's task and model; its name carries a hash of them, and the file says them itself. Inside, every step stands with the
checksum of the checkpoint that it was measured from, so that a checkpoint that was replaced is measured anew. Files are
replaced as a whole and state their own checksum: a file that is damaged, states none, or is of another probe or run
counts as not there.

A probe's module states a VERSION (bumped when its numbers change); a function without one is known by its source and
by what it names (`interp.measurement.own_probes`). It is kept only if its parameters are plain values, strings, arrays
or dataclasses of such. A probe that compares checkpoints reads more than its own: its module says
`DEPENDS_ON_RUN = True`, and its tables are kept as long as no checkpoint of the run was added or changed.
"""

import dataclasses
import functools
import inspect
import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from interp.ground.whole_files import is_temporary, write_bytes
from interp.measurement.own_probes import ProbeCode, own_code
from interp.measurement.plain_values import hashed, plain
from interp.runs.config import config_to_json
from interp.runs.locks import folder_lock
from interp.runs.run import Run
from interp.runs.table_files import read_table, table_bytes
from interp.runs.tensor_files import tensor_checksum


@dataclass
class Measured:
    """Tables of one probe over steps.

    Attributes:
        table: the rows of all steps, `step` first, in the order of steps.
        keys: for each measured step, what its rows depend on (`CacheKey.of_step`).
        not_applicable: why the probe does not apply, at the steps where it does not.
    """

    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"step": pd.Series(dtype="int64")}))
    keys: dict[int, str] = field(default_factory=dict)
    not_applicable: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, results: dict[int, pd.DataFrame | str], keys: dict[int, str]) -> "Measured":
        """The results of these steps: a table, or why the probe does not apply."""
        parts = []
        for step, result in sorted(results.items()):
            if not isinstance(result, str):
                part = result.copy(deep=False)
                part.attrs = {}
                part.insert(0, "step", np.full(len(part), step, dtype=np.int64))
                parts.append(part)
        reasons = {step: result for step, result in results.items() if isinstance(result, str)}
        return cls(_joined(parts), {step: keys[step] for step in results}, reasons)

    def only(self, keys: dict[int, str]) -> "Measured":
        """The part that was measured at these steps under these keys."""
        good = {step for step, key in self.keys.items() if keys.get(step) == key}
        if len(good) == len(self.keys):
            return self
        return Measured(
            self.table[self.table["step"].isin(good)],
            {step: key for step, key in self.keys.items() if step in good},
            {step: why for step, why in self.not_applicable.items() if step in good},
        )

    def updated(self, new: "Measured") -> "Measured":
        """Both, with the new one's rows where both know a step."""
        rest = self.only({step: key for step, key in self.keys.items() if step not in new.keys})
        return Measured(
            _joined([rest.table, new.table]).sort_values("step", kind="stable", ignore_index=True),
            {**rest.keys, **new.keys},
            {**rest.not_applicable, **new.not_applicable},
        )


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all; empty tables only give their columns where all are empty."""
    filled = [table for table in tables if len(table)] or tables[-1:]
    return pd.concat(filled, ignore_index=True) if filled else Measured().table


@dataclass(frozen=True)
class CacheKey:
    """Where the tables of one probe of one run lie, and what each step's rows depend on."""

    path: Path
    about: dict[str, Any]
    depends_on_run: bool

    @classmethod
    def of(cls, run: Run, name: str, probe: Callable, device: str) -> "CacheKey | None":
        """The key of a probe with its parameters, or None where no honest one can be made."""
        function, parameters = bound_parameters(probe)
        code = _stated_code(function) or own_code(function)
        if code is None:
            return None
        try:
            about = {
                "probe": code.name,
                "parameters": plain(parameters),
                "version": code.version,
                "grokscope": package_version(),
                "device": device,
                "run": _fingerprint(run, code.depends_on_run),
            }
        except TypeError:
            return None
        safe = re.sub(r"[^\w.-]", "_", name)
        return cls(run.measures / f"{safe}-{hashed(about)}.parquet", about, code.depends_on_run)

    def of_step(self, run: Run, step: int) -> str:
        """The checksum of the step's checkpoint, or of all checkpoints for a probe that compares them."""
        own = run.index[step]["checksum"]
        return f"{own}-{hashed(_all_checkpoints(run))}" if self.depends_on_run else own


def read(key: CacheKey) -> Measured:
    """What was kept under a key; nothing where the file is missing, damaged or of another key."""
    try:
        table, about = read_table(key.path, needs_seal=True)
        keys, not_applicable = about.pop("keys"), about.pop("not_applicable")
    except (ValueError, KeyError):
        return Measured()
    if about != json.loads(json.dumps(key.about)):
        return Measured()
    return Measured(
        table,
        {int(step): of_step for step, of_step in keys.items()},
        {int(step): why for step, why in not_applicable.items()},
    )


def add(key: CacheKey, new: Measured) -> None:
    """Write these steps beside the ones that the file holds already.

    Raises:
        OSError: if the directory cannot be written; the former file is untouched.
    """
    with folder_lock(key.path.parent):  # two processes that measure one run lose nothing of each other
        measured = read(key).updated(new)
        about = {**key.about, "keys": measured.keys, "not_applicable": measured.not_applicable}
        write_bytes(key.path, table_bytes(measured.table, about))


def remove_leftovers(folder: Path) -> None:
    """Delete the half-written tables of killed processes, as whoever gets the lock of the folder does."""
    # A folder that cannot be written keeps them, and so does one where another process is at work.
    with suppress(OSError):
        if any(map(is_temporary, folder.iterdir())):
            with folder_lock(folder, timeout=0.0):
                pass


class Kept:
    """The tables of one probe at chosen steps: those kept before, and new ones until they are saved."""

    def __init__(self, run: Run, steps: list[int], key: CacheKey | None):
        self.key = key
        self.wanted = {step: key.of_step(run, step) if key else "" for step in steps}
        self.measured = read(key).only(self.wanted) if key else Measured()
        self.new: dict[int, pd.DataFrame | str] = {}

    def lacks(self, step: int) -> bool:
        return step not in self.measured.keys and step not in self.new

    def put(self, step: int, result: pd.DataFrame | str) -> None:
        """A step's table, or why the probe does not apply there."""
        self.new[step] = result

    def save(self, to_disk: bool) -> None:
        """Join the new tables to the others, and write them where the probe has a key.

        Raises:
            OSError: if the directory cannot be written; the tables are joined nevertheless.
        """
        if not self.new:
            return
        fresh, self.new = Measured.of(self.new, self.wanted), {}
        self.measured = self.measured.updated(fresh)
        if self.key and to_disk:
            add(self.key, fresh)


def bound_parameters(probe: Callable) -> tuple[Callable, dict[str, Any]]:
    """The function under functools.partial, or a dataclass instance's class, with what was bound to it.

    Other callables, as bound methods, may hold state that cannot be seen: they come back as they are.
    """
    if isinstance(probe, functools.partial):
        return probe.func, {"args": list(probe.args), **probe.keywords}
    if dataclasses.is_dataclass(probe) and not isinstance(probe, type):
        return type(probe), {f.name: getattr(probe, f.name) for f in dataclasses.fields(probe)}
    return probe, {}


def _stated_code(function: Callable) -> ProbeCode | None:
    """The code of a function, or a dataclass, whose module states its VERSION."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if not (inspect.isfunction(function) or dataclasses.is_dataclass(function)) or module is None:
        return None
    name, probe_version = f"{function.__module__}.{function.__qualname__}", getattr(module, "VERSION", None)
    # A notebook's or a nested function may change without a new VERSION.
    if probe_version is None or "<" in name or function.__module__ == "__main__":
        return None
    return ProbeCode(name, probe_version, bool(getattr(module, "DEPENDS_ON_RUN", False)))


def package_version() -> str:
    """The version of this package, or "not installed"."""
    try:
        return version("grokscope")
    except PackageNotFoundError:
        return "not installed"


def _fingerprint(run: Run, depends_on_run: bool) -> str:
    config = config_to_json(run.config)
    parts: dict[str, Any] = config if depends_on_run else {"task": config["task"], "model": config["model"]}
    if run.config.task is not None:
        data = [run.task.inputs, run.task.example, run.task.position, run.task.labels, run.task.is_corrupted]
        data += [] if run.task.is_train is None else [run.task.is_train]
        parts = {**parts, "data": [tensor_checksum(x) for x in data]}
    if run.huggingface is not None:  # weights alone do not say what the network does with them
        parts = {**parts, "huggingface": (run.huggingface / "config.json").read_text("utf-8")}
    return hashed(parts)


def _all_checkpoints(run: Run) -> list[list[Any]]:
    return [[step, entry["checksum"]] for step, entry in run.index.items()]

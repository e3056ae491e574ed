"""A folder of tables: one CSV a table, and beside them in JSON what they are of and how they were made.

    <folder>/<table>.csv
    <folder>/about.json or summary.json    run, config, versions, ..., and the names of the tables

Tables come back bit for bit, so that a figure drawn from them is the one that was drawn when they were measured.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from interp.ground.whole_files import write_bytes, write_json

Tables = dict[str, pd.DataFrame]


def write_tables(
    folder: Path, tables: Mapping[str, pd.DataFrame], about: Mapping[str, Any], *, file: str = "about.json"
) -> None:
    """Write each table as CSV, then what they are of; `read_tables` gives both back.

    The JSON comes last, so that it names no table that is not there whole.
    """
    for name, table in tables.items():
        write_bytes(folder / f"{name}.csv", table.to_csv(index=False, lineterminator="\n").encode())
    write_about(folder, {**about, "tables": list(tables)}, file=file)


def write_about(folder: Path, about: Mapping[str, Any], *, file: str) -> None:
    """Write a JSON file of the folder, as `clean` makes it JSON."""
    write_json(folder / file, clean(about))


def read_about(folder: Path, *, file: str = "about.json") -> dict[str, Any] | None:
    """What the JSON file of the folder holds, or None without one."""
    path = folder / file
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def read_tables(folder: Path, *, file: str = "about.json") -> tuple[Tables, dict[str, Any]]:
    """The tables that `write_tables` wrote, and what they are of.

    Raises:
        ValueError: if the folder holds none, or one that its JSON file names is missing.
    """
    about = read_about(folder, file=file)
    if about is None or "tables" not in about:
        raise ValueError(f"{folder} holds no tables: no {file} names them.")
    return {name: read_table(folder / f"{name}.csv") for name in about.pop("tables")}, about


def read_table(path: Path) -> pd.DataFrame:
    """One table that `write_tables` wrote, bit for bit.

    Raises:
        ValueError: if it is missing.
    """
    if not path.exists():
        raise ValueError(f"{path} is missing.")
    if not path.read_bytes().strip():
        return pd.DataFrame()  # pandas writes a table without columns as an empty line, and reads none
    return pd.read_csv(path, **_EXACT)


# Reading what was written bit for bit is an option of older pandas, and what 3.1 does unasked.
_EXACT: dict[str, Any] = (
    {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
)


def clean(value: Any) -> Any:
    """A value as JSON holds it: numpy scalars become Python's, NaN and infinities null."""
    if isinstance(value, Mapping):
        return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(v) for v in value]
    if hasattr(value, "tolist"):
        return clean(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

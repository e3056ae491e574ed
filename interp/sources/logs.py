"""Logs beside the checkpoints: tables of losses and other numbers along the run.

    *.csv                                 a row a step; Lightning's metrics.csv, whose rows are of train or of test
    *.jsonl, *.json                       a list of objects, a line or an element each; an object of lists
    trainer_state.json                    the Trainer's log_history
    default/version_0/, lightning_logs/version_0/, logs/     where loggers put them

A log counts if it has a column that counts what the checkpoints count (step, epoch, ...) and one that is known to be a
loss or an accuracy. What lies inside a checkpoint's file is nearer to it, and counts more.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.sources import reading, steps
from interp.sources.reading import SourceError, SourceWarning
from interp.sources.recorded import COLUMN_OF, Recorded

if TYPE_CHECKING:
    import pandas as pd

_COUNTS = {
    "step": ("global_step", "step", "steps", "iteration", "iterations", "iter", "its", "_step"),
    "epoch": ("epoch", "epochs"),
    "tokens": ("tokens", "n_tokens"),
}
_FOLDERS = ("", "logs", "default/version_*", "lightning_logs/version_*")
_LARGEST = 256 * 2**20
_MOST_QUANTITIES = 200


def learn_logs(source: Path, unit: str, recorded: Recorded) -> None:
    """Take in every log in a folder of checkpoints; with one that cannot be placed, a warning says why.

    Args:
        unit: what the checkpoints count, "any" where nobody says.
    """
    if not source.is_dir():
        return
    for file in _candidates(source):
        name = file.relative_to(source).as_posix()
        try:
            table = _table(file)
        except (ValueError, OSError, RecursionError) as error:
            recorded.unplaced.append(f"{name} ({str(error).splitlines()[0][:100]})")
            continue
        if table is None or not len(table):
            continue
        table.columns = [str(column).strip() for column in table.columns]
        table = table.loc[:, ~table.columns.duplicated()]
        known = [column for column in table.columns if column.lower() in COLUMN_OF]
        if not known:
            continue
        wanted = [*_COUNTS] if unit == "any" else [unit]
        names = [name for kind in wanted for name in _COUNTS.get(kind, ())]
        counts = next((c for name in names for c in table.columns if c.lower() == name), None)
        if counts is None:
            recorded.unplaced.append(f"{name} (it has no column that counts {wanted[0]}s)")
            continue
        _take(table, counts, name, recorded)


def _candidates(source: Path) -> Iterator[Path]:
    folders = [
        folder for pattern in _FOLDERS for folder in (sorted(source.glob(pattern)) if pattern else [source])
    ]
    versions = [folder for folder in folders if folder.name.startswith("version_")]
    if len(versions) > 1:
        warnings.warn(
            f"{source} holds the logs of {len(versions)} sessions, of which none says which checkpoints are its own: "
            "they are left out. Move all but the right one away to have its losses.",
            SourceWarning,
            stacklevel=4,
        )
        folders = [folder for folder in folders if folder not in versions]
    for folder in folders:
        for file in sorted(folder.glob("*")):
            if file.suffix.lower() in (".csv", ".jsonl", ".json") and file.is_file():
                yield file


def _table(file: Path) -> "pd.DataFrame | None":
    """The log as a table, or None where the file is none."""
    import pandas as pd  # heavy, and few sources hold logs

    if file.stat().st_size > _LARGEST:
        raise SourceError("it is larger than any log")
    if file.suffix.lower() == ".csv":
        return pd.read_csv(file, encoding="utf-8", encoding_errors="replace")
    if file.suffix.lower() == ".jsonl":
        lines = [json.loads(line) for line in file.read_text("utf-8", "replace").splitlines() if line.strip()]
        return _of_rows(lines)
    content = reading.read_json(file)
    if isinstance(content, Mapping) and isinstance(content.get("log_history"), list):
        table = _of_rows(content["log_history"])
        # The Trainer's loss is a mean since the line before, not that of a checkpoint.
        return None if table is None else table.rename(columns={"loss": "mean_loss_since_last_log"})
    if isinstance(content, Mapping):
        lists = {k: v for k, v in content.items() if isinstance(v, list) and v and not isinstance(v[0], list)}
        lengths = {len(v) for v in lists.values()}
        return pd.DataFrame(lists) if len(lists) > 1 and len(lengths) == 1 else None
    return _of_rows(content)


def _of_rows(rows: Any) -> "pd.DataFrame | None":
    import pandas as pd

    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) for row in rows):
        return None
    return pd.DataFrame([dict(row) for row in rows])


def _take(table: "pd.DataFrame", counts: str, name: str, recorded: Recorded) -> None:
    numbers = table.select_dtypes("number").astype("float64")
    if counts not in numbers:
        recorded.unplaced.append(f"{name} (its column {counts!r} holds more than numbers)")
        return
    whole = (numbers[counts] >= 0) & (numbers[counts] < steps.LARGEST_COUNT) & (numbers[counts] % 1 == 0)
    # Rows of one step complete each other: trainers log train and test apart.
    rows = numbers[whole].groupby(counts).last()
    others = {n for names in _COUNTS.values() for n in names}
    for column in rows.columns[:_MOST_QUANTITIES]:
        if column.lower() in others:
            continue
        quantity, values = COLUMN_OF.get(column.lower(), column), rows[column].dropna()
        if quantity.endswith("_accuracy") and len(values) and 1 < values.max() <= 100:
            values = values / 100
            recorded.percent.append(f"{name}: {column}")
        mine = recorded.rows.setdefault(quantity, {})
        for step, value in values.items():
            mine.setdefault(int(step), float(value))
    recorded.logs.append(name)

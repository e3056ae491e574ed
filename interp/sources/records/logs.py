"""Logs beside the checkpoints: tables of losses and other numbers along the run.

    *.csv                                 a row a step; Lightning's metrics.csv, whose rows are of train or of test
    *.jsonl, *.json                       a list of objects, a line or an element each; an object of lists
    trainer_state.json                    the Trainer's log_history
    version_0/, lightning_logs/version_0/, logs/     where loggers put them

A log counts if it has a column that counts what the checkpoints count (step, epoch, ...) and one that is known to be a
loss or an accuracy. Of two logs that contradict each other in a quantity, neither is believed. What lies inside a
checkpoint's file is nearer to it, and counts more.
"""

import math
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.ground.plain_json import json_value
from interp.ground.plain_text import shown
from interp.sources.files import reading, steps
from interp.sources.files.places import sessions
from interp.sources.files.reading import SourceError, SourceWarning
from interp.sources.records.recorded import BARE, COLUMN_OF, Recorded, name_columns, number

if TYPE_CHECKING:
    import pandas as pd

_COUNTS = {
    "step": ("global_step", "step", "steps", "iteration", "iterations", "iter", "its", "_step"),
    "epoch": ("epoch", "epochs"),
    "tokens": ("tokens", "n_tokens"),
}
_COUNTED = {name for names in _COUNTS.values() for name in names}
_LARGEST = 256 * 2**20
# Objects take far more memory than their text.
_LARGEST_OF_OBJECTS = 64 * 2**20
# Of text on one line, which is no log.
_MOST_COLUMNS = 20_000
_MOST_QUANTITIES = 200
# A table can be far larger than its file: rows that say nothing are as long as all others.
_MOST_CELLS = 5 * 10**7


def learn_logs(source: Path, unit: str, recorded: Recorded, checkpoint: Path) -> None:
    """Take in every log in a folder of checkpoints; with one that cannot be placed, a warning says why.

    Args:
        unit: what the checkpoints count, "any" where nobody says.
        checkpoint: the file of one of them: of several sessions of a logger, its own counts.
    """
    if not source.is_dir():
        return
    logs = _Logs(recorded)
    for file in _candidates(source, checkpoint):
        name = file.relative_to(source).as_posix()
        try:
            table = _table(file)
        except (ValueError, OSError, RecursionError, Warning) as error:
            recorded.unplaced.append(f"{name} ({str(error).splitlines()[0][:100]})")
            continue
        if table is None or not len(table):
            continue
        table.columns = [str(column).strip() for column in table.columns]
        table = table.loc[:, ~table.columns.duplicated()]
        named = name_columns(table.columns)
        if not named:
            continue
        wanted = [*_COUNTS] if unit == "any" else [unit]
        names = [name for kind in wanted for name in _COUNTS.get(kind, ())]
        counts = next((c for name in names for c in table.columns if c.lower() == name), None)
        if counts is None:
            recorded.unplaced.append(f"{name} (it has no column that counts {wanted[0]}s)")
            continue
        logs.take(table, counts, named, name)
    logs.hand_over()


def _candidates(source: Path, checkpoint: Path) -> Iterator[Path]:
    versions = sessions(source)
    own = [folder for folder in versions if checkpoint.is_relative_to(folder)]
    if len(versions) > 1 and not own:
        warnings.warn(
            f"{source} holds the logs of {len(versions)} sessions, of which none says which checkpoints are its own: "
            "they are left out. Move all but the right one away to have its losses.",
            SourceWarning,
            stacklevel=4,
        )
        versions = []
    folders = [source, source / "logs", *(own or versions)]
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
        return _of_csv(file)
    if file.stat().st_size > _LARGEST_OF_OBJECTS:
        raise SourceError("it is larger than any log of objects")
    if file.suffix.lower() == ".jsonl":
        # Not splitlines: texts may hold other line ends as they are.
        lines = file.read_text("utf-8-sig", "replace").split("\n")
        return _of_rows([json_value(line) for line in lines if line.strip()])
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


def _of_csv(file: Path) -> "pd.DataFrame":
    import pandas as pd

    _check_cells(file)
    for separator in (",", ";", "\t"):
        with warnings.catch_warnings():
            # Rows longer than the header: which column is which is lost.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                file, sep=separator, index_col=False, encoding="utf-8-sig", encoding_errors="replace"
            )
        if len(table.columns) > 1:
            break
    return table


def _of_rows(rows: Any) -> "pd.DataFrame | None":
    import pandas as pd

    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) for row in rows):
        return None
    kept = kept_names(rows)
    return pd.DataFrame([{str(k): v for k, v in row.items() if str(k) in kept} for row in rows])


def kept_names(rows: list[Mapping[str, Any]]) -> set[str]:
    """The names of objects that become columns: all known ones, and as many others as a table can have.

    A file of many names would need as many columns in each of its rows.
    """
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    useful = {name for name in names if name.lower() in COLUMN_OF or name.lower() in _COUNTED}
    return useful | set(names[: min(_MOST_QUANTITIES, _MOST_CELLS // max(len(rows), 1))])


def _check_cells(file: Path) -> None:
    """Refuse a table whose header has so many columns that its rows, however short, would not fit into memory."""
    text = file.read_bytes()
    header = text.split(b"\n", 1)[0]
    columns = 1 + max(header.count(separator) for separator in (b",", b";", b"\t"))
    rows = max(text.count(b"\n"), text.count(b"\r"))
    if columns * rows > _MOST_CELLS or columns > _MOST_COLUMNS:
        raise SourceError(f"it claims {columns:,} columns in {rows:,} rows, more than any log has")


def _numbers(column: "pd.Series") -> "pd.Series":
    """A column as numbers, NaN where an entry is none, or one of hundreds of digits."""
    import pandas as pd

    try:
        return pd.to_numeric(column, errors="coerce")
    except OverflowError:
        return column.map(number).astype("float64")


def _of_test(name: str) -> bool:
    """Whether a log's name says that it is of the test rows: eval.csv, val_metrics.jsonl."""
    return re.search(r"(^|[^a-z])(val|valid|validation|eval|test)([^a-z]|$)", name.lower()) is not None


class _Logs:
    """What the logs of a folder say, each quantity by one of them or by several that agree."""

    def __init__(self, recorded: Recorded):
        self.recorded = recorded
        self.rows: dict[str, dict[int, float]] = {}
        self.origin: dict[str, str] = {}
        self.disputed: set[str] = set()

    def take(self, table: "pd.DataFrame", counts: str, named: dict[str, str], name: str) -> None:
        """One more log, with the columns that count and that are known as a quantity."""

        index = _numbers(table[counts])
        if (index.isna() & table[counts].notna()).any() or index.dtype == bool:
            self.recorded.unplaced.append(f"{name} (its column {shown(counts)} holds more than numbers)")
            return
        whole = (index >= 0) & (index < steps.LARGEST_COUNT) & (index % 1 == 0)
        columns = self._columns(table[whole], named, name)
        # Rows of one step complete each other: trainers log train and test apart.
        rows = columns.groupby(index[whole].astype("int64")).last()
        accuracies = [c for c in named if named[c].endswith("_accuracy") and c in rows]
        # One decision for a log: at the level of chance percents are below one too.
        if accuracies and 1.5 < rows[accuracies].max(axis=None) <= 100:
            rows[accuracies] /= 100
            self.recorded.percent += [f"{name}: {column}" for column in accuracies]
        if any(column in rows for column in named):
            self.recorded.logs.append(name)
            for column in rows.columns:
                values = {int(s): float(v) for s, v in rows[column].dropna().items()}
                self._add(self._quantity(column, named, name), values, name)

    def _columns(self, table: "pd.DataFrame", named: dict[str, str], name: str) -> "pd.DataFrame":
        """The numbers of a log: what is known, and a bounded number of others."""
        import pandas as pd

        found = {}
        for column in named:
            if table[column].dtype == bool:
                continue
            numbers = _numbers(table[column]).astype("float64")
            if lost := int((numbers.isna() & table[column].notna()).sum()):
                self.recorded.unplaced.append(f"{name} ({lost} entries of {shown(column)} are no numbers)")
            if numbers.notna().any():
                found[column] = numbers
        others = [c for c in table.select_dtypes("number") if c not in named and c.lower() not in _COUNTED]
        return pd.DataFrame(found | {c: table[c].astype("float64") for c in others[:_MOST_QUANTITIES]})

    def _quantity(self, column: str, named: dict[str, str], name: str) -> str:
        quantity = named.get(column, column)
        if column.lower() in BARE and _of_test(name):
            return quantity.replace("train_", "test_")
        return quantity

    def _add(self, quantity: str, values: dict[int, float], name: str) -> None:
        mine = self.rows.setdefault(quantity, {})
        origin = self.origin.setdefault(quantity, name)
        shared = mine.keys() & values.keys()
        if any(not math.isclose(mine[s], values[s], rel_tol=1e-3) for s in shared):
            if quantity not in self.disputed:
                self.recorded.unplaced.append(f"{quantity} ({origin} and {name} contradict each other)")
            self.disputed.add(quantity)
        mine |= values

    def hand_over(self) -> None:
        """Everything undisputed, below what the checkpoints say themselves."""
        for quantity, values in self.rows.items():
            if quantity not in self.disputed:
                self.recorded.rows[quantity] = values | self.recorded.rows.get(quantity, {})

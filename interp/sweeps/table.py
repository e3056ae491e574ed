"""One row a run: what was swept, when it memorized and grokked, how it ended."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from interp.ground.judged import judged_by
from interp.ground.whole_files import write_bytes
from interp.runs.config import RunConfig, config_to_json
from interp.runs.run import Run, open_run
from interp.runs.table_files import read_table, table_bytes
from interp.tables.early_activity import early_activity
from interp.tables.outcome import outcome
from interp.tables.transitions import delay

FILE = "runs.parquet"

EVENTS = ("memorization", "grokking")
END = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
# Where the task asks what nobody can foresee too.
OF_PREDICTABLE = tuple(judged_by(split)[0] for split in ("train", "test"))
NUMBERS = (*END, *OF_PREDICTABLE, "largest_test_loss", "early_activity")


def row_of(run: Run, why: str = "", status: str | None = None) -> dict[str, Any]:
    """What is known of a run, as far as it was trained.

    Args:
        status: what became of it in the sweep, where that is not its own: one that could not be measured has failed.

    Columns: run, status, why (in words, where it is not complete), step (reached); every field of its config by its
    path; `<event>_before` and `<event>_step` for memorization and grokking: the event lies after the one and at or
    before the other, and has not come by `<event>_before` where `<event>_step` is missing (right-censored);
    `delay`, `delay_low`, `delay_high` from memorization to grokking, with bounds; `grokking_lost`: last step of a spell
    of test accuracy that the run lost again; the four losses and accuracies at its end, with those on what is
    predictable where the task has such a part, and `largest_test_loss`;
    `early_activity`, how much its train loss trembles early on.
    """
    history = run.history()
    row: dict[str, Any] = {"run": run.name, "status": status or run.record.status, "why": why, "step": None}
    row |= flat_config(run.config)
    if not len(history):
        return row
    row["step"] = int(history["step"].iloc[-1])
    if row["status"] == "diverged" and not why:
        row["why"] = f"The loss is no number after step {row['step']}."
    evaluated = history.dropna(subset=["test_accuracy"])
    row["early_activity"] = early_activity(history)
    if not len(evaluated):
        return row | {"largest_test_loss": None}
    known = (*END, *(name for name in OF_PREDICTABLE if name in evaluated))
    row |= {name: float(evaluated[name].iloc[-1]) for name in known}
    row["largest_test_loss"] = float(history["test_loss"].max())
    found = outcome({"history": history})
    for event in EVENTS:
        at = getattr(found, event)
        row |= {f"{event}_before": at and at.before, f"{event}_step": at and at.step}
    if found.memorization is not None and found.grokking is not None:
        waited = delay(found.memorization, found.grokking)
        row |= {"delay": waited.steps, "delay_low": waited.low, "delay_high": waited.high}
    row["grokking_lost"] = found.lost[1] if found.lost else None
    return row


def flat_config(config: RunConfig) -> dict[str, Any]:
    """Every field of a config by its path; lists as text. What is saved when is left out."""
    flat: dict[str, Any] = {}

    def add(value: Mapping[str, Any], path: str) -> None:
        for name, x in value.items():
            if isinstance(x, Mapping):
                add(x, f"{path}{name}.")
            else:
                flat[path + name] = str(x) if isinstance(x, list) else x

    add({name: x for name, x in config_to_json(config).items() if name != "schedule"}, "")
    return flat


def runs_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows as a table; steps are whole numbers that may be missing."""
    table = pd.DataFrame(list(rows))
    # Where none is known it would be a column of nothing, which comes back as numbers.
    for name in [name for name in table if name in NUMBERS]:
        table[name] = table[name].astype("float64")
    steps = [name for name in table if name in ("step", "delay", "delay_low", "delay_high", "grokking_lost")]
    steps += [f"{event}_{end}" for event in EVENTS for end in ("before", "step") if f"{event}_{end}" in table]
    for name in steps:
        table[name] = table[name].astype("Int64")
    return table


def write_runs(folder: Path, table: pd.DataFrame) -> None:
    """Replace runs.parquet."""
    write_bytes(folder / FILE, table_bytes(table))


def read_runs(folder: Path) -> pd.DataFrame | None:
    """The rows that were written last, None where there are none yet.

    Raises:
        RunError: if the file is damaged.
    """
    path = folder / FILE
    return read_table(path)[0] if path.exists() else None


def rows_of(folder: Path, names: Iterable[str], known: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row for each run that there is or that failed; one that cannot be read has the error.

    Args:
        known: what went wrong with those that failed, by name.
    """
    rows = []
    for name in names:
        path = folder / name
        if not (path / "run.json").exists():
            # What never came to be a run, or is not seen here yet, is said nowhere else.
            if name in known:
                rows.append({"run": name, "status": "failed", "why": known[name]})
            continue
        try:
            rows.append(row_of(open_run(path), known.get(name, ""), "failed" if name in known else None))
        # A table of thousands is not lost to one of them.
        except (ValueError, OSError) as error:
            rows.append({"run": name, "status": "unreadable", "why": str(error)})
    return rows

"""Sweeps over sizes, of the model or of its train rows, as what `interp.analyses.double_descent` compares."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from interp.analyses import many_runs
from interp.tables import learning_patterns
from interp.tables.interpolation import CURVE, MODEL, ONE_SETTING, SAMPLE
from interp.tables.shares import is_numeric
from interp.tables.wording import setting_text

NOISE = "task.corrupted_fraction"
# Positive numbers of a network that say no size (init_scale) are settings.
SIZES = ("model.d_mlp", "model.d_model", "model.n_layers", "model.n_heads", "model.d_head")
ROWS = ("task.n_train", "task.train_fraction")
RUNS = [*CURVE, "size", "run", "interpolates", "train_error", "test_error", "least_test_error", "test_loss"]


class SideBySide(NamedTuple):
    """Several sweeps, and the closed form beside them."""

    sweeps: tuple[Any, ...]


def opened(path: str, others: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """A sweep, or all sweeps and their tables one folder below; what they are.

    Raises:
        ValueError: if there are none.
    """
    below = _sweeps_below(path) if not others else []
    if not below:
        return many_runs.opened(path, others)
    found = [many_runs.opened(str(folder), ())[0] for folder in below]
    about = {
        "run": Path(path).name,
        "n_runs": sum(len(one.runs) for one in found),
        "fields": sorted({field for one in found for field in one.fields}),
    }
    return SideBySide(tuple(found)), about


def _sweeps_below(path: str) -> list[Path]:
    from interp.sweeps.gathered import HISTORIES
    from interp.sweeps.plan_file import FILE

    folder = Path(path).expanduser()
    if "://" in path or not folder.is_dir() or (folder / FILE).exists() or (folder / HISTORIES).exists():
        return []
    return sorted(one for one in folder.iterdir() if (one / FILE).exists() or (one / HISTORIES).exists())


NO_PATTERNS = pd.DataFrame(
    {"experiment": pd.Series(dtype=str), "pattern": pd.Series(dtype=str), "step": [], "accuracy": []}
)


def size_runs(gathered: Any) -> pd.DataFrame:
    """A row for each complete run of a sweep over sizes; none where it swept no size.

    The size is the field with the most values, of `SIZES` and `ROWS`; sizes of the model that go with it, one value
    each (four times the width, say), are no settings of their own.
    """
    table, histories = gathered.runs, gathered.histories()
    sizes = [f for f in (*SIZES, *ROWS) if f in gathered.fields and is_numeric(table, f)]
    table = table[table["status"] == "complete"]
    if not sizes or not len(table):
        return pd.DataFrame(columns=RUNS)
    field = max(sizes, key=lambda name: table[name].nunique())
    with_it = [
        f for f in sizes if {f, field} <= set(SIZES) and (table.groupby(field)[f].nunique() == 1).all()
    ]
    others = [name for name in gathered.fields if name not in (field, NOISE, *with_it)]
    evaluated = histories.dropna(subset=["test_accuracy"]).sort_values("step", kind="stable")
    at_end = evaluated.groupby("run", observed=True).last()
    least = 1 - evaluated.groupby("run", observed=True)["test_accuracy"].max()
    rows = []
    for row in table.to_dict("records"):
        if row["run"] not in at_end.index:
            continue
        end = at_end.loc[row["run"]]
        rows.append(
            {
                "experiment": gathered.name,
                "axis": SAMPLE if field in ROWS else MODEL,
                "setting": setting_text({name: row[name] for name in others}) if others else ONE_SETTING,
                "noise": float(row.get(NOISE) or 0.0),
                "size": float(row[field]),
                "field": field,
                "run": row["run"],
                "interpolates": bool(end["train_accuracy"] == 1),
                "train_error": 1 - float(end["train_accuracy"]),
                "test_error": 1 - float(end["test_accuracy"]),
                "least_test_error": float(least[row["run"]]),
                "test_loss": float(end["test_loss"]),
            }
        )
    return pd.DataFrame(rows, columns=[*RUNS, "field"]).merge(_beside(gathered), on="run", how="left")


def _beside(gathered: Any) -> pd.DataFrame:
    """Rank, norm and margin of each run at its last checkpoint, where they were measured."""
    found = pd.DataFrame({"run": gathered.runs["run"]})
    for probe, rows, column, name in (
        ("weight_spectra", _first_matrix, "effective_rank", "effective_rank"),
        ("weight_norms", lambda table: table[table["matrix"] == "total"], "l2", "norm"),
        ("losses", lambda table: table[table["split"].isin(["train", "corrupted"])], "margin_min", "margin"),
    ):
        table = many_runs.table_of(gathered, probe)
        if table is None:
            found[name] = np.nan
            continue
        last = table[table["step"] == table.groupby("run", observed=True)["step"].transform("max")]
        value = rows(last).groupby("run", observed=True)[column].min()
        found[name] = found["run"].map(value).astype(float)
    return found


def _first_matrix(table: pd.DataFrame) -> pd.DataFrame:
    """The first layer's weights into its neurons; of a network without such, all matrices."""
    first = table[table["matrix"] == "blocks.0.mlp.W_in"]
    return first if len(first) else table


def largest_patterns(gathered: Any, runs: pd.DataFrame) -> pd.DataFrame:
    """What the largest network with the most wrong labels has learned by each checkpoint, mean over its runs."""
    losses = many_runs.table_of(gathered, "losses")
    if losses is None or not (runs["noise"] > 0).any() or runs["axis"].iloc[0] != MODEL:
        return NO_PATTERNS
    noisy = runs[runs["noise"] == runs["noise"].max()]
    of_largest = noisy.loc[noisy["size"] == noisy["size"].max(), "run"]
    found = learning_patterns.patterns(losses[losses["run"].isin(of_largest)])
    return found.assign(experiment=gathered.name)

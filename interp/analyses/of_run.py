"""When a run memorized, formed its circuit, cleaned up, grokked and collapsed, asked of itself: `interp.phases(run)`.

The rules are those of `interp.tables.phases` and `interp.tables.transitions`, which read tables alone. Here the tables
are measured first where a run is given; what was measured before is kept, so that the second call takes no time.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from interp.tables import transitions
from interp.tables.accuracies import by_split
from interp.tables.key_frequencies import run_key_frequencies
from interp.tables.phases import phases as phases_of_tables
from interp.tables.transitions import Transition

Tables = Mapping[str, pd.DataFrame]


def phases(run: Any, *, device: str = "cpu") -> dict[str, Transition]:
    """The beginnings of Nanda et al.'s phases and of grokking, of a run or of its tables.

    The circuit is that of the run's key frequencies: of a run without any, memorization and grokking alone are known.

    Args:
        run: of `interp.open_run`, or tables as `interp.tables.phases.phases` takes them.

    Returns:
        memorization, circuit_formation, cleanup, cleanup_end, grokking, collapse. `before` and `step` both None: not
        known.

    Raises:
        ValueError: if tables that tell none of them are given, or the run has no known accuracy.
    """
    if isinstance(run, Mapping):
        return phases_of_tables(run)
    from functools import partial

    from interp.measurement.measure import measure
    from interp.probes import progress_measures

    names = ["losses", "logit_spectrum", "fourier_sparsity", "weight_norms"]
    tables = {"history": run.history(), **measure(run, names, device=device)}
    if frequencies := run_key_frequencies(tables):
        probe = partial(progress_measures, frequencies=frequencies)
        tables |= measure(run, {"progress_measures": probe}, device=device)
    if not len(tables["history"]) and not len(tables["losses"]):
        reason = tables["losses"].attrs.get("not_applicable", "no loss was recorded")
        raise ValueError(f"phases needs accuracies, run {run.name!r} has none: {reason}")
    return phases_of_tables(tables)


def memorization(run: Any, **rule: Any) -> Transition:
    """When train accuracy reaches 0.95 for good, of a run, its tables or one of them; short relapses passed over.

    Args:
        rule: threshold and tolerated, as `interp.tables.transitions.memorization`.
    """
    return transitions.memorization(_answers(run, "train_accuracy"), **rule)


def grokking(run: Any, **rule: Any) -> Transition:
    """When test accuracy reaches 0.95 for good, of a run, its tables or one of them; short relapses passed over.

    Args:
        rule: threshold and tolerated, as `interp.tables.transitions.grokking`.
    """
    return transitions.grokking(_answers(run, "test_accuracy"), **rule)


def _answers(run: Any, column: str) -> pd.DataFrame:
    """The history where it holds the column, else the losses measured at the checkpoints."""
    if isinstance(run, pd.DataFrame):
        return run
    if isinstance(run, Mapping):
        return _of_tables(run, column)
    history = run.history()
    if column in history and history[column].notna().any():
        return history
    from interp.measurement.measure import measure

    table = measure(run, ["losses"])["losses"]
    split = column.removesuffix("_accuracy")
    if not len(table) or split not in set(table["split"]):
        why = table.attrs.get("not_applicable", f"its {split} rows are not known. State the split on opening")
        raise ValueError(f"The {split} accuracy of run {run.name!r} is not known: {why}")
    return table


def _of_tables(tables: Tables, column: str) -> pd.DataFrame:
    """The history or the `losses` among the tables, the first that tells the accuracy."""
    for name in ("history", "losses"):
        table = tables.get(name)
        if table is not None and len(table) and column in by_split(table):
            return table
    raise ValueError(
        f"The {column.replace('_', ' ')} needs a table 'history' (run.history()) or 'losses' that holds it, got "
        f"{sorted(tables) or 'none'}. With a run instead of tables it is measured."
    )

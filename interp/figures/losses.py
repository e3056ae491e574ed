"""Losses along training."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from interp.figures import style

if TYPE_CHECKING:
    import pandas as pd

COLOURS = {"train": style.TRAIN, "test": style.TEST, "all": style.BLACK}


def loss_curves(
    tables: "Mapping[str, pd.DataFrame]",
    ax: Axes,
    *,
    marker: str = "",
    line: Mapping[str, Any] | None = None,
    **legend: Any,
) -> Axes:
    """Train and test loss: as the trainer recorded them, or else as measured at the checkpoints.

    Args:
        tables: "history" (`Run.history()`), "losses" (as `measure` returns it), or both; the first that has losses.
            Without a known split the loss on all rows is drawn.
        marker: of each checkpoint, where the losses are those of checkpoints.
        line: options of the curves.
        legend: options of the legend.
    """
    recorded = _by_split(tables.get("history"))
    options: dict[str, Any] = {"marker": "" if recorded else marker, "ms": 3, **(line or {})}
    for split, part in (recorded or _by_split(tables.get("losses"))).items():
        ax.plot(part["step"], part["loss"], color=COLOURS[split], label=split, **options)
    ax.set_yscale("log")
    ax.set_ylabel("loss (nats)")
    style.legend_above(ax, n_columns=4, **legend)
    return ax


def _by_split(table: "pd.DataFrame | None") -> "dict[str, pd.DataFrame]":
    """Columns step and loss of each split that was evaluated, from a history or a `losses` table."""
    if table is None or not len(table):
        return {}
    table = table[table["step"].notna()]
    if "split" in table:
        parts = {split: table[table["split"] == split] for split in COLOURS}
    else:
        columns = {split: f"{split}_loss" for split in COLOURS if f"{split}_loss" in table}
        parts = {s: table.dropna(subset=[c]).rename(columns={c: "loss"}) for s, c in columns.items()}
    return {split: part for split, part in parts.items() if len(part)}

"""Curves of many runs on common places, by step or by the share of the way to the grokking step; medians of groups."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

N_PLACES = 150
# The share of the way to the grokking step from which curves are compared.
EARLIEST = 0.02


def step_places(curves: pd.DataFrame) -> np.ndarray:
    """Places along the step axis from the first evaluation after the start, evenly in the logarithm."""
    steps = curves["step"].to_numpy(float)
    first = steps[steps > 0].min() if (steps > 0).any() else 1.0
    return np.geomspace(first, max(steps.max(), first), N_PLACES)


def relative_places(curves: pd.DataFrame, events: Mapping[str, float]) -> np.ndarray:
    """Places along step / grokking step, evenly in the logarithm, as far as a run was seen; none without events."""
    last = curves.groupby("run")["step"].max()
    ends = [last[run] / at for run, at in events.items() if run in last.index and at > 0]
    return np.geomspace(EARLIEST, max(*ends, 1.0), N_PLACES) if len(ends) else np.array([])


def overlay(
    curves: pd.DataFrame,
    quantity: str,
    groups: Mapping[str, Sequence[str]],
    places: np.ndarray,
    scale: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """A quantity of groups of runs at common places: what was evaluated last at or before each.

    Args:
        curves: columns run, step and the quantity.
        groups: the names of the runs of each group.
        places: steps; with `scale` shares of it.
        scale: by run, what its steps are divided by; runs that it lacks are left out.

    Columns: group, quantity, x, median, low, high (quartiles over the runs), n (runs that reach so far). A place that
    fewer than half of a group's runs reach is left out: what remains there are the long ones alone.
    """
    of_run = {run: rows.sort_values("step") for run, rows in curves.dropna(subset=[quantity]).groupby("run")}
    parts = []
    for group, runs in groups.items():
        there = [run for run in runs if run in of_run and (scale is None or run in scale)]
        if not there or not len(places):
            continue
        values = np.stack(
            [_at(of_run[run], quantity, places, 1.0 if scale is None else scale[run]) for run in there]
        )
        n = np.isfinite(values).sum(0)
        enough = n >= max(len(there) / 2, 1)
        quartiles = np.nanquantile(values[:, enough], [0.25, 0.5, 0.75], axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "group": group,
                    "quantity": quantity,
                    "x": places[enough],
                    "median": quartiles[1],
                    "low": quartiles[0],
                    "high": quartiles[2],
                    "n": n[enough],
                }
            )
        )
    columns = ["group", "quantity", "x", "median", "low", "high", "n"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _at(rows: pd.DataFrame, quantity: str, places: np.ndarray, scale: float) -> np.ndarray:
    """The value last seen at or before each place; NaN before the first and after the last evaluation."""
    x = rows["step"].to_numpy(float) / scale
    i = np.searchsorted(x, places * (1 + 1e-12), side="right") - 1
    found = rows[quantity].to_numpy(float)[i.clip(min=0)]
    return np.where((i >= 0) & (places <= x[-1] * (1 + 1e-9)), found, np.nan)

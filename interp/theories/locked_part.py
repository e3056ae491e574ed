"""What of the tables was promised: the arms, pairs and budgets of the lock. What is beyond it is exploratory."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from interp.theories.arms_table import BRANCH
from interp.theories.branch_points import MAIN_POINT
from interp.theories.levels import is_of_event
from interp.theories.lock import Lock
from interp.theories.statistic import EVENT, THRESHOLD

# Arms of levels that take no training.
UNTRAINED = ("cleanup", "cleanup-random")
_Key = tuple[str, float | None, str]


def arms_under_lock(lock: Lock, arms: pd.DataFrame) -> pd.DataFrame:
    """The rows of locked arms and pairs, censored where the lock would have ended them.

    Args:
        arms: as `check_arms` returns it. Of a lock that does not say what its arms are, all are taken for locked.
    """
    kept = pairs_under_lock(lock, arms)
    limits = _limits(lock, kept)
    kept, limits = kept[limits >= 0], limits[limits >= 0]
    # Of an arm that came later than it was promised time, it is known that it had not come by then.
    return kept.assign(
        step=kept["step"].where(kept["step"] <= limits),
        before=np.minimum(kept["before"], limits),
        budget=np.minimum(kept["budget"], limits),
    )


def levels_under_lock(lock: Lock, levels: pd.DataFrame, arms: pd.DataFrame | None) -> pd.DataFrame:
    """The values of locked arms and pairs; those at an event that came later than was promised are not known.

    Args:
        levels: as `check_levels` returns it.
        arms: all of the arms table, as `check_arms` returns it.
    """
    kept = pairs_under_lock(lock, levels)
    # Edits without any training have no budget.
    limits = np.where(kept["arm"].isin(UNTRAINED), math.inf, _limits(lock, kept))
    kept, limits = kept[limits >= 0], limits[limits >= 0]
    if arms is None:
        return kept
    is_main = (arms["event"] == EVENT) & np.isclose(arms["threshold"], THRESHOLD)
    came = kept[BRANCH].merge(arms.loc[is_main, [*BRANCH, "step"]], on=BRANCH, how="left")["step"].to_numpy()
    return kept.assign(value=kept["value"].mask(kept["quantity"].map(is_of_event) & (came > limits)))


def begun_before(lock: Lock, arms: pd.DataFrame) -> pd.DataFrame:
    """The rows of branches that were begun before the lock was written.

    Args:
        arms: as `check_arms` returns it; of a table that does not say when its arms were begun, none was.
    """
    return arms[arms["begun"] < pd.Timestamp(lock.time)] if "begun" in arms else arms[:0]


def pairs_under_lock(lock: Lock, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of as many pairs as the lock says; pairs that are no numbers all stay."""
    names = table["pair"].astype(str)
    return table[np.array([not name.isdigit() or int(name) < lock.n_pairs for name in names], dtype=bool)]


def _limits(lock: Lock, table: pd.DataFrame) -> np.ndarray:
    """The steps that the arm of each row was promised; -1 of an arm that was not."""
    by_point, by_step = _budgets(lock)
    if not by_point:
        return np.full(len(table), math.inf)
    where, budgets = ("point", by_point) if "point" in table else ("branch_step", by_step)
    limits = [
        budgets.get((row["arm"], _dose(row), str(row[where])), -1.0) for row in table.to_dict("records")
    ]
    return np.array(limits, dtype=float)


def _budgets(lock: Lock) -> tuple[dict[_Key, float], dict[_Key, float]]:
    """By name, dose and branch point of an arm, or branch step, the most steps that one of its runs was promised."""
    by_point: dict[_Key, float] = {}
    there: list[tuple[_Key, _Key]] = []
    for entry in lock.arms:
        if isinstance(entry, Mapping) and isinstance(arm := entry.get("arm"), Mapping) and "at" in entry:
            point = str(entry.get("key")).partition("@")[2] or MAIN_POINT
            of, at = (
                (str(arm.get("name")), arm.get("dose"), where) for where in (point, str(int(entry["at"])))
            )
            by_point[of] = max(by_point.get(of, 0.0), float(entry.get("budget", math.inf)))
            there.append((of, at))
    by_step: dict[_Key, float] = {}
    for of, at in there:
        # A table without points tells the arms of all runs as those of one of them.
        by_step[at] = max(by_step.get(at, 0.0), by_point[of])
    return by_point, by_step


def _dose(row: Mapping[Any, Any]) -> float | None:
    return None if math.isnan(row["dose"]) else row["dose"]

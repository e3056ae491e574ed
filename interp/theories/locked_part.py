"""What of the tables was promised: the arms, pairs and budgets of the lock. What is beyond it is exploratory."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from interp.theories.lock import Lock

_Key = tuple[str, float | None, int]


def arms_under_lock(lock: Lock, arms: pd.DataFrame) -> pd.DataFrame:
    """The rows of locked arms and pairs, censored where the lock would have ended them.

    Args:
        arms: as `check_arms` returns it. Of a lock that does not say what its arms are, all are taken for locked.
    """
    kept = pairs_under_lock(lock, arms)
    budgets = _budgets(lock)
    if not budgets:
        return kept
    limits = np.array([budgets.get(_key(row), -1.0) for row in kept.to_dict("records")], dtype=float)
    kept, limits = kept[limits >= 0], limits[limits >= 0]
    # Of an arm that came later than it was promised time, it is known that it had not come by then.
    return kept.assign(
        step=kept["step"].where(kept["step"] <= limits),
        before=np.minimum(kept["before"], limits),
        budget=np.minimum(kept["budget"], limits),
    )


def pairs_under_lock(lock: Lock, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of as many pairs as the lock says; pairs that are no numbers all stay."""
    names = table["pair"].astype(str)
    return table[np.array([not name.isdigit() or int(name) < lock.n_pairs for name in names], dtype=bool)]


def _budgets(lock: Lock) -> dict[_Key, float]:
    """By name, dose and branch step of an arm the steps that it was promised."""
    of_arm: dict[tuple[str, float | None, str], list[tuple[int, float]]] = {}
    for entry in lock.arms:
        if isinstance(entry, Mapping) and isinstance(arm := entry.get("arm"), Mapping) and "at" in entry:
            which = (str(arm.get("name")), arm.get("dose"), str(entry.get("key")))
            of_arm.setdefault(which, []).append((int(entry["at"]), float(entry.get("budget", math.inf))))
    # Runs of one recipe leave at steps of their own, which a table tells as that of one of them (`aligned_steps`).
    return {
        (name, dose, at): max(budget for _, budget in entries)
        for (name, dose, _), entries in of_arm.items()
        for at, _ in entries
    }


def _key(row: Mapping[Any, Any]) -> _Key:
    return row["arm"], None if math.isnan(row["dose"]) else row["dose"], int(row["branch_step"])

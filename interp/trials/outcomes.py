"""From branches to the tables that are judged: when each arm reached what, and whether it did what it says."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from interp.runs.run import Run
from interp.tables.accuracies import judged_column
from interp.theories.branch_points import MAIN_POINT
from interp.theories.statistic import EVENT, THRESHOLD
from interp.training.arms import branch_of
from interp.trials.manipulation import manipulation_checks

# Events, in which direction, and their thresholds.
EVENTS: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("test_accuracy", "rise", (0.9, 0.95, 0.99)),
    ("test_loss", "fall", (1.0,)),
)
CONSECUTIVE = 3
# Of what is only drawn.
DIGITS = 5


def event(
    history: pd.DataFrame, quantity: str, threshold: float, direction: str, first_step: int
) -> tuple[int, int | None]:
    """The bracket, in steps since the branch, of the first of three consecutive evaluations beyond a threshold.

    Test accuracy is that on what is predictable, of a task that asks other questions too.

    Returns:
        before, step: the last evaluation that is not beyond it, and the first that is; step None where it never is, and
        before the last one that is not. The evaluation at the branch itself does not count.
    """
    column = judged_column(history, "test") if quantity == EVENT else quantity
    known = history.dropna(subset=[column])
    since = (known["step"] - first_step).to_numpy()
    values = known[column].to_numpy()[since > 0]
    since = since[since > 0]
    is_beyond = values >= threshold if direction == "rise" else values <= threshold
    for i in range(len(since) - CONSECUTIVE + 1):
        if is_beyond[i : i + CONSECUTIVE].all():
            return (int(since[i - 1]) if i else 0), int(since[i])
    return int(max(since[~is_beyond], default=0)), None


def identity(run: Run, kind: str) -> dict[str, Any]:
    """The columns that say which arm, pair and reference a row is of, and where it left its parent."""
    branch = branch_of(run)
    assert branch is not None
    arm, first_step = branch.arm, run.config.first_step
    # Runs of several seeds have branch points of their own; those of one kind have one name.
    point = run.path.name.partition("@")[2] or MAIN_POINT
    return {
        "arm": arm.name,
        "dose": _number(arm.dose),
        "pair": branch.pair,
        "kind": kind,
        "reference": arm.reference or "",
        "reference_dose": _number(arm.reference_dose),
        "branch_step": first_step,
        "point": point,
    }


def arm_rows(run: Run, kind: str, control: Run | None) -> list[dict[str, Any]]:
    """The rows of the arms table of one branch: one an event and threshold, with the checks up to it.

    Args:
        control: of the pair, as `manipulation_checks`.
    """
    history, first = run.history(), run.config.first_step
    trained = int(history["step"].max()) - first if len(history) else 0
    rows = []
    for quantity, direction, thresholds in EVENTS:
        for threshold in thresholds:
            before, step = event(history, quantity, threshold, direction, first)
            found = manipulation_checks(run, control, None if step is None else first + step)
            failed = [check.said for check in found if not check.holds]
            rows.append(
                identity(run, kind)
                | {
                    "event": quantity,
                    "threshold": threshold,
                    "before": before,
                    "step": _number(step),
                    # Where the last evaluations are beyond it, but too few, the event may lie before the end.
                    "budget": trained if step is not None else before,
                    "valid": not failed,
                    "why_not": "; ".join(failed),
                    "begun": run.record.created or "",
                }
            )
    return rows


def check_rows(run: Run, kind: str, control: Run | None) -> list[dict[str, Any]]:
    """The manipulation checks of one branch up to the main event, one a row; of all of it where that never came."""
    about = identity(run, kind)
    return [
        about | {"check": c.check, "found": c.found, "allowed": c.allowed, "holds": c.holds}
        for c in manipulation_checks(run, control, main_event(run))
    ]


def level_rows(run: Run, kind: str, control: Run | None, values: Mapping[str, float]) -> list[dict[str, Any]]:
    """Values of one branch that are not times: those at its event with the checks up to it, the others with all."""
    about = identity(run, kind)
    failed = {
        is_at_event: [
            check.said
            for check in manipulation_checks(run, control, main_event(run) if is_at_event else None)
            if not check.holds
        ]
        for is_at_event in (True, False)
    }
    return [
        about | {"quantity": name, "value": value, "valid": not failed[at], "why_not": "; ".join(failed[at])}
        for name, value in values.items()
        # Until when something was frozen is known before the event.
        for at in [name.endswith("_at_event") or name == "frozen_steps"]
    ]


def main_event(run: Run) -> int | None:
    """The step of the main event."""
    first = run.config.first_step
    _, step = event(run.history(), EVENT, THRESHOLD, "rise", first)
    return None if step is None else first + step


def curve_rows(run: Run, kind: str, n: int = 100) -> pd.DataFrame:
    """Losses, accuracies, norm and margin of one branch along its steps, to be drawn: about n rows, DIGITS digits."""
    history, first = run.history(), run.config.first_step
    known = history.dropna(subset=["test_accuracy"])
    known = known.iloc[:: max(len(known) // n, 1)]
    columns = ["train_loss", "test_loss", "train_accuracy", "test_accuracy", "margin"]
    table = known[[name for name in columns if name in known]].copy()
    for split in ("train", "test"):
        table[f"{split}_accuracy"] = known[judged_column(history, split)]
    table.insert(0, "since", known["step"] - first)
    table["norm"] = whole_norms(known)
    numbers = table.columns.difference(["since"])
    table[numbers] = table[numbers].map(lambda x: float(f"{x:.{DIGITS}g}"))
    about = identity(run, kind)
    for i, name in enumerate(("arm", "dose", "pair", "kind", "branch_step", "point")):
        table.insert(i, name, about[name])
    return table


def whole_norms(history: pd.DataFrame) -> pd.Series:
    """The norm of all tensors together at each row, from those that were recorded of each."""
    norms = [name for name in history if name.startswith("norm/")]
    return (history[norms] ** 2).sum(axis=1) ** 0.5


def as_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table, in the order of their columns."""
    return pd.DataFrame(list(rows))


def _number(x: float | int | None) -> float:
    return math.nan if x is None else float(x)

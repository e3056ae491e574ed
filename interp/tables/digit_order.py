"""In which order a network learns the digits of its answers, and with which carries: transitions of each.

From a `digit_losses` table. Of two transitions whose brackets overlap none came first: `ranked` puts them side by side.
"""

from collections.abc import Mapping

import pandas as pd

from interp.ground.thresholds import ACCURACY
from interp.tables.transitions import Transition, transition

# Of fewer questions an accuracy of 0.95 is one slip more or less.
LEAST_QUESTIONS = 20
ALL = "all"


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the test split, or of all rows where the split is not known."""
    if not len(table):
        return table
    split = "test" if (table["split"] == "test").any() else ALL
    return table[table["split"] == split]


def parts(table: pd.DataFrame, by: str) -> dict[str, pd.DataFrame]:
    """The curves of each digit, or of each carry over all digits, lowest and shortest first; rare ones left out.

    Args:
        by: "digit" or "carry".

    Raises:
        ValueError: if it is another word.
    """
    if by not in ("digit", "carry"):
        raise ValueError(f"Parts are by 'digit' or by 'carry', got {by!r}.")
    if not len(table):
        return {}
    other = "carry" if by == "digit" else "digit"
    rows = table[(table[other] == ALL) & (table[by] != ALL)]
    found = {str(name): part for name, part in rows.groupby(by, sort=False)}
    return {name: part for name, part in found.items() if part["n"].min() >= LEAST_QUESTIONS}


def digit_transitions(table: pd.DataFrame) -> dict[str, Transition]:
    """When the accuracy on each digit reaches 0.95 for good."""
    return _reached(parts(judged(table), "digit"))


def carry_transitions(table: pd.DataFrame) -> dict[str, Transition]:
    """When the accuracy on questions with each kind of carry reaches 0.95 for good."""
    return _reached(parts(judged(table), "carry"))


def half_losses(table: pd.DataFrame) -> dict[str, Transition]:
    """When the loss of each digit has fallen to half of its first value for good."""
    return {
        name: transition(part, "loss", part.sort_values("step")["loss"].iloc[0] / 2, "fall")
        for name, part in parts(judged(table), "digit").items()
    }


def _reached(curves: Mapping[str, pd.DataFrame]) -> dict[str, Transition]:
    return {name: transition(part, "accuracy", ACCURACY, "rise") for name, part in curves.items()}


def ranked(found: Mapping[str, Transition]) -> list[list[str]]:
    """Names in the order of their transitions, those together that checkpoints cannot tell apart; none that never came.

    >>> never = Transition("accuracy", 0.95, 90, None)
    >>> ranked({"2": Transition("accuracy", 0.95, 20, 30), "0": Transition("accuracy", 0.95, 0, 10), "3": never,
    ...     "1": Transition("accuracy", 0.95, 10, 30)})
    [['0'], ['1', '2']]
    """
    came = sorted(
        (
            (t.step, -1 if t.before is None else t.before, name)
            for name, t in found.items()
            if t.step is not None
        )
    )
    groups: list[list[str]] = []
    for i, (_, _, name) in enumerate(came):
        # Apart only if none from here on was there yet when all before were: their steps ascend.
        if i == 0 or came[i - 1][0] <= min(before for _, before, _ in came[i:]):
            groups.append([])
        groups[-1].append(name)
    return [sorted(group) for group in groups]

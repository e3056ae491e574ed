"""Whether a run memorized and generalised, and when: one definition, in the words of every summary and figure.

Memorized: train accuracy stays at ACCURACY. Generalised: test accuracy does. From the evaluations that the trainer
recorded, which lie closest, or else from the checkpoints. A checkpoint generalises if its own test accuracy is at
ACCURACY. Where the split is not known, the accuracy on all rows stands for that on test rows, and is named. Where a
task asks what nobody can foresee too, generalised is judged by what is predictable. Memorized is not: by heart the
rest can be known as well. Of rows that are new at every step none is memorized, whatever the accuracy on train rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interp.ground.judged import PREDICTABLE, judged_by
from interp.ground.plain_text import several
from interp.ground.thresholds import ACCURACY
from interp.tables.accuracies import by_split, is_known, memorizes_nothing
from interp.tables.brackets_said import ACCURACIES, quantity_said, relapses_said
from interp.tables.collapse import collapse
from interp.tables.curves import SHORT, curve
from interp.tables.transitions import Transition, last_lost, transition

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Outcome:
    """How a run ended, by its accuracies.

    Attributes:
        memorization, grokking: when train and test accuracy reach the threshold for good; None where no such accuracy
            is known. A run on fresh rows has no memorization.
        accuracy: on the rows of `grokking`, at the last step where it is known.
        step: that step.
        lost: the last spell above the threshold that a run has lost again, first and last step; None if there is none.
        collapse: when an accuracy that had stayed at the threshold fell below it for long (`interp.tables.collapse`),
            the last time; None where no accuracy is known.
    """

    memorization: Transition | None
    grokking: Transition | None
    accuracy: float | None = None
    step: int | None = None
    lost: tuple[int, int] | None = None
    collapse: Transition | None = None

    @property
    def generalised(self) -> bool | None:
        """Whether the run ends generalised; None where no accuracy says."""
        return None if self.grokking is None else self.grokking.step is not None

    @property
    def said(self) -> str:
        """The outcome in a sentence, with the threshold that it was judged by."""
        return self.told("step")

    def told(self, unit: str) -> str:
        """The outcome in a sentence, of a run whose steps count something."""
        if self.grokking is None:
            return (
                "Whether the run has generalised is not known: no accuracy on test rows, or on all, is there."
            )
        which, threshold = quantity_said(self.grokking), f"{self.grokking.threshold:g}"
        if self.grokking.step is None:
            lost = (
                f" It had, from {unit} {self.lost[0]} to {self.lost[1]}, and has lost it."
                if self.lost
                else ""
            )
            return (
                f"The run has not generalised by {unit} {self.step}: its {which} is {self.accuracy:.3f} there, "
                f"below {threshold}.{lost}"
            )
        since = (
            "at its first checkpoint already"
            if self.grokking.before is None
            else f"from {unit} {self.grokking.step} on ({self.grokking.before} was below)"
        )
        return (
            f"The run has generalised: its {which} stays at {threshold} or above {since}"
            f"{relapses_said(self.grokking)}.{self._collapse_told(unit)}"
        )

    def _collapse_told(self, unit: str) -> str:
        """Of a run that ends generalised: that it had collapsed before."""
        if self.collapse is None or self.collapse.step is None:
            return ""
        return (
            f" It had before, had collapsed between {several(unit)} {self.collapse.before} and {self.collapse.step}, "
            "and has come back."
        )

    def begun(self, steps: Sequence[int] | np.ndarray) -> dict[str, Transition]:
        """Memorization, grokking and collapse, as far as they come and can be dated.

        Args:
            steps: of the run's checkpoints.
        """
        found = {"memorization": self.memorization, "grokking": self.grokking, "collapse": self.collapse}
        return dated({name: t for name, t in found.items() if t is not None and t.step is not None}, steps)

    def summary(self) -> dict[str, Any]:
        """For summary.json: the sentence, the threshold, and the brackets with their relapses."""
        return {
            "generalised": self.generalised,
            "said": self.said,
            "threshold": ACCURACY if self.grokking is None else self.grokking.threshold,
            "memorization": bracket(self.memorization),
            "grokking": bracket(self.grokking),
            "collapse": bracket(self.collapse),
        }


def outcome(tables: Tables, *, accuracy: float = ACCURACY, tolerated: float = SHORT) -> Outcome:
    """How a run ended.

    Args:
        tables: "history" (`Run.history()`) and "losses" (of `measure`), or one of them; each accuracy is read from the
            first that holds it.
        accuracy, tolerated: as `interp.tables.transitions.transition`.
    """
    is_fresh = any(
        memorizes_nothing(t) for name in ("history", "losses") if (t := tables.get(name)) is not None
    )
    memorized = None if is_fresh else _accuracies(tables, ("train_accuracy",))
    answered = _accuracies(tables, (*judged_by("test"), *judged_by("all")))
    memorization = memorized and transition(*memorized, accuracy, "rise", tolerated=tolerated)
    if answered is None:
        return Outcome(memorization, None)
    grokking = transition(*answered, accuracy, "rise", tolerated=tolerated)
    steps, values = curve(*answered)
    lost = last_lost(*answered, accuracy, "rise") if grokking.step is None else None
    fell = collapse(*answered, accuracy, tolerated=tolerated)
    return Outcome(memorization, grokking, float(values[-1]), int(steps[-1]), lost, fell)


def generalising_steps(losses: pd.DataFrame) -> list[int]:
    """The checkpoints that generalise: those whose own accuracy, on test rows if they are known, is at ACCURACY.

    Args:
        losses: of `measure`.
    """
    if not len(losses):
        return []
    part = "test" if has_test_rows(losses) else "all"
    column = f"{PREDICTABLE}_accuracy" if f"{PREDICTABLE}_accuracy" in losses else "accuracy"
    return losses[(losses["split"] == part) & (losses[column] >= ACCURACY)]["step"].tolist()


def dated(found: Mapping[str, Transition], steps: Sequence[int] | np.ndarray) -> dict[str, Transition]:
    """Without what holds at a run's only checkpoint already: nothing says since when.

    Args:
        steps: of the run's checkpoints.
    """
    if len(steps) > 1:
        return dict(found)
    return {name: t for name, t in found.items() if t.step is None or t.before is not None}


def has_test_rows(losses: pd.DataFrame) -> bool:
    """Whether there are accuracies on test rows, by which a checkpoint is judged."""
    return len(losses) > 0 and bool((losses["split"] == "test").any())


def accuracy_name(losses: pd.DataFrame) -> str:
    """What the accuracy is called by which a checkpoint is judged: without a split it is another one."""
    return ACCURACIES["test_accuracy" if has_test_rows(losses) else "all_accuracy"]


def bracket(found: Transition | None) -> dict[str, Any]:
    """A transition for summary.json."""
    if found is None:
        return {"before": None, "step": None, "quantity": None, "threshold": None}
    about: dict[str, Any] = {
        "before": found.before,
        "step": found.step,
        "quantity": found.quantity,
        "threshold": found.threshold,
    }
    if found.relapses:
        about["relapses_passed_over"] = [list(ends) for ends in found.relapses]
    return about


def _accuracies(tables: Tables, columns: tuple[str, ...]) -> tuple[pd.DataFrame, str] | None:
    """A table with a column of accuracy, and its name; of the first column and table that have one."""
    for column in columns:
        for name in ("history", "losses"):
            table = tables.get(name)
            if table is None or not len(table):
                continue
            wide = by_split(table)
            if is_known(wide, column):
                return wide, column
    return None

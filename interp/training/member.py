"""A run while it is trained: how far it is, what it records, and what of it is saved when.

The same for a run that is trained alone (`interp.training.loop`) and for one of a stack (`interp.training.stacked`).
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from interp.ground.judged import SEES_FRESH_ROWS
from interp.networks.config import Weights
from interp.runs.run import Run
from interp.runs.saving import save_checkpoint, save_history, save_latest
from interp.runs.tensor_files import RunError
from interp.training.acting import acting_in
from interp.training.arms import branch_of

SECONDS_BETWEEN_STATES = 30.0

Row = dict[str, Any]


class Member:
    """A run in training.

    Attributes:
        run, recipe: which, and how.
        step: updates so far.
        acting: its rules at work.
        history: a row for each step before this one.
        evaluated: those of them at which accuracies were recorded.
        seconds_between_states: if states are to be saved less often than every `SECONDS_BETWEEN_STATES`.
    """

    def __init__(self, run: Run, step: int, weights: Weights, memory: Weights):
        """
        Args:
            step: where training goes on.
            weights: there, as they are trained.
            memory: what the rules remember.

        Raises:
            RunError: if rows of the history are missing.
        """
        self.run, self.recipe, self.step = run, run.config.recipe(), step
        self.history = history_before(run, step)
        branch = branch_of(run)
        self.acting = acting_in(run, branch, weights, memory)
        self._until = branch.until if branch else None
        self._saved = set(self.recipe.schedule.steps)
        self._with_optimizer = set(self.recipe.schedule.optimizer_steps)
        self._state_saved_at = time.monotonic()
        self.seconds_between_states = 0.0
        self.evaluated = [row for row in self.history if not math.isnan(row.get("test_accuracy", math.nan))]

    @property
    def is_at_end(self) -> bool:
        """Whether no step is left."""
        return self.step == self.recipe.n_steps

    @property
    def is_evaluated(self) -> bool:
        """Whether this step's accuracies and test loss are recorded."""
        return self.step % self.recipe.evaluation_interval == 0

    def save_scheduled(self, weights: Callable[[], Weights], state: Callable[[], Weights]) -> None:
        """Save a checkpoint, if the schedule has this step."""
        if self.step not in self._saved:
            return
        optimizer = state() if self.step in self._with_optimizer else None
        if optimizer is not None and self.history:
            # Before it, as in save_state: resume can go on from this checkpoint too.
            save_history(self.run, pd.DataFrame(self.history))
        save_checkpoint(self.run, self.step, weights(), optimizer)

    @property
    def is_state_due(self) -> bool:
        """Whether it is long ago that a state was saved to resume from."""
        wanted = max(SECONDS_BETWEEN_STATES, self.seconds_between_states)
        return time.monotonic() - self._state_saved_at > wanted

    def save_state(self, weights: Weights, state: Weights) -> None:
        """Save what resume goes on from."""
        # The history first: resume drops rows beyond the state, but could not invent missing ones. Without a step there
        # is none: a table of nothing has no columns either.
        if self.history:
            save_history(self.run, pd.DataFrame(self.history))
        save_latest(self.run, self.step, weights, state)
        self._state_saved_at = time.monotonic()

    def losses(self, objective: float) -> Row:
        """What was minimised; it is the train loss where that is cross-entropy of the logits as they are."""
        is_plain = self.recipe.optimizer.loss == "cross-entropy" and not self.acting.changes_loss
        return {"train_loss": objective} if is_plain else {"train_loss": math.nan, "objective": objective}

    def has_shown(self, row: Row) -> bool:
        """Whether an arm need not go on, by this step's row and those before."""
        if self.is_evaluated:
            self.evaluated.append(row)
        return self._until is not None and self._until.is_reached(self.evaluated, self.recipe.first_step)

    def advance(self, row: Row) -> None:
        """Keep the row of this step, which is done."""
        self.history.append(row)
        self.step += 1

    def end(self, scores: Row, weights: Weights, state: Weights) -> None:
        """Record the last evaluation, and save the end.

        Raises:
            FloatingPointError: if its loss is no number.
        """
        row = {"step": self.step, **scores, **self.acting.norms(weights)}
        self.history.append(row)
        if not is_finite(row):
            save_history(self.run, pd.DataFrame(self.history))
            raise self.diverged(row)
        # With the optimizer's state at the end the run can be made longer.
        self.save_state(weights, state)

    def diverged(self, row: Row) -> FloatingPointError:
        """That the loss of this row is no number, in words."""
        is_float32 = self.recipe.optimizer.loss_dtype != "float64"
        return FloatingPointError(
            f"The loss of run {self.run.name!r} is {row.get('objective', row['train_loss'])} at step {row['step']}. "
            f"Everything before is saved. Lower the learning rate"
            f"{', or train with loss_dtype float64' if is_float32 else ''}."
        )


def is_finite(row: Mapping[str, Any]) -> bool:
    """Whether the loss of a step is a number."""
    return math.isfinite(row.get("objective", row["train_loss"]))


def history_before(run: Run, step: int) -> list[Row]:
    """The rows before a step, all of them: resume could not invent those that are missing.

    Raises:
        RunError: if some are missing.
    """
    first = run.config.first_step
    if step == first:
        return []
    # What the config says is no column of the file.
    table = run.history().drop(columns=SEES_FRESH_ROWS, errors="ignore")
    before = table[table["step"] < step]
    if before["step"].tolist() != list(range(first, step)):
        raise RunError(
            f"{run.path / 'history.parquet'} needs a row for each of the {step - first} steps before the one that "
            f"resume would continue from, and has {before['step'].nunique()}. Restore it from a copy, or delete "
            f"latest.safetensors beside it: the run is then trained again from step {first}, with the same result."
        )
    return before.to_dict("records")  # type: ignore[return-value]

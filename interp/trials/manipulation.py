"""Did the arm do what it says? Checks of every branch against its own record, before it counts as evidence.

An arm that failed one is not evaluable: whatever became of it may be due to the failure. What fails after an event has
not made it come: an arm that is trained further, for others that follow its path, is judged by what came before.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from interp.runs.run import Run
from interp.tables.accuracies import judged_column
from interp.training.arms import Branch, branch_of
from interp.training.paths import read_paths
from interp.training.rules import ScaleUpdates

NORM_ERROR = 0.005
MARGIN_ERROR = 0.05
TURNING_ERROR = 0.05
UPDATES = 0.05
# Share of entries that Adam's eps decides, above that of the control of the pair.
MORE_BELOW_EPS = 0.05
TRAIN_ACCURACY = 0.99
# Steps within which an edited network must fit its train rows again.
RECOVERY = 200


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One check of one arm: what was found, what was allowed, and whether it holds."""

    check: str
    found: float
    allowed: float
    holds: bool

    @property
    def said(self) -> str:
        return f"{self.check}: {self.found:.3g}, allowed {self.allowed:.3g}"


def manipulation_checks(run: Run, control: Run | None, until: int | None = None) -> list[Checked]:
    """Every check that applies to this branch.

    Args:
        control: the control of the pair, with which the share of entries below eps is compared; None for itself.
        until: the step up to which the arm is looked at; None: all of it.

    Raises:
        RunError: if a history is damaged.
    """
    branch = branch_of(run)
    assert branch is not None
    history = _until(run, until)
    # A loss that is no number any more is the end: what came before was finite.
    is_finite = run.record.status != "diverged" or until is not None
    checks = [Checked(check="finite loss", found=float(is_finite), allowed=1.0, holds=is_finite)]
    checks += [check for look in _CHECKS for check in look(run, branch, history)]
    if control is not None:
        checks += _compared_with(_until(control, until), history)
    return checks


def _until(run: Run, step: int | None) -> pd.DataFrame:
    history = run.history()
    return history if step is None else history[history["step"] <= step]


def _paths(run: Run, branch: Branch, history: pd.DataFrame) -> Iterator[Checked]:
    yield from _below(history, "norm_error", "norm path", NORM_ERROR)
    yield from _below(history, "turning_error", "turning path", TURNING_ERROR)
    yield from _below(history, "margin_error", "margin path", MARGIN_ERROR)


def _updates(run: Run, branch: Branch, history: pd.DataFrame) -> Iterator[Checked]:
    """Updates scaled to another arm's are as large as those in the end, after what later rules took back of them."""
    for rule in branch.arm.rules:
        if isinstance(rule, ScaleUpdates) and rule.of is not None:
            own = history["update_norm"].dropna()
            wanted = read_paths(run).columns[f"{rule.of}/update_norm"][: len(own)].sum() * rule.factor
            found = abs(float(own.sum() / wanted) - 1) if wanted > 0 else math.inf
            yield Checked(check="updates, in sum", found=found, allowed=UPDATES, holds=found <= UPDATES)


def _recovery(run: Run, branch: Branch, history: pd.DataFrame) -> Iterator[Checked]:
    """Train accuracy is back in time, and stays: a spike is a fall after that."""
    if branch.arm.data or run.config.first_step == 0:
        # Train rows have to be learned first, however long that takes.
        return
    column = judged_column(history, "train")
    accuracy = history.dropna(subset=[column]).set_index("step")[column]
    since = accuracy[accuracy.index >= min(run.config.first_step + RECOVERY, accuracy.index.max())]
    if not len(since):
        return
    first = float(since.iloc[0])
    yield Checked(
        check=f"train accuracy {RECOVERY} steps after the branch",
        found=first,
        allowed=TRAIN_ACCURACY,
        holds=first >= TRAIN_ACCURACY,
    )
    lowest = float(since.min())
    if first >= TRAIN_ACCURACY:
        holds = lowest >= TRAIN_ACCURACY
        yield Checked(
            check="train accuracy later (no spike)", found=lowest, allowed=TRAIN_ACCURACY, holds=holds
        )


_CHECKS: tuple[Callable[[Run, Branch, pd.DataFrame], Iterator[Checked]], ...] = (
    _paths,
    _updates,
    _recovery,
)


def _below(history: pd.DataFrame, column: str, name: str, allowed: float) -> Iterator[Checked]:
    """The largest recorded deviation, where a rule recorded one."""
    values = history[column].dropna() if column in history else ()
    if len(values):
        worst = float(max(values))
        yield Checked(check=name, found=worst, allowed=allowed, holds=worst <= allowed)


def _compared_with(control: pd.DataFrame, history: pd.DataFrame) -> Iterator[Checked]:
    """Not by a fixed share: on the plateau of the recipe of Nanda et al. 2023 eps decides nearly every entry."""
    own, other = (float(t["below_eps"].mean()) if "below_eps" in t else math.nan for t in (history, control))
    if not (math.isnan(own) or math.isnan(other)):
        more = own - other
        yield Checked(
            check="entries below eps, more than in the control",
            found=more,
            allowed=MORE_BELOW_EPS,
            holds=more <= MORE_BELOW_EPS,
        )

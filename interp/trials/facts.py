"""What must be known of a run before theories can be tried on it: when it memorized and grokked, where to branch."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from interp.ground.plain_text import number_of
from interp.runs.run import Run
from interp.runs.tensor_files import RunError
from interp.tables.key_frequencies import run_key_frequencies
from interp.tables.transitions import Transition, grokking, memorization
from interp.tasks.structure import Cyclic
from interp.tasks.task import Task

# Nats of restricted loss, of the key frequencies that a checkpoint shows by itself: the circuit is half formed.
HALF_FORMED = (1.0, 2.0)
# Test accuracy above what knowing a + b = b + a gives: the network does not generalise yet.
ABOVE_COMMUTATIVE = 0.2


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a battery is planned from, all of it read off the parent alone.

    Attributes:
        memorized: the first saved step at which it has memorized.
        memorized_with_state: the first one from there on that holds the optimizer's state; None if none before `at`.
        grokked: the evaluation from which on it generalises; None if it never did.
        at: where arms leave the parent.
        later: a second such step with the optimizer's state, to see whether what is lost grows; None without one.
        ahead: a saved step about 1,000 after `at`, whose features are grafted back; None without one.
        keys: key frequencies of the whole run; empty where Fourier probes do not apply.
        commutative_level: share of the test pairs whose mirror image is in train.
        to_grok: steps from `at` to test accuracy 0.95 in the parent, None if it never got there.
        interval: steps between evaluations.
        grokked_with_state: the first step after grokking that holds the optimizer's state.
        critical_size: train pairs below which the recipe does not generalise, where someone knows it.
        is_half_formed: whether the circuit is half formed there; else the branch point is in the middle of the plateau,
            or where someone put it.
    """

    memorized: int
    memorized_with_state: int | None
    grokked: int | None
    at: int
    later: int | None
    ahead: int | None
    keys: tuple[int, ...]
    commutative_level: float
    to_grok: int | None
    interval: int
    grokked_with_state: int | None = None
    critical_size: int | None = None
    is_half_formed: bool = True

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def facts_of(
    run: Run, at: int | None = None, *, critical_size: int | None = None, device: str = "cpu"
) -> Facts:
    """Measure what a battery is planned from.

    Args:
        at: where to branch; None: the first checkpoint with the optimizer's state whose own circuit is half formed.
        critical_size: train pairs below which the recipe does not generalise, of a sweep; None where it is not known.


    Raises:
        ValueError: if the run has no plateau to branch from: it has no task or split, never memorized, had
            generalised by then, or its checkpoints hold no optimizer state.
        RunError: if there is no such checkpoint.
    """
    task = run.task
    _ = task.split
    if len(run.steps) < 2:
        raise ValueError(
            f"A trial needs checkpoints along a run, and run {run.name!r} has {number_of(len(run.steps), 'checkpoint')}"
            ". Train it with a schedule that saves more (interp train --save every:500)."
        )
    if run.config.sees_fresh_rows:
        raise ValueError(
            f"A trial needs a run that memorized, and run {run.name!r} sees fresh rows at every step: it memorizes "
            "none."
        )
    tables = _tables(run, device)
    answers = tables["history"] if _has_test(tables["history"]) else tables["losses"]
    memorized, grokked = memorization(answers), grokking(answers)
    if memorized.step is None:
        raise ValueError(
            f"A trial needs a run that memorized, and train accuracy of run {run.name!r} never reached "
            f"{memorized.threshold:g} for good. Train it longer: interp resume {run.path} --steps N."
        )
    first = next((step for step in run.steps if step >= memorized.step), None)
    if first is None:
        raise ValueError(
            f"A trial needs a checkpoint after memorization (step {memorized.step}), and the last one of run "
            f"{run.name!r} is at {run.steps[-1]}."
        )
    level = commutative_level(task)
    points = _points(run, tables, memorized, grokked, level)
    if at is None:
        at = _chosen(run, points, memorized, grokked)
    _check_point(run, at, memorized, grokked)
    interval = run.config.evaluation_interval or 10
    with_state = [s for s in run.optimizer_steps if memorized.step <= s <= at]
    return Facts(
        memorized=first,
        memorized_with_state=with_state[0] if with_state else None,
        grokked=grokked.step,
        at=at,
        later=next(
            (s for s in run.optimizer_steps if at < s and (grokked.step is None or s < grokked.step)), None
        ),
        ahead=_nearest([s for s in run.steps if s > at], at + 1000),
        keys=tuple(run_key_frequencies(tables)) if len(tables["logit_spectrum"]) else (),
        commutative_level=level,
        to_grok=None if grokked.step is None else grokked.step - at,
        interval=interval,
        grokked_with_state=next(
            (s for s in run.optimizer_steps if grokked.step is not None and s >= grokked.step), None
        ),
        critical_size=critical_size,
        is_half_formed=at in points,
    )


def commutative_level(task: Task) -> float:
    """Share of the test pairs (a, b) whose mirror image (b, a) is in train: what knowing no more than that would give.

    0 where the task is no operation on pairs, or (a, b) and (b, a) have different answers.
    """
    structure = task.structure
    if not isinstance(structure, Cyclic):
        return 0.0
    pairs, p = structure.pairs, len(structure.first)
    row = torch.full((p * p,), -1)
    row[pairs[:, 0] * p + pairs[:, 1]] = torch.arange(len(pairs))
    mirror = row[pairs[:, 1] * p + pairs[:, 0]]
    known = mirror >= 0
    same = known & (task.true_labels == task.true_labels[mirror.clamp(min=0)])
    if not bool(same[known].all()):
        return 0.0
    test = ~task.split
    return float((task.split[mirror.clamp(min=0)] & known)[test].double().mean())


def _tables(run: Run, device: str) -> dict[str, pd.DataFrame]:
    from interp.measurement.measure import measure

    names = ["losses", "logit_spectrum", "progress_measures"]
    return {"history": run.history(), **measure(run, names, device=device)}


def _has_test(history: pd.DataFrame) -> bool:
    return "test_accuracy" in history and bool(history["test_accuracy"].notna().any())


def _points(
    run: Run, tables: dict[str, pd.DataFrame], memorized: Transition, grokked: Transition, level: float
) -> list[int]:
    """Steps with the optimizer's state at which the circuit is half formed and the network does not generalise yet."""
    table = tables["progress_measures"]
    if not len(table):
        return []
    own, accuracy = own_restricted_loss(table), accuracy_on_test(tables["losses"])
    low, high = HALF_FORMED
    return [
        step
        for step in run.optimizer_steps
        if step >= (memorized.step or 0)
        and (grokked.step is None or step < grokked.step)
        and step in own.index
        and low <= own[step] <= high
        and accuracy.get(step, 1.0) < level + ABOVE_COMMUTATIVE
    ]


def own_restricted_loss(progress_measures: pd.DataFrame) -> "pd.Series[float]":
    """By step, the loss of the frequencies that a checkpoint shows by itself, which know nothing of the end."""
    table = progress_measures
    is_own = (
        (table["measure"] == "restricted_loss") & (table["selection"] == "causal") & (table["split"] == "all")
    )
    return table[is_own].set_index("step")["loss"]


def accuracy_on_test(losses: pd.DataFrame) -> "pd.Series[float]":
    """By step, of the `losses` at the checkpoints."""
    return losses[losses["split"] == "test"].set_index("step")["accuracy"]


def _chosen(run: Run, points: list[int], memorized: Transition, grokked: Transition) -> int:
    if points:
        return points[0]
    end = grokked.step if grokked.step is not None else run.steps[-1] + 1
    between = [s for s in run.optimizer_steps if (memorized.step or 0) <= s < end]
    if between:
        middle = ((memorized.step or 0) + end) / 2
        return min(between, key=lambda step: abs(step - middle))
    if not run.optimizer_steps:
        raise ValueError(
            f"A trial needs a checkpoint with the optimizer's state on the plateau, and run {run.name!r} has none with "
            "one anywhere. Train it again with --save-optimizer STEP: the same seeds give the same run."
        )
    raise ValueError(
        f"A trial needs a checkpoint with the optimizer's state between memorization (step {memorized.step}) and "
        f"grokking ({'never' if grokked.step is None else f'step {grokked.step}'}), and run {run.name!r} has them at "
        f"{', '.join(map(str, run.optimizer_steps))}. Train it again with --save-optimizer "
        f"{int(((memorized.step or 0) + end) / 2)}: the same seeds give the same run."
    )


def _check_point(run: Run, at: int, memorized: Transition, grokked: Transition) -> None:
    if at not in run.index:
        # Says which is near.
        run.checkpoint(at)
    if at not in run.optimizer_steps:
        near = _nearest(run.optimizer_steps, at)
        raise RunError(
            f"A trial needs the optimizer's state at its branch, and checkpoint {at} of run {run.name!r} has weights "
            f"alone. The nearest that has it: {near if near is not None else 'none'}."
        )
    if memorized.step is not None and at < memorized.step:
        raise ValueError(
            f"A trial branches after memorization (step {memorized.step} of run {run.name!r}), got {at}. Name a "
            "later one."
        )
    if grokked.step is not None and at >= grokked.step:
        raise ValueError(
            f"A trial branches before grokking, and run {run.name!r} generalises from step {grokked.step} on, got "
            f"{at}. Nothing is left to be sooner or later: name an earlier one."
        )


def _nearest(steps: list[int], to: int) -> int | None:
    return min(steps, key=lambda step: abs(step - to), default=None)

"""Values of arms that are not times: what they end with, what they had at the event, edits without any training."""

import math
from typing import Any

import numpy as np
import pandas as pd
import torch

from interp.interventions.bench import Bench, edit_norms
from interp.interventions.directions import RandomDirection
from interp.interventions.frequencies import KeepFrequencies
from interp.networks.answers import answer_logits
from interp.networks.config import ModelConfig, Weights
from interp.networks.layers import as_matrix
from interp.networks.objective import is_right
from interp.runs.run import Run
from interp.tasks.task import Questions
from interp.theories.levels import EARLY
from interp.theories.slingshot import ARM_SPIKES, n_spikes
from interp.theories.statistic import EVENT, THRESHOLD
from interp.training.arms import branch_of, has_shown, jittered
from interp.training.rules import Freeze, HoldDirections
from interp.training.rules.penalties import spectral_entropy
from interp.trials.facts import accuracy_on_test, own_restricted_loss
from interp.trials.outcomes import event, main_event, whole_norms

# Restricted loss of the circuit alone, nats, and test accuracy of the whole, at which cleanup is done by hand.
CLEAN, DIRTY = 1e-2, 0.5


def levels_of(run: Run, parent: Run | None, control: Run | None = None) -> dict[str, float]:
    """Every value that applies to this branch.

    Args:
        parent: whose test pairs were never trained on by either; None where it is not there any more.
        control: of the pair; None for itself.
    """
    branch = branch_of(run)
    assert branch is not None
    values = at_event(run)
    if control is not None:
        values["updates_after_branch"] = updates_after_branch(run.history(), control.history())
    if parent is not None and branch.until is not None and branch.until.times == 1:
        values["net_angle_when_done"] = net_angle(parent, run) if has_shown(run) else math.nan
    held = [rule.until for rule in branch.arm.rules if isinstance(rule, Freeze | HoldDirections)]
    if held:
        values["frozen_steps"] = float(max(held))
    if branch.until is None:
        values["share_of_compression"] = share_of_compression(run)
    if branch.arm.data:
        values |= _of_other_data(run, parent)
    if run.config.first_step == 0 and branch.arm.name in ("control", "random-labels"):
        values["local_complexity_descent"] = local_complexity_descent(run)
    if branch.arm.name in ("float64", "zero-sum-float32"):
        step = main_event(run)
        end = math.inf if step is None else float(step)
        values[ARM_SPIKES] = float(n_spikes(run.history(), float(run.config.first_step), end))
    if branch.arm.name.startswith("frequency-raised"):
        values["in_final_keys"] = float(raised_frequency(run) in final_keys(run))
    return values


def at_event(run: Run, threshold: float = THRESHOLD) -> dict[str, float]:
    """Norm, margin and the angle turned through where test accuracy reached the threshold; nan where it never did."""
    history, first = run.history(), run.config.first_step
    _, step = event(history, EVENT, threshold, "rise", first)
    if step is None or not any(name.startswith("norm/") for name in history):
        return {"norm_at_event": math.nan, "margin_at_event": math.nan, "angle_at_event": math.nan}
    row = history[history["step"] == first + step]
    return {
        "norm_at_event": float(whole_norms(row).iloc[0]),
        "margin_at_event": float(row.iloc[0].get("margin", math.nan)),
        "angle_at_event": turned(history[history["step"] <= first + step]),
    }


def turned(history: pd.DataFrame) -> float:
    """Sum of the angles between the weights, as one vector, before and after each of these updates, radians.

    Of an update u that takes the norm from r to s, |u|^2 = (s - r)^2 + 4 r s sin^2(angle / 2): what only changes the
    norm turns nothing. NaN where updates were not recorded.

    Args:
        history: of a branch; the update of its last row is not counted.
    """
    if "update_norm" not in history:
        return math.nan
    r = whole_norms(history).to_numpy(float)
    before, after, update = r[:-1], r[1:], history["update_norm"].to_numpy(float)[:-1]
    across = np.clip(update**2 - (after - before) ** 2, 0, None) / (4 * before * after)
    return float(2 * np.arcsin(np.sqrt(np.clip(across, 0, 1))).sum())


def net_angle(parent: Run, run: Run) -> float:
    """Angle between the parent's weights at the branch, before any edit, and the last ones of the arm, radians."""
    ends = [parent.step_weights(run.config.first_step), run.step_weights(run.steps[-1])]
    a, b = (torch.cat([w[name].double().flatten() for name in sorted(w)]) for w in ends)
    # Not by the cosine, which keeps half of the digits of a small angle.
    return 2 * math.asin(min(float((a / a.norm() - b / b.norm()).norm()) / 2, 1.0))


def updates_after_branch(history: pd.DataFrame, control: pd.DataFrame) -> float:
    """Median over the first EARLY steps of the size of an arm's updates over the control's.

    An edit or a jump of the norm makes gradients large, and Adam's second moment with them: its steps are then small
    for hundreds of steps, whatever was edited.
    """
    if "update_norm" not in history or "update_norm" not in control:
        return math.nan
    both = history[["step", "update_norm"]].merge(control[["step", "update_norm"]], on="step")
    early = both[both["step"] < both["step"].min() + EARLY]
    return float((early["update_norm_x"] / early["update_norm_y"]).median())


def share_of_compression(run: Run, threshold: float = THRESHOLD) -> float:
    """How much of the fall of spectral entropy since the branch is done at the event.

    On a straight line between the checkpoints on both sides of it. Nan where the event never came, or entropy did not
    fall. Meaningful of an arm that was trained to convergence.

    References: DeMoss et al. 2024, "The complexity dynamics of grokking".
    """
    first = run.config.first_step
    _, step = event(run.history(), EVENT, threshold, "rise", first)
    if step is None or first + step > run.steps[-1]:
        return math.nan
    around = [
        max(s for s in run.steps if s <= first + step),
        min(s for s in run.steps if s >= first + step),
    ]
    start, *beside, end = (total_entropy(run.step_weights(s)) for s in (first, *around, run.steps[-1]))
    then = float(np.interp(first + step, around, beside))
    return (start - then) / (start - end) if end < start else math.nan


def local_complexity_descent(run: Run) -> float:
    """Kinks around the train rows lost from the checkpoint of the largest norm to the last, per unit of ln norm.

    The kinks are those of the relative radius. Nan where the norm does not fall, or the network has none.

    References: Humayun, Balestriero, Baraniuk 2024, section 3.
    """
    from interp.measurement.measure import measure

    norm = {
        step: math.sqrt(sum(float(w.double().square().sum()) for w in run.step_weights(step).values()))
        for step in run.steps
    }
    top, end = max(norm, key=lambda step: norm[step]), run.steps[-1]
    table = measure(run, ["local_complexity"], steps=[top, end])["local_complexity"]
    if not len(table) or not norm[end] < norm[top]:
        return math.nan
    rows = table[(table["split"] == "train") & (table["radius"] == "relative")].set_index("step")["mean"]
    return float((rows[top] - rows[end]) / math.log(norm[top] / norm[end]))


def total_entropy(weights: Weights) -> float:
    """Spectral entropy summed over the matrices, nats."""
    matrices = [as_matrix(name, w.double()) for name, w in weights.items() if w.ndim > 1]
    return float(torch.stack([spectral_entropy(m) for m in matrices]).sum())


def raised_frequency(run: Run) -> int:
    """The frequency that an arm of the lottery raised at its start."""
    branch = branch_of(run)
    assert branch is not None
    edit: Any = branch.arm.edits[0]
    return int(edit.frequencies[0])


def final_keys(run: Run) -> list[int]:
    """The frequencies that stand out of the logits at the end of a branch; none where it does not generalise."""
    from interp.measurement.measure import measure
    from interp.tables.key_frequencies import run_key_frequencies

    return run_key_frequencies(measure(run, ["logit_spectrum", "losses"], steps=[run.steps[-1]]))


def _of_other_data(run: Run, parent: Run | None) -> dict[str, float]:
    weights, config = run.step_weights(run.steps[-1]), run.config.model
    assert config is not None
    values = {"train_accuracy": accuracy(config, weights, run.task.of_split("train"))}
    if parent is not None:
        never = ~parent.task.split & ~run.task.split
        asked = run.task.questions.of(never.nonzero().squeeze(1))
        values["never_trained_accuracy"] = accuracy(config, weights, asked)
    return values


def accuracy(config: ModelConfig, weights: Weights, asked: Questions) -> float:
    """Share of these questions that the network answers rightly."""
    with torch.no_grad():
        logits = answer_logits(config, asked)(weights)
    return float(is_right(logits, asked.labels).double().mean())


def cleanup_rows(run: Run, pair: str, kind: str, jitter: int | None) -> list[dict[str, Any]]:
    """Cleanup by hand, without training: all but the key frequencies taken out, and as much at random instead.

    At the first checkpoint whose key frequencies do the task by themselves (restricted loss below 0.01 nats) while the
    whole network is right on less than half of the test pairs; the key set is that of the checkpoint alone. Where there
    is no such checkpoint the rows say so, and are not valid.

    References: Nanda et al. 2023, section 5 (cleanup).
    """
    at, config = _dirty_step(run), run.config.model
    if config is None:
        return []
    if at is None:
        why = f"no checkpoint has a restricted loss below {CLEAN:g} nats and a test accuracy below {DIRTY:g}"
        found = {"cleanup": math.nan, "cleanup-random": math.nan}
        return [_of_cleanup(arm, pair, kind, 0, "test_accuracy_after", x, why) for arm, x in found.items()]
    step, keys = at
    weights = run.step_weights(step) if jitter is None else jittered(run.step_weights(step), jitter)
    bench = Bench(config=config, task=run.task, donors={})
    keep = KeepFrequencies(frequencies=keys, where=("W_E", "W_L"))
    norms = tuple(sorted(edit_norms(keep, weights, bench).items()))
    random = RandomDirection(norms=norms, seed=jitter or 0, spared=keys)
    asked = run.task.of_split("test")
    before = accuracy(config, weights, asked)
    rows = []
    for arm, edit in (("cleanup", keep), ("cleanup-random", random)):
        after = accuracy(config, edit.edit(weights, bench), asked)
        told = {
            "test_accuracy_before": before,
            "test_accuracy_after": after,
            "test_accuracy_gained": after - before,
        }
        for quantity, value in told.items():
            rows.append(_of_cleanup(arm, pair, kind, step, quantity, value))
    return rows


def _of_cleanup(
    arm: str, pair: str, kind: str, step: int, quantity: str, value: float, why_not: str = ""
) -> dict[str, Any]:
    about = {
        "arm": arm,
        "dose": math.nan,
        "pair": pair,
        "kind": kind,
        "reference": "",
        "reference_dose": math.nan,
    }
    at = {"branch_step": step, "point": "cleanup", "quantity": quantity, "value": value}
    return about | at | {"valid": not why_not, "why_not": why_not}


def _dirty_step(run: Run) -> tuple[int, tuple[int, ...]] | None:
    """The first checkpoint with a clean circuit in a dirty network, and its own key frequencies."""
    from interp.measurement.measure import measure

    tables = measure(run, ["losses", "progress_measures", "key_frequencies"])
    table, losses = tables["progress_measures"], tables["losses"]
    if not len(table):
        return None
    own, test = own_restricted_loss(table), accuracy_on_test(losses)
    found = [s for s in own.index if own[s] < CLEAN and test.get(s, 1.0) < DIRTY]
    if not found:
        return None
    keys = tables["key_frequencies"]
    mine = keys[(keys["step"] == found[0]) & (keys["selection"] == "logits")]["frequency"]
    return int(found[0]), tuple(sorted(int(k) for k in mine.unique()))

"""Values of arms that are not times: what they end with, what they had at the event, edits without any training."""

import math
from typing import Any

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
from interp.theories.statistic import EVENT, THRESHOLD
from interp.training.arms import branch_of, jittered
from interp.training.rules import Freeze, HoldDirections
from interp.training.rules.penalties import spectral_entropy
from interp.trials.facts import accuracy_on_test, own_restricted_loss
from interp.trials.outcomes import event

# Restricted loss of the circuit alone, nats, and test accuracy of the whole, at which cleanup is done by hand.
CLEAN, DIRTY = 1e-2, 0.5


def levels_of(run: Run, parent: Run | None) -> dict[str, float]:
    """Every value that applies to this branch.

    Args:
        parent: whose test pairs were never trained on by either; None where it is not there any more.
    """
    branch = branch_of(run)
    assert branch is not None
    values = at_event(run)
    held = [rule.until for rule in branch.arm.rules if isinstance(rule, Freeze | HoldDirections)]
    if held:
        values["frozen_steps"] = float(max(held))
    if branch.until is None:
        values["share_of_compression"] = share_of_compression(run)
    if branch.arm.data:
        values |= _of_other_data(run, parent)
    if run.config.first_step == 0 and branch.arm.name in ("control", "random-labels"):
        values["local_complexity_descent"] = local_complexity_descent(run)
    if branch.arm.name.startswith("frequency-raised"):
        values["in_final_keys"] = float(raised_frequency(run) in final_keys(run))
    return values


def at_event(run: Run, threshold: float = THRESHOLD) -> dict[str, float]:
    """Norm and margin where test accuracy reached the threshold; nan where it never did."""
    history, first = run.history(), run.config.first_step
    _, step = event(history, EVENT, threshold, "rise", first)
    norms = [name for name in history if name.startswith("norm/")]
    if step is None or not norms:
        return {"norm_at_event": math.nan, "margin_at_event": math.nan}
    row = history[history["step"] == first + step].iloc[0]
    return {
        "norm_at_event": math.sqrt(sum(float(row[name]) ** 2 for name in norms)),
        "margin_at_event": float(row.get("margin", math.nan)),
    }


def share_of_compression(run: Run, threshold: float = THRESHOLD) -> float:
    """How much of the fall of spectral entropy since the branch is done at the first checkpoint after the event.

    Nan where the event never came, or entropy did not fall. Meaningful of an arm that was trained to convergence.

    References: DeMoss et al. 2024, "The complexity dynamics of grokking".
    """
    first = run.config.first_step
    _, step = event(run.history(), EVENT, threshold, "rise", first)
    after = [s for s in run.steps if step is not None and s >= first + step]
    if not after:
        return math.nan
    start, then, end = (total_entropy(run.step_weights(s)) for s in (first, after[0], run.steps[-1]))
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
    whole network is right on less than half of the test pairs; the key set is that of the checkpoint alone. No rows
    where there is no such checkpoint.

    References: Nanda et al. 2023, section 5 (cleanup).
    """
    at = _dirty_step(run)
    config = run.config.model
    if at is None or config is None:
        return []
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
        for quantity, value in (("test_accuracy_before", before), ("test_accuracy_after", after)):
            rows.append(
                {
                    "arm": arm,
                    "dose": math.nan,
                    "pair": pair,
                    "kind": kind,
                    "reference": "",
                    "reference_dose": math.nan,
                }
                | {"branch_step": step, "point": "cleanup", "quantity": quantity, "value": value}
                | {"valid": True, "why_not": ""}
            )
    return rows


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

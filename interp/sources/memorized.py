"""Which rows a network has memorized, as its losses show it: a split that is listed nowhere, or a list that is wrong.

Train rows are those that a network has adapted itself to. At a checkpoint that has memorized them and does not
generalise, their losses lie far below the others', and nothing it is certain of is wrong on them. Before and after,
losses decide nothing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from interp.networks import objective
from interp.networks.answers import answer_logits
from interp.networks.config import ModelConfig, Weights
from interp.runs.run import Run
from interp.sources.files.reading import SourceError, warn
from interp.sources.records.recorded import Recorded
from interp.tasks.splits import split_order
from interp.tasks.task import Questions, Task

# Splits that published trainers draw: Python's shuffle (progress-measures and its heirs), torch.randperm (the
# TransformerLens demo, seed 598), with the seeds that people take.
_SEEDS = (0, 1, 2, 3, 4, 5, 42, 598, 999, 1337)

# Logits that are held at a time, in numbers.
_MOST_LOGITS = 2**26

# Train rows of a wrong split are a random sample of all rows: their mean log loss lies more than six standard errors
# below that of all rows with a probability of 1e-9, for each of the some hundred orders and fractions tried.
_SIGNIFICANCE = 6.0

# The log says that train and test differ this much, and the listed rows must show at least the root of it.
_CONTRAST = 10.0

# A network's loss on its train rows is at most what its own certainty makes it: 0.04 to 0.8 times the mean entropy of
# its outputs once it learns, 1.3 at initialization. On rows that it was not trained on, 5 to 200 times.
_SURPRISE = 4.0
_SHARE_WRONG = 0.05
# Corrupted labels make the right train rows surprising too, but their losses lie this many standard errors below, where
# a list that is wrong lies once in a thousand.
_IN_DOUBT = 3.0


def check_listed(
    run: Run,
    listed: tuple[Tensor, str],
    losses: Mapping[int, Tensor],
    recorded: Recorded,
    task: Task,
    model: ModelConfig,
) -> None:
    """Refuse listed rows that are not those which the network was trained on; warn where they seem not to be.

    Args:
        losses: of every row at some checkpoints, by step.

    Raises:
        SourceError: if what the network has memorized, or the recorded losses, contradict the list.
    """
    is_train, where = listed
    check_memorized(is_train, where, list(losses.values()))
    if (step := _most_contrasted(run, recorded)) is not None:
        log = ", ".join(recorded.logs) or "the recorded loss"
        ours = example_losses(model, run.step_weights(step), task)
        train, test = (recorded.rows[f"{part}_loss"][step] for part in ("train", "test"))
        check_log(is_train, where, (train, test), ours, f"{run.unit} {step}", log)
        losses = {**losses, step: ours} if bool(torch.isfinite(ours).all()) else losses
    order = is_train.nonzero().squeeze(1)
    separation = max(_separation(_logs(x), order, len(order)) for x in losses.values())
    if separation >= _SIGNIFICANCE:
        return
    if (found := found_split(task, list(losses.values()), None, seeds_in(recorded))) is not None:
        split = found[0]
        raise SourceError(
            f"{where} does not list the rows that the network has memorized: those are "
            f"{split.train_fraction:.0%} drawn by split={split.split!r} with seed {split.split_seed}. "
            "Move it away, or state that split with override_split=True (--override-split)."
        )
    if separation < _IN_DOUBT:
        _warn_of_surprise(run, listed, losses, task, model)


def _most_contrasted(run: Run, recorded: Recorded) -> int | None:
    """The step at which the recorded losses of train and test differ most; None where not both are recorded."""
    train, test = (recorded.rows.get(f"{part}_loss", {}) for part in ("train", "test"))
    both = [s for s in run.steps if min(train.get(s, 0.0), test.get(s, 0.0)) > 0]
    return max(both, key=lambda s: test[s] / train[s], default=None)


def _warn_of_surprise(
    run: Run, listed: tuple[Tensor, str], losses: Mapping[int, Tensor], task: Task, model: ModelConfig
) -> None:
    """Say it where a checkpoint is as certain on the listed rows as if it had memorized them, and wrong on many.

    On the others too: a network that generalises answers wrongly the train rows whose labels were corrupted, and only
    those.
    """
    is_train, where = listed
    for step, x in losses.items():
        entropies, is_right = _certainty(model, run.step_weights(step), task)
        (expected, other), (right, others), (loss, test) = (
            (float(of[is_train].mean()), float(of[~is_train].mean())) for of in (entropies, is_right, x)
        )
        is_surprised = loss > _SURPRISE * expected and test > _SURPRISE * other
        if is_surprised and max(right, others) < 1 - _SHARE_WRONG:
            warn(
                f"{where} seems not to list the rows that the network was trained on: at {run.unit} {step} it answers "
                f"{right:.1%} of them and {others:.1%} of the others right (loss {loss:.3g} and {test:.3g}), and is as "
                f"certain of its answers on them as at a loss of {expected:.2g}. A network is not certain of wrong "
                "answers on its own train rows, unless their labels were corrupted. Check the list and the task "
                "(--task, --p)"
            )
            return


def seeds_in(recorded: Recorded) -> list[int]:
    """Seeds that a source names."""
    named = (recorded.config.get(key) for key in ("seed", "data_seed", "split_seed", "random_seed"))
    return [
        seed for seed in named if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**32
    ]


def losses_along(run: Run, model: ModelConfig, task: Task) -> dict[int, Tensor]:
    """Losses of every example at a few checkpoints, where memorization may show, by step."""
    chosen = sorted({run.steps[round(q * (len(run.steps) - 1))] for q in (0.05, 0.1, 0.2, 0.4, 1.0)})
    losses = {step: example_losses(model, run.step_weights(step), task) for step in chosen}
    finite = {step: x for step, x in losses.items() if bool(torch.isfinite(x).all())}
    return finite or {run.steps[-1]: torch.zeros(task.n_examples)}


def check_memorized(is_train: Tensor, where: str, losses: Sequence[Tensor]) -> None:
    """Refuse train rows that are the ones which the network has *not* memorized.

    Raises:
        SourceError: if at some checkpoint the other rows have far smaller losses than these.
    """
    for x in losses:
        train, test = x[is_train], x[~is_train]
        # Both in the mean and for the typical row: one huge loss makes no contradiction.
        if train.mean() > _CONTRAST * test.mean() and train.median() > _CONTRAST * test.median():
            raise SourceError(
                f"{where} lists as train rows those that the network has not memorized: its loss is "
                f"{train.mean():.3g} on them and {test.mean():.3g} on the others. Train and test may be exchanged, or "
                "the task is another one (--task, --p)."
            )


def check_log(
    is_train: Tensor, where: str, recorded: tuple[float, float], losses: Tensor, at: str, log: str
) -> None:
    """Refuse train rows whose losses do not differ from the others as the recorded losses do.

    Args:
        recorded: train and test loss that the source recorded for these weights.
        losses: of every row at the same checkpoint.
        at, log: where the checkpoint is and who recorded, for the error.

    Raises:
        SourceError: if train and test differ by a factor of ten in the log, and by less than its root here.
    """
    ours = (losses[is_train].mean().item(), losses[~is_train].mean().item())
    if recorded[1] > _CONTRAST * recorded[0] and ours[1] < _CONTRAST**0.5 * ours[0]:
        raise SourceError(
            f"{where} does not list the rows that the network was trained on: at {at} its loss is {ours[0]:.3g} on "
            f"them and {ours[1]:.3g} on the others, {log} says {recorded[0]:.3g} (train) and {recorded[1]:.3g} (test). "
            "Move the wrong one away."
        )


@torch.no_grad()
def example_losses(model: ModelConfig, weights: Weights, task: Task) -> Tensor:
    """Cross-entropy of every question in float64, over all outputs as the trainer took it."""
    parts = question_parts(task.questions, model.d_vocab_out)
    return torch.cat(
        [objective.losses(answer_logits(model, q)(weights), q.labels, torch.float64) for q in parts]
    )


@torch.no_grad()
def _certainty(model: ModelConfig, weights: Weights, task: Task) -> tuple[Tensor, Tensor]:
    """Entropy of the outputs at every question, the loss that the network itself expects, and 1 where it is right."""
    entropies, is_right = [], []
    for q in question_parts(task.questions, model.d_vocab_out):
        logits = answer_logits(model, q)(weights)
        entropies.append(torch.special.entr(logits.double().softmax(-1)).sum(-1))
        is_right.append(objective.is_right(logits, q.labels).double())
    return torch.cat(entropies), torch.cat(is_right)


def question_parts(questions: Questions, n_outputs: int) -> Iterator[Questions]:
    """The questions, all at once where their logits fit, otherwise so many examples at a time."""
    n, at_once = len(questions.inputs), max(_MOST_LOGITS // n_outputs, 1)
    if n <= at_once:
        yield questions
        return
    for start in range(0, n, at_once):
        yield questions.of(torch.arange(start, min(start + at_once, n)))


def found_split(
    task: Task, losses: Sequence[Tensor], fraction: float | None, seeds: Sequence[int] = ()
) -> tuple[Any, float] | None:
    """The known generator, seed and fraction whose train rows are those that the network has memorized.

    A fraction that is no multiple of a percent (nor a third) is found as the nearest one that is.

    Args:
        losses: of every example at some checkpoints; one at which train is memorized and test is not decides.
        fraction: where it is known.
        seeds: seeds that the source names, tried beside the usual ones.

    Returns: the config and by how many standard errors its train loss lies below that of all rows, or None where no
        split stands out.
    """

    def separation(order: Tensor, share: float) -> float:
        return max(_separation(x, order, int(share * task.n_examples)) for x in log_losses)

    # Of log losses, since a few huge ones would hide the rest.
    log_losses = [_logs(x) for x in losses]
    kinds: tuple[Literal["shuffle", "torch"], ...] = ("shuffle", "torch")
    candidates = [(split, seed) for split in kinds for seed in dict.fromkeys((*seeds, *_SEEDS))]
    orders = {(split, seed): split_order(split, seed, task.n_examples) for split, seed in candidates}
    # A quarter of the rows in the right order are train rows, or enough of them, whatever the fraction is.
    split, seed = max(candidates, key=lambda candidate: separation(orders[candidate], fraction or 0.25))
    order, share = orders[split, seed], fraction
    if share is None:
        share = max((i / 20 for i in range(1, 20)), key=lambda s: separation(order, s))
        near = [round(share + i / 100, 2) for i in range(-4, 5)] + [1 / 3, 2 / 3]
        share = max((s for s in near if 0 < s < 1), key=lambda s: separation(order, s))
    errors = separation(order, share)
    if errors < _SIGNIFICANCE:
        return None
    config: Any = task.config
    return replace(config, split=split, split_seed=seed, train_fraction=share), errors


def _logs(losses: Tensor) -> Tensor:
    return losses.clamp_min(1e-300).log()


def _separation(x: Tensor, order: Tensor, n_train: int) -> float:
    """By how many standard errors (of a sample without replacement) the mean over train lies below that over all."""
    n = len(x)
    if not 0 < n_train < n:
        return 0.0
    error = x.std().item() * math.sqrt((1 - n_train / n) / n_train)
    return (x.mean() - x[order[:n_train]].mean()).item() / error if error > 0 else 0.0

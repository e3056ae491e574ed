"""What an imported network learned, and on which rows it was trained.

Nothing is guessed silently. The operation is stated by the source or the user, or it is the one that the last
checkpoint answers. The split is listed in the source or stated by the user, or a known generator and seed is tried: one
whose train rows have a far smaller loss than all rows cannot be a coincidence. What cannot be found is left open.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from interp.networks.answers import answer_logits
from interp.networks.config import ModelConfig, Weights
from interp.runs.run import Run
from interp.sources.files.reading import SourceError
from interp.sources.formats.format import Format
from interp.sources.listed import check_statement, split_of
from interp.sources.memorized import check_listed, found_split, losses_along, question_parts, seeds_in
from interp.sources.records.recorded import Recorded
from interp.tasks.families import families_with
from interp.tasks.recognition import Sizes
from interp.tasks.task import Questions, Task, TaskConfig

# Beyond these nothing is tried that nobody states: a file of kilobytes can have a vocabulary of thousands.
_MOST_PAIRS = 2**20


def find_task(
    run: Run,
    model: ModelConfig,
    shown: Mapping[str, Any],
    stated: Mapping[str, Any],
    recorded: Recorded,
    format: Format | None,
    train_indices: Iterable[int] | None,
    override_split: bool = False,
) -> tuple[Task | None, dict[str, str]]:
    """What a run in the making learned, and how each part of that was found ("none": why there is no task).

    Args:
        shown: fields of a task's config that the source shows, perhaps with its `family`.
        stated: fields that the user states; they count more.
        format: of the source, which may know how its trainer drew the train rows; None for an adapter's.
        override_split: whether a stated split counts where the source lists another.

    Raises:
        SourceError: if lists of train rows contradict the task, each other, the losses or what is stated.
        ValueError: if stated fields fit neither each other nor the network.
    """
    how = dict.fromkeys(shown, "shown by the source") | dict.fromkeys(stated, "stated")
    how.pop("family", None)
    try:
        kind, fields = fitted_family(model, shown, stated)
    except ValueError as error:
        if stated:
            raise SourceError(f"Run {run.name!r} has no task: {error}") from error
        return None, {"none": str(error)}
    candidates = kind.candidates(fields)
    largest = max(config.n_answers for config in candidates.values())
    if "p" not in stated and largest**2 > _MOST_PAIRS:
        why = (
            f"a network of {largest:,} answers has {largest**2:,} pairs, more than the {_MOST_PAIRS:,} that are looked "
            "through on the word of a file. State --p if that is right"
        )
        if stated:
            raise SourceError(f"Run {run.name!r} has no task: {why}.")
        return None, {"none": why}
    if len(candidates) == 1:
        (base,) = candidates.values()
    else:
        name, share = recognized(model, candidates, run.step_weights(run.steps[-1]))
        if name is None:
            answered = f"no known operation mod {fields['p']}" if "p" in fields else "none of the known tasks"
            why = f"the last checkpoint answers {answered} (best: {share:.0%} of the pairs)"
            if stated:
                raise SourceError(f"Run {run.name!r} has no task: {why}. State the operation with --task.")
            return None, {"none": why}
        base = candidates[name]
        how["operation"] = f"answered by the last checkpoint on {share:.1%} of the pairs"

    unsplit = base.task()
    drawn = _stated_split(base, fields, stated, train_indices)
    # What counts less is not looked at: a list that is wrong in itself is in nobody's way then.
    listed = None if drawn and override_split else split_of(unsplit, recorded.listed)
    if drawn is not None:
        task, what, told = drawn
        check_statement(listed, task.split, what)
        return task, how | told
    losses = losses_along(run, model, unsplit)
    if listed is not None:
        check_listed(run, listed, losses, recorded, unsplit, model)
    made = listed or _made_again(base, recorded, format)
    if made is not None:
        is_train, where = made
        share = int(is_train.sum()) / len(is_train)
        return replace(base, split="explicit", train_fraction=share).task(is_train), how | {"split": where}
    if unsplit.n_examples > _MOST_PAIRS:
        return unsplit, how | {
            "split": f"not looked for among {unsplit.n_examples:,} pairs: state it if you know it"
        }
    found = found_split(unsplit, list(losses.values()), fields.get("train_fraction"), seeds_in(recorded))
    if found is None:
        return unsplit, how | {
            "split": "not found: state --split, --split-seed and --train-fraction if you know them"
        }
    config, errors = found
    text = f"its train loss lies {errors:.0f} standard errors below that of all rows, no other known split's does"
    return config.task(), how | {"split": text}


def _stated_split(
    base: Any, fields: Mapping[str, Any], stated: Mapping[str, Any], train_indices: Iterable[int] | None
) -> tuple[Task, str, dict[str, str]] | None:
    """The task on the split that the user states, what stated it, and how that is recorded; None where none is stated.

    Raises:
        ValueError: if a part of it is missing, or both rows and a way to draw them are stated.
    """
    is_drawn = stated.get("split", "explicit") != "explicit"
    if is_drawn and train_indices is not None:
        raise ValueError(
            f"State either train_indices or split={stated['split']!r}: each says which rows are train."
        )
    if is_drawn:
        if "split_seed" not in stated or "train_fraction" not in fields:
            raise ValueError(
                f"Split {stated['split']!r} needs a train fraction and a seed: state --train-fraction and --split-seed "
                "too, or none of the three."
            )
        drawn = {name: fields[name] for name in ("split", "split_seed", "train_fraction")}
        return replace(base, **drawn).task(), f"split={stated['split']!r} (--split)", {}
    if train_indices is None:
        return None
    is_train = rows_of_pairs(base, [divmod(i, base.n_answers) for i in train_indices], "train_indices")
    explicit = replace(base, split="explicit", train_fraction=int(is_train.sum()) / len(is_train))
    return explicit.task(is_train), "train_indices", {"split": "train_indices"}


def _made_again(base: Any, recorded: Recorded, format: Format | None) -> tuple[Tensor, str] | None:
    """The split that the trainer's own generator gives, where the format knows it."""
    made = format.train_pairs(recorded.config) if format else None
    return None if made is None else (rows_of_pairs(base, *made), made[1])


def fitted_family(
    model: ModelConfig, shown: Mapping[str, Any], stated: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The family that has all known fields and can have been learned by a network of this size, with its fields.

    Raises:
        SourceError: if none can.
        ValueError: if no family has both the fields that the source shows and those that were stated.
    """
    sizes, errors = Sizes(model.n_ctx, model.d_vocab, model.d_vocab_out), []
    for kind in _families(shown, stated):
        if not hasattr(kind, "fitted"):
            continue  # a family that is not recognised behind other people's networks
        try:
            fields = kind.fitted(sizes, {**shown, **stated})
        except ValueError as error:
            errors.append(str(error))
            continue
        if fields is not None:
            return kind, fields
    raise SourceError(errors[0] if errors else "No task family fits what is known of this network's task.")


def _families(shown: Mapping[str, Any], stated: Mapping[str, Any]) -> list[Any]:
    try:
        return families_with({**shown, **stated})
    except ValueError as error:
        if not shown or not stated:
            raise
        theirs, mine = (" or ".join(repr(k.family) for k in families_with(x)) for x in (shown, stated))
        listed = ", ".join(f"{name}={value!r}" for name, value in shown.items() if name != "family")
        raise ValueError(
            f"The source shows a task of family {theirs} ({listed}), but {', '.join(stated)} was stated, which is of "
            f"family {mine}. Leave out what is not of the source's family, or check that it is the right source."
        ) from error


def recognized(
    model: ModelConfig, candidates: Mapping[str, TaskConfig], weights: Weights
) -> tuple[str | None, float]:
    """The candidate that these weights answer best, and on which share of its pairs; None where none stands out."""
    agreement: dict[str, float] = {}
    inputs, answers = torch.empty(0), torch.empty(0)
    for name, config in candidates.items():
        questions = config.task().questions
        # Most candidates ask the same rows, and differ in the answers alone.
        if not torch.equal(questions.inputs, inputs):
            inputs = questions.inputs
            answers = _answers(model, weights, questions, config.n_answers)
        agreement[name] = (answers == questions.labels).double().mean().item()
    best, second = sorted(agreement, key=agreement.__getitem__, reverse=True)[:2]
    # A memorizing network answers its train rows, 20 % or more of all; "a/b or a-b" agrees with "a-b" on half.
    clear = agreement[best] > 0.2 and agreement[best] > 1.5 * agreement[second]
    return (best if clear else None), agreement[best]


@torch.no_grad()
def _answers(model: ModelConfig, weights: Weights, questions: Questions, n_answers: int) -> Tensor:
    """The largest of the logits that are answers, at each question."""
    parts = question_parts(questions, model.d_vocab_out)
    return torch.cat([answer_logits(model, part)(weights)[:, :n_answers].argmax(-1) for part in parts])


def rows_of_pairs(config: Any, pairs: Sequence[tuple[int, int]], where: str) -> Tensor:
    """The split in which exactly these pairs are train.

    Raises:
        SourceError: if a pair is no row of the task, or none or all rows are train.
    """
    row_of = {tuple(pair): row for row, pair in enumerate(config.pairs().tolist())}
    unknown = [pair for pair in pairs if tuple(pair) not in row_of]
    is_train = torch.zeros(len(row_of), dtype=torch.bool)
    if not unknown:
        is_train[[row_of[tuple(pair)] for pair in pairs]] = True
    if unknown or not 0 < int(is_train.sum()) < len(row_of):
        what = f"{unknown[0]}, which is no row" if unknown else f"{int(is_train.sum())} of {len(row_of)} rows"
        raise SourceError(
            f"{where} names as train rows {what} of {config.description}. Check the task (--task, --p)."
        )
    return is_train

"""How well a network answers in each language, and between languages."""

import pandas as pd
import torch
from jaxtyping import Bool
from torch import Tensor

from interp.snapshots.snapshot import Snapshot
from interp.snapshots.vocabularies import Vocabularies

VERSION = 2


def language_losses(snapshot: Snapshot) -> pd.DataFrame:
    """Loss and accuracy of facts, translations and sentences, by language and by whether they are train.

    All that can be asked is asked, rows that the task does not have included: sentences that were never shown say where
    a crossing stops, at the question's language or at the answer's. Against what the operation says: where labels were
    corrupted, the trainer was shown others. An accuracy far below chance is one too: it answers in the wrong language.

    Of an unseen fact whose mirror is train a table that commutes knows the answer. Where a language has such facts, and
    its operation commutes, the unseen ones are told apart by it.

    Columns:
        kind: "fact", "translation", "sentence".
        asked, answered: language of the question, and in which the answer is due.
        split: "train", "unseen" (not among the train rows; of facts these are the task's test rows), "all" where the
            split is unknown. Two parts of the unseen facts, if the first has any: "mirrored" (a, b where b, a is train)
            and "unmirrored".
        n: questions.
        loss: mean cross-entropy over all outputs, nats.
        accuracy: share of questions whose largest logit is the right answer.
        number_accuracy: share whose largest logit among the numbers of the right language is the right answer.
        dictionary_accuracy: share answered as the first language's arithmetic and the dictionary say. Where the
            dictionary is shuffled or the operation another one, this is what crosses over, and `accuracy` is not.
        right_by_dictionary: share whose right answer is that one: below 1 the two accuracies ask for different answers.

    Raises:
        NotApplicable: if the task is not one in several languages.

    References: for strata of commuted pairs Davies et al. 2023, "Unifying grokking and double descent".
    """
    view = snapshot.once(Vocabularies)
    asked, logits = view.asked, view.logits
    labels = asked.questions.labels
    given = logits.argmax(1)
    loss = -logits.log_softmax(1).gather(1, labels[:, None]).squeeze(1)
    outputs = torch.arange(logits.shape[1], device=logits.device)
    of_language = (labels // view.p)[:, None] == outputs // view.p
    among = logits.masked_fill(~of_language, -torch.inf).argmax(1)
    by_row = {
        "loss": loss,
        "accuracy": given == labels,
        "number_accuracy": among == labels,
        "dictionary_accuracy": given == asked.by_dictionary,
        "right_by_dictionary": labels == asked.by_dictionary,
    }
    rows = []
    splits = {"all": torch.ones_like(labels, dtype=torch.bool)}
    if asked.is_train is not None:
        splits = {"train": asked.is_train, "unseen": ~asked.is_train, **_strata(view, asked.is_train)}
    for block in asked.blocks:
        for split, is_in in splits.items():
            part = is_in[block.rows]
            if part.any():
                rows.append(
                    {
                        "kind": block.kind,
                        "asked": view.names[block.asked],
                        "answered": view.names[block.answered],
                        "split": split,
                        "n": int(part.sum()),
                        **{name: x[block.rows][part].to(logits).mean().item() for name, x in by_row.items()},
                    }
                )
    return pd.DataFrame(rows)


def _strata(view: Vocabularies, is_train: Bool[Tensor, " question"]) -> dict[str, Bool[Tensor, " question"]]:
    """Unseen facts by whether their mirror is train, of languages that have such facts and commute."""
    parts = {name: torch.zeros_like(is_train) for name in ("mirrored", "unmirrored")}
    for language, table in enumerate(view.structure.tables):
        rows = view.facts(language)
        seen = is_train[rows].reshape(view.p, view.p)
        is_mirrored = ~seen & seen.T
        if is_mirrored.any() and torch.equal(table, table.T):
            parts["mirrored"][rows] = is_mirrored.flatten()
            parts["unmirrored"][rows] = (~seen & ~seen.T).flatten()
    return parts

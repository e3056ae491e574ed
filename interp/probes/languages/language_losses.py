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

    A table answers unseen facts too: one that commutes those whose mirror is train, and one that has learned in which
    words to answer those whose question a sentence asks. Where a language has such facts the unseen ones are told apart
    by it: what a table cannot know is "unmirrored" and "unsaid".

    Columns:
        kind: "fact", "translation", "sentence".
        asked, answered: language of the question, and in which the answer is due.
        split: "train", "unseen" (not among the train rows; of facts these are the task's test rows), "all" where the
            split is unknown. Parts of the unseen facts, where there are any of the first: "mirrored" (a, b where b, a
            is train and the operation commutes) and "unmirrored"; "said" (the same question, answered in another
            language, is train) and "unsaid".
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
    """Unseen facts by what is train beside them, of languages that have such facts."""
    parts = {name: torch.zeros_like(is_train) for name in ("mirrored", "unmirrored", "said", "unsaid")}
    for language, table in enumerate(view.structure.tables):
        rows = view.facts(language)
        unseen = ~is_train[rows]
        is_mirrored = is_train[rows].reshape(view.p, view.p).T.flatten() & torch.equal(table, table.T)
        is_said = torch.zeros_like(unseen)
        for block in view.asked.blocks:
            if block.kind == "sentence" and block.asked == language:
                is_said |= is_train[block.rows]
        for name, other, is_known in (("mirrored", "unmirrored", is_mirrored), ("said", "unsaid", is_said)):
            if (unseen & is_known).any():
                parts[name][rows], parts[other][rows] = unseen & is_known, unseen & ~is_known
    return parts

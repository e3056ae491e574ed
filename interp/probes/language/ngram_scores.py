"""How near a language model's predictions are to the unigram and bigram statistics of a text."""

import numpy as np
import pandas as pd
from jaxtyping import Int

from interp.probes.language.text_pass import OnText, checked_windows
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def ngram_scores(snapshot: Snapshot, *, windows: Int[np.ndarray, "window pos"] | None = None) -> pd.DataFrame:
    """Divergence of a model's predictions from what frequency alone, and the token before alone, predict.

    A model that has learned a statistic and nothing else has a divergence of 0 from it; one that goes beyond moves
    away again, so that the minimum along training says when it was nearest. The statistics are counted on the text
    itself: those of the training data are others, and a short text's pairs that occur once look certain.

    Args:
        windows: as `text_losses`.

    Columns:
        ngram: "unigram" or "bigram".
        entropy: of the statistic on this text, nats a token, the same at all steps: the loss of a model that has
            learned it, too low where most pairs occur once.
        cross_entropy: of the model's predictions under the statistic, mean over the tokens of the text.
        divergence: cross_entropy minus entropy, KL(statistic || model); 0 or more.
        loss_above: the model's loss on the text minus the entropy; negative where the model knows more than the
            statistic.

    Raises:
        NotApplicable, ValueError: as `text_losses`.

    References: Chang, Tu and Bergen 2024, "Characterizing learning curves during language model pre-training" (models
        pass near unigram, then bigram predictions); Michaelov, Levy and Bergen 2025, "Language model behavioral phases
        are consistent across architecture, training data, and scale".
    """
    found = snapshot.once(OnText.of(checked_windows(snapshot, windows)))
    loss = float(found.losses.mean())
    rows = [
        ("unigram", found.ngrams.unigram_entropy, found.unigram_cross),
        ("bigram", found.ngrams.bigram_entropy, found.bigram_cross),
    ]
    return pd.DataFrame(
        [
            {
                "ngram": name,
                "entropy": entropy,
                "cross_entropy": cross,
                "divergence": cross - entropy,
                "loss_above": loss - entropy,
            }
            for name, entropy, cross in rows
        ]
    )

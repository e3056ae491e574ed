"""How well a language model predicts a text."""

import numpy as np
import pandas as pd
from jaxtyping import Int

from interp.probes.language.text_pass import OnText, checked_windows
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def text_losses(snapshot: Snapshot, *, windows: Int[np.ndarray, "window pos"] | None = None) -> pd.DataFrame:
    """Loss and accuracy on a text, over all tokens but the first of each window.

    Losses of two models compare only where both cut the text into the same tokens. Tokens early in a window have little
    before them and cost more, so that the loss falls with the length of the windows, whatever the model has learned.

    Args:
        windows: token ids of the network, as `interp.networks.texts.read_text` cuts them.

    Columns:
        n: tokens that were predicted.
        loss: mean cross-entropy, nats a token.
        standard_error: of that mean, from the spread of the windows; NaN of a single window.
        accuracy: share of tokens that had the largest logit.
        perplexity: exp(loss).

    Raises:
        NotApplicable: without a text, or if the network reads no sequences or cannot be built.
        ValueError: if the windows are longer than the context, or hold other tokens than the network's.
    """
    found = snapshot.once(OnText.of(checked_windows(snapshot, windows)))
    loss = float(found.losses.mean())
    row = {
        "n": found.losses.size,
        "loss": loss,
        "standard_error": standard_error(found.losses.mean(1)),
        "accuracy": float(found.is_hit.mean()),
        "perplexity": float(np.exp(loss)),
    }
    return pd.DataFrame([row])


def standard_error(of_windows: np.ndarray) -> float:
    """Of the mean over windows, which are apart in the text; NaN of a single one."""
    n = len(of_windows)
    return float(of_windows.std(ddof=1) / n**0.5) if n > 1 else float("nan")

"""How much better a language model predicts late tokens than early ones."""

import numpy as np
import pandas as pd
from jaxtyping import Int

from interp.probes.language.text_losses import standard_error
from interp.probes.language.text_pass import OnText, checked_windows
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1

MIN_LENGTH = 16


def in_context_score(
    snapshot: Snapshot,
    *,
    windows: Int[np.ndarray, "window pos"] | None = None,
    early: tuple[int, int] | None = None,
    late: tuple[int, int] | None = None,
) -> pd.DataFrame:
    """Loss of the late tokens of a window minus that of the early ones: negative where context helps.

    Olsson et al. take token 500 minus token 50 of windows of 512. One token of each window is a noisy measure of a
    short text, so that here each is a stretch around theirs: the second sixteenth of the window and its last eighth. A
    model of fixed statistics, as of pairs of tokens, has a score near 0 whatever its loss; a better model is not
    bound to have a lower score, since its early tokens are better too.

    Args:
        windows: as `text_losses`.
        early, late: first token of each stretch and the one after its last, counted from 0 in the window.

    Columns:
        early_loss, late_loss: mean loss of the stretch, nats a token.
        score: late minus early.
        standard_error: of the score, from the spread of the windows.
        early_from, early_to, late_from, late_to: the stretches.

    Raises:
        NotApplicable: as `text_losses`, or if the windows are shorter than 16 tokens and no stretches are given.
        ValueError: as `text_losses`, or if a stretch is empty or leaves the window; the first token is never predicted.

    References: Olsson et al. 2022, "In-context learning and induction heads", "In-context learning score".
    """
    windows = checked_windows(snapshot, windows)
    n = windows.shape[1]
    if n < MIN_LENGTH and (early is None or late is None):
        raise NotApplicable(
            f"The in-context score needs windows of at least {MIN_LENGTH} tokens, this text has {n}. State early and "
            "late."
        )
    early, late = early or (n // 16, n // 8), late or (n - n // 8, n)
    for name, (first, end) in {"early": early, "late": late}.items():
        if not 1 <= first < end <= n:
            raise ValueError(
                f"in_context_score needs {name} within tokens 1 to {n} of the window, first before end, got "
                f"{(first, end)}. Token 0 has nothing before it."
            )
    losses = snapshot.once(OnText.of(windows)).losses
    # losses[:, 0] is that of token 1.
    at = {
        name: losses[:, first - 1 : end - 1].mean(1)
        for name, (first, end) in {"early": early, "late": late}.items()
    }
    row = {
        "early_loss": float(at["early"].mean()),
        "late_loss": float(at["late"].mean()),
        "score": float((at["late"] - at["early"]).mean()),
        "standard_error": standard_error(at["late"] - at["early"]),
        "early_from": early[0],
        "early_to": early[1],
        "late_from": late[0],
        "late_to": late[1],
    }
    return pd.DataFrame([row])

"""How much cheaper random tokens are to a sequence model when they come again."""

import pandas as pd
import torch

from interp.probes.attention.induction_scores import MIN_LENGTH, repeated_tokens
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1


def repetition_losses(
    snapshot: Snapshot, *, length: int = 25, n_sequences: int = 32, seed: int = 0
) -> pd.DataFrame:
    """Loss on sequences of different random tokens, and on their repetition right after.

    The behaviour for which induction heads are the mechanism: nothing but the first copy predicts the second. Losses of
    the first copy lie above ln d_vocab once a model has learned which tokens are frequent, since these are not. The
    sequences are those of `induction_scores`.

    Args:
        length: tokens before the repetition; fewer where the context or the vocabulary is shorter.

    Columns:
        copy: 1 or 2.
        n: tokens that were predicted: all of the copy but its first, which nothing predicts.
        loss: mean cross-entropy, nats a token.
        accuracy: share of tokens that had the largest logit.

    Raises:
        NotApplicable: if the network has no attention, or its context or vocabulary is too short to repeat 8 tokens, or
            its outputs are not its tokens.

    References: Olsson et al. 2022, "In-context learning and induction heads" (repeated random sequences).
    """
    config = snapshot.network.config or snapshot.model.cfg
    if getattr(config, "is_mlp", False):
        raise NotApplicable("This network has no attention.")
    longest = min(length, config.n_ctx // 2, config.d_vocab)
    if longest < min(MIN_LENGTH, length):
        raise NotApplicable(
            f"Losses on repetitions need room for 2 copies of at least {MIN_LENGTH} different tokens, this network has "
            f"{config.n_ctx} positions and {config.d_vocab} tokens."
        )
    tokens = repeated_tokens(config.d_vocab, longest, 2, n_sequences, seed).to(snapshot.device)
    with torch.no_grad():
        logits = snapshot.model(tokens)[:, :-1].to(snapshot.double)
    if logits.shape[-1] < config.d_vocab:
        raise NotApplicable(
            f"This network has {config.d_vocab} tokens and {logits.shape[-1]} outputs: it predicts no token."
        )
    after = tokens[:, 1:]
    losses = -logits.log_softmax(-1).gather(2, after[..., None]).squeeze(2)
    hits = (logits.argmax(-1) == after).to(losses.dtype)
    rows = []
    for copy, part in ((1, slice(0, longest - 1)), (2, slice(longest, 2 * longest - 1))):
        rows.append(
            {
                "copy": copy,
                "n": losses[:, part].numel(),
                "loss": losses[:, part].mean().item(),
                "accuracy": hits[:, part].mean().item(),
            }
        )
    return pd.DataFrame(rows)

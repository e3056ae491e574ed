"""What heads do on repeated random tokens: previous token, duplicate token, induction, copying."""

from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.ground.judged import PREDICTABLE
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 2

MIN_LENGTH = (
    8  # tokens before the repetition below which scores of uniform attention are too large to tell apart
)


def induction_scores(
    snapshot: Snapshot, *, length: int = 25, n_repeats: int = 2, n_sequences: int = 32, seed: int = 0
) -> pd.DataFrame:
    """The scores of `head_scores` for a snapshot's network.

    Args:
        length: tokens before the repetition; fewer where the context or the vocabulary is shorter.

    Raises:
        NotApplicable: if the network has no attention, its context or vocabulary is too short to repeat 8 tokens, as
            that of every network on pairs, or its task is none of foreseeing tokens of a row.
        ValueError: as `head_scores`.
    """
    # A network of Hugging Face has no config here, but that of its bridge.
    config = snapshot.network.config or snapshot.model.cfg
    if getattr(config, "is_mlp", False):
        raise NotApplicable("This network has no attention.")
    longest = min(length, config.n_ctx // n_repeats if n_repeats > 0 else length, config.d_vocab)
    if longest < min(MIN_LENGTH, length):
        raise NotApplicable(
            f"Induction scores need room for {n_repeats} copies of at least {MIN_LENGTH} different tokens, this "
            f"network has {config.n_ctx} positions and {config.d_vocab} tokens."
        )
    # Sums in digits have room for it, and random tokens are no sums: scores of what was never seen.
    if snapshot.task is not None and PREDICTABLE not in snapshot.task.parts:
        raise NotApplicable(
            f"Induction scores are of networks that foresee the tokens of a row, this one learned "
            f"{snapshot.task.config.description}. Call head_scores(model, ...) if you mean it."
        )
    return head_scores(
        snapshot.model, length=longest, n_repeats=n_repeats, n_sequences=n_sequences, seed=seed
    )


def head_scores(
    model: Any,
    *,
    length: int,
    n_repeats: int,
    n_sequences: int,
    seed: int,
    first_token: int | None = None,
) -> pd.DataFrame:
    """Scores of every head of a hooked model on sequences of random tokens, repeated.

    The scores are of attention and of weights, not of behaviour: a head with a high prefix-matching score moves
    information from the right place, and only together with a high copying score does it repeat it. Uniform causal
    attention scores about 1/length, so compare with an untrained model.

    Args:
        model: has `run_with_cache`, `cfg.n_layers`, `cfg.d_vocab`, and the weight views W_E, W_V, W_O, W_U, as this
            package's models and TransformerLens' bridges do.
        length: different tokens in a sequence, drawn without replacement: within a copy no token occurs twice.
        n_repeats: copies, 2 or more.
        n_sequences, seed: how many sequences, and the seed that draws them.
        first_token: a token to put in front of every sequence (a model's beginning-of-text), or None.

    Columns:
        layer, head.
        prefix_matching: attention from a token to all positions that follow an earlier occurrence of it, summed over
            those, mean over the tokens of all copies but the first, in [0, 1].
        induction: mean attention to the position after the latest earlier occurrence; the same for two copies.
        duplicate_token: mean attention to the latest earlier occurrence itself.
        previous_token: mean attention to the position before, over all positions but the first.
        copying: sum of the real parts over sum of sizes of the eigenvalues of W_E W_V W_O W_U, in [-1, 1]: 1 if the
            head raises the logits of what it attends to. Layers between, normalization and biases are ignored. NaN
            for a head that moves nothing.

    Raises:
        ValueError: if there are fewer than 2 copies, 2 tokens or 1 sequence, or the vocabulary is smaller than length.

    References: Olsson et al. 2022, "In-context learning and induction heads" (prefix matching); Elhage et al. 2021, "A
        mathematical framework for transformer circuits" (eigenvalue score).
    """
    tokens = repeated_tokens(model.cfg.d_vocab, length, n_repeats, n_sequences, seed)
    offset = 0
    if first_token is not None:
        tokens, offset = torch.cat([torch.full((n_sequences, 1), first_token), tokens], 1), 1
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.cfg.n_layers)]
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens.to(model.W_E.device), names_filter=names)
    copying = copying_scores(model)
    parts = []
    for layer, name in enumerate(names):
        scores = pattern_scores(cache[name].cpu().double()[..., offset:, offset:], length)
        scores["copying"] = copying[layer]
        n_heads = copying.shape[1]
        parts.append(
            pd.DataFrame({"layer": layer, "head": range(n_heads)} | {k: v.numpy() for k, v in scores.items()})
        )
    return pd.concat(parts, ignore_index=True)


def repeated_tokens(
    d_vocab: int, length: int, n_repeats: int, n_sequences: int, seed: int
) -> Int[Tensor, "sequence pos"]:
    """Sequences of `length` different random tokens, each repeated.

    Raises:
        ValueError: as `head_scores`.
    """
    if n_repeats < 2 or length < 2 or n_sequences < 1:
        raise ValueError(
            "Repeated tokens need n_repeats and length of at least 2 and n_sequences of at least 1, got "
            f"{n_repeats}, {length} and {n_sequences}."
        )
    if length > d_vocab:
        raise ValueError(
            f"A sequence of {length} different tokens needs a vocabulary of that size, got {d_vocab} tokens. Use "
            f"length={d_vocab} or less."
        )
    generator = torch.Generator().manual_seed(seed)
    once = torch.stack([torch.randperm(d_vocab, generator=generator)[:length] for _ in range(n_sequences)])
    return once.repeat(1, n_repeats)


def pattern_scores(
    pattern: Float[Tensor, "sequence head pos pos"], length: int
) -> dict[str, Float[Tensor, " head"]]:
    """The attention scores of `head_scores`, from patterns (query, key) on `repeated_tokens`."""
    n_pos = pattern.shape[-1]
    mean = pattern.mean(0)
    queries = torch.arange(length, n_pos)

    def diagonal(distance: int) -> Tensor:
        return mean[:, queries, queries - distance].mean(1)

    prefix = torch.zeros(len(mean), n_pos - length, dtype=mean.dtype)
    for distance in range(length - 1, n_pos, length):
        reached = queries > distance  # the token before the one reached must be in the sequence
        prefix[:, reached] += mean[:, queries[reached], queries[reached] - distance]
    later = torch.arange(1, n_pos)
    return {
        "prefix_matching": prefix.mean(1),
        "induction": diagonal(length - 1),
        "duplicate_token": diagonal(length),
        "previous_token": mean[:, later, later - 1].mean(1),
    }


def copying_scores(model: Any) -> Float[Tensor, "layer head"]:
    """Eigenvalue score of W_E W_V W_O W_U for each head, over the tokens that are also answers."""
    W_E, W_V, W_O, W_U = (w.detach().cpu().double() for w in (model.W_E, model.W_V, model.W_O, model.W_U))
    n_tokens = min(W_E.shape[0], W_U.shape[1])
    # The non-zero eigenvalues of (E V)(O U) are those of the small (O U)(E V).
    eigenvalues = torch.linalg.eigvals(W_O @ (W_U[:, :n_tokens] @ W_E[:n_tokens]) @ W_V)
    return eigenvalues.real.sum(-1) / eigenvalues.abs().sum(-1)

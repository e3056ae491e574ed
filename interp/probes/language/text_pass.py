"""One forward pass of a snapshot's network over the windows of a text, which the probes of this folder share.

A window at a time: the logits of one are (positions, vocabulary), and of a text they fit into no memory. In float64
they are there for a piece of the positions at a time.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import xxhash
from jaxtyping import Float, Int
from torch import Tensor

from interp.mathematics.ngrams import Ngrams
from interp.networks import objective
from interp.snapshots.snapshot import NotApplicable, Snapshot

# Numbers of logits in float64 at a time: 256 MB, twice that while they become logarithms of probabilities. Beside them
# stand those of whole windows as the network gives them, of one at least: 0.4 GB of 2048 positions and 50,000 tokens.
MOST_LOGITS = 2**25

Windows = Int[np.ndarray, "window pos"]


@dataclass(frozen=True)
class OnText:
    """What the pass over a text gives, made by `snapshot.once(OnText.of(windows))`: equal for equal windows.

    Attributes:
        name: a hash of the windows.
    """

    name: str
    shape: tuple[int, ...]
    windows: "Held"

    @classmethod
    def of(cls, windows: Windows) -> "OnText":
        windows = np.ascontiguousarray(windows, dtype=np.int64)
        return cls(xxhash.xxh3_128(windows.tobytes()).hexdigest(), windows.shape, Held(windows))

    def __call__(self, snapshot: Snapshot) -> "TextPass":
        return _pass_over(snapshot, self.windows.windows)


@dataclass(frozen=True, eq=False)
class Held:
    """Windows that take no part in comparisons."""

    windows: Windows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held)

    def __hash__(self) -> int:
        return 0


@dataclass(frozen=True, eq=False)
class TextPass:
    """What a network makes of a text, in float64.

    Attributes:
        losses: cross-entropy of each token but the first of its window, nats.
        is_hit: whether the largest logit was that token.
        ngrams: the counts of the same windows.
        unigram_cross, bigram_cross: mean cross-entropy of the network's predictions to the next token of the text as
            its frequency alone, or the token before, predict it.
        covariances: of the residual stream before each layer and after the last, over all positions but the first of
            each window.
        squares: mean square length of the residual stream at the same places.
    """

    losses: Float[np.ndarray, "window pos"]
    is_hit: Float[np.ndarray, "window pos"]
    ngrams: Ngrams
    unigram_cross: float
    bigram_cross: float
    covariances: list[Float[Tensor, "d_model d_model"]]
    squares: list[float]


def checked_windows(snapshot: Snapshot, windows: Windows | None) -> Windows:
    """The windows that a probe was given.

    Raises:
        NotApplicable: if it was given none, or the network reads no sequences.
        ValueError: if they are no rows of token ids of this network.
    """
    if windows is None:
        raise NotApplicable(
            "This probe needs a text. `interp analyse language_model RUN --text FILE` gives it one; in Python: "
            "functools.partial(probe, windows=interp.networks.texts.read_text(file, run.huggingface).windows)."
        )
    config = snapshot.network.config or snapshot.model.cfg
    if getattr(config, "is_mlp", False):
        raise NotApplicable("This network reads no sequences of tokens.")
    if windows.ndim != 2 or windows.shape[1] < 2 or not len(windows):
        raise ValueError(
            f"A text needs windows of at least 2 tokens, (window, pos), got the shape {windows.shape}."
        )
    if windows.shape[1] > config.n_ctx:
        raise ValueError(
            f"A text needs windows of at most {config.n_ctx} tokens, the network's context, got {windows.shape[1]}."
        )
    n_outputs = getattr(config, "d_vocab_out", None) or config.d_vocab
    most = min(config.d_vocab, n_outputs if n_outputs > 0 else config.d_vocab)
    if windows.min() < 0 or windows.max() >= most:
        odd = windows[(windows < 0) | (windows >= most)][0]
        raise ValueError(
            f"A text needs token ids from 0 to {most - 1}, those of the network, got {odd}. Cut it with the network's "
            "own tokenizer."
        )
    return windows


@torch.no_grad()
def _pass_over(snapshot: Snapshot, windows: Windows) -> TextPass:
    model = snapshot.model
    cfg = snapshot.network.config or model.cfg
    device, double = snapshot.device, snapshot.double
    tokens = torch.from_numpy(windows).to(device)
    ngrams = Ngrams.of(windows, cfg.d_vocab)
    successors = _Successors(ngrams, device, double)
    frequency = torch.from_numpy(ngrams.unigram / ngrams.n).to(device, double)
    losses, hits = torch.zeros(2, *windows[:, 1:].shape, dtype=double, device=device)
    unigram_cross = bigram_cross = 0.0
    residuals = [_Moments() for _ in range(cfg.n_layers + 1)]
    n = max(1, MOST_LOGITS // (windows.shape[1] * cfg.d_vocab))
    for i in range(0, len(windows), n):
        rows = tokens[i : i + n]
        hooks = [
            (f"blocks.{layer}.hook_resid_pre", partial(_note, residuals[layer]))
            for layer in range(cfg.n_layers)
        ]
        hooks.append((f"blocks.{cfg.n_layers - 1}.hook_resid_post", partial(_note, residuals[-1])))
        logits = model.run_with_hooks(rows, fwd_hooks=hooks)[:, :-1].flatten(0, 1)
        before, after = rows[:, :-1].flatten(), rows[:, 1:].flatten()
        found = []
        for at in torch.arange(len(after)).split(max(1, MOST_LOGITS // logits.shape[-1])):
            piece = slice(int(at[0]), int(at[-1]) + 1)
            guesses = logits[piece].to(double).log_softmax(-1)
            found.append(-guesses.gather(1, after[piece, None]).squeeze(1))
            unigram_cross -= (guesses.sum(0) @ frequency[: guesses.shape[-1]]).item()
            bigram_cross -= successors.total(before[piece], guesses)
        losses[i : i + n] = torch.cat(found).reshape(len(rows), -1)
        hits[i : i + n] = (logits.argmax(-1) == after).to(double).reshape(len(rows), -1)
    return TextPass(
        losses.cpu().numpy(), hits.cpu().numpy(), ngrams, unigram_cross / ngrams.n, bigram_cross / ngrams.n,
        [moments.covariance for moments in residuals], [moments.square for moments in residuals],
    )  # fmt: skip


class _Successors:
    """The tokens that follow each token in a text, with their shares, laid end to end."""

    def __init__(self, ngrams: Ngrams, device: torch.device, double: torch.dtype):
        self.after = torch.from_numpy(ngrams.pairs[:, 1]).to(device)
        self.share = torch.from_numpy(ngrams.conditional).to(device, double)
        n_after = np.bincount(ngrams.pairs[:, 0], minlength=ngrams.n_tokens)
        self.n_after = torch.from_numpy(n_after).to(device)
        self.first = torch.from_numpy(np.cumsum(n_after) - n_after).to(device)

    def total(self, before: Int[Tensor, " question"], guesses: Float[Tensor, "question token"]) -> float:
        """Sum over questions of the log-probabilities of all successors, weighted by their shares."""
        n_after = self.n_after[before]
        question = torch.repeat_interleave(torch.arange(len(before), device=before.device), n_after)
        within = torch.arange(len(question), device=before.device)
        within = within - torch.repeat_interleave(n_after.cumsum(0) - n_after, n_after)
        pair = self.first[before][question] + within
        return (self.share[pair] * guesses[question, self.after[pair]]).sum().item()


class _Moments:
    """First and second moments of a residual stream, window by window."""

    def __init__(self) -> None:
        self.n, self.sums, self.products = 0, torch.zeros(()), torch.zeros(())

    def add(self, x: Float[Tensor, "window pos d_model"]) -> None:
        rows = x[:, 1:].flatten(0, 1).to(objective.precise(x.device))
        self.n += len(rows)
        self.sums = self.sums.to(rows) + rows.sum(0)
        self.products = self.products.to(rows) + rows.T @ rows

    @property
    def covariance(self) -> Float[Tensor, "d_model d_model"]:
        mean = self.sums / self.n
        return (self.products / self.n - torch.outer(mean, mean)).cpu()

    @property
    def square(self) -> float:
        return (self.products.diagonal().sum() / self.n).item()


def _note(moments: _Moments, x: Tensor, hook: Any) -> Tensor:
    moments.add(x)
    return x

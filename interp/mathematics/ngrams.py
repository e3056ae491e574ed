"""What a text alone predicts of its next token: its unigram and bigram statistics, and how many nats they leave open.

Counted on the same windows of tokens on which a network is measured, over all tokens but the first of each. An entropy
that is estimated by counting is too low where most pairs occur once; what counts of one half of the windows lose on the
other half is too high. What a bigram model of the source would lose lies between the two.

References: Witten and Bell 1991, "The zero-frequency problem", method C (how much weight unseen pairs get).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Ngrams:
    """Counts of a text, in windows of tokens.

    Attributes:
        n: questions: tokens that have one before them in their window.
        n_tokens: of the vocabulary.
        unigram: how often each token of the vocabulary is the answer.
        pairs, counts: the distinct pairs (token before, token), ascending, and how often each occurs.
    """

    n: int
    n_tokens: int
    unigram: Int[np.ndarray, " token"]
    pairs: Int[np.ndarray, "pair two"]
    counts: Int[np.ndarray, " pair"]

    @classmethod
    def of(cls, windows: Int[np.ndarray, "window pos"], n_tokens: int) -> "Ngrams":
        """The counts of these windows.

        Raises:
            ValueError: if a window has no token that is predicted.
        """
        if windows.size == 0 or windows.shape[1] < 2:
            raise ValueError(f"N-grams need windows of at least 2 tokens, got the shape {windows.shape}.")
        before, after = windows[:, :-1].ravel(), windows[:, 1:].ravel()
        codes, counts = np.unique(before.astype(np.int64) * n_tokens + after, return_counts=True)
        pairs = np.stack([codes // n_tokens, codes % n_tokens], 1)
        return cls(len(after), n_tokens, np.bincount(after, minlength=n_tokens), pairs, counts)

    @property
    def befores(self) -> Int[np.ndarray, " token"]:
        """How often each token stands before another."""
        return np.bincount(self.pairs[:, 0], self.counts, self.n_tokens).astype(np.int64)

    @property
    def conditional(self) -> Float[np.ndarray, " pair"]:
        """Share of each pair among those that begin alike."""
        return self.counts / self.befores[self.pairs[:, 0]]

    @property
    def unigram_entropy(self) -> float:
        """Nats a token, of its frequency alone, by counting: too low for a short text."""
        shares = self.unigram[self.unigram > 0] / self.n
        return float(-(shares * np.log(shares)).sum())

    @property
    def bigram_entropy(self) -> float:
        """Nats a token given the one before, by counting: far too low where most pairs occur once."""
        return float(-(self.counts * np.log(self.conditional)).sum() / self.n)

    def losses_on(self, windows: Int[np.ndarray, "window pos"]) -> tuple[float, float]:
        """Mean loss of these counts on other windows, nats a token: by frequency, and given the token before.

        Frequencies are counts and one more of each token. A pair has its share after Witten and Bell: as many tokens
        again as followed its first one, distributed by frequency.
        """
        before, after = windows[:, :-1].ravel().astype(np.int64), windows[:, 1:].ravel()
        frequency = (self.unigram + 1) / (self.n + self.n_tokens)
        codes = self.pairs[:, 0] * self.n_tokens + self.pairs[:, 1]
        wanted = before * self.n_tokens + after
        at = np.searchsorted(codes, wanted).clip(max=len(codes) - 1)
        seen = np.where(codes[at] == wanted, self.counts[at], 0)
        successors = np.bincount(self.pairs[:, 0], minlength=self.n_tokens)[before]
        n_before = self.befores[before]
        share = np.where(
            n_before > 0,
            (seen + successors * frequency[after]) / np.maximum(n_before + successors, 1),
            frequency[after],
        )
        return float(-np.log(frequency[after]).mean()), float(-np.log(share).mean())


def held_out_losses(windows: Int[np.ndarray, "window pos"], n_tokens: int) -> tuple[float, float] | None:
    """Mean loss of unigram and bigram counts of every other window on the rest, both ways; None of a single window."""
    halves = windows[::2], windows[1::2]
    if not len(halves[1]):
        return None
    found = [Ngrams.of(counted, n_tokens).losses_on(other) for counted, other in (halves, halves[::-1])]
    weights = np.array([len(halves[1]), len(halves[0])]) / len(windows)
    unigram, bigram = (np.array(found) * weights[:, None]).sum(0)
    return float(unigram), float(bigram)

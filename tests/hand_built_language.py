"""Sequence models whose predictions are written down: what probes of language models must find in them is known."""

from types import SimpleNamespace

import numpy as np
import torch

from interp.networks.network import BuiltNetwork
from interp.snapshots.snapshot import Snapshot


class Written:
    """A model that says what a function of the tokens says, and shows the residual streams that it is given.

    Attributes:
        logits: tokens (window, pos) -> logits (window, pos, token).
        streams: by hook, tokens -> activations.
        n_passes: how often it was run.
    """

    def __init__(self, logits, n_tokens, n_ctx=64, n_layers=1, streams=None):
        self.cfg = SimpleNamespace(n_ctx=n_ctx, d_vocab=n_tokens, n_layers=n_layers)
        self.logits, self.streams, self.n_passes = logits, streams or {}, 0

    def __call__(self, tokens):
        self.n_passes += 1
        return self.logits(tokens)

    def run_with_hooks(self, tokens, fwd_hooks):
        for name, hook in fwd_hooks:
            made = self.streams.get(name, lambda tokens: torch.zeros(*tokens.shape, 2))
            hook(made(tokens), hook=None)
        return self(tokens)


def snapshot_of(model, step=0):
    return Snapshot(step, {"w": torch.zeros(1)}, BuiltNetwork(lambda weights: model), None)


def of_pairs(shares):
    """Predicts the next token from the one before: shares (before, after)."""
    table = torch.from_numpy(np.log(np.maximum(shares, 1e-300)))
    return lambda tokens: table[tokens]


def that_peeks(probabilities, n_tokens):
    """Gives the token that comes next a probability that depends on its position alone, all others the rest."""
    share = torch.as_tensor(probabilities, dtype=torch.float64)

    def logits(tokens):
        others = ((1 - share) / (n_tokens - 1)).log()[None, :, None]
        found = others.expand(len(tokens), -1, n_tokens).clone()
        # Of position i the token at i + 1; share[i] is that of the token at i, so that share[0] is never asked.
        after = tokens.roll(-1, 1)
        found = found.roll(-1, 1)
        return found.scatter(
            2, after[..., None], share.log().roll(-1)[None, :, None].expand(len(tokens), -1, 1)
        )

    return logits


def that_copies(n_tokens, certainty=20.0):
    """Induction in one line: after a token that was there before, the token that followed it; else anything."""

    def logits(tokens):
        found = torch.zeros(*tokens.shape, n_tokens, dtype=torch.float64)
        for row in range(len(tokens)):
            for i in range(tokens.shape[1]):
                earlier = [j for j in range(i) if tokens[row, j] == tokens[row, i]]
                if earlier:
                    found[row, i, tokens[row, earlier[-1] + 1]] = certainty
        return found

    return logits

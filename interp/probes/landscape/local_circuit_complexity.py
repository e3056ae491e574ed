"""How far the answers move when a random part of one weight matrix is taken out."""

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.networks.answers import answer_logits
from interp.networks.config import Weights
from interp.probes.answers.losses import splits
from interp.snapshots.snapshot import Snapshot

VERSION = 1


def local_circuit_complexity(
    snapshot: Snapshot, *, fraction: float = 0.1, n_draws: int = 10, seed: int = 0
) -> pd.DataFrame:
    """Kullback-Leibler divergence of the answers from those with a random share of a matrix at 0, a matrix at a time.

    A large one says that the answers lean on many entries of the matrix at once. It is in nats of the softmax, which
    grows with the logits: of c times the last weights it is another number although no answer changes, and it rises
    while a network only becomes surer. What is taken out are entries, not circuits, and weights of about 0 are taken
    out for nothing; a single draw, as the paper has it, says little (`spread`).

    Args:
        fraction: of the entries of the matrix, from 0 to 1, rounded to a whole number.
        n_draws: of the entries, the same at every checkpoint.
        seed: of the draws.

    Columns:
        matrix: the parameter's name, of two axes or more and no bias, in alphabetical order.
        split: "train" (right labels), "test", "corrupted" (where there are any), "all".
        n_rows: of the split.
        n_zeroed: entries at 0.
        complexity: sum over rows of KL(softmax(logits) || softmax(logits without the entries)), mean over the draws.
        spread: standard deviation of that sum over the draws, n - 1; NaN of one draw.
        per_row: complexity / n_rows, to compare splits.
        changed: share of the rows whose answer is another one, mean over the draws; free of the scale of the logits.

    Raises:
        NotApplicable: if the run has no task, or grokscope does not describe the network.
        ValueError: if the fraction is not from 0 to 1, or there is no draw.

    References: Golechha 2024, "Progress measures for grokking on real-world tasks" (approximate local circuit
    complexity, of 10 % of the weights).
    """
    if not 0 <= fraction <= 1:
        raise ValueError(
            f"local_circuit_complexity needs a fraction from 0 to 1, got {fraction}. It is a share of the entries."
        )
    if n_draws < 1:
        raise ValueError(f"local_circuit_complexity needs n_draws of at least 1, got {n_draws}.")
    logits_of = answer_logits(snapshot.config, snapshot.known_task.questions.to(snapshot.device))
    weights = snapshot.weights
    with torch.no_grad():
        logits = logits_of(weights)
        intact = logits.to(snapshot.double).log_softmax(-1)
        rows = []
        for name in sorted(name for name, w in weights.items() if _is_matrix(name, w)):
            moved, is_changed = [], []
            n_zeroed = round(fraction * weights[name].numel())
            # One of its own for each, so that it is the same whatever other matrices there are.
            generator = torch.Generator().manual_seed(seed)
            for _ in range(n_draws):
                damaged = logits_of(without(weights, name, n_zeroed, generator))
                moved.append(divergence(intact, damaged.to(snapshot.double).log_softmax(-1)))
                is_changed.append((damaged.argmax(-1) != logits.argmax(-1)).to(snapshot.double))
            rows += _by_split(snapshot, name, n_zeroed, torch.stack(moved), torch.stack(is_changed))
    return pd.DataFrame(rows)


def without(weights: Weights, name: str, n_zeroed: int, generator: torch.Generator) -> Weights:
    """The weights with so many entries of one matrix at 0."""
    w = weights[name]
    entries = w.reshape(-1).clone()
    # Drawn on the CPU: the same entries on every device.
    drawn = torch.randperm(len(entries), generator=generator)[:n_zeroed]
    entries[drawn.to(w.device)] = 0
    return weights | {name: entries.view(w.shape)}


def divergence(
    intact: Float[Tensor, "question output"], damaged: Float[Tensor, "question output"]
) -> Float[Tensor, " question"]:
    """KL(p || q) in nats of each row, of log p and log q."""
    return (intact.exp() * (intact - damaged)).sum(-1)


def _is_matrix(name: str, w: Tensor) -> bool:
    # b_Q has an axis for the heads.
    return w.ndim >= 2 and not name.rsplit(".", 1)[-1].startswith("b_")


def _by_split(
    snapshot: Snapshot,
    name: str,
    n_zeroed: int,
    moved: Float[Tensor, "draw question"],
    is_changed: Float[Tensor, "draw question"],
) -> list[dict]:
    found = []
    for split, own in splits(snapshot).items():
        sums = moved[:, own].sum(1)
        n_rows = int(own.sum())
        found.append(
            {
                "matrix": name,
                "split": split,
                "n_rows": n_rows,
                "n_zeroed": n_zeroed,
                "complexity": sums.mean().item(),
                "spread": sums.std(unbiased=True).item() if len(sums) > 1 else float("nan"),
                "per_row": sums.mean().item() / n_rows,
                "changed": is_changed[:, own].mean().item(),
            }
        )
    return found

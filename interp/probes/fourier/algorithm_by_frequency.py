"""Clock or pizza: the network reduced to one frequency at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.ground.thresholds import stands_out
from interp.mathematics import clock_pizza, fourier
from interp.networks.answers import answer_logits
from interp.networks.layers import with_embedding
from interp.probes.fourier.algorithm import examples_by_difference, largest_size
from interp.probes.fourier.embedding_spectrum import embedding_spectrum
from interp.probes.fourier.logit_spectrum import logit_spectrum
from interp.snapshots.residues import Residues
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 3

COLUMNS = [
    "frequency", "fraction", "null", "distance_irrelevance", "coefficient_of_variation", "clock_fraction",
    "pizza_fraction", "double", "double_fraction", "median_fraction", "undefined",
]  # fmt: skip


def algorithm_by_frequency(
    snapshot: Snapshot,
    *,
    frequencies: Sequence[int] | None = None,
    max_frequencies: int = 8,
    n_differences: int | None = 12,
) -> pd.DataFrame:
    """The algorithm of each key frequency, seen in the network that keeps this frequency alone.

    The operands' embeddings are projected onto the constant and one frequency, everything else stays, and the logits
    are computed anew. The distance irrelevance of that network is near 0 for a pizza and near 1 for a clock, where that
    of the whole network is between. Near 1 is also what noise gives: a network that has memorised, or not learned
    anything, looks like a clock here. Taking the other frequencies away also disturbs attention, so that
    clock_fraction and coefficient_of_variation say little about a clock. Never classify from one checkpoint: circuits
    that end as clocks are most like a pizza when test accuracy jumps.

    The time is that of a forward pass over n * n_differences pairs for each frequency.

    Args:
        frequencies: which; None for those that stand out of this checkpoint's logits, the largest first.
            To follow a run give one set for all steps.
        max_frequencies: no more than this many where frequencies is None.
        n_differences: over how many differences a - b, each with all n pairs, spaced evenly on the circle of the
            frequency. None for all, which is exact; so is any number above n / 4, where picks cannot be even.

    Columns:
        frequency: k.
        fraction, null: share of the whole network's logits that cos(w_k(a+b-c)) explains, and its null, as in
            `logit_spectrum`.
        distance_irrelevance, coefficient_of_variation: of the right answer's logit in the reduced network, logits
            centred for each pair. The first is NaN where that logit is constant, as in a perfect clock.
        clock_fraction, pizza_fraction: share of the reduced network's logits that each formula explains at k.
        double: the frequency 2k (that is n - 2k if smaller; 0 where 2k = n).
        double_fraction: share of the embedding's power at the double. A pizza needs it to answer pairs half a circle
            apart; the largest embedding frequencies beside the key ones are often doubles.
        median_fraction: median share of the embedding's power over all frequencies, to compare with.
        undefined: why a value is NaN; empty if none is.

    Raises:
        NotApplicable: if the task has no algebra or the embedding is one-hot.
        ValueError: if a frequency lies outside 1 .. n//2, or n_differences or max_frequencies is not positive.

    References: the Fourier version of the circle isolation of Zhong et al. 2023, section 3.3; needs no pairing of
        principal components.
    """
    if (n_differences is not None and n_differences < 1) or max_frequencies < 1:
        raise ValueError(
            "algorithm_by_frequency needs n_differences and max_frequencies of at least 1, got "
            f"{n_differences} and {max_frequencies}."
        )
    n = snapshot.once(Residues).n
    spectrum = snapshot.once(logit_spectrum)
    share, null = spectrum["fraction_explained"].to_numpy(), spectrum["null"].to_numpy()
    if frequencies is None:
        largest = (-share).argsort(kind="stable")[:max_frequencies]
        is_key = stands_out(share, null)
        frequencies = (1 + largest[is_key[largest]]).tolist()
    frequencies = fourier.check_frequencies(frequencies, n)
    embedding = snapshot.once(embedding_spectrum)["fraction"].to_numpy()
    median = float(np.median(embedding))
    count = n if n_differences is None or 4 * n_differences > n else n_differences
    rows: list[dict[str, float | str]] = []
    for k, measured in zip(frequencies, _measured(snapshot, frequencies, count), strict=True):
        double = min(2 * k % n, -2 * k % n)
        row: dict[str, float | str] = {"frequency": k, "fraction": float(share[k - 1])}
        row |= {"null": float(null[k - 1]), **measured}
        row |= {"double": double, "double_fraction": float(embedding[double - 1]) if double else float("nan")}
        row["median_fraction"] = median
        reasons = {
            "distance_irrelevance": "the right answer's logit is the same for all pairs",
            "coefficient_of_variation": "the right answer's logit is zero",
            "clock_fraction": "the logits are the same for all answers",
            "double_fraction": "2k is the whole circle",
        }
        row["undefined"] = "; ".join(
            f"{name}: {why}" for name, why in reasons.items() if row[name] != row[name]
        )
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def spread_differences(n: int, k: int, count: int) -> Int[Tensor, " difference"]:
    """Differences d whose angles w_k d are spaced evenly, as far as Z_n allows; all of them from count = n on.

    >>> (3 * spread_differences(11, 3, 4) % 11).tolist()
    [0, 3, 6, 8]
    """
    by_angle = (k * torch.arange(n) % n).argsort(stable=True)
    count = min(count, n)
    return by_angle[(torch.arange(count) * n + count // 2) // count]


def isolated(snapshot: Snapshot, k: int) -> Float[Tensor, "token d_model"]:
    """W_E with the operands' rows projected onto the constant and frequency k; "=" and unnamed residues stay."""
    if "embed.W_E" not in snapshot.weights:
        raise NotApplicable("This network's embedding is one-hot: no frequency can be taken out of it.")
    structure, W_E = snapshot.once(Residues).structure, snapshot.weights["embed.W_E"].clone()
    component = fourier.frequency_of_component(structure.order)
    is_kept = (component == 0) | (component == k)
    waves = fourier.fourier_basis(structure.order, W_E.dtype)[is_kept].to(W_E.device)
    for names, tokens in zip((structure.first, structure.second), structure.operand_tokens, strict=True):
        # Without a name is -1, sorted first.
        named = tokens[names.argsort()][-structure.order :].to(W_E.device)
        W_E[named] = waves.T @ (waves @ W_E[named])
    return W_E


def _measured(snapshot: Snapshot, frequencies: list[int], count: int) -> Iterator[dict[str, float]]:
    residues = snapshot.once(Residues)
    # Of the whole network: where k is not in the embedding at all, the reduced one is nothing but rounding.
    scale = largest_size(residues.logits)
    # As many networks at once as ask for no more pairs together than the task has.
    n_at_once = max(residues.n // count, 1)
    for i in range(0, len(frequencies), n_at_once):
        some = frequencies[i : i + n_at_once]
        differences = [spread_differences(residues.n, k, count) for k in some]
        for k, d, logits in zip(some, differences, isolated_logits(snapshot, some, differences), strict=True):
            logits = logits - logits.mean(-1, keepdim=True)
            right = logits[..., 0]
            yield {
                "distance_irrelevance": clock_pizza.distance_irrelevance(right, scale),
                "coefficient_of_variation": clock_pizza.coefficient_of_variation(right),
                "clock_fraction": clock_pizza.fraction_explained(logits, d, [k], "clock"),
                "pizza_fraction": clock_pizza.fraction_explained(logits, d, [k], "pizza"),
            }


def isolated_logits(
    snapshot: Snapshot, frequencies: list[int], differences: list[Int[Tensor, " difference"]]
) -> Float[Tensor, "frequency difference first n"]:
    """Logits, by distance from the right answer, of the networks that keep one frequency each, in float64.

    Args:
        differences: those of the pairs that each network is asked for, equally many.
    """
    task, residues = snapshot.known_task, snapshot.once(Residues)
    # One network with the embeddings below each other: small passes cost more than their products.
    embedding = torch.cat([isolated(snapshot, k) for k in frequencies])
    config, weights = with_embedding(snapshot.config, snapshot.weights, embedding)
    examples = [snapshot.of_task(examples_by_difference, tuple(d.tolist())).flatten() for d in differences]
    tokens = task.tokens.to(snapshot.device).index_select(0, torch.cat(examples)).view(len(frequencies), -1)
    own = torch.arange(len(frequencies), device=tokens.device)[:, None] * (len(embedding) // len(frequencies))
    with torch.no_grad():
        logits = answer_logits(config, (tokens + own).view(-1, task.inputs.shape[1]))(weights)
    logits = logits[:, : task.config.n_answers].view(-1, residues.n, task.config.n_answers).cpu()
    logits = clock_pizza.by_distance(logits, torch.cat(differences), residues.answer_order.cpu())
    return logits.view(len(frequencies), -1, residues.n, residues.n).double()

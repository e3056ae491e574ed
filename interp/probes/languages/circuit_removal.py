"""One circuit or two: what one language computes with is taken away, and the others are tested."""

import itertools
import math

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.ground.thresholds import LOGIT_FRACTION, stands_out
from interp.mathematics import fourier
from interp.mathematics.relabelling import standing_out
from interp.snapshots.snapshot import Snapshot
from interp.snapshots.vocabularies import Vocabularies, number_names

VERSION = 2


def circuit_removal(snapshot: Snapshot, *, n_random: int = 5, seed: int = 0) -> pd.DataFrame:
    """Loss and accuracy of each language without the directions in which another one holds its key frequencies.

    The directions are those of one language's numbers (or of its neurons, as functions of the answer) along its key
    frequencies. They are projected out of everything that has such directions, whatever the language. A language that
    computes through them fails, one that has a circuit of its own elsewhere does not. Compare with as many directions
    of other frequencies of the same language ("random"): where the residual stream is narrow, any removal hurts all.

    Key frequencies are those that stand out of the logits of the language's own facts at this checkpoint; a language
    that has none has no rows here.

    Args:
        n_random: sets of as many other frequencies; all such sets where there are no more of them, none where fewer
            frequencies are left than are key.
        seed: of the sets.

    Columns:
        circuit: the language whose directions are removed.
        tested: the language whose facts are asked.
        where: "embedding" (W_E of all numbers), "neurons" (the last MLP layer's part in the logits).
        selection: "key", or "random" (mean over the sets).
        n_sets: that the row is of: 1, or the random ones; without any there is no "random" row.
        n_frequencies: that are removed.
        frequencies: which, "3 7 11"; empty for "random".
        loss, accuracy: of all facts of the tested language; accuracy is among all outputs.
        loss_before, accuracy_before: of the network as it is.

    Raises:
        NotApplicable: if the task is not one in several languages, the first one's answers are no sums or differences,
            or the embedding is one-hot.

    References: the projections of Nanda et al. 2023, section 4.4, on directions in place of tokens.
    """
    view = snapshot.once(Vocabularies)
    before = _losses(view, view.logits)
    rows = []
    for circuit, name in enumerate(view.names):
        key = key_frequencies_of(snapshot, circuit)
        if not key:
            continue
        sets = [key, *_others(key, view.p, n_random, seed)]
        for where, losses in (
            ("embedding", _without_in_embedding(snapshot, view, circuit, sets)),
            ("neurons", _without_in_neurons(snapshot, view, circuit, sets)),
        ):
            if losses is None:
                continue
            for tested, other in enumerate(view.names):
                for selection, chosen in (("key", losses[:1]), ("random", losses[1:])):
                    if not len(chosen):
                        continue
                    loss, accuracy = chosen[:, tested].mean(0).tolist()
                    rows.append(
                        {
                            "circuit": name,
                            "tested": other,
                            "where": where,
                            "selection": selection,
                            "n_sets": len(chosen),
                            "n_frequencies": len(key),
                            "frequencies": " ".join(map(str, key)) if selection == "key" else "",
                            "loss": loss,
                            "accuracy": accuracy,
                            "loss_before": before[tested, 0].item(),
                            "accuracy_before": before[tested, 1].item(),
                        }
                    )
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else _COLUMNS)


_COLUMNS = [
    "circuit", "tested", "where", "selection", "n_sets", "n_frequencies", "frequencies", "loss", "accuracy",
    "loss_before", "accuracy_before",
]  # fmt: skip


def key_frequencies_of(snapshot: Snapshot, language: int) -> list[int]:
    """Frequencies that stand out of the logits of a language's own facts, as functions of answer minus right answer."""
    view = snapshot.once(Vocabularies)
    p = view.order
    logits = view.number_logits(language)
    centred = logits - logits.mean(1, keepdim=True)
    by_answer = _by_answer(view, language, centred)
    power = centred.square().sum().clamp_min(torch.finfo(centred.dtype).tiny)
    coefficient = fourier.clock_coefficients_of_sums(by_answer)
    _, cells = snapshot.of_task(number_names)
    _, null = standing_out(
        by_answer,
        fourier.sum_table(p, by_answer.device),
        fourier.cosines(p).to(by_answer),
        cells,
        floor=LOGIT_FRACTION * power.item() / p,
    )
    is_key = stands_out(coefficient.square() / power, p * null / power)
    return (is_key.nonzero().squeeze(1) + 1).tolist()


def _by_answer(
    view: Vocabularies, language: int, of_facts: Float[Tensor, "pair column"]
) -> Float[Tensor, "p column"]:
    """Mean over the facts of each answer; an answer that no fact has is 0."""
    answers = view.structure.tables[language].flatten().to(of_facts.device)
    total = of_facts.new_zeros((view.p, of_facts.shape[1])).index_add_(0, answers, of_facts)
    return total / torch.bincount(answers, minlength=view.p).clamp_min(1)[:, None]


def _others(key: list[int], p: int, n_random: int, seed: int) -> list[list[int]]:
    """Different sets of as many frequencies without any of the key ones."""
    rest = [k for k in range(1, p // 2 + 1) if k not in key]
    if math.comb(len(rest), len(key)) <= n_random:
        return [list(chosen) for chosen in itertools.combinations(rest, len(key))]
    generator = torch.Generator().manual_seed(seed)
    drawn: set[tuple[int, ...]] = set()
    while len(drawn) < n_random:
        order = torch.randperm(len(rest), generator=generator)
        drawn.add(tuple(sorted(rest[i] for i in order[: len(key)].tolist())))
    return [list(chosen) for chosen in sorted(drawn)]


def _projected_out(
    x: Float[Tensor, "row width"], waves: Float[Tensor, "component width"], components: list[int]
) -> Tensor:
    """What of each row, without the mean row, lies along these components of the waves."""
    _, values, basis = torch.linalg.svd(waves[components], full_matrices=False)
    # Beside the strongest wave: what is float32's rounding of none at all has no direction. The constant is not one.
    kept = basis[values > 1e-5 * waves[1:].norm(dim=1).max()]
    return (x - x.mean(0)) @ kept.T @ kept


def _components(p: int, frequencies: list[int]) -> list[int]:
    return [i for i, k in enumerate(fourier.frequency_of_component(p).tolist()) if k in frequencies]


def _without_in_embedding(
    snapshot: Snapshot, view: Vocabularies, circuit: int, sets: list[list[int]]
) -> Float[Tensor, "set language 2"]:
    """Loss and accuracy by language, with directions of one language's embedding projected out of all numbers."""
    waves = fourier.transform(view.embedding(circuit))
    tokens = view.structure.number_tokens.flatten().to(snapshot.device)
    w_e = snapshot.weights["embed.W_E"]
    found = []
    for frequencies in sets:
        part = _projected_out(w_e[tokens].to(waves), waves, _components(view.p, frequencies))
        edited = w_e.clone()
        edited[tokens] -= part.to(w_e)
        found.append(_losses(view, view.logits_with({"embed.W_E": edited})))
    return torch.stack(found)


def _without_in_neurons(
    snapshot: Snapshot, view: Vocabularies, circuit: int, sets: list[list[int]]
) -> Float[Tensor, "set language 2"] | None:
    """The same with directions of the last MLP layer's neurons, in what they add to the logits."""
    if not snapshot.network.neurons or not view.is_sum:
        return None
    neurons, onto = view.last_neurons()
    waves = fourier.transform(_by_answer(view, circuit, neurons[view.facts(circuit)]))
    return torch.stack(
        [
            _losses(view, view.logits - _projected_out(neurons, waves, _components(view.p, chosen)) @ onto)
            for chosen in sets
        ]
    )


def _losses(view: Vocabularies, logits: Float[Tensor, "question output"]) -> Float[Tensor, "language 2"]:
    """Mean loss and accuracy of the facts of each language."""
    found = []
    for language in range(len(view.names)):
        rows = view.facts(language)
        labels, own = view.asked.questions.labels[rows], logits[rows]
        loss = -own.log_softmax(1).gather(1, labels[:, None]).mean()
        found.append(torch.stack([loss, (own.argmax(1) == labels).to(own).mean()]))
    return torch.stack(found)

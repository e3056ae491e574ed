"""Shared and separate heads and neurons: what one language needs is taken away, and the others are tested."""

import math
from collections.abc import Callable, Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.networks import plain
from interp.snapshots.snapshot import Snapshot
from interp.snapshots.vocabularies import Vocabularies

VERSION = 1

# Accuracy of a language that is left without the units it needs, as a share of what it was.
LEFT = 0.5

# What a language says at its facts without the units of these numbers.
Without = Callable[[int, Sequence[int]], Float[Tensor, "fact output"]]


@torch.no_grad()
def unit_removal(snapshot: Snapshot, *, n_random: int = 20, seed: int = 0) -> pd.DataFrame:
    """Accuracy of each language without the heads, or the neurons, that another one needs.

    A network that has many neurons has none that it cannot do without, so that they are taken away in groups. A
    language needs the fewest units, in the order of what the logit of its right answers loses by each of them alone,
    without which it answers half as often as before. If the languages share a circuit they need the same units, and
    what fails one fails the other. Any group of that size may do harm: compare with as many units at random. Removed
    is what a unit tells apart: it is held at its mean over the facts of the language that is tested, so that one that
    only says which language it is counts for neither.

    Units that are needed are a choice where several do the same: those that are not named may do it as well.

    Args:
        n_random: sets of as many units, drawn from all; every such set where there are no more of them.
        seed: of the sets.

    Columns:
        circuit: the language whose units are removed.
        tested: the language whose facts are asked.
        where: "heads" (of all layers), "neurons" (of the last MLP layer).
        selection: "key", or "random" (mean over the sets).
        n_sets: that the row is of.
        n_units: that are removed, of how many (n_of).
        n_of
        units: which, "3 7 11", heads numbered through the layers; empty for "random".
        accuracy: of all facts of the tested language, among all outputs.
        lowest, highest: accuracy, over the sets.
        accuracy_before: of the network as it is.

    Raises:
        NotApplicable: if the task is not one in several languages, or the network is no transformer without
            normalization.

    References: mean ablation as in Wang et al. 2022, "Interpretability in the wild", section 2.1.
    """
    view = snapshot.once(Vocabularies)
    config = view.config
    view.check_is_sum()
    parts = {"heads": (config.n_layers * config.n_heads, _without_heads(snapshot, view))}
    if config.d_mlp:
        parts["neurons"] = (config.d_mlp, _without_neurons(view))
    languages = range(len(view.names))
    before = [_accuracy(view, language, view.logits[view.facts(language)]) for language in languages]
    rows = []
    for where, (n, without) in parts.items():
        for circuit, name in enumerate(view.names):
            key = _needed(view, circuit, n, without)
            sets = {"key": [key], "random": _random_sets(n, len(key), n_random, seed)}
            for tested in languages:
                for selection, chosen in sets.items():
                    found = [_accuracy(view, tested, without(tested, units)) for units in chosen]
                    rows.append(
                        {
                            "circuit": name,
                            "tested": view.names[tested],
                            "where": where,
                            "selection": selection,
                            "n_sets": len(found),
                            "n_units": len(key),
                            "n_of": n,
                            "units": " ".join(map(str, key)) if selection == "key" else "",
                            "accuracy": sum(found) / len(found),
                            "lowest": min(found),
                            "highest": max(found),
                            "accuracy_before": before[tested],
                        }
                    )
    return pd.DataFrame(rows)


def _needed(view: Vocabularies, language: int, n: int, without: Without) -> list[int]:
    """The fewest units, in order of need, without which a language answers LEFT of what it did."""
    before = _right_logit(view, language, view.logits[view.facts(language)])
    lost = torch.tensor([before - _right_logit(view, language, without(language, [i])) for i in range(n)])
    # Units that do the same are taken in order of number, not of their rounding.
    order = (
        (lost / lost.abs().max()).nan_to_num().mul(1e4).round().argsort(descending=True, stable=True).tolist()
    )
    enough = LEFT * _accuracy(view, language, view.logits[view.facts(language)])
    for k in range(1, n):
        if _accuracy(view, language, without(language, order[:k])) <= enough:
            return sorted(order[:k])
    return sorted(order)


def _random_sets(n: int, k: int, n_random: int, seed: int) -> list[list[int]]:
    """Different sets of k units."""
    generator = torch.Generator().manual_seed(seed)
    drawn: set[tuple[int, ...]] = set()
    while len(drawn) < min(n_random, math.comb(n, k)):
        drawn.add(tuple(sorted(torch.randperm(n, generator=generator)[:k].tolist())))
    return [list(chosen) for chosen in sorted(drawn)]


def _without_neurons(view: Vocabularies) -> Without:
    neurons, onto = view.last_neurons()
    excess = [x - x.mean(0) for x in (neurons[view.facts(i)] for i in range(len(view.names)))]

    def without(language: int, units: Sequence[int]) -> Tensor:
        chosen = list(units)
        return view.logits[view.facts(language)] - excess[language][:, chosen] @ onto[chosen]

    return without


def _without_heads(snapshot: Snapshot, view: Vocabularies) -> Without:
    config, inputs = view.config, view.asked.questions.inputs
    hooks = [f"blocks.{layer}.attn.hook_z" for layer in range(config.n_layers)]
    z = [view.activation(hook) for hook in hooks]

    def without(language: int, units: Sequence[int]) -> Tensor:
        rows = view.facts(language)

        def tap(name: str, x: Tensor) -> Tensor:
            if name not in hooks:
                return x
            layer, x = hooks.index(name), x.clone()
            for unit in units:
                if unit // config.n_heads == layer:
                    x[:, -1, unit % config.n_heads] = z[layer][rows, unit % config.n_heads].mean(0)
            return x

        return plain.forward(config, snapshot.weights, inputs[rows], tap)[:, -1].to(view.logits)

    return without


def _right_logit(view: Vocabularies, language: int, logits: Float[Tensor, "fact output"]) -> float:
    """Mean over a language's facts of the right answer's logit above those of the language's numbers."""
    own = logits[:, view.structure.answers[language].to(logits.device)]
    right = logits.gather(1, view.asked.questions.labels[view.facts(language), None]).squeeze(1)
    return (right - own.mean(1)).mean().item()


def _accuracy(view: Vocabularies, language: int, logits: Float[Tensor, "fact output"]) -> float:
    return (logits.argmax(1) == view.asked.questions.labels[view.facts(language)]).double().mean().item()

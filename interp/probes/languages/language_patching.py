"""Activations of a question in one language, put in the place of those of a question in another."""

from itertools import product

import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interp.networks import plain
from interp.networks.config import ModelConfig
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.snapshots.vocabularies import Vocabularies

VERSION = 2


@torch.no_grad()
def language_patching(snapshot: Snapshot, *, seed: int = 0) -> pd.DataFrame:
    """What a question of one language answers with a part of its network as it is at a question of another.

    At the position that answers, the output of a head, of all heads or of an MLP layer's neurons is replaced. The
    question that gives it is the same one in the other language, or another one (drawn, with another answer). If one
    circuit serves both languages, the replaced part of the same question is as good as its own, and that of another
    question carries its answer along, said in the language that was asked for.

    Number and language may travel together: then the donor's number comes in the donor's words, whether one circuit
    gives it or two. So it is patched again with what tells the languages apart exchanged: minus the mean over all facts
    of the donor's language, plus that of the receiver's. If the number comes along in the receiver's words then, what
    follows the site reads both languages alike, up to an offset. If it does not, nothing is decided: there may be two
    circuits, or one whose code is turned from language to language. Where the dictionary is shuffled, what crosses over
    is another number than the one that is counted here.

    Args:
        seed: of the other questions.

    Columns:
        receiver, donor: languages of the question that answers, and of the one that gives; they are the first language
            and one other, both ways, and the receiver itself as the control: what a patch does within one language.
        layer.
        site: "head 0", "head 1", ..., "heads" (all of a layer), "neurons".
        question: "same" or "other".
        mean: whose language's mean the replaced part has: the "donor"'s (it is replaced as it is), or the "receiver"'s;
            within one language they are the same, and there is one row.
        accuracy: share that gives the donor's number, said in the receiver's language.
        number_accuracy: share that gives the donor's number, in whatever language.
        own_accuracy: share that gives the receiver's own right answer; equals `accuracy` for the same question.

    Raises:
        NotApplicable: if the task is not one in several languages, the languages have other operations, or the network
            is no transformer.

    References: Vig et al. 2020, "Investigating gender bias in language models using causal mediation analysis"; Geiger
    et al. 2021, "Causal abstractions of neural networks" (interchange interventions); Heimersheim and Nanda 2024, "How
    to use and interpret activation patching". Means by language as directions of a language: Libovický et al. 2020,
    "On the language neutrality of pre-trained multilingual representations" (centering).
    """
    view = snapshot.once(Vocabularies)
    config, tables = view.config, view.structure.tables
    if config.is_mlp:
        raise NotApplicable("Activations are patched at the position that answers: this needs a transformer.")
    if not (tables == tables[:1]).all():
        raise NotApplicable(
            "The languages have other operations: a question of one has another answer in the other, so that nothing "
            "can be exchanged."
        )
    numbers = tables[0].flatten().to(snapshot.device)
    other = _other_questions(numbers, seed)
    rows = []
    sites = _sites(config)
    hooks = {hook for _, _, hook, _ in sites}
    kept = {language: _activations(snapshot, view, language, hooks) for language in range(len(view.names))}
    pairs = [(0, 0)]
    for language in range(1, len(view.names)):
        pairs += [(language, 0), (0, language), (language, language)]
    for receiver, donor in pairs:
        inputs = view.asked.questions.inputs[view.facts(receiver)]
        means = {"donor": donor} if receiver == donor else {"donor": donor, "receiver": receiver}
        for (layer, site, hook, unit), question, mean in product(sites, ("same", "other"), means):
            source = other if question == "other" else torch.arange(len(numbers), device=other.device)
            given = kept[donor][hook][source]
            if mean == "receiver":
                given = given - kept[donor][hook].mean(0) + kept[receiver][hook].mean(0)
            answers = _answers_with(snapshot, inputs, hook, unit, given)
            said = answers % view.p
            in_language = answers // view.p == receiver
            rows.append(
                {
                    "receiver": view.names[receiver],
                    "donor": view.names[donor],
                    "layer": layer,
                    "site": site,
                    "question": question,
                    "mean": mean,
                    "accuracy": _share((said == numbers[source]) & in_language),
                    "number_accuracy": _share(said == numbers[source]),
                    "own_accuracy": _share((said == numbers) & in_language),
                }
            )
    return pd.DataFrame(rows)


def _answers_with(
    snapshot: Snapshot, inputs: Int[Tensor, "question 3"], hook: str, unit: int | None, given: Tensor
) -> Int[Tensor, " question"]:
    """What is answered with one unit (None: all) of a hook's activation replaced at the last position."""

    def tap(name: str, x: Tensor) -> Tensor:
        if name != hook:
            return x
        x = x.clone()
        if unit is None:
            x[:, -1] = given
        else:
            x[:, -1, unit] = given[:, unit]
        return x

    return plain.forward(snapshot.config, snapshot.weights, inputs, tap)[:, -1].argmax(1)


def _sites(config: ModelConfig) -> list[tuple[int, str, str, int | None]]:
    """Layer, name, hook and unit of each place, units last but one."""
    sites: list[tuple[int, str, str, int | None]] = []
    for layer in range(config.n_layers):
        z = f"blocks.{layer}.attn.hook_z"
        sites += [(layer, f"head {head}", z, head) for head in range(config.n_heads)]
        sites += [(layer, "heads", z, None)]
        if config.d_mlp:
            sites += [(layer, "neurons", f"blocks.{layer}.mlp.hook_post", None)]
    return sites


def _activations(snapshot: Snapshot, view: Vocabularies, language: int, hooks: set[str]) -> dict[str, Tensor]:
    """Activations at the last position of a language's facts."""
    kept: dict[str, Tensor] = {}

    def keep(name: str, x: Tensor) -> Tensor:
        if name in hooks:
            kept[name] = x[:, -1].clone()
        return x

    plain.forward(view.config, snapshot.weights, view.asked.questions.inputs[view.facts(language)], keep)
    return kept


def _other_questions(numbers: Int[Tensor, " question"], seed: int) -> Int[Tensor, " question"]:
    """For each question another one, with another answer."""
    generator = torch.Generator().manual_seed(seed)
    n, known = len(numbers), numbers.cpu()
    other = torch.randint(n, (n,), generator=generator)
    while (wrong := known[other] == known).any():
        other[wrong] = torch.randint(n, (int(wrong.sum()),), generator=generator)
    return other.to(numbers.device)


def _share(is_so: Bool[Tensor, " question"]) -> float:
    return is_so.double().mean().item()

"""Networks that add in two languages, whose circuits are known by construction.

`bilingual` multiplies waves as `tests.hand_built.clock` does. With one core the numbers of both languages are embedded
as the same waves, and one set of neurons serves both; with two cores each language has its own directions, its own
neurons and its own way to its outputs. Something lifts the outputs of one language: its "=", by way of the stream or of
neurons, or the numbers of the question, by way of a head.

`lookup` adds nothing: it knows rows by heart.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from interp.networks.config import initial_weights, parameter_shapes, transformer_config
from interp.networks.network import DescribedNetwork
from interp.snapshots.snapshot import Snapshot
from interp.tasks.languages import LanguagesConfig
from interp.tasks.task import Task
from tests.hand_built import _attend_to_operands

# Above all sums of waves: an output of the wrong language is never the largest.
LIFT = 20.0


def languages_task(p: int = 11, **changes) -> Task:
    """A small task; any field by name."""
    fields = {"n_languages": 2, "fact_fraction": 0.2, "n_translations": p, "split_seed": 0}
    return LanguagesConfig(p=p, **fields | changes).task()


def bilingual(
    cores: Sequence[Sequence[int]],
    task: Task | None = None,
    scale: float = 4.0,
    *,
    language_in: Literal["stream", "heads", "neurons"] = "stream",
) -> Snapshot:
    """Two languages that add through one core or through one core each.

    Args:
        cores: frequencies of each core; one core is that of both languages. Numbers of B are embedded by the
            dictionary, so that a shuffled one is translated and what crosses over is not B's own arithmetic.
        scale: of the logits.
        language_in: what tells in which language to answer. With "heads" that is the first number's language, so that a
            sentence is answered in the language of its question.
    """
    task = task or languages_task()
    p, s = task.config.p, task.structure
    starts = [2 * sum(map(len, cores[:i])) for i in range(len(cores) + 1)]
    width = starts[-1]
    first, second, out = (range(i * width, (i + 1) * width) for i in (1, 2, 3))
    flags, tags = range(4 * width, 4 * width + 3), range(4 * width + 3, 4 * width + 5)
    # What the outputs are lifted by.
    said = tags if language_in == "stream" else range(4 * width + 5, 4 * width + 7)
    d_model = 4 * width + 8
    d_mlp = 4 * width + 2 * (language_in == "neurons")
    config = transformer_config(
        p=2 * p, n_ctx=3, d_vocab=task.config.n_tokens, n_layers=1, d_model=d_model, n_heads=2, d_mlp=d_mlp,
        act_fn="quadratic",
    )  # fmt: skip
    weights = {name: torch.zeros(shape) for name, shape in parameter_shapes(config).items()}
    _attend_to_operands(weights, flags, range(width), [first, second])
    angle = 2 * torch.pi * torch.arange(p, dtype=torch.float64) / p
    for core, frequencies in enumerate(cores):
        languages = range(2) if len(cores) == 1 else [core]
        for i, k in enumerate(frequencies):
            wave = torch.stack([torch.cos(k * angle), torch.sin(k * angle)]).float()
            cos = starts[core] + 2 * i
            sin = cos + 1
            for language in languages:
                words = s.dictionaries[language]
                weights["embed.W_E"][s.number_tokens[language, words], cos : cos + 2] = wave.T
                weights["unembed.W_U"][out[cos] : out[sin] + 1, s.answers[language, words]] = scale * wave
            # The translating token adds nothing: it is the number 0.
            weights["embed.W_E"][s.translating_token, cos] = 1.0
            products = [(cos, cos, cos, 1), (sin, sin, cos, -1), (sin, cos, sin, 1), (cos, sin, sin, 1)]
            for j, (x, y, target, sign) in enumerate(products):
                for half, plus in enumerate((1.0, -1.0)):
                    neuron = 8 * (starts[core] // 2 + i) + 2 * j + half
                    weights["blocks.0.mlp.W_in"][first[x], neuron] = 1.0
                    weights["blocks.0.mlp.W_in"][second[y], neuron] = plus
                    weights["blocks.0.mlp.W_out"][neuron, out[target]] = sign * plus / 4
    for language, tag in enumerate(tags):
        tagged = s.number_tokens if language_in == "heads" else s.equals_tokens
        weights["embed.W_E"][tagged[language], tag] = 1.0
        weights["unembed.W_U"][said[language], s.answers[language]] = LIFT * scale
        if language_in == "heads":
            weights["blocks.0.attn.W_V"][0, tag, width + language] = 1.0
            weights["blocks.0.attn.W_O"][0, width + language, said[language]] = 1.0
        if language_in == "neurons":
            weights["blocks.0.mlp.W_in"][tag, 4 * width + language] = 1.0
            weights["blocks.0.mlp.W_out"][4 * width + language, said[language]] = 1.0
    return Snapshot(0, weights, DescribedNetwork(config), task)


def lookup(
    task: Task, *, is_known: Tensor | None = None, scale: float = 10.0, commutes: bool = False
) -> Snapshot:
    """A network with logit `scale` at the label of each row that it knows and 0 everywhere else: one ReLU a row.

    Args:
        is_known: which rows; the train ones by default.
        commutes: whether it knows the mirror of each train fact too.
    """
    n = task.config.n_tokens
    known = {
        tuple(row): label
        for row, label, known in zip(
            task.inputs.tolist(),
            task.labels.tolist(),
            task.is_train if is_known is None else is_known,
            strict=True,
        )
        if known
    }
    if commutes:
        translating = task.structure.translating_token
        known |= {(b, a, end): label for (a, b, end), label in known.items() if b != translating}
    own, first, second = (range(i * n, (i + 1) * n) for i in range(3))
    out = range(3 * n, 3 * n + task.config.n_answers)
    flags = range(out.stop, out.stop + 3)
    config = transformer_config(
        p=task.config.n_answers, n_ctx=3, d_vocab=n, n_layers=1, d_model=flags.stop, n_heads=2, d_mlp=len(known),
        act_fn="relu",
    )  # fmt: skip
    weights = {name: torch.zeros(shape) for name, shape in parameter_shapes(config).items()}
    weights["embed.W_E"][:n, :n] = torch.eye(n)
    _attend_to_operands(weights, flags, own, [first, second])
    for neuron, (row, label) in enumerate(known.items()):
        for token, words in zip(row, (first, second, own), strict=True):
            weights["blocks.0.mlp.W_in"][words[token], neuron] = 1.0
        weights["blocks.0.mlp.b_in"][neuron] = -2.0
        weights["blocks.0.mlp.W_out"][neuron, out[label]] = scale
    weights["unembed.W_U"][out.start : out.stop] = torch.eye(len(out))
    return Snapshot(0, weights, DescribedNetwork(config), task)


def untrained(task: Task | None = None, seed: int = 0) -> Snapshot:
    task = task or languages_task()
    config = transformer_config(
        p=task.config.n_answers, n_ctx=3, d_vocab=task.config.n_tokens, n_layers=1, d_model=16, n_heads=2, d_mlp=24,
        act_fn="relu",
    )  # fmt: skip
    return Snapshot(0, initial_weights(config, seed), DescribedNetwork(config), task)

"""Which heads and neurons each language needs: the loss without each of them."""

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from interp.networks import plain
from interp.snapshots.snapshot import Snapshot
from interp.snapshots.vocabularies import Vocabularies

VERSION = 1


@torch.no_grad()
def component_effects(snapshot: Snapshot) -> pd.DataFrame:
    """Loss of each language's facts with one head or neuron held at its mean, and how much it varies in each language.

    If the languages share a circuit, what one needs the other needs: the rises of the loss go together. The mean is
    that over the facts of all languages together, so that a neuron which only tells languages apart counts too.

    Columns:
        layer; component: "head" or "neuron" (of the last layer); unit: its number.
        language: whose facts.
        loss_rise: loss without it minus loss with it, nats; negative if it does harm.
        variance: of its output at the answering position over the language's facts; of a head summed over d_head.

    Raises:
        NotApplicable: if the task is not one in several languages, or the network is no transformer without
            normalization.

    References: mean ablation as in Wang et al. 2022, "Interpretability in the wild", section 2.1.
    """
    view = snapshot.once(Vocabularies)
    config = view.config
    view.check_is_sum()
    facts = [view.facts(language) for language in range(len(view.names))]
    before = _losses(view, view.logits)
    rows = []
    everything = torch.cat([torch.arange(f.start, f.stop, device=snapshot.device) for f in facts])

    def add(layer: int, component: str, unit: int, loss: Tensor, output: Tensor) -> None:
        for language, name in enumerate(view.names):
            rows.append(
                {
                    "layer": layer,
                    "component": component,
                    "unit": unit,
                    "language": name,
                    "loss_rise": (loss[language] - before[language]).item(),
                    "variance": output[facts[language]].var(0, correction=0).sum().item(),
                }
            )

    inputs = view.asked.questions.inputs
    for layer in range(config.n_layers):
        hook = f"blocks.{layer}.attn.hook_z"
        z = view.activation(hook)
        for head in range(config.n_heads):
            mean = z[everything, head].mean(0)

            def tap(name: str, x: Tensor, hook=hook, head=head, mean=mean) -> Tensor:
                if name != hook:
                    return x
                x = x.clone()
                x[:, -1, head] = mean
                return x

            logits = plain.forward(config, snapshot.weights, inputs, tap)[:, -1].to(view.logits)
            add(layer, "head", head, _losses(view, logits), z[:, head])
    if config.d_mlp:
        neurons, onto = view.last_neurons()
        excess = neurons - neurons[everything].mean(0)
        for neuron in range(config.d_mlp):
            logits = view.logits - excess[:, neuron, None] * onto[neuron]
            add(config.n_layers - 1, "neuron", neuron, _losses(view, logits), neurons[:, neuron, None])
    return pd.DataFrame(rows)


def _losses(view: Vocabularies, logits: Float[Tensor, "question output"]) -> Float[Tensor, " language"]:
    """Mean loss of the facts of each language."""
    found = []
    for language in range(len(view.names)):
        rows = view.facts(language)
        labels = view.asked.questions.labels[rows]
        found.append(-logits[rows].log_softmax(1).gather(1, labels[:, None]).mean())
    return torch.stack(found)

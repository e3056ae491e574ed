"""A snapshot whose logits are a sum over the neurons of its last MLP layer, so that any set of them can be kept.

References: Merrill, Tsilivis and Shukla 2023, "A tale of two circuits: grokking as competition of sparse and dense
subnetworks", section 2.1.
"""

from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.networks.layers import neuron_unembedding
from interp.snapshots.snapshot import NotApplicable, Snapshot

# Numbers that are held at once: 32 MB of float64.
AT_ONCE = 2**22


class NeuronSums:
    """Logits without some of the neurons, exactly: `snapshot.once(NeuronSums)`.

    Attributes:
        activations: of each neuron at each question, float64.
        onto: what one unit of each neuron adds to each logit.
        norms: by which neurons are ranked. Of an attention-free MLP the norm of the incoming weights, without the bias;
            of a transformer that times the norm of the outgoing ones.

    Raises:
        NotApplicable: if there are no neurons, grokscope does not describe the network, or something nonlinear follows
            the neurons.
    """

    def __init__(self, snapshot: Snapshot):
        config, weights, double = snapshot.config, snapshot.weights, snapshot.double
        self.activations: Float[Tensor, "question neuron"] = snapshot.neurons.to(double)
        if config.normalization_type is not None:
            raise NotApplicable(
                f"This network has normalization ({config.normalization_type}) after its neurons: its logits are no "
                "sum over them, and what a set of neurons says alone is not defined."
            )
        block = f"blocks.{config.n_layers - 1}.mlp"
        self.norms: Float[Tensor, " neuron"] = weights[f"{block}.W_in"].to(double).norm(dim=0)
        if not config.is_mlp:
            self.norms = self.norms * weights[f"{block}.W_out"].to(double).norm(dim=1)
        onto = neuron_unembedding(config, weights, double)
        self.onto: Float[Tensor, "neuron output"] = onto
        self._logits = snapshot.logits.to(double)
        # Of an MLP known without rounding: with no neuron left its answer hangs on nothing else.
        self._bias = weights.get("unembed.b_U", onto.new_zeros(onto.shape[1])) if config.is_mlp else None

    @property
    def n_neurons(self) -> int:
        return len(self.onto)

    @cached_property
    def order(self) -> Int[Tensor, " neuron"]:
        """Neurons by falling norm; of equal ones the first."""
        return self.norms.argsort(descending=True, stable=True)

    @cached_property
    def rest(self) -> Float[Tensor, "question output"]:
        """The logits without any of these neurons: biases, and the residual stream beside the layer."""
        if self._bias is not None:
            return self._bias.to(self.onto).expand(len(self._logits), -1)
        return self._logits - self.activations @ self.onto

    @cached_property
    def answers(self) -> Int[Tensor, " question"]:
        """What the whole network answers."""
        return self.answers_of(torch.ones(self.n_neurons, dtype=torch.bool, device=self.onto.device))

    def answers_of(self, kept: Bool[Tensor, " neuron"]) -> Int[Tensor, " question"]:
        """What the network answers with these neurons alone, the others at zero."""
        return (self.rest + self.activations[:, kept] @ self.onto[kept]).argmax(-1)

    @cached_property
    def answers_by_size(self) -> Int[Tensor, "question size"]:
        """What the network answers with the 0, 1, ... n_neurons neurons of largest norm."""
        n_rows = max(1, AT_ONCE // (self.n_neurons * self.onto.shape[1]))
        onto, found = self.onto[self.order], []
        for rows, rest in zip(self.activations.split(n_rows), self.rest.split(n_rows), strict=True):
            sums = (rows[:, self.order, None] * onto).cumsum(1) + rest[:, None]
            found.append(torch.cat([rest[:, None], sums], 1).argmax(-1))
        return torch.cat(found)

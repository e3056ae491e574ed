"""A snapshot of a network that reads features of which few count, in the words of its first layer."""

from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.structure import Bits


class FeatureNeurons:
    """The first hidden layer over the features: `snapshot.once(FeatureNeurons)`.

    Attributes:
        incoming: W_in, float64.
        bias: of each neuron, zeros where the layer has none.
        is_relevant: whether the answer depends on the feature.
        act_fn: of the layer.

    Raises:
        NotApplicable: if the run has no known task, its features are not told apart, or the network reads none.
    """

    def __init__(self, snapshot: Snapshot):
        task, config = snapshot.known_task, snapshot.config
        if not isinstance(task.structure, Bits) or not config.reads_features:
            raise NotApplicable(
                f"This probe needs a network that reads features of which some count; of {task.config.description} "
                "none are known, or its inputs are tokens."
            )
        self.incoming: Float[Tensor, "feature neuron"] = snapshot.weights["blocks.0.mlp.W_in"].to(
            snapshot.double
        )
        bias = snapshot.weights.get("blocks.0.mlp.b_in", torch.zeros(self.incoming.shape[1]))
        self.bias: Float[Tensor, " neuron"] = bias.to(self.incoming)
        self.relevant = list(task.structure.relevant)
        self.act_fn = config.act_fn

    @property
    def n_features(self) -> int:
        return len(self.incoming)

    @cached_property
    def is_relevant(self) -> Bool[Tensor, " feature"]:
        return self.mask(self.relevant)

    def mask(self, features: list[int]) -> Bool[Tensor, " feature"]:
        """These features as a mask."""
        found = torch.zeros(self.n_features, dtype=torch.bool, device=self.incoming.device)
        found[features] = True
        return found

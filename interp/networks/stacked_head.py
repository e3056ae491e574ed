"""What comes after attention in a stack, with its loss and its gradients, for the ordinary case on a processor.

MLP, unembedding and float64 cross-entropy are most of a small network's work, and as one differentiable function of
all members they pass through memory several times: an activation of a whole stack does not stay in a core's cache.
Here the matrix products go member by member into buffers that do, and gradients are written where the optimizer reads
them. The same numbers to rounding as `interp.networks.stacked.after_attention` and the loss of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.networks.config import ModelConfig, Weights
from interp.networks.stacked import Asked

_NAMES = {
    name: f"blocks.0.mlp.{name}" if name != "W_U" else "unembed.W_U"
    for name in ("W_in", "b_in", "W_out", "b_out", "W_U")
}


def obstacle(config: ModelConfig) -> str | None:
    """Why this cannot stand for the rest of a one-layer transformer, or None where it can."""
    if config.act_fn != "relu" or not config.d_mlp or not config.mlp_bias:
        return "it needs an MLP of ReLUs with biases"
    if config.normalization_type or config.tied_unembed or config.unembed_bias:
        return "it needs a network without LayerNorm, with an unembedding of its own, without bias"
    return None


@dataclass(frozen=True, eq=False)
class Found:
    """What a pass over all questions gives.

    Attributes:
        losses: mean cross-entropy of each member, float64, nats.
        n_right: questions that each answers rightly; 0 where they are not counted.
    """

    losses: Float[Tensor, " member"]
    n_right: Int[Tensor, " member"]


class Head:
    """The rest of the network and its loss, on the questions of all members.

    Attributes:
        names: the weights that it reads, and whose gradients it writes.
        logits: those of the last pass.
    """

    names = frozenset(_NAMES.values())

    def __init__(self, weights: Weights, gradients: Weights, asked: Asked):
        """
        Args:
            weights, gradients: stacked; read and written in place at every call.
            asked: one question an example, at its last position.
        """
        self.asked = asked
        n_members, n = asked.labels.shape
        # Padding comes last, and is left out: sums over a member's questions are then those of the member alone.
        self._n_questions = asked.is_asked.sum(-1).tolist()
        self._members = [
            tuple(part[name][i] for part in (weights, gradients) for name in _NAMES.values())
            for i in range(n_members)
        ]
        W_in, W_U = (weights[_NAMES[name]] for name in ("W_in", "W_U"))
        # The neurons of all members are kept for the gradients alone; what else is as wide is of one at a time.
        self._post: Tensor | None = None
        self._buffer = W_in.new_empty(n, W_in.shape[-1])
        self._resid_post = W_in.new_empty(n_members, n, W_in.shape[1])
        self.logits = W_in.new_zeros(n_members, n, W_U.shape[-1])
        self._weights = asked.weights[..., None]
        self._labels = asked.labels[..., None]
        self._minus_one = torch.full_like(self._weights, -1.0)
        self._is_asked = asked.is_asked

    def scores(self, stream: Float[Tensor, "member question d_model"]) -> Found:
        """Losses and right answers."""
        self._forward(stream, [self._buffer] * len(stream))
        return self._found(counts=True)[0]

    def gradients(
        self, stream: Float[Tensor, "member question d_model"], *, counts: bool
    ) -> tuple[Found, Float[Tensor, "member question d_model"]]:
        """Losses, and the gradient of their sum: that of the stream, and in place those of the weights.

        Args:
            counts: whether right answers are counted.
        """
        if self._post is None:
            self._post = self._buffer.new_empty(len(stream), *self._buffer.shape)
        self._forward(stream, self._post)
        found, log_probability = self._found(counts=counts)
        of_logits = log_probability.exp_().scatter_add_(-1, self._labels, self._minus_one)
        of_logits = of_logits.mul_(self._weights).to(stream.dtype)
        # Subnormal numbers change no sum and cost a hundredfold (`interp.training.data`).
        of_logits = torch.nn.functional.hardshrink(of_logits, torch.finfo(stream.dtype).tiny)
        of_stream = torch.empty_like(stream)
        for i, (n, member) in enumerate(zip(self._n_questions, self._members, strict=True)):
            W_in, _, W_out, _, W_U, of_W_in, of_b_in, of_W_out, of_b_out, of_W_U = member
            post, of_post, of_own_logits = self._post[i, :n], self._buffer[:n], of_logits[i, :n]
            torch.mm(self._resid_post[i, :n].T, of_own_logits, out=of_W_U)
            of_resid = torch.mm(of_own_logits, W_U.T)
            torch.mm(post.T, of_resid, out=of_W_out)
            torch.sum(of_resid, 0, out=of_b_out)
            torch.mm(of_resid, W_out.T, out=of_post)
            torch.ops.aten.threshold_backward.grad_input(of_post, post, 0, grad_input=of_post)
            torch.mm(stream[i, :n].T, of_post, out=of_W_in)
            torch.sum(of_post, 0, out=of_b_in)
            torch.addmm(of_resid, of_post, W_in.T, out=of_stream[i, :n])
            of_stream[i, n:].zero_()
        return found, of_stream

    def _forward(self, stream: Tensor, posts: Sequence[Tensor] | Tensor) -> None:
        for i, (n, member) in enumerate(zip(self._n_questions, self._members, strict=True)):
            W_in, b_in, W_out, b_out, W_U, *_ = member
            own = stream[i, :n]
            post = torch.addmm(b_in, own, W_in, out=posts[i][:n]).relu_()
            resid_post = torch.addmm(b_out, post, W_out, out=self._resid_post[i, :n]).add_(own)
            torch.mm(resid_post, W_U, out=self.logits[i, :n])

    def _found(self, *, counts: bool) -> tuple[Found, Tensor]:
        log_probability = self.logits.double().log_softmax(-1)
        picked = log_probability.gather(-1, self._labels)[..., 0]
        picked = picked * self.asked.weights
        losses = -torch.stack([own[:n].sum() for n, own in zip(self._n_questions, picked, strict=True)])
        # For a member's accuracy alone, an argmax over all its logits.
        right = (self.logits.argmax(-1) == self.asked.labels) & self._is_asked if counts else None
        n_right = torch.zeros(len(losses), dtype=torch.long) if right is None else right.sum(-1)
        return Found(losses, n_right), log_probability

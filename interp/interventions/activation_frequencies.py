"""Frequencies in neurons and logits: activations of the whole table of pairs, not weights.

Where an edit of `interp.interventions.frequencies` changes what the network reads or writes, one of these changes a
single activation on its way, so that nothing before it knows. They need all examples of the task in its order, in one
pass: a frequency is a property of the table of all pairs, and not of one of them.

- logits: the part in cos and sin of w_k(a+b), any answer. Kept alone with the mean logit of each answer it gives the
  restricted loss, removed the excluded loss of Nanda et al. 2023.
- neurons: products of 1, cos and sin of w_k a with 1, cos and sin of w_k b, the same k on both sides, without 1 * 1,
  which is the mean.

References: Nanda et al. 2023, sections 4.2 to 4.4 and 5.1.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.ground.choices import check_choices
from interp.interventions.bench import Bench, check_layer, check_units
from interp.interventions.parts import cyclic, frequency_span
from interp.mathematics.fourier import mean_over_sum, sum_table
from interp.networks.objective import precise
from interp.networks.plain import Tap


@dataclass(frozen=True, kw_only=True)
class _OfActivation(ABC):
    """Which frequencies of which activation.

    Attributes:
        layer: of the neurons; of no account for logits.

    Raises:
        ValueError: if `where` is neither; from `tap`, if the task is not cyclic or has no such frequency, or the
            network no such neurons; from the tap, if it is not shown all examples of the task.
    """

    frequencies: tuple[int, ...]
    where: Literal["neurons", "logits"]
    layer: int = 0

    def __post_init__(self):
        check_choices(self)

    def hooks(self, bench: Bench) -> tuple[str, ...]:
        if self.where == "logits":
            return ("hook_unembed",)
        check_layer(bench, self.layer)
        check_units("neurons", (), bench.config.d_mlp)
        return (f"blocks.{self.layer}.mlp.hook_post",)

    def tap(self, bench: Bench) -> Tap:
        cells, (hook,) = _cells(bench), self.hooks(bench)
        n = cyclic(bench).order
        frequency_span(bench, self.frequencies)

        def tapped(name: str, x: Tensor) -> Tensor:
            if name != hook:
                return x
            if len(x) != bench.known_task.n_examples:
                raise ValueError(
                    f"Frequencies of {self.where} need all {bench.known_task.n_examples} examples of the task at once, "
                    f"got {len(x)}. A frequency is one of the table of all pairs: run the network on task.inputs."
                )
            table = x[cells.to(x.device)].to(precise(x.device)).reshape(n, n, *x.shape[1:])
            out = x.clone()
            out[cells.to(x.device)] = self._changed(table, bench).flatten(0, 1).to(x.dtype)
            return out

        return tapped

    @abstractmethod
    def _changed(self, table: Float[Tensor, "n n *rest"], bench: Bench) -> Float[Tensor, "n n *rest"]:
        """The table as it goes on."""

    def _part(self, table: Float[Tensor, "n n *rest"], bench: Bench) -> Float[Tensor, "n n *rest"]:
        """The part in the frequencies."""
        if self.where == "logits":
            means = mean_over_sum(table)
            basis = frequency_span(bench, self.frequencies).to(means)
            part = basis @ (basis.T @ means.flatten(1))
            return part.reshape(means.shape)[sum_table(len(table), table.device)]
        out = torch.zeros_like(table)
        for k in dict.fromkeys(self.frequencies):
            wave = frequency_span(bench, (k,)).to(table)
            both = torch.cat([torch.full_like(wave[:, :1], len(wave) ** -0.5), wave], 1)
            coefficients = torch.einsum("af,bg,ab...->fg...", both, both, table)
            coefficients[0, 0] = 0
            out = out + torch.einsum("af,bg,fg...->ab...", both, both, coefficients)
        return out


@dataclass(frozen=True, kw_only=True)
class KeepFrequenciesOf(_OfActivation):
    """Only these frequencies of the neurons or the logits go on, with the mean over all pairs."""

    kind: Literal["keep-frequencies-of"] = "keep-frequencies-of"

    untouched: ClassVar[str] = (
        "the named frequencies, the mean over the pairs, weights, activations before the hook"
    )

    def _changed(self, table: Float[Tensor, "n n *rest"], bench: Bench) -> Float[Tensor, "n n *rest"]:
        return self._part(table, bench) + table.mean((0, 1), keepdim=True)


@dataclass(frozen=True, kw_only=True)
class RemoveFrequenciesOf(_OfActivation):
    """All but these frequencies of the neurons or the logits go on."""

    kind: Literal["remove-frequencies-of"] = "remove-frequencies-of"

    untouched: ClassVar[str] = (
        "the other frequencies, the mean over the pairs, weights, activations before the hook"
    )

    def _changed(self, table: Float[Tensor, "n n *rest"], bench: Bench) -> Float[Tensor, "n n *rest"]:
        return table - self._part(table, bench)


def _cells(bench: Bench) -> Int[Tensor, " cell"]:
    """The example of each pair of group elements, by first and second; residues without a name are left out."""
    structure = cyclic(bench)
    first, second = structure.first[structure.pairs[:, 0]], structure.second[structure.pairs[:, 1]]
    named = ((first >= 0) & (second >= 0)).nonzero().squeeze(1)
    return named[(first[named] * structure.order + second[named]).argsort()]

"""A snapshot of a task whose answer is a product, in the names of its group.

Row (x, y) of a table is the pair of group elements x and y, columns of logits are group elements too. A sum of residues
is a product in the cyclic group: for such tasks the elements are the names of `Residues`, whatever residues carry them,
so that probes of groups and Fourier probes speak of the same tables.

References: Chughtai et al. 2023, "A toy model of universality", appendix C (total embedding).
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from interp.mathematics.groups import named_group
from interp.mathematics.relabelling import random_names, renamed_cells
from interp.mathematics.representations import (
    Representation,
    irreducible_representations,
    matrix_element_basis,
)
from interp.networks.layers import neuron_unembedding
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.structure import Cyclic, FiniteGroup
from interp.tasks.task import Task


@dataclass(frozen=True, eq=False)
class _Names:
    """The element that each residue names as first operand, as second one and as answer; -1 for none."""

    first: Int[Tensor, " p"]
    second: Int[Tensor, " p"]
    answer: Int[Tensor, " p"]


class Elements:
    """Views of one snapshot, each computed once: `snapshot.once(Elements)`.

    Attributes:
        group: the group, elements in its own order.
        n: its order.

    Raises:
        NotApplicable: if the run has no known task, or its answers are no product in a group.
    """

    def __init__(self, snapshot: Snapshot):
        task = snapshot.known_task
        structure = task.structure
        if isinstance(structure, FiniteGroup):
            self.group = structure.group
            own = torch.arange(self.group.order)
            names = _Names(own, own, own)
        elif isinstance(structure, Cyclic):
            self.group = named_group(f"C{structure.order}")
            names = _Names(structure.first, structure.second, structure.answer)
        else:
            raise NotApplicable(
                f"The answers of this task ({task.config.description}) are no product in a group known here, so that "
                "probes of representations and cosets do not apply."
            )
        self.n = self.group.order
        self._names, self._pairs, self._tokens = names, structure.pairs, structure.operand_tokens
        # Not the snapshot itself, which keeps this view: neither would be freed before the next step is measured.
        self._network, self._weights, self._device = snapshot.network, snapshot.weights, snapshot.device
        self._activation, self._double, self._inputs = snapshot.activation, snapshot.double, task.inputs

    # --- the group

    @cached_property
    def representations(self) -> tuple[Representation, ...]:
        """All real irreducible representations, the trivial one first."""
        return irreducible_representations(self.group)

    @cached_property
    def bases(self) -> list[Float[Tensor, "n m"]]:
        """For each representation an orthonormal basis of its matrix elements; together one of all functions."""
        return [matrix_element_basis(r).to(self._device, self._double) for r in self.representations]

    @cached_property
    def products(self) -> Int[Tensor, "n n"]:
        """The Cayley table, where the snapshot is."""
        return self.group.table.to(self._device)

    def mean_over_product(self, x: Float[Tensor, "n n *rest"]) -> Float[Tensor, " n *rest"]:
        """Mean of x over the n pairs with a∘b = s, for each s: all that a function of the product sees of x."""
        out = torch.zeros((self.n, *x.shape[2:]), dtype=x.dtype, device=x.device)
        return out.index_add_(0, self.products.flatten(), x.flatten(0, 1)) / self.n

    # --- questions and answers

    def table(self, x: Shaped[Tensor, " question *rest"]) -> Shaped[Tensor, "n n *rest"]:
        """A quantity of each question as a table over group elements (first, second).

        Examples with a residue that names no element (0 in a multiplicative group) are left out.
        """
        return x[self._table_rows].reshape(self.n, self.n, *x.shape[1:])

    @cached_property
    def _table_rows(self) -> Int[Tensor, " cell"]:
        first, second = self._names.first[self._pairs[:, 0]], self._names.second[self._pairs[:, 1]]
        named = ((first >= 0) & (second >= 0)).nonzero().squeeze(1)
        return named[(first[named] * self.n + second[named]).argsort()].to(self._device)

    @cached_property
    def answers(self) -> Int[Tensor, " p"]:
        """The output of each group element as an answer, in the group's order, then outputs that name none.

        Outputs beyond the task's answers, as one for "=", are left out.
        """
        unnamed = (self._names.answer < 0).nonzero().squeeze(1)
        return torch.cat([_carriers(self._names.answer, self.n), unnamed]).to(self._device)

    @cached_property
    def logits(self) -> Float[Tensor, "n n p"]:
        """logits[x, y, z] with all of `answers` as last axis, float64."""
        return self.table(self._activation("hook_unembed"))[..., self.answers].to(self._double)

    @property
    def logit_cube(self) -> Float[Tensor, "n n n"]:
        """logits[x, y, z] over group elements, float64: an ideal network is largest at z = x∘y."""
        return self.logits[..., : self.n]

    # --- the network

    @cached_property
    def left_embedding(self) -> Float[Tensor, "n d"]:
        """What the network knows of each element as the left operand, float64.

        Of an attention-free MLP its total embedding, W_E through the rows of W_in that read the position: what the
        neurons are shown. Of a transformer W_E.

        Raises:
            NotApplicable: if no weight is known to be W_E.
        """
        return self._embedding(0, self._names.first)

    @cached_property
    def right_embedding(self) -> Float[Tensor, "n d"]:
        """The same of the right operand."""
        return self._embedding(1, self._names.second)

    def _embedding(self, position: int, names: Int[Tensor, " p"]) -> Float[Tensor, "n d"]:
        config = self._network.config
        if config is None:
            raise NotApplicable("This network has no weight that is known to be W_E.")
        tokens = self._tokens[position][_carriers(names, self.n)].to(self._device)
        if not config.is_mlp:
            return self._weights["embed.W_E"][tokens].to(self._double)
        return self._read(position, tokens)

    def _read(self, position: int, tokens: Int[Tensor, " token"]) -> Float[Tensor, "token neuron"]:
        """What the first hidden layer of an attention-free MLP is shown of tokens at a position."""
        config = self._network.config
        assert config is not None and config.is_mlp
        d = config.d_model
        first = 0 if config.summed_embed else position * d
        rows = self._weights["blocks.0.mlp.W_in"][first : first + d].to(self._double)
        return rows[tokens] if config.one_hot_embed else self._weights["embed.W_E"][tokens].to(rows) @ rows

    @cached_property
    def neurons(self) -> Float[Tensor, "n n neuron"]:
        """Neurons of the last MLP layer over group elements (first, second), float64.

        Raises:
            NotApplicable: if the network has no MLP.
        """
        if not self._network.neurons:
            raise NotApplicable("This network has no MLP neurons.")
        return self.table(self._activation(self._network.neurons[-1])).to(self._double)

    @cached_property
    def neuron_logits(self) -> Float[Tensor, "p neuron"]:
        """What each neuron of the last MLP layer adds to the logit of each of `answers`, float64.

        W_U of an attention-free MLP, W_out W_U of a transformer. Ignores the residual stream beside the MLP and the
        biases.

        Raises:
            NotApplicable: if there is no MLP, or it is not known which weights follow it.
        """
        config = self._network.config
        if config is None:
            raise NotApplicable(
                "This network has no model config: which weights follow its neurons is not known."
            )
        if not config.is_mlp and not config.d_mlp:
            raise NotApplicable("This network has no MLP neurons.")
        return neuron_unembedding(config, self._weights, self._double)[:, self.answers].T

    @property
    def unembedding(self) -> Float[Tensor, "n neuron"]:
        """`neuron_logits` of the group elements alone.

        Raises:
            NotApplicable: as `neuron_logits`.
        """
        return self.neuron_logits[: self.n]

    @cached_property
    def preactivations(self) -> tuple[Float[Tensor, "n neuron"], Float[Tensor, "n neuron"]]:
        """L and R, float64, of neurons whose input is exactly L(a) + R(b).

        Biases and further tokens, which are the same in every example, are in R.

        Raises:
            NotApplicable: unless the network is an attention-free MLP of one hidden layer.
        """
        config = self._network.config
        if config is None or not config.is_mlp or config.n_layers > 1:
            raise NotApplicable(
                "Only in an attention-free MLP of one hidden layer is the input of a neuron a function of the left "
                "operand plus one of the right operand."
            )
        right = self.right_embedding
        for position in range(2, config.n_ctx):
            right = right + self._read(position, self._inputs[:1, position].to(self._device))
        return self.left_embedding, right + self._weights.get("blocks.0.mlp.b_in", torch.zeros(())).to(right)


def _carriers(names: Int[Tensor, " p"], n: int) -> Int[Tensor, " n"]:
    """The residue that carries each name 0 .. n-1."""
    residues = torch.full((n,), -1)
    named = names >= 0
    residues[names[named]] = named.nonzero().squeeze(1)
    return residues


def names_of_elements(task: Task, device: torch.device) -> Int[Tensor, "draw n n"]:
    """Cells of tables over the elements under random names, the null of what characters explain; once a task."""
    structure = task.structure
    if isinstance(structure, FiniteGroup):
        table = structure.group.table
    else:
        assert isinstance(structure, Cyclic)
        table = named_group(f"C{structure.order}").table
    return renamed_cells(table, random_names(table)).to(device)

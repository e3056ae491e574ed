"""A snapshot of a cyclic task in the names of its algebra, in which the answer is a sum.

Row (x, y) of a table is the pair of group elements x and y, whatever the operands that carry those names are; columns
of logits are group elements too. So one set of Fourier probes serves addition, subtraction, multiplication and
division.
"""

from functools import cached_property

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from interp.mathematics.lines import LineMeans
from interp.mathematics.relabelling import cyclic_names
from interp.networks.layers import neuron_unembedding, unembedding
from interp.snapshots.snapshot import NotApplicable, Snapshot
from interp.tasks.structure import Cyclic, FiniteGroup, carriers
from interp.tasks.task import Task


class Residues:
    """Views of one snapshot, each computed once: `snapshot.once(Residues)`.

    Attributes:
        structure: the renamings.
        n: order of the group.
        answer_order: the residue that each group element names as an answer: columns of the logits in algebra order.

    Raises:
        NotApplicable: if the run has no known task, or its answers are no sum under any renaming, as x^2 + xy + y^2.
    """

    def __init__(self, snapshot: Snapshot):
        task = snapshot.known_task
        if not isinstance(task.structure, Cyclic | FiniteGroup | None):
            raise NotApplicable(
                f"This task ({task.config.description}) does not ask for one sum of two residues in every row, so that "
                "Fourier probes of residues do not apply. `interp measure --list` names its own."
            )
        if not isinstance(task.structure, Cyclic):
            raise NotApplicable(
                f"The answers of this task ({task.config.description}) are not a sum under any renaming known here, so "
                "that Fourier probes do not apply. They do for addition, subtraction and, modulo a prime, "
                "multiplication and division."
            )
        self.structure, self.n = task.structure, task.structure.order
        self._table_rows, self._rows_in_order = snapshot.of_task(table_rows)
        self.answer_order, self._answers_in_order = snapshot.of_task(_answer_order)
        # Not the snapshot itself, which keeps this view: neither would be freed before the next step is measured.
        self._network, self._weights, self._device = snapshot.network, snapshot.weights, snapshot.device
        self._activation, self._double = snapshot.activation, snapshot.double

    def table(self, x: Shaped[Tensor, " question *rest"]) -> Shaped[Tensor, "n n *rest"]:
        """A quantity of each question as a table over group elements (first, second), whose sum is the answer.

        Examples with a residue that the algebra does not name (0 in a multiplicative group) are left out.
        """
        # Addition lists its pairs in the order of the table already: no copy.
        in_order = len(x) == len(self._table_rows) and self._rows_in_order
        return (x if in_order else x[self._table_rows]).reshape(self.n, self.n, *x.shape[1:])

    @property
    def logits(self) -> Float[Tensor, "question p"]:
        """Logits of the residues alone: further outputs, as one for "=", are left out."""
        return self._activation("hook_unembed")[:, : len(self.structure.answer)]

    @cached_property
    def logit_cube(self) -> Float[Tensor, "n n n"]:
        """logits[x, y, z] over group elements, float64: an ideal network is largest at z = x + y."""
        table = self.table(self.logits)
        in_order = table.shape[2] == self.n and self._answers_in_order
        return (table if in_order else table[..., self.answer_order]).to(self._double)

    @cached_property
    def centred_cube(self) -> Float[Tensor, "n n n"]:
        """The logit cube without the mean over the answers of each pair, which a softmax does not see."""
        return self.logit_cube - self.logit_cube.mean(-1, keepdim=True)

    @cached_property
    def logit_lines(self) -> LineMeans:
        """Means of the centred cube over the pairs of one first element, second, sum and difference."""
        return LineMeans.of(self.centred_cube)

    @cached_property
    def logit_power(self) -> Float[Tensor, ""]:
        """Sum of the squares of the centred cube."""
        flat = self.centred_cube.flatten()
        return flat @ flat

    @cached_property
    def neuron_table(self) -> Float[Tensor, "n n neuron"]:
        """Neurons of the last MLP layer over group elements (first, second).

        Raises:
            NotApplicable: if the network has no MLP.
        """
        if not self._network.neurons:
            raise NotApplicable("This network has no MLP neurons.")
        return self.table(self._activation(self._network.neurons[-1]))

    @cached_property
    def neuron_lines(self) -> LineMeans:
        """Means of the neuron table over the pairs of one first element, second, sum and difference.

        Raises:
            NotApplicable: if the network has no MLP.
        """
        return LineMeans.of(self.neuron_table)

    @cached_property
    def embedding(self) -> Float[Tensor, "n d_model"]:
        """W_E of the first operand's tokens, in algebra order ("=" left out).

        Raises:
            NotApplicable: if the embedding is one-hot, or no weight is known to be W_E.
        """
        if self._network.config is None:
            raise NotApplicable("This network has no weight that is known to be W_E.")
        if "embed.W_E" not in self._weights:
            raise NotApplicable("This network's embedding is one-hot: there is no W_E to analyse.")
        tokens = self.structure.operand_tokens[0][carriers(self.structure.first, self.n)]
        return self._weights["embed.W_E"][tokens.to(self._device)]

    @cached_property
    def neuron_logit_map(self) -> Float[Tensor, "n neuron"]:
        """W_L: what each neuron of the last MLP layer adds to each answer's logit, rows in algebra order.

        Ignores the residual stream beside the MLP and the biases.

        Raises:
            NotApplicable: if there is no MLP, or grokscope does not describe the network.

        References: Nanda et al. 2023, appendix A.1 (W_L = W_U W_out).
        """
        config = self._network.config
        if config is None:
            raise NotApplicable(
                "This network has no model config: which weights follow its neurons is not known."
            )
        if not config.is_mlp and not config.d_mlp:
            raise NotApplicable("This network has no MLP neurons.")
        w_u = unembedding(config, self._weights)
        return neuron_unembedding(config, self._weights, w_u.dtype)[:, self.answer_order].T


def table_rows(task: Task, device: torch.device) -> tuple[Int[Tensor, " cell"], bool]:
    """The task's row of each pair of group elements, by first and second, and whether that is their order anyway."""
    structure = task.structure
    assert isinstance(structure, Cyclic)
    first, second = structure.first[structure.pairs[:, 0]], structure.second[structure.pairs[:, 1]]
    named = ((first >= 0) & (second >= 0)).nonzero().squeeze(1)
    rows = named[(first[named] * structure.order + second[named]).argsort()].to(device)
    return rows, _is_in_order(rows)


def orders_of_residues(task: Task, device: torch.device) -> Int[Tensor, "draw n"]:
    """Random names of the residues, the null of every Fourier number: of `cyclic_names`, once a task."""
    return cyclic_names(_order(task))[0].to(device)


def names_of_residues(task: Task, device: torch.device) -> Int[Tensor, "draw n n"]:
    """The cells of tables over residues under `orders_of_residues`."""
    return cyclic_names(_order(task))[1].to(device)


def _order(task: Task) -> int:
    assert isinstance(task.structure, Cyclic)
    return task.structure.order


def _answer_order(task: Task, device: torch.device) -> tuple[Int[Tensor, " n"], bool]:
    assert isinstance(task.structure, Cyclic)
    order = carriers(task.structure.answer, task.structure.order).to(device)
    return order, _is_in_order(order)


def _is_in_order(index: Int[Tensor, " m"]) -> bool:
    return torch.equal(index, torch.arange(len(index), device=index.device))

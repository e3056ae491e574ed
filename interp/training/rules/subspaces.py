"""The rule that takes a subspace out of the gradient or the update of one weight: frequencies, or random directions."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp.ground.plain_text import shown
from interp.mathematics.fourier import check_frequencies, fourier_basis
from interp.networks.config import Weights
from interp.tasks.structure import Cyclic
from interp.tasks.task import Task
from interp.training.rules.base import Now, Rule
from interp.training.rules.bounds import check_chosen, check_fields
from interp.training.rules.recorded import tensor_norm


@dataclass(frozen=True, kw_only=True)
class RemoveSubspace(Rule):
    """One weight learns nothing of some frequencies over the tokens: their part of its gradient or update is removed.

    Along the axis of the tokens, whose elements of Z_order are named, every column of the weight is a function on the
    group; removed is its projection onto cos and sin of the frequencies. `without_frequencies` makes the rule for a
    task, whatever its operation. Controls which frequencies grow. Laws: of the gradient (or the update) nothing is
    left in the subspace, and nothing else is touched; no frequencies are the identity, bit for bit.

    From the gradient, weight decay still shrinks what is there, and Adam's division lets some of it grow; from the
    update, the weight keeps its component in the subspace exactly as it was at the branch, to float rounding.

    Records: removed_share, share of the squared norm of this weight's gradient or update that was removed.

    Attributes:
        weight: name.
        frequencies: from 1 to order // 2.
        order: of the group.
        names: element of each row (-1: none, untouched), each of 0 .. order - 1 once. Rows beyond the names have
            none. None: row r is element r.
        axis: of the tokens (0 of W_E, 1 of W_U).
        acts_on: "gradient" or "update".
        seed: None, or that of the sham: as many random directions, orthogonal to the constant as frequencies are.
    """

    looks_back: ClassVar[bool] = True

    kind: Literal["remove-subspace"] = "remove-subspace"
    weight: str
    frequencies: tuple[int, ...]
    order: int
    names: tuple[int, ...] | None = None
    axis: int = 0
    acts_on: Literal["gradient", "update"] = "gradient"
    seed: int | None = None

    def __post_init__(self):
        check_fields(self)
        check_frequencies(self.frequencies, self.order)
        if self.names is not None and sorted(n for n in self.names if n != -1) != list(range(self.order)):
            raise ValueError(
                f"RemoveSubspace needs names that hold each of 0 to {self.order - 1} once and -1 elsewhere, got "
                f"{shown(self.names)}. Frequencies are defined on the whole group."
            )

    def check(self, weights: Weights, recipe: object) -> None:
        check_chosen(self, (self.weight,), tuple(weights))
        shape = tuple(weights[self.weight].shape)
        n_named = self.order if self.names is None else len(self.names)
        if not -len(shape) <= self.axis < len(shape) or shape[self.axis] < n_named:
            raise ValueError(
                f"RemoveSubspace needs {n_named} rows along axis {self.axis} of {self.weight}, got shape {shape}. "
                "Name the axis of the tokens, and the order of the group."
            )

    def gradients(
        self, gradients: Weights, weights: Weights, memory: dict[str, Weights], now: Now
    ) -> Weights:
        if self.acts_on != "gradient" or not self.frequencies or self.weight not in gradients:
            return gradients
        return gradients | {self.weight: self._without(gradients[self.weight], now)}

    def updated(self, before: Weights, after: Weights, memory: dict[str, Weights], now: Now) -> Weights:
        if self.acts_on != "update" or not self.frequencies:
            return after
        update = after[self.weight] - before[self.weight]
        return after | {self.weight: before[self.weight] + self._without(update, now)}

    def _without(self, x: Tensor, now: Now) -> Tensor:
        along = x.movedim(self.axis, 0)
        directions = _directions(self, len(along)).to(x.device, x.dtype)
        part = torch.tensordot(directions.T, torch.tensordot(directions, along, dims=1), dims=1)
        now.records["removed_share"] = (tensor_norm(part) / tensor_norm(along)).square()
        return x - part.movedim(0, self.axis)


def without_frequencies(
    task: Task,
    frequencies: tuple[int, ...],
    *,
    acts_on: Literal["gradient", "update"] = "gradient",
    seed: int | None = None,
) -> tuple[RemoveSubspace, ...]:
    """The rules by which the embedding learns nothing of these frequencies of the task's group.

    One for each set of tokens: two where the operands have vocabularies of their own.

    Raises:
        ValueError: if the task's answers are not sums on a cyclic group.
    """
    structure = task.structure
    if not isinstance(structure, Cyclic):
        raise ValueError(
            f"Frequencies need a task whose answers are sums on a cyclic group, got {task.config.description}. Take a "
            "modular operation that is one in other names, as a * b mod a prime."
        )
    found: dict[tuple[int, ...], RemoveSubspace] = {}
    # Names of second operands may be those of the first with another sign, which spans the same frequencies.
    for tokens, elements in zip(structure.operand_tokens, (structure.first, structure.second), strict=True):
        names = torch.full((int(tokens.max()) + 1,), -1)
        names[tokens] = elements
        found.setdefault(
            tuple(tokens.tolist()),
            RemoveSubspace(
                weight="embed.W_E",
                frequencies=frequencies,
                order=structure.order,
                names=tuple(names.tolist()),
                acts_on=acts_on,
                seed=seed,
            ),
        )
    return tuple(found.values())


@lru_cache(maxsize=16)
def _directions(rule: RemoveSubspace, n_rows: int) -> Float[Tensor, "direction row"]:
    """Orthonormal directions over all rows, zero where a row has no name."""
    rows = [row for k in sorted(set(rule.frequencies)) for row in (2 * k - 1, 2 * k) if row < rule.order]
    on_group = fourier_basis(rule.order)[rows]
    if rule.seed is not None:
        drawn = torch.randn(
            on_group.shape, generator=torch.Generator().manual_seed(rule.seed), dtype=torch.float64
        )
        on_group = torch.linalg.qr((drawn - drawn.mean(1, keepdim=True)).T).Q.T
    names = torch.arange(rule.order) if rule.names is None else torch.tensor(rule.names)
    directions = torch.zeros(len(rows), n_rows, dtype=torch.float64)
    directions[:, : len(names)] = torch.where(names >= 0, on_group[:, names.clamp(min=0)], 0.0)
    return directions

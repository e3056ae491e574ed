"""Whether each neuron reads its operands through the cosets of a subgroup."""

from functools import lru_cache

import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.mathematics.groups import Group, left_cosets, right_cosets, subgroups
from interp.snapshots.elements import Elements
from interp.snapshots.snapshot import NotApplicable, Snapshot

VERSION = 1

DEAD = 1e-24  # of the largest squared value: variance below it is rounding


def coset_concentration(snapshot: Snapshot) -> pd.DataFrame:
    """Concentration on the cosets of the subgroup that fits best, for each neuron and operand.

    The input of a neuron is exactly L(a) + R(b) in an attention-free MLP of one hidden layer. Against a subgroup H the
    concentration of L is the sum over the right cosets of H of the variance of L within each, over its variance over
    the whole group; R is held against left cosets. 0: a function of the coset alone. The sum, not the mean: a function
    that knows nothing of H has about as many as there are cosets, so that less than 1 says something already. The whole
    group always gives 1 and the trivial subgroup always 0, both are left out.

    A low concentration does not tell a circuit of cosets from one of representations: matrix elements of some
    representations are functions of cosets, and only interventions separate the two accounts.

    Columns:
        neuron: of the hidden layer.
        side: "left" (L, right cosets) or "right" (R, left cosets).
        concentration: the least over all subgroups; NaN where the neuron does not depend on the operand.
        subgroup: its place in `interp.mathematics.groups.subgroups` of the group; -1 where there is none.
        subgroup_order: its number of elements; 0 where there is none.
        variance: of L or R over the group.

    Raises:
        NotApplicable: if the answers are no product in a group, the order of the group is prime, which leaves no
            subgroup to speak of, or the input of the neurons is no sum of functions of the operands.

    References: Stander et al. 2023, "Grokking group multiplication with cosets", section 6.1.
    """
    elements = snapshot.once(Elements)
    masks, by_side = _cosets(elements.group)
    if not len(masks):
        raise NotApplicable(
            f"The group {elements.group.name} has no subgroups but itself and the trivial one, as any group of prime "
            "order: nothing can be told from cosets."
        )
    sides = dict(zip(("left", "right"), elements.preactivations, strict=True))
    return pd.concat([_side(side, x, by_side[side], masks) for side, x in sides.items()], ignore_index=True)


@lru_cache(maxsize=4)
def _cosets(group: Group) -> tuple[Tensor, dict[str, Int[Tensor, "subgroup n"]]]:
    """Proper subgroups but the trivial one, as masks, and the labels of the cosets that L and R are held against."""
    masks = subgroups(group)[1:-1]
    labels = {"left": right_cosets, "right": left_cosets}
    shape = (len(masks), group.order)
    return masks, {
        side: torch.stack([of(group, mask) for mask in masks]) if len(masks) else torch.zeros(shape).long()
        for side, of in labels.items()
    }


def _side(
    side: str, x: Float[Tensor, "n neuron"], cosets: Int[Tensor, "subgroup n"], masks: Tensor
) -> pd.DataFrame:
    variance = x.var(0, correction=0)
    is_live = variance > DEAD * x.square().amax(0)
    found = torch.stack([_within(x, labels.to(x.device)) for labels in cosets]) / variance
    least, subgroup = found.min(0)
    n_elements = masks.sum(1).to(x.device)[subgroup]
    return pd.DataFrame(
        {
            "neuron": range(x.shape[1]),
            "side": side,
            "concentration": least.where(is_live, torch.nan).cpu().numpy(),
            # The trivial subgroup is number 0.
            "subgroup": (subgroup + 1).where(is_live, -1).cpu().numpy(),
            "subgroup_order": n_elements.where(is_live, 0).cpu().numpy(),
            "variance": variance.cpu().numpy(),
        }
    )


def _within(x: Float[Tensor, "n neuron"], labels: Int[Tensor, " n"]) -> Float[Tensor, " neuron"]:
    """Sum over cosets of the variance of x within each."""
    n_cosets = int(labels.max()) + 1
    size = len(labels) // n_cosets
    means = torch.zeros(n_cosets, x.shape[1], dtype=x.dtype, device=x.device).index_add_(0, labels, x) / size
    return (x - means[labels]).square().sum(0) / size

"""Components of a network taken from another checkpoint of its run, whole or by a share.

A component is a set of tensors with their biases: "embedding" W_E, "positions" W_pos, "QK" W_Q and W_K, "OV" W_V and
W_O, "attention" both, "mlp_in" W_in, "mlp_out" W_out, "mlp" both, "norms" what LayerNorm learns, "unembedding" W_U,
"everything". An attention-free MLP has no "mlp_out": what its last neurons write through is the unembedding.

A grafted component meets others that never saw it; that the network gets worse says little, that it gets better much.
Scales differ along a run: compare with a graft between two checkpoints of equal norm, or after `TakeNorms`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from interp.ground.choices import check_choices
from interp.interventions.bench import Bench, check_layer
from interp.networks.config import Weights, parameter_shapes

Component = Literal[
    "embedding",
    "positions",
    "QK",
    "OV",
    "attention",
    "mlp_in",
    "mlp_out",
    "mlp",
    "norms",
    "unembedding",
    "everything",
]

_LEAVES: dict[str, tuple[str, ...]] = {
    "embedding": ("embed.W_E",),
    "positions": ("pos_embed.W_pos",),
    "QK": ("attn.W_Q", "attn.b_Q", "attn.W_K", "attn.b_K"),
    "OV": ("attn.W_V", "attn.b_V", "attn.W_O", "attn.b_O"),
    "mlp_in": ("mlp.W_in", "mlp.b_in"),
    "mlp_out": ("mlp.W_out", "mlp.b_out"),
    "norms": ("ln1.w", "ln1.b", "ln2.w", "ln2.b", "ln_final.w", "ln_final.b"),
    "unembedding": ("unembed.W_U", "unembed.b_U"),
}
_LEAVES |= {"attention": _LEAVES["QK"] + _LEAVES["OV"], "mlp": _LEAVES["mlp_in"] + _LEAVES["mlp_out"]}
_LEAVES |= {"everything": tuple(leaf for leaves in _LEAVES.values() for leaf in leaves)}


def component_tensors(bench: Bench, component: Component, layers: tuple[int, ...] = ()) -> tuple[str, ...]:
    """Names of the tensors of a component, in the order of the network.

    Args:
        layers: blocks; all where none is named. Without account for what is in no block.

    Raises:
        ValueError: if the network has no such component or layer.
    """
    for layer in layers:
        check_layer(bench, layer)
    blocks = layers or tuple(range(bench.config.n_layers))
    leaves = _LEAVES[component]
    wanted = {*leaves, *(f"blocks.{layer}.{leaf}" for layer in blocks for leaf in leaves)}
    names = tuple(name for name in parameter_shapes(bench.config) if name in wanted)
    if not names:
        there = [
            c for c in _LEAVES if any(name.endswith(_LEAVES[c]) for name in parameter_shapes(bench.config))
        ]
        raise ValueError(
            f"This intervention needs a component that the network has, got {component!r}. There are: "
            f"{', '.join(there)}."
        )
    return names


@dataclass(frozen=True, kw_only=True)
class GraftComponent:
    """A component as a donor has it, the donor's own tensors.

    Attributes:
        donor: its name on the bench.
        layers: blocks; all where none is named.

    Raises:
        ValueError: if the component is no such word; from `edit`, if the network has none, or the donor is missing or
            of another network.
    """

    component: Component
    donor: str
    layers: tuple[int, ...] = ()
    kind: Literal["graft-component"] = "graft-component"

    untouched: ClassVar[str] = "every tensor that is not of the component, and the other layers"

    def __post_init__(self):
        check_choices(self)

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        names = component_tensors(bench, self.component, self.layers)
        donor = bench.donor(self.donor, weights, names)
        return {**weights, **{name: donor[name] for name in names}}


@dataclass(frozen=True, kw_only=True)
class InterpolateComponent:
    """A component on the line from its own weights (share 0) to the donor's (share 1), or beyond.

    Raises:
        ValueError: as `GraftComponent`.
    """

    component: Component
    donor: str
    share: float
    layers: tuple[int, ...] = ()
    kind: Literal["interpolate-component"] = "interpolate-component"

    untouched: ClassVar[str] = "every tensor that is not of the component, and the other layers"

    def __post_init__(self):
        check_choices(self)

    def edit(self, weights: Weights, bench: Bench) -> Weights:
        names = component_tensors(bench, self.component, self.layers)
        donor = bench.donor(self.donor, weights, names)
        moved = {name: weights[name] + self.share * (donor[name] - weights[name]) for name in names}
        return {**weights, **moved}


def swapped(
    component: Component, one: Weights, other: Weights, bench: Bench, layers: tuple[int, ...] = ()
) -> tuple[Weights, Weights]:
    """Both checkpoints, each with the other's component; swapped again they are what they were.

    Raises:
        ValueError: as `GraftComponent`.
    """
    both = Bench(bench.config, bench.task, {"one": one, "other": other})
    return (
        GraftComponent(component=component, donor="other", layers=layers).edit(one, both),
        GraftComponent(component=component, donor="one", layers=layers).edit(other, both),
    )

"""Attention heads that say nothing, their mean, or what they say on another example.

References: Chan et al. 2022, "Causal scrubbing" (resampling); Wang et al. 2022, "Interpretability in the wild" (mean).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from interp.ground.choices import check_choices
from interp.interventions.ablation import How, ablation
from interp.interventions.bench import Bench, check_layer, check_units
from interp.networks.plain import Tap


@dataclass(frozen=True, kw_only=True)
class AblateHeads:
    """What these heads of a layer read (`hook_z`) is replaced, at every position.

    Attributes:
        how: "zero", "mean" over the examples, or "resample" (drawn with `seed`, no example keeps its own).

    Raises:
        ValueError: if `how` is none of them; from `tap`, if there is no such layer or head; from the tap, if a single
            example is to be resampled.
    """

    heads: tuple[int, ...]
    how: How
    layer: int = 0
    seed: int = 0
    kind: Literal["ablate-heads"] = "ablate-heads"

    untouched: ClassVar[str] = (
        "weights, the other heads, the output bias of attention, what the layers before compute"
    )

    def __post_init__(self):
        check_choices(self)

    def hooks(self, bench: Bench) -> tuple[str, ...]:
        check_layer(bench, self.layer)
        check_units("heads", self.heads, bench.config.n_heads)
        return (f"blocks.{self.layer}.attn.hook_z",)

    def tap(self, bench: Bench) -> Tap:
        return ablation(self.hooks(bench)[0], 2, self.heads, self.how, self.seed)

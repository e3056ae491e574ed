"""Activation patching: an activation of one pass put into another, between checkpoints or between inputs.

    >>> source = activations(config, grokked, tokens, patch.hooks_named)               # doctest: +SKIP
    >>> plain.forward(config, memorized, tokens, patch.tap_from(source))               # doctest: +SKIP

Between checkpoints of one run only: directions of another run mean other things. What is patched replaces everything
that comes before it and nothing that goes around it: with the residual stream at all positions the rest is the
donor's, with one head the rest is the network's own.

References: Meng et al. 2022, "Locating and editing factual associations in GPT"; Heimersheim and Nanda 2024, "How to
use and interpret activation patching".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from interp.interventions.bench import ActivationEdit, Bench, check_units
from interp.networks import plain
from interp.networks.config import ModelConfig, Weights
from interp.networks.plain import Tap, hook_names

if TYPE_CHECKING:
    from interp.networks.hooked import HookedNetwork

# Where heads have an axis of their own: queries, keys, values and their mixture (batch, pos, head, d_head), scores and
# patterns (batch, head, query, key).
_OF_HEADS = ("hook_q", "hook_k", "hook_v", "hook_z")
_OF_PATTERNS = ("hook_attn_scores", "hook_pattern")


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Which activations are replaced, and by whose.

    Attributes:
        names: hooks, in the words of `hook_names`.
        donor: the checkpoint on the bench that gives its activations on the task's inputs (`tap`); of no account where
            the source is given (`tap_from`).
        positions: tokens of a row, of a pattern the queries; all where none is named.
        units: heads where the activation has them, otherwise neurons or directions; all where none is named.

    Raises:
        ValueError: from `hooks`, if the network has no such activation; from `tap`, if there is no such donor; from the
            tap, if the source has another shape, or the activation no such position or unit.
    """

    names: tuple[str, ...]
    donor: str = ""
    positions: tuple[int, ...] = ()
    units: tuple[int, ...] = ()
    kind: Literal["patch"] = "patch"

    untouched: ClassVar[str] = (
        "weights, other activations until they read a patched one, other positions and units"
    )

    def hooks(self, bench: Bench) -> tuple[str, ...]:
        unknown = [name for name in self.names if name not in hook_names(bench.config)]
        if unknown:
            raise ValueError(
                f"A patch needs activations of the network, got {', '.join(unknown)}. There are: "
                f"{', '.join(hook_names(bench.config))}."
            )
        return self.names

    def tap(self, bench: Bench) -> Tap:
        names = self.hooks(bench)
        # No tensor is compared: the donor's pass needs all, and says itself which one it lacks.
        donor = bench.donor(self.donor, {}, ())
        return self.tap_from(activations(bench.config, donor, bench.known_task.inputs, names))

    def tap_from(self, source: Mapping[str, Tensor]) -> Tap:
        """A tap that puts these activations in the place of a pass's own."""

        def tap(name: str, x: Tensor) -> Tensor:
            if name not in self.names:
                return x
            if name not in source or source[name].shape != x.shape:
                found = tuple(source[name].shape) if name in source else "nothing"
                raise ValueError(
                    f"A patch needs a source of {name} of shape {tuple(x.shape)}, got {found}. Both passes need "
                    "the same number of rows and the same network."
                )
            return torch.where(self._is_patched(name, x), source[name].to(x), x)

        return tap

    def _is_patched(self, name: str, x: Tensor) -> Tensor:
        """A mask over the axes of the activation."""
        leaf = name.rsplit(".", 1)[-1]
        position, unit = (2, 1) if leaf in _OF_PATTERNS else (1, 2)
        if leaf not in (*_OF_HEADS, *_OF_PATTERNS):
            unit = x.ndim - 1
        mask = torch.ones([1] * x.ndim, dtype=torch.bool, device=x.device)
        for what, axis, chosen in (("positions", position, self.positions), ("units", unit, self.units)):
            if chosen:
                check_units(what, chosen, x.shape[axis])
                is_chosen = torch.isin(
                    torch.arange(x.shape[axis], device=x.device), torch.tensor(chosen).to(x.device)
                )
                mask = mask & is_chosen.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        return mask


def activations(
    config: ModelConfig, weights: Weights, inputs: Shaped[Tensor, "batch pos"], names: Iterable[str]
) -> dict[str, Tensor]:
    """The named activations of a pass."""
    wanted, kept = set(names), dict[str, Tensor]()

    def keep(name: str, x: Tensor) -> Tensor:
        if name in wanted:
            kept[name] = x
        return x

    plain.forward(config, weights, inputs, keep)
    return kept


def edited_logits(
    weights: Weights, edits: Iterable[ActivationEdit], bench: Bench
) -> Float[Tensor, "question d_vocab_out"]:
    """Logits of the task's questions under these edits of activations, in their order.

    Raises:
        ValueError: as the edits do.
    """
    task = bench.known_task
    position = task.position * (not bench.config.is_mlp)
    logits = plain.forward(bench.config, weights, task.inputs, chained(edit.tap(bench) for edit in edits))
    return logits[task.example, position]


def chained(taps: Iterable[Tap]) -> Tap:
    """One tap that does what these do, one after another."""
    all_taps = tuple(taps)

    def tap(name: str, x: Tensor) -> Tensor:
        for one in all_taps:
            x = one(name, x)
        return x

    return tap


def run_tapped(
    model: "HookedNetwork", inputs: Int[Tensor, "batch pos"], names: Iterable[str], tap: Tap
) -> Any:
    """What a hooked model answers, its activations of these names going through the tap: by `run_with_hooks`.

    Its other hooks stay, and none of this one's is left behind.

    Args:
        names: `edit.hooks(bench)`.
        tap: `edit.tap(bench)`, or `patch.tap_from(cache)` with the cache of another run of a hooked model.
    """
    return model.run_with_hooks(
        inputs, fwd_hooks=[(name, lambda x, hook: tap(hook.name, x)) for name in names]
    )

"""Networks as values that a snapshot can ask: described by a config, a user's own module, or one of Hugging Face.

All give activations at the questions, under the names of their hooks: (question, head, key) for attention scores and
patterns, (question, ...) for everything else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from interp.networks import factorized, plain
from interp.networks.answers import path_for
from interp.networks.config import ModelConfig, Weights
from interp.tasks.task import Questions

# What depends on the questions alone is kept for the next step's snapshot.
_prepared: "WeakKeyDictionary[Questions, dict[str, tuple[Questions, factorized.Rows | None]]]" = (
    WeakKeyDictionary()
)


@runtime_checkable
class Network(Protocol):
    """What a snapshot asks.

    Attributes:
        config: what the network is, or None where grokscope does not describe it.
        patterns, neurons: names of the hooks of attention patterns and of MLP activations, by layer.
    """

    @property
    def config(self) -> ModelConfig | None: ...

    @property
    def patterns(self) -> Sequence[str]: ...

    @property
    def neurons(self) -> Sequence[str]: ...

    def activations(self, weights: Weights, questions: Questions, hook: str) -> Mapping[str, Tensor]:
        """The activation of this hook at the questions, and what the same forward pass gave beside it.

        Raises:
            ValueError: if the network has no such hook.
        """

    def model(self, weights: Weights) -> Any:
        """A hooked model with these weights, or None where none can be built from them."""


@dataclass(frozen=True)
class DescribedNetwork:
    """The network of a config; activations by the factorized pass where it has them, otherwise by the plain one."""

    config: ModelConfig

    @property
    def patterns(self) -> Sequence[str]:
        return [name for name in plain.hook_names(self.config) if name.endswith(".hook_pattern")]

    @property
    def neurons(self) -> Sequence[str]:
        return [name for name in plain.hook_names(self.config) if name.endswith(".mlp.hook_post")]

    @torch.no_grad()
    def activations(self, weights: Weights, questions: Questions, hook: str) -> Mapping[str, Tensor]:
        names = plain.hook_names(self.config)
        if hook not in names:
            raise ValueError(f"The network has no hook {hook!r}. Its hooks are {', '.join(names)}.")
        # One pass for what most probes read; other hooks are read for all layers at once.
        common = {"hook_unembed", *self.patterns, *self.neurons}
        kind = hook.split(".", 2)[-1]
        wanted = common if hook in common else {name for name in names if name.split(".", 2)[-1] == kind}
        device = next(iter(weights.values())).device
        placed, rows = self._prepare(questions, device)
        if rows is not None and wanted <= _FACTORIZED.keys():
            found = factorized.forward(self.config, weights, rows)
            return {name: getattr(found, _FACTORIZED[name]) for name in wanted}
        kept: dict[str, Tensor] = {}

        def keep(name: str, x: Tensor) -> Tensor:
            if name in wanted:
                # An attention-free MLP reads all positions at once, and has no others behind them.
                is_whole = self.config.is_mlp and name == "hook_embed"
                kept[name] = x[placed.example] if is_whole else at_questions(name, x, placed)
            return x

        plain.forward(self.config, weights, placed.inputs, keep)
        return kept

    def _prepare(
        self, questions: Questions, device: torch.device
    ) -> tuple[Questions, factorized.Rows | None]:
        kept = _prepared.setdefault(questions, {})
        key = f"{device} {path_for(self.config, questions)}"
        if key not in kept:
            placed = questions.to(device)
            has_rows = path_for(self.config, questions) == "factorized"
            kept[key] = placed, factorized.Rows.of(placed.inputs) if has_rows else None
        return kept[key]

    def model(self, weights: Weights) -> Any:
        # transformer_lens takes seconds to load.
        from interp.networks.hooked import build_model

        return build_model(self.config, weights).to(next(iter(weights.values())).device)


# What the factorized pass computes, by its hook's name.
_FACTORIZED = {
    "hook_unembed": "logits",
    "blocks.0.attn.hook_pattern": "pattern",
    "blocks.0.hook_resid_mid": "resid_mid",
    "blocks.0.mlp.hook_pre": "pre",
    "blocks.0.mlp.hook_post": "post",
    "blocks.0.hook_resid_post": "resid_post",
}


def at_questions(name: str, x: Tensor, questions: Questions) -> Tensor:
    """A whole activation, (example, pos, ...) or (example, head, query, key), at the questions alone.

    A copy, so that the whole can be freed. An attention-free MLP has one position, which answers.
    """
    by_query = x.movedim(2, 1) if name.endswith(("hook_pattern", "hook_attn_scores")) else x
    if questions.is_last:
        return by_query[:, -1].clone()
    position = 0 if by_query.shape[1] == 1 else questions.position
    return by_query[questions.example, position]


@dataclass(frozen=True, eq=False)
class MeasuredNetwork:
    """A user's own module: its activations at the questions were taken when the snapshot was made.

    Attributes:
        found: activations by hook, logits as "hook_unembed".
    """

    found: Mapping[str, Tensor]
    patterns: Sequence[str] = ()
    neurons: Sequence[str] = ()
    config: None = None

    def activations(self, weights: Weights, questions: Questions, hook: str) -> Mapping[str, Tensor]:
        if hook not in self.found:
            raise ValueError(
                f"This module's snapshot was made without hook {hook!r}. It has {', '.join(self.found)}."
            )
        return self.found

    def model(self, weights: Weights) -> None:
        return None


@dataclass(frozen=True, eq=False)
class BuiltNetwork:
    """A network that grokscope does not describe but can build, as one of Hugging Face.

    Attributes:
        build: makes the hooked model of weights on the CPU.
    """

    build: Callable[[Weights], Any] = field(repr=False)
    patterns: Sequence[str] = ()
    neurons: Sequence[str] = ()
    config: None = None

    def activations(self, weights: Weights, questions: Questions, hook: str) -> Mapping[str, Tensor]:
        raise ValueError(
            "This network was built elsewhere: read its activations with snapshot.model.run_with_cache."
        )

    def model(self, weights: Weights) -> Any:
        device = next(iter(weights.values())).device
        model = self.build({name: w.cpu() for name, w in weights.items()})
        # A bridge that is moved prints where to.
        return model if device.type == "cpu" else model.to(device)

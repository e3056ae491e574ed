"""A checkpoint brought to life: model, logits and activations on the task's inputs, each computed once, on first use.

Probes take a `Snapshot` and nothing else, so that however many look at a step, its forward pass over all inputs
happens once. All activations are those of the answered position, for all examples of the task in its own row order;
`table` and `logit_cube` bring them into the names of the task's algebra, in which the answer is a sum and row (x, y)
of a table is the pair of group elements x and y.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from interp.networks import factorized, plain
from interp.networks.answers import Path, path_for
from interp.networks.config import ModelConfig, Weights, check_weights
from interp.networks.layers import unembedding
from interp.runs.run import Run
from interp.tasks.modular import Algebra, Task

if TYPE_CHECKING:
    import pandas as pd

    from interp.networks.hooked import HookedNetwork


_rows_of_tasks: "WeakKeyDictionary[Task, dict[torch.device, factorized.Rows]]" = WeakKeyDictionary()


class NotApplicable(ValueError):
    """A probe asked for something that this network or task does not have; the message says what."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Weights of one step with their task and config.

    Attributes:
        run: the run that the step belongs to, for probes that compare steps; None for a network made by hand.
        task: None where the run has none that is known: then only weights can be probed.
    """

    step: int
    weights: Weights
    config: ModelConfig
    task: Task | None
    run: Run | None = None

    def __post_init__(self):
        check_weights(self.config, self.weights, f"The snapshot of step {self.step}")

    @classmethod
    def of(cls, run: Run, step: int, device: str = "cpu") -> "Snapshot":
        """The snapshot of a saved step.

        Raises:
            RunError: if the step was not saved or its file is damaged.
        """
        weights = {name: w.to(device) for name, w in run.step_weights(step).items()}
        if run.config.model is None:
            return ForeignSnapshot(step, weights, None, run)
        return cls(step, weights, run.config.model, run.task if run.config.task else None, run)

    @property
    def device(self) -> torch.device:
        return next(iter(self.weights.values())).device

    def once(self, probe: "Callable[[Snapshot], pd.DataFrame]") -> "pd.DataFrame":
        """A probe's table on this snapshot, computed once however many other probes build on it. Not to be changed."""
        if probe not in self._tables:
            self._tables[probe] = probe(self)
        return self._tables[probe]

    @cached_property
    def _tables(self) -> "dict[Callable, pd.DataFrame]":
        return {}

    @cached_property
    def known_task(self) -> Task:
        """The task.

        Raises:
            NotApplicable: if there is none.
        """
        if self.task is None:
            raise NotApplicable(
                "This probe needs the task's inputs, and the run has no task that grokscope knows. Import it again "
                "with --task if you know what it learned; probes of weights work without."
            )
        return self.task

    @cached_property
    def algebra(self) -> Algebra:
        """The names under which the answer is a sum.

        Raises:
            NotApplicable: if the task has none, as x^2 + xy + y^2.
        """
        task = self.known_task
        if task.algebra is None:
            raise NotApplicable(
                f"Operation {task.config.operation!r} mod {task.p} is not a sum under any renaming of residues known "
                "here, so that Fourier probes do not apply. They do for add, subtract, and (p prime) multiply, divide."
            )
        return task.algebra

    @cached_property
    def model(self) -> "HookedNetwork":
        """The hooked model with these weights."""
        from interp.networks.hooked import build_model  # transformer_lens takes seconds to load

        return build_model(self.config, self.weights).to(self.device)

    @property
    def forward_path(self) -> Path:
        return path_for(self.config)

    @property
    def _rows(self) -> factorized.Rows:
        # What depends on the task alone is kept for the next step's snapshot.
        kept = _rows_of_tasks.setdefault(self.known_task, {})
        if self.device not in kept:
            kept[self.device] = factorized.Rows.of(self.known_task.tokens.to(self.device))
        return kept[self.device]

    @cached_property
    def _activations(self) -> Mapping[str, Tensor | None]:
        tokens = self.known_task.tokens.to(self.device)
        with torch.no_grad():
            if self.forward_path == "factorized":
                found = factorized.forward(self.config, self.weights, self._rows)
                return {
                    "logits": found.logits,
                    "pattern": found.pattern[:, None],
                    "post": None if found.post is None else found.post[:, None],
                }
            return self._plain_activations(tokens)

    def _plain_activations(self, tokens: Tensor) -> Mapping[str, Tensor | None]:
        kinds = {"attn.hook_pattern": "pattern", "mlp.hook_post": "post"}
        layers = range(self.config.n_layers)
        names = [f"blocks.{layer}.{kind}" for layer in layers for kind in kinds]
        cache: dict[str, Tensor] = {}

        def keep(name: str, x: Tensor) -> Tensor:
            if name in names:
                cache[name] = x
            return x

        logits = plain.forward(self.config, self.weights, tokens, keep)
        found: dict[str, Tensor | None] = {"logits": logits[:, -1]}
        for kind, key in kinds.items():
            stack = [cache[f"blocks.{layer}.{kind}"] for layer in layers if f"blocks.{layer}.{kind}" in cache]
            stack = [x[:, :, -1] if key == "pattern" else x[:, -1] for x in stack]
            found[key] = torch.stack(stack, 1) if stack else None
        return found

    @cached_property
    def logits(self) -> Float[Tensor, "example p"]:
        """Logits of the p residues at the answered position (further columns, as one for "=", are dropped)."""
        logits = self._activations["logits"]
        assert logits is not None
        return logits[:, : self.known_task.p]

    @cached_property
    def pattern(self) -> Float[Tensor, "example layer head pos"]:
        """Attention of the answered position to every position.

        Raises:
            NotApplicable: if the network has no attention.
        """
        pattern = self._activations["pattern"]
        if pattern is None:
            raise NotApplicable("This network has no attention.")
        return pattern

    @cached_property
    def neurons(self) -> Float[Tensor, "example neuron"]:
        """Activations (after the nonlinearity) of the last MLP layer at the answered position.

        Raises:
            NotApplicable: if the network has no MLP.
        """
        post = self._activations["post"]
        if post is None:
            raise NotApplicable("This network has no MLP neurons.")
        return post[:, -1]

    @cached_property
    def labels(self) -> Int[Tensor, " example"]:
        """What the trainer was shown."""
        return self.known_task.labels.to(self.device)

    @cached_property
    def is_train(self) -> Bool[Tensor, " example"]:
        """The split.

        Raises:
            ValueError: if an imported run has lost it.
        """
        return self.known_task.split.to(self.device)

    @cached_property
    def log_probabilities(self) -> Float[Tensor, "example p"]:
        """log-softmax of the logits in float64 (float32 cannot tell losses below 1e-7 apart)."""
        return self.logits.to(self.double).log_softmax(-1)

    @cached_property
    def losses(self) -> Float[Tensor, " example"]:
        """Cross-entropy of each example against its label, in float64 nats."""
        return -self.log_probabilities.gather(1, self.labels[:, None]).squeeze(1)

    @property
    def double(self) -> torch.dtype:
        """float64, or float32 on devices without it (mps)."""
        return torch.float32 if self.device.type == "mps" else torch.float64

    def table(self, x: Shaped[Tensor, " example *rest"]) -> Shaped[Tensor, "n n *rest"]:
        """A quantity of each example as a table over group elements (first, second), whose sum is the answer.

        Examples with a residue that the algebra does not name (0 in a multiplicative group) are left out.

        Raises:
            NotApplicable: if the task has no algebra.
        """
        rows, n = self._table_rows, self.algebra.order
        # Addition lists its pairs in the order of the table already: no copy.
        in_order = len(x) == len(rows) and self._rows_in_order
        return (x if in_order else x[rows]).reshape(n, n, *x.shape[1:])

    @cached_property
    def _rows_in_order(self) -> bool:
        rows = self._table_rows
        return bool((rows == torch.arange(len(rows), device=rows.device)).all())

    @cached_property
    def _table_rows(self) -> Int[Tensor, " cell"]:
        algebra, pairs = self.algebra, self.known_task.pairs
        first, second = algebra.first[pairs[:, 0]], algebra.second[pairs[:, 1]]
        named = ((first >= 0) & (second >= 0)).nonzero().squeeze(1)
        order = (first[named] * algebra.order + second[named]).argsort()
        return named[order].to(self.device)

    @cached_property
    def answer_order(self) -> Int[Tensor, " n"]:
        """The residue that each group element names as an answer: columns of the logits in algebra order."""
        return _inverse(self.algebra.answer, self.algebra.order).to(self.device)

    @cached_property
    def logit_cube(self) -> Float[Tensor, "n n n"]:
        """logits[x, y, z] over group elements, float64: an ideal network is largest at z = x + y.

        Raises:
            NotApplicable: if the task has no algebra.
        """
        return self.table(self.logits)[..., self.answer_order].to(self.double)

    @cached_property
    def neuron_table(self) -> Float[Tensor, "n n neuron"]:
        """Neurons over group elements (first, second)."""
        return self.table(self.neurons)

    @cached_property
    def embedding(self) -> Float[Tensor, "n d_model"]:
        """W_E of the first operand's tokens, in algebra order ("=" left out).

        Raises:
            NotApplicable: if the embedding is one-hot, or the task has no algebra.
        """
        if "embed.W_E" not in self.weights:
            raise NotApplicable("This network's embedding is one-hot: there is no W_E to analyse.")
        tokens = self.known_task.operand_tokens[0][_inverse(self.algebra.first, self.algebra.order)]
        return self.weights["embed.W_E"][tokens.to(self.device)]

    @cached_property
    def neuron_logit_map(self) -> Float[Tensor, "n neuron"]:
        """W_L: what each neuron of the last MLP layer adds to each answer's logit, rows in algebra order.

        Ignores the residual stream beside the MLP and the biases.

        Raises:
            NotApplicable: if there is no MLP, or the task has no algebra.

        References: Nanda et al. 2023, section 4.3 (W_L = W_U W_out).
        """
        w_u = unembedding(self.config, self.weights)
        if not self.config.is_mlp:
            if not self.config.d_mlp:
                raise NotApplicable("This network has no MLP neurons.")
            w_u = self.weights[f"blocks.{self.config.n_layers - 1}.mlp.W_out"] @ w_u
        return w_u[:, self.answer_order].T


class ForeignSnapshot(Snapshot):
    """A step of a network that no `ModelConfig` describes: a Hugging Face model, or a user's own module.

    Probes of weights work; those of logits and of named activations work where `of_module` gave a task and their
    hooks; all others raise `NotApplicable`.
    """

    def __init__(self, step: int, weights: Weights, task: Task | None, run: Run | None):
        for name, value in {"step": step, "weights": weights, "task": task, "run": run}.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of_module(
        cls,
        step: int,
        hooked: Any,
        task: Task,
        *,
        inputs: Callable[[Int[Tensor, "example pos"]], Any],
        neurons: str | None,
        pattern: str | None,
        run: Run | None = None,
    ) -> "ForeignSnapshot":
        """A snapshot of a hooked module with the weights that it holds now, copied.

        The forward pass over the task's inputs happens here, so that the module may go on to other weights.

        Args:
            hooked: a `interp.networks.hooked_module.HookedModule`, or any hooked model around a module.
            inputs: turns the task's tokens into what the module takes. Its output must be logits (example, [pos,]
                answer), the answer's at the last position.
            neurons: name of the hook whose activations (example, [pos,] neuron) are the neurons, or None.
            pattern: name of the hook with attention patterns (example, head, pos, pos), or None.

        Raises:
            ValueError: if a hook is unknown, or logits or activations have another shape.
        """
        module = getattr(hooked, "module", hooked)
        weights = {
            name: w.detach().clone() for name, w in module.state_dict().items() if w.is_floating_point()
        }
        names = [name for name in (neurons, pattern) if name is not None]
        if unknown := [name for name in names if name not in hooked.hook_dict]:
            known = ", ".join(list(hooked.hook_dict)[:12])
            raise ValueError(f"The module has no hook {unknown[0]!r}. Its hooks are {known}, ...")
        with torch.no_grad():
            logits, cache = hooked.run_with_cache(inputs(task.tokens), names_filter=names)
        found = {"logits": logits} | {name: cache[name] for name in names}
        for name, value in found.items():
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            n_dims = (4,) if name == pattern else (2, 3)
            fits = isinstance(value, Tensor) and value.ndim in n_dims and len(value) == task.n_examples
            if not fits or (name == "logits" and value.shape[-1] < task.p):
                raise ValueError(
                    f"A snapshot needs {name} for {task.n_examples} examples"
                    f"{f' and {task.p} answers' if name == 'logits' else ''}, got {shape}."
                )
        snapshot = cls(step, weights, task, run)
        post = None if neurons is None else _last(found[neurons])[:, None]
        attention = None if pattern is None else found[pattern][:, None, :, -1]
        activations = {
            "logits": _last(logits),
            "post": post,
            "pattern": attention,
        }
        snapshot.__dict__["_activations"] = activations
        return snapshot

    @property
    def config(self) -> ModelConfig:  # type: ignore[override]
        """None: probes that need one do not apply.

        Raises:
            NotApplicable: always.
        """
        raise NotApplicable(
            f"{self._name} has no model config: this probe needs a network that grokscope describes."
        )

    @property
    def _name(self) -> str:
        return f"Run {self.run.name!r}" if self.run else "This module"

    @cached_property
    def known_task(self) -> Task:
        """The task.

        Raises:
            NotApplicable: if there is none.
        """
        if self.task is None:
            raise NotApplicable(
                f"{self._name} has no model config and no task on residues, so that probes of its answers and their "
                "Fourier transforms do not apply. Probes of weights do, and those of attention on repeated tokens."
            )
        return self.task

    @cached_property
    def model(self) -> Any:
        """The run's hooked model of this step.

        Raises:
            NotApplicable: if there is none.
        """
        if self.run is None or self.run.huggingface is None:
            raise NotApplicable(f"{self._name} has no model that can be built from its weights alone.")
        model = self.run.model(self.step)
        # A bridge that is moved prints where to.
        return model if self.device.type == "cpu" else model.to(self.device)

    @cached_property
    def embedding(self) -> Float[Tensor, "n d_model"]:
        """Not known.

        Raises:
            NotApplicable: always.
        """
        _ = self.known_task  # where there is none, that is the reason
        raise NotApplicable(f"{self._name} has no weight that is known to be W_E.")


def _last(x: Tensor) -> Tensor:
    """Values at the last position, where there are positions."""
    return x[:, -1] if x.ndim == 3 else x


def _inverse(names: Int[Tensor, " p"], order: int) -> Int[Tensor, " n"]:
    """The residue that carries each name 0 .. order-1."""
    residues = torch.full((order,), -1)
    named = names >= 0
    residues[names[named]] = named.nonzero().squeeze(1)
    return residues

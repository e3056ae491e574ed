"""A snapshot of a user's own module, with the weights that it holds now."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from interp.networks.network import MeasuredNetwork, at_questions
from interp.runs.run import Run
from interp.snapshots.snapshot import Snapshot
from interp.tasks.task import Task


def snapshot_of_module(
    step: int,
    hooked: Any,
    task: Task,
    *,
    inputs: Callable[[Int[Tensor, "example pos"]], Any],
    neurons: str | None,
    pattern: str | None,
    run: Run | None = None,
) -> Snapshot:
    """A snapshot of a hooked module; its weights are copied, so that the module may go on to others.

    The forward pass over the task's inputs happens here. Probes of weights, of logits and of the named activations
    work; those that need to know more of the network raise `NotApplicable`.

    Args:
        hooked: a `interp.networks.hooked_module.HookedModule`, or any hooked model around a module.
        inputs: turns the task's inputs into what the module takes. Its output must be logits (example, [pos,]
            output); of an output without positions every example is one question.
        neurons: name of the hook whose activations (example, [pos,] neuron) are the neurons, or None.
        pattern: name of the hook with attention patterns (example, head, pos, pos), or None.

    Raises:
        ValueError: if a hook is unknown, or logits or activations have another shape.
    """
    module = getattr(hooked, "module", hooked)
    weights = {name: w.detach().clone() for name, w in module.state_dict().items() if w.is_floating_point()}
    names = [name for name in (neurons, pattern) if name is not None]
    if unknown := [name for name in names if name not in hooked.hook_dict]:
        known = ", ".join(list(hooked.hook_dict)[:12])
        raise ValueError(f"The module has no hook {unknown[0]!r}. Its hooks are {known}, ...")
    with torch.no_grad():
        logits, cache = hooked.run_with_cache(inputs(task.inputs), names_filter=names)
    found = {"hook_unembed": logits} | {name: cache[name] for name in names}
    for name, value in found.items():
        _check_shape(task, name, value, is_pattern=name == pattern)
    at = {name: _at_questions(task, value, is_pattern=name == pattern) for name, value in found.items()}
    network = MeasuredNetwork(at, [pattern] if pattern else [], [neurons] if neurons else [])
    return Snapshot(step, weights, network, task, run)


def _at_questions(task: Task, x: Tensor, is_pattern: bool) -> Tensor:
    if x.ndim == 2:  # no positions
        return x
    return at_questions("hook_pattern" if is_pattern else "", x, task.questions)


def _check_shape(task: Task, name: str, value: Any, is_pattern: bool) -> None:
    n_dims = (4,) if is_pattern else (2, 3)
    fits = isinstance(value, Tensor) and value.ndim in n_dims and len(value) == task.n_examples
    fits &= not (isinstance(value, Tensor) and value.ndim == 2) or task.questions.is_last
    n_answers = task.config.n_answers
    if fits and (name != "hook_unembed" or value.shape[-1] >= n_answers):
        return
    shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
    what = "logits" if name == "hook_unembed" else name
    raise ValueError(
        f"A snapshot needs {what} for {task.n_examples} examples"
        f"{f' and {n_answers} answers' if what == 'logits' else ''}, got {shape}."
    )

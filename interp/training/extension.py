"""A run made longer: its config with a later end, and the state at its end, from which training goes on."""

import warnings
from collections.abc import Iterable
from dataclasses import replace
from shlex import quote

from interp.ground.progress_bar import counted
from interp.networks.config import Weights, initial_weights
from interp.runs.checkpoint import Checkpoint
from interp.runs.config import RunConfig
from interp.runs.run import Run
from interp.runs.saving import read_latest
from interp.runs.schedule import Schedule, longer_schedule
from interp.runs.tensor_files import RunError, tensor_checksum
from interp.training.data import Data
from interp.training.optimizer import Optimizer
from interp.training.session import deterministic


def check_longer(
    run: Run, n_steps: int | None, checkpoint_steps: object | None, optimizer_steps: object | None
) -> None:
    """Refuse unless something is left to train.

    Raises:
        RunError: if the run is complete and is not to be longer.
        ValueError: if it is to be shorter, or steps are to be saved of a run that stays as it is.
    """
    now = run.config.n_steps or 0
    if n_steps is None and (checkpoint_steps or optimizer_steps):
        what = "checkpoint_steps" if checkpoint_steps else "optimizer_steps"
        raise ValueError(
            f"resume needs n_steps with {what}, got none: run {run.name!r} has {now} steps and saves those "
            "of its schedule. Say how long it is to be."
        )
    if n_steps is not None and n_steps < now:
        raise ValueError(
            f"resume needs n_steps of at least the {now} that run {run.name!r} has already, got {n_steps}. A run is "
            "not made shorter: its checkpoints are there to be read at any step."
        )
    if run.record.status == "complete" and n_steps in (None, now):
        raise RunError(
            f"Run {run.name!r} is complete: its {now} steps are done. To make it longer: interp resume "
            f"{quote(str(run.path))} --steps {2 * now}"
        )


def longer(
    config: RunConfig,
    reached: int,
    n_steps: int,
    checkpoint_steps: Iterable[str | int] | None = None,
    optimizer_steps: Iterable[str | int] | None = None,
) -> RunConfig:
    """The config of the same run with a later end.

    Nothing in a recipe but the schedule depends on the length (the learning rate is constant after its warm-up), so
    that a run that was made longer equals one that was as long from the start.

    Args:
        reached: the step up to which it has been trained: what is to be saved lies after it.
        checkpoint_steps, optimizer_steps: as `make_schedule` takes them; with neither, what is added is fitted.

    Raises:
        ValueError: as `longer_schedule`.
    """
    recipe = config.recipe()
    save, save_optimizer = list(checkpoint_steps or ()), list(optimizer_steps or ())
    after = reached if save or save_optimizer else recipe.n_steps
    schedule = longer_schedule(recipe.schedule, after, n_steps, save, save_optimizer)
    return replace(config, n_steps=n_steps, schedule=schedule)


def without_until(config: RunConfig) -> RunConfig:
    """The config of an arm that goes on whatever it has shown."""
    if config.branch is None:
        return config
    return replace(config, branch={key: x for key, x in config.branch.items() if key != "until"})


def ended_at(config: RunConfig, step: int) -> RunConfig:
    """The config of a run that was ended before its last step, with a checkpoint there."""
    assert config.schedule is not None
    steps = tuple(s for s in config.schedule.steps if s < step)
    optimizer_steps = tuple(s for s in config.schedule.optimizer_steps if s < step)
    return replace(
        config, n_steps=step, schedule=Schedule(steps=(*steps, step), optimizer_steps=optimizer_steps)
    )


def end_state(run: Run, device: str, threads: int) -> Checkpoint:
    """Weights and optimizer state at the last step of a complete run.

    Where they were not kept they are reached again from the nearest checkpoint with the optimizer's state, and every
    checkpoint that is passed must be the one that was saved. Nothing is written.

    Raises:
        RunError: if this machine does not reach the same checkpoints, or the kept state is damaged.
    """
    recipe = run.config.recipe()
    latest = read_latest(run)
    if latest is not None and latest.step == recipe.n_steps:
        return latest
    if run.config.branch is not None:
        raise RunError(
            f"The state at the end of branch {run.name!r}, step {recipe.n_steps}, is gone: latest.safetensors is "
            "missing. Restore it from a copy, or branch again in a new directory."
        )
    start = _nearest_state(run)
    warnings.warn(
        f"The optimizer's state at the end of run {run.name!r}, step {recipe.n_steps}, was not kept. The nearest "
        f"before is at step {start.step}: training goes from there to the end once more to reach it.",
        stacklevel=3,
    )
    with deterministic(device, threads):
        live = {name: w.to(device, copy=True).requires_grad_() for name, w in start.weights.items()}
        optimizer = Optimizer(recipe.optimizer, live, start.optimizer)
        data = Data(run.task, recipe, device)
        steps = range(start.step, recipe.n_steps)
        for step in counted(steps, len(steps), f"{run.name}: once more"):
            logits_of, labels = data.batch(step)
            data.loss(logits_of(live), labels).backward()
            optimizer.step(step)
            _check_same(run, step + 1, live)
        weights = {name: w.detach().cpu() for name, w in live.items()}
        return Checkpoint(recipe.n_steps, weights, optimizer.state())


def _nearest_state(run: Run) -> Checkpoint:
    for step in reversed(run.optimizer_steps):
        try:
            return run.checkpoint(step)
        except RunError:
            # An earlier one does as well.
            continue
    recipe = run.config.recipe()
    return Checkpoint(0, initial_weights(recipe.model, recipe.seed), None)


def _check_same(run: Run, step: int, weights: Weights) -> None:
    """Refuse unless the checkpoint of this step, if it was saved, holds these weights."""
    if step not in run.index:
        return
    if {name: tensor_checksum(w) for name, w in weights.items()} == run.index[step]["tensors"]:
        return
    first = run.record.sessions[0]
    raise RunError(
        f"Run {run.name!r} needs the optimizer's state at its end to be made longer, which was not kept, and this "
        f"machine does not reach it again: trained once more, the weights at step {step} are others than those that "
        f"were saved. Equal numbers need the device ({first.device}), the threads ({first.threads}), torch "
        f"({first.versions.get('torch', 'unknown')}) and the kind of machine ({first.device_name}) of its first "
        "session. Train a longer run from the start instead."
    )

"""The long run: deterministic, interruptible, resumable bit for bit.

One loop for every task, model and optimizer of a `Recipe`. What a step does depends only on the weights, the
optimizer's state and the step's number (mini-batch orders are drawn from (batch_seed, epoch)), so a run continued from
any saved state equals a run that was never stopped: same device, same thread count, same torch.
"""

import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from interp.ground.provenance import now
from interp.ground.whole_files import remove_leftovers, within
from interp.networks.answers import path_for
from interp.networks.config import check_weights, initial_weights
from interp.networks.devices import check_device
from interp.runs.checkpoint import Checkpoint
from interp.runs.config import Recipe, RunConfig
from interp.runs.record import RunRecord
from interp.runs.run import Run, open_run
from interp.runs.saving import check_unused, create_run, read_latest, save_latest
from interp.runs.tensor_files import RunError
from interp.tasks.task import Task
from interp.training.arms import has_shown
from interp.training.extension import check_longer, end_state, longer, without_until
from interp.training.loop import Told, continue_run
from interp.training.session import lock
from interp.training.sizes import check_sizes


def train(
    recipe: Recipe | RunConfig,
    path: str | os.PathLike,
    *,
    device: str = "cpu",
    threads: int | None = None,
    told: Told | None = None,
) -> Run:
    """Train a run from its initialization to its last step, saving what its schedule says.

    Ctrl-C (or SIGTERM) finishes the step, saves, and raises KeyboardInterrupt; `resume` continues.

    Args:
        recipe: what is learned, by what and how; or the config of a run that knows all of it.
        path: a new or empty directory.
        device: "cpu", "cuda" or "mps"; recorded. Weights are initialized on the CPU in any case.
        threads: CPU threads; recorded, since results are bit-for-bit equal for an equal number only. Default: torch's.
        told: what the progress display shows beside the losses, a few words made of all evaluations so far.

    Raises:
        ValueError: if the config lacks a part that training needs, or the device is not there.
        RunError: if the directory holds something, or another trainer works on it.
        FloatingPointError: if the loss is no longer finite; everything before is saved.
    """
    if isinstance(recipe, RunConfig):
        recipe = recipe.recipe()
    check_start(recipe, path, device)  # before the lock makes a file there
    # What cannot be made leaves no directory behind.
    task, weights = recipe.task.task(), initial_weights(recipe.model, recipe.seed)
    with lock(Path(path)):
        return continue_run(_begun(recipe, task, path), 0, weights, None, device, threads, told=told)


def begin(recipe: Recipe, path: str | os.PathLike) -> Run:
    """The directory of a run that has not been trained yet, for `interp.training.stacked.train_stack` or `resume`.

    Raises:
        ValueError, RunError: as `train`.
    """
    check_start(recipe, path, "cpu")
    task = recipe.task.task()
    with lock(Path(path)):
        return _begun(recipe, task, path)


def _begun(recipe: Recipe, task: Task, path: str | os.PathLike) -> Run:
    forward_path = path_for(recipe.model, task.questions)
    record = RunRecord(status="running", unit="step", created=now(), forward_path=forward_path)
    return create_run(Path(path), recipe.config(), record, task)


def check_start(recipe: Recipe, path: str | os.PathLike, device: str) -> None:
    """Refuse a run that cannot be started: no such device, sizes that do not fit, a directory that holds something.

    Raises:
        ValueError, RunError: as `train`.
    """
    check_device(device)
    check_sizes(recipe, device)
    check_unused(Path(path).expanduser().resolve())


def resume(
    path: str | os.PathLike,
    *,
    n_steps: int | None = None,
    checkpoint_steps: Iterable[str | int] | None = None,
    optimizer_steps: Iterable[str | int] | None = None,
    device: str | None = None,
    threads: int | None = None,
    is_over: Callable[[], bool] = lambda: False,
    told: Told | None = None,
) -> Run:
    """Continue an interrupted or killed run from its latest saved state, or make a run longer.

    With the device and thread count of the first session (the default) the result equals that of a run that was never
    stopped, bit for bit, and a run that was made longer equals one that was as long from the start.

    Args:
        n_steps: how many steps the run is to have in all, also if it is complete. Recorded in its session.
        checkpoint_steps: which of the steps to come are saved then, beside those of its schedule: steps, or texts as
            "every:1000". Default: as dense as `interp.runs.schedule.fitted_schedule`.
        optimizer_steps: which of them with the optimizer's state.
        device, threads, told: as `train`.
        is_over: asked after each step; once it says so, all is saved as after Ctrl-C.

    Raises:
        RunError: if the directory is not a run, is complete, was not trained here, another trainer works on it, or its
            resume state or history is damaged.
        ValueError: if n_steps is below what the run has, or steps to save are past or beyond the end.
        OSError: if a folder in it is a link that leads out of it.
    """
    with lock(open_run(path).path):
        run = open_run(path)  # again: another trainer may have ended just before the lock was free
        check_own(run)
        check_longer(run, n_steps, checkpoint_steps, optimizer_steps)
        remove_leftovers(run.path)
        device = device or run.record.device or "cpu"
        threads = threads or run.record.threads or torch.get_num_threads()
        check_device(device)
        is_complete = run.record.status == "complete"
        state = end_state(run, device, threads) if is_complete else resume_state(run)
        check_weights(
            run.config.recipe().model, state.weights, f"The state of run {run.name!r} at step {state.step}"
        )
        extended_from = None
        if n_steps is not None:
            config = longer(run.config, state.step, n_steps, checkpoint_steps, optimizer_steps)
            if has_shown(run):
                # Asked for more of what is shown already, an arm would end at once.
                config = without_until(config)
            extended_from = run.config.n_steps if n_steps != run.config.n_steps else None
            if is_complete:
                # Before run.json says that the run is longer: after that it is continued from here.
                save_latest(run, state.step, state.weights, state.optimizer or {})
            run.config = config
        return continue_run(
            run,
            state.step,
            state.weights,
            state.optimizer,
            device,
            threads,
            extended_from=extended_from,
            is_over=is_over,
            told=told,
        )


def check_own(run: Run) -> None:
    """Refuse unless training of this run can go on here.

    Raises:
        RunError: if it was not trained here, or its config lacks a part.
        OSError: if a folder in it is a link that leads out of it.
    """
    if not run.record.is_own:
        raise RunError(
            f"Run {run.name!r} was not trained by grokscope and cannot be continued: {run.record.status}."
        )
    try:
        run.config.recipe()
    except ValueError as error:
        raise RunError(f"{run.path / 'run.json'} does not say all that resume needs. {error}") from error
    for folder in ("steps", "optimizer"):
        within(run.path, run.path / folder / "a file")


def resume_state(run: Run) -> Checkpoint:
    """Where training goes on: the latest state, else the newest checkpoint that allows it, else the initialization.

    A checkpoint allows it if it holds the optimizer's state and the history has every step before it: the run goes on
    from there bit for bit.

    Raises:
        RunError: if the latest state is damaged.
    """
    if state := read_latest(run) or _newest_whole_checkpoint(run):
        return state
    recipe = run.config.recipe()
    if recipe.branch is not None:
        return run.checkpoint(recipe.first_step)
    return Checkpoint(0, initial_weights(recipe.model, recipe.seed), None)


def _newest_whole_checkpoint(run: Run) -> Checkpoint | None:
    try:
        steps = run.history()["step"].tolist()
    # The run cannot use it, and does without: it is trained again.
    except RunError:
        return None
    first = run.config.first_step
    known = first + next((i for i, step in enumerate(steps, first) if step != i), len(steps))
    for step in sorted((s for s in run.optimizer_steps if first < s <= known), reverse=True):
        try:
            checkpoint = run.checkpoint(step)
        except RunError:
            continue
        warnings.warn(
            f"{run.path / 'latest.safetensors'} is missing: training goes on from checkpoint {step}, the newest that "
            "holds the optimizer's state and has its history.",
            stacklevel=3,
        )
        return checkpoint
    return None

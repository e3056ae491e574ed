"""The long run: deterministic, interruptible, resumable bit for bit.

One loop for every task, model and optimizer of a `Recipe`. What a step does depends only on the weights, the
optimizer's state and the step's number (mini-batch orders are drawn from (batch_seed, epoch)), so a run continued from
any saved state equals a run that was never stopped: same device, same thread count, same torch.
"""

import os
from pathlib import Path

from interp.ground.provenance import now
from interp.ground.whole_files import remove_leftovers
from interp.networks.answers import path_for
from interp.networks.config import initial_weights
from interp.networks.devices import check_device
from interp.runs.config import Recipe, RunConfig
from interp.runs.record import RunRecord
from interp.runs.run import Run, open_run
from interp.runs.saving import check_unused, create_run, read_latest
from interp.runs.tensor_files import RunError
from interp.training.loop import continue_run
from interp.training.session import lock
from interp.training.sizes import check_sizes


def train(
    recipe: Recipe | RunConfig, path: str | os.PathLike, *, device: str = "cpu", threads: int | None = None
) -> Run:
    """Train a run from its initialization to its last step, saving what its schedule says.

    Ctrl-C (or SIGTERM) finishes the step, saves, and raises KeyboardInterrupt; `resume` continues.

    Args:
        recipe: what is learned, by what and how; or the config of a run that knows all of it.
        path: a new or empty directory.
        device: "cpu", "cuda" or "mps"; recorded. Weights are initialized on the CPU in any case.
        threads: CPU threads; recorded, since results are bit-for-bit equal for an equal number only. Default: torch's.

    Raises:
        ValueError: if the config lacks a part that training needs, or the device is not there.
        RunError: if the directory holds something, or another trainer works on it.
        FloatingPointError: if the loss is no longer finite; everything before is saved.
    """
    if isinstance(recipe, RunConfig):
        recipe = recipe.recipe()
    check_device(device)
    check_sizes(recipe, device)
    check_unused(Path(path).expanduser().resolve())  # before the lock makes a file there
    task = recipe.task.task()
    with lock(Path(path)):
        forward_path = path_for(recipe.model, task.questions)
        record = RunRecord(status="running", unit="step", created=now(), forward_path=forward_path)
        run = create_run(Path(path), recipe.config(), record, task)
        return continue_run(run, 0, initial_weights(recipe.model, recipe.seed), None, device, threads)


def resume(path: str | os.PathLike, *, device: str | None = None, threads: int | None = None) -> Run:
    """Continue an interrupted or killed run from its latest saved state.

    With the device and thread count of the first session (the default) the result equals that of a run that was never
    stopped, bit for bit.

    Raises:
        RunError: if the directory is not a run, is complete, was not trained here, another trainer works on it, or its
            resume state or history is damaged.
    """
    with lock(open_run(path).path):
        run = open_run(path)  # again: another trainer may have ended just before the lock was free
        if run.record.status == "complete":
            raise RunError(f"Run {run.name!r} is complete: its {run.config.n_steps} steps are done.")
        if not run.record.is_own:
            raise RunError(
                f"Run {run.name!r} was not trained by grokscope and cannot be continued: {run.record.status}."
            )
        remove_leftovers(run.path)
        device = device or run.record.device or "cpu"
        threads = threads or run.record.threads
        check_device(device)
        latest = read_latest(run)
        if latest is None:
            recipe = run.config.recipe()
            return continue_run(run, 0, initial_weights(recipe.model, recipe.seed), None, device, threads)
        return continue_run(run, latest.step, latest.weights, latest.optimizer, device, threads)

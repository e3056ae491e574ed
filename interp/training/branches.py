"""Branches: a run is continued from a checkpoint with one thing changed, as an ordinary run that knows its parent.

The control changes nothing. With the parent's optimizer state, device and thread count it equals the parent bit for
bit, so that whatever another arm does otherwise is the arm's doing.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from interp.ground.provenance import now
from interp.ground.workshops import workshop
from interp.interventions.bench import Bench
from interp.networks.answers import path_for
from interp.networks.config import Weights, check_weights
from interp.networks.devices import check_device
from interp.runs.belonging import belonging
from interp.runs.checkpoint import Checkpoint
from interp.runs.config import Recipe
from interp.runs.record import Parent, RunRecord
from interp.runs.run import Run, open_run
from interp.runs.saving import check_unused, create_run, put_in_place, save_checkpoint
from interp.runs.schedule import Schedule, make_schedule
from interp.runs.settings import with_settings
from interp.runs.tensor_files import RunError
from interp.tasks.data_edits import edited_task
from interp.tasks.task import Task
from interp.training.arms import CONTROL, Arm, Branch, Until, branch_of, branch_to_json, jittered
from interp.training.loop import continue_run
from interp.training.paths import save_paths
from interp.training.session import lock
from interp.training.train import resume


def branch(
    run: Run,
    path: str | os.PathLike,
    *,
    at: int,
    budget: int,
    arm: Arm = CONTROL,
    pair: str = "0",
    jitter: int | None = None,
    until: Until | None = None,
    follows: Mapping[str, Run] | None = None,
    recipe: Recipe | None = None,
    save: Iterable[str | int] = (),
    save_optimizer: Iterable[str | int] = (),
    device: str | None = None,
    threads: int | None = None,
) -> Run:
    """Continue a run from one of its checkpoints along an arm.

    Steps keep the parent's count. Ctrl-C saves; `resume` continues, bit for bit, and makes longer.

    Args:
        run: the parent; a branch can be one.
        path: a new or empty directory.
        at: the step of the checkpoint.
        budget: steps to train at most.
        arm: what is changed.
        pair, jitter: the pair that it belongs to, and the seed of its disturbance (`jittered`), None for none.
        until: when it has shown what it was trained for and ends before its budget.
        follows: the runs whose recorded paths the arm's rules follow, by the arm's name.
        recipe: how training goes on, for a parent that was trained elsewhere and does not say it; the optimizer then
            starts anew, in the control too.
        save, save_optimizer: steps to save beside the first and the last, as `make_schedule` takes them.
        device, threads: as the parent had, by default.

    Raises:
        RunError: if the parent has no such checkpoint, or none with the optimizer's state and the arm wants it; if the
            directory holds something, or a path that a rule follows is not there.
        ValueError: if the arm makes no sense on this run, or its settings lead nowhere.
    """
    device = device or run.record.device or "cpu"
    threads = threads or run.record.threads or torch.get_num_threads()
    check_device(device)
    made = begin_branch(
        run, path, at=at, budget=budget, arm=arm, pair=pair, jitter=jitter, until=until, follows=follows,
        recipe=recipe, save=save, save_optimizer=save_optimizer,
    )  # fmt: skip
    with lock(made.path):
        begun = made.checkpoint(at)
        return continue_run(made, at, begun.weights, begun.optimizer, device, threads)


def begin_branch(
    run: Run,
    path: str | os.PathLike,
    *,
    at: int,
    budget: int,
    arm: Arm = CONTROL,
    pair: str = "0",
    jitter: int | None = None,
    until: Until | None = None,
    follows: Mapping[str, Run] | None = None,
    recipe: Recipe | None = None,
    save: Iterable[str | int] = (),
    save_optimizer: Iterable[str | int] = (),
) -> Run:
    """The directory of a branch that has not been trained yet, for `interp.training.stacked.train_stack` or `resume`.

    Args, Raises:
        as `branch`.
    """
    path = Path(path).expanduser().resolve()
    check_unused(path)
    start = start_of(run, at, arm, recipe)
    if arm.data and run.config.recipe().optimizer.fresh:
        raise ValueError(
            f"Arm {arm.name!r} changes which rows are train, and run {run.name!r} is trained on fresh rows at every "
            "step: nothing would change. Leave its edits of the data out."
        )
    task = edited_task(run.task, arm.data)
    planned = _recipe(run, task, at, budget, arm, recipe, save, save_optimizer)
    about = Branch(arm=arm, parent=_identity(run), pair=pair, jitter=jitter, until=until)
    planned = replace(planned, branch=branch_to_json(about))
    weights = _edited(run, start.weights, planned, task, arm, jitter)
    optimizer = _without_removed(start.optimizer or {}, start.weights, weights)
    with workshop(path) as folder:
        _begin(
            folder / path.name,
            run,
            planned,
            task,
            Checkpoint(at, weights, optimizer),
            arm,
            follows or {},
        )
        put_in_place(folder / path.name, path)
    return open_run(path)


def extend(
    path: str | os.PathLike, n_steps: int, follows: Mapping[str, Run], *, device: str | None = None
) -> Run:
    """Make a branch longer that follows the recorded paths of others, which must be as long by now.

    Args:
        n_steps: steps since its branch that it is to have.
        follows: as `branch`.

    Raises:
        RunError, ValueError: as `resume`, or if a path is too short.
    """
    run = open_run(path)
    own = branch_of(run)
    if own is None:
        raise ValueError(
            f"Run {run.name!r} is no branch. Make it longer with interp resume {run.path} --steps N."
        )
    with lock(run.path):
        needs = _needs(own.arm, tuple(run.step_weights(run.config.first_step)))
        save_paths(run, needs, follows, n_steps + 1)
    return resume(run.path, n_steps=run.config.first_step + n_steps, device=device)


def _needs(arm: Arm, names: tuple[str, ...]) -> list[str]:
    """The columns of recorded paths that the rules of an arm follow."""
    return [need for rule in arm.rules for need in rule.needs(names)]


def start_of(run: Run, at: int, arm: Arm = CONTROL, recipe: Recipe | None = None) -> Checkpoint:
    """The checkpoint at which an arm leaves a run, with the optimizer's state that it begins with.

    Raises:
        RunError: if it is not there, or lacks the state; the nearest that has one is named.
        ValueError: if the run's own arm has rules, which a branch of it would lose.
    """
    own = branch_of(run)
    if own is not None and own.arm.rules:
        raise ValueError(
            f"Run {run.name!r} is an arm with rules ({own.arm.label}), and a branch of it would go on without what "
            "they remember. Branch its parent, with an arm that has these rules and yours."
        )
    start = run.checkpoint(at)
    if arm.fresh_optimizer or recipe is not None:
        return Checkpoint(at, start.weights, {})
    if start.optimizer is None and at > 0:
        raise RunError(_no_state(run, at))
    return Checkpoint(at, start.weights, start.optimizer or {})


def _no_state(run: Run, at: int) -> str:
    known = run.optimizer_steps
    why = (
        f"A branch needs the optimizer's state, and checkpoint {at} of run {run.name!r} has weights alone. From "
        "weights alone the unchanged control drifts from its parent."
    )
    if not known:
        return f"{why} No checkpoint of it has one: take --fresh-optimizer (in an arm fresh_optimizer), in all arms."
    nearest = min(known, key=lambda step: abs(step - at))
    return (
        f"{why} The nearest that has it is {nearest}: take --at {nearest}, or --fresh-optimizer, in all arms."
    )


def _identity(run: Run) -> str:
    return belonging("run.json", run.config)["run"]


def _recipe(
    run: Run,
    task: Task,
    at: int,
    budget: int,
    arm: Arm,
    stated: Recipe | None,
    save: Iterable[str | int],
    save_optimizer: Iterable[str | int],
) -> Recipe:
    """The parent's recipe with the arm's settings, from the branch to the end of the budget."""
    if budget < 1:
        raise ValueError(f"A branch needs a budget of at least 1 step, got {budget}.")
    end = at + budget
    wanted = make_schedule(end, [str(s) for s in save], [str(s) for s in save_optimizer])
    schedule = Schedule(
        steps=tuple(sorted({at, *(s for s in wanted.steps if s > at)})),
        optimizer_steps=tuple(sorted({at, *(s for s in wanted.optimizer_steps if s > at)})),
    )
    recipe = _whole(run, stated)
    # Any branch: what says that explicit splits are welcome.
    recipe = replace(recipe, n_steps=end, schedule=schedule, first_step=at, branch={}, task=task.config)
    changed = with_settings(recipe, arm.settings) if arm.settings else recipe
    if changed.task != task.config or changed.model != recipe.model:
        raise ValueError(
            f"Arm {arm.label!r} changes the task or the network by its settings. Data are changed by `data`, weights "
            "by `edits`; a network of other sizes is another run."
        )
    return changed


def _whole(run: Run, stated: Recipe | None) -> Recipe:
    """How training goes on.

    Raises:
        ValueError: if the run does not say it and nobody states it, or it has lost its split.
    """
    # A run that lost its split says so here, before anything is made.
    _ = run.task.split
    if stated is not None:
        if run.config.model is None:
            raise ValueError(
                f"A branch needs a network that grokscope can train, and run {run.name!r} has no model config."
            )
        return replace(stated, task=run.task.config, model=run.config.model, branch={})
    known = replace(run.config, branch=run.config.branch or {})
    try:
        return known.recipe()
    except ValueError as error:
        raise ValueError(
            f"Run {run.name!r} was trained elsewhere and does not say how: {error} State the recipe (--preset and "
            "--set, recipe= in Python); the branch is then a new parent, as far as that recipe is the right one."
        ) from error


def _edited(run: Run, weights: Weights, recipe: Recipe, task: Task, arm: Arm, jitter: int | None) -> Weights:
    """The weights at which the branch starts: disturbed first, as all arms of a pair are, then edited."""
    if jitter is not None:
        weights = jittered(weights, jitter)
    if arm.edits:
        donors = {name: run.step_weights(step) for name, step in arm.donors.items()}
        bench = Bench(config=recipe.model, task=task, donors=donors)
        for edit in arm.edits:
            weights = edit.edit(weights, bench)
    check_weights(recipe.model, weights, f"The start of arm {arm.label!r}")
    return {name: w.contiguous() for name, w in weights.items()}


def _without_removed(optimizer: Weights, before: Weights, after: Weights) -> Weights:
    """The moments without those of entries that an edit set to zero: they would bring back what was removed."""
    out = dict(optimizer)
    for name, w in after.items():
        removed = (w == 0) & (before[name] != 0)
        for kind in ("exp_avg", "exp_avg_sq", "momentum_buffer"):
            if (key := f"{kind}/{name}") in out and bool(removed.any()):
                out[key] = out[key].masked_fill(removed, 0.0)
    return out


def _begin(
    path: Path,
    parent: Run,
    recipe: Recipe,
    task: Task,
    start: Checkpoint,
    arm: Arm,
    follows: Mapping[str, Run],
) -> None:
    """The directory of a branch that has not been trained yet: config, data, start and the paths that it follows."""
    record = RunRecord(
        status="running",
        unit="step",
        created=now(),
        forward_path=path_for(recipe.model, task.questions),
        parent=Parent(run=str(parent.path), step=start.step, arm=arm.label),
    )
    made = create_run(path, recipe.config(), record, task)
    needs = _needs(arm, tuple(start.weights))
    save_paths(made, needs, follows, recipe.n_steps - recipe.first_step + 1)
    save_checkpoint(made, start.step, start.weights, start.optimizer)

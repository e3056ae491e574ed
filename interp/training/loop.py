"""The loop over steps: save what the schedule says, step, evaluate; whatever ends it, the run can be continued."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from shlex import quote
from typing import Any

import pandas as pd
import torch

from interp.ground.progress_bar import bar
from interp.networks.config import Weights
from interp.runs.config import Recipe
from interp.runs.record import Status
from interp.runs.run import Run, open_run
from interp.runs.saving import save_checkpoint, save_history, save_latest, update_record
from interp.runs.tensor_files import RunError
from interp.training.acting import Acting, acting_in, detached, is_finite, recorded, split_state
from interp.training.arms import Until, branch_of
from interp.training.data import Data
from interp.training.extension import ended_at
from interp.training.optimizer import Optimizer
from interp.training.session import deterministic, session_record, signals

SECONDS_BETWEEN_STATES = 30.0


class Stop(Exception):
    """Ctrl-C or SIGTERM, seen at the end of a step."""


def continue_run(
    run: Run,
    step: int,
    weights: Weights,
    optimizer_state: Weights | None,
    device: str,
    threads: int | None,
    *,
    extended_from: int | None = None,
) -> Run:
    recipe = run.config.recipe()
    history = history_before(run, step)
    branch = branch_of(run)
    own_state, memory = split_state(optimizer_state)
    with deterministic(device, threads or torch.get_num_threads()):
        session = session_record(step, device, extended_from)
        update_record(run, replace(run.record, status="running", sessions=(*run.record.sessions, session)))
        live = {name: w.to(device, copy=True).requires_grad_() for name, w in weights.items()}
        optimizer = Optimizer(recipe.optimizer, live, own_state)
        data = Data(run.task, recipe, device)
        acting = acting_in(run, branch, live, memory)
        until = branch.until if branch else None
        status: Status = "failed"
        try:
            with signals() as stop_requested:
                step = loop(run, recipe, step, live, optimizer, data, acting, until, history, stop_requested)
            if step < recipe.n_steps:
                run.config = ended_at(run.config, step)
            status = "complete"
        except Stop as stop:
            status = "interrupted"
            raise KeyboardInterrupt(
                f"Stopped at step {stop.args[0]} of {recipe.n_steps}; everything is saved. "
                f"Continue with: interp resume {quote(str(run.path))}"
            ) from None
        except FloatingPointError:
            status = "diverged"
            raise
        finally:
            update_record(run, replace(run.record, status=status))
    return open_run(run.path)


def loop(
    run: Run,
    recipe: Recipe,
    step: int,
    weights: Weights,
    optimizer: Optimizer,
    data: Data,
    acting: Acting,
    until: Until | None,
    history: list[dict[str, Any]],
    stop_requested: Callable[[], bool],
) -> int:
    """Train to the last step, or to where an arm has shown what it was trained for; the step that was reached."""
    saved, with_optimizer = set(recipe.schedule.steps), set(recipe.schedule.optimizer_steps)
    state_saved_at = shown_at = time.monotonic()
    first_step, started = step, time.monotonic()
    is_plain = recipe.optimizer.loss == "cross-entropy" and not acting.changes_loss
    evaluated = [row for row in history if row.get("test_accuracy", math.nan) == row.get("test_accuracy")]

    def save_state() -> None:
        # The history first: resume drops rows beyond the state, but could not invent missing ones.
        save_history(run, pd.DataFrame(history))
        save_latest(run, step, detached(weights), optimizer.state() | acting.state())

    with bar("loss", "accuracy", "speed") as display:
        shown = display.add_task(
            run.name, total=recipe.n_steps, completed=step, loss="", accuracy="", speed=""
        )
        while True:
            if step in saved:
                state = optimizer.state() | acting.state() if step in with_optimizer else None
                if state is not None and history:
                    # Before it, as in save_state: resume can go on from this checkpoint too.
                    save_history(run, pd.DataFrame(history))
                save_checkpoint(run, step, detached(weights), state)
            if step == recipe.n_steps:
                break
            at = acting.now(step)
            logits_of, labels = data.batch(step)
            logits = logits_of(weights)
            loss = data.loss(acting.logits(logits, labels, at), labels)
            objective = acting.objective(loss, weights, at)
            objective.backward()
            row = {"step": step, **_losses(objective.item(), is_plain), **acting.norms(weights)}
            if step % recipe.evaluation_interval == 0:
                row |= data.evaluate(weights, logits.detach() if labels is data.train.labels else None)
                if acting.records:
                    row["below_eps"] = optimizer.share_below_eps()
                _show_metrics(display, shown, row)
                evaluated.append(row)
            if not is_finite(row):
                save_state()
                raise diverged(run.name, recipe, row)
            if until is not None and until.is_reached(evaluated, recipe.first_step):
                save_checkpoint(run, step, detached(weights))
                break
            history.append(row)
            acting.update(optimizer, weights, at)
            row |= recorded(at)
            step += 1

            now = time.monotonic()
            if now - shown_at > 0.2:
                shown_at = now
                speed = f"{(step - first_step) / (now - started):.1f} steps/s"
                display.update(shown, completed=step, speed=speed)
            stop = stop_requested()
            if stop or now - state_saved_at > SECONDS_BETWEEN_STATES:
                save_state()
                state_saved_at = now
            if stop:
                raise Stop(step)
        display.update(shown, completed=step)
    row = {"step": step, **data.evaluate(weights), **acting.norms(weights)}
    history.append(row)
    if not is_finite(row):
        save_history(run, pd.DataFrame(history))
        raise diverged(run.name, recipe, row)
    # With the optimizer's state at the end the run can be made longer.
    save_state()
    return step


def _losses(objective: float, is_plain: bool) -> dict[str, float]:
    """What was minimised; it is the train loss where that is cross-entropy of the logits as they are."""
    return {"train_loss": objective} if is_plain else {"train_loss": math.nan, "objective": objective}


def diverged(name: str, recipe: Recipe, row: Mapping[str, Any]) -> FloatingPointError:
    is_float32 = recipe.optimizer.loss_dtype != "float64"
    return FloatingPointError(
        f"The loss of run {name!r} is {row.get('objective', row['train_loss'])} at step {row['step']}. Everything "
        f"before is saved. Lower the learning rate{', or train with loss_dtype float64' if is_float32 else ''}."
    )


def _show_metrics(display: Any, shown: Any, row: Mapping[str, Any]) -> None:
    display.update(
        shown,
        loss=f"loss {row['train_loss']:.1e} {row['test_loss']:.1e}",
        accuracy=f"acc {row['train_accuracy']:.3f} {row['test_accuracy']:.3f}",
    )


def history_before(run: Run, step: int) -> list[dict[str, Any]]:
    """The rows before a step, all of them: resume could not invent those that are missing.

    Raises:
        RunError: if some are missing.
    """
    first = run.config.first_step
    if step == first:
        return []
    table = run.history()
    before = table[table["step"] < step]
    if before["step"].tolist() != list(range(first, step)):
        raise RunError(
            f"{run.path / 'history.parquet'} needs a row for each of the {step - first} steps before the one that "
            f"resume would continue from, and has {before['step'].nunique()}. Restore it from a copy, or delete "
            f"latest.safetensors beside it: the run is then trained again from step {first}, with the same result."
        )
    return before.to_dict("records")  # type: ignore[return-value]

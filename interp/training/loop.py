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
from interp.training.data import Data
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
    with deterministic(device, threads or torch.get_num_threads()):
        session = session_record(step, device, extended_from)
        update_record(run, replace(run.record, status="running", sessions=(*run.record.sessions, session)))
        live = {name: w.to(device, copy=True).requires_grad_() for name, w in weights.items()}
        optimizer = Optimizer(recipe.optimizer, live, optimizer_state)
        data = Data(run.task, recipe, device)
        status: Status = "failed"
        try:
            with signals() as stop_requested:
                step = loop(run, recipe, step, live, optimizer, data, history, stop_requested)
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
    history: list[dict[str, Any]],
    stop_requested: Callable[[], bool],
) -> int:
    saved, with_optimizer = set(recipe.schedule.steps), set(recipe.schedule.optimizer_steps)
    state_saved_at = shown_at = time.monotonic()
    first_step, started = step, time.monotonic()

    def save_state() -> None:
        # The history first: resume drops rows beyond the state, but could not invent missing ones.
        save_history(run, pd.DataFrame(history))
        save_latest(run, step, detached(weights), optimizer.state())

    with bar("loss", "accuracy", "speed") as display:
        shown = display.add_task(
            run.name, total=recipe.n_steps, completed=step, loss="", accuracy="", speed=""
        )
        while True:
            if step in saved:
                state = optimizer.state() if step in with_optimizer else None
                if state is not None and history:
                    # Before it, as in save_state: resume can go on from this checkpoint too.
                    save_history(run, pd.DataFrame(history))
                save_checkpoint(run, step, detached(weights), state)
            if step == recipe.n_steps:
                break
            logits_of, labels = data.batch(step)
            logits = logits_of(weights)
            loss = data.loss(logits, labels)
            loss.backward()
            row: dict[str, Any] = {"step": step, "train_loss": loss.item()}
            if step % recipe.evaluation_interval == 0:
                row |= data.evaluate(weights, logits.detach() if labels is data.train.labels else None)
                _show_metrics(display, shown, row)
            if not math.isfinite(row["train_loss"]):
                save_state()
                raise diverged(run.name, recipe, row)
            history.append(row)
            optimizer.step(step)
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
    row = {"step": step, **data.evaluate(weights)}
    history.append(row)
    if not math.isfinite(row["train_loss"]):
        save_history(run, pd.DataFrame(history))
        raise diverged(run.name, recipe, row)
    # With the optimizer's state at the end the run can be made longer.
    save_state()
    return step


def diverged(name: str, recipe: Recipe, row: Mapping[str, Any]) -> FloatingPointError:
    is_float32 = recipe.optimizer.loss_dtype == "float32"
    return FloatingPointError(
        f"The loss of run {name!r} is {row['train_loss']} at step {row['step']}. Everything before is saved. "
        f"Lower the learning rate{', or train with loss_dtype float64' if is_float32 else ''}."
    )


def _show_metrics(display: Any, shown: Any, row: Mapping[str, Any]) -> None:
    display.update(
        shown,
        loss=f"loss {row['train_loss']:.1e} {row['test_loss']:.1e}",
        accuracy=f"acc {row['train_accuracy']:.3f} {row['test_accuracy']:.3f}",
    )


def detached(weights: Weights) -> Weights:
    return {name: w.detach() for name, w in weights.items()}


def history_before(run: Run, step: int) -> list[dict[str, Any]]:
    """The rows before a step, all of them: resume could not invent those that are missing.

    Raises:
        RunError: if some are missing.
    """
    if step == 0:
        return []
    table = run.history()
    before = table[table["step"] < step]
    if before["step"].tolist() != list(range(step)):
        raise RunError(
            f"{run.path / 'history.parquet'} needs a row for each of the {step} steps before the one that resume would "
            f"continue from, and has {before['step'].nunique()}. Restore it from a copy, or delete latest.safetensors "
            "beside it: the run is then trained again from step 0, with the same result."
        )
    return before.to_dict("records")  # type: ignore[return-value]

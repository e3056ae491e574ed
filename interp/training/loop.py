"""The loop over steps of one run: save what the schedule says, step, evaluate; whatever ends it, it can go on."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from shlex import quote
from typing import Any

import torch

from interp.ground.judged import judged_accuracy
from interp.ground.progress_bar import bar
from interp.networks.config import Weights
from interp.runs.record import Status
from interp.runs.run import Run, open_run
from interp.runs.saving import save_checkpoint, update_record
from interp.training.acting import detached, recorded, split_state
from interp.training.data import Data
from interp.training.extension import ended_at
from interp.training.member import Member, is_finite
from interp.training.optimizer import Optimizer
from interp.training.session import deterministic, session_record, signals

# What is shown of a run's evaluations so far, a few words.
Told = Callable[[Sequence[Mapping[str, Any]]], str]
SECONDS_BETWEEN_TOLD = 2.0


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
    is_over: Callable[[], bool] = lambda: False,
    told: Told | None = None,
) -> Run:
    own_state, memory = split_state(optimizer_state)
    with deterministic(device, threads or torch.get_num_threads()):
        live = {name: w.to(device, copy=True).requires_grad_() for name, w in weights.items()}
        member = Member(run, step, live, memory)
        session = session_record(step, device, extended_from)
        update_record(run, replace(run.record, status="running", sessions=(*run.record.sessions, session)))
        optimizer = Optimizer(member.recipe.optimizer, live, own_state)
        data = Data(run.task, member.recipe, device)
        status: Status = "failed"
        try:
            with signals() as stop_requested:
                loop(member, live, optimizer, data, lambda: stop_requested() or is_over(), told)
            if not member.is_at_end:
                run.config = ended_at(run.config, member.step)
            status = "complete"
        except Stop as stop:
            status = "interrupted"
            raise KeyboardInterrupt(
                f"Stopped at step {stop.args[0]} of {member.recipe.n_steps}; everything is saved. "
                f"Continue with: interp resume {quote(str(run.path))}"
            ) from None
        except FloatingPointError:
            status = "diverged"
            raise
        finally:
            update_record(run, replace(run.record, status=status))
    return open_run(run.path)


def loop(
    member: Member,
    weights: Weights,
    optimizer: Optimizer,
    data: Data,
    stop_requested: Callable[[], bool],
    told: Told | None = None,
) -> None:
    """Train to the last step, or to where an arm has shown what it was trained for.

    Args:
        told: what the display shows beside the losses, of all evaluations so far; asked at most once in two seconds.
    """
    acting = member.acting
    shown_at = started = time.monotonic()
    first_step = member.step

    def state() -> Weights:
        return optimizer.state() | acting.state()

    told_at = -math.inf
    # Where a line is too short for all, what was asked for stands first.
    with bar(*(["told"] if told else []), "loss", "accuracy", "speed") as display:
        shown = display.add_task(
            member.run.name,
            total=member.recipe.n_steps,
            completed=member.step,
            loss="",
            accuracy="",
            speed="",
            told="",
        )
        while True:
            member.save_scheduled(lambda: detached(weights), state)
            if member.is_at_end:
                break
            at = acting.now(member.step)
            logits_of, labels = data.batch(member.step)
            logits = logits_of(weights)
            loss = data.loss(acting.logits(logits, labels, at), labels)
            objective = acting.objective(loss, weights, at)
            objective.backward()
            row = {"step": member.step, **member.losses(objective.item()), **acting.norms(weights)}
            if member.is_evaluated:
                row |= data.evaluate(weights, logits.detach() if labels is data.train.labels else None)
                if acting.records:
                    row["below_eps"] = optimizer.share_below_eps()
                _show_metrics(display, shown, row)
            if not is_finite(row):
                member.save_state(detached(weights), state())
                raise member.diverged(row)
            if member.has_shown(row):
                save_checkpoint(member.run, member.step, detached(weights))
                break
            acting.update(optimizer, weights, at)
            member.advance(row | recorded(at))

            now = time.monotonic()
            if told is not None and now - told_at > SECONDS_BETWEEN_TOLD:
                told_at = now
                display.update(shown, told=told(member.evaluated))
            if now - shown_at > 0.2:
                shown_at = now
                speed = f"{(member.step - first_step) / (now - started):.1f} steps/s"
                display.update(shown, completed=member.step, speed=speed)
            stop = stop_requested()
            if stop or member.is_state_due:
                member.save_state(detached(weights), state())
            if stop:
                raise Stop(member.step)
        display.update(shown, completed=member.step)
    member.end(data.evaluate(weights), detached(weights), state())


def _show_metrics(display: Any, shown: Any, row: Mapping[str, Any]) -> None:
    display.update(
        shown,
        loss=f"loss {row['train_loss']:.1e} {row['test_loss']:.1e}",
        accuracy=f"acc {judged_accuracy(row, 'train'):.3f} {judged_accuracy(row, 'test'):.3f}",
    )

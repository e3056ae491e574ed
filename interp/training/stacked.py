"""Several runs of one architecture trained as one tensor program.

Each member has weights, data, optimizer settings and rules of its own, and is an ordinary run: its directory holds what
it would hold had it been trained alone, and `resume` continues it alone. Its numbers equal those of the run alone to
rounding. On a processor with one thread they do not depend on who else is in the stack: a member that diverges, is
done or fails leaves, and changes no bit of the others.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any, Literal

import torch

from interp.ground.judged import judged_accuracy
from interp.ground.progress_bar import bar
from interp.ground.whole_files import remove_leftovers
from interp.networks.config import Weights, check_weights
from interp.networks.devices import check_device
from interp.runs.checkpoint import Checkpoint
from interp.runs.run import Run, open_run
from interp.runs.saving import save_checkpoint, update_record
from interp.runs.tensor_files import RunError
from interp.training.acting import recorded, split_state
from interp.training.extension import ended_at
from interp.training.member import Member, Row, is_finite
from interp.training.session import InUse, deterministic, lock, session_record, signals
from interp.training.stack import Stack, check_alike
from interp.training.train import check_own, resume_state

# busy: another trainer works on it.
Ended = Literal["complete", "diverged", "interrupted", "failed", "busy"]

# Where saving a stack takes more than a second, so many times as long passes until the next time.
SAVING = 20.0


@dataclass(frozen=True, kw_only=True)
class MemberEnd:
    """What became of a member; `why` in words where it is not complete."""

    path: Path
    ended: Ended
    why: str = ""


def train_stack(
    paths: Sequence[str | Path],
    *,
    device: str = "cpu",
    threads: int | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> list[MemberEnd]:
    """Train runs to their last steps as one stack, each from its latest state.

    What goes wrong with one of them ends that one alone. Ctrl-C (or SIGTERM) finishes the step and saves all of them;
    called again, it goes on.

    Args:
        paths: directories of runs that were begun (`interp.training.train.begin`), interrupted or killed, of one
            architecture (`interp.training.stack.check_alike`). Those that are complete or diverged stay as they are.
        device, threads: as `interp.training.train.train`.
        is_over: asked after each step; once it says so, all is saved as after Ctrl-C.

    Returns:
        What became of each, in the order given.

    Raises:
        ValueError: if they are of several architectures; nothing is changed then.
        KeyboardInterrupt: when it was stopped; all is saved.
    """
    check_device(device)
    if device == "mps":
        raise ValueError("Stacks are trained on cpu or cuda: their losses are in float64, which mps has not.")
    ends: dict[Path, MemberEnd] = {}
    with ExitStack() as locks, deterministic(device, threads or torch.get_num_threads()):
        starts = []
        for path in map(Path, paths):
            try:
                start = _start(path, locks)
            except (ValueError, OSError) as error:
                ends[path] = MemberEnd(path=path, ended="failed", why=str(error))
                continue
            if isinstance(start, MemberEnd):
                ends[path] = start
            else:
                starts.append((path, *start))
        if starts:
            ends |= _train(starts, device, is_over)
    return [ends[path] for path in map(Path, paths)]


def _start(path: Path, locks: ExitStack) -> tuple[Run, Checkpoint] | MemberEnd:
    """Where a run goes on, with its lock held; or what became of it before."""
    open_run(path)
    try:
        locks.enter_context(lock(path))
    except InUse as error:
        return MemberEnd(path=path, ended="busy", why=str(error))
    run = open_run(path)  # again: another trainer may have ended just before the lock was free
    check_own(run)
    if run.record.status in ("complete", "diverged"):
        return MemberEnd(path=path, ended=run.record.status)
    remove_leftovers(run.path)
    state = resume_state(run)
    check_weights(
        run.config.recipe().model, state.weights, f"The state of run {run.name!r} at step {state.step}"
    )
    # What would refuse the whole stack refuses this run alone: its history, its rules, its data.
    Member(run, state.step, state.weights, split_state(state.optimizer)[1])
    _ = run.task.questions
    return run, state


def _train(
    starts: Sequence[tuple[Path, Run, Checkpoint]], device: str, is_over: Callable[[], bool]
) -> dict[Path, MemberEnd]:
    path_of = {id(run): path for path, run, _ in starts}
    ends: dict[Path, MemberEnd] = {}
    check_alike({run.name: run.config.recipe() for _, run, _ in starts})
    session = session_record(0, device, stack=len(starts))
    for path, run, state in starts:
        sessions = (*run.record.sessions, replace(session, from_step=state.step))
        try:
            update_record(run, replace(run.record, status="running", sessions=sessions))
        except OSError as error:
            ends[path] = MemberEnd(path=path, ended="failed", why=str(error))
    begun = [(run, state) for path, run, state in starts if path not in ends]
    if not begun:
        return ends
    stack = Stack.of(begun, device)

    def end(run: Run, ended: Ended, why: str = "") -> None:
        ends[path_of[id(run)]] = MemberEnd(path=path_of[id(run)], ended=ended, why=why)
        try:
            update_record(run, replace(run.record, status=ended))  # type: ignore[arg-type]
        except OSError as error:
            ends[path_of[id(run)]] = MemberEnd(path=path_of[id(run)], ended="failed", why=str(error))

    try:
        with signals() as stop_requested:
            _loop(stack, end, lambda: stop_requested() or is_over())
    finally:
        # Whatever ended the stack: what is not said to be done goes on from its last state.
        for path, run, _ in starts:
            if path not in ends:
                end(run, "interrupted")
    return ends


def _loop(stack: Stack | None, end: Callable[..., None], stop_requested: Callable[[], bool]) -> None:
    """Train until no member is left.

    Args:
        end: told what became of each.
    """
    with _Display(stack) as display:
        while stack is not None:
            if gone := _saved(stack, end):
                stack = stack.without(gone)
                if stack is None:
                    return
            gone = _stepped(stack, end, display)
            if stop_requested():
                _interrupt(stack, gone, end)
            if gone:
                stack = stack.without(gone)


def _saved(stack: Stack, end: Callable[..., None]) -> set[int]:
    """Save what is to be saved at this step; the members that are at their end, or fail."""
    gone, started = set(), time.monotonic()
    for i, member in enumerate(stack.members):
        try:
            member.save_scheduled(partial(_copied, stack, i), partial(stack.state, i))
            if member.is_state_due:
                member.save_state(_copied(stack, i), stack.state(i))
        except (OSError, RunError) as error:
            end(member.run, "failed", str(error))
            gone.add(i)
    if (taken := time.monotonic() - started) > 1:
        # Hundreds of members: not so often that nothing else is done.
        for member in stack.members:
            member.seconds_between_states = SAVING * taken
    at_end = [i for i, member in enumerate(stack.members) if member.is_at_end and i not in gone]
    if at_end:
        scores = stack.scores()
        for i in at_end:
            _end(stack, i, scores[i], end)
    return gone | set(at_end)


def _stepped(stack: Stack, end: Callable[..., None], display: "_Display") -> set[int]:
    """One step of all members; those that diverged before it, or have shown what they were trained for."""
    gone = set()
    now = [member.acting.now(member.step) for member in stack.members]
    is_evaluated = any(member.is_evaluated for member in stack.members)
    objectives, scores = stack.gradients(now, scores=is_evaluated)
    rows: list[Row] = []
    for i, (member, objective) in enumerate(zip(stack.members, objectives, strict=True)):
        row = {"step": member.step, **member.losses(objective)}
        if member.acting.records:
            row |= member.acting.norms(stack.weights(i))
        if member.is_evaluated:
            row |= scores[i]
            if member.acting.records:
                row["below_eps"] = stack.share_below_eps(i)
        rows.append(row)
        if not is_finite(row):
            _diverge(stack, i, row, end)
            gone.add(i)
        elif member.has_shown(row):
            _show(stack, i, scores[i], end)
            gone.add(i)
    stack.update(now)
    for i, member in enumerate(stack.members):
        if i not in gone:
            member.advance(rows[i] | recorded(now[i]))
    display.show(rows)
    return gone


def _copied(stack: Stack, i: int) -> Weights:
    """A member's weights on the processor; files hold tensors without gaps."""
    return {name: w.detach().cpu().contiguous() for name, w in stack.weights(i).items()}


def _end(stack: Stack, i: int, scores: Row, end: Callable[..., None]) -> None:
    member = stack.members[i]
    try:
        member.end(scores, _copied(stack, i), stack.state(i))
    except FloatingPointError as error:
        end(member.run, "diverged", str(error))
    except (OSError, RunError) as error:
        end(member.run, "failed", str(error))
    else:
        if member.step < member.recipe.n_steps:
            member.run.config = ended_at(member.run.config, member.step)
        end(member.run, "complete")


def _show(stack: Stack, i: int, scores: Row, end: Callable[..., None]) -> None:
    """An arm has shown what it was trained for, and ends here."""
    member = stack.members[i]
    try:
        save_checkpoint(member.run, member.step, _copied(stack, i))
    except (OSError, RunError) as error:
        end(member.run, "failed", str(error))
        return
    _end(stack, i, scores, end)


def _diverge(stack: Stack, i: int, row: Row, end: Callable[..., None]) -> None:
    member = stack.members[i]
    why = str(member.diverged(row))
    try:
        member.save_state(_copied(stack, i), stack.state(i))
    except (OSError, RunError) as error:
        why = f"{why} Its state could not be saved: {error}"
    end(member.run, "diverged", why)


def _interrupt(stack: Stack, gone: set[int], end: Callable[..., None]) -> None:
    for i, member in enumerate(stack.members):
        if i in gone:
            continue
        try:
            member.save_state(_copied(stack, i), stack.state(i))
            how = f"Stopped at step {member.step} of {member.recipe.n_steps}. Continue with: interp resume "
            end(member.run, "interrupted", how + quote(str(member.run.path)))
        except (OSError, RunError) as error:
            end(member.run, "failed", str(error))
    raise KeyboardInterrupt("Stopped; everything is saved. The same command goes on.")


class _Display:
    """One line for the stack: steps of all members, and how many of them answer test questions."""

    def __init__(self, stack: Stack | None):
        self._bar: Any = bar("accuracy", "speed")
        self._members = stack.members if stack else ()
        self._started = self._shown_at = time.monotonic()
        self._n_steps = 0
        self._accuracy = ""

    def __enter__(self) -> "_Display":
        self._bar.__enter__()
        total = sum(member.recipe.n_steps for member in self._members)
        done = sum(member.step for member in self._members)
        name = self._members[0].run.name if len(self._members) == 1 else f"{len(self._members)} runs"
        self._line = self._bar.add_task(name, total=total, completed=done, accuracy="", speed="")
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.__exit__(*error)

    def show(self, rows: Sequence[Row]) -> None:
        """Tell of a step that is done."""
        self._n_steps += len(rows)
        found = [judged_accuracy(row, "test") for row in rows if "test_accuracy" in row]
        if found:
            self._accuracy = f"acc {min(found):.3f} to {max(found):.3f}"
        now = time.monotonic()
        if now - self._shown_at > 0.2:
            self._shown_at = now
            speed = f"{self._n_steps / (now - self._started):.0f} steps/s"
            done = sum(member.step for member in self._members)
            self._bar.update(self._line, completed=done, accuracy=self._accuracy, speed=speed)

"""What is kept of a run of a sweep: ten thousand runs with all their checkpoints are hundreds of gigabytes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

from interp.ground.plain_text import shown
from interp.ground.whole_files import within
from interp.runs.run import Run
from interp.runs.saving import update_record, write_index
from interp.runs.schedule import Schedule
from interp.tables.outcome import outcome

# all: every checkpoint of the schedule. transitions: the first and the last, and on either side of memorization and
# grokking; tables: the last. History, and what was measured, in any case.
Keep = Literal["all", "transitions", "tables"]


def check_keep(keep: str) -> None:
    """Refuse what is none of the ways to keep a run."""
    if keep not in get_args(Keep):
        raise ValueError(f"A sweep keeps {', '.join(get_args(Keep))} of its runs, got {shown(keep)}.")


def kept_steps(run: Run, keep: Keep) -> list[int]:
    """The checkpoints of a run that stay."""
    if keep == "all" or not run.steps:
        return run.steps
    if keep == "tables":
        return run.steps[-1:]
    found = outcome({"history": run.history()})
    events = [t.step for t in (found.memorization, found.grokking) if t is not None and t.step is not None]
    around: set[int] = {run.steps[0], run.steps[-1]}
    for event in events:
        around |= {max((s for s in run.steps if s < event), default=run.steps[0])}
        around |= {min((s for s in run.steps if s >= event), default=run.steps[-1])}
    return sorted(around)


def is_thinned(run: str, keep: Keep, there: Callable[[str], bool]) -> bool:
    """Whether nothing is left for `thin` to do with the run at this path of a sweep: what it deletes last is gone.

    Args:
        there: whether the sweep has a file, by its path in it.
    """
    return keep == "all" or not there(f"{run}/latest.safetensors")


def thin(run: Run, keep: Keep) -> None:
    """Delete the checkpoints of a complete run that do not stay; with some gone, it can no longer be made longer.

    A kill at any moment leaves a run that is whole and says what it has: first run.json, then the index, then the
    files. Called again it finishes.

    Raises:
        OSError: if a file cannot be deleted.
    """
    if keep == "all":
        return
    steps = kept_steps(run, keep)
    assert run.config.schedule is not None
    if tuple(steps) != run.config.schedule.steps or run.steps != steps:
        with_optimizer = tuple(s for s in run.optimizer_steps if s in steps)
        run.config = replace(
            run.config, schedule=Schedule(steps=tuple(steps), optimizer_steps=with_optimizer)
        )
        update_record(run, run.record)
        run.index = {step: run.index[step] for step in steps}
        write_index(run)
    files = {entry["file"] for entry in run.index.values()}
    files |= {entry["optimizer"]["file"] for entry in run.index.values() if "optimizer" in entry}
    for file in sorted((*run.path.glob("steps/*.safetensors"), *run.path.glob("optimizer/*.safetensors"))):
        if file.relative_to(run.path).as_posix() not in files:
            within(run.path, file).unlink(missing_ok=True)
    # The optimizer's state at the end, three times as large as a checkpoint.
    within(run.path, run.path / "latest.safetensors").unlink(missing_ok=True)

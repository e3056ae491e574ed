"""Jobs as stacks, wave by wave: all that wait for nothing are trained together, then those that waited for them."""

from collections.abc import Callable, Sequence

from interp.runs.config import Recipe
from interp.runs.run import open_run
from interp.training.several import Job, JobEnd, train_job, why_not
from interp.training.stack import architecture
from interp.training.stack_size import stack_size
from interp.training.stacked import MemberEnd, train_stack


def train_stacked(
    jobs: Sequence[Job], *, device: str, size: int | None = None, is_over: Callable[[], bool] = lambda: False
) -> list[JobEnd]:
    """Train all of them, those of one architecture that wait for nothing as one stack; otherwise as `train_jobs`.

    A member equals the same run alone to rounding, and all of a stack are computed alike, so that the arms of a pair
    are compared as before; a control is no longer its parent to the last bit. What was trained before and is to have
    more goes on by itself.

    Args:
        jobs: each with `begins`.
        device: "cpu", on all threads of this process, or "cuda".
        size: runs a stack at most; None: as many as are quickest, by a few timed steps of each architecture.
        is_over: asked before a wave is begun; from then on nothing new is.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when everything is saved.
    """
    waiting, ends = list(jobs), list[JobEnd]()
    while waiting and not is_over():
        paths = {job.path for job in waiting}
        wave = [job for job in waiting if not {*job.after} & paths]
        if not wave:
            break
        waiting = [job for job in waiting if job not in wave]
        begun = []
        for job in wave:
            start = _begun(job)
            if isinstance(start, JobEnd):
                ends.append(start)
            else:
                begun.append(job)
        for stack in _stacks(begun, device, size):
            if not is_over():
                found = train_stack([job.path for job in stack], device=device)
                ends += [_end(job, end) for job, end in zip(stack, found, strict=True)]
    return ends


def _begun(job: Job) -> Job | JobEnd:
    """The job once its run's directory is there; or what became of it, if nothing is left for a stack to do."""
    try:
        return _started(job)
    except (ValueError, OSError) as error:
        return JobEnd(job=job, ended="failed", why=str(error))


def _started(job: Job) -> Job | JobEnd:
    if why := why_not(job):
        return JobEnd(job=job, ended="failed", why=why)
    if (job.path / "run.json").exists():
        if open_run(job.path).record.status not in ("complete", "diverged"):
            return job
        # Complete, and to have more: the longer run goes on by itself.
        ended, why = train_job(job)
        if ended == "interrupted":
            raise KeyboardInterrupt(why)
        return JobEnd(job=job, ended=ended, why=why)
    assert job.begins is not None
    job.begins(path=job.path, **job.arguments)
    return job


def _stacks(jobs: Sequence[Job], device: str, size: int | None) -> list[list[Job]]:
    """The jobs in stacks of one architecture and no more than are quickest."""
    alike: dict[tuple, list[tuple[Job, Recipe]]] = {}
    for job in jobs:
        recipe = open_run(job.path).config.recipe()
        alike.setdefault(tuple(architecture(recipe).values()), []).append((job, recipe))
    found = []
    for pairs in alike.values():
        group, recipes = [job for job, _ in pairs], [recipe for _, recipe in pairs]
        together = size or max(stack_size(recipes, device).size, 1)
        found += [group[i : i + together] for i in range(0, len(group), together)]
    return found


def _end(job: Job, end: MemberEnd) -> JobEnd:
    return JobEnd(job=job, ended="failed" if end.ended == "busy" else end.ended, why=end.why)

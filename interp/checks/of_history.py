"""Is the history whole? Its rows against config and resume state; and where it says that nothing was learned."""

from collections.abc import Sequence
from itertools import pairwise

from interp.checks.file_damage import resumed_at
from interp.checks.findings import Report, listed
from interp.runs.run import HISTORY_COLUMNS, Run
from interp.runs.tensor_files import RunError

FILE = "history.parquet"


def check_history(run: Run, report: Report) -> dict[int, float]:
    """Train loss by step, as recorded, {} where there is none; what is wrong goes into the report."""
    # Before the history, which a trainer writes first: it may be ahead of the resume state, never behind it.
    reached = resumed_at(run.path)
    if not (run.path / FILE).exists():
        was_trained = run.record.is_own and (run.record.status == "complete" or reached)
        # Says what the losses of its source are, where that recorded any.
        had_losses = run.record.status == "imported" and run.record.history_is is not None
        if was_trained or had_losses:
            report.say("problem", "missing", FILE, f"{FILE} is missing: losses along the run are lost")
        return {}
    try:
        history = run.history()
        steps = [int(step) for step in history["step"]]
        numbers = {name: history[name].astype(float) for name in HISTORY_COLUMNS[1:] if name in history}
    except (RunError, ValueError, TypeError, OverflowError) as error:
        report.say("problem", "unreadable", FILE, str(error))
        return {}
    if any(b <= a for a, b in pairwise(steps)):
        report.say("problem", "history", FILE, "its steps do not ascend")
    elif run.record.is_own and steps:
        _check_rows(run, steps, reached, report)
    if run.record.is_own and run.config.evaluation_interval and "test_loss" in numbers:
        due = history["step"] % run.config.evaluation_interval == 0
        lacking = due & numbers["test_loss"].isna() & numbers["train_loss"].notna()
        if empty := history["step"][lacking].astype(int).tolist():
            text = f"it lacks the test loss of steps {listed(empty)}"
            report.say("problem", "history", FILE, text, *empty)
    if "train_loss" not in numbers:
        return dict.fromkeys(steps, float("nan"))
    return dict(zip(steps, numbers["train_loss"], strict=True))


def _check_rows(run: Run, steps: Sequence[int], reached: int, report: Report) -> None:
    complete = run.record.status == "complete"
    last = run.config.n_steps if complete and run.config.n_steps is not None else steps[-1]
    last = max(last, reached - 1)
    first = min([*steps, *(run.config.schedule.steps if run.config.schedule else ())])
    gaps = [(a + 1, b - 1) for a, b in pairwise([first - 1, *steps, last + 1]) if b > a + 1]
    if gaps:
        n = sum(b - a + 1 for a, b in gaps)
        ranges = listed([str(a) if a == b else f"{a}-{b}" for a, b in gaps])
        absent = [step for a, b in gaps for step in range(a, min(b, a + 999) + 1)]
        report.say("problem", "history", FILE, f"it lacks the rows of {n} steps: {ranges}", *absent[:1000])


def still(run: Run | None, steps: list[int], train_loss: dict[int, float]) -> list[tuple[int, int]]:
    """Neighbouring steps between which the run's own record says that nothing was learned."""
    if run is None:
        return []
    optimizer, out = run.config.optimizer, []
    for a, b in pairwise(steps):
        if optimizer and optimizer.warmup_steps and (a, b) == (0, 1):
            # The first update of a warm-up has learning rate 0.
            out.append((a, b))
        elif optimizer and optimizer.batch_size is None and run.record.is_own:
            # Every step's loss is recorded: equal to the last digit, the weights did not move.
            # No wider than the history has rows: there is no record of more.
            between = [train_loss.get(step) for step in range(a, min(b, a + len(train_loss)) + 1)]
            if None not in between and len(set(between)) == 1:
                out.append((a, b))
    return out

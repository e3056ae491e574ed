"""How a run stands: is anyone training it, when did it memorize and grok?"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.runs.run import Run


def transitions(run: "Run") -> tuple[dict[str, Any], tuple[int, int] | None]:
    """When the run memorized and when it grokked, by its history, and from when to when it had grokked if it lost it.

    Nothing where the history does not say.
    """
    from interp.tables.outcome import outcome

    ended = outcome({"history": run.history()})
    found = {"memorized": ended.memorization, "grokked": ended.grokking}
    return {name: when for name, when in found.items() if when is not None}, ended.lost


def told_transition(found: Any, unit: str, lost: tuple[int, int] | None = None) -> str:
    """A transition with its bracket and threshold, and the short relapses that were passed over."""
    from interp.tables.outcome import relapses_said

    reached = f"{found.quantity.replace('_', ' ')} {found.threshold:g}"
    if found.step is None and lost:
        return f"from {unit} {lost[0]} to {lost[1]}, and has lost it ({reached})"
    if found.step is None:
        return f"not by {unit} {found.before} ({reached})"
    if found.before is None:
        return f"from the first {unit} on ({reached}){relapses_said(found)}"
    return f"between {unit}s {found.before} and {found.step} ({reached} from then on){relapses_said(found)}"


def is_abandoned(run: "Run") -> bool:
    """Whether the run says that it is being trained and nobody does: its trainer was killed, or the machine."""
    from interp.runs.locks import is_in_use

    return run.record.status == "running" and not is_in_use(run.path)


def told_status(run: "Run") -> str:
    """How far training got; of a run whose trainer died, since when it is gone and how to go on."""
    if not is_abandoned(run):
        return run.record.status
    from datetime import UTC, datetime
    from shlex import quote

    last = max(file.stat().st_mtime for file in run.path.iterdir() if file.name != "lock")
    since = datetime.fromtimestamp(last, UTC).isoformat(timespec="seconds")
    return (
        f"interrupted: its trainer is gone since {since}. Continue with: interp resume {quote(str(run.path))}"
    )

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

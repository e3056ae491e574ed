"""A folder of runs as a table, one line each."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from interp.ground.plain_text import say
from interp.views.standing import is_abandoned, transitions

# Of a terminal that nobody widened.
WIDTH = 80
COLUMNS = ("run", "task", "steps", "memorized", "grokked", "status")


def listed(folder: Path, runs: Iterable[Path]) -> list[dict[str, Any]]:
    """What is known of each run: of one that cannot be read, the error."""
    return [_about(path, path.relative_to(folder).as_posix()) for path in runs]


def _about(path: Path, name: str) -> dict[str, Any]:
    import dataclasses

    from interp.runs.run import open_run

    about: dict[str, Any] = {"run": name, "path": str(path)}
    try:
        run = open_run(path)
        reached = [int(step) for step in (*run.history()["step"].iloc[-1:], *run.steps[-1:])]
        found, lost = transitions(run)
    # A folder is listed with what is broken in it.
    except (ValueError, OSError) as error:
        return about | {"status": "unreadable", "error": str(error)}
    return about | {
        "task": run.config.task.description if run.config.task else None,
        "step": max(reached, default=None),
        "n_steps": run.config.n_steps,
        "unit": run.unit,
        **{name: dataclasses.asdict(transition) for name, transition in found.items()},
        **({"lost": list(lost)} if lost else {}),
        "status": "interrupted" if is_abandoned(run) else run.record.status,
    }


def print_runs(runs: list[dict[str, Any]], *, as_json: bool) -> None:
    """The table, in 80 columns, and what could not be read; or all of it as JSON."""
    if as_json:
        from json import dumps

        say(dumps(runs, indent=2))
        return
    rows = [dict(zip(COLUMNS, COLUMNS, strict=True)), *map(_row, runs)]
    widths = {name: max(len(row[name]) for row in rows) for name in COLUMNS}
    # What is too long is cut in the columns of texts, the longer one first.
    while sum(widths.values()) + 2 * (len(COLUMNS) - 1) > WIDTH:
        longest = max(("run", "task"), key=lambda name: widths[name])
        if widths[longest] <= 8:
            break
        widths[longest] -= 1
    for row in rows:
        say("  ".join(_cut(row[name], widths[name]) for name in COLUMNS).rstrip())
    for about in runs:
        if "error" in about:
            say(f"{about['run']}: {about['error']}")
    say("memorized, grokked: the step from which train and test accuracy stay up.")


def _row(about: dict[str, Any]) -> dict[str, str]:
    step, n_steps = about.get("step"), about.get("n_steps")
    reached = "-" if step is None else str(step)
    return {
        "run": about["run"],
        "task": about.get("task") or "-",
        "steps": reached if n_steps in (None, step) else f"{reached}/{n_steps}",
        "memorized": _when(about.get("memorized")),
        "grokked": f"{about['lost'][0]} (lost)" if "lost" in about else _when(about.get("grokked")),
        "status": about["status"],
    }


def _when(transition: dict[str, Any] | None) -> str:
    return "-" if transition is None or transition["step"] is None else str(transition["step"])


def _cut(text: str, width: int) -> str:
    return (text if len(text) <= width else text[: width - 1] + "…").ljust(width)

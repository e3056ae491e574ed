"""What the workers of a sweep are at, drawn from what they leave in its folder; on a terminal alone."""

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from interp.ground.progress_bar import in_notebook
from interp.sweeps.units import Unit
from interp.sweeps.working import PROGRESS, Done, Work


class Display(AbstractContextManager):
    """A table with a line a worker, and how many runs are done."""

    def __init__(self, work: Work, units: Sequence[Unit]):
        self._folder, self._units = work.folder / PROGRESS, units
        self._n_runs = sum(len(unit.runs) for unit in units)
        self._counts: dict[str, int] = {}
        self._live: Any = nullcontext()

    def __enter__(self) -> "Display":
        if self._units and sys.stderr.isatty() and not in_notebook():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                get_renderable=self.drawn, console=Console(stderr=True), refresh_per_second=1, transient=True
            )
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(*error)

    def count(self, done: Sequence[Done]) -> None:
        """Count what has come to an end."""
        for one in done:
            if one.ended in ("interrupted", "busy"):
                continue
            self._counts[one.ended] = self._counts.get(one.ended, 0) + 1

    def drawn(self) -> Any:
        """The table as it is now."""
        from rich.table import Table

        counted = ", ".join(f"{n} {ended}" for ended, n in self._counts.items()) or "none done"
        table = Table(title=f"{counted} of {self._n_runs} runs", title_justify="left", box=None)
        for column in ("at work", "runs", "steps", "test accuracy", "speed"):
            table.add_column(column)
        for unit in self._units:
            with suppress(OSError, ValueError):
                told = json.loads((self._folder / f"{unit.name}.json").read_text("utf-8"))
                steps = f"{told['completed'] or 0:,} of {told['total'] or 0:,}"
                accuracy = str(told["accuracy"] or "").removeprefix("acc ")
                table.add_row(unit.runs[0].name, str(told["runs"]), steps, accuracy, told["speed"] or "")
        return table

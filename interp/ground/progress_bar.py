"""One style of progress bar for all long work: on stderr of a terminal, one output of a cell, silent elsewhere."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from interp.ground.plain_text import visible

Item = TypeVar("Item")

# Of a terminal that nobody widened: what a line must fit in.
NARROW = 80
_SECONDS_A_FRAME = 0.2

# In a worker process: where its displays tell how far they are, since only one process may draw.
_listener: Callable[[dict[str, Any]], None] | None = None


def tell(listener: Callable[[dict[str, Any]], None] | None) -> None:
    """From now on displays of this process draw nothing and tell this function their fields; None: they draw again."""
    global _listener
    _listener = listener


class _Told:
    """A display that draws nothing: what it is told goes to the listener."""

    def __init__(self, listener: Callable[[dict[str, Any]], None]):
        self._listener = listener
        self._fields: dict[str, Any] = {}

    def __enter__(self) -> "_Told":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self._listener({**self._fields, "is_over": True})

    def add_task(self, description: str, **fields: Any) -> int:
        self.update(0, description=description, **fields)
        return 0

    def update(self, shown: int, **fields: Any) -> None:
        self._fields |= fields
        self._listener(self._fields)


class _InCell:
    """A display as one output of a notebook's cell, replaced in place: as plain text, without widgets.

    Escapes that move the cursor would do on some pages; what keeps outputs as they come keeps every frame of them.
    """

    def __init__(self, progress: Any):
        self._progress, self._cell, self._drawn = progress, None, -math.inf

    def __enter__(self) -> "_InCell":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self) -> None:
        self._draw(time.monotonic())

    def stop(self) -> None:
        self._draw(time.monotonic())

    def add_task(self, description: str, **fields: Any) -> Any:
        return self._progress.add_task(description, **fields)

    def remove_task(self, task: Any) -> None:
        self._progress.remove_task(task)

    def advance(self, task: Any) -> None:
        self.update(task, advance=1)

    def update(self, task: Any, **fields: Any) -> None:
        self._progress.update(task, **fields)
        now = time.monotonic()
        if now - self._drawn > _SECONDS_A_FRAME:
            self._draw(now)

    def _draw(self, now: float) -> None:
        from IPython.display import display

        with self._progress.console.capture() as captured:
            self._progress.console.print(self._progress.get_renderable())
        self._drawn, shown = now, {"text/plain": captured.get().rstrip() or "..."}
        if self._cell is None:
            self._cell = display(shown, raw=True, display_id=True)
        else:
            self._cell.update(shown, raw=True)


def bar(*columns: str) -> Any:
    """A `rich` progress display on one line: text, bar, count, the given task fields and the time left.

    Where the line is too long, what stands last among the fields is left out, and the text is cut.
    """
    if _listener is not None:
        return _Told(_listener)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    is_cell = in_notebook()
    # rich's own display in a notebook asks for a package that most do not have.
    console = Console(stderr=True, force_jupyter=False, no_color=True if is_cell else None)
    is_narrow = console.width < NARROW + 40
    shown = columns[:2] if is_narrow else columns

    def whole() -> Column:
        return Column(no_wrap=True)

    progress = Progress(
        # As it is: a name in brackets is no style.
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
        BarColumn(bar_width=6 if is_narrow else 24, table_column=whole()),
        MofNCompleteColumn(table_column=whole()),
        *[TextColumn("{task.fields[" + name + "]}", table_column=whole()) for name in shown],
        TimeRemainingColumn(compact=True, table_column=whole()),
        console=console,
        disable=is_cell or not sys.stderr.isatty(),
        expand=is_narrow,
    )
    return _InCell(progress) if is_cell else progress


def in_notebook() -> bool:
    """Whether this is a kernel of Jupyter, whose stderr is no terminal and is shown all the same."""
    # Where IPython was not loaded this is none, and it takes a while to load.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def counted(items: Iterable[Item], total: int, text: str) -> Iterator[Item]:
    """The items, with a bar as soon as they take longer than a second."""
    start, display, shown = time.monotonic(), None, None
    try:
        for done, item in enumerate(items):
            if display is None and time.monotonic() - start > 1:
                display = bar()
                display.start()
                shown = display.add_task(visible(text), total=total)
            if display is not None and shown is not None:
                display.update(shown, completed=done)
            yield item
        if display is not None and shown is not None:
            display.update(shown, completed=total)
    finally:
        if display is not None:
            display.stop()

"""One style of progress bar for all long work: on stderr, silent where that is neither a terminal nor a notebook."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from interp.ground.plain_text import visible

Item = TypeVar("Item")

# Of a terminal that nobody widened: what a line must fit in.
NARROW = 80

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


def bar(*columns: str) -> Any:
    """A `rich` progress display on one line: text, bar, count, the given task fields and the time left.

    Where the line is too long, what stands last among the fields is left out, and the text is cut.
    """
    if _listener is not None:
        return _Told(_listener)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    # As plain text in a notebook too: rich's own display there asks for a package that most do not have.
    console = Console(stderr=True, force_jupyter=False, force_terminal=True if in_notebook() else None)
    is_narrow = console.width < NARROW + 40
    shown = columns[:2] if is_narrow else columns

    def whole() -> Column:
        return Column(no_wrap=True)

    return Progress(
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
        disable=not (sys.stderr.isatty() or in_notebook()),
        expand=is_narrow,
    )


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

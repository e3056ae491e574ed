"""One style of progress bar for all long work: on stderr, silent where stderr is not a terminal."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from interp.ground.plain_text import visible

Item = TypeVar("Item")


def bar(*columns: str):
    """A `rich` progress display with spinner, bar, count, the given task fields and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        # As it is: a name in brackets is no style.
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        *[TextColumn("{task.fields[" + name + "]}") for name in columns],
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


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

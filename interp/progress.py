"""One style of progress bar for all long work: on stderr, silent where stderr is not a terminal."""

import sys


def bar(*columns: str):
    """A `rich` progress display with spinner, bar, count, the given task fields and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        *[TextColumn("{task.fields[" + name + "]}") for name in columns],
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )

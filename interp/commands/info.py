"""`interp info`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from interp.commands.stated import takes_statements
from interp.ground.plain_text import say, visible


@takes_statements
def info(
    run: Annotated[
        Path, Argument(help="A run, a folder of runs, or a file or folder of anyone's checkpoints.")
    ],
    json: Annotated[
        bool, Option("--json", help="Print run.json's content with the saved steps, for programs.")
    ] = False,
    *,
    stated: dict[str, Any],
) -> None:
    """Say what a run is: task, network, optimizer, status, saved steps, when it memorized and grokked.

    Of a folder of runs: a line each.

    Examples: interp info checkpoints/mainline

    interp info runs

    interp info downloads/some_series
    """
    # With torch, which `interp --help` does without.
    from interp.commands.run_list import listed, print_runs
    from interp.runs.folders import runs_below
    from interp.sources.opening import open_stated
    from interp.views.described import describe

    if below := runs_below(run):
        print_runs(listed(run, below), as_json=json)
        return
    opened = open_stated(run, stated)
    if json:
        from json import dumps

        from interp.runs.record import record_to_json
        from interp.runs.tensor_files import read_json

        file = opened.path / "run.json"
        about = read_json(file) if file.is_file() else record_to_json(opened.record)
        say(dumps(about | {"steps": opened.steps, "optimizer_steps": opened.optimizer_steps}, indent=2))
        return
    print_lines(describe(opened))


def print_lines(lines: Mapping[str, str]) -> None:
    """Labels in one column, texts in the next; on a terminal, texts are broken to stay in theirs."""
    import shutil
    import sys
    import textwrap

    width = max(map(len, lines)) + 2
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for label, text in lines.items():
        parts = (
            [visible(text)]
            if columns is None
            else textwrap.wrap(visible(text), max(columns - width, 20), break_on_hyphens=False)
        )
        for i, part in enumerate(parts or [""]):
            say(f"{label if i == 0 else '':<{width}}{part}".rstrip())

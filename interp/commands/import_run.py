"""`interp import`."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from interp.commands.stated import takes_statements
from interp.ground.plain_text import say
from interp.ground.stated_options import stated_arguments


@takes_statements
def import_run(
    source: Annotated[
        Path | None, Argument(help="A file or folder of checkpoints; never written to.")
    ] = None,
    dest: Annotated[Path | None, Argument(help="New or empty directory for the run.")] = None,
    list_formats: Annotated[
        bool, Option("--list", help="Say what each format is recognised by, and stop.")
    ] = False,
    *,
    stated: dict[str, Any],
) -> None:
    """Make a run of someone else's checkpoints; what they say is found, what they do not say can be stated.

    Examples: interp import grok_1662000000 runs/nanda

    interp import grokking_demo.pth runs/demo --task add --p 113
    """
    import typer

    if list_formats:
        from interp.commands.info import print_lines
        from interp.sources.files.wrapping import WRAPPED_IN
        from interp.sources.formats import FORMATS

        recognized_by = {format.name: format.recognized_by for format in FORMATS}
        for title, table in (("Networks, recognised by", recognized_by), ("Wrapped in", WRAPPED_IN)):
            say(f"{title}:")
            print_lines({f"  {name}": text for name, text in table.items()})
        return
    if source is None or dest is None:
        raise typer.BadParameter("needs SOURCE and DEST (or --list).")

    from interp import sources
    from interp.commands.info import print_lines
    from interp.views.described import describe

    run = sources.import_run(source, dest, **stated_arguments(stated))
    print_lines(describe(run))

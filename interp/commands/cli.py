"""The command line, `interp` or `python -m interp`: one subcommand a file in `interp/commands`.

Help must come up at once, so nothing here or in the signatures of the commands loads torch or pandas.
"""

import sys

import typer

from interp.commands.analyse import analyse
from interp.commands.import_run import import_run
from interp.commands.info import info
from interp.commands.measure import measure
from interp.commands.train import resume, train
from interp.commands.verify import verify
from interp.ground.memory import is_out_of_memory
from interp.ground.plain_text import say
from interp.ground.plain_warnings import plain_warnings

app = typer.Typer(
    name="interp",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train, save, load and measure networks that grok.\n\n"
    "A run is a directory of checkpoints that explains itself. Figures and answers come from analyses, for example: "
    "interp analyse fourier checkpoints/mainline",
)
app.command()(train)
app.command()(resume)
app.command()(info)
app.command("import")(import_run)
app.command()(verify)
app.command()(measure)
app.command()(analyse)


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 1, Ctrl-C exits with 130."""
    plain_warnings("interp")
    try:
        app()
    except KeyboardInterrupt as stop:
        say(f"\ninterp: {stop or 'stopped'}", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError, FloatingPointError) as error:
        message = f"{error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
        say(f"interp: {message}", file=sys.stderr)
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        say(
            f"interp: this needs more memory than there is ({str(error) or 'none left'}). Use smaller sizes, fewer "
            "probes or steps at a time, or a machine with more.",
            file=sys.stderr,
        )
        sys.exit(1)

"""The command line, `interp` or `python -m interp`: one subcommand a file in `interp/commands`.

Help must come up at once, so nothing here or in the signatures of the commands loads torch or pandas.
"""

import sys
from typing import Annotated, Any

import typer
import typer.core

from interp.commands.analyse import analyse
from interp.commands.animate import animate
from interp.commands.battery import battery
from interp.commands.branch import branch
from interp.commands.explore import explore
from interp.commands.figure import figure
from interp.commands.forecast import forecast
from interp.commands.import_run import import_run
from interp.commands.info import info
from interp.commands.judge import judge
from interp.commands.measure import measure
from interp.commands.predict import predict
from interp.commands.report import report
from interp.commands.resume import resume
from interp.commands.sweep import sweep
from interp.commands.train import train
from interp.commands.verify import verify
from interp.ground.memory import is_out_of_memory
from interp.ground.plain_text import say
from interp.ground.plain_warnings import plain_warnings
from interp.ground.stopping import told_when_stopped
from interp.ground.system_errors import system_error


class Commands(typer.core.TyperGroup):
    """The subcommands; Ctrl-C says how things stand, where the framework would exit without a word."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        with told_when_stopped("interp"):
            try:
                return super().main(*arguments, **options)
            except SystemExit as end:
                stop = getattr(end.__context__, "__cause__", None)
                if isinstance(stop, KeyboardInterrupt):
                    raise stop from None
                raise


app = typer.Typer(
    name="interp",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train, save, load and measure networks that grok.\n\n"
    "A run is a directory of checkpoints that explains itself. Figures and answers come from analyses, for example: "
    "interp analyse fourier checkpoints/mainline",
)


def _print_version(is_asked: bool | None) -> None:
    if is_asked:
        from interp.ground.provenance import versions

        say(f"grokscope {versions()['grokscope']}")
        raise typer.Exit()


@app.callback()
def _options(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say which version this is."),
    ] = None,
) -> None:
    pass


app.command()(train)
app.command()(resume)
app.command()(info)
app.command("import")(import_run)
app.command()(verify)
app.command()(measure)
app.command()(analyse)
app.command()(figure)
app.command()(animate)
app.command()(branch)
app.command()(predict)
app.command()(battery)
app.command()(judge)
app.command()(report)
app.command()(explore)
app.command()(sweep)
app.command()(forecast)


def main() -> None:
    """Run the command line; an expected error is one line on stderr and exit code 1, Ctrl-C exits with 130."""
    plain_warnings("interp")
    try:
        app()
    except (ValueError, OSError, FloatingPointError) as error:
        message = system_error(error) if isinstance(error, OSError) else str(error)
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

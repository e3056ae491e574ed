"""`interp analyse`."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from interp.commands.stated import takes_statements
from interp.ground.plain_text import say


@takes_statements
def analyse(
    name: Annotated[str | None, Argument(help="Which analysis; without a name they are listed.")] = None,
    run: Annotated[
        str | None,
        Argument(
            help="A run, or a file or folder of anyone's checkpoints; of phase_diagram, compare and forecast a sweep, "
            "its tables, or a folder of runs (default: the bundled one, which comes with the repository)."
        ),
    ] = None,
    out: Annotated[
        Path | None, Option(help="Folder for tables, figure and summary (default: figures/<run>/<name>/).")
    ] = None,
    draw_only: Annotated[
        bool, Option("--draw-only", help="Redraw from the tables in the folder; needs no torch.")
    ] = False,
    device: Annotated[str, Option(help="Where probes compute: auto, cpu, cuda or mps.")] = "auto",
    others: Annotated[
        list[str] | None,
        Option(
            "--with",
            metavar="RUN",
            help="Of phase_diagram, compare and forecast: a further run or folder; repeatable.",
        ),
    ] = None,
    *,
    stated: dict[str, Any],
) -> None:
    """Answer one question about a run, or many: tables (CSV), a figure (pdf, png) and summary.json.

    Examples: interp analyse

    interp analyse fourier checkpoints/mainline

    interp analyse phase_diagram sweeps/decay
    """
    from interp.analyses import named, questions
    from interp.analyses.frame import Analysis, answer
    from interp.commands.info import print_lines

    if name is None:
        print_lines(questions())
        return
    module = named(name)
    more = {key: getattr(module, key, None) for key in ("pages", "found", "subject")}
    analysis = Analysis(name, module.compute, module.draw, module.summarize, **more)
    program = f"interp analyse {name}"
    asked: dict[str, Any] = {"draw_only": draw_only, "device": device, "program": program, "stated": stated}
    say(answer(analysis, run, out, **asked, others=others or ()))

"""`interp analyse`."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from interp.analyses.own_options import OWN_OPTIONS
from interp.commands.stated import takes_statements
from interp.ground.plain_text import say


def own(name: str) -> Any:
    """An option that some analyses take, by its name in `interp.analyses.own_options`."""
    ((of, option),) = ((of, o) for of, options in OWN_OPTIONS.items() for o in options if o.name == name)
    help = f"Of {of}: {option.help}"
    return (
        Option(option.flag, help=help) if option.kind is bool else Option(metavar=option.metavar, help=help)
    )


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
    text: Annotated[str | None, own("text")] = None,
    before: Annotated[int | None, own("before")] = None,
    after: Annotated[int | None, own("after")] = None,
    keep_going: Annotated[bool, own("keep_going")] = False,
    drop_downloads: Annotated[
        bool,
        Option(
            "--drop-downloads", help="Of hf://org/name: delete the weights of a step once it was measured."
        ),
    ] = False,
    *,
    stated: dict[str, Any],
) -> None:
    """Answer one question about a run, or many: tables (CSV), a figure (pdf, png) and summary.json.

    Examples: interp analyse

    interp analyse fourier checkpoints/mainline

    interp analyse phase_diagram sweeps/decay

    interp analyse language_model checkpoints/tiny-lm --text book.txt
    """
    from interp.analyses import named, questions
    from interp.analyses.frame import Analysis, answer
    from interp.commands.info import print_lines

    if name is None:
        print_lines(questions())
        return
    module = named(name)
    more: dict[str, Any] = {key: getattr(module, key, None) for key in ("pages", "found", "subject")}
    more["is_of_answers"] = getattr(module, "is_of_answers", True)
    analysis = Analysis(name, module.compute, module.draw, module.summarize, **more)
    program = f"interp analyse {name}"
    asked: dict[str, Any] = {"draw_only": draw_only, "device": device, "program": program, "stated": stated}
    given = {"text": text, "before": before, "after": after, "keep_going": keep_going or None}
    asked["own"] = {key: value for key, value in given.items() if value is not None}
    say(answer(analysis, run, out, **asked, others=others or (), drop_downloads=drop_downloads))

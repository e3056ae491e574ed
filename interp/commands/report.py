"""`interp report`."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from interp.commands.stated import takes_statements
from interp.ground.plain_text import say


@takes_statements
def report(
    run: Annotated[
        str | None,
        Argument(
            help="A run, or a file or folder of anyone's checkpoints (default: the bundled run, which comes with the "
            "repository)."
        ),
    ] = None,
    trial: Annotated[
        Path | None,
        Option(
            help="Folder of the trial (interp predict, interp battery). [default: the committed evidence of the run, "
            "or else trials/<run>]",
            show_default=False,
        ),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        Option(
            help="A sweep, its tables, or a folder of runs, of this recipe and others: for theories that speak of many "
            "runs; repeatable.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, Option(help="Folder for page, tables and summary (default: figures/<run>/explain/).")
    ] = None,
    draw_only: Annotated[
        bool,
        Option(
            "--draw-only", help="Draw from tables alone: of the trial, or of an earlier call; needs no torch."
        ),
    ] = False,
    device: Annotated[str, Option(help="Where probes compute: auto, cpu, cuda or mps.")] = "auto",
    *,
    stated: dict[str, Any],
) -> None:
    """Say on one page what the evidence on a run supports, contradicts or leaves open.

    explain.html stands by itself, explain.pdf is the same on paper, summary.json has the verdicts. Without a trial the
    page rests on the checkpoints alone.

    Examples: interp report checkpoints/mainline

    interp report runs/mine --trial trials/mine --sweep sweeps/mine --out figures/mine/explain
    """
    from functools import partial

    if sweep and draw_only:
        raise ValueError("--sweep and --draw-only: what a sweep says is computed. Leave one of them out.")
    from interp.analyses import explain
    from interp.analyses.frame import Analysis, answer

    analysis = Analysis(
        "explain",
        partial(explain.compute, trial=trial, sweeps=tuple(sweep or ())),
        explain.draw,
        explain.summarize,
        explain.pages,
        partial(explain.found, trial=trial),
    )
    say(
        answer(analysis, run, out, draw_only=draw_only, device=device, program="interp report", stated=stated)
    )

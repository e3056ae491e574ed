"""`interp figure`."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from interp.commands.stated import takes_statements
from interp.ground.plain_text import say


@takes_statements
def figure(
    run: Annotated[
        str | None,
        Argument(
            help="A run, or a file or folder of anyone's checkpoints; of pictures of many runs a sweep, its tables, or "
            "a folder of runs (default: the bundled one, which comes with the repository)."
        ),
    ] = None,
    name: Annotated[str | None, Argument(help="Which figure; without a name they are listed.")] = None,
    is_list: Annotated[bool, Option("--list", help="Say in a line each which figures there are.")] = False,
    preset: Annotated[
        str, Option(help="Width and fonts of where it goes, as neurips-column, icml-column or slides-text.")
    ] = "journal-text",
    step: Annotated[
        int | None,
        Option(help="Of a figure of one checkpoint: which. [default: the last]", show_default=False),
    ] = None,
    caption: Annotated[
        bool, Option("--caption", help="Print the figure as LaTeX: environment, caption and label.")
    ] = False,
    formats: Annotated[
        str, Option("--as", help="Which files: pdf, svg and png, or some of them, joined by commas.")
    ] = "pdf,png",
    out: Annotated[
        Path | None,
        Option(help="Folder for tables, figure and summary (default: figures/<run>/figure/<name>/)."),
    ] = None,
    draw_only: Annotated[
        bool,
        Option(
            "--draw-only", help="Draw from the tables in the folder, whatever became of the run; no torch."
        ),
    ] = False,
    device: Annotated[str, Option(help="Where probes compute: auto, cpu, cuda or mps.")] = "auto",
    others: Annotated[
        list[str] | None,
        Option(
            "--with", metavar="RUN", help="Of a figure of many runs: a further run or folder; repeatable."
        ),
    ] = None,
    *,
    stated: dict[str, Any],
) -> None:
    """Draw one figure of a run, by its name: tables (CSV), pdf and png, and summary.json with its caption.

    Tables that are there are drawn again as long as the run is the same.

    Examples: interp figure --list

    interp figure checkpoints/mainline spectrum_map --preset neurips-column --caption

    interp figure checkpoints/mainline attention_map --step 5000 --as svg
    """
    import sys

    from interp.commands.info import print_lines
    from interp.views import pictures

    if name is None and run is not None and run in pictures.names() and not Path(run).exists():
        run, name = None, run
    if is_list or name is None:
        if run is not None and not is_list:
            raise ValueError(
                f"interp figure needs the name of a figure after {run!r}, got none. `interp figure --list` says which "
                "there are."
            )
        print_lines({one: pictures.named(one).shows for one in pictures.names()})
        return
    from interp.views.pictures.captions import latex_figure
    from interp.views.pictures.making import make

    made = make(
        name, run, out, step=step, preset=preset, formats=formats.split(","), draw_only=draw_only, device=device,
        program="interp figure", stated=stated, others=others or (),
    )  # fmt: skip
    # What is printed as LaTeX goes into a file as it is.
    say("\n".join([*made.said, made.written]), file=sys.stderr if caption else sys.stdout)
    if caption:
        say(latex_figure(made.files[0].as_posix(), made.caption, name))

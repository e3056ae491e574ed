"""`interp explore`."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from interp.commands.stated import takes_statements
from interp.ground.plain_text import say


@takes_statements
def explore(
    runs: Annotated[
        list[str] | None,
        Argument(
            metavar="RUN [RUN2 ...]",
            help="A run, or a file or folder of anyone's checkpoints; of several the page shows them side by side. "
            "(default: the bundled run, which comes with the repository)",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, Option(help="The HTML file. [default: figures/<run>/explore.html]", show_default=False)
    ] = None,
    trial: Annotated[
        Path | None,
        Option(
            help="Folder of the trial of a single run (interp predict, interp battery). [default: the committed "
            "evidence of each run, or else trials/<run>]",
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, Option(help="Where probes compute: auto, cpu, cuda or mps.")] = "auto",
    *,
    stated: dict[str, Any],
) -> None:
    """Write a page on which a run can be scrubbed through: one HTML file, which opens from disk and loads nothing.

    Examples: interp explore checkpoints/mainline

    interp explore runs/p59-seed0 runs/p59-seed1 --out seeds.html

    interp explore runs/p59 --trial trials/p59
    """
    from interp.analyses.frame import run_path
    from interp.ground.stated_options import stated_arguments
    from interp.ground.whole_files import write_bytes
    from interp.networks.devices import named_device
    from interp.report.explorer.page import page
    from interp.sources.opening import open_stated
    from interp.views.explored import check_size, explored
    from interp.views.tried import told_trial

    device = named_device(device)
    named: list[str | None] = list(runs) if runs else [None]
    paths = [run_path(run, "explore") for run in named]
    opened = [open_stated(path, stated) for path in paths]
    sources = [run or str(path) for run, path in zip(named, paths, strict=True)]
    if trial is not None and len(opened) > 1:
        raise ValueError(
            f"--trial is of one run, got {len(opened)} runs. Their trials are found by their names."
        )
    # Before the trials, which measure too.
    for run in opened:
        check_size(run)
    trials = [told_trial(run, source, trial, device) for run, source in zip(opened, sources, strict=True)]
    told = explored(opened, sources=sources, trials=trials, stated=stated_arguments(stated), device=device)
    html = page(told).encode("utf-8")
    path = out or Path("figures") / "-and-".join(run.name for run in opened) / "explore.html"
    write_bytes(path, html)
    say(f"{path}: {len(html) / 1e6:.1f} MB, opens in a browser")

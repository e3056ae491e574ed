"""The frame of every analysis, behind both doors: output folder, tables, figure, summary.

An analysis asks one question and has three functions: `compute(run, device) -> tables`, `draw(tables) -> Figure` and
`summarize(tables) -> dict`. This module does the rest the same way for all, for `interp analyse NAME RUN` and for
`python analyses/NAME.py --run RUN`:

    figures/<run>/<name>/<table>.csv     the tables
    figures/<run>/<name>/about.json      run, config, versions and command
    figures/<run>/<name>/<name>.pdf, .png
    figures/<run>/<name>/summary.json    the answer in numbers, with what about.json says

`--draw-only` redraws figure and summary from the tables, without torch and without the checkpoints.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from interp.figures import style
from interp.ground.plain_text import number_of, say, visible_lines
from interp.ground.plain_warnings import plain_warnings
from interp.ground.provenance import versions
from interp.ground.stated_options import STATED_OPTIONS, typed
from interp.ground.whole_files import write_bytes
from interp.tables.folder import Tables, read_about, read_tables, write_about, write_tables
from interp.tables.outcome import outcome

BUNDLED_RUN = Path(__file__).parents[2] / "checkpoints" / "mainline"


Pages = Callable[[Tables, Mapping[str, Any]], tuple[Iterable[tuple[str, bytes]], dict[str, Any]]]
Found = Callable[[Path | None], tuple[Tables, dict[str, Any]] | None]


@dataclass(frozen=True)
class Analysis:
    """A question and its three functions.

    Attributes:
        pages: where the answer is more than a figure: tables and what they are of -> endings and contents of its files,
            each written as soon as it is made, and the summary, in place of `draw` and `summarize`.
        found: the path of a run, or None -> tables that lie elsewhere than in the output folder, and what they are of;
            None where there are none. Without torch.
    """

    name: str
    compute: Callable[[Any, str], Tables]
    draw: Callable[[Tables], Figure]
    summarize: Callable[[Tables], dict[str, Any]]
    pages: Pages | None = None
    found: Found | None = None


def main(
    name: str,
    description: str | None,
    compute: Callable[[Any, str], Tables],
    draw: Callable[[Tables], Figure],
    summarize: Callable[[Tables], dict[str, Any]],
    arguments: list[str] | None = None,
    *,
    pages: Pages | None = None,
    found: Found | None = None,
) -> None:
    """Run a script of analyses/; errors end with one line on stderr and exit code 1."""
    options = _parser(name, description).parse_args(arguments)
    plain_warnings(name)
    try:
        say(
            answer(
                Analysis(name, compute, draw, summarize, pages, found),
                options.run,
                options.out,
                draw_only=options.draw_only,
                device=options.device,
                program=f"python analyses/{name}.py",
                stated={option.name: getattr(options, option.name) for option in STATED_OPTIONS},
            )
        )
    except (ValueError, OSError) as error:
        sys.exit(visible_lines(f"{name}: {error}"))


def _parser(name: str, description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python analyses/{name}.py",
        description=description,
        epilog=f"example: python analyses/{name}.py --run checkpoints/mainline --out figures/mainline/{name}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--run", help="a run, or a file or folder of anyone's checkpoints (default: the bundled run)"
    )
    parser.add_argument("--out", type=Path, help=f"output folder (default: figures/<run>/{name}/)")
    parser.add_argument(
        "--draw-only", action="store_true", help="redraw from the tables in the output folder; needs no torch"
    )
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda", "mps"],
        default="auto",
        help="where probes compute; auto is cuda where there is one, otherwise cpu",
    )
    _add_statements(parser)
    return parser


def _add_statements(parser: argparse.ArgumentParser) -> None:
    """The options that state what a source does not say, as the command line has them."""
    group = parser.add_argument_group("what someone else's checkpoints do not say")
    for option in STATED_OPTIONS:
        if option.kind is bool:
            action = argparse.BooleanOptionalAction
            group.add_argument(option.flag, action=action, default=None, help=option.help)
        else:
            choices = option.choices or None
            group.add_argument(option.flag, type=option.kind, choices=choices, help=option.help)


def answer(
    analysis: Analysis,
    run: str | None,
    out: Path | None,
    *,
    draw_only: bool,
    device: str,
    program: str,
    stated: Mapping[str, Any],
) -> str:
    """Compute, draw and summarize, or with `draw_only` the last two; one line that says what was written.

    Args:
        run: None for the bundled run.
        out: None for figures/<run>/<name>/.
        program: what the user typed to get here, as "interp analyse fourier"; for messages and the record.
        stated: what the checkpoints do not say, by the names of `interp.ground.stated_options`.

    Raises:
        ValueError: if there is no such run, device or table, or the question does not apply to this run.
    """
    name = analysis.name
    if out is None:
        path = run_path(run, name)
        out = Path("figures") / path.name / name
        check_same_run(out, path)
    if draw_only and (there := _elsewhere(analysis, run, out)) is not None:
        tables, about = there
        write_tables(out, tables, about)
    elif draw_only:
        tables, about = _kept(out, program, stated)
    else:
        tables, about = _compute(run_path(run, name), analysis, device, program, stated)
        write_tables(out, tables, about)
    try:
        summary = _written(analysis, tables, about, out)
    except KeyError as error:
        if not draw_only:
            raise
        raise ValueError(
            f"The tables in {out} have no {error}: another version wrote them. Run `{program}` without --draw-only."
        ) from error
    ended, reasons = outcome(tables), _reasons(tables)
    summary = {"outcome": ended.summary(), "does_not_apply": reasons, **summary}
    write_about(out, {**about, **summary}, file="summary.json")
    written = f"{out / name}.pdf, .png, summary.json and {number_of(len(tables), 'table')}"
    return "\n".join([ended.said, *reasons, written])


def _written(analysis: Analysis, tables: Tables, about: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The summary, once the files that show it are written."""
    if analysis.pages is not None:
        files, summary = analysis.pages(tables, about)
        for ending, content in files:
            write_bytes(out / f"{analysis.name}{ending}", content)
        return summary
    figure, summary = analysis.draw(tables), analysis.summarize(tables)
    ended = outcome(tables)
    notes = [] if ended.generalised else [ended.said]
    style.note_below(figure, [*notes, *(f"Not drawn: {reason}" for reason in _reasons(tables))])
    style.save_figure(figure, out / analysis.name)
    return summary


def _elsewhere(analysis: Analysis, run: str | None, out: Path) -> tuple[Tables, dict[str, Any]] | None:
    """What an analysis finds of the run that is meant; of whatever run, where the output folder alone is named."""
    if analysis.found is None:
        return None
    is_named = run is not None or out == Path("figures") / BUNDLED_RUN.name / analysis.name
    path = run_path(run, analysis.name) if is_named else None
    found = analysis.found(path)
    if found is None:
        return None
    tables, about = found
    return tables, about if path is None else {**about, "path": str(path)}


def _reasons(tables: Tables) -> list[str]:
    """Why probes do not apply, each reason once."""
    table = tables.get("does_not_apply")
    return [] if table is None or not len(table) else list(dict.fromkeys(table["reason"]))


def run_path(run: str | None, name: str) -> Path:
    """Where the run lies, absolute; the bundled one if none is named.

    Raises:
        ValueError: if none is named and the bundled one is not there: it comes with the repository alone.
    """
    if run is None and not BUNDLED_RUN.exists():
        raise ValueError(
            f"{name} needs a run, got none. The bundled run comes with the repository, not with the installed package. "
            "Name a run, or a file or folder of checkpoints."
        )
    path = Path(BUNDLED_RUN if run is None else run)
    # A repository of the hub has no place on this disk.
    return path if run and run.startswith("hf:") else Path(os.path.abspath(path.expanduser()))


def _compute(
    path: Path, analysis: Analysis, device: str, program: str, stated: Mapping[str, Any]
) -> tuple[Tables, dict[str, Any]]:
    # None of it with --draw-only.
    import torch

    from interp.measurement.answers import with_answers
    from interp.measurement.stream import MeasureError
    from interp.networks.devices import check_device
    from interp.runs.config import config_to_json
    from interp.sources.opening import open_stated

    run = open_stated(path, stated)
    if not run.steps:
        raise ValueError(f"Run {run.name!r} has no checkpoints to analyse yet.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device)
    try:
        tables = with_answers(run, analysis.compute(run, device), device)
    except MeasureError as error:
        # What a caller of `measure` could do to go on past it, an analysis cannot.
        raise MeasureError(error.failed, error.kept) from error
    about = {
        "analysis": analysis.name,
        "run": run.name,
        "path": str(path),
        "step": run.steps[-1],
        "p": getattr(run.config.task, "p", None),
        "unit": run.unit,
        "status": run.record.status,
        "config": config_to_json(run.config),
        "device": device,
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "stated": typed(stated),
        "command": _command(program),
    }
    return tables, about


def _command(program: str) -> str:
    """The whole command line, with the interpreter's name for a script and without the path of an installed one."""
    first, *_ = program.split()
    return " ".join([first, *(sys.argv if first == "python" else sys.argv[1:])])


def check_same_run(out: Path, path: Path) -> None:
    """Nothing, if the folder holds no results yet, or those of the run at this path.

    Raises:
        ValueError: if it holds those of another run that has the same name.
    """
    other = (read_about(out) or {}).get("path")
    if other not in (None, str(path)):
        raise ValueError(
            f"{out} holds the results of another run of this name, {other}. Use --out with a new folder."
        )


def _kept(out: Path, program: str, stated: Mapping[str, Any]) -> tuple[Tables, dict[str, Any]]:
    """The tables of an earlier call.

    Raises:
        ValueError: if the folder lacks them, or they were computed under another statement.
    """
    about = read_about(out)
    if about is not None and (said := typed(stated)) and said != about.get("stated", []):
        raise ValueError(
            f"{out} holds tables that were computed with {', '.join(about.get('stated', [])) or 'nothing stated'}, not "
            f"with {', '.join(said)}. Run `{program}` with these options and without --draw-only first."
        )
    if about is None:
        raise ValueError(
            f"{out} holds no tables of this analysis to draw. Run `{program}` without --draw-only first."
        )
    try:
        return read_tables(out)
    except ValueError as error:
        raise ValueError(f"{error} Run the analysis again without --draw-only.") from error

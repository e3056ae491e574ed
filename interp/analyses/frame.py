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

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from matplotlib.figure import Figure

from interp.analyses.kept_tables import kept, reasons_in
from interp.analyses.own_options import check_own, of, typed_own
from interp.analyses.places import (
    BUNDLED_MODELS,
    BUNDLED_RUN,
    check_same_run,
    first_place,
    place_of,
    run_path,
)
from interp.analyses.script_options import parser
from interp.figures import style
from interp.ground.plain_text import number_of, say, visible_lines
from interp.ground.plain_warnings import plain_warnings
from interp.ground.provenance import versions
from interp.ground.stated_options import STATED_OPTIONS, typed
from interp.ground.whole_files import write_bytes
from interp.tables.folder import Tables, write_about, write_tables
from interp.tables.outcome import outcome


@dataclass(frozen=True)
class Subject:
    """What an analysis is asked about, where that is not a run.

    Attributes:
        noun: "runs"; for messages.
        bundled: what comes with the repository.
        opened: the path or URL, and those of others to be put beside it -> what `compute` takes, and what it is of.
    """

    noun: str
    bundled: Path
    opened: Callable[[str, Sequence[str]], tuple[Any, dict[str, Any]]]


EMPTY: Mapping[str, Any] = MappingProxyType({})
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
        subject: what `compute` takes; None: a run.
        is_of_answers: whether its runs have a task, by whose test accuracy they are judged; not of language models.
    """

    name: str
    compute: Callable[..., Tables]
    draw: Callable[[Tables], Figure]
    summarize: Callable[[Tables], dict[str, Any]]
    pages: Pages | None = None
    found: Found | None = None
    subject: Subject | None = None
    is_of_answers: bool = True

    @property
    def bundled(self) -> Path:
        of_one = BUNDLED_RUN if self.is_of_answers else BUNDLED_MODELS
        return of_one if self.subject is None else self.subject.bundled


def main(
    name: str,
    description: str | None,
    compute: Callable[..., Tables],
    draw: Callable[[Tables], Figure],
    summarize: Callable[[Tables], dict[str, Any]],
    arguments: list[str] | None = None,
    *,
    pages: Pages | None = None,
    found: Found | None = None,
    subject: Subject | None = None,
    is_of_answers: bool = True,
) -> None:
    """Run a script of analyses/; errors end with one line on stderr and exit code 1."""
    analysis = Analysis(name, compute, draw, summarize, pages, found, subject, is_of_answers)
    options = parser(analysis.name, description, analysis.bundled, is_of_many=subject is not None).parse_args(
        arguments
    )
    plain_warnings(name)
    try:
        say(
            answer(
                analysis,
                options.run,
                options.out,
                others=options.others,
                draw_only=options.draw_only,
                device=options.device,
                program=f"python analyses/{name}.py",
                stated={option.name: getattr(options, option.name) for option in STATED_OPTIONS},
                own={o.name: x for o in of(name) if (x := getattr(options, o.name)) is not None},
                drop_downloads=options.drop_downloads,
            )
        )
    except (ValueError, OSError) as error:
        sys.exit(visible_lines(f"{name}: {error}"))


def answer(
    analysis: Analysis,
    run: str | None,
    out: Path | None,
    *,
    draw_only: bool,
    device: str,
    program: str,
    stated: Mapping[str, Any],
    others: Sequence[str] = (),
    own: Mapping[str, Any] = EMPTY,
    drop_downloads: bool = False,
) -> str:
    """Compute, draw and summarize, or with `draw_only` the last two; one line that says what was written.

    Args:
        run: None for the bundled run, or what else the analysis is asked about.
        out: None for figures/<run>/<name>/.
        program: what the user typed to get here, as "interp analyse fourier"; for messages and the record.
        stated: what the checkpoints do not say, by the names of `interp.ground.stated_options`.
        others: runs or folders to be put beside it, of an analysis of many.
        own: options of this analysis alone, by the names of `interp.analyses.own_options`.
        drop_downloads: of a series on the hub, delete the weights of a step once it was measured.

    Raises:
        ValueError: if there is no such run, device or table, or the question does not apply to this run.
    """
    name = analysis.name
    check_asked(analysis, stated, others)
    check_own(name, own)
    if out is None:
        out = folder_of(analysis, run, others, name)
    if draw_only and (there := _elsewhere(analysis, run, out)) is not None:
        tables, about = there
        write_tables(out, tables, about)
    elif draw_only:
        tables, about = kept(out, program, stated, typed_own(name, own))
    else:
        tables, about = computed(
            analysis, run, others, device=device, program=program, stated=stated, own=own,
            drop_downloads=drop_downloads,
        )  # fmt: skip
        write_tables(out, tables, about)
    try:
        summary = _written(analysis, tables, about, out)
    except KeyError as error:
        if not draw_only:
            raise
        raise ValueError(
            f"The tables in {out} have no {error}: another version wrote them. Run `{program}` without --draw-only."
        ) from error
    reasons = reasons_in(tables)
    summary = {"does_not_apply": reasons, **summary}
    said = summary.get("said", [])
    if analysis.subject is None and analysis.is_of_answers:
        ended = outcome(tables)
        told = summary.get("answer", "")
        # Most answers begin with how the run ended.
        said = [part for part in (ended.said if ended.said not in told else "", told) if part]
        summary = {"outcome": ended.summary(), **summary}
    write_about(out, {**about, **summary}, file="summary.json")
    written = f"{out / name}.pdf, .png, summary.json and {number_of(len(tables), 'table')}"
    return "\n".join([*said, *reasons, written])


def check_asked(analysis: Analysis, stated: Mapping[str, Any], others: Sequence[str]) -> None:
    """Refuse several runs of what is asked of one, and statements about runs that say themselves what they are.

    Raises:
        ValueError: naming the question.
    """
    if others and analysis.subject is None:
        raise ValueError(f"{analysis.name} is asked of one run, got {len(others) + 1}. Ask it of each.")
    if analysis.subject is not None and (said := typed(stated)):
        raise ValueError(
            f"{analysis.name} reads runs that say themselves what they are, and takes no {said[0]}."
        )


def folder_of(analysis: Analysis, run: str | None, others: Sequence[str], *below: str) -> Path:
    """The output folder figures/<run>/..., which holds nothing yet, or results of the same run.

    Raises:
        ValueError: if it holds those of another run of this name, or there is no run.
    """
    path = run_path(run, analysis.name, analysis.bundled)
    beside = f"-and-{len(others)}-more" if others else ""
    out = Path("figures", f"{path.name}{beside}", *below)
    check_same_run(out, place_of(run, path, others))
    return out


def computed(
    analysis: Analysis,
    run: str | None,
    others: Sequence[str] = (),
    *,
    device: str,
    program: str,
    stated: Mapping[str, Any],
    own: Mapping[str, Any] = EMPTY,
    drop_downloads: bool = False,
) -> tuple[Tables, dict[str, Any]]:
    """The tables of an analysis, and what they are of; arguments as of `answer`."""
    path = run_path(run, analysis.name, analysis.bundled)
    if analysis.subject is None:
        return _compute(path, analysis, device, program, stated, own, drop_downloads)
    first = first_place(run, path)
    tables, about = _compute_of_many(first, others, analysis, analysis.subject, device, program)
    return tables, {**about, "path": place_of(run, path, others)}


def _written(analysis: Analysis, tables: Tables, about: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """The summary, once the files that show it are written."""
    if analysis.pages is not None:
        files, summary = analysis.pages(tables, about)
        for ending, content in files:
            write_bytes(out / f"{analysis.name}{ending}", content)
        return summary
    figure, summary = analysis.draw(tables), analysis.summarize(tables)
    notes = []
    is_judged = analysis.subject is None and analysis.is_of_answers
    if is_judged and not (ended := outcome(tables)).generalised:
        notes = [ended.said]
    style.note_below(figure, [*notes, *(f"Not drawn: {reason}" for reason in reasons_in(tables))])
    style.name_unit(figure, about.get("unit", "step"))
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


def _compute(
    path: Path,
    analysis: Analysis,
    device: str,
    program: str,
    stated: Mapping[str, Any],
    own: Mapping[str, Any],
    drop_downloads: bool,
) -> tuple[Tables, dict[str, Any]]:
    # None of it with --draw-only.
    import torch

    from interp.measurement.answers import with_answers, with_reasons
    from interp.measurement.stream import MeasureError
    from interp.networks.devices import named_device
    from interp.runs.config import config_to_json
    from interp.sources.opening import open_stated

    run = open_stated(path, stated, drop_downloads=drop_downloads)
    if not run.steps:
        raise ValueError(f"Run {run.name!r} has no checkpoints to analyse yet.")
    device = named_device(device)
    try:
        tables = analysis.compute(run, device, **own)
        tables = with_answers(run, tables, device) if analysis.is_of_answers else with_reasons(tables)
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
        "stated": [*typed(stated), *typed_own(analysis.name, own)],
        "command": _command(program),
    }
    return tables, about


def _compute_of_many(
    path: str, others: Sequence[str], analysis: Analysis, subject: Subject, device: str, program: str
) -> tuple[Tables, dict[str, Any]]:
    what, about = subject.opened(path, others)
    tables = analysis.compute(what, device)
    made = {"versions": versions(), "command": _command(program)}
    return tables, {"analysis": analysis.name, **about, **made}


def _command(program: str) -> str:
    """The whole command line, with the interpreter's name for a script and without the path of an installed one."""
    first, *_ = program.split()
    return " ".join([first, *(sys.argv if first == "python" else sys.argv[1:])])

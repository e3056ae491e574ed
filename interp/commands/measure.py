"""`interp measure`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from interp.commands.stated import takes_statements
from interp.commands.wording import errors_as_typed
from interp.ground.plain_text import number_of, say
from interp.ground.stated_options import typed

if TYPE_CHECKING:
    import pandas as pd

    from interp.runs.run import Run


@takes_statements
def measure(
    run: Annotated[Path | None, Argument(help="A run, or a file or folder of anyone's checkpoints.")] = None,
    probes: Annotated[
        str | None,
        Option(
            help="standard (all that one forward pass answers), all (also the slow ones), or names of --list joined by "
            "commas. [default: standard, or none with --probe]"
        ),
    ] = None,
    probe: Annotated[
        list[str] | None,
        Option(
            metavar="FILE.py:FUNCTION",
            help="A probe of your own, a function of a snapshot; the file is run. Repeatable.",
        ),
    ] = None,
    list_probes: Annotated[bool, Option("--list", help="Say what each probe measures, and stop.")] = False,
    steps: Annotated[
        str,
        Option(
            help="Saved steps: all, every:N, log:N, near:S, A-B or S, joined by commas. every, log and near take the "
            "nearest saved ones."
        ),
    ] = "all",
    slow_steps: Annotated[str, Option(help="Saved steps for the slow probes of `all`.")] = "log:8",
    out: Annotated[
        Path | None, Option(help="Folder for tables and summary (default: figures/<run>/measure/).")
    ] = None,
    jobs: Annotated[
        int, Option(help="Processes; -1 for one a core. More than one pays for minutes of work.")
    ] = 1,
    device: Annotated[str, Option(help="Where probes compute: auto, cpu, cuda or mps.")] = "auto",
    keep_going: Annotated[
        bool,
        Option(
            "--keep-going", help="Go on past damaged checkpoints and failing probes; summary.json lists them."
        ),
    ] = False,
    cache: Annotated[
        bool,
        Option(
            help="Reuse, and keep for later calls, what was measured: in <run>/measures/; of checkpoints opened in "
            "place, in the user's cache folder."
        ),
    ] = True,
    drop_downloads: Annotated[
        bool,
        Option(
            "--drop-downloads",
            help="Of hf://org/name: delete the weights of a step once it was measured; those that were there stay.",
        ),
    ] = False,
    *,
    stated: dict[str, Any],
) -> None:
    """Apply probes to the checkpoints of a run: one CSV table a probe, and summary.json.

    A second call computes only what is missing. Slow probes run at --slow-steps only.

    Examples: interp measure checkpoints/mainline --probes losses,weight_norms --steps every:1000

    interp measure checkpoints/mainline --probe my_probes.py:largest_share
    """
    import typer

    if list_probes:
        _print_probes()
        return
    if run is None:
        raise typer.BadParameter("needs a RUN (or --list).")

    from functools import partial

    from interp.measurement.measure import measure as measure_run
    from interp.measurement.probe_files import probes_of_files
    from interp.measurement.steps import select_steps
    from interp.networks.devices import named_device
    from interp.sources.opening import open_stated
    from interp.tables.folder import write_tables

    own = probes_of_files(probe or [])
    opened = open_stated(run, stated, drop_downloads=drop_downloads)
    options: dict[str, Any] = {
        "n_jobs": jobs,
        "device": named_device(device),
        "cache": cache,
        "on_error": "skip" if keep_going else "raise",
    }
    chosen, slow = _asked(probes, own)
    groups = [(chosen, select_steps(opened, steps))]
    if slow:
        groups.append((slow, select_steps(opened, slow_steps)))

    frequencies: list[int] | None = None
    if "progress_measures" in chosen and opened.config.task is not None:
        from interp.probes import progress_measures
        from interp.tables.key_frequencies import run_key_frequencies

        # One key set for all steps, from the whole run, whatever steps are asked for now.
        with _errors_at_this_door():
            first = measure_run(opened, ["losses", "logit_spectrum"], **options)
        if len(first["logit_spectrum"]):
            frequencies = run_key_frequencies(first)
            chosen["progress_measures"] = partial(progress_measures, frequencies=frequencies)

    tables: dict[str, pd.DataFrame] = {}
    with _errors_at_this_door():
        for group, at in groups:
            tables |= measure_run(opened, group, at, **options)
    folder = out or Path("figures") / opened.name / "measure"
    summary = _summary(opened, tables, frequencies, options) | {"stated": typed(stated)}
    # A table without rows is left out; the summary says why.
    write_tables(folder, {k: t for k, t in tables.items() if len(t)}, summary, file="summary.json")
    for line in _left_out(tables, {name: len(at) for group, at in groups for name in group}):
        say(line)
    filled = [table for table in tables.values() if len(table)]
    n_steps = len({step for table in filled for step in table["step"].unique()})
    written = f"{number_of(len(filled), 'table')} over {number_of(n_steps, 'checkpoint')}"
    say(f"{folder}: {written}, summary.json")


@contextmanager
def _errors_at_this_door() -> Iterator[None]:
    """Errors of `interp.measure` with what is typed here in place of its arguments."""
    from interp.measurement.stream import MeasureError

    try:
        with errors_as_typed({"n_jobs": "--jobs"}):
            yield
    except MeasureError as error:
        to_go_on = error.to_go_on and "To go on past it use --keep-going."
        raise MeasureError(error.failed, error.kept, to_go_on) from error


def _asked(probes: str | None, own: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The probes that --probes and --probe name, and those among them that are slow and have steps of their own.

    Raises:
        ValueError: if two have one name.
    """
    from interp.measurement.standard import SLOW, STANDARD

    if probes is None:
        probes = "" if own else "standard"
    sets = {"standard": STANDARD, "all": STANDARD + SLOW}
    names = sets.get(probes, tuple(name for part in probes.split(",") if (name := part.strip())))
    if both := own.keys() & set(names):
        raise ValueError(
            f"--probe needs a name that no probe of --probes has, got {both.pop()!r}. Rename the function."
        )
    slow = {name: name for name in names if name in SLOW and probes == "all"}
    return {name: name for name in names if name not in slow} | own, slow


def _print_probes() -> None:
    """Every probe with the first line of its docstring."""
    from interp import probes
    from interp.commands.info import print_lines

    print_lines({name: (probes.named(name).__doc__ or "").partition("\n")[0] for name in probes.available()})


def _left_out(tables: "dict[str, pd.DataFrame]", n_steps: dict[str, int]) -> list[str]:
    """What was not measured and why, each reason once, however many probes and steps it concerns; what has no rows."""
    by_reason: dict[str, list[str]] = {}
    failures: dict[str, int] = {}
    empty: dict[int, list[str]] = {}
    for name, table in tables.items():
        failed = table.attrs.get("failed", {})
        if reason := table.attrs.get("not_applicable"):
            by_reason.setdefault(reason, []).append(name)
        elif not len(table) and n_steps[name] > len(failed):
            empty.setdefault(n_steps[name] - len(failed), []).append(name)
        for message in failed.values():
            failures[message] = failures.get(message, 0) + 1
    lines = [
        f"{', '.join(names)}: {'does' if len(names) == 1 else 'do'} not apply. {reason}"
        for reason, names in by_reason.items()
    ]
    lines += [f"{', '.join(names)}: no rows at {number_of(n, 'checkpoint')}." for n, names in empty.items()]
    return lines + [f"{text}{f' ({n} probes)' if n > 1 else ''}" for text, n in failures.items()]


def _summary(
    run: "Run", tables: "dict[str, pd.DataFrame]", frequencies: list[int] | None, options: dict[str, Any]
) -> dict[str, Any]:
    """What was measured, with which settings, and when the run's phases began."""
    import dataclasses

    import torch

    from interp.ground.provenance import versions
    from interp.runs.config import config_to_json
    from interp.tables.phases import can_tell, phases

    answers = {"history": run.history(), **tables}
    found = phases(answers) if can_tell(answers) else {}
    return {
        "run": run.name,
        "config": config_to_json(run.config),
        "unit": run.unit,
        "device": options["device"],
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "key_frequencies": frequencies,
        "phases": {name: dataclasses.asdict(phase) for name, phase in found.items()},
        "probes": {
            name: {
                "rows": len(table),
                "steps": sorted(int(step) for step in table["step"].unique()),
                **table.attrs,
            }
            for name, table in tables.items()
        },
    }

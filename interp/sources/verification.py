"""Are foreign checkpoints the steps that they claim to be? Read as an import reads them, and nothing is written."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from interp.findings import Report
from interp.series import SeriesCheck
from interp.sources import huggingface
from interp.sources.reading import SourceError, SourceWarning
from interp.sources.states import Skipped, State, states_in
from interp.sources.steps import Position
from interp.tensor_files import RunError


def verify_source(source: Path) -> Report:
    """What is wrong with a file or folder of foreign checkpoints, by the checks of `interp.series` alone.

    Its recorded losses are checked once it is imported: that needs to know the network and the task. Files that cannot
    be read are problems, and the others are checked all the same.

    Raises:
        SourceError: if nothing with weights is found.
    """
    if huggingface.is_hub_name(str(source)):
        source = huggingface.download(str(source))
    source = Path(source).expanduser().resolve()
    if not source.exists():
        raise RunError(f"There is nothing at {source}. Name a run, or a file or folder of checkpoints.")
    report = Report(source, "checkpoints")
    series: SeriesCheck | None = None
    unit: str | None = None
    for position, tensors, where in _foreign(source, report):
        if position is None:
            report.say("note", "order", where, f"{where} does not say of which step it is: left out")
            continue
        if unit is None or unit == "any":
            unit = position.unit
        elif position.unit not in ("any", unit):
            text = f"{where} counts {position.unit}s ({position.step}), those before it {unit}s: left out"
            report.say("problem", "order", where, text, position.step)
            continue
        series = series or SeriesCheck()
        series.unit = "step" if unit == "any" else unit
        series.add(position.step, tensors)
    if series:
        report.n_steps = len(series.checksums)
        report.findings += series.findings()
    return report


def _foreign(
    source: Path, report: Report
) -> Iterator[tuple[Position | None, Mapping[str, torch.Tensor], str]]:
    hub = huggingface.find_series(source)
    if hub:
        report.format = "huggingface"
        for position, folder in hub.items():
            try:
                tensors = huggingface.read_weights(folder)
            except SourceError as error:
                name = folder.relative_to(source).as_posix()
                report.say("problem", "unreadable", name, str(error), position.step)
                continue
            yield position, tensors, str(folder)
        return
    skipped = Skipped()
    positions, last = [], None
    for state in _quietly(source, skipped):
        if (
            last
            and last.path == state.path
            and last.position
            and state.position
            and state.position < last.position
        ):
            text = (
                f"{state.where} is of {state.position.unit} {state.position.step}, after {last.position.step}"
            )
            report.say("problem", "order", state.path.name, text, state.position.step)
        positions.append(state.position or Position(-1, "any"))
        last = State(state.position, {}, state.path, state.where)
    for name, why in skipped.unreadable.items():
        report.say("problem", "unreadable", name, why)
    # Names come in their own order: "final" before "100". Few are held back, and those are mapped, not read.
    turn = {i: n for n, i in enumerate(sorted(range(len(positions)), key=lambda i: positions[i].step))}
    waiting, n_done = {}, 0
    for i, state in enumerate(_quietly(source, Skipped())):
        waiting[turn[i]] = state
        while n_done in waiting:
            state = waiting.pop(n_done)
            yield state.position, state.tensors, state.where
            n_done += 1


def _quietly(source: Path, skipped: Skipped) -> Iterator[State]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SourceWarning)  # said in the report
        yield from states_in(source, skipped)

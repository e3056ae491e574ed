"""Are foreign checkpoints the steps that they claim to be? Read as an import reads them, and nothing is written."""

import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from interp.checks.findings import Report
from interp.checks.recorded_losses import RecordedLossCheck
from interp.checks.series import SeriesCheck
from interp.ground.evenly import spread
from interp.ground.plain_text import several
from interp.sources import formats
from interp.sources.files.places import Place, places_in
from interp.sources.files.reading import SourceError, SourceWarning
from interp.sources.files.states import Reader, Skipped, states_in
from interp.sources.files.steps import Position
from interp.sources.files.wrapping import State
from interp.sources.formats.format import Found, WholeSource
from interp.sources.opening import open_source
from interp.sources.recognition import beside, is_known, located, recognized, stated_format
from interp.sources.records.splits import split_files


def verify_source(source: Path, *, losses: int = 12, stated: Mapping[str, Any] | None = None) -> Report:
    """What is wrong with a file or folder of foreign checkpoints.

    Files that cannot be read are problems, and the others are checked all the same. Recorded losses are compared where
    the folder can be opened as a run whose task and split are known.

    Args:
        losses: number of checkpoints, spread evenly, whose losses are recomputed and compared with recorded ones.
        stated: arguments of `interp.open_run` that say what the source does not.

    Raises:
        SourceError: if there is nothing, or nothing with weights is found.
    """
    source = located(source)
    report = Report(source, "checkpoints")
    series: SeriesCheck | None = None
    unit: str | None = None
    alone: tuple[Mapping[str, torch.Tensor], Collection[str]] | None = None
    without_step: list[str] = []
    for position, tensors, where, buffers in _foreign(source, report, stated or {}):
        if position is None:
            without_step.append(where)
            alone = (tensors, buffers) if len(without_step) == 1 else None
            continue
        if unit is None or unit == "any":
            unit = position.unit
        elif position.unit not in ("any", unit):
            before = f"those before it {several(unit)}: left out"
            text = f"{where} counts {several(position.unit)} ({position.step}), {before}"
            report.say("problem", "order", where, text, position.step)
            continue
        series = series or SeriesCheck()
        series.unit = "step" if unit == "any" else unit
        series.add(position.step, tensors, buffers)
    if series is None and alone:
        # The only network that there is needs no step to be checked.
        series = SeriesCheck()
        series.add(0, *alone)
        without_step.clear()
    for where in without_step:
        report.say("note", "order", where, f"{where} does not say of which step it is: left out")
    if series:
        report.n_steps = len(series.checksums)
        report.findings += series.findings()
    if losses and series:
        _check_losses(source, losses, report, stated or {})
    return report


def _check_losses(source: Path, n: int, report: Report, stated: Mapping[str, Any]) -> None:
    def without(why: str) -> None:
        report.say("note", "recorded loss", "", f"recorded losses are not compared: {why}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SourceWarning)  # said in the report, or no matter of this check
        try:
            run = open_source(source, **stated)
        except ValueError as error:
            without(str(error).partition("\n")[0])
            return
        if run.source_history is None:
            return
        if run.config.task is None:
            how = (run.record.source or {})["task"]
            without(f"the task is not known ({how['none']})")
        elif run.task.is_train is None:
            without("the train/test split is not known")
        else:
            check = RecordedLossCheck(run)
            try:
                for step in spread(run.steps, n):
                    check.add(step, run.step_weights(step))
            except SourceError as error:  # of a later checkpoint
                without(str(error))
                return
            found, report.losses = check.findings()
            report.findings += found


def _foreign(
    source: Path, report: Report, stated: Mapping[str, Any]
) -> Iterator[tuple[Position | None, Mapping[str, torch.Tensor], str, Collection[str]]]:
    """Position, tensors, place in words and names of buffers of every state, by position."""
    for format in formats.FORMATS:
        whole = format.whole_source
        if whole and (series := whole.series(source)):
            report.format = format.name
            for folder in _of_series(source, series, whole, report):
                yield *folder, ()
            return
    skipped = Skipped()
    found: list[tuple[Position | None, Place]] = []
    for state in _quietly(source, skipped):
        at, last = state.position, found[-1] if found else None
        if last and last[1].files == state.place.files and at and last[0] and at < last[0]:
            text = f"{state.where} is of {at.unit} {at.step}, after {last[0].step}"
            report.say("problem", "order", state.path.name, text, at.step)
        found.append((at, state.place))
    for name, why in skipped.unreadable.items():
        report.say("problem", "unreadable", name, why)
    # Names come in their own order: "final" before "100".
    again, buffers = Reader(), _Buffers(source, stated)
    for at, place in sorted(found, key=lambda entry: entry[0].step if entry[0] else -1):
        state = again(place)
        yield at, state.tensors, place.where, buffers.of(state)


class _Buffers:
    """Which tensors of a state its format takes for buffers; asked once for all states of the same names and shapes."""

    def __init__(self, source: Path, stated: Mapping[str, Any]):
        self.format = stated_format(stated.get("format", "auto"))
        self.json, self.model = beside(source, self.format).json, stated.get("model", {})
        self.known: dict[frozenset, Collection[str]] = {}

    def of(self, state: State) -> Collection[str]:
        layout = frozenset((name, tuple(t.shape)) for name, t in state.tensors.items())
        if layout not in self.known:
            self.known[layout] = self._asked(Found(state.tensors, state.where, beside=self.json))
        return self.known[layout]

    def _asked(self, found: Found) -> Collection[str]:
        try:
            return recognized(found, self.format).network(found, self.model).dropped
        except SourceError:  # of no known format, every tensor counts as a weight
            return ()


def _of_series(
    source: Path, series: Mapping[Position, Path], whole: WholeSource, report: Report
) -> Iterator[tuple[Position, Mapping[str, torch.Tensor], str]]:
    for position, folder in series.items():
        try:
            tensors = whole.weights(folder)
        except SourceError as error:
            name = folder.relative_to(source).as_posix()
            report.say("problem", "unreadable", name, str(error), position.step)
            continue
        yield position, tensors, str(folder)


def _quietly(source: Path, skipped: Skipped) -> Iterator[State]:
    there = beside(source, None)
    # A file given by itself cannot be left out: one that is damaged would end all.
    whole, source = source, there.checkpoints if there.checkpoints.is_dir() else source
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SourceWarning)  # said in the report
        yield from states_in(
            source,
            skipped,
            places_in(source, split_files(whole).files),
            knows=lambda state: is_known(Found(state.tensors, state.where, beside=there.json), None),
        )

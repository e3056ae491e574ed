"""A picture of a run as files: tables, figure, caption, and what they are of.

    figures/<run>/figure/<name>/<table>.csv      the tables
    figures/<run>/figure/<name>/about.json       run, config, versions, command, and what the tables were made from
    figures/<run>/figure/<name>/<name>.pdf, ...
    figures/<run>/figure/<name>/summary.json     what about.json says, with preset, caption and how the run ended

Tables that are there are drawn as they are, without torch, as long as neither the run's checkpoints, nor what was asked
of them, nor this package has changed since; where that is not certain they are computed. What was measured on the way
is kept in the run, so that this is quick too.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from interp.analyses import frame, kept_tables
from interp.analyses.places import run_path
from interp.figures import presets, style
from interp.ground.plain_text import number_of
from interp.ground.provenance import versions
from interp.tables.folder import Tables, clean, read_about, read_tables, write_about, write_tables
from interp.tables.outcome import outcome
from interp.views.pictures import named
from interp.views.pictures.captions import full_caption, unit_of
from interp.views.pictures.picture import Picture

PACKAGE = Path(__file__).parents[2]
# What a run's tables depend on: its config, the checksums of its checkpoints, and what the trainer recorded.
OF_A_RUN = ("run.json", "index.json", "history.parquet", "task.safetensors")
# The same of a sweep's tables, in a folder of which nothing else is read but `measured/`.
OF_A_SWEEP = ("runs.parquet", "histories.parquet", "sweep.json")


@dataclass(frozen=True, eq=False, kw_only=True)
class Made:
    """A picture that was drawn.

    Attributes:
        name: of the picture.
        folder: where its files lie.
        files: the figure's.
        n_tables: how many it was drawn from.
        caption: with run and checkpoints.
        was_kept: whether the tables were there already.
        said: how the run ended, and what does not apply.
    """

    name: str
    folder: Path
    files: list[Path]
    n_tables: int
    caption: str
    was_kept: bool
    said: tuple[str, ...]

    @property
    def written(self) -> str:
        """One line: which files, and from what."""
        endings = ", ".join(file.suffix for file in self.files)
        first = self.folder / f"{self.name}"
        source = "drawn from the tables there" if self.was_kept else number_of(self.n_tables, "table")
        return f"{first}{endings}, summary.json; {source}"


def make(
    name: str,
    run: str | None,
    out: Path | None = None,
    *,
    step: int | None = None,
    preset: str = presets.DEFAULT,
    formats: Sequence[str] = ("pdf", "png"),
    draw_only: bool = False,
    device: str = "auto",
    program: str = "interp figure",
    stated: Mapping[str, Any] | None = None,
    others: Sequence[str] = (),
) -> Made:
    """Compute a picture's tables unless they are there, draw it and write its files.

    Args:
        run: None for the bundled one; of a picture of many runs a sweep or a folder of runs.
        out: None for figures/<run>/figure/<name>/, of a step that is named <name>-step-<step>/.
        step: of a picture of one checkpoint; None for the last.
        preset: of `interp.figures.presets`: width, fonts and line widths of where the figure goes.
        draw_only: draw from the tables that are there, whatever became of the run.
        program, stated, others: as `interp.analyses.frame.answer`.

    Raises:
        ValueError: if there is no such picture, run, step or preset, or there is nothing to see.
    """
    picture, stated = named(name), stated or {}
    style.checked_formats(formats)
    presets.named(preset)
    if step is not None and not picture.is_of_step:
        raise ValueError(
            f"{name} shows all checkpoints of a run and takes no --step, got {step}. Leave it out."
        )
    analysis = asked(name, picture, step)
    frame.check_asked(analysis, stated, others)
    if out is None:
        out = frame.folder_of(
            analysis, run, others, "figure", name if step is None else f"{name}-step-{step}"
        )
    key = (
        None if draw_only else made_from(name, picture, run, others, step=step, device=device, stated=stated)
    )
    was_kept = draw_only or (key is not None and (read_about(out) or {}).get("made_from") == key)
    if draw_only:
        tables, about = kept_tables.kept(out, program, stated)
        if (other := about.get("figure")) != name:
            raise ValueError(
                f"{out} holds the tables of {other or 'an analysis'}, not of {name}. Name that, or another folder."
            )
        if step is not None and about["step"] != step:
            raise ValueError(
                f"{out} holds the tables of step {about['step']}, not of step {step}. Name that, or another folder, or "
                "draw without --draw-only."
            )
    elif was_kept:
        tables, about = read_tables(out)
    else:
        tables, about = frame.computed(analysis, run, others, device=device, program=program, stated=stated)
        about |= {"figure": name, "is_of_step": picture.is_of_step, "made_from": key}
        about |= {} if step is None else {"step": step}
        check_seen(name, picture, tables, about)
        write_tables(out, tables, about)
    return _written(name, picture, tables, about, out, preset, formats, was_kept)


def tables_of(run: str | None, name: str, *, step: int | None = None, device: str = "auto") -> Tables:
    """The tables of a picture of a run, with nothing written but what is kept in the run.

    Args:
        run: a path; None for the bundled run.

    Raises:
        ValueError: as `make`.
    """
    picture = named(name)
    analysis = asked(name, picture, step)
    tables, about = frame.computed(analysis, run, device=device, program="interp figure", stated={})
    check_seen(name, picture, tables, about)
    return tables


def asked(name: str, picture: Picture, step: int | None) -> frame.Analysis:
    """A picture as the frame of analyses takes it."""

    def compute(run: Any, device: str) -> Tables:
        if not picture.is_of_step:
            return picture.compute(run, device)
        from interp.measurement.steps import select_steps

        (chosen,) = select_steps(run, [run.steps[-1] if step is None else step])
        return picture.compute(run, device, chosen)

    return frame.Analysis(name, compute, picture.draw, lambda tables: {}, subject=picture.subject)


def check_seen(name: str, picture: Picture, tables: Tables, about: Mapping[str, Any]) -> None:
    """Refuse a picture in which there would be nothing but words.

    Raises:
        ValueError: with the reason why the probes do not apply.
    """
    if not picture.needs or any(len(tables.get(table, ())) for table in picture.needs):
        return
    reasons = " ".join(kept_tables.reasons_in(tables)) or f"its table {picture.needs[0]} has no rows."
    raise ValueError(
        f"{name} shows nothing of run {about['run']!r}: {reasons.rstrip('.')}. `interp figure --list` says what there "
        "is to see."
    )


def drawn(picture: Picture, tables: Tables, about: Mapping[str, Any]) -> Figure:
    """The figure, in the preset in use; what has not generalised says so below it.

    Args:
        about: of which `unit` matters, what the run's checkpoints count.
    """
    figure = picture.draw(tables)
    # Where nothing says whether it has, as of language models, the caption is the place for it.
    if picture.subject is None and (ended := outcome(tables)).generalised is False:
        style.note_below(figure, [ended.said])
    style.name_unit(figure, unit_of(picture, about))
    return figure


def _written(
    name: str,
    picture: Picture,
    tables: Tables,
    about: dict[str, Any],
    out: Path,
    preset: str,
    formats: Sequence[str],
    was_kept: bool,
) -> Made:
    try:
        with style.using(preset):
            caption, figure = full_caption(picture, tables, about), drawn(picture, tables, about)
            files = style.save_figure(figure, out / name, formats)
    except KeyError as error:
        if not was_kept:
            raise
        raise ValueError(
            f"The tables in {out} have no {error}: another version wrote them. Leave out --draw-only."
        ) from error
    said = () if picture.subject is not None else (outcome(tables).said,)
    summary: dict[str, Any] = {"preset": preset, "caption": caption, "formats": list(formats)}
    if picture.subject is None:
        summary["outcome"] = outcome(tables).summary()
    write_about(out, {**about, **summary}, file="summary.json")
    return Made(
        name=name, folder=out, files=files, n_tables=len(tables), caption=caption, was_kept=was_kept,
        said=(*said, *kept_tables.reasons_in(tables)),
    )  # fmt: skip


def made_from(
    name: str,
    picture: Picture,
    run: str | None,
    others: Sequence[str],
    *,
    step: int | None,
    device: str,
    stated: Mapping[str, Any],
) -> str | None:
    """A hash of all that decides a picture's tables; None where files that are quickly read do not say it all.

    Those of a run are what `interp.measurement.cache` goes by: its config and the checksums in its index. Of someone
    else's checkpoints, a store, or a folder of runs there is no such index.
    """
    bundled = frame.BUNDLED_RUN if picture.subject is None else picture.subject.bundled
    path = run_path(run, "A figure", bundled)
    if others or not path.is_dir():
        return None
    if picture.subject is None:
        files, n_needed = list(OF_A_RUN), 2
    else:
        files, n_needed = list(OF_A_SWEEP), len(OF_A_SWEEP)
    if not all((path / file).is_file() for file in files[:n_needed]):
        return None
    found = [path / file for file in files] + sorted((path / "measured").glob("*.parquet"))
    found += picture.reads(path) if picture.reads is not None else []
    asked_for = {
        "figure": name,
        "step": step,
        "device": device,
        "stated": clean(stated),
        "versions": versions(),
    }
    hashed = hashlib.sha256(json.dumps(asked_for, sort_keys=True, default=str).encode())
    for file in [*found, *sorted(PACKAGE.rglob("*.py"))]:
        if file.is_file():
            hashed.update(f"\0{file.name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return hashed.hexdigest()

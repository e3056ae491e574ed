"""A source becomes a run: opened, then copied a checkpoint at a time into a directory beside the destination.

That directory is renamed at the end. On any failure nothing stays and the source is as it was: it is opened for
reading only. What an import that was killed left there, the next one beside it removes.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.ground.progress_bar import counted
from interp.ground.workshops import workshop
from interp.runs.run import Run, open_run
from interp.runs.saving import (
    check_unused,
    create_run,
    put_in_place,
    save_checkpoints,
    save_history,
    save_recorded,
    update_record,
)
from interp.sources.files.reading import SourceError
from interp.sources.opened import OpenedRun
from interp.sources.opening import open_source
from interp.sources.recognition import located, opened_as_whole
from interp.sources.survey import Adapter
from interp.tasks.task import TaskConfig

if TYPE_CHECKING:
    import pandas as pd


def import_run(
    source: str | os.PathLike,
    dest: str | os.PathLike,
    *,
    format: str = "auto",
    task: TaskConfig | Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    train_indices: Iterable[int] | None = None,
    adapter: Adapter | None = None,
    unit: str | None = None,
    history: "pd.DataFrame | None" = None,
    override_split: bool = False,
) -> Run:
    """The run made of someone else's checkpoints: the same store, the same probes and analyses.

    What the source does not say and nobody states is left open (`config.task` None, split "unknown", optimizer None),
    or, where a network could not be built without it, assumed, warned of and recorded in run.json under "source".
    Recorded losses become the run's history as they are.

    Args:
        source: a file or folder of checkpoints, or hf://org/name of the hub; only read.
        dest: a new or empty directory.
        format: a name of `interp import --list`, or "auto".
        task: what was learned: a task's config, or some of its fields by name; fields that the source shows need not
            be given.
        model: fields of the `ModelConfig` that tensors cannot show (act_fn, normalization_type, n_heads of a bridge).
        train_indices: the train rows, as numbers a * p + b.
        adapter: for formats that nobody knows: a function of a file's path that returns (step, weights, config), or
            None for a file without weights. Weights have the names and orientations of `interp.networks.config`.
        unit: what steps count, for adapters and where the source's own unit is wrong.
        history: recorded losses with the columns of `Run.history()`, for adapters.
        override_split: whether a stated split counts where the source lists other train rows, which is an error
            otherwise.

    Raises:
        SourceError: if the source is not there, holds nothing that is known, is unsafe, damaged or inconsistent.
        RunError: if the destination holds something.
        ValueError: if a stated field is wrong, or does not fit the network.
    """
    source, dest = located(source), Path(dest).expanduser().resolve()
    if source.is_dir() and dest.is_relative_to(source.resolve()):
        raise SourceError(
            f"{dest} lies inside the source {source}, which is never written to. Name another place."
        )
    if (source / "run.json").is_file():
        raise SourceError(
            f"{source} is a run already: open it with interp.open_run, or `interp info {source}`."
        )
    check_unused(dest)
    opened = open_source(
        source, format=format, task=task, model=model, train_indices=train_indices, adapter=adapter, unit=unit,
        history=history, override_split=override_split,
    )  # fmt: skip
    with workshop(dest) as folder:
        _copy(opened, folder / dest.name)
        put_in_place(folder / dest.name, dest)
    return open_run(dest)


def _copy(opened: OpenedRun, path: Path) -> None:
    record = replace(opened.record, status="imported")
    run = create_run(path, opened.config, record, opened.task if opened.config.task else None)
    if (whole := opened_as_whole(opened)) is not None:
        whole.save(opened, run)
    else:
        steps = counted(opened.steps, len(opened.steps), f"import {opened.name}")
        save_checkpoints(run, ((step, opened.step_weights(step)) for step in steps))
        bad = [{"what": opened.places[s].where, "tensors": n} for s, n in opened.not_finite.items()]
        update_record(run, replace(record, source={**(record.source or {}), "not_finite": bad}))
    # Not by their methods: those load pandas even where nothing was recorded.
    history, recorded = opened.source_history, opened.source_recorded
    if history is not None and len(history):
        save_history(run, history)
    if recorded is not None and len(recorded):
        save_recorded(run, recorded)

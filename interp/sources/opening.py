"""A source is opened: which steps it holds and where, of which network they are, what was learned and recorded.

Every file is looked into once, without reading its tensors where the file can be mapped. Weights are read again, and
converted, when a step is asked for; each is checked then to be of the same network.
"""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.ground.stated_options import check_no_run, stated_arguments
from interp.networks.answers import path_for
from interp.networks.config import ModelConfig
from interp.runs.beginnings import is_beginning
from interp.runs.record import RunRecord
from interp.runs.run import HISTORY_COLUMNS, Run
from interp.runs.run import open_run as open_own_run
from interp.runs.tensor_files import RunError
from interp.sources.files.reading import warn
from interp.sources.learned import find_task
from interp.sources.opened import NO_CONFIG, OpenedRun
from interp.sources.placed import Placed
from interp.sources.recognition import located, opened_remote, opened_whole, stated_format
from interp.sources.records.logs import learn_logs
from interp.sources.records.recorded import jsonable
from interp.sources.records.splits import split_files
from interp.sources.statements import stated_model, stated_rows, stated_task
from interp.sources.survey import Adapted, Adapter, Surveyed
from interp.tasks.task import TaskConfig

if TYPE_CHECKING:
    import pandas as pd


def open_run(
    path: str | os.PathLike,
    *,
    format: str = "auto",
    task: TaskConfig | Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    train_indices: Iterable[int] | None = None,
    adapter: Adapter | None = None,
    unit: str | None = None,
    history: "pd.DataFrame | None" = None,
    override_split: bool = False,
    drop_downloads: bool = False,
) -> Run:
    """The run in a directory, or a file or folder of someone else's checkpoints as a run, in place.

    Of a run nothing but run.json is read. Of anything else every file is looked into, and weights are read and
    converted when they are asked for: nothing is copied, nothing is written beside it. `interp.import_run` makes a run
    of it that stands by itself, holds checksums and loads faster.

    Args:
        path: a run, a file or folder of checkpoints, or hf://org/name of the hub.
        format, task, model, train_indices, adapter, unit, history, override_split: for someone else's checkpoints, as
            `import_run`.
        drop_downloads: of hf://org/name, delete the weights of a step once it was measured; those that were in the
            hub's cache before stay.

    Raises:
        RunError: if there is nothing, or a run's run.json is damaged or of a newer format.
        SourceError: (a RunError) if it is no run and holds nothing that is known, is unsafe, damaged or inconsistent.
        ValueError: if something is stated of a run, which says it all itself, or a stated field is wrong.
    """
    stated: dict[str, Any] = {
        "format": None if format == "auto" else format, "task": task, "model": model, "train_indices": train_indices,
        "adapter": adapter, "unit": unit, "history": history,
        "override_split": override_split or None,
    }  # fmt: skip
    stated = {name: value for name, value in stated.items() if value is not None}
    place = Path(path).expanduser()
    if drop_downloads and not str(path).startswith("hf:"):
        raise ValueError(
            f"drop_downloads (--drop-downloads) needs a repository of the hub, hf://org/name, got {path}. Nothing of "
            "what lies on this disk is deleted: leave it out."
        )
    if is_beginning(place):
        # Which refuses it, and says why.
        return open_own_run(place)
    if (place / "run.json").is_file():
        if stated:
            raise ValueError(
                f"{path} is a run, which says itself what it is: open it without {', '.join(stated)}."
            )
        return open_own_run(place)
    if (place / "index.json").is_file() and (place / "steps").is_dir():
        raise RunError(f"{place} is a run whose run.json is missing. Restore it from a copy.")
    try:
        return open_source(path, **stated, drop_downloads=drop_downloads)
    except (ValueError, OSError):
        # A trainer of ours may have begun there meanwhile, and its first files been taken for someone's.
        if stated or not (is_beginning(place) or (place / "run.json").is_file()):
            raise
        return open_own_run(place)


def open_stated(path: str | os.PathLike, options: Mapping[str, Any], *, drop_downloads: bool = False) -> Run:
    """`open_run` with what was stated on a command line, by the names of `interp.ground.stated_options`.

    Raises:
        ValueError: as `open_run`; of a run, naming the options.
    """
    check_no_run(path, (Path(path).expanduser() / "run.json").is_file(), options)
    return open_run(path, **stated_arguments(options), drop_downloads=drop_downloads)


def open_source(
    source: str | os.PathLike,
    *,
    format: str = "auto",
    task: TaskConfig | Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    train_indices: Iterable[int] | None = None,
    adapter: Adapter | None = None,
    unit: str | None = None,
    history: "pd.DataFrame | None" = None,
    override_split: bool = False,
    drop_downloads: bool = False,
) -> OpenedRun:
    """A file or folder of someone else's checkpoints as a run, in place. Arguments and errors as `open_run`."""
    fields, rows = stated_task(task, train_indices), stated_rows(train_indices)
    stated = stated_format(format)
    whole = None if adapter else opened_remote(str(source), stated, drop_downloads)
    origin = Path(source) if whole is not None else located(source)
    if whole is None and not adapter:
        whole = opened_whole(origin, stated)
    if whole is not None:
        said = {"task": task, "model": model, "train_indices": rows, "unit": unit, "history": history}
        if unused := [name for name, value in said.items() if value is not None]:
            raise ValueError(
                f"{source} is a series of language models: its files say what their network is, and no task on "
                f"residues is theirs. Leave out {', '.join(unused)}."
            )
        return whole
    shape, splits = stated_model(model), split_files(origin)
    if adapter:
        found: Adapted | Surveyed = Adapted(origin, adapter, splits)
    else:
        found = Surveyed(origin, stated, shape, fields, splits)
    placed = Placed(origin)
    for position, place in found.survey():
        placed.add(position, place)
    config = found.network_config()
    places = placed.result(found.read)
    _warn_of_assumptions(found.facts["assumed"])
    record = RunRecord(
        status="opened in place", unit=unit or ("step" if placed.unit == "any" else placed.unit)
    )
    run = OpenedRun(origin, record, dataclasses.replace(NO_CONFIG, model=config), places, found.read)

    recorded = found.recorded
    learn_logs(origin, unit or placed.unit, recorded, next(iter(places.values())).files[0])
    recorded.list_rows(splits.listed)
    for why in splits.unreadable.values():
        warn(f"Not taken as the split: {why}")
    learned, how = find_task(
        run, config, found.shown_task, fields, recorded, found.format, rows, override_split
    )
    if learned is None:
        warn(f"No task: {how['none'].rstrip('.')}. Probes of task inputs need one: state --task and --p.")
    if history is None:
        history = recorded.history()
    else:
        _check_history(history)
    if recorded.unplaced:
        warn(f"Recorded, but left out since their steps are not known: {', '.join(recorded.unplaced)}.")
    run.config = dataclasses.replace(run.config, task=learned.config if learned else None)
    has_history = history is not None and len(history) > 0
    run.record = dataclasses.replace(
        record,
        forward_path=path_for(config),
        history_is="recorded by the source, not recomputed" if has_history else None,
        source=_record_of(origin, found, placed, how),
    )
    run.describe(learned, history, recorded.others())
    return run


def _record_of(
    source: Path, found: Adapted | Surveyed, placed: Placed, how: Mapping[str, str]
) -> dict[str, Any]:
    """What run.json says of where a run came from and how each part of it was found."""
    return {
        "path": str(source),
        "format": found.format_name,
        **found.facts,
        **placed.facts,
        "task": how,
        **_of_losses(found),
        "unreadable": found.skipped.unreadable,
        "without_weights": len(found.skipped.without_weights),
        "logs": found.recorded.logs,
        "recorded": found.recorded.other_names(),
        "in_percent": found.recorded.percent,
        "config": jsonable(found.recorded.config),
    }


def _of_losses(found: Adapted | Surveyed) -> dict[str, str]:
    """What the recorded losses are, where the format says that they are not those of the answers."""
    losses_are = found.format.losses_are if found.format else None
    return {"losses_are": losses_are} if losses_are else {}


def _check_history(history: "pd.DataFrame") -> None:
    if missing := set(HISTORY_COLUMNS) - set(getattr(history, "columns", ())):
        raise ValueError(
            f"A history needs the columns of Run.history(), and lacks {', '.join(sorted(missing))}."
        )


def _warn_of_assumptions(assumed: Mapping[str, Any]) -> None:
    if assumed:
        listed = ", ".join(f"{k}={v!r}" for k, v in assumed.items())
        known = {field.name for field in dataclasses.fields(ModelConfig)}
        other = [name.replace("_", " ") for name in assumed if name not in known]
        without = f" No network of this package is without a {other[0]}." if other else ""
        warn(
            f"Tensors do not show {listed}: that is assumed. If it was otherwise, state it: model= (or the options "
            f"--activation, --normalization, --attention).{without}"
        )

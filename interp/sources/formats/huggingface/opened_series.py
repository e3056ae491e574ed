"""A series of Hugging Face checkpoints as a run, in place."""

import warnings
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.ground.plain_text import shown
from interp.ground.progress_bar import counted
from interp.networks.config import Weights
from interp.runs.record import RunRecord
from interp.sources.files import reading, steps
from interp.sources.files.places import Place
from interp.sources.files.reading import SourceError, SourceWarning
from interp.sources.formats.huggingface.folders import read_files, series_and_notes, weight_files
from interp.sources.formats.huggingface.hub import warn_if_relabelled
from interp.sources.opened import NO_CONFIG, OpenedRun
from interp.sources.records.logs import kept_names
from interp.sources.records.recorded import number

if TYPE_CHECKING:
    import pandas as pd

_PASSING = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache", "auto_map")


def open_series(source: Path, only: Collection[str] | None = None) -> OpenedRun | None:
    """A series of Hugging Face checkpoints as a run, in place; None where the source is none.

    Its config is empty (there is no modular task, and no `ModelConfig` describes the network), its `run.model(step)` a
    `TransformerBridge`. What the Trainer logged is in `run.recorded()`: a loss there is the mean since the line before,
    not that of a checkpoint.

    Raises:
        SourceError: if two folders claim one step, a shard is missing, or the checkpoints are of different networks.
    """
    series, notes = series_and_notes(source, only)
    if series is None:
        return None
    for note in notes:
        warnings.warn(note, SourceWarning, stacklevel=3)
    # The hub's cache is named after its repository.
    warn_if_relabelled(source.name.removeprefix("models--").replace("--", "/"))
    first = next(iter(series.values()))
    network = described(first)
    places = {}
    for position, folder in counted(series.items(), len(series), f"look into {source.name}"):
        if (ours := described(folder)) != network:
            field = next(k for k in sorted({*network, *ours}) if network.get(k) != ours.get(k))
            raise SourceError(
                f"{folder} is another network than {first}: {field} is {shown(ours.get(field))} instead of "
                f"{shown(network.get(field))}. Different networks are different runs: import them one by one."
            )
        places[position.step] = Place(tuple(weight_files(folder)), folder.name).found(str(folder))
    about = {
        "format": "huggingface",
        "path": str(source),
        "task": {"none": "a language model has no task on residues"},
        "folders": {str(p.step): folder.relative_to(source).as_posix() for p, folder in series.items()},
    }
    record = RunRecord(status="opened in place", unit=next(iter(series)).unit, source=about)
    run = OpenedRun(source, record, NO_CONFIG, places, read_unchanged, first)
    run.describe(None, None, _logged(list(series.values())))
    return run


def read_unchanged(place: Place) -> Weights:
    """The weights at a place, as its files hold them.

    Raises:
        SourceError: if a file was changed since the source was opened.
    """
    place.check()
    return read_files(place.files)


def described(folder: Path) -> dict[str, Any]:
    """What config.json says of the network."""
    return {k: v for k, v in reading.read_json(folder / "config.json").items() if k not in _PASSING}


def _logged(folders: list[Path]) -> "pd.DataFrame | None":
    """Numbers that the Trainer logged, by step, from the last checkpoint, whose log holds those before it."""
    import pandas as pd

    file = folders[-1] / "trainer_state.json"
    content = reading.read_json(file) if file.is_file() else {}
    lines = content.get("log_history") if isinstance(content, dict) else None
    lines = [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []
    kept = kept_names(lines)
    rows: dict[int, dict[str, float]] = {}
    for line in lines:
        if (step := steps.number(line.get("step"))) is not None:
            numbers = {name: number(line[name]) for name in kept & line.keys() - {"step"}}
            rows.setdefault(step, {"step": step}).update({k: v for k, v in numbers.items() if v is not None})
    if not rows:
        return None
    table = pd.DataFrame([rows[step] for step in sorted(rows)])
    return table[["step", *sorted(set(table.columns) - {"step"})]]

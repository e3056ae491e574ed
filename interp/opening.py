"""A run, or anyone's checkpoints as one: the one door for notebooks, commands and analyses."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp import runs
from interp.runs import Run
from interp.tensor_files import RunError

if TYPE_CHECKING:
    import pandas as pd

    from interp.tasks.modular import ModularConfig


def open_run(
    path: str | os.PathLike,
    *,
    format: str = "auto",
    task: "ModularConfig | Mapping[str, Any] | None" = None,
    model: Mapping[str, Any] | None = None,
    train_indices: Iterable[int] | None = None,
    adapter: Callable | None = None,
    unit: str | None = None,
    history: "pd.DataFrame | None" = None,
) -> Run:
    """The run in a directory, or a file or folder of someone else's checkpoints as a run, in place.

    Of a run nothing but run.json is read. Of anything else every file is looked into, and weights are read and
    converted when they are asked for: nothing is copied, nothing is written beside it. `interp.import_run` makes a run
    of it that stands by itself, holds checksums and loads faster.

    Args:
        path: a run, a file or folder of checkpoints, or hf://org/name of the hub.
        format, task, model, train_indices, adapter, unit, history: for someone else's checkpoints, as `import_run`.

    Raises:
        RunError: if there is nothing, or a run's run.json is damaged or of a newer format.
        SourceError: (a RunError) if it is no run and holds nothing that is known, is unsafe, damaged or inconsistent.
        ValueError: if something is stated of a run, which says it all itself, or a stated field is wrong.
    """
    stated: dict[str, Any] = {
        "format": None if format == "auto" else format, "task": task, "model": model, "train_indices": train_indices,
        "adapter": adapter, "unit": unit, "history": history,
    }  # fmt: skip
    stated = {name: value for name, value in stated.items() if value is not None}
    place = Path(path).expanduser()
    if (place / "run.json").is_file():
        if stated:
            raise ValueError(
                f"{path} is a run, which says itself what it is: open it without {', '.join(stated)}."
            )
        return runs.open_run(place)
    if (place / "index.json").is_file() and (place / "steps").is_dir():
        raise RunError(f"{place} is a run whose run.json is missing. Restore it from a copy.")
    from interp.sources.opening import open_source

    return open_source(path, **stated)

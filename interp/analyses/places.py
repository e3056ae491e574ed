"""Where the runs lie that are asked about, and whose results an output folder holds."""

import os
from collections.abc import Sequence
from pathlib import Path

from interp.tables.folder import read_about

BUNDLED_RUN = Path(__file__).parents[2] / "checkpoints" / "mainline"
# What is asked of language models is asked of this series where nothing is named.
BUNDLED_MODELS = BUNDLED_RUN.with_name("tiny-lm")


def run_path(run: str | None, name: str, bundled: Path = BUNDLED_RUN) -> Path:
    """Where the run lies, absolute; the bundled one if none is named.

    Raises:
        ValueError: if none is named and the bundled one is not there: it comes with the repository alone.
    """
    if run is None and not bundled.exists():
        raise ValueError(
            f"{name} needs a run, got none. The bundled run comes with the repository, not with the installed package. "
            "Name a run, or a file or folder of checkpoints."
        )
    path = Path(bundled if run is None else run)
    # A repository of the hub, or a store, has no place on this disk.
    return (
        path if run and (run.startswith("hf:") or "://" in run) else Path(os.path.abspath(path.expanduser()))
    )


def first_place(run: str | None, path: Path) -> str:
    """What is named first: a URL as it is."""
    return run if run and "://" in run else str(path)


def place_of(run: str | None, path: Path, others: Sequence[str]) -> str:
    """What is asked about, as it is recorded."""
    return " + ".join(
        [first_place(run, path), *(one if "://" in one else os.path.abspath(one) for one in others)]
    )


def check_same_run(out: Path, path: Path | str) -> None:
    """Nothing, if the folder holds no results yet, or those of the run at this path.

    Raises:
        ValueError: if it holds those of another run that has the same name.
    """
    other = (read_about(out) or {}).get("path")
    if other not in (None, str(path)):
        raise ValueError(
            f"{out} holds the results of another run of this name, {other}. Use --out with a new folder."
        )

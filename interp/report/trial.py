"""A trial folder as tables: what was locked, what was trained, what was observed. Never a branch itself.

    <folder>/predictions.json    the lock; without it everything is exploratory
    <folder>/arms.csv, levels.csv, checks.csv, curves.csv, about.json
    <folder>/observed/           tables of the parent run, and about.json

Its JSON files go along as texts in a table `trial`, so that what a page is drawn from is tables alone, and a lock is
checked each time.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from interp.ground.plain_json import json_value
from interp.tables.folder import Tables, read_table, read_tables
from interp.theories.lock import Lock, lock_of

PREDICTIONS, ABOUT, OBSERVED = "predictions.json", "about.json", "observed"
OF_ARMS = ("arms", "levels", "checks", "curves")
FILES = "trial"


def no_trial() -> Tables:
    """The tables of a run on which nothing was tried."""
    return {FILES: pd.DataFrame({"file": pd.Series(dtype=object), "text": pd.Series(dtype=object)})}


def holds_trial(folder: Path) -> bool:
    """Whether a folder is one of a trial: tables of something else may lie under the name of a run, too."""
    return any(
        (folder / name).is_file() for name in (PREDICTIONS, ABOUT, *(f"{name}.csv" for name in OF_ARMS))
    )


def read_trial(folder: Path) -> Tables:
    """The tables of a trial folder: those of its arms that are there, and `trial`, its JSON files.

    Columns of `trial`: file, text.

    Raises:
        ValueError: if the folder holds no trial, its lock was edited, a table that it names is missing, or its tables
            were made of another run or under another lock.
    """
    texts = {
        name: (folder / name).read_text("utf-8") for name in (PREDICTIONS, ABOUT) if (folder / name).is_file()
    }
    there = [name for name in OF_ARMS if (folder / f"{name}.csv").is_file()]
    if not texts and not there:
        raise ValueError(
            f"A report needs a trial folder, got {folder}, which holds neither {PREDICTIONS} nor arms.csv. Make one: "
            "interp predict RUN, then interp battery RUN."
        )
    lock = lock_in(texts, folder)
    about = about_in(texts, folder)
    missing = [name for name in about.get("tables", []) if name in OF_ARMS and name not in there]
    if missing:
        raise ValueError(
            f"{folder / (missing[0] + '.csv')} is missing, which {ABOUT} names. Gather the tables again: interp "
            "battery RUN."
        )
    _check_about(folder, lock, about)
    tables = {name: read_table(folder / f"{name}.csv") for name in there}
    return tables | {FILES: pd.DataFrame(list(texts.items()), columns=["file", "text"])}


def read_observed(folder: Path) -> tuple[Tables, dict[str, Any]] | None:
    """The tables of the observed run that a trial folder holds, with what they are of; None where it holds none.

    Raises:
        ValueError: if one is missing, or they are of another run than the trial.
    """
    place = folder / OBSERVED
    if not (place / ABOUT).is_file():
        return None
    tables, about = read_tables(place)
    check_run(runs_of(read_trial(folder)), about.get("run"), str(place))
    return tables, about


def texts_of(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """The JSON files of a trial, as they were."""
    files = tables[FILES]
    return dict(zip(files["file"], files["text"], strict=True)) if len(files) else {}


def lock_in(texts: Mapping[str, str], where: Path | str) -> Lock | None:
    """The lock among the texts, None without one.

    Raises:
        ValueError: if it was edited, or is none.
    """
    text = texts.get(PREDICTIONS)
    return None if text is None else lock_of(text, Path(where) / PREDICTIONS)


def about_in(texts: Mapping[str, str], where: Path | str) -> dict[str, Any]:
    """What the trial's about.json says; nothing without one.

    Raises:
        ValueError: if it is no JSON object.
    """
    if ABOUT not in texts:
        return {}
    try:
        value = json_value(texts[ABOUT])
    except ValueError as error:
        raise ValueError(
            f"{Path(where) / ABOUT} needs to hold JSON, but {error}. Run interp battery again."
        ) from error
    if not isinstance(value, dict):
        raise ValueError(f"{Path(where) / ABOUT} needs to hold a JSON object, got {json.dumps(value)[:40]}.")
    return value


def runs_of(tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """The names of the runs that a trial is of: one, or those of a recipe; none where it does not say."""
    texts = texts_of(tables)
    lock = lock_in(texts, "")
    if lock is None:
        name = about_in(texts, "").get("run")
        return () if name is None else (name,)
    return parents_of(lock)


def parents_of(lock: Lock) -> tuple[str, ...]:
    """The names of the runs that its arms leave."""
    parents = [parent["name"] for parent in lock.run.get("parents", ()) if "name" in parent]
    return tuple(parents) or ((lock.run["name"],) if "name" in lock.run else ())


def check_run(of_trial: Sequence[str], run: str | None, where: str) -> None:
    """Refuse unless what a trial is put beside is of its run, or one of its runs.

    Raises:
        ValueError: naming both.
    """
    if of_trial and run is not None and run not in of_trial:
        runs = "run " if len(of_trial) == 1 else "runs "
        raise ValueError(
            f"A report needs tables of one run: the trial is of {runs}{', '.join(map(repr, of_trial))}, {where} of "
            f"{run!r}. Name that run, or the folder of its own trial (--trial)."
        )


def _check_about(folder: Path, lock: Lock | None, about: Mapping[str, Any]) -> None:
    if lock is None or not about:
        return
    name = lock.run.get("name")
    check_run(() if name is None else (name,), about.get("run"), str(folder / ABOUT))
    under = (about.get("lock") or {}).get("hash")
    if under not in (None, lock.hash):
        raise ValueError(
            f"{folder} needs the lock under which its arms were trained, hash {str(under)[:16]}, and its {PREDICTIONS} "
            f"has {lock.hash[:16]}. Put that lock back, or train in a new folder."
        )

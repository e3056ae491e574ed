"""sweep.json: what a sweep's folder holds, so that the same command goes on and another is not mixed with it."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interp.ground.plain_json import json_value
from interp.ground.provenance import now, versions
from interp.ground.whole_files import is_temporary, write_json
from interp.runs.config import Recipe, config_from_json, config_to_json
from interp.runs.seal import check_stated, with_checksum
from interp.runs.tensor_files import RunError
from interp.sweeps.grid import Planned, decides, recipe_of

FORMAT, FORMAT_VERSION = "grokscope-sweep", 1
FILE, RUNS, MEASURED = "sweep.json", "runs", "measured"
ADVICE = "Name a new folder, or the values that it was begun with."


@dataclass(frozen=True)
class PlanFile:
    """What sweep.json says.

    Attributes:
        base: the config from which the runs differ, as run.json has it.
        settings: by the name of each run, the fields in which it differs.
        keep, probes: as `interp.sweeps.sweep.sweep`.
    """

    base: Mapping[str, Any]
    settings: Mapping[str, Mapping[str, Any]]
    keep: str
    probes: tuple[str, ...]


def write_plan(
    folder: Path, base: Recipe, runs: Sequence[Planned], keep: str, probes: Sequence[str]
) -> list[Planned]:
    """Write sweep.json, or add runs to one whose runs are all among these; runs that it has keep their names.

    Returns:
        The runs, by the names that they have in the folder.

    Raises:
        ValueError: if the folder holds another sweep; the first difference is named.
        RunError: if its sweep.json is damaged.
    """
    about = {"base": config_to_json(base.config()), "keep": keep, "probes": list(probes)}
    # Of a sweep that was killed while it was begun.
    for left in filter(is_temporary, folder.iterdir()):
        left.unlink(missing_ok=True)
    if (folder / FILE).exists():
        found = read_plan(folder)
        _check_same(folder, found, about)
        runs = under_known_names(folder, found, base, runs)
        if len(found.settings) == len(runs):
            return list(runs)
    elif any(path.name != "lock" for path in folder.iterdir()):
        raise ValueError(
            f"A sweep needs a folder of its own, and {folder} holds other files and no {FILE}. Name a new or empty one."
        )
    settings = {run.name: json.loads(json.dumps(dict(run.settings))) for run in runs}
    value = {"format": FORMAT, "format_version": FORMAT_VERSION, "created": now(), "versions": versions()}
    write_json(folder / FILE, with_checksum({**value, **about, "runs": settings}))
    return list(runs)


def under_known_names(folder: Path, found: PlanFile, base: Recipe, runs: Sequence[Planned]) -> list[Planned]:
    """The runs, those that the folder has under the names that they have there, the others under names that are free.

    Raises:
        ValueError: if a run of the folder is not among them.
    """
    wanted = {decides(run.recipe): run for run in runs}
    named: dict[str, str] = {}
    for name, own in found.settings.items():
        if (key := decides(recipe_of(base, own))) not in wanted:
            raise ValueError(
                f"{folder} holds another sweep: its run {name} is not among the runs of this one. Runs can be added, "
                f"none left out. {ADVICE}"
            )
        named[key] = name
    taken = set(found.settings)
    numbers = (f"run-{i}" for i in itertools.count(len(taken)))
    out = []
    for key, run in wanted.items():
        name = named.get(key, run.name)
        if key not in named and name in taken:
            name = next(number for number in numbers if number not in taken)
        taken.add(name)
        out.append(replace(run, name=name))
    return out


def read_plan(folder: Path) -> PlanFile:
    """What the sweep.json of a folder says.

    Raises:
        ValueError: if there is none.
        RunError: if it is damaged, or of a version that is not read here.
    """
    path = folder / FILE
    if not path.exists():
        raise ValueError(f"{folder} is no sweep: it has no {FILE}. Sweeps are made by interp sweep.")
    try:
        value = json_value(path.read_text("utf-8"))
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise ValueError("it does not describe a sweep")
        if value.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"its format version is {value.get('format_version')}, this grokscope reads {FORMAT_VERSION}"
            )
        check_stated(value, path)
        config_from_json(value["base"], path)
        return PlanFile(value["base"], value["runs"], value["keep"], tuple(value["probes"]))
    except RunError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be read: {error}. Restore it from a copy.") from error


def _check_same(folder: Path, found: PlanFile, about: Mapping[str, Any]) -> None:
    """Refuse to go on with another sweep in the folder."""
    differs = f"{folder} holds another sweep"
    theirs = _flat(found.base)
    for field, ours in _flat(about["base"]).items():
        # What is saved is fitted to each run.
        if theirs.get(field) != ours and not field.startswith("schedule"):
            raise ValueError(
                f"{differs}: its base has {field}={theirs.get(field)}, this one {ours}. {ADVICE}"
            )
    if found.keep != about["keep"]:
        raise ValueError(f"{differs}: it keeps {found.keep} of its runs, this one {about['keep']}. {ADVICE}")
    if list(found.probes) != about["probes"]:
        raise ValueError(
            f"{differs}: it measures {', '.join(found.probes) or 'nothing'}, this one "
            f"{', '.join(about['probes']) or 'nothing'}. {ADVICE}"
        )


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {path: value}
    return {
        k: x for name, part in value.items() for k, x in _flat(part, f"{path}.{name}".lstrip(".")).items()
    }

"""sweep.json: what a sweep's folder holds, so that the same command goes on and another is not mixed with it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp.ground.plain_json import json_value
from interp.ground.provenance import now, versions
from interp.ground.whole_files import write_json
from interp.runs.config import Recipe, config_from_json, config_to_json
from interp.runs.seal import check_stated, with_checksum
from interp.runs.tensor_files import RunError
from interp.sweeps.grid import Planned

FORMAT, FORMAT_VERSION = "grokscope-sweep", 1
FILE, RUNS = "sweep.json", "runs"


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


def write_plan(folder: Path, base: Recipe, runs: Sequence[Planned], keep: str, probes: Sequence[str]) -> None:
    """Write sweep.json, or add runs to one whose runs are all among these.

    Raises:
        ValueError: if the folder holds another sweep; the first difference is named.
        RunError: if its sweep.json is damaged.
    """
    settings = {run.name: json.loads(json.dumps(dict(run.settings))) for run in runs}
    about = {"base": config_to_json(base.config()), "keep": keep, "probes": list(probes)}
    if (folder / FILE).exists():
        found = read_plan(folder)
        _check_same(folder, found, about, settings)
        if found.settings.keys() == settings.keys():
            return
    elif folder.exists() and any(path.name not in ("lock",) for path in folder.iterdir()):
        raise ValueError(
            f"A sweep needs a folder of its own, and {folder} holds other files and no {FILE}. Name a new or empty one."
        )
    folder.mkdir(parents=True, exist_ok=True)
    value = {"format": FORMAT, "format_version": FORMAT_VERSION, "created": now(), "versions": versions()}
    write_json(folder / FILE, with_checksum({**value, **about, "runs": settings}))


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


def _check_same(
    folder: Path, found: PlanFile, about: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuse to go on with another sweep in the folder; more runs of the same are welcome."""
    differs = f"{folder} holds another sweep"
    advice = "Name a new folder, or the values that it was begun with."
    for field, ours in _flat(about["base"]).items():
        theirs = _flat(found.base).get(field)
        if theirs != ours:
            raise ValueError(f"{differs}: its base has {field}={theirs}, this one {ours}. {advice}")
    if found.keep != about["keep"]:
        raise ValueError(f"{differs}: it keeps {found.keep} of its runs, this one {about['keep']}. {advice}")
    if list(found.probes) != about["probes"]:
        raise ValueError(
            f"{differs}: it measures {', '.join(found.probes) or 'nothing'}, this one "
            f"{', '.join(about['probes']) or 'nothing'}. {advice}"
        )
    for name, own in found.settings.items():
        if settings.get(name) != own:
            raise ValueError(
                f"{differs}: its run {name} is not among the runs of this one. Runs can be added, none left out. "
                f"{advice}"
            )


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {path: value}
    return {
        k: x for name, part in value.items() for k, x in _flat(part, f"{path}.{name}".lstrip(".")).items()
    }

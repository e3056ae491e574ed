"""Whose a file of a run is: it says so itself, and one that was copied or renamed from elsewhere is not taken for it.

A checksum shows that a file is whole, not that it is this run's. A history, what an import recorded and the state that
resume continues from therefore state their own name and what decides the numbers of their run, all but its length.
Files of earlier versions state neither.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interp.runs.config import RunConfig, config_to_json
from interp.runs.seal import json_checksum
from interp.runs.tensor_files import RunError

# A run that is made longer has others, and its former files are its own.
_LENGTH = ("n_steps", "schedule")


def belonging(name: str, config: RunConfig) -> dict[str, str]:
    """What a file of this name of a run with this config states."""
    decides = {field: value for field, value in config_to_json(config).items() if field not in _LENGTH}
    if "branch" in decides:
        # When an arm has shown enough to end early is its length too.
        decides["branch"] = {field: x for field, x in decides["branch"].items() if field != "until"}
    return {"file": name, "run": json_checksum(decides)}


def check_belongs(path: Path, stated: Mapping[str, Any], config: RunConfig, *, by_name: bool = False) -> None:
    """Refuse a file that states that it is another one, or of a run with another config.

    Args:
        by_name: whether the config is not compared: that of a run.json which was changed by hand, and meant.

    Raises:
        RunError: with what it is.
    """
    expected = belonging(path.name, config)
    if (name := stated.get("file", stated.get("probe", path.name))) != path.name:
        raise RunError(
            f"{path} holds another file's content: it says that it is {name}. Put each in its place, or restore it "
            "from a copy."
        )
    if not by_name and stated.get("run", expected["run"]) != expected["run"]:
        raise RunError(
            f"{path} is of another run: it was written with another config than {path.parent / 'run.json'} has. "
            "Restore either from a copy."
        )

"""What a start leaves that failed before run.json was written: nothing that anyone would miss."""

from pathlib import Path

from interp.ground.plain_json import json_value
from interp.ground.whole_files import is_temporary
from interp.ground.whole_reading import read_whole
from interp.runs.seal import is_sealed


def is_beginning(path: Path) -> bool:
    """Whether a directory holds nothing but what a start of ours wrote before the run was one, the lock at least."""
    try:
        names = {file.name for file in path.iterdir()}
        return "lock" in names and all(_is_ours(path / name) for name in names)
    except OSError:
        return False


def _is_ours(file: Path) -> bool:
    """Whether it is a file that a start makes, as it makes it; a file of that name of someone else's stays."""
    if file.name == "lock":
        return True
    if is_temporary(file):
        return file.name.startswith((".task.safetensors.", ".index.json.", ".run.json."))
    try:
        if file.name == "index.json":
            return json_value(read_whole(file)) == {}
        return file.name == "task.safetensors" and is_sealed(read_whole(file))
    except ValueError:
        return False

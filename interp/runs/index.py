"""index.json: the checksums of every checkpoint file and of every tensor in it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interp.runs.tensor_files import RunError, check_weight_names, read_json


def read_index(path: Path) -> dict[int, dict[str, Any]]:
    """Checksums by step from index.json.

    Raises:
        RunError: if it is missing or damaged, a file or weight of it could lie outside the run, or a file is that of
            another step.
    """
    index = read_altered_index(path)
    for step, entry in index.items():
        for folder, part in (("steps", entry), ("optimizer", entry.get("optimizer"))):
            if part is not None and inside(path, part["file"], folder) is None:
                raise RunError(
                    f"{path / 'index.json'} names {part['file']!r} for step {step}, which is not in {folder}/ of the "
                    f"run: it was altered. Run `interp verify --repair {path}`."
                )
            if part is not None and Path(part["file"]).stem != f"{step:010d}":
                raise RunError(
                    f"{path / 'index.json'} names {part['file']!r} for step {step}, which is another step's file: it "
                    f"was altered. Run `interp verify --repair {path}`."
                )
        check_weight_names(entry["tensors"], f"Step {step} in {path / 'index.json'}")
    return index


def read_altered_index(path: Path) -> dict[int, dict[str, Any]]:
    """What index.json holds, for verify and repair: its names may lead out of the run and must be checked on use.

    Raises:
        RunError: if it is missing or damaged.
    """
    raw = read_json(path / "index.json")
    try:
        index = {int(step): entry for step, entry in sorted(raw.items(), key=lambda item: int(item[0]))}
        if any(not 0 <= step < 2**63 for step in index):
            raise ValueError
        for entry in index.values():
            for part in [entry, entry.get("optimizer", entry)]:
                texts = [part["file"], part["checksum"], *part["tensors"].keys(), *part["tensors"].values()]
                if not all(isinstance(text, str) for text in texts):
                    raise TypeError
        return index
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path / 'index.json'} is not an index of checkpoints. Run `interp verify --repair {path}`."
        ) from error


def index_bytes(index: Mapping[int, dict[str, Any]]) -> bytes:
    """The content of index.json, a line a step: indented it takes four times as long, at every checkpoint."""
    lines = ",\n".join(f'"{step}": {json.dumps(entry, allow_nan=False)}' for step, entry in index.items())
    return f"{{\n{lines}\n}}\n".encode()


def inside(path: Path, name: str, folder: str) -> Path | None:
    """The file that an index entry names, or None where that is not in this folder (steps, optimizer) of the run."""
    relative = Path(name)
    is_there = relative.parts[:1] == (folder,) and len(relative.parts) > 1
    if not is_there or ".." in relative.parts or "\\" in name or "\0" in name:
        return None
    return path / relative

"""Writing files that are either whole or not there.

Every file of a run goes through here: a temporary file beside the target, fsync, rename, fsync of the directory. A
crash, a kill or a full disk in mid-write leaves the former file as it was.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

TEMPORARY_SUFFIX = ".writing"


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file by these bytes, atomically and durably.

    Raises:
        OSError: if the disk refuses (full, read-only); the former file is untouched, no temporary file stays.
    """
    path, temporary = Path(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=TEMPORARY_SUFFIX, dir=path.parent
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes files private; a run is for sharing
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(
                error.errno,
                f"Writing {path} failed: {error.strerror}. What was there before is untouched. "
                "Free some space (or check the permissions) and run the command again",
            ) from error
        raise
    sync_directory(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace the file by this value as indented JSON (NaN and infinity are refused)."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def remove_leftovers(directory: Path) -> list[Path]:
    """Delete temporary files that a killed process left below this directory; which ones they were."""
    found = sorted(Path(directory).rglob(f".*{TEMPORARY_SUFFIX}"))
    for path in found:
        path.unlink(missing_ok=True)
    return found


def sync_directory(directory: Path) -> None:
    """Make renames in this directory durable."""
    if os.name == "nt":  # Windows cannot open a directory; its rename is durable on its own
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

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
WITHOUT_LOCK = ("measures", "packed")  # folders of a run that are written beside a trainer


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


def leftovers(directory: Path) -> list[Path]:
    """Temporary files below this directory of a run that only the holder of its lock writes.

    Not those of measures/ and packed/, which are written without the lock: they may be another process's, at work.
    """
    directory = Path(directory)
    found = directory.rglob(f".*{TEMPORARY_SUFFIX}")
    return sorted(path for path in found if path.relative_to(directory).parts[0] not in WITHOUT_LOCK)


def remove_leftovers(directory: Path) -> list[Path]:
    """Delete the `leftovers` of a killed process, which nobody writes while the lock is held; which ones they were."""
    found = leftovers(directory)
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

"""Writing files that are either whole or not there.

Every file of a run goes through here: a temporary file beside the target, fsync, rename, fsync of the directory. A
crash, a kill or a full disk in mid-write leaves the former file as it was.
"""

import errno
import json
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TEMPORARY_SUFFIX = ".writing"
_TEMPORARY = re.compile(rf"\..+\.[a-z0-9_]{{8}}{re.escape(TEMPORARY_SUFFIX)}")
WITHOUT_LOCK = ("measures", "packed")  # folders of a run that are written beside a trainer


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file by these bytes, atomically and durably.

    Raises:
        OSError: if the disk refuses (full, read-only); the former file is untouched, no temporary file stays.
    """
    write_together([(path, data)])


def write_together(files: Iterable[tuple[Path, bytes]], suffix: str = TEMPORARY_SUFFIX) -> None:
    """Replace files whose former content may be the only copy of each other's new one.

    All of the new is on the disk before the first rename, so that a kill at any moment loses none of it: what was not
    renamed yet lies whole in its temporary file. One file's bytes are held at a time.

    Args:
        suffix: of the temporary files; one of their own keeps them from `remove_leftovers`.

    Raises:
        OSError: if the disk refuses; before the first rename nothing has changed and no temporary file stays.
    """
    made: list[tuple[str, Path]] = []
    n_renamed, path = 0, Path()
    try:
        for path, data in files:
            made.append((_written(Path(path), data, suffix), Path(path)))
        folders = dict.fromkeys(path.parent for _, path in made)
        for folder in folders if len(made) > 1 else ():
            # The names of the temporary files too: they may soon be all that is left.
            sync_directory(folder)
        for temporary, path in made:
            os.replace(temporary, path)
            n_renamed += 1
    except BaseException as error:
        for temporary, _ in made if not n_renamed else ():
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(
                error.errno,
                f"Writing {path} failed: {error.strerror}. What was there before is untouched. "
                "Free some space (or check the permissions) and run the command again",
            ) from error
        raise
    for folder in folders:
        sync_directory(folder)


def _written(path: Path, data: bytes, suffix: str) -> str:
    """The name of a temporary file beside the path that holds these bytes, durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=suffix, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a run is for sharing.
        os.chmod(temporary, 0o644)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return temporary


def within(root: Path, path: Path) -> Path:
    """The path, which lies below this directory, to be written, renamed or deleted there.

    A folder of a run that was replaced by a link makes another folder's files look like the run's own. The directory
    itself may be a link, as to a disk with more space, and so may a single file: it is replaced or removed, and what
    it points to stays.

    Raises:
        OSError: if a link on the way leads out of the directory.
    """
    place = path.parent.resolve()
    if not place.is_relative_to(root.resolve()):
        raise OSError(
            errno.ELOOP,
            f"{path.parent} is a link to {place}, outside {root}, where nothing is written or deleted. Put a folder in "
            "its place; a run as a whole may lie behind a link",
        )
    return path


def write_json(path: Path, value: Any) -> None:
    """Replace the file by this value as indented JSON (NaN and infinity are refused)."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def leftovers(directory: Path) -> list[Path]:
    """Temporary files below this directory of a run that only the holder of its lock writes.

    Not those of measures/ and packed/, which are written without the lock: they may be another process's, at work.
    """
    directory = Path(directory)
    found = filter(is_temporary, directory.rglob(f".*{TEMPORARY_SUFFIX}"))
    return sorted(path for path in found if path.relative_to(directory).parts[0] not in WITHOUT_LOCK)


def is_temporary(path: Path) -> bool:
    """Whether a file is named as those that are being written here: a `.notes.writing` is someone else's."""
    return _TEMPORARY.fullmatch(path.name) is not None


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

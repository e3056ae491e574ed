"""Folders in which something is made before it is put in its place, and what killed processes left of theirs.

Who makes something holds a lock inside, which the system lets go of when a process ends, however it ends: a folder
whose lock can be had is nobody's.
"""

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

SUFFIX = ".importing"
_LOCK = "lock of its maker"
_OURS = re.compile(rf"\.(.+)\.[a-z0-9_]{{8}}{re.escape(SUFFIX)}", re.DOTALL)
# Between making a folder and taking its lock nobody spends so long.
_SECONDS_TO_BEGIN = 3600


@contextmanager
def workshop(dest: Path) -> Iterator[Path]:
    """A folder beside the destination to make it in, gone at the end; before that, those of killed processes go.

    Folders above the destination are made, and removed again if nothing came to lie in them.
    """
    missing = [folder for folder in (dest.parent, *dest.parent.parents) if not folder.exists()]
    dest.parent.mkdir(parents=True, exist_ok=True)
    try:
        remove_abandoned(dest.parent)
        folder = Path(tempfile.mkdtemp(prefix=f".{dest.name}.", suffix=SUFFIX, dir=dest.parent))
        try:
            with FileLock(folder / _LOCK):
                yield folder
        finally:
            with suppress(OSError):
                _cleared(folder)
    finally:
        with suppress(OSError):
            for folder in missing:
                folder.rmdir()


def remove_abandoned(parent: Path) -> list[Path]:
    """Delete the workshops in this folder whose maker is gone, and nothing else; which ones they were."""
    removed = []
    for folder in sorted(parent.glob(f".*{SUFFIX}")):
        with suppress(Timeout, OSError, NotImplementedError):
            if _is_ours(folder):
                with FileLock(folder / _LOCK, timeout=0):
                    pass
                _cleared(folder)
                removed.append(folder)
    return removed


def _is_ours(folder: Path) -> bool:
    """Whether a folder is a workshop whose lock can say whose it is, or so old that its maker would have one."""
    named = _OURS.fullmatch(folder.name)
    if named is None or folder.is_symlink() or not folder.is_dir():
        return False
    lock, made = folder / _LOCK, folder / named[1]
    if lock.is_symlink() or {*folder.iterdir()} - {lock, made}:
        return False
    if made.exists():
        return lock.is_file()
    return time.time() - folder.stat().st_mtime > _SECONDS_TO_BEGIN


def _cleared(folder: Path) -> None:
    # The lock goes last, else a kill in between leaves what nobody dares to remove.
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()
    shutil.rmtree(folder)

"""A folder of one process beside the hub's cache, and what processes that were killed left of theirs.

A lock says whose a folder is: the system frees it when its process dies, however that came, and no other process has
it before. It lies among the hub's own locks, and the folder is made once it is held.
"""

import shutil
import weakref
from pathlib import Path
from uuid import uuid4

import filelock

_PREFIX, _LOCKS = "grokscope-", ".locks"


class OwnFolder:
    """A new folder under the root, gone with `remove`, and at the latest with the process or its next successor."""

    def __init__(self, root: Path):
        locks = root / _LOCKS
        locks.mkdir(parents=True, exist_ok=True)
        name = f"{_PREFIX}{uuid4().hex}"
        # Of no thread: the garbage collector releases it, in whichever it runs.
        lock = filelock.FileLock(locks / f"{name}.lock", thread_local=False)
        lock.acquire()
        self.path = root / name
        self.path.mkdir()
        # What nobody has removed by then.
        self.remove = weakref.finalize(self, _remove, self.path, lock)


def remove_abandoned(root: Path) -> None:
    """Remove the folders of processes that are dead; those without a lock, or whose lock is held, stay."""
    for file in (root / _LOCKS).glob(f"{_PREFIX}*.lock"):
        lock = filelock.FileLock(file, timeout=0)
        try:
            lock.acquire()
        # Held, or another's that may not be written.
        except (filelock.Timeout, OSError):
            continue
        _remove(root / file.stem, lock)


def _remove(folder: Path, lock: filelock.BaseFileLock) -> None:
    # On Windows no file is deleted that is still read: what cannot be removed now stays for later, with its lock.
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
    if folder.exists():
        # There the lock goes with its release.
        Path(lock.lock_file).touch()

"""Who may write: one trainer or repair a run, one writer at a time in each folder of derived files."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from interp.ground.whole_files import is_temporary, within

# Whoever asks whether a run is in use has its lock for a moment: no reason to refuse a trainer.
_A_MOMENT = 0.2


@contextmanager
def run_lock(path: Path, timeout: float = _A_MOMENT) -> Iterator[None]:
    """A run for oneself.

    Raises:
        filelock.Timeout: if another process has it, and still has it after a moment.
        OSError: if nothing can be written there.
    """
    with filelock.FileLock(_lock_file(path), timeout=timeout):
        yield


@contextmanager
def folder_lock(folder: Path, timeout: float = -1.0) -> Iterator[None]:
    """A folder of derived files for oneself, made if need be; what a killed writer left in it is removed.

    Every writer holds the lock, so that a temporary file that is there now is nobody's.

    Args:
        timeout: seconds to wait for another process that has it; -1 is as long as it takes.

    Raises:
        filelock.Timeout: if it still has it then.
        OSError: if nothing can be written there, or the folder is a link that leads out of the run.
    """
    lock = _lock_file(within(folder.parent, folder / "lock").parent)
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(lock, timeout=timeout):
        for left in filter(is_temporary, folder.iterdir()):
            left.unlink(missing_ok=True)
        yield


def is_in_use(path: Path) -> bool:
    """Whether a trainer holds the lock of this run."""
    if not (path / "lock").exists():
        return False
    try:
        with run_lock(path, timeout=0.0):
            return False
    except filelock.Timeout:
        return True
    # A directory that cannot be written: nobody can train there.
    except OSError:
        return False


def _lock_file(folder: Path) -> Path:
    """The lock of a folder. Refuse a link: taking the lock empties the file."""
    lock = folder / "lock"
    if lock.is_symlink():
        raise OSError(errno.ELOOP, f"{lock} is a link, and a lock is a file of the run. Delete it")
    return lock

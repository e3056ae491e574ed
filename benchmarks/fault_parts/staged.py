"""Faults played out in one process: a kill at any file operation, a file that cannot be opened, flipped bits."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

CHANGING = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.symlink", "os.link")
_watchers: list = []


class Killed(BaseException):
    """What a process feels that is killed: nothing, and nothing of it reaches the disk any more."""


def _end(what: str) -> None:
    raise Killed(what)


def _hook(event: str, arguments: tuple) -> None:
    for watch in _watchers:
        watch(event, arguments)


# A hook cannot be taken away again: one for all, which asks whoever watches.
sys.addaudithook(_hook)


@contextmanager
def _watched(watch) -> Iterator[None]:
    _watchers.append(watch)
    try:
        yield
    finally:
        _watchers.remove(watch)


def _changes(event: str, arguments: tuple, root: str) -> bool:
    if event == "open":
        writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        return bool(writes) and isinstance(arguments[0], str) and arguments[0].startswith(root)
    return event in CHANGING and _place(event, arguments).startswith(root)


def _place(event: str, arguments: tuple) -> str:
    # Below a folder that is held open, as shutil.rmtree removes.
    if event in ("os.remove", "os.rmdir") and arguments[1] != -1:
        return os.path.join(os.readlink(f"/proc/self/fd/{arguments[1]}"), arguments[0])
    return str(arguments[0])


@contextmanager
def killed_at(n: int, root: Path, end: Callable[[str], None] = _end) -> Iterator[list[str]]:
    """Killed at the n-th operation (from 1) that changes anything below root, as a process is: no clean-up follows.

    A file that is killed while it is synced is left half written. What was done comes back, operation by operation.

    Args:
        end: what kills; `Killed` is raised by default, and whatever would still be changed raises it again.
    """
    done: list[str] = []

    def step(what: str) -> None:
        if len(done) >= n - 1:
            end(what)
        done.append(what)

    def watch(event: str, arguments: tuple) -> None:
        if _changes(event, arguments, str(root)):
            step(f"{event} {arguments[0]}")

    fsync = os.fsync

    def half_synced(descriptor: int) -> None:
        # A directory cannot be cut.
        if len(done) == n - 1 and stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        step("fsync")
        fsync(descriptor)

    with _watched(watch), patch("os.fsync", half_synced):
        yield done


@contextmanager
def refused(*files: Path) -> Iterator[None]:
    """The system does not open these files, as after chmod 0; tests may run as a user whom it refuses nothing."""

    def watch(event: str, arguments: tuple) -> None:
        if event == "open" and str(arguments[0]) in set(map(str, files)):
            raise PermissionError(13, "Permission denied", str(arguments[0]))

    with _watched(watch):
        yield


def flipped(data: bytes, every: int = 1) -> Iterator[bytes]:
    """The data with one bit flipped, at every so many bytes; which bit goes round."""
    for place in range(0, len(data), every):
        yield data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :]


def bytes_of(path: Path) -> dict[Path, bytes]:
    """Every file below a directory but locks, by its place."""
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file() and p.name != "lock"}


@contextmanager
def full_disk(first: int, n: int) -> Iterator[list[int]]:
    """From this file on (from 1) so many cannot be written: half of each is there when the disk says that it is full.

    What comes back has the number of each that was refused.
    """
    refused_at: list[int] = []
    count = 0
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        nonlocal count
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            count += 1
            if first <= count < first + n:
                refused_at.append(count)
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with patch("os.fsync", refuse):
        yield refused_at

"""A network file system that shows late what others have made, and what workers of a sweep are told beside their work.

A process sees a new name of its own at once, and another's some time later, whole: whether it looks, lists or reads.
What it makes itself, or is told by the server that it cannot make because it is there, it sees from then on.
"""

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.fault_parts.stacks import BETWEEN_STATES

# What the workers of a sweep that is late is told, by the environment: root, folder of names, seconds.
VARIABLE = "FAULTS_LATE_FILES"
_is_late: list[bool] = []


def hurried(unit: Any, work: Any) -> tuple[str, list]:
    """Stands for `interp.sweeps.workers.in_worker`: states are saved so often that a kill falls between them."""
    import_module("interp.training.member").SECONDS_BETWEEN_STATES = BETWEEN_STATES
    if VARIABLE in os.environ:
        made_late()
    return import_module("interp.sweeps.workers").in_worker(unit, work)


def made_late() -> None:
    """From here on this process sees late what others make below the root, as the environment says."""
    if _is_late:
        return
    _is_late.append(True)
    root, names, seconds = os.environ[VARIABLE].split("|")
    _Late(root, names, float(seconds)).enter()


class _Late:
    """The names below a root: when each was made first, by which process."""

    def __init__(self, root: str, names: str, seconds: float):
        self._root, self._names, self._seconds = root, names, seconds
        self._seen: set[str] = set()
        self._original: dict[str, Callable] = {}

    def enter(self) -> None:
        for name in ("stat", "lstat", "listdir", "scandir", "mkdir", "replace", "open"):
            self._original[name] = getattr(os, name)
            setattr(os, name, getattr(self, f"_{name}"))
        sys.addaudithook(self._opened)

    def _record(self, path: Any) -> str:
        return os.path.join(self._names, hashlib.sha256(str(path).encode()).hexdigest()[:24])

    def _made(self, path: Any) -> None:
        """Remember that this process has made a name, unless there was one."""
        path = os.fspath(path)
        if not isinstance(path, str) or not path.startswith(self._root) or path in self._seen:
            return
        self._told_of(path)
        with contextlib.suppress(FileExistsError):
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
            os.close(self._original["open"](self._record(path), flags))

    def _told_of(self, path: Any) -> None:
        """The server has found this path, and with it all folders on its way."""
        self._seen.update(map(str, (Path(path), *Path(path).parents)))

    def _is_hidden(self, path: Any) -> bool:
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path).startswith(self._root):
            return False
        place = Path(path)
        return any(self._is_young(str(at)) for at in (place, *place.parents) if str(at) > self._root)

    def _is_young(self, path: str) -> bool:
        if path in self._seen:
            return False
        try:
            age = time.time() - self._original["stat"](self._record(path)).st_mtime
        except FileNotFoundError:
            return False
        if age >= self._seconds:
            self._seen.add(path)
        return age < self._seconds

    def _refuse(self, path: Any) -> None:
        if self._is_hidden(path):
            raise FileNotFoundError(2, "No such file or directory", os.fspath(path))

    # What stands in the place of functions of os.

    def _opened(self, event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str) and not arguments[2] & os.O_CREAT:
            self._refuse(arguments[0])

    def _stat(self, path: Any, **options: Any) -> os.stat_result:
        self._refuse(path)
        return self._original["stat"](path, **options)

    def _lstat(self, path: Any, **options: Any) -> os.stat_result:
        self._refuse(path)
        return self._original["lstat"](path, **options)

    def _listdir(self, path: Any = ".") -> list[str]:
        self._refuse(path)
        names = self._original["listdir"](path)
        return [name for name in names if not self._is_hidden(os.path.join(path, name))]

    @contextlib.contextmanager
    def _scandir(self, path: Any = ".") -> Iterator[Iterator[os.DirEntry]]:
        self._refuse(path)
        with self._original["scandir"](path) as entries:
            yield (entry for entry in entries if not self._is_hidden(entry.path))

    def _mkdir(self, path: Any, *rest: Any, **options: Any) -> None:
        try:
            self._original["mkdir"](path, *rest, **options)
        except FileExistsError:
            self._told_of(path)
            raise
        self._made(path)

    def _replace(self, source: Any, path: Any) -> None:
        self._original["replace"](source, path)
        self._made(path)

    def _open(self, path: Any, flags: int, *rest: Any, **options: Any) -> int:
        try:
            descriptor = self._original["open"](path, flags, *rest, **options)
        except FileExistsError:
            self._told_of(path)
            raise
        # Temporary files are nobody else's, and are never asked for.
        if flags & os.O_CREAT and not os.path.basename(os.fspath(path)).startswith("."):
            self._made(path)
        return descriptor

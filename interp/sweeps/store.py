"""A sweep on an object store: objects under a URL through fsspec, and which command works there.

The store is the truth; what is worked on, or read, lies in a scratch folder of the machine that does it.
fsspec is an extra: `pip install grokscope[store]`.
"""

import json
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import xxhash

from interp.ground.whole_files import is_temporary, write_bytes
from interp.runs.tensor_files import RunError

LOCK = "lock"
SECONDS_BETWEEN_RENEWALS = 60.0
# A command whose lock was not renewed for so long is dead.
SECONDS_TO_RENEW = 180.0
# A request takes tens of milliseconds wherever the store is, and most of them are waited for.
AT_ONCE = 16


@dataclass(frozen=True)
class Store:
    """The objects below a URL, by their names from there; read and written whole.

    Attributes:
        url: as s3://bucket/decay; any scheme that fsspec knows.
        scratch: the folder to work in; None: one in the user's cache, of each machine its own.
    """

    url: str
    scratch: Path | None = None

    @property
    def folder(self) -> Path:
        """The scratch folder on this machine."""
        if self.scratch is not None:
            return self.scratch
        place = f"{self.name}-{xxhash.xxh3_64(self.url.encode()).hexdigest()}"
        return (platformdirs.user_cache_path("grokscope") / "stores" / place).resolve()

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return re.split(r"[/:]+", self.url)[-1]

    @contextmanager
    def named(self, *folders: Path) -> Iterator[None]:
        """Errors from inside name the store in place of these folders, of which its user knows nothing."""
        try:
            yield
        except ValueError as error:
            text = str(error)
            for folder in folders:
                text = text.replace(str(folder), self.url)
            if text == str(error):
                raise
            raise type(error)(text) from error

    def get(self, name: str) -> bytes | None:
        """The bytes of an object, None where there is none.

        Raises:
            RunError: if the store does not answer.
        """
        files, root = _file_system(self.url)
        with _said(f"{self.url}/{name}", "read"):
            try:
                return files.cat_file(f"{root}/{name}")
            except FileNotFoundError:
                return None

    def get_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Several objects, those of them that there are, as `get`; a handful are held at a time."""
        names = list(names)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(names), AT_ONCE):
                part = names[start : start + AT_ONCE]
                for name, data in zip(part, pool.map(self.get, part), strict=True):
                    if data is not None:
                        yield name, data

    def put(self, name: str, data: bytes) -> None:
        """Make or replace an object, whole or not at all.

        Raises:
            RunError: if the store does not take it.
        """
        files, root = _file_system(self.url)
        with _said(f"{self.url}/{name}", "written"):
            if _is_local(files):
                write_bytes(Path(f"{root}/{name}"), data)
            else:
                files.pipe_file(f"{root}/{name}", data)

    def delete(self, name: str) -> None:
        """Delete an object, if it is there.

        Raises:
            RunError: if the store does not let it.
        """
        files, root = _file_system(self.url)
        with _said(f"{self.url}/{name}", "deleted"), suppress(FileNotFoundError):
            files.rm_file(f"{root}/{name}")

    def has(self, name: str) -> bool:
        """Whether there is such an object now.

        Raises:
            RunError: if the store does not answer.
        """
        files, root = _file_system(self.url)
        with _said(f"{self.url}/{name}", "looked for"):
            # What was listed before is kept by some drivers.
            files.invalidate_cache()
            try:
                files.info(f"{root}/{name}")
            except FileNotFoundError:
                return False
            return True

    def listing(self, below: str = "") -> dict[str, str]:
        """A stamp of each object that changes with it, by name; of those in a folder, or all.

        Raises:
            RunError: if the store does not answer.
        """
        files, root = _file_system(self.url)
        with _said(f"{self.url}/{below}", "listed"):
            files.invalidate_cache()
            try:
                found = files.find(f"{root}/{below}".rstrip("/"), detail=True)
            except FileNotFoundError:
                return {}
        names = {path.removeprefix(root).lstrip("/"): _stamp(info) for path, info in found.items()}
        return {
            name: x for name, x in names.items() if name.startswith(below) and not is_temporary(Path(name))
        }


def is_url(path: str | os.PathLike) -> bool:
    """Whether it names a store and no folder.

    >>> is_url("s3://bucket/decay"), is_url("sweeps/decay"), is_url("C:/sweeps")
    (True, False, False)
    """
    return isinstance(path, str) and re.match(r"[A-Za-z][\w+.:-]*://", path) is not None


def store_at(path: str | os.PathLike, scratch: str | os.PathLike | None = None) -> Store | None:
    """The store that a URL names, None for a folder.

    Raises:
        ValueError: if its scheme is unknown, or a package lacks; if there is a scratch folder and no URL.
    """
    if not is_url(path):
        if scratch is not None:
            raise ValueError(
                f"--scratch (scratch= in Python) needs the URL of a store, got the folder {path}. A folder is worked "
                "on where it is: leave it out."
            )
        return None
    store = Store(str(path).rstrip("/"), None if scratch is None else Path(scratch).expanduser().resolve())
    _file_system(store.url)
    return store


def _file_system(url: str) -> tuple[Any, str]:
    """fsspec's file system, which it keeps, and the path in it.

    Raises:
        ValueError: if the scheme is unknown, or a package lacks.
    """
    try:
        from fsspec.core import url_to_fs
        from fsspec.registry import known_implementations
    except ImportError as error:
        raise ValueError(
            f"{url} needs fsspec, which is not installed: pip install 'grokscope[store]'."
        ) from error
    scheme = url.partition("://")[0]
    try:
        files, root = url_to_fs(url)
    except ImportError as error:
        raise ValueError(
            f"{url} needs a driver of {scheme}:// that is not installed. {error} (pip install)."
        ) from error
    except Exception as error:
        if scheme in known_implementations:
            raise ValueError(f"{url} cannot be opened by fsspec: {error}") from error
        raise ValueError(
            f"A sweep needs a folder, or a URL of a scheme that fsspec knows, got {url}. It knows s3, gs, abfs, file "
            "and others: fsspec.available_protocols()."
        ) from error
    return files, root.rstrip("/")


def _is_local(files: Any) -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(files, LocalFileSystem)


@contextmanager
def _said(url: str, what: str) -> Iterator[None]:
    """Whatever a driver raises, as one sentence that names the object."""
    try:
        yield
    # Each driver has errors of its own.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": .")
        raise RunError(
            f"{url} cannot be {what}: {reason}. Look at the network, the rights and the credentials that its driver "
            "reads from the environment; the same command goes on."
        ) from error


def _stamp(info: dict[str, Any]) -> str:
    """What a driver says of an object, but when it was read."""
    return str(sorted((key, str(x)) for key, x in info.items() if "access" not in key.lower()))


@contextmanager
def alone_at(store: Store) -> Iterator[Callable[[], None]]:
    """A store for the command that works with it, whose lock is renewed meanwhile.

    Two that come within the same moment may both get it: the second to write it has it, and the other is told at its
    next renewal.

    Yields:
        A function that refuses to go on once another has taken the lock.

    Raises:
        RunError: if another has it, which is named; one that is dead is not heeded.
    """
    if (other := _holder(store)) is not None:
        raise RunError(
            f"Another sweep is working in {store.url}: process {other.get('pid')} on {other.get('host')}. Wait for it, "
            "stop it, or name another URL; if it was killed, its lock runs out "
            f"{SECONDS_TO_RENEW:.0f} s after its last sign."
        )
    own = {"id": uuid.uuid4().hex, "host": socket.gethostname(), "pid": os.getpid()}
    is_over, is_lost = threading.Event(), threading.Event()

    def renew() -> None:
        while not is_over.wait(SECONDS_BETWEEN_RENEWALS):
            # What does not answer now is asked again.
            with suppress(RunError):
                other = _holder(store)
                if other is not None and other["id"] != own["id"]:
                    is_lost.set()
                    return
                _put_lock(store, own)

    def check() -> None:
        if is_lost.is_set():
            raise RunError(
                f"Another sweep has taken over {store.url} while this one gave no sign. What was saved is kept: wait "
                "for the other, and give the same command again."
            )

    _put_lock(store, own)
    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield check
    finally:
        is_over.set()
        thread.join()
        with suppress(RunError):
            if (_holder(store) or {}).get("id") == own["id"]:
                store.delete(LOCK)


def _put_lock(store: Store, own: dict[str, Any]) -> None:
    store.put(LOCK, json.dumps({**own, "time": time.time()}).encode())


def _holder(store: Store) -> dict[str, Any] | None:
    """Who has the lock and is alive."""
    try:
        said = json.loads(store.get(LOCK) or b"null")
        return said if time.time() - said["time"] < SECONDS_TO_RENEW and said["id"] else None
    # Of something else, as the empty file that locks a folder.
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError):
        return None

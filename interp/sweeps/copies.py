"""A worker's own copies of runs that lie on a store: taken, pushed while they are trained, and left.

Whoever takes a run writes an id of its own beside it, and whoever finds another's there no longer pushes: of two
workers with the same run, as one that a cluster took for dead, the later has it.
"""

import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import filelock

from interp.ground.whole_files import WITHOUT_LOCK, is_temporary, write_bytes
from interp.runs.locks import run_lock
from interp.runs.tensor_files import RunError
from interp.sweeps.plan_file import MEASURED, RUNS
from interp.sweeps.store import AT_ONCE, Store
from interp.training.stacked import MemberEnd

OWNER, OWNERS = "owner", "owners"
SECONDS_BETWEEN_PUSHES = 60.0
# Where pushing takes long, so many times as long passes until the next time.
SAVING = 20.0
# Before the last push of a run is tried again.
WAITS = (1.0, 5.0, 15.0)
# A push goes by the order in which training saves, so that every beginning of one is what a kill could have left: the
# history has each step before the state to resume from, the index each checkpoint before it.
LAST = ("history.parquet", "recorded.parquet", "index.json", "latest.safetensors", "run.json")
# Thinning says first that the run is to have less.
LAST_OF_THINNED = ("run.json", "index.json")

Signature = tuple[int, int, int]


class Lost(Exception):
    """Another worker has taken the run."""


class Copies:
    """The runs of a unit, as a worker has them in its scratch folder.

    Attributes:
        folder: of the copies, laid out as a sweep's.
        kept: names of runs that could not be pushed; their copies stay.
    """

    def __init__(self, store: Store, probes: Sequence[str]):
        self.folder, self.kept = store.folder, set[str]()
        self._store, self._probes = store, probes
        self._owners: dict[str, str] = {}
        self._pushed: dict[str, dict[str, Signature]] = {}
        self._lost: set[str] = set()
        self._pushed_at, self._seconds = time.monotonic(), SECONDS_BETWEEN_PUSHES

    def take(self, name: str) -> bool:
        """Make a run one's own, and have it here as the store has it; False if another process here works on it.

        A copy that was kept, and that nobody took since, is newer than what the store has, and stays.

        Raises:
            RunError: if the store does not answer.
            OSError: if the scratch folder cannot be written.
        """
        path = self.folder / RUNS / name
        path.mkdir(parents=True, exist_ok=True)
        try:
            with run_lock(path):
                self._take(name)
        except filelock.Timeout:
            return False
        return True

    def _take(self, name: str) -> None:
        file, owner = self.folder / OWNERS / name, f"{RUNS}/{name}/{OWNER}"
        stated, known = self._store.get(owner), file.read_bytes() if file.exists() else None
        if known is not None and stated == known:
            self._owners[name], self._pushed[name] = known.decode(), {}
            return
        own = uuid.uuid4().hex
        # Until all is here this copy is nobody's.
        file.unlink(missing_ok=True)
        self._clear(name)
        self._store.put(owner, own.encode())
        self._pull(name)
        write_bytes(file, own.encode())
        self._owners[name] = own
        self._pushed[name] = {other: _signature(path) for other, path in self._files(name).items()}

    def _pull(self, name: str) -> None:
        there = self._store.listing(f"{RUNS}/{name}/")
        # A start that failed: it is begun anew.
        if f"{RUNS}/{name}/run.json" not in there:
            return
        wanted = [other for other in there if _is_of_run(other.removeprefix(f"{RUNS}/{name}/"))]
        for other, data in self._store.get_all([*wanted, *self._measured(name)]):
            write_bytes(self.folder / other, data)

    def _measured(self, name: str) -> list[str]:
        return [f"{MEASURED}/{probe}/{name}.parquet" for probe in self._probes]

    def _files(self, name: str) -> dict[str, Path]:
        """The files of a copy that the store is to have, by their names there."""
        run = self.folder / RUNS / name
        own = [path for path in run.rglob("*") if path.is_file() and not is_temporary(path)]
        names = [path.relative_to(run).as_posix() for path in own]
        found = [f"{RUNS}/{name}/{other}" for other in names if _is_of_run(other)]
        found += [other for other in self._measured(name) if (self.folder / other).exists()]
        return {other: self.folder / other for other in sorted(found)}

    def push(self, name: str, *, is_thinned: bool = False) -> None:
        """Push what was saved since the last push; of a run that was thinned, delete what it no longer has.

        Raises:
            Lost: if another worker has taken the run; nothing is pushed then.
            RunError: if the store does not take it; what it took is what a kill could have left.
            OSError: if a file cannot be read.
        """
        files, pushed = self._files(name), self._pushed[name]
        signatures = {other: _signature(path) for other, path in files.items()}
        changed = [other for other in files if signatures[other] != pushed.get(other)]
        if not changed and not is_thinned:
            return
        self._check_owner(name)
        last = [f"{RUNS}/{name}/{file}" for file in (LAST_OF_THINNED if is_thinned else LAST)]
        first = [other for other in changed if other not in last]
        for other in self._put_all(first):
            pushed[other] = signatures[other]
        if first:
            self._check_owner(name)
        for other in [other for other in last if other in changed]:
            self._store.put(other, files[other].read_bytes())
            pushed[other] = signatures[other]
        if is_thinned:
            self._delete_others(name, files)

    def _put_all(self, names: list[str]) -> Iterator[str]:
        """Put files that no other file waits for; the name of each that is there."""

        def put(name: str) -> str:
            self._store.put(name, (self.folder / name).read_bytes())
            return name

        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(put, names)

    def _check_owner(self, name: str) -> None:
        if self._store.get(f"{RUNS}/{name}/{OWNER}") != self._owners[name].encode():
            self._lost.add(name)
            raise Lost

    def _delete_others(self, name: str, files: Iterable[str]) -> None:
        there = self._store.listing(f"{RUNS}/{name}/")
        gone = [other for other in there if other not in files and not other.endswith(f"/{OWNER}")]
        # As thinning does: while the state to resume from is there, it is not done.
        for other in sorted(gone, key=lambda other: other.endswith("/latest.safetensors")):
            self._store.delete(other)

    def push_when_due(self) -> None:
        """Push all runs, about once a minute; asked between two steps, when nothing is being written.

        What fails is tried again the next time.
        """
        started = time.monotonic()
        if started - self._pushed_at < self._seconds:
            return
        for name in self._pushed:
            if name not in self._lost:
                with suppress(Lost, RunError, OSError):
                    self.push(name)
        self._pushed_at = time.monotonic()
        self._seconds = max(SECONDS_BETWEEN_PUSHES, SAVING * (self._pushed_at - started))

    def are_lost(self, names: Iterable[str]) -> bool:
        """Whether other workers have taken all of these."""
        return all(name in self._lost for name in names)

    def pushed(self, end: MemberEnd, *, is_thinned: bool = False) -> MemberEnd:
        """What became of a run that is to be on the store: busy if another has it, failed if it could not be pushed."""
        name = end.path.name
        if end.ended == "busy":
            return end
        why = ""
        for seconds in (0.0, *WAITS):
            time.sleep(seconds)
            try:
                if name not in self._lost:
                    self.push(name, is_thinned=is_thinned)
                    return end
            except Lost:
                pass
            except (RunError, OSError) as error:
                why = str(error)
                continue
            return replace(
                end, ended="busy", why=f"Another worker has taken {self._store.url}/{RUNS}/{name}."
            )
        self.kept.add(name)
        return replace(end, ended="failed", why=f"{why} Its copy on this machine stays: {end.path}")

    def leave(self, name: str) -> None:
        """Delete the copy of a run, unless it is kept or another process here works on it."""
        path = self.folder / RUNS / name
        if name in self.kept or not path.exists():
            return
        with suppress(filelock.Timeout, OSError), run_lock(path):
            (self.folder / OWNERS / name).unlink(missing_ok=True)
            self._clear(name)
            shutil.rmtree(path, ignore_errors=True)

    def _clear(self, name: str) -> None:
        for path in (self.folder / RUNS / name).iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()
        for probe in self.folder.glob(f"{MEASURED}/*"):
            (probe / f"{name}.parquet").unlink(missing_ok=True)


def _is_of_run(file: str) -> bool:
    """Whether a file of a run's directory is to be on the store: not what is of one machine, or derived."""
    return file not in ("lock", OWNER) and file.partition("/")[0] not in WITHOUT_LOCK


def _signature(path: Path) -> Signature:
    """Changes with every writing of the file: each makes a new one and renames it."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns

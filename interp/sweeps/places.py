"""Where a sweep is, as the command sees it: a folder, or a store with a folder of this machine to work in."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from interp.ground.whole_files import write_bytes
from interp.sweeps.plan_file import FILE, RUNS
from interp.sweeps.store import LOCK, Store, alone_at, store_at
from interp.sweeps.table import FILE as TABLE
from interp.sweeps.working import STOP

# Of a run: what its row of the table is made of.
OF_ROW = ("run.json", "history.parquet")


@dataclass(frozen=True)
class Place:
    """Where a sweep is.

    Attributes:
        folder: of the sweep, or to work in.
        store: where it is, if not in the folder.
    """

    folder: Path
    store: Store | None

    @property
    def tables(self) -> Path:
        """The folder of sweep.json and runs.parquet while this command works."""
        return self.folder if self.store is None else self.folder / "tables"

    def named(self) -> AbstractContextManager[None]:
        """Errors from inside name what the user named."""
        return nullcontext() if self.store is None else self.store.named(self.tables, self.folder)

    @contextmanager
    def alone(self) -> Iterator[Callable[[], None]]:
        """A store for oneself, its tables here; yields as `alone_at`. Who has a folder has said so in it.

        Raises:
            RunError: if another sweep works there.
            ValueError: if the store holds something else.
        """
        if self.store is None:
            yield lambda: None
            return
        with alone_at(self.store) as check:
            shutil.rmtree(self.tables, ignore_errors=True)
            self.tables.mkdir(parents=True)
            self._fetch_tables(self.tables)
            if not (self.tables / FILE).exists() and set(self.store.listing()) - {LOCK, STOP}:
                raise ValueError(
                    f"A sweep needs a URL of its own, and {self.store.url} holds other objects and no {FILE}. Name a "
                    "new one."
                )
            yield check

    @contextmanager
    def only_read(self) -> Iterator[Path]:
        """The folder of the tables, for a command that writes nothing."""
        with nullcontext() if self.store is None else tempfile.TemporaryDirectory() as made:
            if made is not None:
                self._fetch_tables(Path(made))
            yield self.tables if made is None else Path(made)

    def _fetch_tables(self, into: Path) -> None:
        assert self.store is not None
        for name, data in self.store.get_all([FILE, TABLE]):
            write_bytes(into / name, data)

    def share(self, file: str) -> None:
        """Push one of the tables, if it is not there as it is.

        Raises:
            RunError: if the store does not take it.
        """
        if self.store is None:
            return
        data = (self.tables / file).read_bytes()
        if self.store.get(file) != data:
            self.store.put(file, data)

    def lift_stop(self) -> None:
        """Delete what asked the workers to stop."""
        if self.store is None:
            (self.folder / STOP).unlink(missing_ok=True)
        else:
            self.store.delete(STOP)

    def there(self) -> Callable[[str], bool]:
        """Whether the sweep has a file, by its path in it; of a store as it is now, by one listing."""
        if self.store is None:
            return lambda name: (self.folder / name).exists()
        return set(self.store.listing()).__contains__

    def begun(self, names: Sequence[str]) -> Path:
        """The folder of the directories of runs, of which those of these names hold at least what a row is made of."""
        if self.store is None:
            return self.folder / RUNS
        wanted = [f"{RUNS}/{name}/{file}" for name in names for file in OF_ROW]
        for name, data in self.store.get_all(wanted):
            write_bytes(self.tables / name, data)
        return self.tables / RUNS


def place_of(path: str | os.PathLike, scratch: str | os.PathLike | None) -> Place:
    """The place that a path or URL names.

    Raises:
        ValueError: as `interp.sweeps.store.store_at`.
    """
    store = store_at(path, scratch)
    return Place(Path(path).expanduser().resolve() if store is None else store.folder, store)

"""Someone's file that is made to do harm, and what every command must make of it: a sentence, and nothing else."""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.fault_parts.material import STATED, Material
from benchmarks.fault_parts.processes import Failed, check_sentence, last_line, ran, value_of
from benchmarks.fault_parts.trials import Trial

SECONDS = 20.0
MEMORY = 2 * 2**30
MOST_SAID = 50_000


@dataclass(frozen=True)
class Place:
    """Where a hostile file is made.

    Attributes:
        source: empty folder, or a whole run if it is to be harmed.
        canary: what code would create that the file brings.
        victim: folder with one file, `notes.txt`, that nothing may touch.
        content: of a whole checkpoint.
    """

    source: Path
    canary: Path
    victim: Path
    content: dict[str, Any]

    @property
    def state(self) -> dict[str, Any]:
        return dict(self.content["model"])


# Makes the files; what is opened comes back.
Maker = Callable[[Place], Path]


@dataclass(frozen=True)
class Hostile:
    """Files that are made to do harm.

    Attributes:
        kind: row of the table.
        run: of the material that is harmed; none where it is someone else's file.
        stated: whether the commands say what the checkpoint does not.
    """

    name: str
    kind: str
    make: Maker
    run: str = ""
    stated: bool = True


def trial(material: Material, hostile: Hostile) -> Trial:
    return Trial(f"hostile/{hostile.name}", hostile.kind, partial(_tried, material, hostile))


def alone_and_beside(name: str, kind: str, make: Maker) -> Iterator[Hostile]:
    """A file by itself, and in a folder with a checkpoint that is whole."""
    yield Hostile(f"{name}/alone", kind, make)
    yield Hostile(f"{name}/beside", kind, lambda place: _beside(place, make))


def _beside(place: Place, make: Maker) -> Path:
    import torch

    make(place)
    torch.save(place.content, place.source / "step_1.pt")
    return place.source


def written(place: Place, name: str, data: bytes) -> Path:
    """A file in the source."""
    path = place.source / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def saved(place: Place, content: Any, name: str = "step_5.pt", **options: Any) -> Path:
    """The same, of torch.save."""
    import torch

    torch.save(content, place.source / name, **options)
    return place.source / name


def file_of_run(place: Place, name: str) -> Path:
    """A file of the run; of measures, the first."""
    return sorted((place.source / name).glob("*.parquet"))[0] if name == "measures" else place.source / name


def _tried(material: Material, hostile: Hostile, folder: Path, draw: random.Random) -> None:
    opened = _made(material, hostile, folder)
    before = _stamps(folder, hostile.run)
    for arguments in _commands(hostile, opened):
        said = " ".join(map(str, arguments[:1]))
        try:
            ended = ran(*arguments, seconds=SECONDS, memory=MEMORY)
            check_sentence(ended, *_names(folder / "source", opened))
        except Failed as failed:
            raise Failed(f"{said}: {failed}") from failed
        if (folder / "canary").exists():
            raise Failed(f"{said}: ran code of the file")
        # All findings are what verify is for.
        if arguments[0] != "verify" and len(ended.out) + len(ended.error) > MOST_SAID:
            raise Failed(f"{said}: printed {len(ended.out) + len(ended.error):,} signs")
        if (after := _stamps(folder, hostile.run)) != before:
            changed = [name for name in {**after, **before} if after.get(name) != before.get(name)]
            raise Failed(f"{said}: changed or left {', '.join(changed[:3])} ({last_line(ended)})")
        if arguments[0] == "import" and ended.code and (folder / "imported").exists():
            raise Failed("import: failed and left a run")


def _made(material: Material, hostile: Hostile, folder: Path) -> Path:
    source, victim = folder / "source", folder / "victim"
    victim.mkdir()
    (victim / "notes.txt").write_text("mine")
    if hostile.run:
        material.copy(hostile.run, source)
    else:
        source.mkdir()

    def make() -> str:
        import torch

        content = torch.load(sorted(material.run("foreign").glob("*.pt"))[0], weights_only=True)
        return str(hostile.make(Place(source, folder / "canary", victim, content)))

    return Path(value_of(make))


def _commands(hostile: Hostile, opened: Path) -> Iterator[list[object]]:
    stated = STATED if hostile.stated and not hostile.run else ()
    yield ["info", opened, *stated]
    yield ["verify", opened, *stated]
    yield ["import", opened, "imported", *stated]
    yield ["measure", opened, "--probes", "losses", "--out", "tables", *stated]
    if hostile.run:
        yield ["resume", opened]
        yield ["verify", opened, "--repair"]


def _names(source: Path, opened: Path) -> list[str]:
    from interp.ground.plain_text import visible

    below = [path.name for path in source.rglob("*")] if source.is_dir() else []
    return [visible(name) for name in (str(opened), source.name, *below)]


def _stamps(folder: Path, run: str) -> dict[str, tuple[int, ...] | str]:
    """What may not change: all but what was asked for; a run may be written to."""
    free = {"imported", "tables", *(["source"] if run else [])}
    found: dict[str, tuple[int, ...] | str] = {}
    for place, folders, files in os.walk(folder):
        if Path(place) == folder:
            folders[:] = [name for name in folders if name not in free]
            files = [name for name in files if name not in free]
        for name in [*folders, *files]:
            about = os.lstat(os.path.join(place, name))
            key = os.path.relpath(os.path.join(place, name), folder)
            found[key] = (about.st_mode, about.st_size, about.st_mtime_ns)
    return found

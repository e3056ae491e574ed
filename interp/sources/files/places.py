"""Where checkpoints may lie in a file or folder, and which name states the step of each.

a folder of files                                  init.pth, 100.pth, ..., final.pth
a folder of folders with one file each             checkpoint-500/model.safetensors, shards with their index
a folder above that of one session of a logger     lightning_logs/version_0/checkpoints/epoch=3-step=40.ckpt
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from interp.ground.plain_text import shown
from interp.sources.files import reading, steps
from interp.sources.files.reading import SourceError

_CHECKPOINT_FOLDER = re.compile(r"(checkpoint|ckpt|step|iter|epoch)[a-z]*[=_-]?[0-9]")


@dataclass(frozen=True)
class Place:
    """Where a state lies, so that it can be read again: a file or the shards of one checkpoint.

    Attributes:
        name: what may state the step.
        part: which of the states of a file that holds several.
        where: a text that names it to the user.
        stamps: size and time of change of each file when it was read.
    """

    files: tuple[Path, ...]
    name: str
    part: int = 0
    where: str = ""
    stamps: tuple[tuple[int, int], ...] = ()

    def found(self, where: str, part: int = 0) -> "Place":
        """The place of a state that was just read here."""
        return replace(self, part=part, where=where, stamps=_stamps(self.files))

    def check(self) -> None:
        """Nothing, if the files are as they were.

        Raises:
            SourceError: if one is gone or was changed.
        """
        stamps = _stamps(self.files)
        if stamps != self.stamps:
            what = "was changed" if stamps else "is gone"
            raise SourceError(
                f"{self.files[0]} {what} since its source was opened. Open it again to see what it holds now."
            )


NOWHERE = Place((), "")


def places_in(source: Path, without: Collection[Path] = ()) -> list[Place]:
    """The files of a source that may hold states, in the order of their names' numbers.

    Args:
        without: files that are known to hold something else.

    Raises:
        SourceError: if folders hold different runs, or an index of shards is none.
    """
    if source.is_file():
        return [Place((source,), source.stem)]
    return [Place(tuple(files), name) for files, name in _checkpoint_files(source, without)]


def _stamps(files: Iterable[Path]) -> tuple[tuple[int, int], ...]:
    try:
        return tuple((s.st_size, s.st_mtime_ns) for s in (file.stat() for file in files))
    except OSError:
        return ()


def _checkpoint_files(folder: Path, without: Collection[Path]) -> list[tuple[list[Path], str]]:
    """Files with tensors, grouped by checkpoint, with the name that may state the step."""
    files = sorted(
        (f for f in folder.iterdir() if f.is_file() and f not in without), key=lambda f: steps.natural(f.name)
    )
    found = [f for f in files if reading.kind_of(f)]
    folders = sorted((f for f in folder.iterdir() if f.is_dir()), key=lambda f: steps.natural(f.name))
    if found:
        groups = []
        if not any(
            steps.from_name(f.stem) for f in found
        ):  # a last copy, with the checkpoints in folders beside it
            inside = [
                (f, _main_files(f, without)) for f in folders if _CHECKPOINT_FOLDER.match(f.name.lower())
            ]
            groups = [(main, f.name) for f, main in inside if main]
        if any(f.name.endswith(".index.json") for f in files):
            return [*groups, (shards(folder), "" if groups else folder.name)]
        return [*groups, *(([f], f.stem) for f in found)]
    if session := _session(folder, without):
        return _checkpoint_files(session, without)
    inside = [(f, _main_files(f, without)) for f in folders]
    groups = [(main, f.name) for f, main in inside if main and steps.from_name(f.name)]
    if groups:
        return groups
    with_files = [f for f, main in inside if main] + [
        f for f in folders if f.name == "checkpoints" and not _main_files(f, without)
    ]
    if len(with_files) == 1:
        return _checkpoint_files(with_files[0], without)
    if len(with_files) > 1:
        names = ", ".join(f.name for f in with_files[:5])
        raise SourceError(
            f"{folder} holds {len(with_files)} folders with checkpoints ({names}), none of which names a step: they "
            "are different runs. Import them one by one."
        )
    return []


def sessions(folder: Path) -> list[Path]:
    """The folders `version_0`, `version_1`, ... that a logger made in a folder or one below it, a session each."""
    found = [*folder.glob("version_*"), *folder.glob("*/version_*")]
    return sorted((f for f in found if f.is_dir()), key=lambda f: steps.natural(str(f)))


def _session(folder: Path, without: Collection[Path]) -> Path | None:
    """The one session below a folder that has checkpoints, or None where none has.

    Raises:
        SourceError: if several have: they are different runs.
    """
    with_files = [
        f for f in sessions(folder) if _main_files(f, without) or _main_files(f / "checkpoints", without)
    ]
    if len(with_files) > 1:
        names = ", ".join(f.relative_to(folder).as_posix() for f in with_files[:5])
        raise SourceError(
            f"{folder} holds the checkpoints of {len(with_files)} sessions ({names}), each of which is a run of its "
            "own. Name one of these folders."
        )
    return with_files[0] if with_files else None


def _main_files(folder: Path, without: Collection[Path]) -> list[Path]:
    """The file or shards of one checkpoint: what the common trainers call the model, or else all files with tensors."""
    if not folder.is_dir():
        return []
    if any(folder.glob("*.index.json")):
        return shards(folder)
    for name in ("model.safetensors", "pytorch_model.bin", "model.pt", "model.pth"):
        if (folder / name).is_file():
            return [folder / name]
    return sorted(f for f in folder.iterdir() if f.is_file() and f not in without and reading.kind_of(f))[:1]


def shards(folder: Path) -> list[Path]:
    """The files that the index of a checkpoint names.

    Raises:
        SourceError: if it is no index, or a file is not there.
    """
    index = sorted(folder.glob("*.index.json"))[0]
    content = reading.read_json(index)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not names or not all(isinstance(n, str) for n in names.values()):
        raise SourceError(f"{index} is no index of shards: it has no weight_map of names to files.")
    files = []
    for name in sorted(set(names.values())):
        if Path(name).name != name or not (folder / name).is_file():
            raise SourceError(f"{index} names the shard {shown(name)}, which is not a file in its folder.")
        files.append(folder / name)
    return files

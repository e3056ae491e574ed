"""One fault in every kind of file of a run: a flipped bit, a cut, another's file, a folder, a link, no right to read.

What is read from the run is what was there, or is refused by name; verify names it; a repair loses nothing.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from benchmarks.fault_parts.material import Material
from benchmarks.fault_parts.processes import value_of
from benchmarks.fault_parts.promises import check_damaged, readings
from benchmarks.fault_parts.trials import Trial

STEP, STEP_2, LAST = (f"{step:010d}.safetensors" for step in (20, 40, 150))
STATE, STATE_2 = (f"{step:010d}.safetensors" for step in (50, 100))
LOSSES, NORMS = "measures/losses-*.parquet", "measures/weight_norms-*.parquet"
# Flips, by run and file, and the row that they count in.
FLIPS = {
    "run.json": {"whole run.json": 75, "imported run.json": 50},
    "index.json": {"whole index.json": 75, "imported index.json": 30},
    "a table": {"whole history.parquet": 60, "imported history.parquet": 30, "imported recorded.parquet": 50},
    "the data or the state to resume from": {
        "whole task.safetensors": 30, "imported task.safetensors": 30, "whole latest.safetensors": 60,
    },
    "a checkpoint": {
        f"whole steps/{STEP}": 40, f"whole steps/{LAST}": 20, f"imported steps/{STEP}": 30,
        f"whole optimizer/{STATE}": 40,
    },
    "packed weights or a kept table": {
        "whole packed/embed.W_E.npy": 30, "whole packed/embed.W_E.json": 20, f"whole {LOSSES}": 40,
        f"imported {LOSSES}": 20,
    },
}  # fmt: skip
FILES = [*dict.fromkeys(name for files in FLIPS.values() for name in files)]
SIBLINGS = {
    "whole": [
        (f"steps/{STEP}", f"steps/{STEP_2}"), (f"optimizer/{STATE}", f"optimizer/{STATE_2}"),
        (f"steps/{STATE}", f"optimizer/{STATE}"), ("task.safetensors", "latest.safetensors"),
        ("run.json", "index.json"), ("packed/embed.W_E.npy", "packed/unembed.W_U.npy"),
        ("packed/embed.W_E.json", "packed/unembed.W_U.json"), (LOSSES, NORMS), ("history.parquet", LOSSES),
        (f"steps/{LAST}", "latest.safetensors"),
    ],
    "imported": [
        ("history.parquet", "recorded.parquet"), (f"steps/{STEP}", f"steps/{STEP_2}"),
        ("task.safetensors", f"steps/{STEP}"), ("recorded.parquet", LOSSES), ("run.json", "index.json"),
    ],
}  # fmt: skip
FOLDERS = ("steps", "optimizer", "packed", "measures")
LOCKS = ("lock", "packed/lock", "measures/lock")
OUTSIDE = "outside"
# What an altered entry says is found to be wrong where it meets the file that it is of; a weight whose name is no
# longer there is one that nobody knows.
NAMED_BY_INDEX = (".safetensors", "steps/", "optimizer/", "has no weight 'W_E'")


def trials(material: Material) -> Iterator[Trial]:
    whole = {name: value_of(partial(readings, material.run(name))) for name in ("whole", "imported", "other")}
    # Which run it is, run.json alone says: that its other files are not of that one is what shows it.
    whole["of another run.json"] = whole["whole"] | {"run.json": whole["other"]["run.json"]}

    def trial(run: str, file: str, what: str, kind: str, *rest: object, **more: object) -> Trial:
        act = partial(_damaged, material, run, whole[str(more.pop("whole", run))], file, *rest, **more)
        return Trial(f"files/{run}/{file}/{what}".replace("*", ""), kind, act)

    for row, files in FLIPS.items():
        for name, n in files.items():
            run, file = name.split()
            for i in range(n):
                yield trial(run, file, f"flip/{i}", f"one flipped bit in {row}", partial(_flip, i, n))
    for run, file in (name.split() for name in FILES):
        for share in (0.02, 0.3, 0.7, 0.98, 1):
            kind = "a file cut short, emptied or zeroed"
            yield trial(run, file, f"cut/{share}", kind, partial(_cut, share))
        for what, fault in SHORTER.items():
            yield trial(run, file, what, "a file cut short, emptied or zeroed", fault)
        yield trial(run, file, "missing", "a file missing", _remove)
        yield trial(run, file, "folder", "a folder in a file's place", _folder)
        yield trial(run, file, "link", "a link out of the run", _link)
        yield trial(run, file, "flipped link", "a link out of the run", _link_to_flipped)
        yield trial(run, file, "link to nothing", "a link out of the run", _link_to_nothing)
        yield trial(run, file, "closed", "a file that may not be read", _close, around=partial(_closed, file))
    yield from _others(material, trial)


def _others(material: Material, trial: Callable[..., Trial]) -> Iterator[Trial]:
    """Files of another run, siblings, folders, locks."""
    for run, file in (name.split() for name in FILES):
        if run == "whole" and not file.startswith("packed"):
            # A run of the same kind with another seed.
            fault = partial(_of_another, material.run("other"))
            about = {"whole": f"of another {file}"} if file == "run.json" else {}
            yield trial(run, file, "of another run", "another run's file in its place", fault, **about)
    for run, pairs in SIBLINGS.items():
        for file, other in pairs:
            what = f"swapped with {Path(other).parent.name or 'run'} {Path(other).stem}"
            yield trial(run, file, what, "two files of a run in each other's place", partial(_swap, other))
    for run in ("whole", "imported"):
        for folder in FOLDERS if run == "whole" else ("steps", "packed", "measures"):
            yield trial(run, folder, "missing", "a file missing", _remove)
            yield trial(run, folder, "link", "a link out of the run", _link)
            yield trial(run, folder, "flipped link", "a link out of the run", _link_to_flipped)
            yield trial(run, folder, "link to nothing", "a link out of the run", _link_to_nothing)
            yield trial(run, folder, "file", "a file in a folder's place", _file)
        for lock in LOCKS if run == "whole" else LOCKS[1:]:
            yield trial(run, lock, "missing", "a file missing", _remove)
            yield trial(run, lock, "folder", "a folder in a file's place", _folder)
            yield trial(run, lock, "link", "a link out of the run", _link_to_text)


def _damaged(
    material: Material,
    run: str,
    whole: dict[str, str],
    name: str,
    fault: Callable[[Path], tuple[str, ...] | None],
    folder: Path,
    draw: random.Random,
    around: Callable[[Path], AbstractContextManager[None]] = nullcontext,
) -> None:
    path = material.copy(run, folder / "run")
    (folder / OUTSIDE).mkdir()
    file = _found(path, name)
    named = fault(file) or ()
    check_damaged(whole, path, (file.name, *named), around)


def _found(path: Path, pattern: str) -> Path:
    (file,) = path.glob(pattern)
    return file


# Faults, each of a file; names that an error about it may give beside the file's own come back.


def _flip(i: int, n: int, file: Path) -> tuple[str, ...] | None:
    data = bytearray(file.read_bytes())
    data[(2 * i + 1) * len(data) // (2 * n)] ^= 1 << i % 8
    file.write_bytes(data)
    return _told_by(file)


def _told_by(file: Path) -> tuple[str, ...] | None:
    # What an altered entry says is found to be wrong where it meets the file that it is of.
    return NAMED_BY_INDEX if file.name == "index.json" else None


def _cut(share: float, file: Path) -> None:
    size = file.stat().st_size
    os.truncate(file, min(int(size * share), size - 1))


def _zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def _zero_page(file: Path) -> None:
    data = file.read_bytes()
    start, end = len(data) // 2, len(data) // 2 + 64
    file.write_bytes(data[:start] + bytes(len(data[start:end])) + data[end:])


def _longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() * 2)


SHORTER: dict[str, Callable[[Path], None]] = {
    "empty": lambda file: os.truncate(file, 0),
    "zeros": _zeros,
    "64 zeros": _zero_page,
    "twice": _longer,
}


def _remove(file: Path) -> tuple[str, ...] | None:
    shutil.rmtree(file) if file.is_dir() else file.unlink()
    return (".safetensors",) if file.name == "steps" else None


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _file(folder: Path) -> tuple[str, ...]:
    shutil.rmtree(folder)
    folder.write_text("a file")
    return (".safetensors",)


def _outside(file: Path) -> Path:
    """Where a run's file goes that leads out of it: below the folder that nothing may change."""
    run = next(parent for parent in file.parents if parent.name == "run")
    return run.parent / OUTSIDE / file.name


def _link(file: Path) -> None:
    target = Path(shutil.move(file, _outside(file)))
    file.symlink_to(target)


def _link_to_flipped(file: Path) -> tuple[str, ...] | None:
    _link(file)
    targets = [file] if file.is_file() else [p for p in sorted(file.iterdir()) if p.name != "lock"]
    # Not the first, which may be an empty optimizer's.
    _flip(1, 2, targets[min(1, len(targets) - 1)])
    return (".safetensors",) if file.is_dir() else _told_by(file)


def _link_to_nothing(file: Path) -> tuple[str, ...] | None:
    _link(file)
    shutil.rmtree(_outside(file)) if _outside(file).is_dir() else _outside(file).unlink()
    return (".safetensors",) if file.name == "steps" else None


def _link_to_text(file: Path) -> None:
    """A lock that is a link to what matters to someone."""
    file.unlink()
    _outside(file).write_text("of someone else")
    file.symlink_to(_outside(file))


def _close(file: Path) -> None:
    file.chmod(0)


@contextmanager
def _closed(pattern: str, path: Path) -> Iterator[None]:
    """As the system refuses a file after chmod 0; to root it refuses nothing, and is played."""
    from benchmarks.fault_parts.staged import refused

    if os.geteuid():
        yield
        return
    with refused(*path.glob(pattern)):
        yield


def _of_another(other: Path, file: Path) -> tuple[str, ...] | None:
    run = next(parent for parent in file.parents if parent.name == "run")
    theirs = other / file.relative_to(run)
    if theirs.exists():
        shutil.copy(theirs, file)
    return _told_by(file)


def _swap(pattern: str, file: Path) -> tuple[str, ...]:
    run = next(parent for parent in file.parents if parent.name == "run")
    other = _found(run, pattern)
    aside = run / "aside"
    os.rename(file, aside)
    os.rename(other, file)
    os.rename(aside, other)
    return (other.name,)

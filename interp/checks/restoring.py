"""Brings back checkpoint files of a run whose tensors still lie somewhere in it, by the checksums of the index.

All of a plan is on the disk, in temporary files that only a repair touches, before the first damaged file is replaced:
files may be swapped, and then each is the only copy of the other. A repair that is killed is finished by the next.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xxhash

from interp.checks.file_damage import file_damage, loaded
from interp.checks.findings import Repair
from interp.checks.of_other_files import REPAIRING_SUFFIX
from interp.ground.plain_json import json_value
from interp.ground.whole_files import TEMPORARY_SUFFIX, within, write_bytes, write_together
from interp.ground.whole_reading import read_whole
from interp.networks.config import Weights
from interp.runs.index import index_bytes, inside
from interp.runs.packed_weights import packed_tensor
from interp.runs.tensor_files import (
    RunError,
    check_weight_names,
    file_checksum,
    safetensors_bytes,
    tensor_checksum,
)


def repair_checkpoints(path: Path, index: dict[int, dict[str, Any]], done: list[Repair]) -> None:
    """Restore what is damaged and can be; what was done, or why nothing could be, goes into the list."""
    damaged = dict(_damaged(path, index, done))
    restored: list[Repair] = []
    try:
        write_together(_plan(path, damaged, restored, done), REPAIRING_SUFFIX)
    except OSError as error:
        done.append(Repair("steps", False, f"nothing was restored: {error.strerror}"))
        return
    done += restored
    if restored:
        write_bytes(path / "index.json", index_bytes(index))


def _damaged(
    path: Path, index: dict[int, dict[str, Any]], done: list[Repair]
) -> Iterator[tuple[str, tuple[int, dict[str, Any]]]]:
    """Files of the index that are damaged and may be written, with step and entry."""
    for step, entry in index.items():
        for folder, about in (("steps", entry), ("optimizer", entry.get("optimizer"))):
            if about is None:
                continue
            file = inside(path, about["file"], folder)
            if file is None:
                text = f"not repairable: step {step} names {about['file']}, outside the run's {folder}/"
                done.append(Repair("index.json", False, text))
            elif file_damage(file, about["checksum"]):
                try:
                    within(path, file)
                    if folder == "steps":
                        check_weight_names(about["tensors"], f"step {step}")
                except OSError as error:
                    done.append(Repair(about["file"], False, f"not repairable: {error.strerror}"))
                except RunError as error:
                    done.append(Repair("index.json", False, f"not repairable: {error}"))
                else:
                    yield about["file"], (step, about)


def _plan(
    path: Path, damaged: dict[str, tuple[int, dict[str, Any]]], restored: list[Repair], done: list[Repair]
) -> Iterator[tuple[Path, bytes]]:
    """What each file that can be restored has to hold; its entry has the checksum of that afterwards."""
    whole = _whole_files(path) if damaged else {}
    for name, (step, about) in damaged.items():
        found = whole.get(about["checksum"])
        if found is not None:
            text, data = f"restored from {found.relative_to(path).as_posix()}", read_whole(found)
        elif not about["tensors"] and Path(name).parts[0] == "steps":
            # An optimizer without state has none.
            text = f"not repairable: its entry in the index lists no tensors; {how_to_retrain(path)}"
            done.append(Repair(name, False, text))
            continue
        else:
            tensors, sources = _search(path, about)
            if n_absent := len(about["tensors"].keys() - tensors.keys()):
                text = f"not repairable: {n_absent} of {len(about['tensors'])} tensors are nowhere else; "
                done.append(Repair(name, False, text + how_to_retrain(path)))
                continue
            data = safetensors_bytes({key: tensors[key] for key in about["tensors"]}, step)
            text = f"restored from {', '.join(sorted(sources)) or 'its entry'}"
        # As before, unless another program wrote the former file.
        about["checksum"] = xxhash.xxh3_64(data).hexdigest()
        restored.append(Repair(name, True, f"{text}; every tensor has its recorded checksum"))
        yield path / name, data


def _whole_files(path: Path) -> dict[str, Path]:
    """Files of the run that may be a checkpoint under another name, by checksum."""
    whole: dict[str, Path] = {}
    suffixes = (f".*{TEMPORARY_SUFFIX}", f".*{REPAIRING_SUFFIX}")
    for file in [file for pattern in ("*.safetensors", *suffixes) for file in path.rglob(pattern)]:
        try:
            if file.stat().st_size:
                whole.setdefault(file_checksum(file), file)
        # One that cannot be read restores nothing.
        except (OSError, RunError):
            continue
    return whole


def _search(path: Path, about: dict[str, Any]) -> tuple[Weights, set[str]]:
    """Tensors of a damaged file found elsewhere by their checksums, and where."""
    part = Path(about["file"]).parts[0]
    found: Weights = {}
    sources: set[str] = set()
    for source, tensors in _places(path, part, about["file"]):
        for name, checksum in about["tensors"].items():
            if name not in found and name in tensors and tensor_checksum(tensors[name]) == checksum:
                found[name] = tensors[name]
                sources.add(source)
    for name, checksum in about["tensors"].items() if part == "steps" else ():
        if name not in found and (tensor := _from_packed(path, name, checksum)) is not None:
            found[name] = tensor
            sources.add("packed/")
    return found, sources


def _from_packed(path: Path, name: str, checksum: str) -> Any:
    """The tensor of this checksum in the packed weights, which may be of an earlier set of steps."""
    try:
        checksums = json_value(read_whole(path / "packed" / f"{name}.json"))["tensors"]
        row = checksums.index(checksum)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return packed_tensor(path / "packed" / f"{name}.npy", row, checksum)


def _places(path: Path, part: str, name: str) -> Iterator[tuple[str, Weights]]:
    prefix = "weights/" if part == "steps" else "optimizer/"
    if (own := loaded(path / name)) is not None:
        yield "its own tensors", own
    if (latest := loaded(path / "latest.safetensors")) is not None:
        yield (
            "latest.safetensors",
            {key.removeprefix(prefix): t for key, t in latest.items() if key.startswith(prefix)},
        )


def how_to_retrain(path: Path) -> str:
    """What is left to do where nothing in a run holds what is lost."""
    return (
        f"retrain the run with interp.train(interp.open_run({str(path)!r}).config, NEW), which gives the same weights "
        "on the same kind of machine, and copy the file from there"
    )

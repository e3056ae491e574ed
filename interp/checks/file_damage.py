"""What is wrong with one file of a run, and what it still vouches for: a header with the checksum of every tensor."""

from pathlib import Path
from typing import Any

from interp.checks.findings import listed
from interp.ground.plain_json import json_value
from interp.ground.system_errors import system_error
from interp.ground.whole_reading import check_regular, read_whole
from interp.networks.config import Weights
from interp.runs.seal import is_sealed
from interp.runs.tensor_files import (
    RunError,
    check_weight_names,
    file_checksum,
    read_tensors,
    tensor_checksum,
)


def file_damage(file: Path, checksum: str | None) -> tuple[str, str] | None:
    """What is wrong with a safetensors file: (missing, truncated, altered or unreadable; a sentence's end), or None."""
    try:
        return _damage(file, checksum)
    except OSError as error:
        return "unreadable", f"cannot be read: {system_error(error, file)}"


def _damage(file: Path, checksum: str | None) -> tuple[str, str] | None:
    if not file.is_file():
        target = f" (it points to {file.readlink()}, which is gone)" if file.is_symlink() else ""
        return "missing", f"is missing{target}"
    size = file.stat().st_size
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if length > 100_000_000:
                raise ValueError
            header = json_value(opened.read(length))
        end = max((v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"), default=0)
        expected = 8 + length + end
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        is_cut = size < 8 or (length <= 100_000_000 and size < 8 + length)
        return ("truncated" if is_cut else "altered"), "has no readable header"
    if size < expected:
        return "truncated", f"has {size} of {expected} bytes"
    if size > expected:
        return "altered", f"has {size} bytes where its header says {expected}"
    if checksum is None:
        return None
    try:
        found = file_checksum(file)
    except RunError as error:
        return "unreadable", f"cannot be read ({error})"
    if found == checksum:
        return None
    return "altered", "has another checksum than the one recorded when it was saved"


def header_metadata(file: Path) -> dict[str, str]:
    """Metadata in the header of a safetensors file; {} where there is none that can be read."""
    try:
        check_regular(file)
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json_value(opened.read(min(length, 100_000_000)))
        metadata = header.get("__metadata__", {})
        return metadata if isinstance(metadata, dict) else {}
    except (OSError, ValueError, AttributeError):
        return {}


def loaded(file: Path) -> Weights | None:
    """The tensors of a safetensors file whatever its checksum is, or None."""
    try:
        return read_tensors(file, file_checksum(file))
    except RunError:
        return None


def consistent(file: Path) -> tuple[int, Weights] | None:
    """Step and tensors of a file that agrees with the checksums in its own header, or None."""
    metadata, tensors = header_metadata(file), loaded(file)
    if tensors is None:
        return None
    try:
        step, checksums = int(metadata["step"]), json_value(metadata["checksums"])
        is_sealed(read_whole(file))
    except (OSError, KeyError, ValueError, TypeError):
        return None
    if {name: tensor_checksum(t) for name, t in tensors.items()} != checksums:
        return None
    return step, tensors


def index_from_files(path: Path) -> dict[int, dict[str, Any]]:
    """The index that the checkpoint files themselves allow: those which agree with the checksums in their headers."""
    index = {}
    for file in sorted((path / "steps").glob("*.safetensors")):
        if entry := index_entry(path, file):
            index[int(file.stem)] = entry
    return index


def index_entry(path: Path, file: Path) -> dict[str, Any] | None:
    """The entry of a checkpoint file of consistent content and name, with its optimizer's if that is so too."""
    found = consistent(file)
    if found is None or file.name != f"{found[0]:010d}.safetensors":
        return None
    if file.parent.name == "steps":
        try:
            check_weight_names(found[1], file)
        except RunError:
            return None
    entry: dict[str, Any] = {
        "file": file.relative_to(path).as_posix(),
        "checksum": file_checksum(file),
        "tensors": {name: tensor_checksum(t) for name, t in found[1].items()},
    }
    optimizer = path / "optimizer" / file.name
    if file.parent.name == "steps" and optimizer.exists() and (state := index_entry(path, optimizer)):
        entry["optimizer"] = state
    return entry


def what_differs(file: Path, step: int, recorded: dict[str, str]) -> str:
    """How an altered file differs from what was saved, as the end of a sentence; "" where it cannot be read."""
    tensors, named = loaded(file), header_metadata(file).get("step")
    if tensors is None:
        return ""
    if named is not None and named != str(step):
        return f": it holds step {named}"
    differing = [n for n in recorded if n not in tensors or tensor_checksum(tensors[n]) != recorded[n]]
    if not differing:
        return ": its tensors are right, its header is not"
    return f": {listed(differing)} differ{'s' if len(differing) == 1 else ''}"

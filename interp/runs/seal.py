"""A file's checksum inside the file itself: both are replaced in one rename, so that no kill makes them disagree.

Of a binary file (Parquet, safetensors) every byte counts but the digits of the checksum; they stand in its metadata,
after a mark, and other programs read the file as before. Of run.json the values count, not how they are laid out.
Files of earlier versions have no checksum: they are read, and `interp verify` says so.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

from interp.runs.tensor_files import RunError

MARK = "grokscope-xxh3="
OPEN = f"{MARK}{0:016x}"


def sealed(data: bytes) -> bytes:
    """The bytes of a file that holds `OPEN` in its metadata, with its checksum in place of the zeros."""
    at = data.rindex(OPEN.encode()) + len(MARK)
    return data[:at] + _digits(data, at) + data[at + 16 :]


def is_sealed(data: bytes) -> bool:
    """Whether a file states its own checksum; one of an earlier version does not.

    Raises:
        ValueError: if it does, and it has another.
    """
    at = data.rfind(MARK.encode())
    if at < 0:
        return False
    at += len(MARK)
    if data[at : at + 16] != _digits(data, at):
        raise ValueError("its content has another checksum than the one that it states")
    return True


def _digits(data: bytes, at: int) -> bytes:
    """The checksum (xxh3, 64 bit) of a file whose own is at this place."""
    digest = xxhash.xxh3_64(memoryview(data)[:at])
    digest.update(b"0" * 16)
    digest.update(memoryview(data)[at + 16 :])
    return digest.hexdigest().encode()


def with_checksum(value: Mapping[str, Any]) -> dict[str, Any]:
    """The value of a JSON file with the checksum of all else that it says, beside its format."""
    said = dict(value)
    first = {name: said.pop(name) for name in ("format", "format_version")}
    return first | {"checksum": json_checksum(value)} | said


def check_stated(value: Mapping[str, Any], where: Path | str) -> None:
    """Refuse unless the value of a JSON file has the checksum that it states, if it states one.

    Raises:
        RunError: if it was changed after it was written.
    """
    if "checksum" in value and value["checksum"] != json_checksum(value):
        raise RunError(
            f"{where} says something else than when it was written: its checksum shows it. Restore it from a copy. If "
            'you changed it and mean it, delete its line "checksum" too: it is then taken at its word.'
        )


def json_checksum(value: Mapping[str, Any]) -> str:
    """Checksum (xxh3, 64 bit) of a JSON value but its own "checksum", however it is laid out."""
    said = {name: x for name, x in value.items() if name != "checksum"}
    return xxhash.xxh3_64(json.dumps(said, sort_keys=True).encode()).hexdigest()

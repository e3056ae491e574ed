"""The zip archives that torch.save writes: checked before torch reads them, byte by byte.

Each record carries a CRC-32 that torch.load does not look at, least of all where it maps the file: a flipped bit in
the weights would be other weights, and nobody would know. Files of torch before 1.6 and safetensors have no such sum.
"""

import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

from interp.sources.files.errors import SourceError
from interp.sources.files.pickles import check_keys

_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError)


def can_be_mapped(path: Path) -> bool:
    """Whether the records of a whole archive are stored as they are (torch maps compressed ones as garbage).

    A file is read through once in a process, and again only if its size or time of change is another.

    Raises:
        SourceError: if a record is not what was saved, or the archive claims far more than it holds.
    """
    about = path.stat()
    return _checked(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=4096)
def _checked(path: Path, size: int, changed: int) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_claims(entries, path, size)
            # torch.serialization.set_crc32_options(False) writes none: every one is zero then.
            has_sums = any(entry.CRC for entry in entries)
            bad = archive.testzip() if has_sums else None
            for entry in [] if has_sums else entries:
                # What has none is not compared with it.
                del entry.CRC
            for name in {entry.filename for entry in entries if entry.filename.endswith("/data.pkl")} - {bad}:
                check_keys(archive.read(name))
    except SourceError:
        raise
    except _DAMAGE as error:
        raise SourceError(
            f"{path} is damaged or truncated: {error}. Copy it again from its origin."
        ) from error
    if bad is not None:
        raise SourceError(
            f"{path} is damaged or truncated: the bytes of its record {bad} are not those that were saved (another "
            "CRC-32). Copy it again from its origin."
        )
    return all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)


def _check_claims(entries: list[zipfile.ZipInfo], path: Path, size: int) -> None:
    """Refuse an archive that is none of torch.save, or would take far more memory than it takes disk."""
    claimed = sum(entry.file_size for entry in entries)
    if claimed > 10 * size:
        raise SourceError(
            f"{path} claims {claimed:,} bytes of content in {size:,} bytes on disk. No trainer writes such a file; if "
            "you trust it, load it yourself and save it again with torch.save."
        )
    if not any(entry.filename.endswith("/data.pkl") for entry in entries):
        raise SourceError(f"{path} is a zip archive, but not one of torch.save. Unpack it, or leave it out.")

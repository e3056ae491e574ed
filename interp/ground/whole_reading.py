"""Reading files as a whole that lie on a disk and end.

A pipe in a file's place would be waited for, a device would never end, and a hole of a terabyte would be read.
"""

import errno
import os
import stat
from pathlib import Path

import numpy as np

from interp.ground.memory import machine_memory


def check_regular(path: Path) -> int:
    """Refuse what is no file on a disk; its size comes back.

    Raises:
        OSError: if it is missing, a folder, a pipe, a socket or a device.
    """
    about = os.stat(path)
    if stat.S_ISDIR(about.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(about.st_mode):
        raise OSError(
            errno.EINVAL, "A pipe, socket or device lies where a file is needed: move it away", str(path)
        )
    return about.st_size


def check_fits(path: Path) -> None:
    """Refuse what is no file on a disk, and one that does not fit into memory.

    Raises:
        OSError: if it is either, or missing.
    """
    if check_regular(path) > machine_memory():
        raise _too_large(path)


def read_whole(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: if it cannot be read, is no file on a disk, or does not fit into memory.
    """
    check_fits(path)
    try:
        return path.read_bytes()
    except MemoryError:
        raise _too_large(path) from None


def mapped_array(path: Path) -> np.ndarray:
    """The array in a .npy file, mapped: a header that claims more than is there is refused before memory is taken.

    Raises:
        OSError: if it cannot be read, or is no file on a disk.
        ValueError: if it is none, or one of objects.
    """
    check_regular(path)
    try:
        return np.lib.format.open_memmap(path, mode="r")
    # What a damaged header, which is text of Python, makes of itself.
    except (TypeError, EOFError, SyntaxError, OverflowError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _too_large(path: Path) -> OSError:
    size = path.stat().st_size
    return OSError(errno.EFBIG, f"The file has {size:,} bytes, more than fit into memory", str(path))

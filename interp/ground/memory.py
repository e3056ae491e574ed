"""How much memory this machine has, asked before much of it is taken."""

import os
from pathlib import Path

# Where the system does not say how much there is.
STATED = 64 * 2**30


def machine_memory() -> int:
    """Bytes of memory that this process may have at most: those of the machine, or of its container."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        found = STATED
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text("ascii"))
    except (OSError, ValueError):
        return found
    return min(found, limit)


def check_memory(needed: int, what: str, there: int | None = None) -> None:
    """Refuse what would need more memory than there is.

    Args:
        needed: bytes, at the least.
        what: what needs them and by which number, as the beginning of the error.
        there: bytes that there are; those of the machine by default.

    Raises:
        ValueError: with both numbers.
    """
    there = machine_memory() if there is None else there
    if needed > there:
        raise ValueError(
            f"{what} needs at least {_gigabytes(needed)} of memory, and there are {_gigabytes(there)}. Use smaller "
            "sizes."
        )


def _gigabytes(n: int) -> str:
    return f"{-(-n // 10**9):,} GB"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory left: Python's own, or one of torch's, of no one kind."""
    return isinstance(error, MemoryError) or any(
        text in str(error) for text in ("not enough memory", "can't allocate memory", "out of memory")
    )

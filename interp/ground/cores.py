"""How many cores there are to work on."""

import os


def n_cores() -> int:
    """The cores that this process may use, where it is pinned to some; else all of the machine."""
    pinned = getattr(os, "sched_getaffinity", None)
    return len(pinned(0)) if pinned else os.cpu_count() or 1

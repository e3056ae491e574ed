"""Ctrl-C as commands say it: one sentence and exit code 130, whatever was being done."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from interp.ground.plain_text import say


@contextmanager
def told_when_stopped(program: str) -> Iterator[None]:
    """After Ctrl-C inside: what the interrupt says, or that it stopped, as "program: text", and exit code 130."""
    try:
        yield
    except KeyboardInterrupt as stop:
        say(f"\n{program}: {stop if stop.args else 'Stopped.'}", file=sys.stderr)
        sys.exit(130)

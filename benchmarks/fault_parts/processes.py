"""Commands in processes of their own, forked from one that has everything loaded: milliseconds instead of seconds.

Who forks never computes: threads of torch or pyarrow that were started before a fork are missing after it.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

SECONDS = 60.0
CRASHED = 70
# Of this process: those that a kill -9 has really ended, each by its id.
killed: list[int] = []


class Failed(Exception):
    """A promise that was not kept, in words."""


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal), what it printed, what its function gave."""

    code: int
    out: str
    error: str
    value: Any


class Process:
    """A function in a forked process."""

    def __init__(self, act: Callable[[], Any], *, memory: int | None = None):
        self._files = [os.memfd_create(name) for name in ("out", "error", "value")]
        self._code: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            self._run(act, memory)

    def _run(self, act: Callable[[], Any], memory: int | None) -> None:
        code = CRASHED
        try:
            os.dup2(self._files[0], 1)
            os.dup2(self._files[1], 2)
            # Whoever forked may have put others in their place.
            sys.stdout, sys.stderr = (open(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))  # noqa: SIM115
            if memory is not None:
                taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                resource.setrlimit(resource.RLIMIT_AS, (taken + memory, taken + memory))
            value = act()
            os.write(self._files[2], json.dumps(value).encode())
            code = value if isinstance(value, int) else 0
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(code)

    def ended(self) -> bool:
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
            if self._code == -signal.SIGKILL:
                killed.append(self.pid)
        return self._code is not None

    def kill(self) -> None:
        """kill -9, and wait for its end."""
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            while not self.ended():
                time.sleep(0.001)

    def wait(self, seconds: float = SECONDS) -> Ended:
        """How it ended.

        Raises:
            Failed: if it did not within that time.
        """
        end = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > end:
                self.kill()
                raise Failed(f"did not end within {seconds:g} seconds")
            time.sleep(0.002)
        out, error, value = (self._content(file) for file in self._files)
        self._files = []
        return Ended(self._code or 0, out, error, json.loads(value) if value else None)

    def _content(self, file: int) -> str:
        os.lseek(file, 0, os.SEEK_SET)
        with os.fdopen(file, "rb") as stream:
            return stream.read().decode(errors="backslashreplace")


def others() -> list[int]:
    """The other processes of this process group: all that a trial has started, and what those have started."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            with contextlib.suppress(OSError):
                state, _, group = place.joinpath("stat").read_text().rpartition(")")[2].split()[:3]
                if int(group) == os.getpgrp() and state not in "ZX":
                    found.append(int(place.name))
    return found


def kill_other(pid: int) -> bool:
    """kill -9 of a process that need not be a child; whether it was still there."""
    if pid not in others():
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)
        return True
    return False


def command(*arguments: object) -> Callable[[], int]:
    """What `interp ARGUMENTS` runs; its exit code comes back."""

    def act() -> int:
        from interp.__main__ import main

        sys.argv = ["interp", *map(str, arguments)]
        try:
            main()
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        return 0

    return act


def ran(*arguments: object, seconds: float = SECONDS, memory: int | None = None) -> Ended:
    """`interp ARGUMENTS`, to its end."""
    return Process(command(*arguments), memory=memory).wait(seconds)


def done(*arguments: object) -> Ended:
    """`interp ARGUMENTS`, which must succeed.

    Raises:
        Failed: with what it said.
    """
    ended = ran(*arguments)
    if ended.code:
        raise Failed(f"interp {' '.join(map(str, arguments))} ended with {ended.code}: {last_line(ended)}")
    return ended


def value_of(act: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """What a function gives in a process of its own.

    Raises:
        Failed: with the last line of its traceback.
    """
    # In a list, so that a number is not taken for an exit code.
    ended = Process(lambda: [act()]).wait(seconds)
    if ended.value is None:
        raise Failed(last_line(ended))
    return ended.value[0]


def last_line(ended: Ended) -> str:
    lines = [line for line in ended.error.splitlines() if line.strip()]
    return (
        lines[-1][:400] if lines else f"killed by signal {-ended.code}" if ended.code < 0 else "nothing said"
    )


def check_sentence(ended: Ended, *named: str) -> None:
    """Refuse unless a command did what it was asked, or said in a sentence why not, naming one of these.

    Raises:
        Failed: at a traceback, a crash, no sentence, raw escapes, or one that names nothing.
    """
    if ended.code < 0:
        raise Failed(f"ended by signal {-ended.code}")
    if "Traceback (most recent call last)" in ended.error or ended.code == CRASHED:
        raise Failed(f"a traceback: {last_line(ended)}")
    if ended.code not in (0, 1, 2):
        raise Failed(f"exit code {ended.code}: {last_line(ended)}")
    if "more memory than there is" in ended.error:
        raise Failed(f"took all memory that it may have: {last_line(ended)}")
    said = ended.error + (ended.out if ended.code else "")
    if "\x1b" in ended.error + ended.out:
        raise Failed("printed a raw escape")
    if ended.code and not said.strip():
        raise Failed(f"exit code {ended.code} without a word")
    if ended.code == 1 and named and not any(name in said for name in named):
        raise Failed(f"names none of {', '.join(named)}: {last_line(ended)}")


def load_what_is_used(act: Callable[[], Any]) -> None:
    """Load here whatever modules a process loads that does this, so that processes forked later need not."""
    before = set(sys.modules)

    def names() -> list[str]:
        act()
        return [name for name in list(sys.modules) if name not in before]

    for name in value_of(names, 120):
        try:
            import_module(name)
        except Exception:
            # Some can be loaded only by their package.
            continue

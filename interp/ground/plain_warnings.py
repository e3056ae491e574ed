"""Warnings as commands say them: one line on stderr, without the line of code that raised it."""

import sys
import warnings
from typing import Any

from interp.ground.plain_text import say, visible


def plain_warnings(program: str) -> None:
    """From now on a UserWarning prints as "program: warning: text"; other kinds stay as they are."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, UserWarning):
            say(f"{program}: warning: {visible(str(message))}", file=sys.stderr)
        else:
            usual(message, category, *where, **more)

    warnings.showwarning = show  # type: ignore[assignment]

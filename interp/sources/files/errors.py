"""What is said of a source that cannot be taken as it is."""

import warnings

from interp.ground.plain_text import sentence
from interp.runs.tensor_files import RunError


class SourceError(RunError):
    """A source cannot be read as it is: one sentence that names the file and what to do, perhaps a list below it."""


class SourceWarning(UserWarning):
    """Something in a source was left out, assumed or looks wrong; the rest was read."""


def warn(text: str) -> None:
    """Say it to who called the caller."""
    warnings.warn(sentence(text), SourceWarning, stacklevel=3)

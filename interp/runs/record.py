"""What a run.json says beside its config."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


FORMAT = "grokscope-run"
FORMAT_VERSION = 1

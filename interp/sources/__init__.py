"""Other people's checkpoints become a run.

    files/        of strangers, read safely: where they lie, the state dicts in them, the step of each
    formats/      what their tensors are, a format a file: state dict -> `ModelConfig` and weights
    records/      losses, train rows and configs beside them
    recognition   where a source is and of which format      survey     what it holds, looked at once and read again
    placed        which state is the checkpoint of a step    learned    what was learned, on which split
    opened        a run whose files are someone else's       opening    all of it together, in place
    importing     the same, copied

Everything is recognised by content; `interp import --list` says by what.
"""

from interp.sources.files.reading import SourceError, SourceWarning
from interp.sources.importing import import_run

__all__ = ["SourceError", "SourceWarning", "import_run"]

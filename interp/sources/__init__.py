"""Other people's checkpoints become a run.

    reading       files of strangers, safely           steps      which step a checkpoint is of
    states        the state dicts in a file or folder  recorded   losses, train rows and configs beside them
    formats       which format a state dict is of      network    what all formats share
    transformer_lens, left_facing, pizza, openai_grok  one format each: state dict -> `ModelConfig` and weights
    logs          tables of losses beside the files
    tasks         what was learned, on which split     opened     a run whose files are someone else's
    opening       all of it together, in place         importing  the same, copied

Everything is recognised by content; `formats.RECOGNIZED_BY` and `formats.WRAPPED_IN` say by what.
"""

from interp.sources.files.reading import SourceError, SourceWarning
from interp.sources.importing import import_run

__all__ = ["SourceError", "SourceWarning", "import_run"]

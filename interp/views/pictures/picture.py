"""What a figure with a name is: which tables it needs, how it is drawn, what its caption says."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from interp.analyses.frame import Subject
from interp.tables.folder import Tables


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure that has a name.

    Attributes:
        shows: what is seen, in one line; for lists.
        compute: run and device -> tables; of a picture of one checkpoint, its step too. torch is imported inside.
        draw: tables -> Figure, without torch: kept tables redraw on any machine.
        caption: tables -> what is seen, in which units, with the numbers that the tables hold, in plain sentences. Run
            and checkpoints are added by whoever prints it (`interp.views.pictures.captions`).
        needs: where all of these tables are empty there is nothing to see, and no file is written.
        is_of_step: whether it shows one checkpoint, the last one if no other is named.
        subject: what `compute` takes where that is not a run; as of analyses.
        reads: the path of the run -> files beside the run's own that its tables were made from.
    """

    shows: str
    compute: Callable[..., Tables]
    draw: Callable[[Tables], Figure]
    caption: Callable[[Tables], str]
    needs: tuple[str, ...] = ()
    is_of_step: bool = False
    subject: Subject | None = None
    reads: Callable[[Path], list[Path]] | None = None

"""What analyses of many runs are asked about: a sweep, its tables, or folders of runs, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interp.analyses.frame import Subject

BOUNDARY = Path(__file__).parents[2] / "analyses" / "evidence" / "boundary"


def opened(path: Path, others: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """The runs, and what they are.

    Raises:
        ValueError: if there are none.
    """
    from interp.sweeps.gathered import gathered

    found = gathered(path, others)
    about = {
        "run": found.name,
        "with": [str(Path(one).resolve()) for one in others],
        "n_runs": len(found.runs),
        "fields": list(found.fields),
    }
    return found, about


SWEEP = Subject("runs", BOUNDARY, opened)

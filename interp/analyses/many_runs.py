"""What analyses of many runs are asked about: a sweep, its tables, or folders of runs, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interp.analyses.frame import Subject

BOUNDARY = Path(__file__).parents[2] / "analyses" / "evidence" / "boundary"


def opened(path: str, others: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    """The runs, and what they are.

    Raises:
        ValueError: if there are none.
    """
    from interp.sweeps.gathered import gathered

    found = gathered(path, others)
    about = {
        "run": found.name,
        "n_runs": len(found.runs),
        "fields": list(found.fields),
    }
    return found, about


def table_of(gathered: Any, probe: str) -> Any:
    """What a probe measured of all runs, None where it was not; what is damaged is said."""
    from interp.sweeps.gathered import NotMeasured

    try:
        return gathered.measured(probe)
    except NotMeasured:
        return None


SWEEP = Subject("runs", BOUNDARY, opened)

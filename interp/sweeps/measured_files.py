"""The tables that a sweep measured along its runs, which may have lost their checkpoints since."""

import glob
import time
from pathlib import Path

from interp.ground.whole_files import is_temporary
from interp.sweeps.plan_file import MEASURED

# For a file that another machine wrote to be seen here.
SECONDS_TO_SHOW = 10.0


def measured_file(folder: Path, probe: str, run: str) -> Path:
    """Where a sweep keeps what a probe measured of a run."""
    return folder / measured_name(probe, run)


def measured_name(probe: str, run: str) -> str:
    """Its path in the sweep."""
    return f"{MEASURED}/{probe}/{run}.parquet"


def not_seen_after_a_while(folder: Path, probes: list[str], run: Path) -> list[str]:
    """None: a run that was thinned was measured before, and its tables may be seen late on a network file system.

    Raises:
        ValueError: if one does not come. What is left of the run cannot be measured in its place.
    """
    begun = time.monotonic()
    while lacking := [probe for probe in probes if not measured_file(folder, probe, run.name).exists()]:
        if time.monotonic() - begun > SECONDS_TO_SHOW:
            raise ValueError(
                f"{measured_file(folder, lacking[0], run.name)} is gone, and the checkpoints that it was measured at "
                f"were deleted. Restore it, or delete {run} to train it anew."
            )
        time.sleep(0.1)
    return []


def remove_unfinished(file: Path) -> None:
    """Delete what a killed worker left of this table, which nobody else writes while the run's lock is held."""
    for left in file.parent.glob(f".{glob.escape(file.name)}.*"):
        if is_temporary(left):
            left.unlink(missing_ok=True)

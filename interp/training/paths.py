"""The recorded path of another arm, which a rule follows: its own copy in the run that follows it.

A path is what a branch recorded of itself at each step (norms, margins, sizes of updates). Row i holds the values at
the weights after i updates since the branch. The copy makes a run whole: it can be continued without the other.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from interp.ground.whole_files import write_bytes
from interp.runs.belonging import belonging
from interp.runs.run import Run
from interp.runs.table_files import table_bytes
from interp.runs.tensor_files import RunError

if TYPE_CHECKING:
    import pandas as pd

FILE = "paths.parquet"


class Paths:
    """Recorded values by step since the branch; rules see one row at a time."""

    def __init__(self, columns: Mapping[str, Tensor]):
        self.columns = dict(columns)
        self.n_rows = min((len(x) for x in self.columns.values()), default=0)

    def at(self, since: int) -> dict[str, Tensor]:
        """The values at the weights after this many updates since the branch."""
        return {name: values[since] for name, values in self.columns.items()}


def save_paths(run: Run, needs: Iterable[str], runs: Mapping[str, Run], n_rows: int) -> None:
    """Copy into a branch the columns that its rules follow, "control/norm/embed.W_E" from the run named "control".

    Raises:
        RunError: if a run is not named, did not record the quantity, or is shorter than the branch is to be.
    """
    import pandas as pd

    columns = {need: _column(need, runs, n_rows) for need in sorted(set(needs))}
    if columns:
        table = pd.DataFrame(columns)
        write_bytes(run.path / FILE, table_bytes(table, belonging(FILE, run.config)))


def known_steps(run: Run) -> int:
    """How many steps since its branch a run has recorded, which is as long as another can follow it."""
    return max(len(run.history()) - 1, 0)


def read_paths(run: Run) -> Paths:
    """The paths that a branch follows; none where it follows none.

    Raises:
        RunError: if the file is damaged, or another run's.
    """
    from interp.runs.table_files import read_table

    if not (run.path / FILE).exists():
        return Paths({})
    table, stated = read_table(run.path / FILE)
    run.check_own(run.path / FILE, stated)
    return Paths({name: torch.from_numpy(table[name].to_numpy().copy()) for name in table})


def _column(need: str, runs: Mapping[str, Run], n_rows: int) -> "pd.Series":
    of, _, quantity = need.partition("/")
    if of not in runs:
        raise RunError(
            f"A rule of this arm follows the recorded {quantity} of arm {of!r}, and that run is not named; it has "
            f"{', '.join(runs) or 'none'}. Train {of!r} first."
        )
    run = runs[of]
    history = run.history()
    if quantity not in history:
        raise RunError(
            f"Run {run.name!r} recorded no {quantity}, which a rule of this arm follows. Branches record it, other "
            "runs do not: branch the control too."
        )
    values = history[quantity]
    if len(values) < n_rows:
        raise RunError(
            f"A rule of this arm follows {quantity} of run {run.name!r}, which was trained for {len(values) - 1} steps "
            f"since the branch, and the arm is to have {n_rows - 1}. Make {run.name!r} longer, or the arm shorter."
        )
    return values.iloc[:n_rows].reset_index(drop=True)

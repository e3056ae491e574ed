"""What a sweep says of a run's recipe, as one table for the theories that speak of many runs."""

from typing import Any

import numpy as np
import pandas as pd

from interp.analyses.many_runs import table_of

TABLE = "sweep_runs"


def sweep_runs(gathered: Any, config: Any) -> pd.DataFrame:
    """A row for each complete run of a sweep that memorized.

    Args:
        gathered: of `interp.sweeps.gathered.gathered`.
        config: of the run that the sweep is to say something of.

    Columns: run, setting (of the swept fields), is_recipe (whether it is the run's own recipe from other seeds),
    grokked, norm_at_event (of all weights at the grokking step, between checkpoints by a straight line; NaN where it
    was not measured, or has not come), early_activity (NaN where it is not known).

    Raises:
        ValueError: if no run of the sweep is complete and has memorized.
    """
    from interp.sweeps.gathered import FOLLOW, SEEDS
    from interp.sweeps.table import flat_config
    from interp.tables.wording import setting_text

    runs = gathered.runs
    done = runs[(runs["status"] == "complete") & runs["memorization_step"].notna()]
    if not len(done):
        raise ValueError(
            f"Sweep {gathered.name!r} says nothing of a recipe: none of its runs is complete and memorized."
        )
    own = {k: v for k, v in flat_config(config).items() if k not in (*SEEDS, *FOLLOW) and k in done}
    norms = _norms_at_events(gathered, done)
    fields = list(gathered.fields)
    records = done.to_dict("records")
    return pd.DataFrame(
        {
            "run": done["run"].to_numpy(),
            "setting": [setting_text({f: row[f] for f in fields}) for row in records],
            "is_recipe": [all(_same(row[k], v) for k, v in own.items()) for row in records],
            "grokked": done["grokking_step"].notna().to_numpy(),
            "norm_at_event": [norms.get(name, np.nan) for name in done["run"]],
            "early_activity": done.get("early_activity", pd.Series(np.nan, index=done.index)).to_numpy(float),
        }
    )


def _same(one: Any, other: Any) -> bool:
    """Whether two fields are the same; both may be missing."""
    is_missing = one is None or bool(pd.isna(one))
    return is_missing if other is None else not is_missing and bool(one == other)


def _norms_at_events(gathered: Any, runs: pd.DataFrame) -> dict[str, float]:
    table = table_of(gathered, "weight_norms")
    if table is None:
        return {}
    total = dict(iter(table[table["matrix"] == "total"].groupby("run", observed=True)))
    return {
        row["run"]: float(np.interp(row["grokking_step"], total[row["run"]]["step"], total[row["run"]]["l2"]))
        for row in runs.dropna(subset=["grokking_step"]).to_dict("records")
        if row["run"] in total
    }

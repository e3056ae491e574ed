"""What `interp forecast` said of runs of other families by their test loss, at multiples of their memorization step.

python analyses/evidence/other-families/forecasts.py RUN ... > analyses/evidence/other-families/forecasts.csv
"""

import sys
import warnings

import numpy as np
import pandas as pd

import interp
from interp.tables.outcome import outcome
from interp.theories.forecast import MULTIPLES, TEST_LOSS, curves_of
from interp.theories.forecaster import forecasts, read_forecaster, why_not

COLUMNS = [
    "family", "run", "minimises", "memorized", "came", "times_memorized", "seen", "forecast", "low", "high", "decades",
    "holds", "why_not",
]  # fmt: skip


def looks(path: str) -> pd.DataFrame:
    """A row a look, from memorization until the run generalises."""
    run, learned = interp.open_run(path), read_forecaster()
    history = run.history()
    if reason := why_not(history):
        sys.exit(f"{path}: {reason}")
    whole = history.dropna(subset=["test_accuracy"])
    ended = outcome({"history": whole})
    memorized = ended.memorization.step if ended.memorization else None
    came = ended.grokking.step if ended.grokking else None
    if memorized is None or run.config.task is None or run.config.optimizer is None:
        sys.exit(f"{path} has not memorized, or does not say what it learned: there is nothing to look at.")
    rows = []
    for multiple in MULTIPLES:
        seen = whole[whole["step"] <= multiple * memorized]
        step = int(seen["step"].iloc[-1])
        if multiple * memorized >= (came or whole["step"].iloc[-1]):
            break
        found = forecasts(learned, curves_of(seen.assign(run=run.name)), float(step))
        row = found[found["measure"] == TEST_LOSS].iloc[0]
        rows.append(
            {
                "family": run.config.task.family,
                "run": run.name,
                "minimises": run.config.optimizer.loss,
                "memorized": memorized,
                "came": came,
                "times_memorized": multiple,
                "seen": step,
                "forecast": row["step"],
                "low": row["low"],
                "high": row["high"],
                "decades": np.log10(row["step"] / came) if came else np.nan,
                "holds": row["low"] <= came <= row["high"] if came and not row["why_not"] else None,
                "why_not": row["why_not"],
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = pd.concat([looks(path) for path in sys.argv[1:]], ignore_index=True)
    found.astype({"came": "Int64"}).to_csv(sys.stdout, index=False, float_format="%.4g")

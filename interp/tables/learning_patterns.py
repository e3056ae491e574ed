"""How fast the patterns of a task are learned: the sigmoids of Davies et al. 2023, fitted to what was measured.

Their picture: each pattern is picked up along a sigmoid of its own, and which of them answers decides the test error.
Three can be told apart in a run with wrong labels, by the rows that only they answer: the rule on rows with right
labels, single rows by heart on wrong labels, and whatever carries over to new rows.

References: Davies, Langosco and Krueger 2023, "Unifying grokking and double descent", section 3.
"""

from typing import Any

import numpy as np
import pandas as pd

# By the split of the probe `losses`.
PATTERNS = {"train": "right labels", "corrupted": "wrong labels", "test": "new rows"}
# Of a curve with four numbers a fit of three says nothing.
LEAST_POINTS = 6


def patterns(losses: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of each pattern along the steps, mean over runs.

    Args:
        losses: of the probe, runs that are alike, with wrong labels.

    Columns: pattern, step, accuracy.
    """
    of = losses[losses["split"].isin(PATTERNS)]
    table = of.groupby(["split", "step"], observed=True, sort=True)["accuracy"].mean().reset_index()
    return pd.DataFrame(
        {
            "pattern": table["split"].astype(str).map(PATTERNS),
            "step": table["step"],
            "accuracy": table["accuracy"],
        }
    )


def speeds(table: pd.DataFrame) -> pd.DataFrame:
    """The sigmoid of each pattern: accuracy = floor + (gamma - floor) / (1 + exp(-alpha (ln step - b))).

    The floor is the accuracy at step 0, where nothing has been learned. Read `residual` first: what is learned, lost
    and learned again is no sigmoid.

    Args:
        table: of `patterns`.

    Columns: pattern, gamma (where it ends), alpha (per e-fold of steps), half_step (e^b), residual (root mean square);
    missing where there are fewer than six checkpoints or the fit does not settle.
    """
    found = [{"pattern": name, **_fitted(part)} for name, part in table.groupby("pattern", sort=False)]
    return pd.DataFrame(found, columns=["pattern", "floor", "gamma", "alpha", "half_step", "residual"])


def sigmoid(step: Any, floor: float, gamma: float, alpha: float, half_step: float) -> np.ndarray:
    """The curve that `speeds` fits."""
    x = alpha * (np.log(np.maximum(np.asarray(step, dtype=float), 1e-9)) - np.log(half_step))
    return floor + (gamma - floor) / (1 + np.exp(-np.clip(x, -50, 50)))


def _fitted(part: pd.DataFrame) -> dict[str, float]:
    # Takes longer to load than all else here.
    from scipy.optimize import curve_fit

    part = part.sort_values("step")
    later = part[part["step"] > 0]
    x, y = np.log(later["step"].to_numpy(dtype=float)), later["accuracy"].to_numpy(dtype=float)
    floor = float(part["accuracy"].iloc[0])
    unknown = dict.fromkeys(("gamma", "alpha", "half_step", "residual"), float("nan"))
    if len(y) < LEAST_POINTS or np.ptp(y) == 0:
        return {"floor": floor, **unknown}
    middle = x[int(np.argmin(np.abs(y - (floor + y[-1]) / 2)))]

    def curve(x: np.ndarray, gamma: float, alpha: float, b: float) -> np.ndarray:
        return sigmoid(np.exp(x), floor, gamma, alpha, float(np.exp(b)))

    bounds = ([0.0, 0.05, x[0] - 3], [1.0, 50.0, x[-1] + 3])
    start = (float(np.clip(y[-1], 0.01, 0.99)), 2.0, float(middle))
    try:
        (gamma, alpha, b), _ = curve_fit(curve, x, y, p0=start, bounds=bounds, maxfev=2000)
    except RuntimeError:
        return {"floor": floor, **unknown}
    residual = float(np.sqrt(np.square(curve(x, gamma, alpha, b) - y).mean()))
    return {
        "floor": floor,
        "gamma": float(gamma),
        "alpha": float(alpha),
        "half_step": float(np.exp(b)),
        "residual": residual,
    }
